/*
 * Fuzz target: what a server may send to the NBD client
 *
 * The first byte says which context is asked for; the rest is the server's
 * side of a connection.  If the handshake succeeds, one request of each kind
 * that the server offers is made at once; all must end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "nbd/client.h"
#include "nbd/protocol.h"
#include "util/iov.h"

#define BYTES 4096

typedef struct Fuzz {
    IOChannel *ioc;
    NBDClient *client;
    NBDExportInfo info;
    unsigned in_flight;
    bool depth;                 /* ask for the depth instead of the state */
    bool done;
} Fuzz;

static void on_lost(void *opaque, const GError *reason)
{
    g_assert_nonnull(reason);
}

static void coroutine_fn do_read(void *opaque)
{
    Fuzz *f = opaque;
    uint8_t buf[BYTES];
    IOVector qiov;

    iov_init_buf(&qiov, buf, sizeof(buf));
    nbd_client_co_read(f->client, 0, sizeof(buf), &qiov);
    f->in_flight--;
}

static void coroutine_fn do_write(void *opaque)
{
    Fuzz *f = opaque;
    uint8_t buf[BYTES] = { 0 };
    IOVector qiov;

    iov_init_buf(&qiov, buf, sizeof(buf));
    nbd_client_co_write(f->client, 0, sizeof(buf), &qiov, 0);
    f->in_flight--;
}

static void coroutine_fn do_flush(void *opaque)
{
    Fuzz *f = opaque;

    nbd_client_co_command(f->client, NBD_CMD_FLUSH, 0, 0, 0);
    f->in_flight--;
}

static void coroutine_fn do_trim(void *opaque)
{
    Fuzz *f = opaque;

    nbd_client_co_command(f->client, NBD_CMD_TRIM, 0, 0, BYTES);
    f->in_flight--;
}

static void coroutine_fn do_zeroes(void *opaque)
{
    Fuzz *f = opaque;

    nbd_client_co_command(f->client, NBD_CMD_WRITE_ZEROES,
                          NBD_CMD_FLAG_NO_HOLE, 0, BYTES);
    f->in_flight--;
}

static void coroutine_fn do_status(void *opaque)
{
    Fuzz *f = opaque;
    uint32_t length = 0, state = 0;
    int ret;

    ret = nbd_client_co_block_status(f->client, 0, BYTES, &length, &state);
    if (ret == 0) {
        g_assert_cmpuint(length, >, 0);
        g_assert_cmpuint(length, <=, BYTES);
    }
    f->in_flight--;
}

static void start(Fuzz *f, CoroutineEntry *entry)
{
    f->in_flight++;
    coroutine_start(entry, f);
}

static void coroutine_fn make_requests(Fuzz *f)
{
    f->client = nbd_client_new(f->ioc, &f->info, on_lost, f);
    if (f->info.size >= BYTES) {
        start(f, do_read);
        start(f, do_write);
        if (f->info.has_context) {
            start(f, do_status);
        }
        if (f->info.flags & NBD_FLAG_SEND_FLUSH) {
            start(f, do_flush);
        }
        if (f->info.flags & NBD_FLAG_SEND_TRIM) {
            start(f, do_trim);
        }
        if (f->info.flags & NBD_FLAG_SEND_WRITE_ZEROES) {
            start(f, do_zeroes);
        }
    }
    while (f->in_flight > 0) {
        co_reschedule_self();
    }
    nbd_client_co_close(f->client);
}

static void coroutine_fn talk(void *opaque)
{
    Fuzz *f = opaque;
    NBDClientParams params = {
        .export = "disk",
        .meta_context = f->depth ? "qemu:allocation-depth" : NULL,
    };
    GError *err = NULL;
    IOChannel *ioc = nbd_client_co_negotiate(f->ioc, &params, &f->info, &err);

    g_assert_true(!ioc != !err);
    g_clear_error(&err);
    if (ioc) {
        io_channel_unref(f->ioc);
        f->ioc = ioc;
        make_requests(f);
    }
    io_channel_unref(f->ioc);
    f->done = true;
}

static bool is_busy(void *opaque)
{
    Fuzz *f = opaque;

    return !f->done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz f = { .depth = fuzz_byte(&data, &size) & 1 };
    int peer;

    fuzz_context();
    f.ioc = fuzz_channel(data, size, &peer);
    fuzz_loop(talk, is_busy, &f, peer);
    return 0;
}
