/*
 * The kernel's socket addresses as text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_SOCKADDR_H
#define IO_SOCKADDR_H

#include <sys/socket.h>

/* "192.0.2.1:10809", "[::1]:10809", "unix:/path".  Free with g_free. */
char *sockaddr_to_string(const struct sockaddr_storage *sa, socklen_t len);

/*
 * Whom the socket @fd talks to.  The client of a unix socket has no name
 * there: it is called by the path on which it was accepted.
 */
char *sockaddr_peer_name(int fd);

/* Whether other hosts can reach what listens at @sa. */
bool sockaddr_is_network(const struct sockaddr_storage *sa);

bool sockaddr_fd_is_unix(int fd);

#endif
