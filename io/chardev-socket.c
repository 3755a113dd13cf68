/*
 * Character devices over sockets
 *
 * A server has one client at a time: while one is there (or shakes hands)
 * the others wait in the kernel's queue.  A client connects again after its
 * reconnect time.  With TLS credentials a stream opens after the handshake.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/chardev.h"

#include "io/chardev-int.h"
#include "io/socket.h"
#include "io/tls.h"
#include "io/yank.h"

/* Whoever may talk to a monitor may do everything: only the owner. */
#define CHARDEV_UNIX_MODE 0600

/* Seconds; a day */
#define CHARDEV_RECONNECT_MAX 86400

/* Who shakes hands keeps the others waiting: not for longer than this. */
#define CHARDEV_HANDSHAKE_NS (10 * NANOSECONDS_PER_SECOND)

typedef struct SocketChardev {
    Chardev base;

    /* Constant after co_open */
    const ChardevSocket *opts;
    SocketAddress *addr;
    TLSCreds *creds;
    bool server;
    IOListener *listener;
    YankEntry yank;

    IOChannel *plain;           /* shakes hands */
    AioTimer handshake;         /* the end of its patience */
    SocketConnect *connecting;  /* a connection is being made */
    AioTimer reconnect;
    bool failure_told;          /* since the last connection */
    Coroutine *waiter;          /* co_open of a server with wait=on */
} SocketChardev;

static SocketChardev *to_socket(Chardev *chr)
{
    return container_of(chr, SocketChardev, base);
}

/* Cut whatever is under way: the reader or the handshake sees the end. */
static void socket_cut(void *opaque)
{
    SocketChardev *s = opaque;

    if (s->connecting) {
        socket_connect_cancel(s->connecting);
    }
    if (s->base.ioc) {
        io_channel_shutdown(s->base.ioc);
    }
    if (s->plain) {
        io_channel_shutdown(s->plain);
    }
}

static IOChannel *coroutine_fn socket_co_tls(SocketChardev *s,
                                             IOChannel *plain, GError **errp)
{
    if (s->server) {
        return io_channel_tls_co_server(plain, s->creds, s->opts->tls_authz,
                                        errp);
    }
    return io_channel_tls_co_client(plain, s->creds,
                                    s->addr->type == SOCKET_ADDRESS_TYPE_INET
                                    ? s->addr->u.inet.host : NULL, errp);
}

/* Make a stream of @plain (which is ours) and open it. */
static bool coroutine_fn socket_co_start(SocketChardev *s, IOChannel *plain,
                                         GError **errp)
{
    IOChannel *ioc = plain;

    if (s->creds) {
        s->plain = plain;
        aio_timer_mod(&s->handshake, aio_clock_get_ns(s->base.ctx) +
                      CHARDEV_HANDSHAKE_NS);
        ioc = socket_co_tls(s, plain, errp);
        aio_timer_del(&s->handshake);
        s->plain = NULL;
        io_channel_unref(plain);
        if (!ioc) {
            return false;
        }
    }
    if (s->base.closed) {
        error_setg(errp, "Chardev '%s' was removed", s->base.id);
        io_channel_unref(ioc);
        return false;
    }
    chardev_opened(&s->base, ioc);
    if (s->waiter) {
        aio_co_wake(g_steal_pointer(&s->waiter));
    }
    return true;
}

/* Servers */

typedef struct AcceptedStream {
    SocketChardev *s;
    IOChannel *plain;
} AcceptedStream;

static void coroutine_fn socket_co_accepted(void *opaque)
{
    AcceptedStream accepted = *(AcceptedStream *)opaque;
    SocketChardev *s = accepted.s;
    g_autoptr(GError) err = NULL;

    if (!socket_co_start(s, accepted.plain, &err) && !s->base.closed) {
        warn_report("chardev '%s': %s", s->base.id, err->message);
        io_listener_pause(s->listener, false);
    }
    chardev_unref(&s->base);
}

static void socket_accept(IOChannel *ioc, void *opaque)
{
    AcceptedStream accepted = { .s = opaque, .plain = ioc };

    io_listener_pause(accepted.s->listener, true);
    chardev_ref(&accepted.s->base);
    coroutine_start(socket_co_accepted, &accepted);
}

static bool coroutine_fn socket_co_listen(SocketChardev *s, GError **errp)
{
    s->listener = io_listener_co_new(s->addr, 1, CHARDEV_UNIX_MODE,
                                     socket_accept, s, errp);
    if (!s->listener) {
        return false;
    }
    if (s->base.closed) {
        /* While its name was looked up: nobody else knows of it. */
        g_clear_pointer(&s->listener, io_listener_free);
        return true;
    }
    if (s->opts->has_wait && s->opts->wait) {
        g_autofree char *name = s->base.ops->filename(&s->base);

        info_report("waiting for connection on: %s", name);
        s->waiter = coroutine_self();
        coroutine_yield();
    }
    return true;
}

/* Clients */

static bool coroutine_fn socket_co_dial(SocketChardev *s, GError **errp)
{
    IOChannel *plain;

    s->connecting = socket_connect_new();
    plain = socket_co_connect(s->addr, s->connecting, 0, errp);
    g_clear_pointer(&s->connecting, socket_connect_free);
    return plain && socket_co_start(s, plain, errp);
}

static void socket_dial_later(SocketChardev *s)
{
    if (!s->base.closed && s->opts->has_reconnect && s->opts->reconnect > 0) {
        aio_timer_mod(&s->reconnect, aio_clock_get_ns(s->base.ctx) +
                      s->opts->reconnect * NANOSECONDS_PER_SECOND);
    }
}

static void coroutine_fn socket_co_redial(void *opaque)
{
    SocketChardev *s = opaque;
    g_autoptr(GError) err = NULL;
    bool failed = !socket_co_dial(s, &err);

    if (failed && !s->base.closed) {
        if (!s->failure_told) {
            warn_report("Unable to connect character device %s: %s",
                        s->base.id, err->message);
        }
        socket_dial_later(s);
    }
    s->failure_told = failed;
    chardev_unref(&s->base);
}

static void socket_dial_in_background(void *opaque)
{
    SocketChardev *s = opaque;

    chardev_ref(&s->base);
    coroutine_start(socket_co_redial, s);
}

/* Both */

static bool socket_check_options(SocketChardev *s, GError **errp)
{
    const ChardevSocket *opts = s->opts;

    if (opts->has_reconnect &&
        (opts->reconnect < 0 || opts->reconnect > CHARDEV_RECONNECT_MAX)) {
        error_setg(errp, "'reconnect' must be from 0 to %d seconds",
                   CHARDEV_RECONNECT_MAX);
    } else if (opts->has_reconnect && opts->reconnect &&
               s->addr->type == SOCKET_ADDRESS_TYPE_FD) {
        /* Its number may be another one's by then. */
        error_setg(errp, "'reconnect' option is incompatible with 'fd' "
                   "address type");
    } else if (s->server && opts->has_reconnect && opts->reconnect) {
        error_setg(errp, "'reconnect' option is incompatible with socket in "
                   "server listen mode");
    } else if (!s->server && opts->has_wait) {
        error_setg(errp, "'wait' option is incompatible with socket in client "
                   "connect mode");
    } else if (opts->tls_authz && !opts->tls_creds) {
        error_setg(errp, "'tls_authz' option is only valid with 'tls_creds'");
    } else if (opts->tls_authz && !s->server) {
        error_setg(errp, "'tls_authz' option is only valid in server mode");
    } else {
        return true;
    }
    return false;
}

static bool coroutine_fn socket_co_open(Chardev *chr, GError **errp)
{
    SocketChardev *s = to_socket(chr);

    s->opts = chr->backend->u.socket.data;
    s->server = !s->opts->has_server || s->opts->server;
    s->addr = socket_address_flatten(s->opts->addr);
    aio_timer_init(&s->reconnect, chr->ctx, socket_dial_in_background, s);
    aio_timer_init(&s->handshake, chr->ctx, socket_cut, s);
    if (!socket_check_options(s, errp)) {
        return false;
    }
    if (s->opts->tls_creds) {
        s->creds = tls_creds_lookup(s->opts->tls_creds, s->server, errp);
        if (!s->creds) {
            return false;
        }
    }
    s->yank.type = YANK_INSTANCE_TYPE_CHARDEV;
    s->yank.id = chr->id;
    s->yank.func = socket_cut;
    s->yank.opaque = s;
    yank_register(&s->yank);

    if (s->server) {
        return socket_co_listen(s, errp);
    }
    if (s->opts->has_reconnect && s->opts->reconnect) {
        socket_dial_in_background(s);
        return true;
    }
    return socket_co_dial(s, errp);
}

static void socket_disconnected(Chardev *chr)
{
    SocketChardev *s = to_socket(chr);

    if (s->server) {
        io_listener_pause(s->listener, false);
    } else {
        socket_dial_later(s);
    }
}

static void socket_close(Chardev *chr)
{
    SocketChardev *s = to_socket(chr);

    yank_unregister(&s->yank);
    if (s->reconnect.ctx) {
        aio_timer_del(&s->reconnect);
    }
    g_clear_pointer(&s->listener, io_listener_free);
    socket_cut(s);
    if (s->waiter) {
        aio_co_wake(g_steal_pointer(&s->waiter));
    }
}

static void socket_finalize(Chardev *chr)
{
    SocketChardev *s = to_socket(chr);

    tls_creds_unref(s->creds);
    qapi_free_SocketAddress(s->addr);
}

static char *socket_filename(Chardev *chr)
{
    SocketChardev *s = to_socket(chr);
    g_autoptr(SocketAddress) real = NULL;
    g_autofree char *name = NULL;
    const SocketAddress *addr = s->addr;

    if (s->listener) {
        real = io_listener_address(s->listener);
        addr = real;
    }
    if (!addr) {
        return g_strdup("socket");
    }
    name = socket_address_to_string(addr);
    return g_strdup_printf("%s%s%s%s", chr->ioc ? "" : "disconnected:",
                           addr->type == SOCKET_ADDRESS_TYPE_INET
                           ? "tcp:" : "", name,
                           s->server ? ",server=on" : "");
}

const ChardevOps chardev_socket_ops = {
    .instance_size  = sizeof(SocketChardev),
    .co_open        = socket_co_open,
    .disconnected   = socket_disconnected,
    .close          = socket_close,
    .finalize       = socket_finalize,
    .filename       = socket_filename,
};
