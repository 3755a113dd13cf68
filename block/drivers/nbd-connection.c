/*
 * The nbd driver: connecting, losing the connection, connecting again
 *
 * When the connection is lost a coroutine tries to get a new one, at once and
 * then at growing intervals, until it has one or the node is closed.  With
 * reconnect-delay requests wait for it that long; without, and afterwards,
 * they fail at once.  A node that is being drained waits for its requests,
 * and thereby for reconnect-delay at most: nothing here waits without bound.
 *
 * A server that is a descriptor is one connection: once that is lost the node
 * is as good as yanked.
 *
 * Every attempt has a deadline that covers name look-up, connection, TLS and
 * the NBD handshake; yank and close end it at any moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-int.h"

#include "nbd/protocol.h"
#include "util/trace.h"

/* A server that needs longer than this to shake hands is as good as dead. */
#define ATTEMPT_TIMEOUT_NS (10 * NANOSECONDS_PER_SECOND)

/* Pause between attempts: doubles from one to the other, as QEMU's does. */
#define BACKOFF_MIN_NS (1 * NANOSECONDS_PER_SECOND)
#define BACKOFF_MAX_NS (16 * NANOSECONDS_PER_SECOND)

/* What a new connection must offer if the first one did */
#define PROMISED_FLAGS (NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |           \
                        NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |   \
                        NBD_FLAG_SEND_FAST_ZERO)

static int64_t now_ns(const BDRVNBDState *s)
{
    return aio_clock_get_ns(s->bs->ctx);
}

/* The number of a descriptor that was used may be another one's by now. */
static bool can_connect_again(const BDRVNBDState *s)
{
    return s->opts->server->type != SOCKET_ADDRESS_TYPE_FD;
}

/* State */

static const char *const state_names[NBD_STATE__MAX] = {
    [NBD_STATE_CONNECTING] = "connecting",
    [NBD_STATE_CONNECTED] = "connected",
    [NBD_STATE_RECONNECT_WAIT] = "reconnect-wait",
    [NBD_STATE_RECONNECT_NOWAIT] = "reconnect-nowait",
    [NBD_STATE_QUIT] = "quit",
};

static const bool state_edges[NBD_STATE__MAX][NBD_STATE__MAX] = {
    [NBD_STATE_CONNECTING] = {
        [NBD_STATE_CONNECTED] = true,
        [NBD_STATE_QUIT] = true,
    },
    [NBD_STATE_CONNECTED] = {
        [NBD_STATE_RECONNECT_WAIT] = true,
        [NBD_STATE_RECONNECT_NOWAIT] = true,
        [NBD_STATE_QUIT] = true,
    },
    [NBD_STATE_RECONNECT_WAIT] = {
        [NBD_STATE_CONNECTED] = true,
        [NBD_STATE_RECONNECT_NOWAIT] = true,
        [NBD_STATE_QUIT] = true,
    },
    [NBD_STATE_RECONNECT_NOWAIT] = {
        [NBD_STATE_CONNECTED] = true,
        [NBD_STATE_QUIT] = true,
    },
};

/* The only place that writes s->state; waiting requests look again. */
static void nbd_set_state(BDRVNBDState *s, NBDState state)
{
    trace_event(nbd_state, "node '%s': %s -> %s", s->bs->node_name,
                state_names[s->state], state_names[state]);
    g_assert(state_edges[s->state][state]);
    s->state = state;
    if (state != NBD_STATE_RECONNECT_WAIT) {
        aio_timer_del(&s->delay_timer);
        co_queue_restart_all(&s->waiting);
    }
}

static void delay_over(void *opaque)
{
    nbd_set_state(opaque, NBD_STATE_RECONNECT_NOWAIT);
}

int coroutine_fn nbd_co_wait_connected(BDRVNBDState *s)
{
    while (s->state == NBD_STATE_RECONNECT_WAIT) {
        co_queue_wait(&s->waiting);
    }
    return s->state == NBD_STATE_CONNECTED ? 0 : -EIO;
}

/* One attempt */

static void cancel_attempt(BDRVNBDState *s)
{
    /* Outside of coroutines this may run what waits, and free us. */
    if (s->connect) {
        socket_connect_cancel(s->connect);
    } else if (s->handshake) {
        io_channel_shutdown(s->handshake);
    }
}

static void attempt_timeout(void *opaque)
{
    BDRVNBDState *s = opaque;

    s->attempt_timed_out = true;
    cancel_attempt(s);
}

static const char *tls_hostname(const BDRVNBDState *s)
{
    const SocketAddress *addr = s->opts->server;

    if (s->opts->tls_hostname) {
        return s->opts->tls_hostname;
    }
    return addr->type == SOCKET_ADDRESS_TYPE_INET ? addr->u.inet.host : NULL;
}

/* Whether what we told our parents still holds. */
static bool check_promises(BDRVNBDState *s, const NBDExportInfo *info,
                           GError **errp)
{
    uint16_t lost = s->info.flags & ~info->flags & PROMISED_FLAGS;

    if (s->state == NBD_STATE_CONNECTING) {
        return true;
    }
    if (info->size != s->info.size) {
        error_setg(errp, "export has changed its size from %" PRIu64 " to %"
                   PRIu64 " bytes", s->info.size, info->size);
        return false;
    }
    if (!s->bs->read_only && (info->flags & NBD_FLAG_READ_ONLY)) {
        error_setg(errp, "export has become read-only");
        return false;
    }
    if (lost) {
        error_setg(errp, "export has lost features (flags 0x%x)", lost);
        return false;
    }
    if (info->min_block > s->bs->bl.request_alignment ||
        (info->max_block && info->max_block < s->bs->bl.max_transfer)) {
        error_setg(errp, "export has changed its block sizes");
        return false;
    }
    return true;
}

static IOChannel *coroutine_fn attempt_handshake(BDRVNBDState *s,
                                                 NBDExportInfo *info,
                                                 GError **errp)
{
    const NBDClientParams params = {
        .export = s->opts->export,
        .meta_context = s->opts->x_dirty_bitmap,
        .tls_creds = s->tls_creds,
        .tls_hostname = tls_hostname(s),
    };
    g_autoptr(IOChannel) plain = NULL;
    IOChannel *ioc;

    s->connect = socket_connect_new();
    plain = socket_co_connect(s->opts->server, s->connect, 0, errp);
    g_clear_pointer(&s->connect, socket_connect_free);
    if (!plain) {
        return NULL;
    }
    s->handshake = plain;
    ioc = nbd_client_co_negotiate(plain, &params, info, errp);
    s->handshake = NULL;
    return ioc;
}

/* Say why rather than what the cut connection looked like from inside. */
static void explain_cancel(BDRVNBDState *s, GError **err)
{
    if (s->state == NBD_STATE_QUIT) {
        g_clear_error(err);
        error_setg(err, "Connection attempt cancelled by yank or close");
    } else if (s->attempt_timed_out) {
        g_autofree char *addr = socket_address_to_string(s->opts->server);

        g_clear_error(err);
        error_setg(err, "Failed to connect to '%s': Connection timed out",
                   addr);
    }
}

static void nbd_lost(void *opaque, const GError *reason);

/* Leaves the node connected, or fails. */
static bool coroutine_fn nbd_co_attempt(BDRVNBDState *s, int64_t timeout_ns,
                                        GError **errp)
{
    g_autoptr(IOChannel) ioc = NULL;
    g_autoptr(GError) err = NULL;
    NBDExportInfo info;

    s->attempt_timed_out = false;
    s->next_attempt_ns = now_ns(s) + s->backoff_ns;
    aio_timer_mod(&s->attempt_timer, now_ns(s) + timeout_ns);
    ioc = attempt_handshake(s, &info, &err);
    aio_timer_del(&s->attempt_timer);

    if (!ioc || s->state == NBD_STATE_QUIT || s->attempt_timed_out) {
        explain_cancel(s, &err);
        g_propagate_error(errp, g_steal_pointer(&err));
        return false;
    }
    if (!check_promises(s, &info, errp)) {
        return false;
    }
    s->current = info;
    s->connected_ns = now_ns(s);
    s->client = nbd_client_new(ioc, &info, nbd_lost, s);
    nbd_set_state(s, NBD_STATE_CONNECTED);
    return true;
}

/* Reconnecting */

/* While requests wait for us we keep a steady pace. */
static void back_off(BDRVNBDState *s)
{
    if (s->state == NBD_STATE_RECONNECT_WAIT) {
        s->backoff_ns = BACKOFF_MIN_NS;
    } else {
        s->backoff_ns = MIN(s->backoff_ns * 2, BACKOFF_MAX_NS);
    }
}

/* Each reason once, not every few seconds; @told is the one before. */
static void tell_failure(BDRVNBDState *s, const GError *err, char **told)
{
    if (s->state != NBD_STATE_QUIT && g_strcmp0(*told, err->message) != 0) {
        warn_report("node '%s': cannot connect to the NBD server again: %s",
                    s->bs->node_name, err->message);
        g_free(*told);
        *told = g_strdup(err->message);
    }
}

static void coroutine_fn nbd_reconnect(void *opaque)
{
    BDRVNBDState *s = opaque;
    g_autofree char *told = NULL;

    nbd_client_co_close(g_steal_pointer(&s->client));
    while (s->state != NBD_STATE_QUIT) {
        g_autoptr(GError) err = NULL;
        int64_t pause = s->next_attempt_ns - now_ns(s);

        if (s->pinned) {
            co_sleep_ns_wakeable(&s->sleep, BACKOFF_MAX_NS);
            continue;
        }
        if (pause > 0) {
            co_sleep_ns_wakeable(&s->sleep, pause);
            continue;
        }
        if (nbd_co_attempt(s, ATTEMPT_TIMEOUT_NS, &err)) {
            info_report("node '%s': connected to the NBD server again",
                        s->bs->node_name);
            break;
        }
        trace_event(nbd_reconnect_failed, "node '%s': %s", s->bs->node_name,
                    err->message);
        tell_failure(s, err, &told);
        back_off(s);
    }
    s->reconnecting = false;
    co_queue_restart_all(&s->reconnect_end);
}

/*
 * A connection that held gives the next attempt a fresh start; one that did
 * not must not turn us into a busy loop.
 */
static void nbd_lost(void *opaque, const GError *reason)
{
    BDRVNBDState *s = opaque;

    if (s->state == NBD_STATE_QUIT) {
        return;
    }
    warn_report("node '%s': NBD connection lost: %s", s->bs->node_name,
                reason->message);
    if (!can_connect_again(s)) {
        nbd_set_state(s, NBD_STATE_QUIT);
        return;
    }
    if (now_ns(s) - s->connected_ns >= BACKOFF_MAX_NS) {
        s->backoff_ns = BACKOFF_MIN_NS;
        s->next_attempt_ns = 0;
    } else {
        back_off(s);
    }
    if (s->reconnect_delay_ns && !s->pinned) {
        nbd_set_state(s, NBD_STATE_RECONNECT_WAIT);
        aio_timer_mod(&s->delay_timer, now_ns(s) + s->reconnect_delay_ns);
    } else {
        nbd_set_state(s, NBD_STATE_RECONNECT_NOWAIT);
    }
    g_assert(!s->reconnecting);
    s->reconnecting = true;
    aio_co_schedule(coroutine_create(nbd_reconnect, s));
}

/* Control */

bool coroutine_fn nbd_co_connect_first(BDRVNBDState *s, GError **errp)
{
    bool again = s->opts->has_open_timeout && can_connect_again(s);
    int64_t end = now_ns(s) + (again ? s->opts->open_timeout *
                                       NANOSECONDS_PER_SECOND : 0);

    for (;;) {
        g_autoptr(GError) err = NULL;
        int64_t left = end - now_ns(s);
        int64_t timeout = left > 0 ? MIN(left, ATTEMPT_TIMEOUT_NS)
                                   : ATTEMPT_TIMEOUT_NS;

        if (nbd_co_attempt(s, timeout, &err)) {
            return true;
        }
        left = end - now_ns(s);
        if (s->state != NBD_STATE_QUIT && left > 0) {
            co_sleep_ns_wakeable(&s->sleep, MIN(left, BACKOFF_MIN_NS));
        }
        if (s->state == NBD_STATE_QUIT || end <= now_ns(s)) {
            explain_cancel(s, &err);
            g_propagate_error(errp, g_steal_pointer(&err));
            return false;
        }
    }
}

static void coroutine_fn quit_entry(void *opaque)
{
    BDRVNBDState *s = opaque;
    bool connected = s->state == NBD_STATE_CONNECTED;

    if (s->state == NBD_STATE_QUIT) {
        return;
    }
    nbd_set_state(s, NBD_STATE_QUIT);
    cancel_attempt(s);
    co_sleep_wake(&s->sleep);
    if (connected) {
        nbd_client_shutdown(s->client, "yanked");
    }
}

static void coroutine_fn cancel_entry(void *opaque)
{
    BDRVNBDState *s = opaque;

    if (s->state == NBD_STATE_CONNECTED) {
        nbd_client_shutdown(s->client, "requests in flight were cancelled");
    }
    if (s->state == NBD_STATE_RECONNECT_WAIT) {
        nbd_set_state(s, NBD_STATE_RECONNECT_NOWAIT);
    }
}

int nbd_pin_connection(BDRVNBDState *s, bool pin)
{
    if (pin && s->state != NBD_STATE_CONNECTED) {
        return -ENOTCONN;
    }
    s->pinned = pin;
    if (!pin) {
        co_sleep_wake(&s->sleep);
    }
    return 0;
}

/*
 * These two never sleep.  They run in a coroutine because whom one of those
 * wakes runs only later: outside of any he would run at once, and might free
 * us.  A caller who is in one already gets none of his own, at whose end
 * those woken would run: he may be walking a list that they change.
 */
static void run_in_coroutine(CoroutineEntry *entry, BDRVNBDState *s)
{
    if (coroutine_running()) {
        entry(s);
    } else {
        coroutine_start(entry, s);
    }
}

void nbd_quit(void *opaque)
{
    run_in_coroutine(quit_entry, opaque);
}

void nbd_cancel_in_flight(BDRVNBDState *s)
{
    run_in_coroutine(cancel_entry, s);
}

void coroutine_fn nbd_co_disconnect(BDRVNBDState *s)
{
    if (s->state != NBD_STATE_QUIT) {
        nbd_set_state(s, NBD_STATE_QUIT);
    }
    cancel_attempt(s);
    co_sleep_wake(&s->sleep);
    while (s->reconnecting) {
        co_queue_wait(&s->reconnect_end);
    }
    if (s->client) {
        nbd_client_co_close(g_steal_pointer(&s->client));
    }
}

void nbd_connection_init(BDRVNBDState *s)
{
    s->state = NBD_STATE_CONNECTING;
    s->backoff_ns = BACKOFF_MIN_NS;
    co_queue_init(&s->waiting);
    co_queue_init(&s->reconnect_end);
    aio_timer_init(&s->attempt_timer, s->bs->ctx, attempt_timeout, s);
    aio_timer_init(&s->delay_timer, s->bs->ctx, delay_over, s);
}
