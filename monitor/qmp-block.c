/*
 * QMP: commands on nodes and drives
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/block-backend.h"
#include "block/driver.h"
#include "block/graph.h"
#include "block/throttle-group.h"
#include "qapi/qapi-commands-block-core.h"

/* Nodes */

void qmp_blockdev_add(BlockdevOptions *options, GError **errp)
{
    bdrv_co_monitor_add(options, errp);
}

void qmp_blockdev_del(const char *node_name, GError **errp)
{
    bdrv_co_monitor_del(node_name, errp);
}

void qmp_blockdev_reopen(BlockdevOptionsList *options, GError **errp)
{
    GRAPH_COMMAND_GUARD();

    bdrv_co_reopen_multiple(options, errp);
}

static bool has_child(const BlockDriverState *bs, const char *name)
{
    BdrvChild *edge;

    LIST_FOREACH(edge, &bs->children, next) {
        if (g_str_equal(edge->name, name)) {
            return true;
        }
    }
    return false;
}

void qmp_x_blockdev_change(const char *parent, const char *child,
                           const char *node, GError **errp)
{
    BlockDriverState *parent_bs, *node_bs;

    GRAPH_COMMAND_GUARD();

    parent_bs = bdrv_lookup(parent, errp);
    if (!parent_bs) {
        return;
    }
    if (!child == !node) {
        error_setg(errp, child
                   ? "The parameters child and node are in conflict"
                   : "Either child or node must be specified");
        return;
    }
    if (child && !has_child(parent_bs, child)) {
        error_setg(errp, "Node '%s' does not have child '%s'", parent, child);
        return;
    }
    if (child) {
        bdrv_co_del_child(parent_bs, child, errp);
        return;
    }
    node_bs = bdrv_find_node(node);
    if (!node_bs) {
        error_setg(errp, "Node '%s' not found", node);
        return;
    }
    bdrv_co_add_child(parent_bs, node_bs, errp);
}

static bool coroutine_fn resize(BlockDriverState *bs, int64_t size,
                                GError **errp)
{
    BlockBackend *blk = blk_new(BLK_PERM_RESIZE, BLK_PERM_ALL);
    bool ok = blk_co_insert_bs(blk, bs, errp) &&
              blk_co_truncate(blk, size, PREALLOC_MODE_OFF, errp);

    blk_co_unref(blk);
    return ok;
}

void qmp_block_resize(const char *device, const char *node_name, int64_t size,
                      GError **errp)
{
    BlockDriverState *bs;

    GRAPH_COMMAND_GUARD();

    if (!device == !node_name) {
        error_setg(errp, "Need exactly one of 'device' and 'node-name'");
        return;
    }
    bs = bdrv_lookup(device ? device : node_name, errp);
    if (!bs) {
        return;
    }
    if (size < 0) {
        error_setg(errp, "Parameter 'size' expects a >0 size");
        return;
    }
    resize(bs, size, errp);
}

/* Backends: drives by id, others by their user */

static BlockBackend *backend_find(const char *id, GError **errp)
{
    BlockBackend *blk = blk_by_name(id);

    if (blk) {
        return blk;
    }
    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (g_strcmp0(blk_user(blk), id) == 0) {
            return blk;
        }
    }
    error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                    "Device '%s' not found", id);
    return NULL;
}

void qmp_block_set_io_throttle(BlockIOThrottle *arg, GError **errp)
{
    const char *id = arg->id ? arg->id : arg->device;
    ThrottleConfig cfg;
    BlockDriverState *bs;
    BlockBackend *blk;

    GRAPH_COMMAND_GUARD();

    if (!arg->device == !arg->id) {
        error_setg(errp, "Need exactly one of 'device' and 'id'");
        return;
    }
    blk = backend_find(id, errp);
    if (!blk) {
        return;
    }
    bs = blk_bs(blk);
    if (!bs) {
        error_setg(errp, "Device '%s' has no medium", id);
        return;
    }

    throttle_config_from_io_throttle(&cfg, arg);
    blk_ref(blk);
    bdrv_ref(bs);
    if (bdrv_co_try_drained_begin(bs, errp)) {
        blk_throttle_set(blk, arg->group ? arg->group : id, &cfg, errp);
        bdrv_drained_end(bs);
    }
    bdrv_co_unref(bs);
    blk_co_unref(blk);
}

/* Histograms */

typedef struct HistogramArgs {
    const uint64List *of_type[BLOCK_ACCT_MAX];  /* NULL: leave as it is */
} HistogramArgs;

static bool set_histogram(BlockAcctStats *stats, BlockAcctType type,
                          const uint64List *list)
{
    g_autoptr(GArray) a = g_array_new(false, false, sizeof(uint64_t));

    if (!list) {
        return true;
    }
    for (; list; list = list->next) {
        g_array_append_val(a, list->value);
    }
    return block_latency_histogram_set(stats, type, (uint64_t *)a->data,
                                       a->len);
}

static bool set_histograms(BlockAcctStats *stats, const HistogramArgs *args,
                           BlockAcctType *failed)
{
    for (int type = 0; type < BLOCK_ACCT_MAX; type++) {
        if (!set_histogram(stats, type, args->of_type[type])) {
            *failed = type;
            return false;
        }
    }
    return true;
}

void qmp_block_latency_histogram_set(const char *id, uint64List *boundaries,
                                     uint64List *boundaries_read,
                                     uint64List *boundaries_write,
                                     uint64List *boundaries_flush,
                                     GError **errp)
{
    static const char *const names[BLOCK_ACCT_MAX] = {
        [BLOCK_ACCT_READ] = "read",
        [BLOCK_ACCT_WRITE] = "write",
        [BLOCK_ACCT_FLUSH] = "flush",
    };
    HistogramArgs args = { .of_type = {
        [BLOCK_ACCT_READ] = boundaries_read ? boundaries_read : boundaries,
        [BLOCK_ACCT_WRITE] = boundaries_write ? boundaries_write : boundaries,
        [BLOCK_ACCT_FLUSH] = boundaries_flush ? boundaries_flush : boundaries,
    } };
    BlockAcctStats rehearsal = { .last_access_ns = 0 };
    BlockAcctType failed = BLOCK_ACCT_READ;
    BlockBackend *blk = backend_find(id, errp);
    bool ok;

    if (!blk) {
        return;
    }
    if (!boundaries && !boundaries_read && !boundaries_write &&
        !boundaries_flush) {
        block_latency_histograms_clear(blk_stats(blk));
        return;
    }
    /* All of them or none: try on nobody's statistics first. */
    ok = set_histograms(&rehearsal, &args, &failed);
    block_latency_histograms_clear(&rehearsal);
    if (!ok) {
        error_setg(errp, "Device '%s' set %s boundaries fail", id,
                   names[failed]);
        return;
    }
    set_histograms(blk_stats(blk), &args, &failed);
}
