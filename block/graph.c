/*
 * The graph: its nodes, their names and lifetimes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"

#include "block/block-backend.h"
#include "block/graph-int.h"

static void graph_init(AioContext *ctx, void *data)
{
    BlockGraph *graph = data;

    TAILQ_INIT(&graph->nodes);
    TAILQ_INIT(&graph->backends);
    co_mutex_init(&graph->mutex);
    co_queue_init(&graph->idle_waiters);
}

BlockGraph *block_graph(void)
{
    static const AioLocal key = {
        .size = sizeof(BlockGraph),
        .init = graph_init,
    };

    return aio_local_get(aio_get_current(), &key);
}

CoMutex *bdrv_graph_mutex(void)
{
    return &block_graph()->mutex;
}

/* Names */

bool bdrv_name_is_wellformed(const char *name)
{
    if (!g_ascii_isalpha(name[0])) {
        return false;
    }
    for (const char *p = name; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-._", *p)) {
            return false;
        }
    }
    return true;
}

static BlockDriverState *node_by_name(const char *node_name, bool closing)
{
    BlockDriverState *bs;

    TAILQ_FOREACH(bs, &block_graph()->nodes, node_list) {
        if ((closing || !bs->closing) && !strcmp(bs->node_name, node_name)) {
            return bs;
        }
    }
    return NULL;
}

BlockDriverState *bdrv_find_node(const char *node_name)
{
    return node_by_name(node_name, false);
}

BlockDriverState *bdrv_lookup(const char *name, GError **errp)
{
    BlockBackend *blk = blk_by_name(name);
    BlockDriverState *bs = blk ? blk_bs(blk) : bdrv_find_node(name);

    while (bs && bs->front) {
        bs = bs->front;
    }
    if (blk && !bs) {
        error_setg(errp, "Device '%s' has no medium", name);
    } else if (!bs) {
        error_setg(errp, "Cannot find device='%s' nor node-name='%s'",
                   name, name);
    }
    return bs;
}

bool bdrv_name_is_free(const char *name, GError **errp)
{
    if (blk_by_name(name)) {
        error_setg(errp, "node-name=%s is conflicting with a device id", name);
        return false;
    }
    if (node_by_name(name, true)) {
        error_setg(errp, "Duplicate nodes with node-name='%s'", name);
        return false;
    }
    return true;
}

void bdrv_foreach_node(void (*cb)(BlockDriverState *bs, void *opaque),
                       void *opaque)
{
    BlockDriverState *bs, *next;

    TAILQ_FOREACH_SAFE(bs, &block_graph()->nodes, node_list, next) {
        if (!bs->closing) {
            cb(bs, opaque);
        }
    }
}

const char *bdrv_node_name(const BlockDriverState *bs)
{
    return bs->node_name;
}

char *bdrv_filename(BlockDriverState *bs)
{
    if (bs->drv && bs->drv->bdrv_filename) {
        return bs->drv->bdrv_filename(bs);
    }
    return bs->file ? bdrv_filename(bs->file->bs) : g_strdup("");
}

bool bdrv_is_read_only(const BlockDriverState *bs)
{
    return bs->read_only;
}

BlockDriverState *bdrv_skip_filters(BlockDriverState *bs)
{
    while (bs && bs->drv->is_filter && bs->file) {
        bs = bs->file->bs;
    }
    return bs;
}

bool bdrv_is_above_or_same(BlockDriverState *bs, BlockDriverState *below)
{
    BdrvChild *child;

    if (bs == below) {
        return true;
    }
    LIST_FOREACH(child, &bs->children, next) {
        if (bdrv_is_above_or_same(child->bs, below)) {
            return true;
        }
    }
    return false;
}

/* Lifetime */

void bdrv_ref(BlockDriverState *bs)
{
    bs->refcnt++;
}

static void coroutine_fn give_up_on_peer(void *opaque)
{
    bdrv_cancel_unshared(opaque);
}

/* In a coroutine: whom it wakes then runs later, and cannot free the node. */
static void deadline_over(void *opaque)
{
    coroutine_start(give_up_on_peer, opaque);
}

void bdrv_deadline_start(AioTimer *deadline, BlockDriverState *bs)
{
    aio_timer_init(deadline, bs->ctx, deadline_over, bs);
    aio_timer_mod(deadline,
                  aio_clock_get_ns(bs->ctx) + BDRV_CLOSE_DEADLINE_NS);
}

/*
 * Flush and let end what the driver does on its own.  A peer that does not
 * answer is given up after a while: closing always ends.
 */
static void coroutine_fn settle_before_close(BlockDriverState *bs)
{
    AioTimer deadline;

    bdrv_deadline_start(&deadline, bs);
    if (bs->total_bytes >= 0 && !bs->read_only) {
        int ret = bdrv_co_flush(bs);

        if (ret < 0) {
            warn_report("node '%s': flush before closing failed: %s",
                        bs->node_name, g_strerror(-ret));
        }
    }
    bdrv_co_drained_begin(bs);
    aio_timer_del(&deadline);
}

/* Nodes that @bs has defined and that others still use. */
static void disown_children(BlockDriverState *bs)
{
    BlockDriverState *child;

    TAILQ_FOREACH(child, &bs->graph->nodes, node_list) {
        if (child->inherits_from == bs) {
            child->inherits_from = NULL;
        }
    }
}

static void coroutine_fn bdrv_co_delete(BlockDriverState *bs)
{
    BdrvChild *child;

    g_assert(LIST_EMPTY(&bs->parents));
    bs->refcnt++;               /* requests made while closing need the node */
    bs->closing = true;         /* a reference taken now would not keep it */
    settle_before_close(bs);
    if (bs->drv->bdrv_co_close) {
        bs->drv->bdrv_co_close(bs);
    }
    bs->total_bytes = -ENOMEDIUM;       /* the driver is not asked any more */
    while ((child = LIST_FIRST(&bs->children))) {
        bdrv_co_detach_child(bs, child);
    }
    g_assert(LIST_EMPTY(&bs->before_write_notifiers));
    disown_children(bs);
    TAILQ_REMOVE(&bs->graph->nodes, bs, node_list);
    qapi_free_BlockdevOptions(bs->options);
    g_free(bs->opaque);
    g_free(bs);
}

void coroutine_fn bdrv_co_unref(BlockDriverState *bs)
{
    if (bs && --bs->refcnt == 0) {
        bdrv_co_delete(bs);
    }
}

static void coroutine_fn unref_entry(void *opaque)
{
    bdrv_co_unref(opaque);
}

static void unref_bh(void *opaque)
{
    coroutine_start(unref_entry, opaque);
}

void bdrv_unref_later(BlockDriverState *bs)
{
    aio_bh_schedule_oneshot(bs->ctx, unref_bh, bs);
}

static BlockDriverState *find_monitor_owned(BlockGraph *graph)
{
    BlockDriverState *bs;

    TAILQ_FOREACH(bs, &graph->nodes, node_list) {
        if (bs->monitor_owned) {
            return bs;
        }
    }
    return NULL;
}

/* What has not ended by now may never do so by itself. */
static void coroutine_fn give_up_on_all(void *opaque)
{
    BlockGraph *graph = opaque;
    BlockDriverState *bs;

    TAILQ_FOREACH(bs, &graph->nodes, node_list) {
        bdrv_cancel_in_flight(bs);
    }
}

static void close_all_deadline(void *opaque)
{
    coroutine_start(give_up_on_all, opaque);
}

void coroutine_fn bdrv_co_close_all(void)
{
    BlockGraph *graph = block_graph();
    AioContext *ctx = aio_get_current();
    AioTimer deadline;
    BlockDriverState *bs;
    BlockBackend *blk;

    aio_timer_init(&deadline, ctx, close_all_deadline, graph);
    aio_timer_mod(&deadline, aio_clock_get_ns(ctx) + BDRV_CLOSE_DEADLINE_NS);
    while ((blk = blk_next(NULL)) && *blk_name(blk)) {
        blk_co_delete_named(blk);
    }
    while ((bs = find_monitor_owned(graph))) {
        bs->monitor_owned = false;
        /* A line of qemu-io may still be at work on it. */
        bdrv_co_drained_begin(bs);
        bdrv_drained_end(bs);
        bdrv_co_unref(bs);
    }
    aio_timer_del(&deadline);

    /* What is left is being released from the loop. */
    for (int i = 0; i < 1000 && !TAILQ_EMPTY(&graph->nodes); i++) {
        co_reschedule_self();
    }
    TAILQ_FOREACH(bs, &graph->nodes, node_list) {
        warn_report("node '%s' is still in use at exit", bs->node_name);
    }
}
