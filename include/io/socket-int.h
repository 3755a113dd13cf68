/*
 * What connecting and listening share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_SOCKET_INT_H
#define IO_SOCKET_INT_H

#include <sys/socket.h>

#include "io/socket.h"

typedef struct SocketTarget {
    struct sockaddr_storage sa;
    socklen_t len;
    int protocol;               /* 0, or IPPROTO_MPTCP */
} SocketTarget;

/* What an address stands for, in the order in which to try. */
typedef struct SocketTargets {
    size_t n;
    SocketTarget *target;
} SocketTargets;

void socket_targets_free(SocketTargets *targets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SocketTargets, socket_targets_free)

/*
 * A name look-up.  @passive: to listen there.  @done is called once from the
 * loop, unless what was asked needs no waiting: then socket_lookup_is_done()
 * right after the start.  Then comes _finish, which frees @lookup and gives
 * the result.  Who gives up before calls _cancel instead.
 */
typedef struct SocketLookup SocketLookup;
SocketLookup *socket_lookup_start(const SocketAddress *addr, bool passive,
                                  AioHandler *done, void *opaque);
bool socket_lookup_is_done(const SocketLookup *lookup);
SocketTargets *socket_lookup_finish(SocketLookup *lookup, GError **errp);
void socket_lookup_cancel(SocketLookup *lookup);

/*
 * The descriptor that an address of type fd means: ours from now on.  -1 and
 * an error if there is none, or it is no socket.
 */
int socket_get_fd(const SocketAddress *addr, bool listening, GError **errp);

/* How error messages call @addr: as QEMU does, without "unix:". */
char *socket_address_for_error(const SocketAddress *addr);

/*
 * TCP_NODELAY, keep-alive if @addr (may be NULL) wants it; more room for what
 * is under way on a unix socket.
 */
void socket_set_options(int fd, const SocketAddress *addr);

#endif
