/*
 * Nodes that belong to the monitor: blockdev-add and blockdev-del
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"

#include "block/graph-int.h"
#include "util/aio.h"

/* How long a command that has just answered may need to let go of a node. */
#define LET_GO_MS 1000

bool coroutine_fn bdrv_co_monitor_add(const BlockdevOptions *options,
                                      GError **errp)
{
    BlockDriverState *bs;

    GRAPH_COMMAND_GUARD();
    if (!options->node_name) {
        error_setg(errp, "'node-name' must be specified for the root node");
        return false;
    }
    bs = bdrv_co_open(options, errp);
    if (!bs) {
        return false;
    }
    bs->monitor_owned = true;
    return true;
}

static char *describe_users(BlockDriverState *bs)
{
    GString *str = g_string_new(NULL);
    BdrvChild *edge;

    LIST_FOREACH(edge, &bs->parents, next_parent) {
        g_autofree char *desc = edge->klass->parent_desc(edge);

        g_string_append_printf(str, "%s%s", str->len ? ", " : "", desc);
    }
    return g_string_free(str, FALSE);
}

/*
 * Nobody is above the node, but somebody holds it besides the monitor and us:
 * what a command has started and not waited for, such as the note that a
 * replicated disk is consistent.
 */
static void coroutine_fn wait_until_let_go(BlockDriverState *bs)
{
    int ms;

    for (ms = 0; ms < LET_GO_MS && bs->refcnt > 2 &&
         LIST_EMPTY(&bs->parents); ms++) {
        co_sleep_ns(SCALE_MS);
    }
}

static bool check_owned(BlockDriverState *bs, GError **errp)
{
    if (!bs->monitor_owned) {
        error_setg(errp, "Node %s is not owned by the monitor",
                   bs->node_name);
    }
    return bs->monitor_owned;
}

/* @bs is referenced by the caller. */
static bool coroutine_fn monitor_let_go(BlockDriverState *bs, GError **errp)
{
    if (!check_owned(bs, errp)) {
        return false;
    }
    wait_until_let_go(bs);
    /* Meanwhile all may have been closed. */
    if (!check_owned(bs, errp)) {
        return false;
    }
    if (bs->refcnt > 2) {
        g_autofree char *users = describe_users(bs);

        error_setg(errp, "Block device %s is in use%s%s", bs->node_name,
                   *users ? " by " : "", users);
        return false;
    }
    bs->monitor_owned = false;
    bdrv_co_unref(bs);
    return true;
}

bool coroutine_fn bdrv_co_monitor_del(const char *node_name, GError **errp)
{
    BlockDriverState *bs;
    bool ok;

    GRAPH_COMMAND_GUARD();
    bs = bdrv_find_node(node_name);
    if (!bs) {
        error_setg(errp, "Failed to find node with node-name='%s'", node_name);
        return false;
    }
    bdrv_ref(bs);
    ok = monitor_let_go(bs, errp);
    bdrv_co_unref(bs);
    return ok;
}
