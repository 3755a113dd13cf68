/*
 * The NBD servers of the daemon
 *
 * There are two: the one of nbd-server-start and --nbd-server, and the one of
 * --guest-socket, which serves guests and which nbd-server-stop never
 * touches.  Commands and start-up only, in coroutines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_NBD_SERVER_H
#define BLOCK_NBD_SERVER_H

#include "block/export.h"
#include "nbd/server.h"

/* nbd-server-start and --nbd-server.  "NBD server already running" */
bool coroutine_fn nbd_server_co_start(const NbdServerOptions *options,
                                      GError **errp);
/*
 * nbd-server-stop: disconnect its clients, remove its exports, wait for it.
 * Do not hold the graph mutex.  "NBD server not running"
 */
bool coroutine_fn nbd_server_co_stop(GError **errp);

/* --guest-socket; "guests are served on a unix socket only" */
bool coroutine_fn nbd_guest_server_co_start(const SocketAddress *addr,
                                            GError **errp);

/* nbd-server-add; hold the graph mutex. */
bool coroutine_fn nbd_server_co_add(const NbdServerAddOptions *options,
                                    GError **errp);
/* nbd-server-remove */
bool nbd_server_remove(const char *name, BlockExportRemoveMode mode,
                       GError **errp);

/* The server for a new export; NULL and an error if it does not run. */
NBDServer *nbd_server_for_export(bool guest, GError **errp);
/* "127.0.0.1:10809" if others can reach it without TLS, else NULL. */
const char *nbd_server_open_address(const NBDServer *server);

/* The server that @exp, an NBD export, is visible on; NULL: on none now. */
NBDServer *block_export_nbd_server(BlockExport *exp);

/*
 * The end of the daemon: stop both servers, which takes their exports with
 * them.  Do not hold the graph mutex.
 */
void coroutine_fn nbd_servers_co_shutdown(void);

#endif
