/*
 * nbd-load: the connection to the server and the handshake
 *
 * Fixed newstyle as real clients speak it: structured replies are asked for,
 * and done without if the server has none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-load.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "nbd/protocol.h"

void nbd_export_send(NBDExport *e, const void *data, size_t bytes)
{
    if (send(e->fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        die("cannot send: %s", g_strerror(errno));
    }
}

static size_t receive(NBDExport *e, void *buf, size_t size, int flags)
{
    ssize_t got = recv(e->fd, buf, size, flags);

    if (got < 0 && errno == EAGAIN) {
        die("no word from the server within %d s", DEADLINE_SECONDS);
    }
    if (got < 0) {
        die("cannot receive: %s", g_strerror(errno));
    }
    if (!got) {
        die("the server has hung up");
    }
    return got;
}

size_t nbd_export_receive(NBDExport *e, void *buf, size_t size)
{
    return receive(e, buf, size, 0);
}

static void receive_all(NBDExport *e, void *buf, size_t size)
{
    if (size && receive(e, buf, size, MSG_WAITALL) != size) {
        die("the server has hung up");
    }
}

/* Connection */

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path)) >=
        sizeof(addr.sun_path)) {
        die("the path '%s' is too long", path);
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        die("cannot connect to '%s': %s", path, g_strerror(errno));
    }
    return fd;
}

static int connect_tcp(const char *host, const char *port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
    int on = 1, fd = -1, ret = getaddrinfo(host, port, &hints, &list);

    if (ret) {
        die("cannot find '%s': %s", host, gai_strerror(ret));
    }
    for (ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
            ret = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        die("cannot connect to '%s' port %s: %s", host, port, g_strerror(ret));
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* -1 if @uri is of no form that we know */
static int connect_uri(GUri *uri)
{
    const char *scheme = g_uri_get_scheme(uri);
    const char *host = g_uri_get_host(uri);
    g_autoptr(GHashTable) query = NULL;

    if (!strcmp(scheme, "nbd") && host && host[0]) {
        g_autofree char *port = g_strdup_printf("%d", g_uri_get_port(uri));

        return connect_tcp(host, g_uri_get_port(uri) < 0 ? NBD_DEFAULT_PORT
                                                         : port);
    }
    if (!strcmp(scheme, "nbd+unix") && g_uri_get_query(uri)) {
        query = g_uri_parse_params(g_uri_get_query(uri), -1, "&",
                                   G_URI_PARAMS_NONE, NULL);
    }
    if (query && g_hash_table_lookup(query, "socket")) {
        return connect_unix(g_hash_table_lookup(query, "socket"));
    }
    return -1;
}

/* Handshake */

static void greet(NBDExport *e)
{
    uint8_t buf[NBD_GREETING_SIZE];
    uint16_t flags;

    receive_all(e, buf, sizeof(buf));
    flags = nbd_get16(buf + 16);
    if (nbd_get64(buf) != NBD_MAGIC || nbd_get64(buf + 8) != NBD_OPTS_MAGIC ||
        !(flags & NBD_FLAG_FIXED_NEWSTYLE)) {
        die("the server does not speak fixed newstyle NBD");
    }
    nbd_put32(buf, flags & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
    nbd_export_send(e, buf, NBD_CLIENT_FLAGS_SIZE);
}

static void send_option(NBDExport *e, uint32_t option, const void *data,
                        uint32_t length)
{
    uint8_t buf[NBD_OPTION_SIZE];

    nbd_option_encode(buf, option, length);
    nbd_export_send(e, buf, sizeof(buf));
    if (length) {
        nbd_export_send(e, data, length);
    }
}

/* What follows the header comes to @data, of NBD_MAX_OPTION_SIZE. */
static NBDOptionReply receive_option_reply(NBDExport *e, uint32_t option,
                                           uint8_t *data)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];
    NBDOptionReply reply;

    receive_all(e, buf, sizeof(buf));
    reply = nbd_option_reply_decode(buf);
    if (reply.magic != NBD_REP_MAGIC || reply.option != option ||
        reply.length > NBD_MAX_OPTION_SIZE) {
        die("bad reply of the server to option %s", nbd_opt_name(option));
    }
    receive_all(e, data, reply.length);
    return reply;
}

static void go(NBDExport *e, const char *name, uint8_t *data)
{
    uint32_t length = strlen(name);
    NBDOptionReply reply;

    if (length > NBD_MAX_STRING_SIZE) {
        die("the name of the export is too long");
    }
    nbd_put32(data, length);
    memcpy(data + 4, name, length);
    nbd_put16(data + 4 + length, 0);            /* no further questions */
    send_option(e, NBD_OPT_GO, data, length + 6);
    while ((reply = receive_option_reply(e, NBD_OPT_GO, data)).type ==
           NBD_REP_INFO) {
        if (reply.length == NBD_INFO_EXPORT_SIZE &&
            nbd_get16(data) == NBD_INFO_EXPORT) {
            e->size = nbd_get64(data + 2);
            e->read_only = nbd_get16(data + 10) & NBD_FLAG_READ_ONLY;
        }
    }
    if (reply.type != NBD_REP_ACK) {
        die("the server refuses export '%s': %s: %.*s", name,
            nbd_rep_name(reply.type), (int)reply.length, (char *)data);
    }
}

void nbd_export_connect(NBDExport *e, const char *text)
{
    struct timeval timeout = { .tv_sec = DEADLINE_SECONDS };
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED_QUERY, NULL);
    g_autofree uint8_t *data = g_malloc(NBD_MAX_OPTION_SIZE);
    const char *path = uri ? g_uri_get_path(uri) : "";

    e->fd = uri ? connect_uri(uri) : -1;
    if (e->fd < 0) {
        die("'%s' is neither nbd://HOST:PORT/NAME nor "
            "nbd+unix:///NAME?socket=PATH", text);
    }
    setsockopt(e->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    greet(e);
    send_option(e, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    e->structured = receive_option_reply(e, NBD_OPT_STRUCTURED_REPLY,
                                         data).type == NBD_REP_ACK;
    go(e, path[0] == '/' ? path + 1 : path, data);
}
