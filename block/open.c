/*
 * Opening nodes
 *
 * A node takes the generic options itself, hands the rest to its driver and
 * joins the graph only when it is whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph-int.h"

#include "block/probe.h"

#include "qapi/qapi-visit-block-core.h"
#include "util/trace.h"
#include "util/aio.h"

static const BlockDriver *const no_drivers[] = { NULL };
static const BlockDriver *const *all_drivers = no_drivers;

void bdrv_register_drivers(const BlockDriver *const *drivers)
{
    all_drivers = drivers;
}

const BlockDriver *bdrv_find_driver(const char *name)
{
    for (int i = 0; all_drivers[i]; i++) {
        if (!strcmp(all_drivers[i]->format_name, name)) {
            return all_drivers[i];
        }
    }
    return NULL;
}

/* Generic options */

static void inherit_defaults(BlockDriverState *bs, const BdrvInherit *inherit)
{
    const BlockDriverState *parent;

    if (!inherit) {
        return;
    }
    parent = inherit->parent;
    bs->read_only = parent->read_only || (inherit->role & BDRV_CHILD_COW);
    bs->auto_read_only = parent->auto_read_only;
    bs->cache_direct = parent->cache_direct;
    bs->cache_no_flush = parent->cache_no_flush;
    bs->force_share = parent->force_share;
    /* The parent decides what is discarded; its storage obeys. */
    bs->unmap = !(inherit->role & BDRV_CHILD_COW);
}

bool bdrv_apply_generic_options(BlockDriverState *bs,
                                const BlockdevOptions *o,
                                const BdrvInherit *inherit, GError **errp)
{
    bs->read_only = bs->auto_read_only = false;
    bs->cache_direct = bs->cache_no_flush = bs->force_share = false;
    bs->unmap = false;
    bs->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    inherit_defaults(bs, inherit);

    if (o->has_read_only) {
        bs->read_only = o->read_only;
    }
    if (o->has_auto_read_only) {
        bs->auto_read_only = o->auto_read_only;
    }
    if (o->has_force_share) {
        bs->force_share = o->force_share;
    }
    if (o->has_discard) {
        bs->unmap = o->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
    }
    if (o->has_detect_zeroes) {
        bs->detect_zeroes = o->detect_zeroes;
    }
    if (o->cache && o->cache->has_direct) {
        bs->cache_direct = o->cache->direct;
    }
    if (o->cache && o->cache->has_no_flush) {
        bs->cache_no_flush = o->cache->no_flush;
    }

    if (bs->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP &&
        !bs->unmap) {
        error_setg(errp, "setting detect-zeroes to unmap is not allowed "
                   "without setting discard operation to unmap");
        return false;
    }
    if (bs->force_share && !bs->read_only) {
        error_setg(errp,
                   "force-share=on can only be used with read-only images");
        return false;
    }
    return true;
}

/* Nodes */

static bool assign_name(BlockGraph *graph, BlockDriverState *bs,
                        const char *name, GError **errp)
{
    if (!name) {
        do {
            g_snprintf(bs->node_name, sizeof(bs->node_name),
                       "#block%03" PRIu64, graph->generated_names++);
        } while (bdrv_find_node(bs->node_name));
        return true;
    }
    if (!bdrv_name_is_wellformed(name)) {
        error_setg(errp, "Invalid node-name: '%s'", name);
        return false;
    }
    if (strlen(name) >= sizeof(bs->node_name)) {
        error_setg(errp, "Node name too long: '%s' (at most %zu characters)",
                   name, sizeof(bs->node_name) - 1);
        return false;
    }
    if (!bdrv_name_is_free(name, errp)) {
        return false;
    }
    g_strlcpy(bs->node_name, name, sizeof(bs->node_name));
    return true;
}

static BlockDriverState *node_new(const BlockDriver *drv,
                                  const BlockdevOptions *options,
                                  GError **errp)
{
    BlockGraph *graph = block_graph();
    BlockDriverState *bs = g_new0(BlockDriverState, 1);

    if (!assign_name(graph, bs, options->node_name, errp)) {
        g_free(bs);
        return NULL;
    }
    bs->drv = drv;
    bs->ctx = aio_get_current();
    bs->graph = graph;
    bs->opaque = g_malloc0(drv->instance_size);
    bs->options = QAPI_CLONE(BlockdevOptions, options);
    bs->refcnt = 1;
    bs->total_bytes = -ENOMEDIUM;
    bs->bl.request_alignment = 1;
    LIST_INIT(&bs->children);
    LIST_INIT(&bs->parents);
    LIST_INIT(&bs->before_write_notifiers);
    co_queue_init(&bs->flush_queue);
    TAILQ_INSERT_TAIL(&graph->nodes, bs, node_list);
    return bs;
}

static bool coroutine_fn open_driver(BlockDriverState *bs, GError **errp)
{
    int ret;

    if (!bs->drv->bdrv_co_open(bs, bs->options, errp)) {
        return false;
    }
    g_assert(bs->file || !bs->drv->is_filter);
    ret = bdrv_co_refresh_length(bs);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot get the length of node '%s'",
                         bs->node_name);
        return false;
    }
    bdrv_refresh_limits(bs);
    return true;
}

static BlockDriverState *coroutine_fn
open_node(const BlockDriver *drv, const BlockdevOptions *options,
          const BdrvInherit *inherit, GError **errp)
{
    BlockDriverState *bs = node_new(drv, options, errp);

    if (!bs) {
        return NULL;
    }
    if (inherit) {
        bs->inherits_from = inherit->parent;
        bs->inherits_role = inherit->role;
    }
    trace_event(bdrv_open, "node '%s' driver %s", bs->node_name,
                drv->format_name);
    if (!bdrv_apply_generic_options(bs, options, inherit, errp) ||
        !open_driver(bs, errp)) {
        bs->total_bytes = -ENOMEDIUM;
        bdrv_co_unref(bs);
        return NULL;
    }
    return bs;
}

BlockDriverState *coroutine_fn bdrv_co_new_filter(const BlockDriver *drv,
                                                  BlockDriverState *bs,
                                                  GError **errp)
{
    BlockdevRef file = {
        .type = QTYPE_QSTRING, .u.reference = bs->node_name,
    };
    const BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_RAW, .u.raw.file = &file,
    };

    g_assert(drv->is_filter);
    return open_node(drv, &options, NULL, errp);
}

BlockDriverState *coroutine_fn
bdrv_co_open_inherit(const BlockdevOptions *options,
                     const BdrvInherit *inherit, GError **errp)
{
    const char *name = BlockdevDriver_str(options->driver);
    const BlockDriver *drv = bdrv_find_driver(name);

    if (!drv) {
        error_setg(errp, "Unknown driver '%s'", name);
        return NULL;
    }
    return open_node(drv, options, inherit, errp);
}

BlockDriverState *coroutine_fn bdrv_co_open(const BlockdevOptions *options,
                                            GError **errp)
{
    return bdrv_co_open_inherit(options, NULL, errp);
}

/* Children */

BdrvChild *coroutine_fn bdrv_co_open_child(BlockDriverState *parent,
                                           const BlockdevRef *ref,
                                           const char *name,
                                           BdrvChildRole role, GError **errp)
{
    BdrvInherit inherit = { .parent = parent, .role = role };
    BlockDriverState *bs;
    BdrvChild *child;

    if (ref->type == QTYPE_QSTRING) {
        bs = bdrv_lookup(ref->u.reference, errp);
        if (bs) {
            bdrv_ref(bs);
        }
    } else {
        bs = bdrv_co_open_inherit(&ref->u.definition, &inherit, errp);
    }
    if (!bs) {
        return NULL;
    }
    child = bdrv_co_attach_child(parent, bs, name, role, errp);
    bdrv_co_unref(bs);
    return child;
}

bool coroutine_fn bdrv_co_open_file_child(BlockDriverState *parent,
                                          const BlockdevRef *ref,
                                          GError **errp)
{
    BdrvChildRole role = parent->drv->is_filter ?
        BDRV_CHILD_FILTERED | BDRV_CHILD_PRIMARY :
        BDRV_CHILD_DATA | BDRV_CHILD_METADATA | BDRV_CHILD_PRIMARY;

    return bdrv_co_open_child(parent, ref, "file", role, errp) != NULL;
}

/* Probing */

static const char *coroutine_fn probe_node(BlockDriverState *file, int *ret)
{
    g_autofree uint8_t *buf = g_malloc0(BDRV_PROBE_BYTES);
    BdrvChild edge = { .bs = file, .perm = BLK_PERM_CONSISTENT_READ };
    int64_t bytes = MIN(file->total_bytes, BDRV_PROBE_BYTES);
    AioTimer deadline;

    bdrv_deadline_start(&deadline, file);
    *ret = bytes ? bdrv_co_pread(&edge, 0, bytes, buf, 0) : 0;
    aio_timer_del(&deadline);
    return *ret < 0 ? NULL : bdrv_probe_format(buf, bytes);
}

static void warn_about_raw(BlockDriverState *file)
{
    g_autofree char *filename = bdrv_filename(file);

    warn_report("Image format was not specified for '%s' and probing guessed "
                "raw.", filename);
    info_report("         Automatically detecting the format is dangerous for "
                "raw images, write operations on block 0 will be restricted.");
    info_report("         Specify the 'raw' format explicitly to remove the "
                "restrictions.");
}

BlockDriverState *coroutine_fn
bdrv_co_open_probed(BlockDriverState *file, const BlockdevOptions *options,
                    GError **errp)
{
    BlockDriverState *bs;
    int ret;
    const char *format = probe_node(file, &ret);

    if (!format) {
        error_setg_errno(errp, -ret, "Could not read node '%s' for determining "
                         "its format", file->node_name);
        return NULL;
    }
    if (strcmp(format, "raw")) {
        error_setg(errp, "Node '%s' holds an image of format '%s', which has "
                   "no driver here; give format=raw to use it as it is",
                   file->node_name, format);
        return NULL;
    }

    bs = bdrv_co_open(options, errp);
    if (bs) {
        bs->probed = true;
        if (!bs->read_only) {
            warn_about_raw(file);
        }
    }
    return bs;
}
