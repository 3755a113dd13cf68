/*
 * Deadlines of a primary: no answer within the timeout means no peer
 *
 * Forwards are listed in order of arrival, so only the first one has to be
 * watched.  While there are none a probe finds out about a peer that died.
 * The timer is moved as little as possible: when it fires too early it looks
 * at the list and is armed again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

/* How long after the last traffic the peer is asked for a sign of life. */
#define PROBE_INTERVAL_NS NANOSECONDS_PER_SECOND

/* Let the timer fire at @when, if it would not fire before. */
static void watch_until(Primary *p, int64_t when)
{
    if (p->timeout_ns && (!aio_timer_pending(&p->timer) ||
                          p->timer.expire_ns > when)) {
        aio_timer_mod(&p->timer, when);
    }
}

static void coroutine_fn probe(Replication *r)
{
    uint8_t byte;
    IOVector qiov;
    Forward f = {
        .op = FORWARD_PROBE, .offset = 0, .bytes = 1, .qiov = &qiov,
    };

    iov_init_buf(&qiov, &byte, 1);
    bdrv_inc_in_flight(r->bs);
    primary_co_forward(r, &f);
    bdrv_dec_in_flight(r->bs);
}

static void coroutine_fn look(Replication *r)
{
    Primary *p = &r->primary;
    int64_t now = aio_clock_get_ns(r->bs->ctx);
    Forward *oldest = TAILQ_FIRST(&p->in_flight);

    if (oldest) {
        if (now < oldest->since_ns + p->timeout_ns) {
            aio_timer_mod(&p->timer, oldest->since_ns + p->timeout_ns);
        } else {
            primary_give_up(r, -ETIMEDOUT, "waiting for the peer");
        }
        return;
    }
    if (!p->forwarding) {
        return;
    }
    if (now < p->last_traffic_ns + PROBE_INTERVAL_NS) {
        aio_timer_mod(&p->timer, p->last_traffic_ns + PROBE_INTERVAL_NS);
        return;
    }
    window_trim(&p->window);
    /* A peer within a checkpoint need not answer now. */
    if (r->state != BLOCK_REPLICATION_STATE_RUNNING ||
        bdrv_getlength_cached(r->bs) == 0) {
        aio_timer_mod(&p->timer, now + PROBE_INTERVAL_NS);
        return;
    }
    probe(r);
}

static void coroutine_fn look_entry(void *opaque)
{
    look(opaque);
}

/* In a coroutine, so that whom it wakes runs after it. */
static void timer_cb(void *opaque)
{
    coroutine_start(look_entry, opaque);
}

void deadline_add(Replication *r, Forward *f)
{
    Primary *p = &r->primary;
    bool first = TAILQ_EMPTY(&p->in_flight);

    f->since_ns = aio_clock_get_ns(r->bs->ctx);
    TAILQ_INSERT_TAIL(&p->in_flight, f, link);
    if (first) {
        watch_until(p, f->since_ns + p->timeout_ns);
    }
}

void deadline_remove(Replication *r, Forward *f)
{
    Primary *p = &r->primary;

    TAILQ_REMOVE(&p->in_flight, f, link);
    p->last_traffic_ns = MAX(p->last_traffic_ns, f->since_ns);
    if (!TAILQ_EMPTY(&p->in_flight)) {
        return;
    }
    co_queue_restart_all(&p->idle);
    if (!p->forwarding) {
        aio_timer_del(&p->timer);
    } else {
        watch_until(p, p->last_traffic_ns + PROBE_INTERVAL_NS);
    }
}

void deadline_start(Replication *r)
{
    Primary *p = &r->primary;

    p->last_traffic_ns = aio_clock_get_ns(r->bs->ctx);
    if (p->timeout_ns) {
        aio_timer_mod(&p->timer, p->last_traffic_ns + PROBE_INTERVAL_NS);
    }
}

void deadline_stop(Replication *r)
{
    aio_timer_del(&r->primary.timer);
}

void deadline_init(Replication *r)
{
    aio_timer_init(&r->primary.timer, r->bs->ctx, timer_cb, r);
}
