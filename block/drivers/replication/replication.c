/*
 * replication: one end of a replicated disk
 *
 * As primary it forwards what its guest writes to the peer in bs->file and
 * cannot be read; as secondary it passes requests to the layers in bs->file,
 * and keeps the guest away from them until replication has been started.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "block/drivers.h"

static bool is_primary(const Replication *r)
{
    return r->mode == REPLICATION_MODE_PRIMARY;
}

/* Before start a secondary has no view that could be shown. */
static bool serves_guest(const Replication *r)
{
    return !is_primary(r) && r->state != BLOCK_REPLICATION_STATE_NONE;
}

/*
 * What a primary's writer is told.  Once started, nothing fails; else the
 * data went nowhere, which a quorum above knows and does not mind.
 */
static int forward_verdict(const Replication *r)
{
    return replication_is_running(r) ? 0 : -EIO;
}

/* Requests */

static int coroutine_fn replication_co_preadv(BlockDriverState *bs,
                                              int64_t offset, int64_t bytes,
                                              IOVector *qiov,
                                              BdrvRequestFlags flags)
{
    if (!serves_guest(bs->opaque)) {
        return -EIO;
    }
    return bdrv_co_preadv(bs->file, offset, bytes, qiov, flags);
}

/* Asynchronous forwards are behind the guest anyway: FUA is local. */
static BdrvRequestFlags forward_flags(const Replication *r,
                                      BdrvRequestFlags flags)
{
    flags &= BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP;
    return r->primary.protocol == REPLICATION_PROTOCOL_SYNC
        ? flags : flags & ~BDRV_REQ_FUA;
}

static int coroutine_fn replication_co_pwritev(BlockDriverState *bs,
                                               int64_t offset, int64_t bytes,
                                               IOVector *qiov,
                                               BdrvRequestFlags flags)
{
    Replication *r = bs->opaque;

    if (is_primary(r)) {
        Forward f = {
            .op = FORWARD_WRITE, .offset = offset, .bytes = bytes,
            .qiov = qiov, .flags = forward_flags(r, flags),
        };

        primary_co_request(r, &f);
        return forward_verdict(r);
    }
    if (!serves_guest(r)) {
        return -EIO;
    }
    return bdrv_co_pwritev(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn replication_co_pwrite_zeroes(BlockDriverState *bs,
                                                     int64_t offset,
                                                     int64_t bytes,
                                                     BdrvRequestFlags flags)
{
    Replication *r = bs->opaque;

    if (is_primary(r)) {
        Forward f = {
            .op = FORWARD_ZEROES, .offset = offset, .bytes = bytes,
            .flags = forward_flags(r, flags),
        };

        primary_co_request(r, &f);
        return forward_verdict(r);
    }
    if (!serves_guest(r)) {
        return -EIO;
    }
    return bdrv_co_pwrite_zeroes(bs->file, offset, bytes, flags);
}

/* Trimmed contents are undefined, and replicas must not differ. */
static int coroutine_fn replication_co_pdiscard(BlockDriverState *bs,
                                                int64_t offset, int64_t bytes)
{
    return replication_co_pwrite_zeroes(bs, offset, bytes,
                                        BDRV_REQ_MAY_UNMAP);
}

static int coroutine_fn replication_co_flush(BlockDriverState *bs)
{
    Replication *r = bs->opaque;
    Forward f = { .op = FORWARD_FLUSH };

    if (is_primary(r)) {
        primary_co_request(r, &f);
        return 0;
    }
    return bdrv_co_flush(bs->file->bs);
}

static int coroutine_fn
replication_co_block_status(BlockDriverState *bs, bool want_zero,
                            int64_t offset, int64_t bytes, int64_t *pnum,
                            int64_t *map, BlockDriverState **file)
{
    Replication *r = bs->opaque;

    *pnum = bytes;
    if (is_primary(r)) {
        return BDRV_BLOCK_DATA;
    }
    if (!serves_guest(r)) {
        return -EIO;
    }
    *map = offset;
    *file = bs->file->bs;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

static void replication_cancel_in_flight(BlockDriverState *bs)
{
    Replication *r = bs->opaque;

    if (is_primary(r) && replication_is_running(r)) {
        replication_give_up_peer(r, -ECANCELED);
    } else {
        bdrv_cancel_in_flight(bs->file->bs);
    }
}

static void replication_sibling_failed(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, int ret)
{
    if (is_primary(bs->opaque)) {
        primary_sibling_failed(bs->opaque, offset, bytes, ret);
    }
}

/* Control */

static bool coroutine_fn replication_co_truncate(BlockDriverState *bs,
                                                 int64_t offset,
                                                 PreallocMode prealloc,
                                                 GError **errp)
{
    error_setg(errp, "Node '%s' is one end of a replicated disk and cannot be "
               "resized", bs->node_name);
    return false;
}

/*
 * The peer writes into the secondary disk from before start on, so WRITE is
 * shared all the way down; lengths stay as start compares them.
 */
static void replication_child_perm(BlockDriverState *bs, BdrvChild *child,
                                   BdrvChildRole role, uint64_t perm,
                                   uint64_t shared, uint64_t *nperm,
                                   uint64_t *nshared)
{
    *nperm = BLK_PERM_CONSISTENT_READ;
    if (!bs->read_only) {
        *nperm |= BLK_PERM_WRITE;
    }
    *nshared = BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE |
               BLK_PERM_WRITE_UNCHANGED;
}

static void replication_set_perm(BlockDriverState *bs, uint64_t perm,
                                 uint64_t shared)
{
    if (is_primary(bs->opaque)) {
        primary_parents_changed(bs->opaque);
    }
}

/* Options */

static const char *
find_primary_option(const BlockdevOptionsReplication *o)
{
    const struct {
        const char *name;
        bool given;
    } options[] = {
        { "protocol", o->has_protocol },
        { "window-bytes", o->has_window_bytes },
        { "window-requests", o->has_window_requests },
        { "on-congestion", o->has_on_congestion },
        { "timeout", o->has_timeout },
    };

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (options[i].given) {
            return options[i].name;
        }
    }
    return NULL;
}

static bool check_primary(const BlockdevOptionsReplication *o, GError **errp)
{
    if (o->top_id) {
        error_setg(errp, "The primary side does not support option top-id");
        return false;
    }
    if (o->has_window_bytes &&
        (o->window_bytes == 0 || o->window_bytes > BDRV_MAX_LENGTH)) {
        error_setg(errp, "Parameter 'window-bytes' expects a size from 1 byte "
                   "to 8 EiB");
        return false;
    }
    if (o->has_window_requests && o->window_requests == 0) {
        error_setg(errp, "Parameter 'window-requests' expects a number from 1 "
                   "up");
        return false;
    }
    return true;
}

static bool check_secondary(const BlockdevOptionsReplication *o,
                            GError **errp)
{
    const char *name = find_primary_option(o);

    if (!o->top_id) {
        error_setg(errp, "Missing the option top-id");
        return false;
    }
    if (name) {
        error_setg(errp, "The secondary side does not support option %s",
                   name);
        return false;
    }
    return true;
}

/* Life */

static bool coroutine_fn replication_co_open(BlockDriverState *bs,
                                             const BlockdevOptions *options,
                                             GError **errp)
{
    const BlockdevOptionsReplication *o = &options->u.replication;
    Replication *r = bs->opaque;

    r->bs = bs;
    r->mode = o->mode;
    r->error.offset = -1;
    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP;
    if (is_primary(r)) {
        bs->forward_only = true;
        bs->unmap = true;       /* what the local disks do, the peer does */
        primary_init(r);
    } else {
        bs->supported_write_flags |= BDRV_REQ_WRITE_UNCHANGED;
        bs->supported_zero_flags |= BDRV_REQ_WRITE_UNCHANGED |
                                    BDRV_REQ_NO_FALLBACK;
        secondary_init(r);
    }
    if (!(is_primary(r) ? check_primary(o, errp) : check_secondary(o, errp)) ||
        !bdrv_co_open_file_child(bs, o->file, errp)) {
        return false;
    }
    replication_list_add(r);
    return true;
}

static void coroutine_fn replication_co_close(BlockDriverState *bs)
{
    const ReplicationObserver *observer = replication_observer();
    Replication *r = bs->opaque;

    if (r->listed && observer && observer->closing) {
        observer->closing(r);
    }
    replication_list_remove(r);
    if (is_primary(r)) {
        primary_close(r);
    } else {
        secondary_co_close(r);
    }
    replication_clear_error(r);
}

const BlockDriver bdrv_replication = {
    .format_name = "replication",
    .type = BLOCKDEV_DRIVER_REPLICATION,
    .instance_size = sizeof(Replication),
    .is_filter = true,

    .bdrv_co_open = replication_co_open,
    .bdrv_co_close = replication_co_close,
    .bdrv_co_truncate = replication_co_truncate,

    .bdrv_co_preadv = replication_co_preadv,
    .bdrv_co_pwritev = replication_co_pwritev,
    .bdrv_co_pwrite_zeroes = replication_co_pwrite_zeroes,
    .bdrv_co_pdiscard = replication_co_pdiscard,
    .bdrv_co_flush = replication_co_flush,
    .bdrv_co_block_status = replication_co_block_status,

    .bdrv_cancel_in_flight = replication_cancel_in_flight,
    .bdrv_sibling_failed = replication_sibling_failed,

    .bdrv_set_perm = replication_set_perm,
    .bdrv_child_perm = replication_child_perm,
};
