/*
 * For tests of colo-buffer: a started one over a disk that does as it is told
 *
 * The primary is a coroutine that does what the filter on the secondary disk
 * does: lock, hold the before-image, write.  Included by one file of a
 * program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_COLO_BUFFER_FIXTURE_H
#define TESTS_UNIT_COLO_BUFFER_FIXTURE_H

#include "driver-helpers.h"

#include "block/colo-layers.h"
#include "block/drivers.h"

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *bs;       /* colo-buffer */
    BlockDriverState *disk_bs;
    TestDisk *disk;
    BlockBackend *blk;          /* the guest of the secondary */
    BlockBackend *disk_blk;     /* the primary's writes */
    const ColoLayersOps *ops;
    unsigned marks, errors;
    int last_error;
} Fixture;

static void on_high_mark(void *opaque)
{
    ((Fixture *)opaque)->marks++;
}

static void on_error(void *opaque, const char *what, int64_t offset, int ret)
{
    Fixture *f = opaque;

    f->errors++;
    f->last_error = ret;
}

static void coroutine_fn start_entry(void *opaque)
{
    Fixture *f = opaque;
    ColoLayersObserver observer = {
        .high_mark = on_high_mark, .error = on_error, .opaque = f,
    };

    g_assert_true(f->ops->start(f->bs, &observer, NULL));
}

static void open_fixture(Fixture *f, const char *spill_file)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_colo_buffer, &bdrv_quorum, NULL
    };
    g_autofree char *spill = spill_file
        ? g_strdup_printf(", 'spill-file': '%s'", spill_file) : g_strdup("");
    g_autoptr(GError) err = NULL;

    f->ctx = aio_context_new(&f->clock, NULL);
    bdrv_register_drivers(drivers);
    f->disk_bs = test_open_disk(f->ctx, "disk");
    f->disk = test_disk(f->disk_bs);
    memset(f->disk->data, 0x11, TEST_DISK_SIZE);
    f->bs = open_node(f->ctx, &err, "{'driver': 'colo-buffer', "
                      "'node-name': 'buf', 'backing': 'disk'%s}", spill);
    g_assert_no_error(err);
    f->ops = f->bs->drv->colo_layers;
    f->disk_blk = test_backend_perm(f->ctx, f->disk_bs, BLK_PERM_WRITE);
    f->blk = test_backend_perm(f->ctx, f->bs,
                               BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE);
    test_run(f->ctx, start_entry, f);
}

static void setup(Fixture *f, gconstpointer data)
{
    open_fixture(f, NULL);
}

static void teardown(Fixture *f, gconstpointer data)
{
    f->disk->fail_write = f->disk->fail_flush = f->disk->fail_read = 0;
    test_backend_free(f->ctx, f->blk);
    test_backend_free(f->ctx, f->disk_blk);
    test_unref(f->ctx, f->bs);
    test_unref(f->ctx, f->disk_bs);
    test_settle(f->ctx);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* The primary */

typedef struct Forward {
    Fixture *f;
    int64_t offset, bytes;
    uint8_t pattern;
    int ret;                    /* 1 while it has not ended */
} Forward;

static void coroutine_fn forward_entry(void *opaque)
{
    Forward *fwd = opaque;
    Fixture *f = fwd->f;
    g_autofree uint8_t *buf = g_malloc(fwd->bytes);
    RangeLock *lock = f->ops->disk_lock(f->bs);
    RangeLockHold hold;

    memset(buf, fwd->pattern, fwd->bytes);
    range_lock_co_lock(lock, &hold, ROUND_DOWN(fwd->offset, 512),
                       ROUND_UP(fwd->offset + fwd->bytes, 512) -
                       ROUND_DOWN(fwd->offset, 512), true);
    fwd->ret = f->ops->before_write(f->bs, fwd->offset, fwd->bytes);
    if (fwd->ret >= 0) {
        fwd->ret = blk_co_pwrite(f->disk_blk, fwd->offset, fwd->bytes, buf, 0);
    }
    range_lock_unlock(lock, &hold);
}

static void forward_start(Forward *fwd)
{
    fwd->ret = 1;
    coroutine_start(forward_entry, fwd);
    test_settle(fwd->f->ctx);
}

static int forward(Fixture *f, int64_t offset, int64_t bytes, uint8_t pattern)
{
    Forward fwd = { .f = f, .offset = offset, .bytes = bytes,
                    .pattern = pattern };

    forward_start(&fwd);
    while (fwd.ret == 1) {
        aio_poll(f->ctx, true);
    }
    return fwd.ret;
}

/* Checks */

static uint8_t view_byte(Fixture *f, int64_t offset)
{
    uint8_t byte;

    g_assert_cmpint(test_read(f->ctx, f->blk, offset, 1, &byte), ==, 0);
    return byte;
}

static void assert_view(Fixture *f, const uint8_t *expected)
{
    g_autofree uint8_t *buf = g_malloc(TEST_DISK_SIZE);

    g_assert_cmpint(test_read(f->ctx, f->blk, 0, TEST_DISK_SIZE, buf), ==, 0);
    g_assert_cmpmem(buf, TEST_DISK_SIZE, expected, TEST_DISK_SIZE);
}

static ColoLayersUsage usage(Fixture *f)
{
    ColoLayersUsage u;

    f->ops->usage(f->bs, &u);
    return u;
}

/* Merge */

typedef struct MergeCall {
    Fixture *f;
    int64_t speed;
    int ret;
} MergeCall;

static void coroutine_fn merge_entry(void *opaque)
{
    MergeCall *call = opaque;

    call->ret = call->f->ops->merge(call->f->bs, call->speed);
}

static void merge_start(MergeCall *call)
{
    call->ret = 1;
    coroutine_start(merge_entry, call);
    test_settle(call->f->ctx);
}

static void merge_finish(MergeCall *call)
{
    while (call->ret == 1) {
        aio_poll(call->f->ctx, true);
    }
}

#endif
