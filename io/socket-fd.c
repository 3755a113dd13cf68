/*
 * Addresses that are descriptors, and options of sockets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include "io/socket-int.h"

/* Set once, by the daemon, before anything runs. */
static SocketFdLookup *fd_lookup;

void socket_set_fd_lookup(SocketFdLookup *lookup)
{
    fd_lookup = lookup;
}

static bool fd_is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool fd_listens(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 &&
           value;
}

int socket_get_fd(const SocketAddress *addr, bool listening, GError **errp)
{
    const char *str = addr->u.fd.str;
    guint64 number;
    bool by_name = false;
    int fd;

    if (g_ascii_string_to_unsigned(str, 10, 0, INT_MAX, &number, NULL)) {
        fd = number;
    } else if (fd_lookup) {
        fd = fd_lookup(str, errp);
        by_name = true;
        if (fd < 0) {
            return -1;
        }
    } else {
        error_setg(errp, "Unable to parse FD number %s", str);
        return -1;
    }

    if (!fd_is_socket(fd)) {
        error_setg(errp, "File descriptor '%s' is not a socket", str);
    } else if (fd_listens(fd) != listening) {
        error_setg(errp, listening
                   ? "File descriptor '%s' is not a listening socket"
                   : "File descriptor '%s' is a listening socket, a connected "
                     "one is needed", str);
    } else {
        return fd;
    }
    if (by_name) {
        close(fd);
    }
    return -1;
}

/* Bytes under way on a unix socket; the kernel's default is 208 KiB. */
#define UNIX_SEND_BUFFER (512 * 1024)

/*
 * TCP finds its buffer sizes by itself.  A unix socket takes what is set: with
 * more room a large reply is sent at once, and fewer times has one side to
 * wake up the other.
 */
static void set_unix_buffer(int fd)
{
    int domain = AF_UNSPEC, bytes = UNIX_SEND_BUFFER;
    socklen_t len = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
        domain == AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
}

void socket_set_options(int fd, const SocketAddress *addr)
{
    int on = 1;

    set_unix_buffer(fd);
    /* Fails harmlessly on what is not TCP. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (addr && addr->type == SOCKET_ADDRESS_TYPE_INET &&
        addr->u.inet.has_keep_alive && addr->u.inet.keep_alive) {
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
}
