/*
 * NBD servers as file names
 *
 * nbd://host[:port]/export, nbd+tcp://, nbd+unix:///export?socket=path, and
 * the old nbd:host:port[:exportname=x] and nbd:unix:path[:exportname=x]; and
 * the old keys host=, port=, path= of the nbd driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#define NBD_DEFAULT_PORT "10809"

/* {"driver": "nbd", "server": @server, "export": @name}; takes @server. */
static json_t *nbd_options(json_t *server, const char *name, GError **errp)
{
    json_t *node;

    if (!server) {
        error_setg(errp, "NBD server address is not valid UTF-8");
        return NULL;
    }
    node = json_pack("{s:s, s:o}", "driver", "nbd", "server", server);
    if (name && name[0] &&
        json_object_set_new(node, "export", json_string(name)) < 0) {
        error_setg(errp, "NBD export name is not valid UTF-8");
        json_decref(node);
        return NULL;
    }
    return node;
}

static json_t *inet_server(const char *host, const char *port)
{
    return json_pack("{s:s, s:s, s:s}", "type", "inet", "host", host,
                     "port", port);
}

static json_t *unix_server(const char *path)
{
    return json_pack("{s:s, s:s}", "type", "unix", "path", path);
}

/* The socket= of a query string, NULL (with an error) if there is none. */
static char *query_socket(const char *query, GError **errp)
{
    g_auto(GStrv) params = g_strsplit(query ?: "", "&", -1);
    char *path = NULL;
    guint i;

    for (i = 0; params[i]; i++) {
        if (g_str_has_prefix(params[i], "socket=") && !path) {
            path = g_uri_unescape_string(params[i] + strlen("socket="), NULL);
        } else if (params[i][0]) {
            error_setg(errp, "Invalid NBD URI: unknown parameter '%s', "
                       "only 'socket' is known", params[i]);
            g_free(path);
            return NULL;
        }
    }
    if (!path || !path[0]) {
        error_setg(errp, "Invalid NBD URI: a unix socket needs "
                   "'?socket=PATH'");
        g_clear_pointer(&path, g_free);
    }
    return path;
}

static json_t *parse_uri(const char *filename, GError **errp)
{
    g_autoptr(GUri) uri = NULL;
    g_autofree char *path = NULL;
    g_autofree char *port = NULL;
    g_autofree char *name = NULL;
    const char *scheme, *host;

    uri = g_uri_parse(filename, G_URI_FLAGS_ENCODED_QUERY |
                      G_URI_FLAGS_ENCODED_PATH, errp);
    if (!uri) {
        error_prepend(errp, "Invalid NBD URI '%s': ", filename);
        return NULL;
    }

    scheme = g_uri_get_scheme(uri);
    name = g_uri_unescape_string(g_uri_get_path(uri), NULL);
    if (!name) {
        error_setg(errp, "Invalid NBD URI '%s': bad export name", filename);
        return NULL;
    }
    if (name[0] == '/') {
        memmove(name, name + 1, strlen(name));
    }

    host = g_uri_get_host(uri);
    if (g_str_equal(scheme, "nbd+unix")) {
        if (host && host[0]) {
            error_setg(errp, "Invalid NBD URI '%s': a unix socket has no "
                       "host", filename);
            return NULL;
        }
        path = query_socket(g_uri_get_query(uri), errp);
        return path ? nbd_options(unix_server(path), name, errp) : NULL;
    }

    if (!host || !host[0]) {
        error_setg(errp, "Invalid NBD URI '%s': no host", filename);
        return NULL;
    }
    if (g_uri_get_query(uri)) {
        error_setg(errp, "Invalid NBD URI '%s': parameters are for unix "
                   "sockets only", filename);
        return NULL;
    }
    port = g_uri_get_port(uri) > 0
        ? g_strdup_printf("%d", g_uri_get_port(uri))
        : g_strdup(NBD_DEFAULT_PORT);
    return nbd_options(inet_server(host, port), name, errp);
}

/* "host:port", "[v6]:port", ":port": split in place. */
static bool split_host_port(char *str, const char **host, const char **port)
{
    char *colon;

    *host = str;
    if (str[0] == '[') {
        char *end = strchr(str, ']');

        if (!end || end[1] != ':') {
            return false;
        }
        *end = '\0';
        *host = str + 1;
        colon = end + 1;
    } else {
        colon = strchr(str, ':');
        if (!colon) {
            return false;
        }
    }
    *colon = '\0';
    *port = colon + 1;
    return (*port)[0] != '\0';
}

/* What follows "nbd:". */
static json_t *parse_old(const char *spec, GError **errp)
{
    g_autofree char *addr = g_strdup(spec);
    char *name = strstr(addr, ":exportname=");
    const char *host, *port;

    if (name) {
        *name = '\0';
        name += strlen(":exportname=");
    }
    if (g_str_has_prefix(addr, "unix:")) {
        if (!addr[strlen("unix:")]) {
            error_setg(errp, "Invalid NBD address 'nbd:%s': no path", spec);
            return NULL;
        }
        return nbd_options(unix_server(addr + strlen("unix:")), name, errp);
    }
    if (!split_host_port(addr, &host, &port)) {
        error_setg(errp, "Invalid NBD address 'nbd:%s': expected "
                   "nbd:HOST:PORT or nbd:unix:PATH", spec);
        return NULL;
    }
    return nbd_options(inet_server(host[0] ? host : "localhost", port), name,
                       errp);
}

json_t *nbd_filename_parse(const char *filename, GError **errp)
{
    if (strstr(filename, "://")) {
        return parse_uri(filename, errp);
    }
    if (g_str_has_prefix(filename, "nbd:")) {
        return parse_old(filename + strlen("nbd:"), errp);
    }
    error_setg(errp, "File name string for new protocols must start with "
               "'nbd:'");
    return NULL;
}

/* Take the string @key out of @node; free with g_free. */
static char *take_string(json_t *node, const char *key)
{
    char *value = g_strdup(json_string_value(json_object_get(node, key)));

    if (value) {
        json_object_del(node, key);
    }
    return value;
}

bool nbd_legacy_keys(json_t *node, GError **errp)
{
    g_autofree char *host = take_string(node, "host");
    g_autofree char *port = take_string(node, "port");
    g_autofree char *path = take_string(node, "path");

    if (!host && !port && !path) {
        return true;
    }
    if (json_object_get(node, "server")) {
        error_setg(errp, "'server' and path/host/port cannot be used at the "
                   "same time");
        return false;
    }
    if (path && host) {
        error_setg(errp, "path and host may not be used at the same time");
        return false;
    }
    if (port && !host) {
        error_setg(errp, "port may not be used without host");
        return false;
    }
    json_object_set_new(node, "server",
                        path ? unix_server(path)
                             : inet_server(host, port ?: NBD_DEFAULT_PORT));
    return true;
}
