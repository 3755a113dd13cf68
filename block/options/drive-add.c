/*
 * Making and removing drives
 *
 * A drive is a named BlockBackend that owns nothing but its name, its limits
 * and a reference to the root node: who uses the node (a guest export, a
 * quorum above it) takes the permissions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include "block/block-backend.h"
#include "block/driver.h"
#include "block/graph.h"
#include "block/keyval.h"
#include "block/throttle-group.h"
#include "qapi/qapi-visit-block-core.h"

BlockdevOptions *blockdev_options_parse(const char *arg, GError **errp)
{
    BlockdevOptions *options;
    bool is_json;
    json_t *tree = keyval_or_json_parse(arg, "driver", &is_json, NULL, errp);

    if (!tree) {
        return NULL;
    }
    options = is_json ? qapi_BlockdevOptions_from_json(tree, errp)
                      : qapi_BlockdevOptions_from_keyval(tree, errp);
    json_decref(tree);
    return options;
}

/* Give @blk the limits of @spec, the drive's name being its default group. */
static bool apply_throttle(const DriveSpec *spec, BlockBackend *blk,
                           GError **errp)
{
    g_autoptr(BlockIOThrottle) limits = NULL;
    ThrottleConfig cfg;

    if (!spec->throttle) {
        return true;
    }
    limits = qapi_BlockIOThrottle_from_keyval(spec->throttle, errp);
    if (!limits) {
        return false;
    }
    throttle_config_init(&cfg);
    throttle_config_from_io_throttle(&cfg, limits);
    return blk_throttle_set(blk, limits->group ?: spec->id, &cfg, errp);
}

static bool coroutine_fn drive_co_open(DriveSpec *spec, BlockBackend *blk,
                                       GError **errp)
{
    BlockDriverState *bs;
    bool ok;

    if (spec->node) {
        bs = node_tree_co_open(spec->node, errp);
        if (!bs) {
            return false;
        }
        ok = blk_co_insert_bs(blk, bs, errp);
        bdrv_co_unref(bs);
        if (!ok) {
            return false;
        }
    }
    /* Last, since the node's name may be the id. */
    if (!blk_set_name(blk, spec->id, errp)) {
        return false;
    }
    blk_set_interface(blk, spec->interface);
    blk_set_enable_write_cache(blk, !spec->writethrough);
    return apply_throttle(spec, blk, errp);
}

const DriveInfo *coroutine_fn drive_co_add(const char *optstr, bool hotplug,
                                           GError **errp)
{
    g_autoptr(DriveSpec) spec = drive_spec_parse(optstr, errp);
    BlockBackend *blk;

    if (!spec) {
        return NULL;
    }
    if (hotplug && !g_str_equal(spec->interface, "none")) {
        error_setg(errp, "Can't hot-add drive to type %s", spec->interface);
        return NULL;
    }

    GRAPH_COMMAND_GUARD();
    if (!drive_spec_place(spec, errp)) {
        return NULL;
    }
    blk = blk_new(0, BLK_PERM_ALL);
    if (!drive_co_open(spec, blk, errp)) {
        blk_co_unref(blk);
        return NULL;
    }
    drive_info_add(spec);
    return drive_info_find(spec->id);
}

/* The keys of -drive that are not about a node mean nothing here. */
bool coroutine_fn drive_co_add_node(const char *optstr, GError **errp)
{
    g_autoptr(DriveSpec) spec = drive_spec_parse(optstr, errp);
    BlockDriverState *bs;

    if (!spec) {
        return false;
    }
    if (spec->id || spec->throttle || !g_str_equal(spec->interface, "none")) {
        error_setg(errp, "'id', 'if' and throttling are for drives, "
                   "not for nodes");
        return false;
    }
    if (!spec->node || !json_object_get(spec->node, "node-name")) {
        error_setg(errp, "'node-name' needs to be specified");
        return false;
    }

    GRAPH_COMMAND_GUARD();
    bs = node_tree_co_open(spec->node, errp);
    if (!bs) {
        return false;
    }
    bs->monitor_owned = true;
    return true;
}

bool coroutine_fn drive_co_del(const char *id, GError **errp)
{
    BlockBackend *blk;

    if (!blk_by_name(id) && bdrv_find_node(id)) {
        return bdrv_co_monitor_del(id, errp);
    }
    GRAPH_COMMAND_GUARD();
    blk = blk_by_name(id);
    if (!blk) {
        error_setg(errp, "Device '%s' not found", id);
        return false;
    }
    drive_info_del(id);
    blk_co_delete_named(blk);
    return true;
}

static BlockBackend *first_drive(void)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_next(blk)) && !drive_info_find(blk_name(blk))) {
        /* somebody else's */
    }
    return blk;
}

void coroutine_fn drive_co_close_all(void)
{
    BlockBackend *blk;

    GRAPH_COMMAND_GUARD();
    while ((blk = first_drive())) {
        drive_info_del(blk_name(blk));
        blk_co_delete_named(blk);
    }
}
