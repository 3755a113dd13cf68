/*
 * Fuzz target: what a client may send to the NBD server
 *
 * The whole input is one client's side of a connection: handshake and
 * requests.  The export is a disk in memory that checks the ranges it gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "nbd/server.h"
#include "util/iov.h"

#define DISK_SIZE (256 * 1024)

static uint8_t disk[DISK_SIZE];

typedef struct Fuzz {
    NBDExport exp;
    NBDServer *server;
    IOChannel *ioc;
    bool done;
} Fuzz;

static void check_range(NBDExport *exp, int64_t offset, int64_t bytes)
{
    g_assert_cmpint(offset, >=, 0);
    g_assert_cmpint(bytes, >, 0);
    g_assert_cmpint(bytes, <=, exp->size);
    g_assert_cmpint(offset, <=, exp->size - bytes);
}

static void disk_ref(NBDExport *exp)
{
}

static int coroutine_fn disk_wait(NBDExport *exp, const void *client)
{
    return 0;
}

static void disk_cancel(NBDExport *exp, const void *client)
{
}

static int coroutine_fn disk_preadv(NBDExport *exp, int64_t offset,
                                    int64_t bytes, IOVector *qiov)
{
    check_range(exp, offset, bytes);
    co_reschedule_self();
    iov_from_buf(qiov, 0, disk + offset, bytes);
    return 0;
}

static int coroutine_fn disk_pwritev(NBDExport *exp, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     unsigned flags)
{
    check_range(exp, offset, bytes);
    co_reschedule_self();
    iov_to_buf(qiov, 0, disk + offset, bytes);
    return 0;
}

static int coroutine_fn disk_zero(NBDExport *exp, int64_t offset,
                                  int64_t bytes, unsigned flags)
{
    check_range(exp, offset, bytes);
    memset(disk + offset, 0, bytes);
    return 0;
}

static int coroutine_fn disk_flush(NBDExport *exp)
{
    return 0;
}

static int coroutine_fn disk_status(NBDExport *exp, int64_t offset,
                                    int64_t bytes, int64_t *pnum)
{
    check_range(exp, offset, bytes);
    /* Alternating pieces of 4 KiB, so that replies have several extents */
    *pnum = MIN(bytes, 4096 - offset % 4096);
    return offset / 4096 % 2 ? 3 : 0;
}

static const NBDExportOps disk_ops = {
    .ref = disk_ref,
    .unref = disk_ref,
    .wait = disk_wait,
    .cancel_waiting = disk_cancel,
    .preadv = disk_preadv,
    .pwritev = disk_pwritev,
    .pwrite_zeroes = disk_zero,
    .pdiscard = disk_zero,
    .flush = disk_flush,
    .block_status = disk_status,
    .allocation_depth = disk_status,
};

static void coroutine_fn serve(void *opaque)
{
    Fuzz *f = opaque;
    NBDServerConfig config = { 0 };

    f->server = nbd_server_co_new(&config, NULL);
    g_assert_nonnull(f->server);
    g_assert_true(nbd_server_add_export(f->server, &f->exp, NULL));
    nbd_server_accept(f->server, f->ioc);

    while (nbd_server_connections(f->server) > 0) {
        co_reschedule_self();
    }
    nbd_server_remove_export(&f->exp);
    nbd_server_co_free(f->server);
    f->done = true;
}

static bool is_busy(void *opaque)
{
    Fuzz *f = opaque;

    return !f->done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "disk";
    char description[] = "in memory";
    uint8_t kind;
    Fuzz f;
    int peer;

    fuzz_context();
    kind = fuzz_byte(&data, &size);
    f = (Fuzz) {
        .exp = {
            .ops = &disk_ops,
            .name = name,
            .description = kind & 1 ? description : NULL,
            .read_only = kind & 2,
            .allocation_depth = kind & 4,
            .min_block = kind & 8 ? 512 : 1,
            .opt_block = 4096,
            .size = DISK_SIZE,
        },
    };
    f.ioc = fuzz_channel(data, size, &peer);
    fuzz_loop(serve, is_busy, &f, peer);
    return 0;
}
