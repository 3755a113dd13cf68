/*
 * Several hosts in one process, on one virtual clock
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "sim.h"

#include "util/aio-int.h"

#define RUN_LIMIT_NS (60 * NANOSECONDS_PER_SECOND)

void sim_init(Sim *sim, int n_hosts)
{
    *sim = (Sim) { .n_hosts = n_hosts };
    for (int i = 0; i < n_hosts; i++) {
        g_autoptr(GError) err = NULL;

        sim->host[i] = aio_context_new(&sim->clock, &err);
        g_assert_no_error(err);
    }
}

void sim_destroy(Sim *sim)
{
    sim_settle(sim);
    for (int i = sim->n_hosts - 1; i >= 0; i--) {
        aio_context_free(sim->host[i]);
    }
}

/* One turn of a host's loop.  What begins and ends in it is the host's. */
static bool turn(Sim *sim, int host, bool blocking)
{
    int before = coroutine_count();
    bool progress = !sim->frozen[host] &&
                    aio_poll(sim->host[host], blocking);

    sim->coroutines[host] += (int)coroutine_count() - before;
    return progress;
}

/* Wait for what happens outside of the simulation; false: nothing does. */
static bool wait_for_real_io(Sim *sim)
{
    for (int i = 0; i < sim->n_hosts; i++) {
        bool mine = sim->real_io && *sim->real_io && i == sim->real_io_host;

        if (!sim->frozen[i] && (mine || sim->host[i]->async_pending)) {
            turn(sim, i, true);
            return true;
        }
    }
    return false;
}

void sim_settle(Sim *sim)
{
    bool progress;

    do {
        progress = false;
        for (int i = 0; i < sim->n_hosts; i++) {
            progress |= turn(sim, i, false);
        }
    } while (progress || wait_for_real_io(sim));
}

/* What wakes a loop may be nothing: only a few turns in vain mean idleness. */
#define TURNS_IN_VAIN 4

static bool step_host(Sim *sim, int host)
{
    AioContext *ctx = sim->host[host];
    bool progress = false;

    ctx->max_events = 1;
    for (int i = 0; i < TURNS_IN_VAIN && !progress; i++) {
        progress = turn(sim, host, false);
    }
    ctx->max_events = AIO_MAX_EVENTS;
    return progress;
}

bool sim_step(Sim *sim)
{
    for (int i = 0; i < sim->n_hosts; i++) {
        int host = sim->turn;

        sim->turn = (sim->turn + 1) % sim->n_hosts;
        if (step_host(sim, host)) {
            return true;
        }
    }
    return wait_for_real_io(sim);
}

static int64_t next_deadline(const Sim *sim)
{
    int64_t next = -1;

    for (int i = 0; i < sim->n_hosts; i++) {
        int64_t at = sim->frozen[i] ? -1
                                    : aio_next_deadline_ns(sim->host[i]);

        if (at >= 0 && (next < 0 || at < next)) {
            next = at;
        }
    }
    return next;
}

bool sim_wait(Sim *sim, const bool *flag, int64_t ns)
{
    int64_t end = sim->clock.now_ns + ns;

    for (;;) {
        int64_t next;

        sim_settle(sim);
        if (flag && *flag) {
            return true;
        }
        next = next_deadline(sim);
        if (next < 0 || next > end) {
            sim->clock.now_ns = end;
            return false;
        }
        sim->clock.now_ns = MAX(next, sim->clock.now_ns);
    }
}

bool sim_skip_time(Sim *sim)
{
    int64_t next = next_deadline(sim);

    sim->clock.now_ns = MAX(next, sim->clock.now_ns);
    return next >= 0;
}

void sim_pass(Sim *sim, int64_t ns)
{
    sim_wait(sim, NULL, ns);
    sim_settle(sim);
}

/* Coroutines */

typedef struct Call {
    CoroutineEntry *entry;
    void *opaque;
    bool *done;
} Call;

static void coroutine_fn call_entry(void *opaque)
{
    Call call = *(Call *)opaque;

    g_free(opaque);
    call.entry(call.opaque);
    if (call.done) {
        *call.done = true;
    }
}

static void call_bh(void *opaque)
{
    coroutine_start(call_entry, opaque);
}

static void spawn(Sim *sim, int host, Call call)
{
    aio_bh_schedule_oneshot(sim->host[host], call_bh,
                            g_memdup2(&call, sizeof(call)));
}

void sim_spawn(Sim *sim, int host, CoroutineEntry *entry, void *opaque)
{
    spawn(sim, host, (Call) { .entry = entry, .opaque = opaque });
}

void sim_start(Sim *sim, int host, CoroutineEntry *entry, void *opaque)
{
    sim_spawn(sim, host, entry, opaque);
    sim_settle(sim);
}

void sim_run(Sim *sim, int host, CoroutineEntry *entry, void *opaque)
{
    bool done = false;

    spawn(sim, host, (Call) { entry, opaque, &done });
    sim_settle(sim);
    if (!sim_wait(sim, &done, RUN_LIMIT_NS)) {
        g_error("a coroutine did not end within a minute");
    }
}
