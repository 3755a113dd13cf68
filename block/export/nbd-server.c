/*
 * The NBD servers of the daemon: one for everybody, one for guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/nbd-server.h"

#include "block/graph.h"
#include "block/run-state.h"

typedef struct NBDServers {
    NBDServer *server;
    bool starting;
    char *address;              /* for messages; NULL: not in the open */
    NBDServer *guest;
} NBDServers;

static void nbd_servers_fini(AioContext *ctx, void *data)
{
    NBDServers *s = data;

    g_free(s->address);
}

static const AioLocal nbd_servers_key = {
    .size = sizeof(NBDServers),
    .fini = nbd_servers_fini,
};

static NBDServers *nbd_servers(void)
{
    return aio_local_get(aio_get_current(), &nbd_servers_key);
}

/* Start */

static NBDServer *coroutine_fn nbd_server_co_open(const NbdServerOptions *opts,
                                                  GError **errp)
{
    g_autoptr(TLSCreds) creds = NULL;
    NBDServerConfig config = {
        .addr = opts->addr,
        .authz = opts->tls_authz,
        .max_connections = opts->has_max_connections ?
                           opts->max_connections : 0,
        .handshake_ns = NANOSECONDS_PER_SECOND *
                        (opts->has_handshake_max_seconds ?
                         opts->handshake_max_seconds :
                         NBD_HANDSHAKE_DEFAULT_SECONDS),
    };

    if (opts->tls_creds) {
        creds = tls_creds_lookup(opts->tls_creds, true, errp);
        if (!creds) {
            return NULL;
        }
    } else if (opts->tls_authz) {
        error_setg(errp, "tls-authz requires tls-creds");
        return NULL;
    }
    config.creds = creds;
    return nbd_server_co_new(&config, errp);
}

bool coroutine_fn nbd_server_co_start(const NbdServerOptions *options,
                                      GError **errp)
{
    NBDServers *s = nbd_servers();

    if (s->server || s->starting) {
        error_setg(errp, "NBD server already running");
        return false;
    }
    s->starting = true;
    s->server = nbd_server_co_open(options, errp);
    s->starting = false;
    if (!s->server) {
        return false;
    }
    if (run_state_shutdown_cause() != SHUTDOWN_CAUSE_NONE) {
        /* While a name was looked up: nobody would stop it any more. */
        g_clear_pointer(&s->server, nbd_server_co_free);
        error_setg(errp, "The daemon is shutting down");
        return false;
    }
    g_clear_pointer(&s->address, g_free);
    if (!options->tls_creds && nbd_server_is_network(s->server)) {
        g_autoptr(SocketAddress) addr = nbd_server_address(s->server);

        s->address = socket_address_to_string(addr);
    }
    return true;
}

/*
 * A guest may write to its disks, and this server has no TLS: nothing of it
 * leaves the host.  A descriptor shows what it is once it is taken.
 */
static NBDServer *coroutine_fn guest_server_co_new(const SocketAddress *addr,
                                                   GError **errp)
{
    NBDServerConfig config = {
        .addr = addr,
        .handshake_ns = NBD_HANDSHAKE_DEFAULT_SECONDS *
                        NANOSECONDS_PER_SECOND,
    };
    g_autoptr(SocketAddress) bound = NULL;
    NBDServer *server = NULL;

    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX ||
        addr->type == SOCKET_ADDRESS_TYPE_FD) {
        server = nbd_server_co_new(&config, errp);
        if (!server) {
            return NULL;
        }
        bound = nbd_server_address(server);
    }
    if (!bound || bound->type != SOCKET_ADDRESS_TYPE_UNIX) {
        error_setg(errp, "guests are served on a unix socket only");
        g_clear_pointer(&server, nbd_server_co_free);
    }
    return server;
}

bool coroutine_fn nbd_guest_server_co_start(const SocketAddress *addr,
                                            GError **errp)
{
    NBDServers *s = nbd_servers();

    if (s->guest) {
        error_setg(errp, "The server for guests is already running");
        return false;
    }
    s->guest = guest_server_co_new(addr, errp);
    return s->guest != NULL;
}

NBDServer *nbd_server_for_export(bool guest, GError **errp)
{
    NBDServers *s = nbd_servers();
    NBDServer *server = guest ? s->guest : s->server;

    if (!server) {
        error_setg(errp, guest ? "There is no server for guests, "
                   "--guest-socket starts one" : "NBD server not running");
    }
    return server;
}

const char *nbd_server_open_address(const NBDServer *server)
{
    NBDServers *s = nbd_servers();

    return server == s->server ? s->address : NULL;
}

/* Stop */

/*
 * Clients first: an export goes with its last one.  The server is out of
 * sight at once, a new one may start meanwhile.
 */
static void coroutine_fn nbd_server_co_close(NBDServer **pserver)
{
    NBDServer *server = g_steal_pointer(pserver);
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (exp->drv == &block_export_nbd &&
            block_export_nbd_server(exp) == server) {
            block_export_request_shutdown(exp);
        }
    }
    nbd_server_co_free(server);
    block_export_co_wait_deleted();
}

bool coroutine_fn nbd_server_co_stop(GError **errp)
{
    NBDServers *s = nbd_servers();

    if (!s->server) {
        error_setg(errp, "NBD server not running");
        return false;
    }
    nbd_server_co_close(&s->server);
    return true;
}

void coroutine_fn nbd_servers_co_shutdown(void)
{
    NBDServers *s = nbd_servers();

    if (s->server) {
        nbd_server_co_close(&s->server);
    }
    if (s->guest) {
        nbd_server_co_close(&s->guest);
    }
}

/* The older commands */

bool coroutine_fn nbd_server_co_add(const NbdServerAddOptions *options,
                                    GError **errp)
{
    const char *name = options->name ? options->name : options->device;
    BlockDriverState *bs = bdrv_lookup(options->device, errp);
    BlockExportOptions add = {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .id = (char *)name,
        .node_name = (char *)options->device,
        .has_writable = true,
        .u.nbd = {
            .name = (char *)name,
            .description = options->description,
        },
    };

    if (!bs) {
        return false;
    }
    /* This command has always made the best of a read-only device. */
    add.writable = options->has_writable && options->writable &&
                   !bdrv_is_read_only(bs);
    return block_export_co_add(&add, errp) != NULL;
}

bool nbd_server_remove(const char *name, BlockExportRemoveMode mode,
                       GError **errp)
{
    BlockExport *exp = block_export_find(name);

    if (exp && exp->drv != &block_export_nbd) {
        error_setg(errp, "Block export '%s' is not an NBD export", name);
        return false;
    }
    return block_export_del(name, mode, errp);
}
