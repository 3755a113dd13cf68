/*
 * A node's length: asked for, changed, passed on to those above
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"

#include "block/graph-int.h"
#include "block/io-int.h"

static int64_t coroutine_fn ask_driver(BlockDriverState *bs)
{
    if (bs->drv->bdrv_co_getlength) {
        return bs->drv->bdrv_co_getlength(bs);
    }
    return bs->file ? bdrv_getlength(bs->file->bs) : -ENOTSUP;
}

int64_t bdrv_getlength(const BlockDriverState *bs)
{
    return bs->total_bytes;
}

void bdrv_set_length(BlockDriverState *bs, int64_t bytes)
{
    BdrvChild *edge, *next;

    if (bs->total_bytes == bytes) {
        return;
    }
    bs->total_bytes = bytes;
    LIST_FOREACH_SAFE(edge, &bs->parents, next_parent, next) {
        if (edge->klass->resized) {
            edge->klass->resized(edge);
        }
    }
}

int coroutine_fn bdrv_co_refresh_length(BlockDriverState *bs)
{
    int64_t bytes = ask_driver(bs);

    if (bytes < 0) {
        return bytes;
    }
    if (bytes > BDRV_MAX_LENGTH) {
        return -EFBIG;
    }
    bdrv_set_length(bs, bytes);
    return 0;
}

int64_t coroutine_fn bdrv_co_allocated_size(BlockDriverState *bs)
{
    while (!bs->drv->bdrv_co_allocated_size) {
        if (!bs->file) {
            return -ENOTSUP;
        }
        bs = bs->file->bs;
    }
    return bs->drv->bdrv_co_allocated_size(bs);
}

/* Resize */

static bool coroutine_fn truncate_driver(BlockDriverState *bs, int64_t offset,
                                         PreallocMode prealloc, GError **errp)
{
    if (bs->drv->bdrv_co_truncate) {
        return bs->drv->bdrv_co_truncate(bs, offset, prealloc, errp);
    }
    if (bs->drv->is_filter) {
        return bdrv_co_truncate(bs->file, offset, prealloc, errp);
    }
    error_setg(errp, "Image format driver '%s' does not support resize",
               bs->drv->format_name);
    return false;
}

static bool check_truncate(BdrvChild *child, int64_t offset, GError **errp)
{
    BlockDriverState *bs = child->bs;

    if (offset < 0 || offset > BDRV_MAX_LENGTH) {
        error_setg(errp, "Image size must be between 0 and %" PRId64 " bytes",
                   (int64_t)BDRV_MAX_LENGTH);
        return false;
    }
    if (bs->read_only) {
        error_setg(errp, "Image is read-only");
        return false;
    }
    if (!(child->perm & BLK_PERM_RESIZE)) {
        /* A caller who had to wait may have lost it meanwhile. */
        error_setg(errp, "Resizing node '%s' is not permitted",
                   bs->node_name);
        return false;
    }
    return true;
}

bool coroutine_fn bdrv_co_truncate(BdrvChild *child, int64_t offset,
                                   PreallocMode prealloc, GError **errp)
{
    BlockDriverState *bs = child->bs;
    int64_t old = bs->total_bytes;
    int64_t start = MIN(old, offset);
    BdrvTrackedRequest req;
    int ret;
    bool ok;

    if (!check_truncate(child, offset, errp)) {
        return false;
    }
    bdrv_inc_in_flight(bs);
    /* Nothing is in flight in what comes or goes. */
    tracked_request_begin(&req, bs, BDRV_TRACKED_TRUNCATE, start,
                          MAX(MAX(old, offset) - start, 1),
                          bs->bl.request_alignment, true);
    ok = truncate_driver(bs, offset, prealloc, errp);
    ret = bdrv_co_refresh_length(bs);
    if (ok && ret < 0) {
        error_setg_errno(errp, -ret, "Could not refresh total length of "
                         "node '%s'", bs->node_name);
        ok = false;
    }
    bs->write_gen++;
    tracked_request_end(&req);
    bdrv_dec_in_flight(bs);
    return ok;
}
