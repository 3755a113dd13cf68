/*
 * QMP: information about nodes and drives
 *
 * Asking a node may yield, so everything that is listed is referenced first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/block-info.h"
#include "block/driver.h"
#include "block/graph.h"
#include "qapi/qapi-commands-block-core.h"

/* Backends: drives first, then what else has a user */

static GPtrArray *backends_ref(bool drives_only)
{
    GPtrArray *a = g_ptr_array_new();

    for (BlockBackend *blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (*blk_name(blk) || (!drives_only && blk_user(blk))) {
            blk_ref(blk);
            g_ptr_array_add(a, blk);
        }
    }
    return a;
}

static void coroutine_fn backends_co_unref(GPtrArray *a)
{
    for (guint i = 0; i < a->len; i++) {
        blk_co_unref(a->pdata[i]);
    }
    g_ptr_array_free(a, true);
}

/* Nodes */

static void node_ref(BlockDriverState *bs, void *opaque)
{
    bdrv_ref(bs);
    g_ptr_array_add(opaque, bs);
}

static GPtrArray *nodes_ref(void)
{
    GPtrArray *a = g_ptr_array_new();

    bdrv_foreach_node(node_ref, a);
    return a;
}

static void coroutine_fn nodes_co_unref(GPtrArray *a)
{
    for (guint i = 0; i < a->len; i++) {
        bdrv_co_unref(a->pdata[i]);
    }
    g_ptr_array_free(a, true);
}

/* Commands */

BlockInfoList *qmp_query_block(GError **errp)
{
    GPtrArray *blks = backends_ref(true);
    BlockInfoList *list = NULL, **tail = &list;

    for (guint i = 0; i < blks->len; i++) {
        *tail = g_new0(BlockInfoList, 1);
        (*tail)->value = blk_block_info(blks->pdata[i]);
        tail = &(*tail)->next;
    }
    backends_co_unref(blks);
    return list;
}

BlockDeviceInfoList *qmp_query_named_block_nodes(bool has_flat, bool flat,
                                                 GError **errp)
{
    GPtrArray *nodes = nodes_ref();
    BlockDeviceInfoList *list = NULL, **tail = &list;

    for (guint i = 0; i < nodes->len; i++) {
        *tail = g_new0(BlockDeviceInfoList, 1);
        (*tail)->value = bdrv_block_device_info(NULL, nodes->pdata[i],
                                                has_flat && flat);
        tail = &(*tail)->next;
    }
    nodes_co_unref(nodes);
    return list;
}

static BlockStatsList *coroutine_fn query_node_stats(void)
{
    GPtrArray *nodes = nodes_ref();
    BlockStatsList *list = NULL, **tail = &list;

    for (guint i = 0; i < nodes->len; i++) {
        *tail = g_new0(BlockStatsList, 1);
        (*tail)->value = bdrv_block_stats(nodes->pdata[i]);
        tail = &(*tail)->next;
    }
    nodes_co_unref(nodes);
    return list;
}

BlockStatsList *qmp_query_blockstats(bool has_query_nodes, bool query_nodes,
                                     GError **errp)
{
    BlockStatsList *list = NULL, **tail = &list;
    GPtrArray *blks;

    if (has_query_nodes && query_nodes) {
        return query_node_stats();
    }
    blks = backends_ref(false);
    for (guint i = 0; i < blks->len; i++) {
        *tail = g_new0(BlockStatsList, 1);
        (*tail)->value = blk_block_stats(blks->pdata[i]);
        tail = &(*tail)->next;
    }
    backends_co_unref(blks);
    return list;
}
