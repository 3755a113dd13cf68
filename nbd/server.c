/*
 * NBD server: listener, exports, the life of a connection
 *
 * A connection belongs to its server from accept() to the end of its
 * coroutine, and from the choice of an export on to that as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd/server.h"

#include "server-int.h"
#include "util/trace.h"

/* As long as the kernel allows: clients may come in a crowd. */
#define NBD_LISTEN_BACKLOG 4096

struct NBDServer {
    /* Constant */
    AioContext *ctx;
    TLSCreds *creds;
    char *authz;
    uint32_t max_connections;
    int64_t handshake_ns;

    IOListener *listener;
    TAILQ_HEAD(, NBDExport) exports;
    LIST_HEAD(, NBDConnection) connections;
    unsigned n_connections;
    CoQueue idle;               /* no connection is left */
    bool closing;
};

/* Exports */

NBDExport *nbd_server_find_export(NBDServer *server, const char *name)
{
    NBDExport *exp;

    TAILQ_FOREACH(exp, &server->exports, next) {
        if (strcmp(exp->name, name) == 0) {
            return exp;
        }
    }
    return NULL;
}

NBDExport *nbd_server_next_export(NBDServer *server, NBDExport *exp)
{
    return exp ? TAILQ_NEXT(exp, next) : TAILQ_FIRST(&server->exports);
}

bool nbd_server_add_export(NBDServer *server, NBDExport *exp, GError **errp)
{
    if (nbd_server_find_export(server, exp->name)) {
        error_setg(errp, "NBD server already has export named '%s'",
                   exp->name);
        return false;
    }
    LIST_INIT(&exp->connections);
    exp->server = server;
    TAILQ_INSERT_TAIL(&server->exports, exp, next);
    return true;
}

void nbd_server_remove_export(NBDExport *exp)
{
    if (exp->server) {
        TAILQ_REMOVE(&exp->server->exports, exp, next);
        exp->server = NULL;
    }
}

/* Connections */

void nbd_connection_shutdown(NBDConnection *conn)
{
    g_autoptr(IOChannel) plain = io_channel_ref(conn->plain);

    conn->closing = true;
    if (conn->exp) {
        conn->exp->ops->cancel_waiting(conn->exp, conn);
    }
    io_channel_shutdown(plain);
}

void nbd_export_disconnect(NBDExport *exp)
{
    NBDConnection *conn, *next;

    LIST_FOREACH_SAFE(conn, &exp->connections, next_in_export, next) {
        nbd_connection_shutdown(conn);
    }
}

void nbd_connection_fail(NBDConnection *conn, const char *fmt, ...)
{
    g_autofree char *reason = NULL;
    va_list ap;

    va_start(ap, fmt);
    reason = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    /* What clients send must not make lines of its own in the log. */
    g_strdelimit(reason, "\n\r\033", '?');
    error_report("NBD client '%s': %s; closing the connection",
                 io_channel_peer_name(conn->plain), reason);
    if (conn->exp) {
        nbd_connection_flush(conn);
    }
    nbd_connection_shutdown(conn);
}

static void nbd_connection_deadline(void *opaque)
{
    NBDConnection *conn = opaque;

    nbd_connection_fail(conn, "did not choose an export in time");
}

static NBDConnection *nbd_connection_new(NBDServer *server, IOChannel *ioc)
{
    NBDConnection *conn = g_new0(NBDConnection, 1);

    conn->server = server;
    conn->plain = ioc;
    conn->ioc = io_channel_ref(ioc);
    conn->pool = nbd_pool_get(server->ctx);
    conn->is_unix = io_channel_is_unix(ioc);
    conn->pool_user.trim = nbd_connection_trim;
    conn->option_out = g_byte_array_new();
    TAILQ_INIT(&conn->free_requests);
    TAILQ_INIT(&conn->tx_queue);
    TAILQ_INIT(&conn->tx_pipes);
    aio_turn_end_init(&conn->tx_turn_end, server->ctx, nbd_turn_end, conn);
    aio_timer_init(&conn->deadline, server->ctx, nbd_connection_deadline,
                   conn);
    return conn;
}

static void nbd_connection_free(NBDConnection *conn)
{
    nbd_connection_free_requests(conn);
    if (conn->rx) {
        nbd_chunk_unref(conn, conn->rx);
    }
    if (conn->option_out) {
        g_byte_array_unref(conn->option_out);
    }
    g_free(conn->meta_export);
    g_free(conn->tx_iov);
    io_channel_unref(conn->ioc);
    io_channel_unref(conn->plain);
    g_free(conn);
}

/*
 * The requests end before the export is left.  A client that has said that it
 * leaves may count on those that it made before (NBD_CMD_DISC: all outstanding
 * requests must be handled), however long the gate is closed; what a lost one
 * did not get done, it will ask for again.
 */
static void coroutine_fn nbd_connection_co_settle(NBDConnection *conn)
{
    NBDExport *exp = conn->exp;

    if (!conn->said_goodbye) {
        conn->gone = true;
        exp->ops->cancel_waiting(exp, conn);
    }
    while (conn->in_flight > 0 || conn->tx_writer) {
        nbd_connection_co_wait_slot(conn);
    }
    aio_turn_end_disarm(&conn->tx_turn_end);
}

static void coroutine_fn nbd_connection_co_transmit(NBDConnection *conn)
{
    NBDExport *exp = conn->exp;

    nbd_pool_add_user(conn->pool, &conn->pool_user);
    nbd_connection_co_receive(conn);
    nbd_connection_co_settle(conn);
    nbd_pool_remove_user(&conn->pool_user);
    if (exp->ops->client_left) {
        exp->ops->client_left(exp, conn, !conn->said_goodbye);
    }
}

static void coroutine_fn nbd_connection_entry(void *opaque)
{
    NBDConnection *conn = opaque;
    NBDServer *server = conn->server;
    bool chosen;

    if (server->handshake_ns > 0) {
        aio_timer_mod(&conn->deadline,
                      aio_clock_get_ns(server->ctx) + server->handshake_ns);
    }
    chosen = nbd_connection_co_handshake(conn);
    aio_timer_del(&conn->deadline);
    g_byte_array_unref(g_steal_pointer(&conn->option_out));
    if (chosen) {
        trace_event(nbd_client_connected, "peer %s export %s",
                    io_channel_peer_name(conn->plain), conn->exp->name);
        nbd_connection_co_transmit(conn);
    }
    io_channel_shutdown(conn->plain);

    if (conn->exp) {
        LIST_REMOVE(conn, next_in_export);
        conn->exp->ops->unref(conn->exp);
    }
    LIST_REMOVE(conn, next_in_server);
    server->n_connections--;
    if (server->listener && !server->closing) {
        io_listener_pause(server->listener, false);
    }
    if (server->n_connections == 0) {
        co_queue_restart_all(&server->idle);
    }
    nbd_connection_free(conn);
}

/* The server */

static void nbd_server_accepted(IOChannel *ioc, void *opaque)
{
    nbd_server_accept(opaque, ioc);
}

void nbd_server_accept(NBDServer *server, IOChannel *ioc)
{
    NBDConnection *conn = nbd_connection_new(server, ioc);

    LIST_INSERT_HEAD(&server->connections, conn, next_in_server);
    server->n_connections++;
    if (server->listener && server->max_connections > 0 &&
        server->n_connections >= server->max_connections) {
        io_listener_pause(server->listener, true);
    }
    coroutine_start(nbd_connection_entry, conn);
}

NBDServer *coroutine_fn nbd_server_co_new(const NBDServerConfig *config,
                                          GError **errp)
{
    NBDServer *server = g_new0(NBDServer, 1);

    server->ctx = aio_get_current();
    server->creds = config->creds ? tls_creds_ref(config->creds) : NULL;
    server->authz = g_strdup(config->authz);
    server->max_connections = config->max_connections;
    server->handshake_ns = config->handshake_ns;
    TAILQ_INIT(&server->exports);
    LIST_INIT(&server->connections);
    co_queue_init(&server->idle);

    if (config->addr) {
        server->listener = io_listener_co_new(config->addr,
                                              NBD_LISTEN_BACKLOG, 0,
                                              nbd_server_accepted, server,
                                              errp);
        if (!server->listener) {
            nbd_server_co_free(server);
            return NULL;
        }
    }
    return server;
}

void coroutine_fn nbd_server_co_free(NBDServer *server)
{
    NBDExport *exp, *next_exp;
    NBDConnection *conn, *next;

    server->closing = true;
    g_clear_pointer(&server->listener, io_listener_free);
    TAILQ_FOREACH_SAFE(exp, &server->exports, next, next_exp) {
        nbd_server_remove_export(exp);
    }
    LIST_FOREACH_SAFE(conn, &server->connections, next_in_server, next) {
        nbd_connection_shutdown(conn);
    }
    while (server->n_connections > 0) {
        co_queue_wait(&server->idle);
    }
    g_clear_pointer(&server->creds, tls_creds_unref);
    g_free(server->authz);
    g_free(server);
}

SocketAddress *nbd_server_address(NBDServer *server)
{
    return server->listener ? io_listener_address(server->listener) : NULL;
}

bool nbd_server_is_network(NBDServer *server)
{
    return server->listener && io_listener_is_network(server->listener);
}

unsigned nbd_server_connections(const NBDServer *server)
{
    return server->n_connections;
}

uint32_t nbd_server_max_connections(const NBDServer *server)
{
    return server->max_connections;
}

TLSCreds *nbd_server_creds(const NBDServer *server)
{
    return server->creds;
}

const char *nbd_server_authz(const NBDServer *server)
{
    return server->authz;
}
