/*
 * Character devices as they stand on a command line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "chardev-option.h"

#include <jansson.h>

#include "block/keyval.h"
#include "block/options.h"
#include "qapi/qapi-visit-char.h"

/* Members of a socket's address, for each of its types. */
static const char *const inet_keys[] = {
    "host", "port", "to", "ipv4", "ipv6", "keep-alive", "mptcp", NULL
};
static const char *const unix_keys[] = {
    "path", "abstract", "tight", NULL
};

/* Move those of @keys that @opts has into a new object. */
static json_t *move_keys(json_t *opts, const char *const *keys)
{
    json_t *moved = json_object();
    json_t *value;

    for (; *keys; keys++) {
        value = json_object_get(opts, *keys);
        if (value) {
            json_object_set(moved, *keys, value);
            json_object_del(opts, *keys);
        }
    }
    return moved;
}

/* Put the address of a socket where the schema wants it. */
static bool nest_address(json_t *opts, GError **errp)
{
    bool is_unix = json_object_get(opts, "path") != NULL;
    bool is_fd = json_object_get(opts, "fd") != NULL;
    const char *type = is_unix ? "unix" : is_fd ? "fd" : "inet";
    json_t *data;

    if (is_unix + is_fd + (json_object_get(opts, "host") != NULL) > 1) {
        error_setg(errp, "'path', 'fd' and 'host' are mutually exclusive");
        return false;
    }
    if (!is_unix && !is_fd && !json_object_get(opts, "port")) {
        error_setg(errp, "chardev: socket: no path, no fd, no port given");
        return false;
    }
    if (is_fd) {
        data = json_object();
        json_object_set(data, "str", json_object_get(opts, "fd"));
        json_object_del(opts, "fd");
    } else {
        data = move_keys(opts, is_unix ? unix_keys : inet_keys);
    }
    if (!is_unix && !is_fd && !json_object_get(data, "host")) {
        json_object_set_new(data, "host", json_string(""));
    }
    json_object_set_new(opts, "addr", json_pack("{s:s, s:o}", "type", type,
                                                "data", data));
    return true;
}

/* @opts are the device's own; a client is the default, as in QEMU. */
static ChardevBackend *make_backend(const char *type, json_t *opts,
                                    GError **errp)
{
    json_t *path = json_object_get(opts, "path");
    ChardevBackend *backend;
    json_t *tree;

    if (g_str_equal(type, "socket")) {
        if (!json_object_get(opts, "server")) {
            json_object_set_new(opts, "server", json_string("off"));
        }
        if (!nest_address(opts, errp)) {
            return NULL;
        }
    } else if (g_str_equal(type, "file") && path) {
        json_object_set(opts, "out", path);
        json_object_del(opts, "path");
    }
    tree = json_pack("{s:s, s:O}", "type", type, "data", opts);
    backend = qapi_ChardevBackend_from_keyval(tree, errp);
    json_decref(tree);
    return backend;
}

ChardevBackend *chardev_option_parse(const char *arg, char **id,
                                     GError **errp)
{
    size_t len = strcspn(arg, "=,");
    bool implied = arg[len] != '=';
    g_autofree char *text = g_strconcat(implied ? "backend=" : "", arg, NULL);
    json_t *opts = optstr_parse(text, errp);
    g_autofree char *type = NULL;
    ChardevBackend *backend = NULL;

    *id = NULL;
    if (!opts) {
        return NULL;
    }
    type = g_strdup(json_string_value(json_object_get(opts, "backend")));
    *id = g_strdup(json_string_value(json_object_get(opts, "id")));
    json_object_del(opts, "backend");
    json_object_del(opts, "id");
    if (!*id || !(*id)[0]) {
        error_setg(errp, "chardev: no id specified");
    } else if (!type || !type[0]) {
        error_setg(errp, "chardev: \"%s\" missing backend", *id);
    } else {
        backend = make_backend(type, opts, errp);
    }
    json_decref(opts);
    if (!backend) {
        g_clear_pointer(id, g_free);
    }
    return backend;
}

/* "host:port" and "[v6]:port" into @opts. */
static bool put_host_port(json_t *opts, const char *text, GError **errp)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;

    if (!colon || !colon[1]) {
        error_setg(errp, "'%s' is not HOST:PORT", text);
        return false;
    }
    host = g_strndup(text, colon - text);
    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    json_object_set_new(opts, "host", json_string(host));
    json_object_set_new(opts, "port", json_string(colon + 1));
    return true;
}

ChardevBackend *chardev_compat_parse(const char *arg, GError **errp)
{
    const char *rest = arg;
    g_autofree char *device = keyval_take_value(&rest);
    json_t *opts = optstr_parse(*rest ? rest + 1 : rest, errp);
    ChardevBackend *backend = NULL;

    if (!opts) {
        return NULL;
    }
    if (!g_utf8_validate(device, -1, NULL)) {
        error_setg(errp, "the device is not valid UTF-8");
    } else if (g_str_has_prefix(device, "unix:")) {
        json_object_set_new(opts, "path",
                            json_string(device + strlen("unix:")));
        backend = make_backend("socket", opts, errp);
    } else if (g_str_has_prefix(device, "tcp:")) {
        if (put_host_port(opts, device + strlen("tcp:"), errp)) {
            backend = make_backend("socket", opts, errp);
        }
    } else if (g_str_has_prefix(device, "file:")) {
        json_object_set_new(opts, "path",
                            json_string(device + strlen("file:")));
        backend = make_backend("file", opts, errp);
    } else if (g_str_equal(device, "stdio") || g_str_equal(device, "null")) {
        backend = make_backend(device, opts, errp);
    } else {
        error_setg(errp, "'%s' is not a valid char driver, expected "
                   "unix:PATH, tcp:HOST:PORT, stdio, null or file:PATH",
                   device);
    }
    json_decref(opts);
    return backend;
}
