/*
 * Connecting without blocking
 *
 * One coroutine looks the name up, then tries each address in turn.  What it
 * waits for at any moment (look-up, writability, a pause) is ended early by a
 * timeout or by socket_connect_cancel().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include "io/socket-int.h"

/* A unix socket whose queue is full gives no event: try again after this. */
#define CONNECT_RETRY_NS (10 * SCALE_MS)

struct SocketConnect {
    Coroutine *co;              /* sleeps in connect_wait() */
    bool cancelled;
    bool timed_out;
};

SocketConnect *socket_connect_new(void)
{
    return g_new0(SocketConnect, 1);
}

void socket_connect_free(SocketConnect *conn)
{
    g_assert(!conn || !conn->co);
    g_free(conn);
}

/* Whatever was waited for has come: look again. */
static void connect_wake(void *opaque)
{
    SocketConnect *conn = opaque;
    Coroutine *co = conn->co;

    conn->co = NULL;
    if (co) {
        aio_co_wake(co);
    }
}

static void connect_timeout(void *opaque)
{
    SocketConnect *conn = opaque;

    conn->timed_out = true;
    connect_wake(conn);
}

void socket_connect_cancel(SocketConnect *conn)
{
    conn->cancelled = true;
    connect_wake(conn);
}

static void coroutine_fn connect_wait(SocketConnect *conn)
{
    conn->co = coroutine_self();
    coroutine_yield();
}

/* 0, or the errno with which to give up. */
static int connect_stopped(const SocketConnect *conn)
{
    return conn->cancelled ? ECANCELED : conn->timed_out ? ETIMEDOUT : 0;
}

static void coroutine_fn connect_pause(SocketConnect *conn, int64_t ns)
{
    AioContext *ctx = aio_get_current();
    AioTimer timer;

    aio_timer_init(&timer, ctx, connect_wake, conn);
    aio_timer_mod(&timer, aio_clock_get_ns(ctx) + ns);
    connect_wait(conn);
    aio_timer_del(&timer);
}

/* Wait until the connection under way on @fd is made; 0 or an errno. */
static int coroutine_fn connect_finish(SocketConnect *conn, int fd)
{
    AioContext *ctx = aio_get_current();
    int err = 0;
    socklen_t len = sizeof(err);

    aio_set_fd_handler(ctx, fd, NULL, connect_wake, conn);
    connect_wait(conn);
    aio_set_fd_handler(ctx, fd, NULL, NULL, NULL);

    if (connect_stopped(conn)) {
        return connect_stopped(conn);
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? errno : err;
}

/* A connected descriptor, or -errno. */
static int coroutine_fn connect_one(SocketConnect *conn,
                                    const SocketTarget *target)
{
    int fd = socket(target->sa.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    target->protocol);
    int err;

    if (fd < 0) {
        return -errno;
    }
    do {
        err = 0;
        if (connect(fd, (const struct sockaddr *)&target->sa,
                    target->len) < 0) {
            err = errno;
        }
        if (err == EINPROGRESS || err == EINTR) {
            err = connect_finish(conn, fd);
        } else if (err == EAGAIN) {
            connect_pause(conn, CONNECT_RETRY_NS);
            if (connect_stopped(conn)) {
                err = connect_stopped(conn);
            }
        }
    } while (err == EAGAIN);

    if (err) {
        close(fd);
        return -err;
    }
    return fd;
}

/* The targets, or NULL and the message; stops early with that reason. */
static SocketTargets *coroutine_fn
connect_lookup(SocketConnect *conn, const SocketAddress *addr,
               const char *name, GError **errp)
{
    SocketLookup *lookup = socket_lookup_start(addr, false, connect_wake,
                                               conn);

    while (!socket_lookup_is_done(lookup) && !connect_stopped(conn)) {
        connect_wait(conn);
    }
    if (connect_stopped(conn)) {
        socket_lookup_cancel(lookup);
        error_setg_errno(errp, connect_stopped(conn),
                         "Failed to connect to '%s'", name);
        return NULL;
    }
    return socket_lookup_finish(lookup, errp);
}

static int coroutine_fn connect_any(SocketConnect *conn,
                                    const SocketAddress *addr, GError **errp)
{
    g_autofree char *name = socket_address_for_error(addr);
    g_autoptr(SocketTargets) targets = connect_lookup(conn, addr, name, errp);
    int ret = -ENOENT;

    if (!targets) {
        return -1;
    }
    for (size_t i = 0; i < targets->n; i++) {
        if (connect_stopped(conn)) {
            ret = -connect_stopped(conn);
            break;
        }
        ret = connect_one(conn, &targets->target[i]);
        if (ret >= 0) {
            return ret;
        }
    }
    error_setg_errno(errp, -ret, "Failed to connect to '%s'", name);
    return -1;
}

IOChannel *coroutine_fn socket_co_connect(const SocketAddress *addr,
                                          SocketConnect *conn,
                                          int64_t timeout_ns, GError **errp)
{
    AioContext *ctx = aio_get_current();
    SocketConnect local = { 0 };
    AioTimer timer;
    int fd;

    if (addr->type == SOCKET_ADDRESS_TYPE_FD) {
        fd = socket_get_fd(addr, false, errp);
        return fd < 0 ? NULL : io_channel_new_fd(fd);
    }

    conn = conn ?: &local;
    conn->timed_out = false;
    aio_timer_init(&timer, ctx, connect_timeout, conn);
    if (timeout_ns) {
        aio_timer_mod(&timer, aio_clock_get_ns(ctx) + timeout_ns);
    }
    fd = connect_any(conn, addr, errp);
    aio_timer_del(&timer);
    if (fd < 0) {
        return NULL;
    }
    socket_set_options(fd, addr);
    return io_channel_new_fd(fd);
}
