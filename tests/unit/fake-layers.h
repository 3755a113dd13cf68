/*
 * For tests of a secondary: layers as simple as can be
 *
 * Stands in for driver=colo-buffer, with faults and waits on demand.  Bytes
 * are held one by one in arrays as large as the disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_FAKE_LAYERS_H
#define TESTS_UNIT_FAKE_LAYERS_H

#include "block-helpers.h"
#include "block/colo-layers.h"
#include "block/graph-int.h"

typedef struct FakeLayer {
    uint8_t data[TEST_DISK_SIZE];
    bool held[TEST_DISK_SIZE];
} FakeLayer;

typedef struct FakeLayers {
    FakeLayer active, hidden;
    RangeLock lock;
    const ColoLayersObserver *observer;
    bool started, merging, merged;

    /* Behaviour, set by the test */
    int64_t copy_unit;
    bool fail_start, fail_prepare;
    int fail_before_write, fail_merge;
    bool hold_before_write, hold_merge;
    CoQueue released;
    int64_t max_bytes, used_bytes;  /* what usage tells */

    /* What was seen */
    unsigned prepared, aborted, dropped;
    int64_t speed;
} FakeLayers;

static inline FakeLayers *fake_layers(BlockDriverState *bs)
{
    return bs->opaque;
}

static inline void fake_release(BlockDriverState *bs)
{
    FakeLayers *l = bs->opaque;

    l->hold_before_write = l->hold_merge = false;
    co_queue_restart_all(&l->released);
}

/* Requests */

static inline void fake_overlay(const FakeLayer *layer, int64_t offset,
                                int64_t bytes, uint8_t *buf)
{
    for (int64_t i = 0; i < bytes; i++) {
        if (layer->held[offset + i]) {
            buf[i] = layer->data[offset + i];
        }
    }
}

static inline int coroutine_fn fake_preadv(BlockDriverState *bs,
                                           int64_t offset, int64_t bytes,
                                           IOVector *qiov,
                                           BdrvRequestFlags flags)
{
    FakeLayers *l = bs->opaque;
    int64_t start = ROUND_DOWN(offset, l->copy_unit);
    int64_t end = ROUND_UP(offset + bytes, l->copy_unit);
    g_autofree uint8_t *buf = g_malloc(bytes);
    RangeLockHold hold;
    int ret;

    range_lock_co_lock(&l->lock, &hold, start, end - start, false);
    ret = bdrv_co_pread(bs->backing, offset, bytes, buf, 0);
    fake_overlay(&l->hidden, offset, bytes, buf);
    fake_overlay(&l->active, offset, bytes, buf);
    range_lock_unlock(&l->lock, &hold);
    iov_from_buf(qiov, 0, buf, bytes);
    return ret;
}

static inline int coroutine_fn fake_pwritev(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            IOVector *qiov,
                                            BdrvRequestFlags flags)
{
    FakeLayers *l = bs->opaque;

    if (!l->started || l->merged) {
        return bdrv_co_pwritev(bs->backing, offset, bytes, qiov, flags);
    }
    iov_to_buf(qiov, 0, l->active.data + offset, bytes);
    memset(l->active.held + offset, true, bytes);
    return 0;
}

/* Layers */

/* These write only while they are started, unlike the real ones. */
static inline bool fake_refresh_perms(BlockDriverState *bs, GError **errp)
{
    GraphTx *tx = graph_tx_new();

    graph_tx_touch(tx, bs);
    return graph_tx_finish(tx, errp);
}

static inline bool coroutine_fn fake_start(BlockDriverState *bs,
                                           const ColoLayersObserver *observer,
                                           GError **errp)
{
    FakeLayers *l = bs->opaque;

    if (l->fail_start) {
        error_setg(errp, "no space for the layers");
        return false;
    }
    l->started = true;
    l->merging = l->merged = false;
    l->observer = observer;
    memset(&l->active, 0, sizeof(l->active));
    memset(&l->hidden, 0, sizeof(l->hidden));
    return fake_refresh_perms(bs, errp);
}

static inline int coroutine_fn fake_before_write(BlockDriverState *bs,
                                                 int64_t offset,
                                                 int64_t bytes)
{
    FakeLayers *l = bs->opaque;
    g_autofree uint8_t *buf = g_malloc(bytes);
    bool missing = false;
    int ret;

    while (l->hold_before_write) {
        co_queue_wait(&l->released);
    }
    if (l->fail_before_write) {
        return -l->fail_before_write;
    }
    for (int64_t i = 0; i < bytes; i++) {
        missing = missing || !l->hidden.held[offset + i];
    }
    ret = missing ? bdrv_co_pread(bs->backing, offset, bytes, buf, 0) : 0;
    for (int64_t i = 0; i < bytes && missing && ret >= 0; i++) {
        if (!l->hidden.held[offset + i]) {
            l->hidden.held[offset + i] = true;
            l->hidden.data[offset + i] = buf[i];
        }
    }
    return ret;
}

static inline RangeLock *fake_disk_lock(BlockDriverState *bs)
{
    return &fake_layers(bs)->lock;
}

static inline int64_t fake_copy_unit(BlockDriverState *bs)
{
    return fake_layers(bs)->copy_unit;
}

static inline bool coroutine_fn fake_prepare(BlockDriverState *bs,
                                             GError **errp)
{
    FakeLayers *l = bs->opaque;

    if (l->fail_prepare) {
        error_setg(errp, "no space for the next layers");
        return false;
    }
    l->prepared++;
    return true;
}

static inline void fake_do(BlockDriverState *bs)
{
    FakeLayers *l = bs->opaque;

    memset(&l->active, 0, sizeof(l->active));
    memset(&l->hidden, 0, sizeof(l->hidden));
}

static inline void fake_abort(BlockDriverState *bs)
{
    fake_layers(bs)->aborted++;
}

static inline void fake_drop(BlockDriverState *bs)
{
    FakeLayers *l = bs->opaque;

    fake_do(bs);
    l->dropped++;
    l->started = false;
    g_assert_true(fake_refresh_perms(bs, NULL));
}

static inline void fake_begin_merge(BlockDriverState *bs)
{
    fake_layers(bs)->merging = true;
}

static inline int coroutine_fn fake_merge(BlockDriverState *bs, int64_t speed)
{
    FakeLayers *l = bs->opaque;
    RangeLockHold hold;
    int ret = 0;

    g_assert_true(l->merging);
    l->speed = speed;
    while (l->hold_merge) {
        co_queue_wait(&l->released);
    }
    if (l->fail_merge) {
        return -l->fail_merge;
    }
    range_lock_co_lock(&l->lock, &hold, 0, TEST_DISK_SIZE, true);
    for (int64_t i = 0; i < TEST_DISK_SIZE && ret >= 0; i++) {
        FakeLayer *from = l->active.held[i] ? &l->active : &l->hidden;

        if (from->held[i]) {
            ret = bdrv_co_pwrite(bs->backing, i, 1, from->data + i, 0);
        }
    }
    range_lock_unlock(&l->lock, &hold);
    fake_do(bs);
    l->merged = true;
    return ret < 0 ? ret : bdrv_co_flush(bs->backing->bs);
}

static inline void fake_set_merge_speed(BlockDriverState *bs, int64_t speed)
{
    fake_layers(bs)->speed = speed;
}

static inline void fake_merge_progress(BlockDriverState *bs,
                                       ColoMergeProgress *progress)
{
    progress->total = 1000;
    progress->done = fake_layers(bs)->merged ? 1000 : 0;
}

static inline void fake_usage(BlockDriverState *bs, ColoLayersUsage *usage)
{
    FakeLayers *l = bs->opaque;

    usage->max_bytes = l->max_bytes;
    usage->hidden_bytes = usage->used_bytes = l->used_bytes;
    usage->high = l->used_bytes > 0;
}

static const ColoLayersOps fake_layers_ops = {
    .start = fake_start,
    .before_write = fake_before_write,
    .disk_lock = fake_disk_lock,
    .copy_unit = fake_copy_unit,
    .prepare_checkpoint = fake_prepare,
    .do_checkpoint = fake_do,
    .abort_checkpoint = fake_abort,
    .drop = fake_drop,
    .begin_merge = fake_begin_merge,
    .merge = fake_merge,
    .set_merge_speed = fake_set_merge_speed,
    .merge_progress = fake_merge_progress,
    .usage = fake_usage,
};

/* The node */

static inline bool coroutine_fn fake_open(BlockDriverState *bs,
                                          const BlockdevOptions *options,
                                          GError **errp)
{
    FakeLayers *l = bs->opaque;
    const BlockdevRef *backing =
        options->driver == BLOCKDEV_DRIVER_COLO_BUFFER
        ? options->u.colo_buffer.backing : options->u.throttle.file;

    l->copy_unit = 512;
    l->max_bytes = 1000;
    range_lock_init(&l->lock);
    co_queue_init(&l->released);
    return bdrv_co_open_child(bs, backing, "backing", BDRV_CHILD_COW, errp);
}

static inline int64_t coroutine_fn fake_getlength(BlockDriverState *bs)
{
    return bdrv_getlength(bs->backing->bs);
}

static inline void fake_child_perm(BlockDriverState *bs, BdrvChild *child,
                                   BdrvChildRole role, uint64_t perm,
                                   uint64_t shared, uint64_t *nperm,
                                   uint64_t *nshared)
{
    *nperm = BLK_PERM_CONSISTENT_READ;
    if (fake_layers(bs)->started) {
        *nperm |= BLK_PERM_WRITE;
    }
    *nshared = shared & ~(uint64_t)BLK_PERM_RESIZE;
}

static const BlockDriver fake_layers_driver = {
    .format_name = "colo-buffer",
    .type = BLOCKDEV_DRIVER_COLO_BUFFER,
    .instance_size = sizeof(FakeLayers),
    .bdrv_co_open = fake_open,
    .bdrv_co_getlength = fake_getlength,
    .bdrv_co_preadv = fake_preadv,
    .bdrv_co_pwritev = fake_pwritev,
    .bdrv_child_perm = fake_child_perm,
    .colo_layers = &fake_layers_ops,
};

/* An overlay that cannot be emptied. */
static const BlockDriver fake_overlay_driver = {
    .format_name = "throttle",
    .type = BLOCKDEV_DRIVER_THROTTLE,
    .instance_size = sizeof(FakeLayers),
    .bdrv_co_open = fake_open,
    .bdrv_co_getlength = fake_getlength,
    .bdrv_co_preadv = fake_preadv,
    .bdrv_co_pwritev = fake_pwritev,
    .bdrv_child_perm = fake_child_perm,
};

#endif
