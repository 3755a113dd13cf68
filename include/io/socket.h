/*
 * Connecting, listening, addresses
 *
 * Nothing here blocks after start-up: names are looked up in a worker thread,
 * connections are made without waiting in a system call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"

/*
 * A pending connect can be given up: socket_connect_cancel() makes
 * socket_co_connect() return soon with -ECANCELED's text.  Zeroed before use.
 */
typedef struct SocketConnect SocketConnect;
SocketConnect *socket_connect_new(void);
void socket_connect_cancel(SocketConnect *conn);
void socket_connect_free(SocketConnect *conn);

/*
 * Connect to @addr, trying each address of a name in turn.  TCP gets
 * TCP_NODELAY (and keep-alive when @addr asks for it).  @timeout_ns bounds
 * it all, 0 for no bound.  @conn may be NULL.  On failure NULL and
 * "Failed to connect to '...': reason".
 */
IOChannel *coroutine_fn socket_co_connect(const SocketAddress *addr,
                                          SocketConnect *conn,
                                          int64_t timeout_ns, GError **errp);

typedef struct IOListener IOListener;

/* @ioc is the callee's. */
typedef void IOListenerFunc(IOChannel *ioc, void *opaque);

/*
 * Listen on every address that @addr names (bind, listen) and call @func for
 * each connection.  A stale unix socket is replaced; unix sockets get
 * @unix_mode (0 for the umask's).  TCP connections get TCP_NODELAY.  When
 * descriptors run out, accepting pauses for a moment and goes on.
 */
IOListener *coroutine_fn io_listener_co_new(const SocketAddress *addr,
                                            int backlog, mode_t unix_mode,
                                            IOListenerFunc *func,
                                            void *opaque, GError **errp);

/* Stop and go on accepting; connections queue up in the kernel meanwhile. */
void io_listener_pause(IOListener *listener, bool pause);

/* The address it really listens on (the port chosen for port 0). */
SocketAddress *io_listener_address(IOListener *listener);

/* Whether other hosts can reach it, at any of its addresses. */
bool io_listener_is_network(IOListener *listener);

/* Close, and remove the unix socket's file if it is still ours. */
void io_listener_free(IOListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IOListener, io_listener_free)

/*
 * "tcp:host:port", "unix:path", "host:port", "fd:name", "[v6]:port", with
 * ",option=..." as in QEMU.  NULL and an error if it is none of these.
 */
SocketAddress *socket_parse(const char *str, GError **errp);

/* For messages: "127.0.0.1:10809", "unix:/path".  Free with g_free. */
char *socket_address_to_string(const SocketAddress *addr);

/* {'type': 'inet', 'data': {...}} to the flat form. */
SocketAddress *socket_address_flatten(const SocketAddressLegacy *legacy);

/*
 * Who knows descriptors by name (the monitor's getfd): returns one that is
 * the caller's from then on, or -1 and an error.  Without it, fd addresses
 * are numbers only.
 */
typedef int SocketFdLookup(const char *name, GError **errp);
void socket_set_fd_lookup(SocketFdLookup *lookup);

#endif
