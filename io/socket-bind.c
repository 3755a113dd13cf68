/*
 * Making listening sockets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket-bind.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

static void error_bind(GError **errp, int err, const SocketAddress *addr)
{
    g_autofree char *name = socket_address_for_error(addr);

    error_setg_errno(errp, err, "Failed to bind socket to %s", name);
}

static void bound_socket_add(GArray *sockets, int fd)
{
    BoundSocket bound = { .fd = fd };

    g_array_append_val(sockets, bound);
}

/* Unix sockets */

/* Whether nobody listens behind the socket file any more. */
static bool unix_socket_is_stale(const SocketTarget *target)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&target->sa;
    struct stat st;
    bool stale;
    int fd;

    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    stale = connect(fd, (const struct sockaddr *)un, target->len) < 0 &&
            errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int unix_bind(int fd, const SocketTarget *target)
{
    const struct sockaddr *sa = (const struct sockaddr *)&target->sa;
    const struct sockaddr_un *un = (const struct sockaddr_un *)sa;

    if (bind(fd, sa, target->len) == 0) {
        return 0;
    }
    if (errno != EADDRINUSE || un->sun_path[0] == '\0') {
        return -errno;
    }
    if (!unix_socket_is_stale(target) || unlink(un->sun_path) < 0) {
        return -EADDRINUSE;
    }
    return bind(fd, sa, target->len) < 0 ? -errno : 0;
}

/* Remember which file is ours, so that we never remove another's. */
static void unix_socket_note_file(BoundSocket *bound, const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0) {
        /* Absolute: -daemonize changes the working directory. */
        bound->path = g_canonicalize_filename(path, NULL);
        bound->dev = st.st_dev;
        bound->ino = st.st_ino;
    }
}

static bool bind_unix(const SocketAddress *addr, const SocketTargets *targets,
                      int backlog, mode_t mode, GArray *sockets,
                      GError **errp)
{
    const SocketTarget *target = &targets->target[0];
    bool has_file = !addr->u.q_unix.abstract;
    BoundSocket bound = { 0 };
    int ret;

    bound.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bound.fd < 0) {
        error_setg_errno(errp, errno, "Failed to create Unix socket");
        return false;
    }
    /* The file takes the socket's mode: there is no moment of a laxer one. */
    if (mode && has_file) {
        fchmod(bound.fd, mode);
    }
    ret = unix_bind(bound.fd, target);
    if (ret < 0) {
        error_bind(errp, -ret, addr);
        close(bound.fd);
        return false;
    }
    if (has_file) {
        unix_socket_note_file(&bound, addr->u.q_unix.path);
    }
    g_array_append_val(sockets, bound);

    if ((mode && has_file && chmod(addr->u.q_unix.path, mode) < 0) ||
        listen(bound.fd, backlog) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on socket %s",
                         addr->u.q_unix.path);
        return false;
    }
    return true;
}

/* TCP and vsock */

static uint16_t sockaddr_port(const struct sockaddr_storage *sa)
{
    return ntohs(sa->ss_family == AF_INET6
                 ? ((const struct sockaddr_in6 *)sa)->sin6_port
                 : ((const struct sockaddr_in *)sa)->sin_port);
}

static void sockaddr_set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
    }
}

/* A listening descriptor, or -errno. */
static int bind_stream(const SocketTarget *target, int backlog)
{
    int fd = socket(target->sa.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    target->protocol);
    int on = 1, err;

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (target->sa.ss_family == AF_INET6) {
        /* Each family gets a socket of its own. */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, (const struct sockaddr *)&target->sa, target->len) == 0 &&
        listen(fd, backlog) == 0) {
        return fd;
    }
    err = errno;
    close(fd);
    return -err;
}

/* An address family that this host lacks does not matter if another works. */
static bool is_missing_family(int err)
{
    return err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

/* Listen on @port at all addresses; 0 or -errno, then without any. */
static int bind_inet_port(const SocketTargets *targets, uint16_t port,
                          int backlog, GArray *sockets)
{
    int ret = 0;

    for (size_t i = 0; i < targets->n; i++) {
        SocketTarget target = targets->target[i];
        int fd;

        sockaddr_set_port(&target.sa, port);
        fd = bind_stream(&target, backlog);
        if (fd >= 0) {
            struct sockaddr_storage sa;
            socklen_t len = sizeof(sa);

            bound_socket_add(sockets, fd);
            /* The port chosen for 0 is good for the other addresses, too. */
            if (!port && !getsockname(fd, (struct sockaddr *)&sa, &len)) {
                port = sockaddr_port(&sa);
            }
            continue;
        }
        ret = fd;
        if (!is_missing_family(-fd)) {
            bound_sockets_close(sockets);
            return fd;
        }
    }
    return sockets->len ? 0 : ret;
}

static bool bind_inet(const SocketAddress *addr, const SocketTargets *targets,
                      int backlog, GArray *sockets, GError **errp)
{
    const InetSocketAddress *inet = &addr->u.inet;
    uint16_t first = sockaddr_port(&targets->target[0].sa);
    uint16_t last = inet->has_to ? MAX(inet->to, first) : first;
    int ret = -EADDRINUSE;

    for (unsigned port = first; port <= last; port++) {
        ret = bind_inet_port(targets, port, backlog, sockets);
        if (ret != -EADDRINUSE) {
            break;
        }
    }
    if (ret < 0) {
        error_bind(errp, -ret, addr);
    }
    return ret == 0;
}

static bool bind_vsock(const SocketAddress *addr,
                       const SocketTargets *targets, int backlog,
                       GArray *sockets, GError **errp)
{
    int fd = bind_stream(&targets->target[0], backlog);

    if (fd < 0) {
        error_bind(errp, -fd, addr);
        return false;
    }
    bound_socket_add(sockets, fd);
    return true;
}

/* Everything */

static bool bind_any(const SocketAddress *addr, const SocketTargets *targets,
                     int backlog, mode_t unix_mode, GArray *sockets,
                     GError **errp)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        return bind_unix(addr, targets, backlog, unix_mode, sockets, errp);
    case SOCKET_ADDRESS_TYPE_INET:
        return bind_inet(addr, targets, backlog, sockets, errp);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return bind_vsock(addr, targets, backlog, sockets, errp);
    default:
        g_assert_not_reached();
    }
}

GArray *bound_sockets_open(const SocketAddress *addr,
                           const SocketTargets *targets, int backlog,
                           mode_t unix_mode, GError **errp)
{
    GArray *sockets = g_array_new(false, false, sizeof(BoundSocket));

    if (!bind_any(addr, targets, backlog > 0 ? backlog : SOMAXCONN,
                  unix_mode, sockets, errp)) {
        bound_sockets_free(sockets);
        return NULL;
    }
    return sockets;
}

GArray *bound_sockets_from_fd(int fd)
{
    GArray *sockets = g_array_new(false, false, sizeof(BoundSocket));

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    bound_socket_add(sockets, fd);
    return sockets;
}

void bound_sockets_close(GArray *sockets)
{
    for (guint i = 0; i < sockets->len; i++) {
        BoundSocket *bound = &g_array_index(sockets, BoundSocket, i);
        struct stat st;

        close(bound->fd);
        if (bound->path && lstat(bound->path, &st) == 0 &&
            st.st_dev == bound->dev && st.st_ino == bound->ino) {
            unlink(bound->path);
        }
        g_free(bound->path);
    }
    g_array_set_size(sockets, 0);
}

void bound_sockets_free(GArray *sockets)
{
    bound_sockets_close(sockets);
    g_array_free(sockets, true);
}
