/*
 * Listeners: accept connections on all sockets of an address
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include <netdb.h>
#include <sys/un.h>

#include "io/sockaddr.h"
#include "io/socket-bind.h"

/* Connections per turn of the loop and socket, so that others get theirs. */
#define ACCEPT_BATCH 16

/* How long to wait for descriptors or memory to become free. */
#define ACCEPT_RETRY_NS (100 * SCALE_MS)

typedef struct ListenSocket {
    struct IOListener *listener;
    int fd;
} ListenSocket;

struct IOListener {
    /* Constant */
    AioContext *ctx;
    SocketAddress *addr;        /* as asked for */
    IOListenerFunc *func;
    void *opaque;
    GArray *bound;
    ListenSocket *sockets;      /* one for each of @bound */

    AioTimer retry;             /* pending while there are no descriptors */
    bool starved;               /* said so, and not accepted any since */
    unsigned refcnt;            /* callbacks hold one: they may free us */
    bool paused;
    bool closed;
};

static void listener_accept(void *opaque);

static void listener_unref(IOListener *listener)
{
    if (--listener->refcnt == 0) {
        qapi_free_SocketAddress(listener->addr);
        g_free(listener->sockets);
        g_free(listener);
    }
}

static void listener_watch(IOListener *listener, bool on)
{
    for (guint i = 0; i < listener->bound->len; i++) {
        aio_set_fd_handler(listener->ctx, listener->sockets[i].fd,
                           on ? listener_accept : NULL, NULL,
                           &listener->sockets[i]);
    }
}

static void listener_retry(void *opaque)
{
    IOListener *listener = opaque;

    if (!listener->paused) {
        listener_watch(listener, true);
    }
}

static bool is_out_of_resources(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* Leave the connections in the kernel's queue for a moment. */
static void listener_starve(IOListener *listener, int err)
{
    if (!listener->starved) {
        warn_report("Failed to accept a connection: %s; trying again until "
                    "it works", g_strerror(err));
    }
    listener->starved = true;
    listener_watch(listener, false);
    aio_timer_mod(&listener->retry,
                  aio_clock_get_ns(listener->ctx) + ACCEPT_RETRY_NS);
}

/* One connection; false when there is none for now. */
static bool listener_accept_one(IOListener *listener, int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        int err = errno;

        if (is_out_of_resources(err)) {
            listener_starve(listener, err);
        }
        /* A connection that is gone already concerns nobody. */
        return err == ECONNABORTED || err == EINTR;
    }
    listener->starved = false;
    socket_set_options(fd, listener->addr);
    listener->func(io_channel_new_fd(fd), listener->opaque);
    return true;
}

static void listener_accept(void *opaque)
{
    ListenSocket *s = opaque;
    IOListener *listener = s->listener;

    listener->refcnt++;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (listener->closed || listener->paused ||
            !listener_accept_one(listener, s->fd)) {
            break;
        }
    }
    listener_unref(listener);
}

static IOListener *listener_new(const SocketAddress *addr, GArray *bound,
                                IOListenerFunc *func, void *opaque)
{
    IOListener *listener = g_new0(IOListener, 1);

    listener->ctx = aio_get_current();
    listener->addr = QAPI_CLONE(SocketAddress, addr);
    listener->func = func;
    listener->opaque = opaque;
    listener->bound = bound;
    listener->refcnt = 1;
    listener->sockets = g_new0(ListenSocket, bound->len);
    for (guint i = 0; i < bound->len; i++) {
        listener->sockets[i].listener = listener;
        listener->sockets[i].fd = g_array_index(bound, BoundSocket, i).fd;
    }
    aio_timer_init(&listener->retry, listener->ctx, listener_retry, listener);
    listener_watch(listener, true);
    return listener;
}

typedef struct ListenerLookup {
    Coroutine *co;
} ListenerLookup;

static void listener_lookup_done(void *opaque)
{
    aio_co_wake(((ListenerLookup *)opaque)->co);
}

IOListener *coroutine_fn io_listener_co_new(const SocketAddress *addr,
                                            int backlog, mode_t unix_mode,
                                            IOListenerFunc *func,
                                            void *opaque, GError **errp)
{
    ListenerLookup wait = { .co = coroutine_self() };
    g_autoptr(SocketTargets) targets = NULL;
    SocketLookup *lookup;
    GArray *bound;
    int fd;

    if (addr->type == SOCKET_ADDRESS_TYPE_FD) {
        fd = socket_get_fd(addr, true, errp);
        return fd < 0 ? NULL : listener_new(addr, bound_sockets_from_fd(fd),
                                            func, opaque);
    }

    lookup = socket_lookup_start(addr, true, listener_lookup_done, &wait);
    if (!socket_lookup_is_done(lookup)) {
        coroutine_yield();
    }
    targets = socket_lookup_finish(lookup, errp);
    if (!targets) {
        return NULL;
    }
    bound = bound_sockets_open(addr, targets, backlog, unix_mode, errp);
    return bound ? listener_new(addr, bound, func, opaque) : NULL;
}

void io_listener_pause(IOListener *listener, bool pause)
{
    if (listener->paused != pause) {
        listener->paused = pause;
        if (!aio_timer_pending(&listener->retry)) {
            listener_watch(listener, !pause);
        }
    }
}

static SocketAddress *address_from_inet(const struct sockaddr_storage *sa,
                                        socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    SocketAddress *addr;

    if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host),
                    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)) {
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.host = g_strdup(host);
    addr->u.inet.port = g_strdup(port);
    return addr;
}

static SocketAddress *address_from_unix(const struct sockaddr_un *un,
                                        socklen_t len)
{
    size_t n = len - offsetof(struct sockaddr_un, sun_path);
    SocketAddress *addr;

    if (len <= offsetof(struct sockaddr_un, sun_path)) {
        return NULL;
    }
    addr = g_new0(SocketAddress, 1);
    addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    if (un->sun_path[0] == '\0') {
        addr->u.q_unix.path = g_strndup(un->sun_path + 1, n - 1);
        addr->u.q_unix.has_abstract = addr->u.q_unix.abstract = true;
    } else {
        addr->u.q_unix.path = g_strndup(un->sun_path, n);
    }
    return addr;
}

SocketAddress *io_listener_address(IOListener *listener)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    SocketAddress *addr = NULL;

    if (getsockname(listener->sockets[0].fd, (struct sockaddr *)&sa,
                    &len) == 0) {
        if (sa.ss_family == AF_INET || sa.ss_family == AF_INET6) {
            addr = address_from_inet(&sa, len);
        } else if (sa.ss_family == AF_UNIX) {
            addr = address_from_unix((const struct sockaddr_un *)&sa, len);
        }
    }
    return addr ?: QAPI_CLONE(SocketAddress, listener->addr);
}

bool io_listener_is_network(IOListener *listener)
{
    for (guint i = 0; i < listener->bound->len; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t len = sizeof(sa);

        if (getsockname(listener->sockets[i].fd, (struct sockaddr *)&sa,
                        &len) < 0 || sockaddr_is_network(&sa)) {
            return true;
        }
    }
    return false;
}

void io_listener_free(IOListener *listener)
{
    if (!listener) {
        return;
    }
    listener->closed = true;
    aio_timer_del(&listener->retry);
    listener_watch(listener, false);
    bound_sockets_free(listener->bound);
    listener_unref(listener);
}
