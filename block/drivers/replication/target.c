/*
 * replication-target: where the primary's writes arrive
 *
 * start puts this filter between the secondary disk and all its users but the
 * layers.  A write takes its range of the disk for itself, lets the layers
 * hold the before-image, and only then changes the disk; it is acknowledged
 * after both.  Above the high mark acknowledgements are slowed down.  Once
 * failover has begun the filter is sealed: nothing passes any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "block/graph-int.h"
#include "util/trace.h"

/* The longest delay of an acknowledgement, when the layers are full. */
#define SLOWEST_ACK_NS (500 * SCALE_MS)

typedef struct SlowAck {
    CoSleep sleep;
    LIST_ENTRY(SlowAck) link;
} SlowAck;

typedef struct Target {
    /* Set once, by insert */
    Replication *r;
    BlockDriverState *layers;
    const ColoLayersOps *ops;

    /* Differs once failover has begun: no older write may reach the disk. */
    uint64_t generation;
    bool sealed;

    bool held;                  /* a checkpoint is being taken */
    CoQueue released;
    unsigned writes;            /* that have begun */
    CoQueue idle;

    /* Why acknowledgements are not slowed down */
    bool hurry;                 /* a checkpoint is near */
    bool drained;
    LIST_HEAD(, SlowAck) slow;
} Target;

typedef struct TargetRequest {
    int64_t offset, bytes;
    IOVector *qiov;             /* NULL: zeroes */
    BdrvRequestFlags flags;
} TargetRequest;

/* Refusing */

static int refuse(const BlockDriverState *bs)
{
    trace_event(replication_late, "node '%s': a late request was refused",
                bs->node_name);
    return -ESHUTDOWN;
}

/* Slow acknowledgements */

static int64_t ack_delay(Target *t)
{
    Secondary *s = &t->r->secondary;
    ColoLayersUsage usage = { 0 };
    int64_t above, reserve;

    if (G_LIKELY(!s->high) || t->hurry || t->drained || t->sealed) {
        return 0;
    }
    t->ops->usage(t->layers, &usage);
    reserve = MAX(usage.max_bytes - s->high_at, 1);
    above = usage.used_bytes - s->high_at;
    above = CLAMP(above, 0, reserve);
    return (double)above / reserve * SLOWEST_ACK_NS;
}

static void coroutine_fn slow_down(Target *t)
{
    int64_t delay = ack_delay(t);
    SlowAck self = { { NULL } };

    if (delay > 0) {
        LIST_INSERT_HEAD(&t->slow, &self, link);
        co_sleep_ns_wakeable(&self.sleep, delay);
        LIST_REMOVE(&self, link);
    }
}

/* In a coroutine: whom it wakes runs later and leaves the list alone. */
static void coroutine_fn end_slow_acks_entry(void *opaque)
{
    Target *t = opaque;
    SlowAck *ack;

    LIST_FOREACH(ack, &t->slow, link) {
        co_sleep_wake(&ack->sleep);
    }
}

static void end_slow_acks(Target *t)
{
    coroutine_start(end_slow_acks_entry, t);
}

void target_hurry(BlockDriverState *target)
{
    Target *t = target->opaque;

    t->hurry = true;
    end_slow_acks(t);
}

/* Holding and sealing */

void coroutine_fn target_co_hold(BlockDriverState *target)
{
    Target *t = target->opaque;

    t->held = true;
    target_hurry(target);
    while (t->writes && t->held) {
        co_queue_wait(&t->idle);
    }
}

void target_release(BlockDriverState *target)
{
    Target *t = target->opaque;

    t->held = t->hurry = false;
    co_queue_restart_all(&t->released);
    co_queue_restart_all(&t->idle);
}

void target_seal(BlockDriverState *target)
{
    Target *t = target->opaque;

    t->sealed = true;
    t->generation++;
    end_slow_acks(t);
    target_release(target);
}

/* Writes */

/* The range is ours; what it held before is in the layers when we return 0. */
static int coroutine_fn write_disk(BlockDriverState *bs,
                                   const TargetRequest *req,
                                   uint64_t generation)
{
    Target *t = bs->opaque;
    int ret = t->ops->before_write(t->layers, req->offset, req->bytes);

    if (generation != t->generation) {
        return refuse(bs);
    }
    if (ret < 0) {
        replication_set_error(t->r, ret, t->layers->node_name, req->offset,
                              "holding what a write of the primary replaces");
        return ret;
    }

    g_assert(!t->sealed && generation == t->generation);
    ret = req->qiov
        ? bdrv_co_pwritev(bs->file, req->offset, req->bytes, req->qiov,
                          req->flags)
        : bdrv_co_pwrite_zeroes(bs->file, req->offset, req->bytes, req->flags);
    if (ret < 0 && !(ret == -ENOTSUP && (req->flags & BDRV_REQ_NO_FALLBACK))) {
        replication_set_error(t->r, ret, bs->file->bs->node_name, req->offset,
                              "writing the secondary disk");
    }
    return ret;
}

static int coroutine_fn write_locked(BlockDriverState *bs,
                                     const TargetRequest *req)
{
    Target *t = bs->opaque;
    int64_t unit = t->ops->copy_unit(t->layers);
    int64_t start = ROUND_DOWN(req->offset, unit);
    int64_t end = ROUND_UP(req->offset + req->bytes, unit);
    RangeLock *lock = t->ops->disk_lock(t->layers);
    uint64_t generation = t->generation;
    RangeLockHold hold;
    int ret;

    range_lock_co_lock(lock, &hold, start, end - start, true);
    ret = generation == t->generation ? write_disk(bs, req, generation)
                                      : refuse(bs);
    range_lock_unlock(lock, &hold);
    return ret;
}

static int coroutine_fn target_co_write(BlockDriverState *bs,
                                        const TargetRequest *req)
{
    Target *t = bs->opaque;
    Secondary *s = &t->r->secondary;
    int ret;

    while (G_UNLIKELY(t->held)) {
        co_queue_wait(&t->released);
    }
    if (t->sealed) {
        return refuse(bs);
    }

    t->writes++;
    ret = write_locked(bs, req);
    if (ret >= 0) {
        s->received_bytes += req->bytes;
        s->received_requests++;
    }
    if (--t->writes == 0) {
        co_queue_restart_all(&t->idle);
    }
    slow_down(t);
    return ret;
}

static int coroutine_fn target_co_pwritev(BlockDriverState *bs, int64_t offset,
                                          int64_t bytes, IOVector *qiov,
                                          BdrvRequestFlags flags)
{
    TargetRequest req = {
        .offset = offset, .bytes = bytes, .qiov = qiov, .flags = flags,
    };

    return target_co_write(bs, &req);
}

static int coroutine_fn target_co_pwrite_zeroes(BlockDriverState *bs,
                                                int64_t offset, int64_t bytes,
                                                BdrvRequestFlags flags)
{
    TargetRequest req = { .offset = offset, .bytes = bytes, .flags = flags };

    return target_co_write(bs, &req);
}

/* Trimmed contents are undefined, and replicas must not differ. */
static int coroutine_fn target_co_pdiscard(BlockDriverState *bs,
                                           int64_t offset, int64_t bytes)
{
    return target_co_pwrite_zeroes(bs, offset, bytes, BDRV_REQ_MAY_UNMAP);
}

/* The rest */

static int coroutine_fn target_co_preadv(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes, IOVector *qiov,
                                         BdrvRequestFlags flags)
{
    Target *t = bs->opaque;

    if (t->sealed) {
        return refuse(bs);
    }
    return bdrv_co_preadv(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn target_co_flush(BlockDriverState *bs)
{
    Target *t = bs->opaque;
    int ret;

    if (t->sealed) {
        return refuse(bs);
    }
    ret = bdrv_co_flush(bs->file->bs);
    if (ret < 0) {
        replication_set_error(t->r, ret, bs->file->bs->node_name, -1,
                              "flushing the secondary disk");
    }
    return ret;
}

static int coroutine_fn target_co_block_status(BlockDriverState *bs,
                                               bool want_zero, int64_t offset,
                                               int64_t bytes, int64_t *pnum,
                                               int64_t *map,
                                               BlockDriverState **file)
{
    *pnum = bytes;
    *map = offset;
    *file = bs->file->bs;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

static void target_drain_begin(BlockDriverState *bs)
{
    Target *t = bs->opaque;

    t->drained = true;
    end_slow_acks(t);
}

static void target_drain_end(BlockDriverState *bs)
{
    Target *t = bs->opaque;

    t->drained = false;
}

static void target_child_perm(BlockDriverState *bs, BdrvChild *child,
                              BdrvChildRole role, uint64_t perm,
                              uint64_t shared, uint64_t *nperm,
                              uint64_t *nshared)
{
    *nperm = perm;
    /*
     * Nobody resizes the disk.  Who minds that the layers merge into it is
     * not let in here either, for without us it could not stay.
     */
    *nshared = (shared | BLK_PERM_WRITE_UNCHANGED) & ~(uint64_t)BLK_PERM_RESIZE;
}

static bool coroutine_fn target_co_open(BlockDriverState *bs,
                                        const BlockdevOptions *options,
                                        GError **errp)
{
    Target *t = bs->opaque;

    co_queue_init(&t->released);
    co_queue_init(&t->idle);
    LIST_INIT(&t->slow);
    bs->unmap = true;
    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return bdrv_co_open_file_child(bs, options->u.raw.file, errp);
}

/* Not in the list of drivers: options cannot ask for it. */
static const BlockDriver bdrv_replication_target = {
    .format_name = "replication-target",
    .type = BLOCKDEV_DRIVER_RAW,
    .instance_size = sizeof(Target),
    .is_filter = true,

    .bdrv_co_open = target_co_open,

    .bdrv_co_preadv = target_co_preadv,
    .bdrv_co_pwritev = target_co_pwritev,
    .bdrv_co_pwrite_zeroes = target_co_pwrite_zeroes,
    .bdrv_co_pdiscard = target_co_pdiscard,
    .bdrv_co_flush = target_co_flush,
    .bdrv_co_block_status = target_co_block_status,

    .bdrv_drain_begin = target_drain_begin,
    .bdrv_drain_end = target_drain_end,
    .bdrv_child_perm = target_child_perm,
};

BlockDriverState *coroutine_fn target_co_insert(Replication *r,
                                                BlockDriverState *layers,
                                                GError **errp)
{
    BlockDriverState *disk = layers->backing->bs;
    BlockDriverState *bs;
    Target *t;

    bs = bdrv_co_new_filter(&bdrv_replication_target, disk, errp);
    if (!bs) {
        return NULL;
    }
    t = bs->opaque;
    t->r = r;
    t->layers = layers;
    t->ops = layers->drv->colo_layers;
    t->generation = r->generation;
    if (!bdrv_co_insert_filter(bs, disk, layers->backing, errp)) {
        bdrv_co_unref(bs);
        return NULL;
    }
    return bs;
}

bool coroutine_fn target_co_remove(BlockDriverState *target, GError **errp)
{
    Target *t = target->opaque;

    target_release(target);
    if (!bdrv_co_replace_node(target, target->file->bs, errp)) {
        return false;
    }
    t->sealed = false;          /* nobody is left but the flush of closing */
    bdrv_co_unref(target);
    return true;
}
