/*
 * colo-buffer: view, before-images, checkpoint, merge
 *
 * The primary is a coroutine that does what the filter on the secondary disk
 * does: lock, hold the before-image, write.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "driver-helpers.h"

#include <signal.h>
#include <sys/resource.h>

#include "block/colo-layers.h"
#include "block/drivers.h"
#include "block/drivers/colo-buffer/colo-buffer-int.h"

#define SECTORS (TEST_DISK_SIZE / 512)

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

typedef struct OpenCall {
    BlockdevOptions options;
    BlockDriverState *bs;
    GError *err;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;

    call->bs = bdrv_co_open(&call->options, &call->err);
}

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
    BlockdevRef ref = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"disk",
    };
    OpenCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_COLO_BUFFER, .node_name = (char *)"buf",
            .u.colo_buffer = {
                .backing = &ref, .spill_file = (char *)spill_file,
            },
        },
    };

    f->ctx = aio_context_new(&f->clock, NULL);
    bdrv_register_drivers(drivers);
    f->disk_bs = test_open_disk(f->ctx, "disk");
    f->disk = test_disk(f->disk_bs);
    memset(f->disk->data, 0x11, TEST_DISK_SIZE);
    test_run(f->ctx, open_entry, &call);
    g_assert_no_error(call.err);
    f->bs = call.bs;
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

static void coroutine_fn checkpoint_entry(void *opaque)
{
    Fixture *f = opaque;

    g_assert_true(f->ops->prepare_checkpoint(f->bs, NULL));
    f->ops->do_checkpoint(f->bs);
}

static void checkpoint(Fixture *f)
{
    test_run(f->ctx, checkpoint_entry, f);
    test_settle(f->ctx);
}

static ColoLayersUsage usage(Fixture *f)
{
    ColoLayersUsage u;

    f->ops->usage(f->bs, &u);
    return u;
}

static void test_isolation_and_checkpoint(Fixture *f, gconstpointer data)
{
    forward(f, 4096, 4096, 0x22);
    g_assert_cmphex(f->disk->data[4096], ==, 0x22);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x11);
    test_write(f->ctx, f->blk, 8192, 512, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x33);

    checkpoint(f);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x22);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    g_assert_cmpint(usage(f).active_bytes + usage(f).hidden_bytes, ==, 0);
}

static void test_abort_leaves_everything(Fixture *f, gconstpointer data)
{
    forward(f, 0, 512, 0x22);
    f->ops->prepare_checkpoint(f->bs, NULL);
    f->ops->abort_checkpoint(f->bs);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    checkpoint(f);
    g_assert_cmphex(view_byte(f, 0), ==, 0x22);
}

static void test_copies_exactly_what_is_needed(Fixture *f, gconstpointer data)
{
    forward(f, 512, 1024, 0x22);
    g_assert_cmpint(f->disk->max_bytes, ==, 1024);
    g_assert_cmpint(usage(f).hidden_bytes, ==, 1024);
    g_assert_cmpuint(f->disk->reads, ==, 1);

    /* Held already: not read again; next to it only the rest is. */
    forward(f, 1024, 512, 0x23);
    g_assert_cmpuint(f->disk->reads, ==, 1);
    forward(f, 0, 4096, 0x24);
    g_assert_cmpint(usage(f).hidden_bytes, ==, 4096);
    g_assert_cmpuint(f->disk->reads, ==, 3);
    g_assert_cmphex(view_byte(f, 600), ==, 0x11);
}

static void test_failed_before_image_leaves_disk(Fixture *f,
                                                 gconstpointer data)
{
    f->disk->fail_read = EIO;
    g_assert_cmpint(forward(f, 0, 512, 0x22), ==, -EIO);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmpuint(f->errors, ==, 1);
    f->disk->fail_read = 0;
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
}

static void test_read_waits_for_a_forward_in_between(Fixture *f,
                                                     gconstpointer data)
{
    Forward fwd = { .f = f, .bytes = 4096, .pattern = 0x22 };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 4096 };

    f->disk->hold = true;
    forward_start(&fwd);                /* reads its before-image */
    test_request_start(f->ctx, &read);
    g_assert_cmpint(read.ret, ==, 1);
    test_disk_release(f->disk_bs);
    while (fwd.ret == 1 || read.ret == 1) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmphex(read.buf[0], ==, 0x11);
    test_request_finish(f->ctx, &read);
}

static void test_forward_waits_for_a_read_in_between(Fixture *f,
                                                     gconstpointer data)
{
    Forward fwd = { .f = f, .bytes = 4096, .pattern = 0x22 };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 4096 };

    f->disk->hold = true;
    test_request_start(f->ctx, &read);
    forward_start(&fwd);
    g_assert_cmpuint(f->disk->reads, ==, 1);
    test_disk_release(f->disk_bs);
    while (fwd.ret == 1 || read.ret == 1) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmphex(read.buf[0], ==, 0x11);
    test_request_finish(f->ctx, &read);
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

static void test_merge_makes_disk_the_view(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    g_autofree uint8_t *expected = g_malloc(TEST_DISK_SIZE);

    memset(expected, 0x11, TEST_DISK_SIZE);
    forward(f, 0, 8192, 0x22);
    test_write(f->ctx, f->blk, 512, 512, 0x33);
    test_write(f->ctx, f->blk, 60000, 700, 0x34);
    memset(expected + 512, 0x33, 512);
    memset(expected + 60000, 0x34, 700);

    f->ops->begin_merge(f->bs);
    assert_view(f, expected);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, expected, TEST_DISK_SIZE);
    assert_view(f, expected);
    g_assert_cmpuint(f->disk->flushes, ==, 1);

    test_write(f->ctx, f->blk, 0, 1, 0x55);
    g_assert_cmphex(f->disk->data[0], ==, 0x55);
}

/* Its write is refused by the filter, its before-image may be half-way. */
static void test_merge_waits_for_a_late_copy(Fixture *f, gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };

    forward(f, 0, 4096, 0x22);
    f->disk->hold = true;
    forward_start(&fwd);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    g_assert_cmpuint(f->disk->writes, ==, 1);
    test_disk_release(f->disk_bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpint(fwd.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmpint(usage(f).memory_bytes, ==, 0);
}

/* The disk takes a forward very slowly: only who needs it there waits. */
static void test_guest_goes_on_beside_a_forward(Fixture *f,
                                                gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };
    TestRequest write = {
        .blk = f->blk, .type = TEST_WRITE, .bytes = 512, .pattern = 0x45,
    };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 1024 };

    test_write(f->ctx, f->blk, 0, 1024, 0x44);
    f->disk->hold = true;
    forward_start(&fwd);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    test_request_start(f->ctx, &write);
    test_request_start(f->ctx, &read);
    g_assert_cmpint(write.ret, ==, 0);
    g_assert_cmpint(read.ret, ==, 0);
    g_assert_cmphex(read.buf[0], ==, 0x45);
    g_assert_cmphex(read.buf[512], ==, 0x44);
    g_assert_cmpint(fwd.ret, ==, 1);
    test_disk_release(f->disk_bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x45);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    test_request_finish(f->ctx, &write);
    test_request_finish(f->ctx, &read);
}

/* Wherever it writes: the disk is busy with what came before. */
static void test_writes_do_not_wait_for_forwards(Fixture *f,
                                                 gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };
    ColoMergeProgress progress;
    TestRequest over_forward = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 8192, .bytes = 512,
        .pattern = 0x44,
    };
    TestRequest elsewhere = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 32768, .bytes = 512,
        .pattern = 0x45,
    };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    f->disk->stepped = true;
    forward_start(&fwd);
    test_disk_step(f->disk_bs, 0);              /* it reads, and then writes */
    test_settle(f->ctx);
    g_assert_cmpuint(f->disk->writes, ==, 1);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    test_request_start(f->ctx, &over_forward);
    test_request_start(f->ctx, &elsewhere);
    g_assert_cmpint(over_forward.ret, ==, 0);
    g_assert_cmpint(elsewhere.ret, ==, 0);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(flush.ret, ==, 1);
    g_assert_cmpuint(test_disk_waiting(f->disk_bs), ==, 1);

    f->disk->stepped = false;
    test_disk_step(f->disk_bs, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    g_assert_cmphex(f->disk->data[8192], ==, 0x44);
    g_assert_cmphex(f->disk->data[8704], ==, 0x11);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    f->ops->merge_progress(f->bs, &progress);
    g_assert_cmpint(progress.done, ==, 4096 + 2 * 512);
    g_assert_cmpint(progress.total, ==, 4096 + 2 * 512);
    test_request_finish(f->ctx, &over_forward);
    test_request_finish(f->ctx, &elsewhere);
}

/* No room to hold it: it goes to the disk in its turn. */
static void test_full_layers_do_not_fail_a_failover(Fixture *f,
                                                    gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;
    MergeCall merge = { .f = f };

    st->max_memory_chunks = 0;
    f->ops->begin_merge(f->bs);
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 0x44), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x44);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

static void test_guest_writes_during_merge(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest over_own = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 0, .bytes = 512,
        .pattern = 0x44,
    };

    forward(f, 4096, 4096, 0x22);
    test_write(f->ctx, f->blk, 0, 1024, 0x33);
    f->ops->begin_merge(f->bs);
    f->disk->hold = true;
    merge_start(&merge);
    test_request_start(f->ctx, &over_own);
    g_assert_cmpint(over_own.ret, ==, 1);
    test_disk_release(f->disk_bs);
    g_assert_cmpint(test_request_finish(f->ctx, &over_own), ==, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x44);
    g_assert_cmphex(f->disk->data[512], ==, 0x33);
    g_assert_cmphex(f->disk->data[4096], ==, 0x11);
}

static void test_zeroes_after_a_merge(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };

    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 0, 4096,
                                BDRV_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmphex(view_byte(f, 0), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmphex(f->disk->data[0], ==, 0);

    f->disk->writes = f->disk->zeroes = 0;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 8192, 4096,
                                BDRV_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmphex(f->disk->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
    g_assert_cmpuint(f->disk->zeroes, ==, 1);
    g_assert_cmpuint(f->disk->writes, ==, 0);
    g_assert_cmphex(f->disk->data[8192], ==, 0);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 8192, 4096, 0),
                    ==, 0);
    g_assert_cmpuint(f->disk->discards, ==, 1);
}

static void test_write_before_merge_reaches_it(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };

    forward(f, 4096, 4096, 0x22);
    forward(f, 32768, 4096, 0x22);
    f->ops->begin_merge(f->bs);
    test_write(f->ctx, f->blk, 4096, 512, 0x44);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x44);
    g_assert_cmphex(view_byte(f, 4608), ==, 0x11);
    merge_start(&merge);
    g_assert_cmpint(merge.ret, ==, 1);          /* waits for its speed */
    /* Over a before-image: the new data goes to the disk, the rest stays. */
    test_write(f->ctx, f->blk, 32768, 512, 0x45);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    g_assert_cmphex(f->disk->data[33280], ==, 0x22);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
    g_assert_cmphex(f->disk->data[4096], ==, 0x44);
    g_assert_cmphex(f->disk->data[4608], ==, 0x11);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    g_assert_cmphex(f->disk->data[33280], ==, 0x11);
}

static void test_flush_lifts_the_speed_limit(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    for (int i = 0; i < 4; i++) {
        test_write(f->ctx, f->blk, i * 16384, 512, 0x33);
    }
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    g_assert_cmphex(f->disk->data[16384], ==, 0x11);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    for (int i = 0; i < 4; i++) {
        g_assert_cmphex(f->disk->data[i * 16384], ==, 0x33);
    }
    g_assert_cmpuint(f->disk->flushes, >, 0);
    merge_finish(&merge);
}

/* The guest gets a quorum below it, as it has in a pair. */
static void put_quorum_between(Fixture *f)
{
    test_backend_free(f->ctx, f->blk);
    f->blk = open_backend(f->ctx, "{'driver': 'quorum', 'children': ['buf'], "
                          "'vote-threshold': 1}");
}

/* A flush before the failover says nothing about one after it. */
static void test_flush_again_after_failover(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    TestRequest flush = { .type = TEST_FLUSH };

    put_quorum_between(f);
    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    f->ops->begin_merge(f->bs);

    flush.blk = f->blk;
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(flush.ret, ==, 1);
    merge_start(&merge);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x33);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    g_assert_cmpuint(f->disk->flushes, >, 0);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
}

/* Drains */

typedef struct DrainCall {
    BlockDriverState *bs;
    bool drained;
} DrainCall;

static void coroutine_fn drain_entry(void *opaque)
{
    DrainCall *call = opaque;

    bdrv_co_drained_begin(call->bs);
    call->drained = true;
}

static void drain_start(Fixture *f, DrainCall *call, BlockDriverState *bs)
{
    *call = (DrainCall) { .bs = bs };
    coroutine_start(drain_entry, call);
    test_settle(f->ctx);
}

static void test_drain_does_not_wait_for_the_speed(Fixture *f,
                                                   gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    DrainCall drain;

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    drain_start(f, &drain, f->disk_bs);
    g_assert_true(drain.drained);

    /* Its time has come, but it keeps still. */
    f->clock.now_ns += 3600 * 24 * NANOSECONDS_PER_SECOND;
    test_settle(f->ctx);
    g_assert_cmphex(f->disk->data[32768], ==, 0x11);
    bdrv_drained_end(f->disk_bs);
    test_settle(f->ctx);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

/* The drain waits for the flush, the flush for the merge. */
static void test_drain_lets_a_flush_end(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };
    DrainCall drain;

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    f->disk->hold = true;
    merge_start(&merge);
    test_request_start(f->ctx, &flush);
    drain_start(f, &drain, f->bs);
    g_assert_cmpint(flush.ret, ==, 1);
    g_assert_false(drain.drained);
    test_disk_release(f->disk_bs);
    test_settle(f->ctx);
    g_assert_cmpint(flush.ret, ==, 0);
    g_assert_true(drain.drained);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    bdrv_drained_end(f->bs);
    merge_finish(&merge);
    test_request_finish(f->ctx, &flush);
}

static void test_failed_merge_keeps_the_view(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    forward(f, 8192, 512, 0x22);
    f->ops->begin_merge(f->bs);
    f->disk->fail_write = EIO;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, -EIO);
    g_assert_cmphex(view_byte(f, 0), ==, 0x33);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, -EIO);

    /* What is held takes new data, elsewhere the disk is asked. */
    g_assert_cmpint(test_write(f->ctx, f->blk, 8192, 512, 0x44), ==, 0);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x44);
    g_assert_cmpint(test_write(f->ctx, f->blk, 20480, 512, 0x44), ==, -EIO);

    f->disk->fail_write = 0;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x44);
}

static void test_cancelled_merge_can_go_on(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    f->ops->cancel_merge(f->bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, -ECANCELED);
    g_assert_cmphex(view_byte(f, 32768), ==, 0x33);
    merge.speed = 0;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

/* Random operations against a model */

#define PARALLEL 4

static void test_random_model(Fixture *f, gconstpointer data)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    g_autofree uint8_t *view = g_malloc(TEST_DISK_SIZE);
    g_autofree uint8_t *disk = g_malloc(TEST_DISK_SIZE);

    memset(view, 0x11, TEST_DISK_SIZE);
    memset(disk, 0x11, TEST_DISK_SIZE);
    for (int round = 0; round < 3000; round++) {
        Forward fwd[PARALLEL];

        /*
         * Forwards that overlap in flight take effect in the order of
         * arrival; a read in between must see nothing of them.
         */
        f->disk->hold = true;
        for (int i = 0; i < PARALLEL; i++) {
            int64_t start = g_rand_int_range(rand, 0, SECTORS);
            int64_t n = g_rand_int_range(rand, 1, 24);

            n = MIN(n, SECTORS - start);
            fwd[i] = (Forward) {
                .f = f, .offset = start * 512, .bytes = n * 512,
                .pattern = g_rand_int(rand),
            };
            forward_start(&fwd[i]);
            memset(disk + start * 512, fwd[i].pattern, n * 512);
        }
        if (g_rand_boolean(rand)) {
            int64_t start = g_rand_int_range(rand, 0, TEST_DISK_SIZE - 3000);
            int64_t n = g_rand_int_range(rand, 1, 3000);
            uint8_t pattern = g_rand_int(rand);
            TestRequest own = {
                .blk = f->blk, .type = TEST_WRITE, .offset = start,
                .bytes = n, .pattern = pattern,
            };

            test_request_start(f->ctx, &own);
            test_disk_release(f->disk_bs);
            g_assert_cmpint(test_request_finish(f->ctx, &own), ==, 0);
            memset(view + start, pattern, n);
        }
        test_disk_release(f->disk_bs);
        assert_view(f, view);
        for (int i = 0; i < PARALLEL; i++) {
            while (fwd[i].ret == 1) {
                aio_poll(f->ctx, true);
            }
            g_assert_cmpint(fwd[i].ret, ==, 0);
        }
        g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, disk, TEST_DISK_SIZE);
        if (g_rand_int_range(rand, 0, 10) == 0) {
            checkpoint(f);
            memcpy(view, disk, TEST_DISK_SIZE);
        }
    }

    f->ops->begin_merge(f->bs);
    {
        MergeCall merge = { .f = f };

        merge_start(&merge);
        merge_finish(&merge);
    }
    g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, view, TEST_DISK_SIZE);
}

static void test_high_mark_once_per_epoch(Fixture *f, gconstpointer data)
{
    /* A layer takes a chunk, however little it holds. */
    ((ColoBuffer *)f->bs->opaque)->high_bytes = 2 * ARENA_CHUNK_SIZE;
    forward(f, 0, 4096, 1);
    forward(f, 4096, 8192, 1);
    g_assert_cmpuint(f->marks, ==, 0);
    test_write(f->ctx, f->blk, 0, 512, 1);
    test_write(f->ctx, f->blk, 8192, 512, 1);
    g_assert_cmpuint(f->marks, ==, 1);
    g_assert_true(usage(f).high);
    g_assert_cmpint(usage(f).used_bytes, ==, 2 * ARENA_CHUNK_SIZE);
    checkpoint(f);
    g_assert_false(usage(f).high);
    forward(f, 0, 8192, 2);
    test_write(f->ctx, f->blk, 0, 512, 2);
    g_assert_cmpuint(f->marks, ==, 2);
}

static void test_full_layers_leave_the_disk(Fixture *f, gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;

    st->max_memory_chunks = 0;
    g_assert_cmpint(forward(f, 0, 512, 0x22), ==, -ENOSPC);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmpint(f->last_error, ==, -ENOSPC);
}

/* The guest's error and nobody else's: nothing has diverged. */
static void test_full_layers_fail_own_writes(Fixture *f, gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;
    unsigned chunks = st->max_memory_chunks;

    st->max_memory_chunks = 0;
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, -ENOSPC);
    g_assert_cmpint(f->last_error, ==, 0);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    st->max_memory_chunks = chunks;
    checkpoint(f);
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, 0);
}

/* A spill file on a full file system */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = bytes;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* All of the layers in a file. */
static void setup_spilled(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = g_dir_make_tmp("colo-buffer-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "spill", NULL);

    Storage *st;

    signal(SIGXFSZ, SIG_IGN);
    open_fixture(f, file);
    rmdir(dir);
    st = &((ColoBuffer *)f->bs->opaque)->storage;
    st->max_memory_chunks = 0;
    st->max_spill_chunks = 8;
}

static void teardown_spilled(Fixture *f, gconstpointer data)
{
    limit_file_size(RLIM_INFINITY);
    teardown(f, data);
    signal(SIGXFSZ, SIG_DFL);
}

static void test_full_spill_file_keeps_the_view(Fixture *f,
                                                gconstpointer data)
{
    MergeCall merge = { .f = f };

    g_assert_cmpint(forward(f, 0, 4096, 0x22), ==, 0);
    g_assert_cmpint(test_write(f->ctx, f->blk, 4096, 512, 0x33), ==, 0);
    g_assert_cmpuint(f->errors, ==, 0);
    limit_file_size(COLO_BLOCK_SIZE);

    /* Neither a before-image fits any more nor, its own error, an own write. */
    g_assert_cmpint(forward(f, 8192, 4096, 0x22), ==, -EFBIG);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmpint(test_write(f->ctx, f->blk, 12288, 512, 0x33), ==, -EFBIG);
    g_assert_cmpuint(f->errors, ==, 1);
    g_assert_cmpint(f->last_error, ==, -EFBIG);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x33);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    g_assert_cmphex(view_byte(f, 12288), ==, 0x11);

    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmphex(f->disk->data[4096], ==, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmphex(f->disk->data[12288], ==, 0x11);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/colo-buffer/isolation", test_isolation_and_checkpoint },
        { "/colo-buffer/abort", test_abort_leaves_everything },
        { "/colo-buffer/copy/exact", test_copies_exactly_what_is_needed },
        { "/colo-buffer/copy/failed", test_failed_before_image_leaves_disk },
        { "/colo-buffer/read-in-forward",
          test_read_waits_for_a_forward_in_between },
        { "/colo-buffer/forward-in-read",
          test_forward_waits_for_a_read_in_between },
        { "/colo-buffer/merge/result", test_merge_makes_disk_the_view },
        { "/colo-buffer/merge/late-copy", test_merge_waits_for_a_late_copy },
        { "/colo-buffer/merge/beside", test_guest_goes_on_beside_a_forward },
        { "/colo-buffer/merge/first-writes",
          test_writes_do_not_wait_for_forwards },
        { "/colo-buffer/merge/no-room",
          test_full_layers_do_not_fail_a_failover },
        { "/colo-buffer/merge/guest", test_guest_writes_during_merge },
        { "/colo-buffer/merge/zeroes", test_zeroes_after_a_merge },
        { "/colo-buffer/merge/speed", test_write_before_merge_reaches_it },
        { "/colo-buffer/merge/flush", test_flush_lifts_the_speed_limit },
        { "/colo-buffer/merge/flush-again", test_flush_again_after_failover },
        { "/colo-buffer/merge/drain",
          test_drain_does_not_wait_for_the_speed },
        { "/colo-buffer/merge/drain-flush", test_drain_lets_a_flush_end },
        { "/colo-buffer/merge/failed", test_failed_merge_keeps_the_view },
        { "/colo-buffer/merge/cancel", test_cancelled_merge_can_go_on },
        { "/colo-buffer/random", test_random_model },
        { "/colo-buffer/high-mark", test_high_mark_once_per_epoch },
        { "/colo-buffer/full", test_full_layers_leave_the_disk },
        { "/colo-buffer/full-own", test_full_layers_fail_own_writes },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add("/colo-buffer/full-spill", Fixture, NULL, setup_spilled,
               test_full_spill_file_keeps_the_view, teardown_spilled);
    return g_test_run();
}
