/*
 * Reopen: other options for nodes that are in use
 *
 * Everything is at rest while it happens.  First all nodes are prepared, then
 * the graph as a whole is checked with the new flags and children, then all
 * is kept or all undone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"

#include "block/graph-int.h"
#include "qapi/qapi-visit-block-core.h"

#include <jansson.h>

/* The flags that the core keeps in a node: swapped in and out as a whole. */
typedef struct NodeFlags {
    bool read_only, auto_read_only, cache_direct, cache_no_flush;
    bool force_share, unmap;
    BlockdevDetectZeroesOptions detect_zeroes;
} NodeFlags;

typedef struct ReopenEntry {
    BlockDriverState *bs;
    BlockdevOptions *options;
    NodeFlags old, new;
    BDRVReopenState state;
    bool prepared;              /* commit or abort must follow */
} ReopenEntry;

/* Children that a node names by reference and that change. */
typedef struct NewChild {
    BdrvChild *child;
    BlockDriverState *to;       /* a reference of its own */
} NewChild;

typedef struct Reopen {
    GPtrArray *entries;
    GArray *children;           /* NewChild */
} Reopen;

static NodeFlags save_flags(const BlockDriverState *bs)
{
    return (NodeFlags) {
        .read_only = bs->read_only,
        .auto_read_only = bs->auto_read_only,
        .cache_direct = bs->cache_direct,
        .cache_no_flush = bs->cache_no_flush,
        .force_share = bs->force_share,
        .unmap = bs->unmap,
        .detect_zeroes = bs->detect_zeroes,
    };
}

static void set_flags(BlockDriverState *bs, const NodeFlags *flags)
{
    bs->read_only = flags->read_only;
    bs->auto_read_only = flags->auto_read_only;
    bs->cache_direct = flags->cache_direct;
    bs->cache_no_flush = flags->cache_no_flush;
    bs->force_share = flags->force_share;
    bs->unmap = flags->unmap;
    bs->detect_zeroes = flags->detect_zeroes;
}

/* What may change */

static bool is_generic_option(const char *key)
{
    static const char *const generic[] = {
        "node-name", "discard", "cache", "read-only", "auto-read-only",
        "force-share", "detect-zeroes", NULL
    };

    return g_strv_contains(generic, key);
}

static bool may_change(const BlockDriverState *bs, const char *key)
{
    return is_generic_option(key) ||
           (bs->drv->mutable_opts &&
            g_strv_contains(bs->drv->mutable_opts, key));
}

static BdrvChild *find_child(BlockDriverState *bs, const char *name)
{
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, next) {
        if (!strcmp(child->name, name)) {
            return child;
        }
    }
    return NULL;
}

static bool add_entry(Reopen *reopen, BlockDriverState *bs,
                      const BlockdevOptions *options, GError **errp);

/* An inline child is reopened along with the node that defines it. */
static bool check_inline_child(Reopen *reopen, BdrvChild *child, json_t *value,
                               GError **errp)
{
    g_autoptr(BlockdevOptions) options =
        qapi_BlockdevOptions_from_json(value, errp);

    if (!options) {
        return false;
    }
    if (options->node_name &&
        strcmp(options->node_name, child->bs->node_name)) {
        error_setg(errp, "Cannot change the option '%s.node-name'",
                   child->name);
        return false;
    }
    return add_entry(reopen, child->bs, options, errp);
}

static bool check_not_frozen(const NewChild *change, GError **errp)
{
    BdrvChild *child = change->child;

    if (child->frozen) {
        error_setg(errp, "Cannot change '%s' link from '%s' to '%s'",
                   child->name, bdrv_child_parent_node(child)->node_name,
                   change->to->node_name);
    }
    return !child->frozen;
}

/* By now another node may go by the name that a frozen child was given. */
static bool check_child(Reopen *reopen, BdrvChild *child, json_t *old,
                        json_t *value, GError **errp)
{
    NewChild change = { .child = child };

    if (!json_is_string(value)) {
        return check_inline_child(reopen, child, value, errp);
    }
    if (child->frozen && json_equal(old, value)) {
        return true;
    }
    change.to = bdrv_lookup(json_string_value(value), errp);
    if (!change.to) {
        return false;
    }
    if (change.to != child->bs) {
        if (!check_not_frozen(&change, errp)) {
            return false;
        }
        bdrv_ref(change.to);
        g_array_append_val(reopen->children, change);
    }
    return true;
}

static bool check_option(Reopen *reopen, BlockDriverState *bs, const char *key,
                         json_t *old, json_t *new, GError **errp)
{
    BdrvChild *child = find_child(bs, key);

    if (child && new) {
        return check_child(reopen, child, old, new, errp);
    }
    if (may_change(bs, key) || (old && new && json_equal(old, new))) {
        return true;
    }
    error_setg(errp, "Cannot change the option '%s'", key);
    return false;
}

static bool check_options(Reopen *reopen, BlockDriverState *bs,
                          const BlockdevOptions *options, GError **errp)
{
    json_t *old = qapi_BlockdevOptions_to_json(bs->options);
    json_t *new = qapi_BlockdevOptions_to_json(options);
    const char *key;
    json_t *value;
    bool ok = true;

    json_object_foreach(new, key, value) {
        ok = ok && check_option(reopen, bs, key, json_object_get(old, key),
                                value, errp);
    }
    json_object_foreach(old, key, value) {
        if (ok && !json_object_get(new, key)) {
            ok = check_option(reopen, bs, key, value, NULL, errp);
        }
    }
    json_decref(old);
    json_decref(new);
    return ok;
}

static bool add_entry(Reopen *reopen, BlockDriverState *bs,
                      const BlockdevOptions *options, GError **errp)
{
    ReopenEntry *entry;

    for (guint i = 0; i < reopen->entries->len; i++) {
        if (((ReopenEntry *)reopen->entries->pdata[i])->bs == bs) {
            error_setg(errp, "Node '%s' is given twice", bs->node_name);
            return false;
        }
    }
    if (options->driver != bs->drv->type) {
        error_setg(errp, "Cannot change the option 'driver'");
        return false;
    }
    entry = g_new0(ReopenEntry, 1);
    entry->bs = bs;
    entry->options = QAPI_CLONE(BlockdevOptions, options);
    if (!entry->options->node_name && bs->options->node_name) {
        entry->options->node_name = g_strdup(bs->options->node_name);
    }
    entry->old = save_flags(bs);
    bdrv_ref(bs);
    g_ptr_array_add(reopen->entries, entry);
    return check_options(reopen, bs, options, errp);
}

/* Prepare, commit, abort */

static bool compute_flags(ReopenEntry *entry, GError **errp)
{
    BlockDriverState *bs = entry->bs;
    BdrvInherit inherit = {
        .parent = bs->inherits_from, .role = bs->inherits_role,
    };
    bool ok = bdrv_apply_generic_options(bs, entry->options,
                                         inherit.parent ? &inherit : NULL,
                                         errp);

    entry->new = save_flags(bs);
    return ok;
}

/* Each in turn, since a node may inherit from one before it. */
static bool compute_all_flags(Reopen *reopen, GError **errp)
{
    bool ok = true;

    for (guint i = 0; ok && i < reopen->entries->len; i++) {
        ok = compute_flags(reopen->entries->pdata[i], errp);
    }
    /* It takes effect all at once, in check_graph(). */
    for (guint i = 0; i < reopen->entries->len; i++) {
        ReopenEntry *entry = reopen->entries->pdata[i];

        set_flags(entry->bs, &entry->old);
    }
    return ok;
}

static BlockDriverState *file_to_be(Reopen *reopen, BlockDriverState *bs)
{
    for (guint i = 0; i < reopen->children->len; i++) {
        NewChild *change = &g_array_index(reopen->children, NewChild, i);

        if (change->child == bs->file) {
            return change->to;
        }
    }
    return bs->file ? bs->file->bs : NULL;
}

/* A read-only node has nothing to flush any more. */
static bool coroutine_fn flush_while_writable(BlockDriverState *bs,
                                              GError **errp)
{
    AioTimer deadline;
    int ret;

    bdrv_deadline_start(&deadline, bs);
    ret = bdrv_co_flush(bs);
    aio_timer_del(&deadline);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot flush node '%s' before "
                         "making it read-only", bs->node_name);
    }
    return ret >= 0;
}

static bool coroutine_fn prepare(Reopen *reopen, ReopenEntry *entry,
                                 GError **errp)
{
    BlockDriverState *bs = entry->bs;

    entry->state = (BDRVReopenState) {
        .bs = bs,
        .options = entry->options,
        .file = file_to_be(reopen, bs),
        .read_only = entry->new.read_only,
        .auto_read_only = entry->new.auto_read_only,
        .cache_direct = entry->new.cache_direct,
        .cache_no_flush = entry->new.cache_no_flush,
    };
    if (entry->new.read_only && !flush_while_writable(bs, errp)) {
        return false;
    }
    if (bs->drv->bdrv_co_reopen_prepare) {
        if (!bs->drv->bdrv_co_reopen_prepare(&entry->state, errp)) {
            return false;
        }
        entry->new.read_only = entry->state.read_only;
        entry->prepared = true;
    }
    return true;
}

static bool check_graph(Reopen *reopen, GError **errp)
{
    GraphTx *tx = graph_tx_new();

    for (guint i = 0; i < reopen->children->len; i++) {
        NewChild *change = &g_array_index(reopen->children, NewChild, i);

        graph_tx_set_bs(tx, change->child, change->to);
    }
    for (guint i = 0; i < reopen->entries->len; i++) {
        ReopenEntry *entry = reopen->entries->pdata[i];

        set_flags(entry->bs, &entry->new);
        graph_tx_touch(tx, entry->bs);
    }
    return graph_tx_finish(tx, errp);
}

static bool coroutine_fn prepare_all(Reopen *reopen, GError **errp)
{
    if (!compute_all_flags(reopen, errp)) {
        return false;
    }
    for (guint i = 0; i < reopen->entries->len; i++) {
        if (!prepare(reopen, reopen->entries->pdata[i], errp)) {
            return false;
        }
    }
    return check_graph(reopen, errp);
}

static void coroutine_fn commit(ReopenEntry *entry)
{
    BlockDriverState *bs = entry->bs;

    if (entry->prepared && bs->drv->bdrv_co_reopen_commit) {
        bs->drv->bdrv_co_reopen_commit(&entry->state);
    }
    qapi_free_BlockdevOptions(bs->options);
    bs->options = g_steal_pointer(&entry->options);
    bdrv_refresh_limits(bs);
    bdrv_co_refresh_length(bs);
}

static void coroutine_fn undo(ReopenEntry *entry)
{
    set_flags(entry->bs, &entry->old);
    if (entry->prepared && entry->bs->drv->bdrv_co_reopen_abort) {
        entry->bs->drv->bdrv_co_reopen_abort(&entry->state);
    }
}

/* How many of the entries are at rest; not all of them: an error. */
static guint coroutine_fn drain_all(GPtrArray *entries, GError **errp)
{
    guint n = 0;

    while (n < entries->len) {
        ReopenEntry *entry = entries->pdata[n];

        if (!bdrv_co_try_drained_begin(entry->bs, errp)) {
            break;
        }
        n++;
    }
    return n;
}

static bool coroutine_fn run(Reopen *reopen, GError **errp)
{
    GPtrArray *entries = reopen->entries;
    guint drained = drain_all(entries, errp);
    bool ok = false;

    if (drained == entries->len) {
        ok = prepare_all(reopen, errp);
        for (guint i = 0; i < entries->len; i++) {
            if (ok) {
                commit(entries->pdata[i]);
            } else {
                undo(entries->pdata[i]);
            }
        }
    }
    while (drained > 0) {
        ReopenEntry *entry = entries->pdata[--drained];

        bdrv_drained_end(entry->bs);
    }
    return ok;
}

static void coroutine_fn reopen_free(Reopen *reopen)
{
    for (guint i = 0; i < reopen->entries->len; i++) {
        ReopenEntry *entry = reopen->entries->pdata[i];

        bdrv_co_unref(entry->bs);
        qapi_free_BlockdevOptions(entry->options);
        g_free(entry);
    }
    for (guint i = 0; i < reopen->children->len; i++) {
        bdrv_co_unref(g_array_index(reopen->children, NewChild, i).to);
    }
    g_ptr_array_free(reopen->entries, TRUE);
    g_array_free(reopen->children, TRUE);
}

static bool add_named(Reopen *reopen, const BlockdevOptions *options,
                      GError **errp)
{
    BlockDriverState *bs;

    if (!options->node_name) {
        error_setg(errp, "node-name not specified");
        return false;
    }
    bs = bdrv_find_node(options->node_name);
    if (!bs) {
        error_setg(errp, "Failed to find node with node-name='%s'",
                   options->node_name);
        return false;
    }
    return add_entry(reopen, bs, options, errp);
}

bool coroutine_fn bdrv_co_reopen_multiple(BlockdevOptionsList *list,
                                          GError **errp)
{
    Reopen reopen = {
        .entries = g_ptr_array_new(),
        .children = g_array_new(FALSE, FALSE, sizeof(NewChild)),
    };
    bool ok = true;

    for (; list && ok; list = list->next) {
        ok = add_named(&reopen, list->value, errp);
    }
    ok = ok && run(&reopen, errp);
    reopen_free(&reopen);
    return ok;
}

/* The same options as before, but for the one flag. */
static bool add_read_only(Reopen *reopen, BlockDriverState *bs, bool read_only,
                          GError **errp)
{
    g_autoptr(BlockdevOptions) options = QAPI_CLONE(BlockdevOptions,
                                                    bs->options);
    ReopenEntry *entry = g_new0(ReopenEntry, 1);

    options->has_read_only = true;
    options->read_only = read_only;
    entry->bs = bs;
    entry->options = g_steal_pointer(&options);
    entry->old = save_flags(bs);
    bdrv_ref(bs);
    g_ptr_array_add(reopen->entries, entry);
    return !bs->file || add_read_only(reopen, bs->file->bs, read_only, errp);
}

bool coroutine_fn bdrv_co_reopen_set_read_only(BlockDriverState *bs,
                                               bool read_only, GError **errp)
{
    Reopen reopen = {
        .entries = g_ptr_array_new(),
        .children = g_array_new(FALSE, FALSE, sizeof(NewChild)),
    };
    bool ok = add_read_only(&reopen, bs, read_only, errp) &&
              run(&reopen, errp);

    reopen_free(&reopen);
    return ok;
}
