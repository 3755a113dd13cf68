/*
 * Drain: a part of the graph at rest
 *
 * Quiescing a node quiesces everything above it, up to the backends, where
 * new requests then wait.  Requests below that were made by a request above
 * end with it, so it is enough to wait for the node and all above it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"

#include "block/graph-int.h"
#include "util/aio.h"

/*
 * How long a command waits for requests in flight: longer than a disk that is
 * merely slow needs, and not for a peer that will never answer.
 */
#define DRAIN_LIMIT_NS (30 * NANOSECONDS_PER_SECOND)

void bdrv_let_pass(BlockDriverState *bs)
{
    BdrvChild *child;

    if (bs->drv->bdrv_let_pass) {
        bs->drv->bdrv_let_pass(bs);
    }
    LIST_FOREACH(child, &bs->children, next) {
        bdrv_let_pass(child->bs);
    }
}

void bdrv_quiesce(BlockDriverState *bs)
{
    BdrvChild *edge;

    if (bs->quiesce_counter++ > 0) {
        return;
    }
    LIST_FOREACH(edge, &bs->parents, next_parent) {
        edge->parent_quiesced = true;
        edge->klass->drained_begin(edge);
    }
    if (bs->drv->bdrv_drain_begin) {
        bs->drv->bdrv_drain_begin(bs);
    }
}

void bdrv_unquiesce(BlockDriverState *bs)
{
    BdrvChild *edge, *next;

    g_assert(bs->quiesce_counter > 0);
    if (--bs->quiesce_counter > 0) {
        return;
    }
    if (bs->drv->bdrv_drain_end) {
        bs->drv->bdrv_drain_end(bs);
    }
    LIST_FOREACH_SAFE(edge, &bs->parents, next_parent, next) {
        edge->parent_quiesced = false;
        edge->klass->drained_end(edge);
    }
}

bool bdrv_is_busy(BlockDriverState *bs)
{
    BdrvChild *edge;

    if (bs->in_flight) {
        return true;
    }
    LIST_FOREACH(edge, &bs->parents, next_parent) {
        if (edge->klass->drained_poll(edge)) {
            return true;
        }
    }
    return false;
}

void coroutine_fn bdrv_co_drained_begin(BlockDriverState *bs)
{
    bdrv_quiesce(bs);
    while (bdrv_is_busy(bs)) {
        bdrv_let_pass(bs);
        co_queue_wait(&bs->graph->idle_waiters);
    }
}

typedef struct DrainLimit {
    AioTimer timer;
    BlockGraph *graph;
    bool over;
} DrainLimit;

static void drain_limit_over(void *opaque)
{
    DrainLimit *limit = opaque;

    limit->over = true;
    block_graph_became_idle(limit->graph);      /* so that we look again */
}

bool coroutine_fn bdrv_co_try_drained_begin(BlockDriverState *bs,
                                            GError **errp)
{
    DrainLimit limit = { .graph = bs->graph };

    aio_timer_init(&limit.timer, bs->ctx, drain_limit_over, &limit);
    aio_timer_mod(&limit.timer,
                  aio_clock_get_ns(bs->ctx) + DRAIN_LIMIT_NS);
    bdrv_quiesce(bs);
    while (bdrv_is_busy(bs) && !limit.over) {
        bdrv_let_pass(bs);
        co_queue_wait(&bs->graph->idle_waiters);
    }
    aio_timer_del(&limit.timer);
    if (bdrv_is_busy(bs)) {
        bdrv_unquiesce(bs);
        error_setg(errp, "Requests to node '%s' have been in flight for %d "
                   "seconds, try again when they have ended", bs->node_name,
                   (int)(DRAIN_LIMIT_NS / NANOSECONDS_PER_SECOND));
        return false;
    }
    return true;
}

void bdrv_drained_end(BlockDriverState *bs)
{
    bdrv_unquiesce(bs);
}

void bdrv_inc_in_flight(BlockDriverState *bs)
{
    bs->in_flight++;
}

void bdrv_dec_in_flight(BlockDriverState *bs)
{
    if (--bs->in_flight == 0) {
        block_graph_became_idle(bs->graph);
    }
}

void bdrv_cancel_in_flight(BlockDriverState *bs)
{
    BdrvChild *child;

    if (bs->drv->bdrv_cancel_in_flight) {
        bs->drv->bdrv_cancel_in_flight(bs);
        return;
    }
    LIST_FOREACH(child, &bs->children, next) {
        bdrv_cancel_in_flight(child->bs);
    }
}

void bdrv_cancel_unshared(BlockDriverState *bs)
{
    BdrvChild *child = LIST_FIRST(&bs->parents);

    if (child && LIST_NEXT(child, next_parent)) {
        return;
    }
    if (bs->drv->bdrv_cancel_in_flight) {
        bs->drv->bdrv_cancel_in_flight(bs);
        return;
    }
    LIST_FOREACH(child, &bs->children, next) {
        bdrv_cancel_unshared(child->bs);
    }
}

int bdrv_pin_connection(BlockDriverState *bs, bool pin)
{
    if (bs->drv->bdrv_pin_connection) {
        return bs->drv->bdrv_pin_connection(bs, pin);
    }
    return bs->file ? bdrv_pin_connection(bs->file->bs, pin) : 0;
}

/* Nodes as parents */

BlockDriverState *bdrv_child_parent_node(const BdrvChild *child)
{
    return child->klass == &child_of_node ? child->opaque : NULL;
}

static char *node_parent_desc(BdrvChild *child)
{
    BlockDriverState *parent = child->opaque;

    return g_strdup_printf("node '%s'", parent->node_name);
}

static void node_drained_begin(BdrvChild *child)
{
    bdrv_quiesce(child->opaque);
}

static void node_drained_end(BdrvChild *child)
{
    bdrv_unquiesce(child->opaque);
}

static bool node_drained_poll(BdrvChild *child)
{
    return bdrv_is_busy(child->opaque);
}

static void coroutine_fn refresh_length_entry(void *opaque)
{
    BlockDriverState *bs = opaque;

    bdrv_co_refresh_length(bs);
    bdrv_co_unref(bs);
}

static void node_resized(BdrvChild *child)
{
    BlockDriverState *parent = child->opaque;

    if (parent->total_bytes >= 0) {
        bdrv_ref(parent);
        coroutine_start(refresh_length_entry, parent);
    }
}

const BdrvChildClass child_of_node = {
    .parent_desc = node_parent_desc,
    .drained_begin = node_drained_begin,
    .drained_end = node_drained_end,
    .drained_poll = node_drained_poll,
    .resized = node_resized,
};
