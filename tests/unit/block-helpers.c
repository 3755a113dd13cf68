/*
 * For tests of the block layer: a disk in memory that does as it is told
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block-helpers.h"

/* The disk */

TestDisk *test_disk(BlockDriverState *bs)
{
    while (bs->file) {
        bs = bs->file->bs;
    }
    return bs->opaque;
}

static void coroutine_fn hold(TestDisk *disk)
{
    if (disk->stepped) {
        g_ptr_array_add(disk->steps, coroutine_self());
        coroutine_yield();
        return;
    }
    if (disk->latency_ns) {
        co_sleep_ns(disk->latency_ns);
    }
    disk->waiting++;
    while (disk->hold) {
        co_queue_wait(&disk->held);
    }
    disk->waiting--;
}

void test_disk_release(BlockDriverState *bs)
{
    TestDisk *disk = test_disk(bs);

    disk->hold = false;
    co_queue_restart_all(&disk->held);
}

unsigned test_disk_waiting(BlockDriverState *bs)
{
    return test_disk(bs)->steps->len;
}

void test_disk_step(BlockDriverState *bs, unsigned i)
{
    aio_co_wake(g_ptr_array_remove_index(test_disk(bs)->steps, i));
}

static bool coroutine_fn disk_open(BlockDriverState *bs,
                                   const BlockdevOptions *options,
                                   GError **errp)
{
    TestDisk *disk = bs->opaque;

    co_queue_init(&disk->held);
    disk->steps = g_ptr_array_new();
    bs->supported_zero_flags = BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK;
    return true;
}

static void coroutine_fn disk_close(BlockDriverState *bs)
{
    g_ptr_array_free(((TestDisk *)bs->opaque)->steps, TRUE);
}

static int64_t coroutine_fn disk_getlength(BlockDriverState *bs)
{
    return TEST_DISK_SIZE;
}

static void disk_refresh_limits(BlockDriverState *bs)
{
    TestDisk *disk = bs->opaque;

    if (disk->limits.request_alignment) {
        bs->bl = disk->limits;
    }
}

static int coroutine_fn disk_preadv(BlockDriverState *bs, int64_t offset,
                                    int64_t bytes, IOVector *qiov,
                                    BdrvRequestFlags flags)
{
    TestDisk *disk = bs->opaque;

    disk->reads++;
    disk->max_bytes = MAX(disk->max_bytes, bytes);
    hold(disk);
    if (disk->fail_read) {
        return -disk->fail_read;
    }
    iov_from_buf(qiov, 0, disk->data + offset, bytes);
    return 0;
}

static int coroutine_fn disk_pwritev(BlockDriverState *bs, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     BdrvRequestFlags flags)
{
    TestDisk *disk = bs->opaque;

    disk->writes++;
    disk->max_bytes = MAX(disk->max_bytes, bytes);
    disk->last_flags = flags;
    hold(disk);
    if (disk->fail_write) {
        return -disk->fail_write;
    }
    iov_to_buf(qiov, 0, disk->data + offset, bytes);
    return 0;
}

static int coroutine_fn disk_pwrite_zeroes(BlockDriverState *bs,
                                           int64_t offset, int64_t bytes,
                                           BdrvRequestFlags flags)
{
    TestDisk *disk = bs->opaque;

    if (disk->no_zeroes) {
        return -ENOTSUP;
    }
    disk->zeroes++;
    disk->last_flags = flags;
    memset(disk->data + offset, 0, bytes);
    return 0;
}

static int coroutine_fn disk_pdiscard(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes)
{
    TestDisk *disk = bs->opaque;

    disk->discards++;
    disk->max_bytes = MAX(disk->max_bytes, bytes);
    return 0;
}

static int coroutine_fn disk_flush(BlockDriverState *bs)
{
    TestDisk *disk = bs->opaque;

    disk->flushes++;
    hold(disk);
    return -disk->fail_flush;
}

static void disk_cancel(BlockDriverState *bs)
{
    TestDisk *disk = bs->opaque;

    disk->cancelled++;
    if (!disk->ignore_cancel) {
        test_disk_release(bs);
    }
}

const BlockDriver test_disk_driver = {
    .format_name = "null-co",
    .type = BLOCKDEV_DRIVER_NULL_CO,
    .instance_size = sizeof(TestDisk),
    .is_protocol = true,

    .bdrv_co_open = disk_open,
    .bdrv_co_close = disk_close,
    .bdrv_refresh_limits = disk_refresh_limits,
    .bdrv_co_getlength = disk_getlength,

    .bdrv_co_preadv = disk_preadv,
    .bdrv_co_pwritev = disk_pwritev,
    .bdrv_co_pwrite_zeroes = disk_pwrite_zeroes,
    .bdrv_co_pdiscard = disk_pdiscard,
    .bdrv_co_flush = disk_flush,
    .bdrv_cancel_in_flight = disk_cancel,
};

void test_disk_set_limits(BlockDriverState *bs, BlockLimits limits)
{
    test_disk(bs)->limits = limits;
    while (bs->file) {
        bs = bs->file->bs;
    }
    bs->bl = limits;
}

/* The filter */

static bool coroutine_fn filter_open(BlockDriverState *bs,
                                     const BlockdevOptions *options,
                                     GError **errp)
{
    return bdrv_co_open_file_child(bs, options->u.raw.file, errp);
}

const BlockDriver test_filter_driver = {
    .format_name = "raw",
    .type = BLOCKDEV_DRIVER_RAW,
    .is_filter = true,
    .bdrv_co_open = filter_open,
};

/* The environment */

AioContext *test_block_begin(void)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, NULL
    };

    bdrv_register_drivers(drivers);
    return aio_context_new(NULL, NULL);
}

void test_block_end(AioContext *ctx)
{
    test_settle(ctx);
    aio_context_free(ctx);
}

typedef struct TestCall {
    CoroutineEntry *fn;
    void *opaque;
    bool done;
} TestCall;

static void coroutine_fn call_entry(void *opaque)
{
    TestCall *call = opaque;

    call->fn(call->opaque);
    call->done = true;
}

void test_run(AioContext *ctx, CoroutineEntry *fn, void *opaque)
{
    TestCall call = { .fn = fn, .opaque = opaque };

    coroutine_start(call_entry, &call);
    while (!call.done) {
        aio_poll(ctx, true);
    }
}

void test_settle(AioContext *ctx)
{
    while (aio_poll(ctx, false)) {
        /* more may have become ready */
    }
}

typedef struct OpenCall {
    BlockdevOptions options;
    BlockDriverState *bs;
    GError **errp;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;

    call->bs = bdrv_co_open(&call->options, call->errp);
}

BlockDriverState *test_open_disk(AioContext *ctx, const char *name)
{
    OpenCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_NULL_CO,
            .node_name = (char *)name,
            .has_discard = true,
            .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
        },
    };

    test_run(ctx, open_entry, &call);
    g_assert_nonnull(call.bs);
    return call.bs;
}

BlockDriverState *test_open_filter(AioContext *ctx, const char *name,
                                   const char *file, GError **errp)
{
    BlockdevRef ref = {
        .type = QTYPE_QSTRING, .u.reference = (char *)file,
    };
    OpenCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_RAW,
            .node_name = (char *)name,
            .has_discard = true,
            .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
            .u.raw.file = &ref,
        },
        .errp = errp,
    };

    test_run(ctx, open_entry, &call);
    return call.bs;
}

static void coroutine_fn unref_entry(void *opaque)
{
    bdrv_co_unref(opaque);
}

void test_unref(AioContext *ctx, BlockDriverState *bs)
{
    test_run(ctx, unref_entry, bs);
}

static void coroutine_fn insert_entry(void *opaque)
{
    gpointer *args = opaque;

    g_assert_true(blk_co_insert_bs(args[0], args[1], NULL));
}

BlockBackend *test_backend_perm(AioContext *ctx, BlockDriverState *bs,
                                uint64_t perm)
{
    BlockBackend *blk = blk_new(perm, BLK_PERM_ALL);
    gpointer args[] = { blk, bs };

    test_run(ctx, insert_entry, args);
    return blk;
}

BlockBackend *test_backend(AioContext *ctx, BlockDriverState *bs)
{
    return test_backend_perm(ctx, bs, BLK_PERM_ALL);
}

static void coroutine_fn blk_unref_entry(void *opaque)
{
    blk_co_unref(opaque);
}

void test_backend_free(AioContext *ctx, BlockBackend *blk)
{
    test_run(ctx, blk_unref_entry, blk);
}

/* Requests */

static void coroutine_fn request_entry(void *opaque)
{
    TestRequest *req = opaque;
    IOVector qiov;

    iov_init_buf(&qiov, req->buf, req->bytes);
    switch (req->type) {
    case TEST_READ:
        req->ret = blk_co_preadv(req->blk, req->offset, req->bytes, &qiov,
                                 req->flags);
        break;
    case TEST_WRITE:
        req->ret = blk_co_pwritev(req->blk, req->offset, req->bytes, &qiov,
                                  req->flags);
        break;
    case TEST_ZEROES:
        req->ret = blk_co_pwrite_zeroes(req->blk, req->offset, req->bytes,
                                        req->flags);
        break;
    case TEST_DISCARD:
        req->ret = blk_co_pdiscard(req->blk, req->offset, req->bytes);
        break;
    case TEST_FLUSH:
        req->ret = blk_co_flush(req->blk);
        break;
    }
}

void test_request_start(AioContext *ctx, TestRequest *req)
{
    req->buf = g_malloc(req->bytes + 1);
    memset(req->buf, req->pattern, req->bytes);
    req->ret = 1;
    coroutine_start(request_entry, req);
    test_settle(ctx);
}

int test_request_finish(AioContext *ctx, TestRequest *req)
{
    while (req->ret == 1) {
        aio_poll(ctx, true);
    }
    g_free(req->buf);
    return req->ret;
}

int test_simple(AioContext *ctx, BlockBackend *blk, int type, int64_t offset,
                int64_t bytes, BdrvRequestFlags flags)
{
    TestRequest req = {
        .blk = blk, .type = type, .offset = offset, .bytes = bytes,
        .flags = flags,
    };

    test_request_start(ctx, &req);
    return test_request_finish(ctx, &req);
}

int test_write(AioContext *ctx, BlockBackend *blk, int64_t offset,
               int64_t bytes, uint8_t pattern)
{
    TestRequest req = {
        .blk = blk, .type = TEST_WRITE, .offset = offset, .bytes = bytes,
        .pattern = pattern,
    };

    test_request_start(ctx, &req);
    return test_request_finish(ctx, &req);
}

int test_read(AioContext *ctx, BlockBackend *blk, int64_t offset,
              int64_t bytes, uint8_t *buf)
{
    TestRequest req = {
        .blk = blk, .type = TEST_READ, .offset = offset, .bytes = bytes,
    };
    int ret;

    test_request_start(ctx, &req);
    while (req.ret == 1) {
        aio_poll(ctx, true);
    }
    memcpy(buf, req.buf, bytes);
    ret = test_request_finish(ctx, &req);
    return ret;
}
