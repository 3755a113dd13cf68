/*
 * Socket addresses: from and to the strings that people write
 *
 * The forms are QEMU's: "tcp:host:port", "host:port", "[v6]:port",
 * "unix:path", "fd:name", each with ",option=value" behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include "io/socket-int.h"

/* Take the text up to an unescaped ','; ",," stands for a comma. */
static char *next_part(const char **pos)
{
    GString *part = g_string_new(NULL);
    const char *p = *pos;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(part, *p);
    }
    *pos = *p ? p + 1 : p;
    return g_string_free(part, FALSE);
}

static bool parse_on_off(const char *name, const char *value, bool *out,
                         GError **errp)
{
    if (!value || !strcmp(value, "on") || !strcmp(value, "yes") ||
        !strcmp(value, "true") || !strcmp(value, "y")) {
        *out = true;
    } else if (!strcmp(value, "off") || !strcmp(value, "no") ||
               !strcmp(value, "false") || !strcmp(value, "n")) {
        *out = false;
    } else {
        error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
        return false;
    }
    return true;
}

static bool parse_inet_option(InetSocketAddress *inet, const char *name,
                              const char *value, GError **errp)
{
    guint64 to;

    if (!strcmp(name, "to")) {
        if (!value || !g_ascii_string_to_unsigned(value, 10, 0, 65535, &to,
                                                  NULL)) {
            error_setg(errp, "error parsing to= argument");
            return false;
        }
        inet->has_to = true;
        inet->to = to;
    } else if (!strcmp(name, "ipv4")) {
        inet->has_ipv4 = true;
        return parse_on_off(name, value, &inet->ipv4, errp);
    } else if (!strcmp(name, "ipv6")) {
        inet->has_ipv6 = true;
        return parse_on_off(name, value, &inet->ipv6, errp);
    } else if (!strcmp(name, "keep-alive")) {
        inet->has_keep_alive = true;
        return parse_on_off(name, value, &inet->keep_alive, errp);
    } else if (!strcmp(name, "mptcp")) {
        inet->has_mptcp = true;
        return parse_on_off(name, value, &inet->mptcp, errp);
    } else {
        error_setg(errp, "Invalid parameter '%s'", name);
        return false;
    }
    return true;
}

static bool parse_unix_option(UnixSocketAddress *un, const char *name,
                              const char *value, GError **errp)
{
    if (!strcmp(name, "abstract")) {
        un->has_abstract = true;
        return parse_on_off(name, value, &un->abstract, errp);
    }
    if (!strcmp(name, "tight")) {
        un->has_tight = true;
        return parse_on_off(name, value, &un->tight, errp);
    }
    error_setg(errp, "Invalid parameter '%s'", name);
    return false;
}

/* Apply the ",name=value" list at @pos to @addr. */
static bool parse_options(SocketAddress *addr, const char *pos, GError **errp)
{
    while (*pos) {
        g_autofree char *part = next_part(&pos);
        char *value = strchr(part, '=');
        bool ok;

        if (value) {
            *value++ = '\0';
        }
        if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
            ok = parse_inet_option(&addr->u.inet, part, value, errp);
        } else if (addr->type == SOCKET_ADDRESS_TYPE_UNIX) {
            ok = parse_unix_option(&addr->u.q_unix, part, value, errp);
        } else {
            error_setg(errp, "Invalid parameter '%s'", part);
            ok = false;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* "host:port", "[v6]:port" or ":port" */
static bool parse_host_port(InetSocketAddress *inet, const char *str,
                            GError **errp)
{
    const char *colon;

    if (str[0] == '[') {
        const char *end = strchr(str, ']');

        if (!end || end[1] != ':') {
            error_setg(errp, "error parsing IPv6 address '%s'", str);
            return false;
        }
        inet->host = g_strndup(str + 1, end - str - 1);
        inet->has_ipv6 = inet->ipv6 = true;
        colon = end + 1;
    } else {
        colon = strchr(str, ':');
        if (!colon || strchr(colon + 1, ':')) {
            error_setg(errp, "error parsing address '%s'", str);
            return false;
        }
        inet->host = g_strndup(str, colon - str);
    }
    if (!colon[1]) {
        error_setg(errp, "error parsing port in address '%s'", str);
        return false;
    }
    inet->port = g_strdup(colon + 1);
    return true;
}

SocketAddress *socket_parse(const char *str, GError **errp)
{
    g_autoptr(SocketAddress) addr = g_new0(SocketAddress, 1);
    const char *pos = str;
    g_autofree char *first = next_part(&pos);

    if (g_str_has_prefix(first, "unix:")) {
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix.path = g_strdup(first + strlen("unix:"));
        if (!first[strlen("unix:")]) {
            error_setg(errp, "invalid Unix socket address");
            return NULL;
        }
    } else if (g_str_has_prefix(first, "fd:")) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(first + strlen("fd:"));
        if (!first[strlen("fd:")]) {
            error_setg(errp, "invalid file descriptor address");
            return NULL;
        }
    } else {
        const char *host = first;

        if (g_str_has_prefix(host, "tcp:")) {
            host += strlen("tcp:");
        }
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        if (!parse_host_port(&addr->u.inet, host, errp)) {
            return NULL;
        }
    }
    if (!parse_options(addr, pos, errp)) {
        return NULL;
    }
    return g_steal_pointer(&addr);
}

char *socket_address_to_string(const SocketAddress *addr)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return g_strdup_printf(strchr(addr->u.inet.host, ':')
                               ? "[%s]:%s" : "%s:%s",
                               addr->u.inet.host, addr->u.inet.port);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup_printf("unix:%s%s",
                               addr->u.q_unix.abstract ? "@" : "",
                               addr->u.q_unix.path);
    case SOCKET_ADDRESS_TYPE_FD:
        return g_strdup_printf("fd:%s", addr->u.fd.str);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return g_strdup_printf("vsock:%s:%s", addr->u.vsock.cid,
                               addr->u.vsock.port);
    default:
        g_assert_not_reached();
    }
}

char *socket_address_for_error(const SocketAddress *addr)
{
    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX) {
        return g_strdup(addr->u.q_unix.path);
    }
    return socket_address_to_string(addr);
}

static void copy_inet(InetSocketAddress *dst, const InetSocketAddress *src)
{
    *dst = *src;
    dst->host = g_strdup(src->host);
    dst->port = g_strdup(src->port);
}

SocketAddress *socket_address_flatten(const SocketAddressLegacy *legacy)
{
    SocketAddress *addr;

    if (!legacy) {
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    switch (legacy->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        addr->type = SOCKET_ADDRESS_TYPE_INET;
        copy_inet(&addr->u.inet, legacy->u.inet.data);
        break;
    case SOCKET_ADDRESS_TYPE_UNIX:
        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        addr->u.q_unix = *legacy->u.q_unix.data;
        addr->u.q_unix.path = g_strdup(legacy->u.q_unix.data->path);
        break;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        addr->type = SOCKET_ADDRESS_TYPE_VSOCK;
        addr->u.vsock.cid = g_strdup(legacy->u.vsock.data->cid);
        addr->u.vsock.port = g_strdup(legacy->u.vsock.data->port);
        break;
    case SOCKET_ADDRESS_TYPE_FD:
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(legacy->u.fd.data->str);
        break;
    default:
        g_assert_not_reached();
    }
    return addr;
}
