/*
 * Making listening sockets: used by listeners only
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_SOCKET_BIND_H
#define IO_SOCKET_BIND_H

#include "io/socket-int.h"

typedef struct BoundSocket {
    int fd;
    char *path;                 /* the file of a unix socket, or NULL */
    dev_t dev;                  /* which file it was */
    ino_t ino;
} BoundSocket;

/*
 * An array of BoundSocket, listening on all of @targets (the result of a
 * passive look-up of @addr).  NULL on failure.
 */
GArray *bound_sockets_open(const SocketAddress *addr,
                           const SocketTargets *targets, int backlog,
                           mode_t unix_mode, GError **errp);

/* The same for a descriptor that listens already. */
GArray *bound_sockets_from_fd(int fd);

/* Close them and remove files that are still ours; keep the empty array. */
void bound_sockets_close(GArray *sockets);
void bound_sockets_free(GArray *sockets);

#endif
