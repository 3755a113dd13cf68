/*
 * QMP: exports and the NBD server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/graph.h"
#include "block/nbd-server.h"
#include "qapi/qapi-commands-block-export.h"

void coroutine_fn qmp_nbd_server_start(NbdServerOptionsLegacy *arg,
                                       GError **errp)
{
    g_autoptr(SocketAddress) addr = socket_address_flatten(arg->addr);
    NbdServerOptions options = {
        .addr = addr,
        .has_handshake_max_seconds = arg->has_handshake_max_seconds,
        .handshake_max_seconds = arg->handshake_max_seconds,
        .tls_creds = arg->tls_creds,
        .tls_authz = arg->tls_authz,
        .has_max_connections = arg->has_max_connections,
        .max_connections = arg->max_connections,
    };

    nbd_server_co_start(&options, errp);
}

void coroutine_fn qmp_nbd_server_add(NbdServerAddOptions *arg, GError **errp)
{
    GRAPH_COMMAND_GUARD();

    nbd_server_co_add(arg, errp);
}

void coroutine_fn qmp_nbd_server_remove(const char *name, bool has_mode,
                                        BlockExportRemoveMode mode,
                                        GError **errp)
{
    nbd_server_remove(name, has_mode ? mode : BLOCK_EXPORT_REMOVE_MODE_SAFE,
                      errp);
}

void coroutine_fn qmp_nbd_server_stop(GError **errp)
{
    nbd_server_co_stop(errp);
}

void coroutine_fn qmp_block_export_add(BlockExportOptions *arg,
                                       GError **errp)
{
    GRAPH_COMMAND_GUARD();

    block_export_co_add(arg, errp);
}

void coroutine_fn qmp_block_export_del(const char *id, bool has_mode,
                                       BlockExportRemoveMode mode,
                                       GError **errp)
{
    block_export_del(id, has_mode ? mode : BLOCK_EXPORT_REMOVE_MODE_SAFE,
                     errp);
}

BlockExportInfoList *coroutine_fn qmp_query_block_exports(GError **errp)
{
    return block_export_query();
}
