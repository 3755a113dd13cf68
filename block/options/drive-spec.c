/*
 * What a -drive string says
 *
 * Takes -drive's own keys out of the flat options, and makes a tree of nodes
 * of the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include "block/keyval.h"
#include "qapi/json-stream.h"
#include "util/log.h"
#include "util/size.h"

/* Larger buses do not exist. */
#define PLACE_MAX 65535

/* cache=: what each mode means. */
static const struct {
    const char *name;
    bool direct, no_flush, writethrough;
} cache_modes[] = {
    { "none", true, false, false },
    { "off", true, false, false },
    { "directsync", true, false, true },
    { "writeback", false, false, false },
    { "unsafe", false, true, false },
    { "writethrough", false, false, true },
};

void drive_spec_free(DriveSpec *spec)
{
    if (!spec) {
        return;
    }
    g_free(spec->id);
    json_decref(spec->node);
    json_decref(spec->throttle);
    g_free(spec);
}

static char *take(json_t *opts, const char *key)
{
    char *value = g_strdup(json_string_value(json_object_get(opts, key)));

    json_object_del(opts, key);
    return value;
}

static bool parse_bool(const char *key, const char *value, bool *result,
                       GError **errp)
{
    static const char *const on[] = { "on", "yes", "true", "y" };
    static const char *const off[] = { "off", "no", "false", "n" };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(on); i++) {
        if (g_str_equal(value, on[i]) || g_str_equal(value, off[i])) {
            *result = g_str_equal(value, on[i]);
            return true;
        }
    }
    error_setg(errp, "Parameter '%s' expects 'on' or 'off'", key);
    return false;
}

/* Take a bool; *@result is left alone when @key is absent. */
static bool take_bool(json_t *opts, const char *key, bool *result,
                      GError **errp)
{
    g_autofree char *value = take(opts, key);

    return !value || parse_bool(key, value, result, errp);
}

static bool take_number(json_t *opts, const char *key, int *result,
                        GError **errp)
{
    g_autofree char *value = take(opts, key);
    guint64 number;

    if (!value) {
        return true;
    }
    if (!g_ascii_string_to_unsigned(value, 10, 0, PLACE_MAX, &number,
                                    NULL)) {
        error_setg(errp, "Parameter '%s' expects a number up to %d", key,
                   PLACE_MAX);
        return false;
    }
    *result = (int)number;
    return true;
}

/* Letters, then letters, digits, '-', '.' and '_', as in QEMU. */
static bool id_is_wellformed(const char *id)
{
    size_t i;

    if (!g_ascii_isalpha(id[0])) {
        return false;
    }
    for (i = 1; id[i]; i++) {
        if (!g_ascii_isalnum(id[i]) && !strchr("-._", id[i])) {
            return false;
        }
    }
    return true;
}

static bool take_place(DriveSpec *spec, json_t *opts, GError **errp)
{
    g_autofree char *interface = take(opts, "if");
    g_autofree char *media = take(opts, "media");

    spec->id = take(opts, "id");
    if (spec->id && !id_is_wellformed(spec->id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        return false;
    }
    spec->interface = drive_interface_find(interface ?: "none");
    if (!spec->interface) {
        error_setg(errp, "unsupported bus type '%s', expected none, ide, "
                   "scsi, floppy, pflash, mtd, sd, virtio or xen", interface);
        return false;
    }
    if (media && !g_str_equal(media, "disk") &&
        !g_str_equal(media, "cdrom")) {
        error_setg(errp, "'%s' invalid media, expected disk or cdrom", media);
        return false;
    }
    spec->cdrom = media && g_str_equal(media, "cdrom");
    spec->index = spec->bus = spec->unit = -1;
    return take_number(opts, "index", &spec->index, errp) &&
           take_number(opts, "bus", &spec->bus, errp) &&
           take_number(opts, "unit", &spec->unit, errp);
}

/*
 * werror= and rerror=: a guest's policy, which its own machine applies.  It is
 * told of every error here.
 */
static bool take_error_policy(json_t *opts, const char *key, const char *what,
                              GError **errp)
{
    static const char *const policies[] = {
        "report", "ignore", "enospc", "stop",
    };
    g_autofree char *value = take(opts, key);
    size_t i;

    for (i = 0; value && i < ARRAY_SIZE(policies); i++) {
        if (g_str_equal(value, policies[i])) {
            if (i > 0) {
                info_report("errors are reported to the guest, ignored: "
                            "%s=%s", key, value);
            }
            return true;
        }
    }
    if (value) {
        error_setg(errp, "'%s' invalid %s error action, expected report, "
                   "ignore, enospc or stop", value, what);
    }
    return !value;
}

static bool refuse(json_t *opts, const char *key, const char *why,
                   GError **errp)
{
    bool on = false;

    if (!take_bool(opts, key, &on, errp)) {
        return false;
    }
    if (on) {
        error_setg(errp, "Parameter '%s=on' is not supported: %s", key, why);
    }
    return !on;
}

/* Set @key unless the user did. */
static void set_default(json_t *opts, const char *key, bool value)
{
    if (!json_object_get(opts, key)) {
        json_object_set_new(opts, key, json_string(value ? "on" : "off"));
    }
}

static bool take_cache(DriveSpec *spec, json_t *opts, GError **errp)
{
    g_autofree char *cache = take(opts, "cache");
    bool writeback;
    size_t i;

    if (cache) {
        for (i = 0; i < ARRAY_SIZE(cache_modes); i++) {
            if (g_str_equal(cache, cache_modes[i].name)) {
                break;
            }
        }
        if (i == ARRAY_SIZE(cache_modes)) {
            error_setg(errp, "invalid cache option '%s', expected none, "
                       "directsync, writeback, unsafe or writethrough",
                       cache);
            return false;
        }
        set_default(opts, "cache.direct", cache_modes[i].direct);
        set_default(opts, "cache.no-flush", cache_modes[i].no_flush);
        spec->writethrough = cache_modes[i].writethrough;
    }
    writeback = !spec->writethrough;
    if (!take_bool(opts, "cache.writeback", &writeback, errp)) {
        return false;
    }
    spec->writethrough = !writeback;
    return true;
}

/* discard= and detect-zeroes= with the spellings that -drive also knows. */
static bool normalise_discard(json_t *opts, GError **errp)
{
    g_autofree char *discard = take(opts, "discard");
    bool unmap;

    if (!discard) {
        return true;
    }
    unmap = g_str_equal(discard, "unmap") || g_str_equal(discard, "on");
    if (!unmap && !g_str_equal(discard, "ignore") &&
        !g_str_equal(discard, "off")) {
        error_setg(errp, "Invalid discard option '%s', expected ignore or "
                   "unmap", discard);
        return false;
    }
    json_object_set_new(opts, "discard",
                        json_string(unmap ? "unmap" : "ignore"));
    return true;
}

/* readonly= and read-only=, media=cdrom. */
static bool take_read_only(DriveSpec *spec, json_t *opts, GError **errp)
{
    if (json_object_get(opts, "readonly") &&
        json_object_get(opts, "read-only")) {
        error_setg(errp, "'read-only' and its alias 'readonly' can't be used "
                   "at the same time");
        return false;
    }
    spec->read_only = spec->cdrom;
    if (!take_bool(opts, "readonly", &spec->read_only, errp) ||
        !take_bool(opts, "read-only", &spec->read_only, errp)) {
        return false;
    }
    return true;
}

static char *take_aio(json_t *opts, bool *ok, GError **errp)
{
    char *aio = take(opts, "aio");

    *ok = !aio || g_str_equal(aio, "threads") || g_str_equal(aio, "native") ||
          g_str_equal(aio, "io_uring");
    if (!*ok) {
        error_setg(errp, "invalid aio option '%s', expected threads, native "
                   "or io_uring", aio);
        g_clear_pointer(&aio, g_free);
    }
    return aio;
}

/* format= is another word for driver=. */
static bool take_format(json_t *opts, GError **errp)
{
    g_autofree char *format = take(opts, "format");

    if (!format) {
        return true;
    }
    if (json_object_get(opts, "driver")) {
        error_setg(errp, "Cannot specify both 'driver' and 'format'");
        return false;
    }
    json_object_set_new(opts, "driver", json_string(format));
    return true;
}

/* "1M" for what is a plain number in the schema. */
static void expand_size(json_t *opts, const char *key)
{
    const char *text = json_string_value(json_object_get(opts, key));
    g_autofree char *bytes = NULL;
    uint64_t value;

    /* What is no size is refused where its type is known. */
    if (text && size_parse(text, &value)) {
        bytes = g_strdup_printf("%" PRIu64, value);
        json_object_set_new(opts, key, json_string(bytes));
    }
}

/* Nest what is left of the flat options. */
static json_t *nest(json_t *opts, GError **errp)
{
    json_t *tree = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(opts, key, value) {
        if (!keyval_put(tree, key, json_incref(value), errp)) {
            json_decref(tree);
            return NULL;
        }
    }
    if (!keyval_listify(tree, errp)) {
        json_decref(tree);
        return NULL;
    }
    return tree;
}

/* "json:{...}": its members count where the user gave no key. */
static bool merge_json(json_t *tree, const char *text, GError **errp)
{
    json_t *parsed = json_parse(text, strlen(text), errp);
    json_t *strings;

    if (!parsed) {
        error_prepend(errp, "Could not parse the JSON options: ");
        return false;
    }
    if (!json_is_object(parsed)) {
        error_setg(errp, "Invalid JSON object given");
        json_decref(parsed);
        return false;
    }
    strings = keyval_stringify(parsed, errp);
    json_decref(parsed);
    if (!strings) {
        return false;
    }
    json_object_update_missing(tree, strings);
    json_decref(strings);
    return true;
}

static bool is_protocol(const char *driver)
{
    return g_str_equal(driver, "file") || g_str_equal(driver, "host_device") ||
           g_str_equal(driver, "nbd") || g_str_equal(driver, "null-co");
}

/* Put what @filename stands for into @tree: itself or its child. */
static bool merge_filename(json_t *tree, const char *filename, GError **errp)
{
    const char *driver = json_string_value(json_object_get(tree, "driver"));
    const char *name = "file";
    json_t *child, *parsed;

    if (driver && is_protocol(driver)) {
        parsed = filename_parse(filename, driver, errp);
        if (parsed) {
            json_object_update_missing(tree, parsed);
            json_decref(parsed);
        }
        return parsed != NULL;
    }

    if (driver && g_str_equal(driver, "blkdebug")) {
        name = "image";
    }
    child = json_object_get(tree, name);
    if (!child) {
        child = json_object();
        json_object_set_new(tree, name, child);
    } else if (!json_is_object(child)) {
        error_setg(errp, "'%s' is given as a file name and as a node", name);
        return false;
    }
    driver = json_string_value(json_object_get(child, "driver"));
    parsed = filename_parse(filename, driver && is_protocol(driver)
                            ? driver : NULL, errp);
    if (!parsed) {
        return false;
    }
    json_object_update_missing(child, parsed);
    json_decref(parsed);
    return true;
}

/* Make the tree of nodes from what is left in @opts. */
static bool make_tree(DriveSpec *spec, json_t *opts, const char *filename,
                      const char *aio, GError **errp)
{
    spec->node = nest(opts, errp);
    if (!spec->node) {
        return false;
    }
    if (filename && g_str_has_prefix(filename, "json:")) {
        if (!merge_json(spec->node, filename + strlen("json:"), errp)) {
            return false;
        }
    } else if (filename && !merge_filename(spec->node, filename, errp)) {
        return false;
    }
    if (!node_tree_complete(spec->node, errp)) {
        return false;
    }
    if (aio) {
        node_tree_set_aio(spec->node, aio);
    }
    node_tree_inherit(spec->node);
    return true;
}

static bool take_all(DriveSpec *spec, json_t *opts, GError **errp)
{
    g_autofree char *filename = NULL;
    g_autofree char *aio = NULL;
    bool ok;

    if (!take_place(spec, opts, errp) ||
        !take_read_only(spec, opts, errp) ||
        !take_error_policy(opts, "werror", "write", errp) ||
        !take_error_policy(opts, "rerror", "read", errp) ||
        !refuse(opts, "copy-on-read", "no driver for it", errp) ||
        !refuse(opts, "snapshot", "there are no temporary overlays", errp)) {
        return false;
    }
    spec->throttle = throttle_keys_take(opts, &ok, errp);
    if (!ok) {
        return false;
    }
    aio = take_aio(opts, &ok, errp);
    if (!ok) {
        return false;
    }
    if (!take_cache(spec, opts, errp) || !normalise_discard(opts, errp) ||
        !take_format(opts, errp)) {
        return false;
    }

    filename = take(opts, "file");
    if (!filename && json_object_size(opts) == 0) {
        return true;            /* no medium */
    }
    expand_size(opts, "size");
    expand_size(opts, "offset");
    set_default(opts, "read-only", spec->read_only);
    return make_tree(spec, opts, filename && filename[0] ? filename : NULL,
                     aio, errp);
}

DriveSpec *drive_spec_parse(const char *optstr, GError **errp)
{
    g_autoptr(DriveSpec) spec = g_new0(DriveSpec, 1);
    json_t *opts = optstr_parse(optstr, errp);
    bool ok;

    if (!opts) {
        return NULL;
    }
    ok = take_all(spec, opts, errp);
    json_decref(opts);
    return ok ? g_steal_pointer(&spec) : NULL;
}
