/*
 * The tree of a -drive's nodes, with everything implied written out
 *
 * A tree is nested dicts of strings in the shape of BlockdevOptions.  What a
 * user may leave out: the driver of a node that stores bytes (file, or
 * host_device for a device), and NBD's server.* where host= and port= say it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

/* How a child's missing driver is found. */
typedef enum ChildKind {
    CHILD_PROTOCOL,             /* from its filename */
    CHILD_IMAGE,                /* it must be given */
} ChildKind;

static const char *const child_names[] = {
    "file", "image", "backing", "children", "target", "test", "log",
    "data-file", "fallback",
};

/* Drivers whose "file" is an image of any format, not a string of bytes. */
static const char *const filters[] = {
    "compress", "copy-before-write", "copy-on-read", "preallocate",
    "replication", "throttle",
};

static bool str_in(const char *str, const char *const *list, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (g_str_equal(str, list[i])) {
            return true;
        }
    }
    return false;
}

static const char *get_str(json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

static ChildKind child_kind(const char *driver, const char *name)
{
    if (g_str_equal(name, "image")) {
        return CHILD_PROTOCOL;
    }
    if (g_str_equal(name, "file") || g_str_equal(name, "data-file")) {
        return driver && str_in(driver, filters, ARRAY_SIZE(filters))
            ? CHILD_IMAGE : CHILD_PROTOCOL;
    }
    return CHILD_IMAGE;
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
        error_setg(errp, "Parameter '%s.driver' is missing", path);
        return false;
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

        if (child && !complete_child(child, sub, child_kind(driver, name),
                                     errp)) {
            return false;
        }
    }
    return true;
}

bool node_tree_complete(json_t *node, bool *probe, GError **errp)
{
    if (probe) {
        *probe = false;
    }
    if (!get_str(node, "driver")) {
        if (!json_object_get(node, "file")) {
            error_setg(errp, "Must specify either driver or file");
            return false;
        }
        if (!probe) {
            error_setg(errp, "Parameter 'driver' is missing");
            return false;
        }
        *probe = true;
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

void node_tree_inherit_to_file(json_t *node)
{
    json_t *file = json_object_get(node, "file");
    json_t *cache = json_object_get(node, "cache");
    json_t *own;

    if (!json_is_object(file)) {
        return;
    }
    inherit(file, node, "read-only");
    if (json_is_object(cache)) {
        own = json_object_get(file, "cache");
        if (!own) {
            own = json_object();
            json_object_set_new(file, "cache", own);
        }
        inherit(own, cache, "direct");
        inherit(own, cache, "no-flush");
    }
    /* The node above decides which discards get here. */
    if (!json_object_get(file, "discard")) {
        json_object_set_new(file, "discard", json_string("unmap"));
    }
}
