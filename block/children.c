/*
 * Edges of the graph: attach, detach, replace
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph-int.h"

BdrvChild *bdrv_child_new(const char *name, const BdrvChildClass *klass,
                          BdrvChildRole role, void *opaque)
{
    BdrvChild *child = g_new0(BdrvChild, 1);

    child->name = g_strdup(name);
    child->klass = klass;
    child->role = role;
    child->opaque = opaque;
    child->shared_perm = BLK_PERM_ALL;
    return child;
}

void bdrv_child_free(BdrvChild *child)
{
    g_assert(!child->bs);
    g_free(child->name);
    g_free(child);
}

static void set_well_known(BlockDriverState *parent, BdrvChild *child,
                           BdrvChild *value)
{
    if (child->role & BDRV_CHILD_COW) {
        parent->backing = value;
    } else if (!strcmp(child->name, "file") ||
               (parent->drv->is_filter &&
                (child->role & BDRV_CHILD_PRIMARY))) {
        parent->file = value;
    }
}

static bool would_be_cycle(BlockDriverState *parent, BlockDriverState *child,
                           GError **errp)
{
    if (!bdrv_is_above_or_same(child, parent)) {
        return false;
    }
    error_setg(errp, "Making '%s' a child of '%s' would create a cycle",
               child->node_name, parent->node_name);
    return true;
}

BdrvChild *coroutine_fn bdrv_co_attach_child(BlockDriverState *parent,
                                             BlockDriverState *child_bs,
                                             const char *name,
                                             BdrvChildRole role,
                                             GError **errp)
{
    BdrvChild *child;
    GraphTx *tx;

    if (would_be_cycle(parent, child_bs, errp)) {
        return NULL;
    }
    child = bdrv_child_new(name, &child_of_node, role, parent);
    tx = graph_tx_new();
    LIST_INSERT_HEAD(&parent->children, child, next);
    set_well_known(parent, child, child);
    graph_tx_set_bs(tx, child, child_bs);
    if (!graph_tx_finish(tx, errp)) {
        set_well_known(parent, child, NULL);
        LIST_REMOVE(child, next);
        bdrv_child_free(child);
        return NULL;
    }
    bdrv_refresh_limits(parent);
    return child;
}

void coroutine_fn bdrv_co_detach_child(BlockDriverState *parent,
                                       BdrvChild *child)
{
    BlockDriverState *bs = child->bs;
    g_autoptr(GError) err = NULL;
    GraphTx *tx = graph_tx_new();

    bdrv_ref(bs);
    graph_tx_set_bs(tx, child, NULL);
    set_well_known(parent, child, NULL);
    LIST_REMOVE(child, next);
    if (!graph_tx_finish(tx, &err)) {
        /* Only ever loosens permissions: cannot happen. */
        g_error("cannot detach '%s': %s", child->name, err->message);
    }
    bdrv_child_free(child);
    bdrv_refresh_limits(parent);
    if (bs->inherits_from == parent) {
        bs->inherits_from = NULL;
    }
    if (bs->front == parent) {
        bs->front = NULL;
    }
    bdrv_co_unref(bs);
}

/* Limits */

static void merge_limits(BlockLimits *bl, const BlockLimits *child)
{
    bl->request_alignment = MAX(bl->request_alignment,
                                child->request_alignment);
    bl->min_mem_alignment = MAX(bl->min_mem_alignment,
                                child->min_mem_alignment);
    bl->opt_transfer = MAX(bl->opt_transfer, child->opt_transfer);
    if (child->max_transfer &&
        (!bl->max_transfer || child->max_transfer < bl->max_transfer)) {
        bl->max_transfer = child->max_transfer;
    }
    if (child->max_iov && (!bl->max_iov || child->max_iov < bl->max_iov)) {
        bl->max_iov = child->max_iov;
    }
}

void bdrv_refresh_limits(BlockDriverState *bs)
{
    BdrvChild *child, *edge;

    bs->bl = (BlockLimits) { .request_alignment = 1 };
    LIST_FOREACH(child, &bs->children, next) {
        if (child->bs && !(child->role & BDRV_CHILD_COW)) {
            merge_limits(&bs->bl, &child->bs->bl);
        }
    }
    if (bs->drv->bdrv_refresh_limits && bs->total_bytes >= 0) {
        bs->drv->bdrv_refresh_limits(bs);
    }
    g_assert(bs->bl.request_alignment &&
             !(bs->bl.request_alignment & (bs->bl.request_alignment - 1)));

    LIST_FOREACH(edge, &bs->parents, next_parent) {
        if (bdrv_child_parent_node(edge)) {
            bdrv_refresh_limits(bdrv_child_parent_node(edge));
        }
    }
}

/* Frozen chains */

static BdrvChild *data_child(BlockDriverState *bs)
{
    return bs->file ? bs->file : bs->backing;
}

void bdrv_freeze_chain(BlockDriverState *bs)
{
    BdrvChild *child;

    for (; (child = data_child(bs)); bs = child->bs) {
        child->frozen++;
    }
}

void bdrv_thaw_chain(BlockDriverState *bs)
{
    BdrvChild *child;

    for (; (child = data_child(bs)); bs = child->bs) {
        child->frozen--;
    }
}

/* Whole nodes */

static bool move_parents(BlockDriverState *from, BlockDriverState *to,
                         BdrvChild *except, BdrvChild *stay, GError **errp)
{
    GraphTx *tx = graph_tx_new();
    BdrvChild *edge, *next;

    LIST_FOREACH_SAFE(edge, &from->parents, next_parent, next) {
        if (edge != except && edge != stay) {
            graph_tx_set_bs(tx, edge, to);
        }
    }
    return graph_tx_finish(tx, errp);
}

static bool coroutine_fn replace_drained(BlockDriverState *from,
                                         BlockDriverState *to,
                                         BdrvChild *except, BdrvChild *stay,
                                         GError **errp)
{
    bool ok = false;

    bdrv_ref(from);
    bdrv_ref(to);
    if (bdrv_co_try_drained_begin(from, errp)) {
        if (bdrv_co_try_drained_begin(to, errp)) {
            ok = move_parents(from, to, except, stay, errp);
            bdrv_drained_end(to);
        }
        bdrv_drained_end(from);
    }
    bdrv_refresh_limits(to);
    bdrv_co_unref(to);
    bdrv_co_unref(from);
    return ok;
}

bool coroutine_fn bdrv_co_replace_node(BlockDriverState *from,
                                       BlockDriverState *to, GError **errp)
{
    if (bdrv_is_above_or_same(to, from)) {
        error_setg(errp, "Cannot replace node '%s' by '%s', which uses it",
                   from->node_name, to->node_name);
        return false;
    }
    if (!replace_drained(from, to, NULL, NULL, errp)) {
        return false;
    }
    if (to->front == from) {
        to->front = from->front;
    }
    return true;
}

bool coroutine_fn bdrv_co_insert_filter(BlockDriverState *filter,
                                        BlockDriverState *bs, BdrvChild *stay,
                                        GError **errp)
{
    g_assert(filter->file && filter->file->bs == bs && !bs->front);
    if (!replace_drained(bs, filter, filter->file, stay, errp)) {
        return false;
    }
    bs->front = filter;
    return true;
}

bool coroutine_fn bdrv_co_add_child(BlockDriverState *parent,
                                    BlockDriverState *child, GError **errp)
{
    if (!parent->drv->bdrv_co_add_child) {
        error_setg(errp, "The node %s does not support adding a child",
                   parent->node_name);
        return false;
    }
    if (would_be_cycle(parent, child, errp)) {
        return false;
    }
    if (!LIST_EMPTY(&child->parents)) {
        error_setg(errp, "The node %s already has a parent", child->node_name);
        return false;
    }
    return parent->drv->bdrv_co_add_child(parent, child, errp);
}

bool coroutine_fn bdrv_co_del_child(BlockDriverState *parent,
                                    const char *child_name, GError **errp)
{
    BdrvChild *child;

    LIST_FOREACH(child, &parent->children, next) {
        if (!strcmp(child->name, child_name)) {
            break;
        }
    }
    if (!child) {
        error_setg(errp, "Node '%s' does not have child '%s'",
                   parent->node_name, child_name);
        return false;
    }
    if (!parent->drv->bdrv_co_del_child) {
        error_setg(errp, "The node %s does not support removing a child",
                   parent->node_name);
        return false;
    }
    return parent->drv->bdrv_co_del_child(parent, child, errp);
}
