/*
 * A link between two hosts: delays, stalls, cuts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "sim.h"

#include "io/socket.h"
#include "util/co-lock.h"

#define MAX_CHUNK 65536

typedef struct Pipe {
    struct Cable *cable;
    IOChannel *from, *to;
} Pipe;

/* A connection through the link: one pipe each way. */
typedef struct Cable {
    SimLink *link;
    IOChannel *near, *far;
    Pipe pipe[2];
    int pipes;                  /* running */
    LIST_ENTRY(Cable) next;
} Cable;

struct SimLink {
    int host;
    SocketAddress from, to;
    IOListener *listener;
    SimLinkConditions conditions;
    LIST_HEAD(, Cable) cables;
    CoQueue stalled;
    unsigned connecting;
};

static void hang_up(Cable *cable)
{
    io_channel_shutdown(cable->near);
    io_channel_shutdown(cable->far);
}

static void cable_unref(Cable *cable)
{
    if (--cable->pipes > 0) {
        return;
    }
    LIST_REMOVE(cable, next);
    io_channel_unref(cable->near);
    io_channel_unref(cable->far);
    g_free(cable);
}

static size_t chunk(const SimLink *link)
{
    return link->conditions.chunk ?: MAX_CHUNK;
}

static void coroutine_fn pump(void *opaque)
{
    Pipe *pipe = opaque;
    SimLink *link = pipe->cable->link;
    g_autofree void *buf = g_malloc(MAX_CHUNK);
    ssize_t n;

    while ((n = io_channel_co_read(pipe->from, buf, chunk(link))) > 0) {
        if (link->conditions.latency_ns) {
            co_sleep_ns(link->conditions.latency_ns);
        }
        while (link->conditions.stalled) {
            co_queue_wait(&link->stalled);
        }
        if (io_channel_co_write_full(pipe->to, buf, n) < 0) {
            break;
        }
        if (link->conditions.chunk) {
            co_reschedule_self();       /* let the other end see it */
        }
    }
    hang_up(pipe->cable);
    cable_unref(pipe->cable);
}

typedef struct Dial {
    SimLink *link;
    IOChannel *near;
} Dial;

static void coroutine_fn dial(void *opaque)
{
    Dial d = *(Dial *)opaque;
    IOChannel *far = socket_co_connect(&d.link->to, NULL, 0, NULL);
    Cable *cable;

    g_free(opaque);
    d.link->connecting--;
    if (!far) {
        io_channel_unref(d.near);
        return;
    }
    cable = g_new0(Cable, 1);
    *cable = (Cable) {
        .link = d.link, .near = d.near, .far = far, .pipes = 2,
        .pipe = {
            { .cable = cable, .from = d.near, .to = far },
            { .cable = cable, .from = far, .to = d.near },
        },
    };
    LIST_INSERT_HEAD(&d.link->cables, cable, next);
    coroutine_start(pump, &cable->pipe[0]);
    coroutine_start(pump, &cable->pipe[1]);
}

static void on_connection(IOChannel *ioc, void *opaque)
{
    Dial d = { .link = opaque, .near = ioc };

    if (d.link->conditions.down) {
        io_channel_unref(ioc);
        return;
    }
    d.link->connecting++;
    coroutine_start(dial, g_memdup2(&d, sizeof(d)));
}

static SocketAddress unix_address(const char *path)
{
    return (SocketAddress) {
        .type = SOCKET_ADDRESS_TYPE_UNIX,
        .u.q_unix.path = g_strdup(path),
    };
}

static void coroutine_fn listen_entry(void *opaque)
{
    SimLink *link = opaque;
    g_autoptr(GError) err = NULL;

    link->listener = io_listener_co_new(&link->from, 8, 0, on_connection,
                                        link, &err);
    g_assert_no_error(err);
}

SimLink *sim_link_new(Sim *sim, int host, const char *from, const char *to)
{
    SimLink *link = g_new0(SimLink, 1);

    link->host = host;
    link->from = unix_address(from);
    link->to = unix_address(to);
    LIST_INIT(&link->cables);
    co_queue_init(&link->stalled);
    sim_run(sim, host, listen_entry, link);
    return link;
}

typedef struct Change {
    SimLink *link;
    SimLinkConditions conditions;
} Change;

static void coroutine_fn change_entry(void *opaque)
{
    Change *change = opaque;

    change->link->conditions = change->conditions;
    co_queue_restart_all(&change->link->stalled);
}

void sim_link_set(Sim *sim, SimLink *link, SimLinkConditions conditions)
{
    Change change = { link, conditions };

    sim_run(sim, link->host, change_entry, &change);
}

static void coroutine_fn change_soon_entry(void *opaque)
{
    change_entry(opaque);
    g_free(opaque);
}

void sim_link_set_soon(Sim *sim, SimLink *link, SimLinkConditions conditions)
{
    Change change = { link, conditions };

    sim_spawn(sim, link->host, change_soon_entry,
              g_memdup2(&change, sizeof(change)));
}

static void coroutine_fn cut_entry(void *opaque)
{
    SimLink *link = opaque;
    Cable *cable;

    /* Shutting down wakes pumps, which run after this coroutine. */
    LIST_FOREACH(cable, &link->cables, next) {
        hang_up(cable);
    }
}

void sim_link_cut(Sim *sim, SimLink *link)
{
    sim_run(sim, link->host, cut_entry, link);
}

void sim_link_cut_soon(Sim *sim, SimLink *link)
{
    sim_spawn(sim, link->host, cut_entry, link);
}

static void coroutine_fn close_entry(void *opaque)
{
    SimLink *link = opaque;

    io_listener_free(link->listener);
}

void sim_link_free(Sim *sim, SimLink *link)
{
    sim_run(sim, link->host, close_entry, link);
    sim_link_set(sim, link, (SimLinkConditions) { 0 });
    sim_link_cut(sim, link);
    sim_pass(sim, NANOSECONDS_PER_SECOND);
    g_assert_true(LIST_EMPTY(&link->cables) && !link->connecting);
    g_free(link->from.u.q_unix.path);
    g_free(link->to.u.q_unix.path);
    g_free(link);
}
