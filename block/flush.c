/*
 * Flush and discard
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/io.h"

#include "block/graph-int.h"
#include "block/io-int.h"

/* Flush */

static int coroutine_fn flush_children(BlockDriverState *bs)
{
    BdrvChild *child;
    int result = 0;

    LIST_FOREACH(child, &bs->children, next) {
        if (child->perm & (BLK_PERM_WRITE | BLK_PERM_WRITE_UNCHANGED)) {
            int ret = bdrv_co_flush(child->bs);

            result = result < 0 ? result : ret;
        }
    }
    return result;
}

/*
 * A flush covers all writes that completed before it began.  One at a time
 * goes to the driver; those that waited find their writes stable already.
 */
static int coroutine_fn flush_driver(BlockDriverState *bs)
{
    uint64_t wanted = bs->write_gen;
    int ret;

    while (bs->flushing) {
        co_queue_wait(&bs->flush_queue);
    }
    if (bs->flushed_gen >= wanted || bs->cache_no_flush) {
        return 0;
    }

    bs->flushing = true;
    wanted = bs->write_gen;
    ret = bs->drv->bdrv_co_flush(bs);
    if (ret >= 0) {
        bs->flushed_gen = wanted;
    }
    bs->flushing = false;
    co_queue_restart_all(&bs->flush_queue);
    return ret;
}

void bdrv_mark_unflushed(BlockDriverState *bs)
{
    BdrvChild *edge;

    bs->write_gen++;
    LIST_FOREACH(edge, &bs->parents, next_parent) {
        BlockDriverState *parent = bdrv_child_parent_node(edge);

        if (parent) {
            bdrv_mark_unflushed(parent);
        }
    }
}

int coroutine_fn bdrv_co_flush(BlockDriverState *bs)
{
    int ret;

    if (bs->read_only) {
        return 0;
    }
    bdrv_inc_in_flight(bs);
    if (bs->file) {
        bdrv_co_own_event(bs->file->bs, "flush_to_os");
        bdrv_co_own_event(bs->file->bs, "flush_to_disk");
    }
    ret = bs->drv->bdrv_co_flush ? flush_driver(bs) : flush_children(bs);
    bdrv_dec_in_flight(bs);
    return ret;
}

/* Discard */

static int coroutine_fn driver_pdiscard(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes)
{
    int ret;

    if (bs->drv->bdrv_co_pdiscard) {
        ret = bs->drv->bdrv_co_pdiscard(bs, offset, bytes);
    } else if (!bs->drv->bdrv_co_pwritev && bs->file) {
        ret = bdrv_co_pdiscard(bs->file, offset, bytes);
    } else {
        ret = 0;
    }
    return ret == -ENOTSUP ? 0 : ret;
}

/* Whole units only: a discard is a hint, its ends may be left alone. */
static int coroutine_fn discard_aligned(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes)
{
    int64_t align = MAX(bs->bl.pdiscard_alignment, bs->bl.request_alignment);
    int64_t max = bs->bl.max_pdiscard ? bs->bl.max_pdiscard
                                      : BDRV_REQUEST_MAX_BYTES;
    int64_t pos = ROUND_UP(offset, align);
    int64_t end = offset + bytes;

    if (end < bs->total_bytes) {
        end = ROUND_DOWN(end, align);
    }
    max = MAX(ROUND_DOWN(max, align), align);
    while (pos < end) {
        int64_t n = MIN(end - pos, max);
        int ret = driver_pdiscard(bs, pos, n);

        if (ret < 0) {
            return ret;
        }
        pos += n;
    }
    return 0;
}

int coroutine_fn bdrv_co_pdiscard(BdrvChild *child, int64_t offset,
                                  int64_t bytes)
{
    BlockDriverState *bs = child->bs;
    BdrvTrackedRequest req;
    int ret = bdrv_check_range(offset, bytes);

    if (ret < 0) {
        return ret;
    }
    if (bs->read_only || !(child->perm & BLK_PERM_WRITE)) {
        return -EPERM;
    }
    if (bytes == 0 || !bs->unmap) {
        return 0;
    }

    bdrv_inc_in_flight(bs);
    tracked_request_begin(&req, bs, BDRV_TRACKED_DISCARD, offset, bytes,
                          bs->bl.request_alignment, false);
    /* Only now: it may have waited for a resize. */
    ret = offset + bytes > bs->total_bytes ? -EINVAL
                                           : bdrv_co_notify_before_write(&req);
    if (ret >= 0) {
        ret = discard_aligned(bs, offset, bytes);
        bdrv_write_done(bs, offset, bytes);
    }
    tracked_request_end(&req);
    bdrv_dec_in_flight(bs);
    return ret;
}
