/*
 * BlockBackend: a user of the graph
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/block-backend.h"

#include "block/block-backend-int.h"

/* The backend as a parent */

static char *root_parent_desc(BdrvChild *child)
{
    BlockBackend *blk = child->opaque;

    if (*blk->name) {
        return g_strdup_printf("block device '%s'", blk->name);
    }
    if (blk->user) {
        return g_strdup_printf("block export '%s'", blk->user);
    }
    return g_strdup("an unnamed block device");
}

static void root_drained_begin(BdrvChild *child)
{
    BlockBackend *blk = child->opaque;

    blk->quiesce_counter++;
    blk_gate_update(blk);
}

static void root_drained_end(BdrvChild *child)
{
    BlockBackend *blk = child->opaque;

    g_assert(blk->quiesce_counter > 0);
    blk->quiesce_counter--;
    blk_gate_update(blk);
}

static bool root_drained_poll(BdrvChild *child)
{
    BlockBackend *blk = child->opaque;

    return blk->in_flight > 0;
}

static void root_resized(BdrvChild *child)
{
    BlockBackend *blk = child->opaque;

    if (blk->resize_cb) {
        blk->resize_cb(blk->resize_opaque);
    }
}

static const BdrvChildClass child_root = {
    .parent_desc = root_parent_desc,
    .drained_begin = root_drained_begin,
    .drained_end = root_drained_end,
    .drained_poll = root_drained_poll,
    .resized = root_resized,
};

/* Life */

BlockBackend *blk_new(uint64_t perm, uint64_t shared)
{
    BlockBackend *blk = g_new0(BlockBackend, 1);

    blk->ctx = aio_get_current();
    blk->graph = block_graph();
    blk->name = g_strdup("");
    blk->legacy_if = g_strdup("none");
    blk->refcnt = 1;
    blk->perm = perm;
    blk->shared = shared;
    blk->root = bdrv_child_new("root", &child_root, 0, blk);
    TAILQ_INIT(&blk->waiters);
    TAILQ_INSERT_TAIL(&blk->graph->backends, blk, link);
    return blk;
}

void blk_ref(BlockBackend *blk)
{
    blk->refcnt++;
}

void coroutine_fn blk_co_unref(BlockBackend *blk)
{
    if (!blk || --blk->refcnt > 0) {
        return;
    }
    blk->refcnt = 1;            /* removing the node may wait */
    blk_co_remove_bs(blk);
    if (--blk->refcnt > 0) {
        return;                 /* who looks at it now frees it */
    }
    g_assert(TAILQ_EMPTY(&blk->waiters) && !blk->in_flight);
    if (blk->throttle && blk->throttle_ops->release) {
        blk->throttle_ops->release(blk->throttle);
    }
    TAILQ_REMOVE(&blk->graph->backends, blk, link);
    bdrv_child_free(blk->root);
    block_latency_histograms_clear(&blk->stats);
    g_free(blk->name);
    g_free(blk->legacy_if);
    g_free(blk->user);
    g_free(blk);
}

/* Node and permissions */

BlockDriverState *blk_bs(BlockBackend *blk)
{
    return blk->root->bs;
}

AioContext *blk_get_aio_context(BlockBackend *blk)
{
    return blk->ctx;
}

bool coroutine_fn blk_co_insert_bs(BlockBackend *blk, BlockDriverState *bs,
                                   GError **errp)
{
    GraphTx *tx;

    g_assert(!blk->root->bs);
    /* Not everybody waits for the commands that change the graph. */
    if (bs->total_bytes < 0) {
        error_setg(errp, "Node '%s' is still being opened", bs->node_name);
        return false;
    }
    tx = graph_tx_new();
    graph_tx_set_perm(tx, blk->root, blk->perm, blk->shared);
    graph_tx_set_bs(tx, blk->root, bs);
    return graph_tx_finish(tx, errp);
}

static void coroutine_fn give_up_entry(void *opaque)
{
    BlockBackend *blk = opaque;

    if (blk_bs(blk)) {
        bdrv_cancel_unshared(blk_bs(blk));
    }
}

void blk_give_up(BlockBackend *blk)
{
    /* In a coroutine: whom it wakes runs later, and cannot free anything. */
    coroutine_start(give_up_entry, blk);
}

static void removal_deadline(void *opaque)
{
    blk_give_up(opaque);
}

/* Requests of others may take long: nobody waits for them in vain. */
static void coroutine_fn wait_own_requests(BlockBackend *blk)
{
    AioTimer deadline;

    aio_timer_init(&deadline, blk->ctx, removal_deadline, blk);
    aio_timer_mod(&deadline,
                  aio_clock_get_ns(blk->ctx) + BDRV_CLOSE_DEADLINE_NS);
    while (blk->in_flight) {
        if (blk_bs(blk)) {
            bdrv_let_pass(blk_bs(blk));
        }
        co_queue_wait(&blk->graph->idle_waiters);
    }
    aio_timer_del(&deadline);
}

void coroutine_fn blk_co_remove_bs(BlockBackend *blk)
{
    BlockDriverState *bs;
    GraphTx *tx;

    if (!blk_bs(blk)) {
        return;
    }
    blk->quiesce_counter++;
    blk_gate_update(blk);
    if (blk->in_flight) {
        wait_own_requests(blk);
    }
    bs = blk_bs(blk);           /* it may be another one by now, or none */
    if (bs) {
        bdrv_ref(bs);
        tx = graph_tx_new();
        graph_tx_set_bs(tx, blk->root, NULL);
        graph_tx_finish(tx, NULL);  /* loosens only: cannot fail */
    }
    blk->quiesce_counter--;
    blk_gate_update(blk);
    bdrv_co_unref(bs);
}

bool blk_set_perm(BlockBackend *blk, uint64_t perm, uint64_t shared,
                  GError **errp)
{
    GraphTx *tx;

    if (blk_bs(blk)) {
        tx = graph_tx_new();
        graph_tx_set_perm(tx, blk->root, perm, shared);
        if (!graph_tx_finish(tx, errp)) {
            return false;
        }
    }
    blk->perm = perm;
    blk->shared = shared;
    return true;
}

void blk_get_perm(BlockBackend *blk, uint64_t *perm, uint64_t *shared)
{
    *perm = blk->perm;
    *shared = blk->shared;
}

bool blk_is_read_only(BlockBackend *blk)
{
    return blk_bs(blk) && blk_bs(blk)->read_only;
}

const BlockLimits *blk_limits(BlockBackend *blk)
{
    static const BlockLimits defaults = { .request_alignment = 1 };

    return blk_bs(blk) ? &blk_bs(blk)->bl : &defaults;
}

/* Names */

bool blk_set_name(BlockBackend *blk, const char *id, GError **errp)
{
    if (!bdrv_name_is_wellformed(id)) {
        error_setg(errp, "Invalid device name '%s'", id);
        return false;
    }
    if (blk_by_name(id)) {
        error_setg(errp, "Device with id '%s' already exists", id);
        return false;
    }
    if (bdrv_find_node(id)) {
        error_setg(errp, "Device name '%s' conflicts with an existing node "
                   "name", id);
        return false;
    }
    g_free(blk->name);
    blk->name = g_strdup(id);
    return true;
}

const char *blk_name(const BlockBackend *blk)
{
    return blk->name;
}

BlockBackend *blk_by_name(const char *id)
{
    BlockBackend *blk;

    TAILQ_FOREACH(blk, &block_graph()->backends, link) {
        if (*blk->name && !strcmp(blk->name, id)) {
            return blk;
        }
    }
    return NULL;
}

const char *bdrv_device_name(const BlockDriverState *bs)
{
    BlockBackend *blk;

    TAILQ_FOREACH(blk, &bs->graph->backends, link) {
        if (*blk->name && blk->root->bs == bs) {
            return blk->name;
        }
    }
    return NULL;
}

static BlockBackend *next_of_kind(BlockBackend *blk, bool named)
{
    while (blk && (*blk->name != '\0') != named) {
        blk = TAILQ_NEXT(blk, link);
    }
    return blk;
}

BlockBackend *blk_next(BlockBackend *blk)
{
    BlockBackend *first = TAILQ_FIRST(&block_graph()->backends);
    bool named = !blk || *blk->name;
    BlockBackend *next = next_of_kind(blk ? TAILQ_NEXT(blk, link) : first,
                                      named);

    return next || !named ? next : next_of_kind(first, false);
}

void coroutine_fn blk_co_delete_named(BlockBackend *blk)
{
    g_assert(*blk->name);
    *blk->name = '\0';
    blk_co_remove_bs(blk);
    blk_co_unref(blk);
}

void blk_set_interface(BlockBackend *blk, const char *legacy_if)
{
    g_free(blk->legacy_if);
    blk->legacy_if = g_strdup(legacy_if);
}

const char *blk_interface(const BlockBackend *blk)
{
    return blk->legacy_if;
}

void blk_set_enable_write_cache(BlockBackend *blk, bool enable)
{
    blk->write_flags = enable ? 0 : BDRV_REQ_FUA;
}

bool blk_enable_write_cache(const BlockBackend *blk)
{
    return !blk->write_flags;
}

void blk_set_user(BlockBackend *blk, const char *user)
{
    g_free(blk->user);
    blk->user = g_strdup(user);
}

const char *blk_user(const BlockBackend *blk)
{
    return blk->user;
}

void blk_set_resize_cb(BlockBackend *blk, void (*cb)(void *opaque),
                       void *opaque)
{
    blk->resize_cb = cb;
    blk->resize_opaque = opaque;
}

BlockAcctStats *blk_stats(BlockBackend *blk)
{
    return &blk->stats;
}
