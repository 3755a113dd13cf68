/*
 * Opening the tree of a -drive's nodes
 *
 * What is left to probing is opened from the bottom up, each image on its
 * own, and then stands in the tree by its name.  Files that turn out to be
 * devices get the driver for those.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include <sys/stat.h>

#include "block/graph.h"
#include "qapi/qapi-visit-block-core.h"
#include "util/thread-pool.h"

/* In a worker thread */
static int is_device(void *opaque)
{
    struct stat st;

    return stat(opaque, &st) == 0 &&
           (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode));
}

static void coroutine_fn co_choose_driver(json_t *node)
{
    const char *driver = json_string_value(json_object_get(node, "driver"));
    const char *filename = json_string_value(json_object_get(node,
                                                             "filename"));

    if (driver && filename && g_str_equal(driver, "file") &&
        thread_pool_submit_co(is_device, (char *)filename)) {
        json_object_set_new(node, "driver", json_string("host_device"));
    }
}

static BlockDriverState *coroutine_fn co_open_file(json_t *file,
                                                   GError **errp)
{
    g_autoptr(BlockdevOptions) options = NULL;
    BlockDriverState *bs;

    if (json_is_string(file)) {
        bs = bdrv_lookup(json_string_value(file), errp);
        if (bs) {
            bdrv_ref(bs);
        }
        return bs;
    }
    options = qapi_BlockdevOptions_from_keyval(file, errp);
    return options ? bdrv_co_open(options, errp) : NULL;
}

/*
 * Open what @tree's file names and find out what it holds.  Only raw can come
 * of that, so its options are welcome.
 */
static BlockDriverState *coroutine_fn co_open_probed(json_t *tree,
                                                     GError **errp)
{
    g_autoptr(BlockdevOptions) options = NULL;
    BlockDriverState *file = co_open_file(json_object_get(tree, "file"), errp);
    BlockDriverState *bs = NULL;

    if (!file) {
        return NULL;
    }
    json_object_set_new(tree, "file", json_string(bdrv_node_name(file)));
    json_object_set_new(tree, "driver", json_string("raw"));
    options = qapi_BlockdevOptions_from_keyval(tree, errp);
    if (options) {
        bs = bdrv_co_open_probed(file, options, errp);
    }
    bdrv_co_unref(file);
    return bs;
}

typedef struct Opening {
    GPtrArray *images;          /* BlockDriverStates in place of their nodes */
    GError **errp;
} Opening;

static json_t *coroutine_fn co_open_below(json_t *child, json_t *parent,
                                          const char *name, void *opaque)
{
    Opening *opening = opaque;
    BlockDriverState *bs;

    if (!node_tree_map(child, co_open_below, opening)) {
        return NULL;
    }
    if (json_object_get(child, "driver")) {
        co_choose_driver(child);
        return json_incref(child);
    }
    bs = co_open_probed(child, opening->errp);
    if (!bs) {
        return NULL;
    }
    g_ptr_array_add(opening->images, bs);
    return json_string(bdrv_node_name(bs));
}

static BlockDriverState *coroutine_fn co_open_root(json_t *node,
                                                   GError **errp)
{
    g_autoptr(BlockdevOptions) options = NULL;

    if (!json_object_get(node, "driver")) {
        return co_open_probed(node, errp);
    }
    co_choose_driver(node);
    options = qapi_BlockdevOptions_from_keyval(node, errp);
    return options ? bdrv_co_open(options, errp) : NULL;
}

BlockDriverState *coroutine_fn node_tree_co_open(json_t *node, GError **errp)
{
    g_autoptr(GPtrArray) images = g_ptr_array_new();
    Opening opening = { .images = images, .errp = errp };
    BlockDriverState *bs = NULL;
    guint i;

    if (node_tree_map(node, co_open_below, &opening)) {
        bs = co_open_root(node, errp);
    }
    for (i = 0; i < images->len; i++) {
        bdrv_co_unref(g_ptr_array_index(images, i));
    }
    return bs;
}
