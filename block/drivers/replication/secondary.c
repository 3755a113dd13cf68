/*
 * The secondary: its guest sees the last checkpoint and its own writes
 *
 * The layers below our node (colo-buffer, or another form) isolate; the
 * filter on the disk feeds them with before-images.  Here is what both do
 * together: start, checkpoint, stop, failover, merge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "block/graph-int.h"

static const ColoLayersOps *ops_of(const Secondary *s)
{
    return s->layers->drv->colo_layers;
}

/* The node that has the layers, as far as the graph can tell. */
static BlockDriverState *layers_node(Replication *r)
{
    return bdrv_skip_filters(r->bs->file->bs);
}

BlockDriverState *secondary_disk(Replication *r)
{
    BlockDriverState *layers = layers_node(r);

    return layers->backing ? layers->backing->bs : NULL;
}

bool replication_has_node_above(BlockDriverState *bs)
{
    BdrvChild *edge;

    LIST_FOREACH(edge, &bs->parents, next_parent) {
        if (bdrv_child_parent_node(edge)) {
            return true;
        }
    }
    return false;
}

/* Looked up anew each time: the root may be replaced while we run. */
BlockDriverState *secondary_top(Replication *r)
{
    BlockDriverState *top = bdrv_lookup(r->secondary.top_id, NULL);

    if (!top || top == r->bs) {
        return top;
    }
    return !replication_has_node_above(top) && bdrv_is_above_or_same(top, r->bs)
        ? top : NULL;
}

/* What the layers tell us */

static void high_mark(void *opaque)
{
    Replication *r = opaque;
    Secondary *s = &r->secondary;
    const ReplicationObserver *observer = replication_observer();
    ColoLayersUsage usage = { 0 };

    if (s->high || !replication_is_running(r)) {
        return;
    }
    ops_of(s)->usage(s->layers, &usage);
    s->high = true;
    s->high_at = usage.used_bytes;
    if (observer && observer->high_mark) {
        observer->high_mark(r);
    }
}

static void layer_error(void *opaque, const char *what, int64_t offset,
                        int ret)
{
    Replication *r = opaque;
    BlockDriverState *disk = secondary_disk(r);
    bool on_disk = !strcmp(what, "disk") && disk;
    g_autofree char *text = g_strdup_printf(on_disk ? "%s" : "%s layer", what);

    replication_set_error(r, ret, on_disk ? disk->node_name
                                          : layers_node(r)->node_name,
                          offset, text);
}

/* Start */

static bool check_lengths(Replication *r, GError **errp)
{
    if (bdrv_getlength(r->bs->file->bs) != bdrv_getlength(secondary_disk(r))) {
        error_setg(errp, "Active disk, hidden disk, secondary disk's length "
                   "are not the same");
        return false;
    }
    return true;
}

bool coroutine_fn secondary_co_check_start(Replication *r, GError **errp)
{
    if (!secondary_disk(r)) {
        error_setg(errp, "Active disk doesn't have backing file");
        return false;
    }
    if (!check_lengths(r, errp)) {
        return false;
    }
    if (!layers_node(r)->drv->colo_layers) {
        error_setg(errp, "Active disk or hidden disk doesn't support "
                   "make_empty");
        return false;
    }
    if (!secondary_top(r)) {
        error_setg(errp, "No top_bs or it is invalid");
        return false;
    }
    return true;
}

static bool coroutine_fn make_writable(Replication *r, GError **errp)
{
    BlockDriverState *disk = secondary_disk(r);

    r->secondary.reopened = disk->read_only;
    return !disk->read_only || bdrv_co_reopen_set_read_only(disk, false, errp);
}

static void coroutine_fn undo_make_writable(Replication *r)
{
    g_autoptr(GError) err = NULL;

    if (r->secondary.reopened &&
        !bdrv_co_reopen_set_read_only(secondary_disk(r), true, &err)) {
        warn_report("node '%s' stays writable: %s",
                    secondary_disk(r)->node_name, err->message);
    }
    r->secondary.reopened = false;
}

bool coroutine_fn secondary_co_start(Replication *r, GError **errp)
{
    Secondary *s = &r->secondary;

    if (!make_writable(r, errp)) {
        s->reopened = false;
        return false;
    }
    s->layers = layers_node(r);
    s->high = s->merged = false;
    s->received_bytes = s->received_requests = 0;
    if (!ops_of(s)->start(s->layers, &s->observer, errp)) {
        undo_make_writable(r);
        s->layers = NULL;
        return false;
    }
    s->target = target_co_insert(r, s->layers, errp);
    if (!s->target) {
        ops_of(s)->drop(s->layers);
        undo_make_writable(r);
        s->layers = NULL;
        return false;
    }
    bdrv_freeze_chain(r->bs);
    replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    return true;
}

/* Checkpoint */

bool coroutine_fn secondary_co_prepare(Replication *r, GError **errp)
{
    Secondary *s = &r->secondary;

    target_co_hold(s->target);
    if (!replication_check_prepare(r, errp)) {
        return false;           /* who aborted it has released the target */
    }
    if (!replication_check_error(r, errp) ||
        !ops_of(s)->prepare_checkpoint(s->layers, errp)) {
        target_release(s->target);
        return false;
    }
    if (!replication_check_prepare(r, errp)) {
        ops_of(s)->abort_checkpoint(s->layers);
        return false;
    }
    replication_set_state(r, BLOCK_REPLICATION_STATE_PREPARED);
    return true;
}

void secondary_abort_prepare(Replication *r)
{
    target_release(r->secondary.target);
}

void secondary_do_checkpoint(Replication *r)
{
    Secondary *s = &r->secondary;

    ops_of(s)->do_checkpoint(s->layers);
    s->high = false;
    replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    target_release(s->target);
}

void secondary_abort_checkpoint(Replication *r)
{
    Secondary *s = &r->secondary;

    ops_of(s)->abort_checkpoint(s->layers);
    replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    target_release(s->target);
}

/* Stop */

bool coroutine_fn secondary_co_stop(Replication *r, GError **errp)
{
    Secondary *s = &r->secondary;

    if (!target_co_remove(s->target, errp)) {
        return false;
    }
    s->target = NULL;
    ops_of(s)->drop(s->layers);
    s->layers = NULL;
    bdrv_thaw_chain(r->bs);
    undo_make_writable(r);
    replication_set_state(r, BLOCK_REPLICATION_STATE_NONE);
    return true;
}

/* Failover */

void secondary_failover(Replication *r)
{
    Secondary *s = &r->secondary;

    target_seal(s->target);
    ops_of(s)->begin_merge(s->layers);
    replication_set_state(r, BLOCK_REPLICATION_STATE_FAILOVER);
}

/* The disk is whole: nobody needs the filter any more. */
static void coroutine_fn merged(Replication *r)
{
    Secondary *s = &r->secondary;
    g_autoptr(GError) err = NULL;

    s->merged = true;
    if (target_co_remove(s->target, &err)) {
        s->target = NULL;
    } else {
        /* It stays sealed, which is safe. */
        warn_report("node '%s': %s", r->bs->node_name, err->message);
    }
    replication_clear_error(r);
    replication_set_state(r, BLOCK_REPLICATION_STATE_DONE);
}

int coroutine_fn secondary_co_merge(Replication *r, int64_t speed)
{
    Secondary *s = &r->secondary;
    BlockDriverState *bs = r->bs;
    int ret;

    bdrv_ref(bs);               /* the node is not closed half-merged */
    ret = ops_of(s)->merge(s->layers, speed);
    if (ret < 0) {
        replication_set_error(r, ret, s->layers->node_name, -1,
                              "merging the layers into the disk");
        replication_set_state(r, BLOCK_REPLICATION_STATE_FAILOVER_FAILED);
    } else {
        merged(r);
    }
    bdrv_co_unref(bs);
    return ret;
}

/* Life */

void secondary_init(Replication *r)
{
    Secondary *s = &r->secondary;

    s->top_id = g_strdup(r->bs->options->u.replication.top_id);
    s->observer = (ColoLayersObserver) {
        .high_mark = high_mark, .error = layer_error, .opaque = r,
    };
}

static void report_unmerged(Replication *r)
{
    Secondary *s = &r->secondary;
    ColoMergeProgress progress = { 0 };

    ops_of(s)->merge_progress(s->layers, &progress);
    error_report("node '%s' is closed before its layers were merged: %" PRId64
                 " of %" PRId64 " bytes are NOT in the disk '%s', which is "
                 "no checkpoint now", r->bs->node_name,
                 progress.total - progress.done, progress.total,
                 secondary_disk(r)->node_name);
}

void coroutine_fn secondary_co_close(Replication *r)
{
    Secondary *s = &r->secondary;

    if (replication_is_running(r)) {
        g_autoptr(GError) err = NULL;

        replication_abort_checkpoint(r);
        if (!secondary_co_stop(r, &err)) {
            warn_report("node '%s': %s", r->bs->node_name, err->message);
        }
    } else if (s->layers && !s->merged) {
        report_unmerged(r);
    }
    if (s->target) {
        target_seal(s->target);
        target_co_remove(s->target, NULL);
    }
    if (s->layers) {
        bdrv_thaw_chain(r->bs);
    }
    g_free(s->top_id);
}
