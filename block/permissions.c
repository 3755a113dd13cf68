/*
 * Permissions: who may do what to a node, and change in one transaction
 *
 * Every edge says what the parent does to the child (perm) and what it lets
 * other parents do (shared_perm).  What a node's parents do together decides,
 * through the driver, what the node does to its own children.  A change is
 * made in place, the permissions below it are computed and checked top down,
 * and if a check fails everything is put back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph-int.h"

/* An edge as it was before the transaction touched it. */
typedef struct SavedEdge {
    BdrvChild *child;
    BlockDriverState *bs;
    uint64_t perm, shared;
} SavedEdge;

struct GraphTx {
    GArray *saved;              /* SavedEdge, in order of first touch */
    GPtrArray *roots;           /* nodes to refresh, and all below them */
    GPtrArray *order;           /* the same, parents before children */
    unsigned checked;           /* how many of order passed check_perm */
};

char *bdrv_perm_names(uint64_t perm)
{
    static const struct {
        uint64_t perm;
        const char *name;
    } names[] = {
        { BLK_PERM_CONSISTENT_READ, "consistent read" },
        { BLK_PERM_WRITE,           "write" },
        { BLK_PERM_WRITE_UNCHANGED, "write unchanged" },
        { BLK_PERM_RESIZE,          "resize" },
    };
    GString *str = g_string_new(NULL);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (perm & names[i].perm) {
            g_string_append_printf(str, "%s%s", str->len ? ", " : "",
                                   names[i].name);
        }
    }
    return g_string_free(str, FALSE);
}

/* Steps */

GraphTx *graph_tx_new(void)
{
    GraphTx *tx = g_new0(GraphTx, 1);

    tx->saved = g_array_new(FALSE, FALSE, sizeof(SavedEdge));
    tx->roots = g_ptr_array_new();
    tx->order = g_ptr_array_new();
    return tx;
}

static void save_edge(GraphTx *tx, BdrvChild *child)
{
    SavedEdge saved = {
        .child = child,
        .bs = child->bs,
        .perm = child->perm,
        .shared = child->shared_perm,
    };

    for (guint i = 0; i < tx->saved->len; i++) {
        if (g_array_index(tx->saved, SavedEdge, i).child == child) {
            return;
        }
    }
    if (saved.bs) {
        bdrv_ref(saved.bs);     /* until the transaction ends */
    }
    g_array_append_val(tx->saved, saved);
}

void graph_tx_touch(GraphTx *tx, BlockDriverState *bs)
{
    if (!g_ptr_array_find(tx->roots, bs, NULL)) {
        g_ptr_array_add(tx->roots, bs);
    }
}

/* The parent is as quiescent as the most quiescent node below it. */
static void sync_quiesce(BdrvChild *child)
{
    bool quiesced = child->bs && child->bs->quiesce_counter > 0;

    if (quiesced == child->parent_quiesced) {
        return;
    }
    child->parent_quiesced = quiesced;
    if (quiesced) {
        child->klass->drained_begin(child);
    } else {
        child->klass->drained_end(child);
    }
}

static void point_at(BdrvChild *child, BlockDriverState *to)
{
    BlockDriverState *from = child->bs;

    if (from) {
        LIST_REMOVE(child, next_parent);
    }
    child->bs = to;
    if (to) {
        bdrv_ref(to);
        LIST_INSERT_HEAD(&to->parents, child, next_parent);
    }
    sync_quiesce(child);
    if (from) {
        /* The transaction holds another reference: this is not the last. */
        g_assert(from->refcnt > 1);
        from->refcnt--;
    }
}

void graph_tx_set_bs(GraphTx *tx, BdrvChild *child, BlockDriverState *to)
{
    save_edge(tx, child);
    if (child->bs) {
        graph_tx_touch(tx, child->bs);
    }
    if (to) {
        graph_tx_touch(tx, to);
    }
    if (bdrv_child_parent_node(child)) {
        graph_tx_touch(tx, bdrv_child_parent_node(child));
    }
    point_at(child, to);
}

void graph_tx_set_perm(GraphTx *tx, BdrvChild *child, uint64_t perm,
                       uint64_t shared)
{
    save_edge(tx, child);
    if (child->bs) {
        graph_tx_touch(tx, child->bs);
    }
    child->perm = perm;
    child->shared_perm = shared;
}

/* The check */

/* Nodes that were visited: those whose children are, or are being. */
enum { VISITING = 1, VISITED };

static bool visit(GraphTx *tx, BlockDriverState *bs, GHashTable *nodes,
                  GError **errp)
{
    BdrvChild *child;

    if (g_hash_table_contains(nodes, bs)) {
        return true;
    }
    g_hash_table_insert(nodes, bs, GINT_TO_POINTER(VISITING));
    LIST_FOREACH(child, &bs->children, next) {
        if (g_hash_table_lookup(nodes, child->bs) ==
            GINT_TO_POINTER(VISITING)) {
            error_setg(errp, "Making '%s' a child of '%s' would create a "
                       "cycle", child->bs->node_name, bs->node_name);
            return false;
        }
        if (child->bs && !visit(tx, child->bs, nodes, errp)) {
            return false;
        }
    }
    g_hash_table_insert(nodes, bs, GINT_TO_POINTER(VISITED));
    g_ptr_array_add(tx->order, bs);
    return true;
}

/* Depth first, post-order, reversed: every node after all its parents. */
static bool sort_affected(GraphTx *tx, GError **errp)
{
    g_autoptr(GHashTable) nodes = g_hash_table_new(NULL, NULL);
    guint n;

    for (guint i = 0; i < tx->roots->len; i++) {
        if (!visit(tx, tx->roots->pdata[i], nodes, errp)) {
            return false;
        }
    }
    n = tx->order->len;
    for (guint i = 0; i < n / 2; i++) {
        gpointer tmp = tx->order->pdata[i];

        tx->order->pdata[i] = tx->order->pdata[n - 1 - i];
        tx->order->pdata[n - 1 - i] = tmp;
    }
    return true;
}

static bool check_pair(BdrvChild *a, BdrvChild *b, GError **errp)
{
    g_autofree char *names = NULL, *a_desc = NULL, *b_desc = NULL;
    uint64_t conflict = a->perm & ~b->shared_perm;

    if (!conflict) {
        return true;
    }
    names = bdrv_perm_names(conflict);
    a_desc = a->klass->parent_desc(a);
    b_desc = b->klass->parent_desc(b);
    error_setg(errp, "Permission conflict on node '%s': permissions '%s' are "
               "both required by %s (uses node '%s' as '%s' child) and "
               "unshared by %s (uses node '%s' as '%s' child).",
               a->bs->node_name, names, a_desc, a->bs->node_name, a->name,
               b_desc, b->bs->node_name, b->name);
    return false;
}

static bool check_parents(BlockDriverState *bs, GError **errp)
{
    BdrvChild *a, *b;

    LIST_FOREACH(a, &bs->parents, next_parent) {
        LIST_FOREACH(b, &bs->parents, next_parent) {
            if (a != b && !check_pair(a, b, errp)) {
                return false;
            }
        }
    }
    return true;
}

static void cumulative_perms(BlockDriverState *bs, uint64_t *perm,
                             uint64_t *shared)
{
    BdrvChild *edge;

    *perm = 0;
    *shared = BLK_PERM_ALL;
    LIST_FOREACH(edge, &bs->parents, next_parent) {
        *perm |= edge->perm;
        *shared &= edge->shared_perm;
    }
}

static void compute_children(GraphTx *tx, BlockDriverState *bs, uint64_t perm,
                             uint64_t shared)
{
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, next) {
        uint64_t nperm = 0, nshared = BLK_PERM_ALL;

        if (!child->bs) {
            continue;
        }
        if (bs->drv->bdrv_child_perm) {
            bs->drv->bdrv_child_perm(bs, child, child->role, perm, shared,
                                     &nperm, &nshared);
        } else {
            bdrv_default_perms(bs, child, child->role, perm, shared,
                               &nperm, &nshared);
        }
        if (bs->force_share) {
            nshared = BLK_PERM_ALL;
        }
        save_edge(tx, child);
        child->perm = nperm;
        child->shared_perm = nshared;
    }
}

static bool check_node(GraphTx *tx, BlockDriverState *bs, GError **errp)
{
    const uint64_t writes = BLK_PERM_WRITE | BLK_PERM_WRITE_UNCHANGED;
    uint64_t perm, shared;

    if (!check_parents(bs, errp)) {
        return false;
    }
    cumulative_perms(bs, &perm, &shared);
    if ((perm & writes) && bs->read_only) {
        error_setg(errp, "Block node '%s' is read-only", bs->node_name);
        return false;
    }
    if (bs->drv->bdrv_check_perm &&
        !bs->drv->bdrv_check_perm(bs, perm, shared, errp)) {
        return false;
    }
    compute_children(tx, bs, perm, shared);
    return true;
}

static bool check_all(GraphTx *tx, GError **errp)
{
    if (!sort_affected(tx, errp)) {
        return false;
    }
    while (tx->checked < tx->order->len) {
        if (!check_node(tx, tx->order->pdata[tx->checked], errp)) {
            return false;
        }
        tx->checked++;
    }
    return true;
}

/* The end */

static void commit(GraphTx *tx)
{
    for (guint i = 0; i < tx->order->len; i++) {
        BlockDriverState *bs = tx->order->pdata[i];
        uint64_t perm, shared;

        if (bs->drv->bdrv_set_perm) {
            cumulative_perms(bs, &perm, &shared);
            bs->drv->bdrv_set_perm(bs, perm, shared);
        }
    }
}

/* Here nothing can wait for a node to close. */
static void drop_reference(BlockDriverState *bs)
{
    if (bs && bs->refcnt > 1) {
        bs->refcnt--;
    } else if (bs) {
        bdrv_unref_later(bs);
    }
}

static void undo_edge(SavedEdge *saved)
{
    BlockDriverState *gone = saved->child->bs;

    saved->child->perm = saved->perm;
    saved->child->shared_perm = saved->shared;
    if (gone != saved->bs) {
        if (gone) {
            bdrv_ref(gone);
        }
        point_at(saved->child, saved->bs);
        drop_reference(gone);
    }
}

static void undo(GraphTx *tx)
{
    for (guint i = tx->saved->len; i-- > 0;) {
        undo_edge(&g_array_index(tx->saved, SavedEdge, i));
    }
    for (guint i = 0; i < tx->checked; i++) {
        BlockDriverState *bs = tx->order->pdata[i];

        if (bs->drv->bdrv_abort_perm_update) {
            bs->drv->bdrv_abort_perm_update(bs);
        }
    }
}

static void release_saved(GraphTx *tx)
{
    for (guint i = 0; i < tx->saved->len; i++) {
        drop_reference(g_array_index(tx->saved, SavedEdge, i).bs);
    }
}

bool graph_tx_finish(GraphTx *tx, GError **errp)
{
    bool ok = check_all(tx, errp);

    if (ok) {
        commit(tx);
    } else {
        undo(tx);
    }
    release_saved(tx);
    g_array_free(tx->saved, TRUE);
    g_ptr_array_free(tx->roots, TRUE);
    g_ptr_array_free(tx->order, TRUE);
    g_free(tx);
    return ok;
}

/* Defaults */

static void perms_for_backing(uint64_t perm, uint64_t shared,
                              uint64_t *nperm, uint64_t *nshared)
{
    *nperm = perm & BLK_PERM_CONSISTENT_READ;
    /* Whoever can live with changing data can live with a changing backing. */
    *nshared = shared & BLK_PERM_WRITE ? BLK_PERM_WRITE | BLK_PERM_RESIZE : 0;
    *nshared |= BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE_UNCHANGED;
}

static void perms_for_storage(BlockDriverState *bs, BdrvChildRole role,
                              uint64_t perm, uint64_t shared,
                              uint64_t *nperm, uint64_t *nshared)
{
    if (role & BDRV_CHILD_METADATA) {
        /* Only we know what the bookkeeping means, and we always need it. */
        perm |= BLK_PERM_CONSISTENT_READ;
        if (!bs->read_only) {
            perm |= BLK_PERM_WRITE | BLK_PERM_RESIZE;
        }
        shared &= ~(uint64_t)(BLK_PERM_WRITE | BLK_PERM_RESIZE);
    }
    if (perm & BLK_PERM_WRITE_UNCHANGED) {
        perm |= BLK_PERM_WRITE;
    }
    if (perm & BLK_PERM_WRITE) {
        perm |= BLK_PERM_RESIZE;    /* it may have to grow */
    }
    *nperm = perm;
    /* The driver relies on the size that it saw. */
    *nshared = (shared | BLK_PERM_WRITE_UNCHANGED) & ~(uint64_t)BLK_PERM_RESIZE;
}

void bdrv_default_perms(BlockDriverState *bs, BdrvChild *child,
                        BdrvChildRole role, uint64_t perm, uint64_t shared,
                        uint64_t *nperm, uint64_t *nshared)
{
    if (role & BDRV_CHILD_FILTERED) {
        *nperm = perm;
        *nshared = shared;
    } else if (role & BDRV_CHILD_COW) {
        perms_for_backing(perm, shared, nperm, nshared);
    } else {
        perms_for_storage(bs, role, perm, shared, nperm, nshared);
    }
}
