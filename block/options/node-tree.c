/*
 * The tree of a -drive's nodes, with everything implied written out
 *
 * A tree is nested dicts of strings in the shape of BlockdevOptions.  What a
 * user may leave out: the driver of a node that stores bytes (file, or
 * host_device for a device), that of an image, which is then probed, and
 * NBD's server.* where host= and port= say it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

/* How a child's missing driver is found. */
typedef enum ChildKind {
    CHILD_PROTOCOL,             /* from its filename */
    CHILD_IMAGE,                /* by probing its file */
} ChildKind;

static const char *const child_names[] = {
    "file", "image", "backing", "children", "target", "test", "log",
    "data-file", "fallback",
};

static const char *get_str(json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

/* As in QEMU a filter's file, too, is not probed. */
static ChildKind child_kind(const char *name)
{
    return g_str_equal(name, "image") || g_str_equal(name, "file") ||
           g_str_equal(name, "data-file") ? CHILD_PROTOCOL : CHILD_IMAGE;
}

/* Set the missing driver of the child node @node, called @path by the user. */
static bool imply_driver(json_t *node, const char *path, ChildKind kind,
                         GError **errp)
{
    const char *filename = get_str(node, "filename");
    json_t *from_name;

    if (get_str(node, "driver")) {
        return true;
    }
    if (kind == CHILD_IMAGE) {
        if (!json_object_get(node, "file")) {
            error_setg(errp, "Must specify either '%s.driver' or '%s.file'",
                       path, path);
            return false;
        }
        return true;
    }
    if (!filename) {
        error_setg(errp, "Must specify either '%s.driver' or '%s.filename'",
                   path, path);
        return false;
    }
    /* An explicit filename key is a path, whatever it begins with. */
    if (filename[strcspn(filename, ":/")] == ':') {
        json_object_set_new(node, "driver", json_string("file"));
        return true;
    }
    from_name = filename_parse(filename, NULL, errp);
    if (!from_name) {
        return false;
    }
    json_object_update_missing(node, from_name);
    json_decref(from_name);
    return true;
}

static bool complete_node(json_t *node, const char *path, GError **errp);

static bool complete_child(json_t *child, const char *path, ChildKind kind,
                           GError **errp)
{
    size_t i;
    json_t *member;

    if (json_is_array(child)) {
        json_array_foreach(child, i, member) {
            g_autofree char *sub = g_strdup_printf("%s.%zu", path, i);

            if (!complete_child(member, sub, kind, errp)) {
                return false;
            }
        }
        return true;
    }
    if (!json_is_object(child)) {
        return true;            /* a reference */
    }
    return imply_driver(child, path, kind, errp) &&
           complete_node(child, path, errp);
}

static bool complete_node(json_t *node, const char *path, GError **errp)
{
    const char *driver = get_str(node, "driver");
    const char *backing = get_str(node, "backing");
    size_t i;

    if (driver && g_str_equal(driver, "nbd") &&
        !nbd_legacy_keys(node, errp)) {
        return false;
    }
    if (backing && !backing[0]) {
        json_object_set_new(node, "backing", json_null());
    }
    for (i = 0; i < ARRAY_SIZE(child_names); i++) {
        const char *name = child_names[i];
        json_t *child = json_object_get(node, name);
        g_autofree char *sub = g_strdup_printf("%s%s%s", path,
                                               path[0] ? "." : "", name);

        if (child && !complete_child(child, sub, child_kind(name),
                                     errp)) {
            return false;
        }
    }
    return true;
}

bool node_tree_complete(json_t *node, GError **errp)
{
    if (!get_str(node, "driver") && !json_object_get(node, "file")) {
        error_setg(errp, "Must specify either driver or file");
        return false;
    }
    return complete_node(node, "", errp);
}

void node_tree_set_aio(json_t *node, const char *aio)
{
    const char *driver;
    json_t *member;
    size_t i;

    if (json_is_array(node)) {
        json_array_foreach(node, i, member) {
            node_tree_set_aio(member, aio);
        }
        return;
    }
    if (!json_is_object(node)) {
        return;                 /* a reference, or no such child */
    }

    driver = get_str(node, "driver");
    if (driver && !json_object_get(node, "aio") &&
        (g_str_equal(driver, "file") || g_str_equal(driver, "host_device"))) {
        json_object_set_new(node, "aio", json_string(aio));
    }
    for (i = 0; i < ARRAY_SIZE(child_names); i++) {
        node_tree_set_aio(json_object_get(node, child_names[i]), aio);
    }
}

/* Copy @key of @from to @to unless @to has its own. */
static void inherit(json_t *to, json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);

    if (value && !json_object_get(to, key)) {
        json_object_set(to, key, value);
    }
}

bool node_tree_map(json_t *node, NodeTreeMap *fn, void *opaque)
{
    size_t i, j;

    for (i = 0; i < ARRAY_SIZE(child_names); i++) {
        json_t *child = json_object_get(node, child_names[i]);
        json_t *member, *mapped;

        if (json_is_object(child)) {
            mapped = fn(child, node, child_names[i], opaque);
            if (!mapped) {
                return false;
            }
            json_object_set_new(node, child_names[i], mapped);
            continue;
        }
        json_array_foreach(child, j, member) {
            if (!json_is_object(member)) {
                continue;
            }
            mapped = fn(member, node, child_names[i], opaque);
            if (!mapped) {
                return false;
            }
            json_array_set_new(child, j, mapped);
        }
    }
    return true;
}

/* What a child inherits as if it was opened together with its parent. */
static json_t *inherit_all(json_t *child, json_t *parent, const char *name,
                           void *opaque)
{
    bool backing = g_str_equal(name, "backing");
    json_t *cache = json_object_get(parent, "cache");
    json_t *own;

    if (backing && !json_object_get(child, "read-only")) {
        json_object_set_new(child, "read-only", json_string("on"));
    }
    inherit(child, parent, "read-only");
    inherit(child, parent, "auto-read-only");
    inherit(child, parent, "force-share");
    if (json_is_object(cache)) {
        own = json_object_get(child, "cache");
        if (!own) {
            own = json_object();
            json_object_set_new(child, "cache", own);
        }
        inherit(own, cache, "direct");
        inherit(own, cache, "no-flush");
    }
    /* The node above decides which discards get here. */
    if (!backing && !json_object_get(child, "discard")) {
        json_object_set_new(child, "discard", json_string("unmap"));
    }
    node_tree_map(child, inherit_all, NULL);
    return json_incref(child);
}

static json_t *find_probed(json_t *child, json_t *parent, const char *name,
                           void *opaque)
{
    bool *found = opaque;

    *found |= !json_object_get(child, "driver");
    node_tree_map(child, find_probed, opaque);
    return json_incref(child);
}

void node_tree_inherit(json_t *node)
{
    bool probed = !json_object_get(node, "driver");

    node_tree_map(node, find_probed, &probed);
    if (probed) {
        node_tree_map(node, inherit_all, NULL);
    }
}
