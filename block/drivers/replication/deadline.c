/*
 * Deadlines of a primary: no answer within the timeout means no peer
 *
 * A peer that owes answers is silent from its last answer on; how long one
 * answer takes is no matter while others come, up to PATIENCE timeouts.  A
 * forward that waits for its turn is nothing that the peer knows of.  While
 * there are none a probe finds out about a peer that died.
 *
 * The timer is moved as little as possible: when it fires too early it looks
 * at the forwards and is armed again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

/* How long after the last traffic the peer is asked for a sign of life. */
#define PROBE_INTERVAL_NS NANOSECONDS_PER_SECOND

/* In timeouts: how long one answer may take of a peer that gives others. */
#define PATIENCE 4

/* No answer is owed: asked_ns of a forward that waits for its turn. */
#define NOT_ASKED INT64_MAX

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

/* When the peer has to be given up if it goes on as it does. */
static int64_t end_of_patience(const Primary *p, int64_t now)
{
    int64_t asked = NOT_ASKED;
    const Forward *f;

    TAILQ_FOREACH(f, &p->in_flight, link) {
        asked = MIN(asked, f->asked_ns);
    }
    if (asked == NOT_ASKED) {
        return now + p->timeout_ns;
    }
    return MIN(MAX(asked, p->heard_ns) + p->timeout_ns,
               asked + PATIENCE * p->timeout_ns);
}

static void coroutine_fn look_at_forwards(Replication *r, int64_t now)
{
    Primary *p = &r->primary;
    int64_t end = end_of_patience(p, now);

    if (now < end) {
        aio_timer_mod(&p->timer, end);
        return;
    }
    /* What this does not end is tried again. */
    aio_timer_mod(&p->timer, now + p->timeout_ns);
    primary_give_up(r, -ETIMEDOUT, "waiting for the peer");
}

static void coroutine_fn look(Replication *r)
{
    Primary *p = &r->primary;
    int64_t now = aio_clock_get_ns(r->bs->ctx);

    if (!TAILQ_EMPTY(&p->in_flight)) {
        look_at_forwards(r, now);
        return;
    }
    if (!p->forwarding) {
        return;
    }
    if (now < p->heard_ns + PROBE_INTERVAL_NS) {
        aio_timer_mod(&p->timer, p->heard_ns + PROBE_INTERVAL_NS);
        return;
    }
    window_trim(&p->window);
    /* A peer within a checkpoint need not answer now. */
    if (r->state != BLOCK_REPLICATION_STATE_RUNNING ||
        bdrv_getlength(r->bs) == 0) {
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
    f->asked_ns = NOT_ASKED;
    TAILQ_INSERT_TAIL(&r->primary.in_flight, f, link);
}

void deadline_asked(Replication *r, Forward *f)
{
    Primary *p = &r->primary;

    f->asked_ns = aio_clock_get_ns(r->bs->ctx);
    watch_until(p, f->asked_ns + p->timeout_ns);
}

void deadline_answered(Replication *r, Forward *f)
{
    r->primary.heard_ns = f->asked_ns = aio_clock_get_ns(r->bs->ctx);
}

void deadline_remove(Replication *r, Forward *f)
{
    Primary *p = &r->primary;

    TAILQ_REMOVE(&p->in_flight, f, link);
    if (!TAILQ_EMPTY(&p->in_flight)) {
        return;
    }
    co_queue_restart_all(&p->idle);
    if (!p->forwarding) {
        aio_timer_del(&p->timer);
    } else {
        watch_until(p, p->heard_ns + PROBE_INTERVAL_NS);
    }
}

void deadline_start(Replication *r)
{
    Primary *p = &r->primary;

    p->heard_ns = aio_clock_get_ns(r->bs->ctx);
    watch_until(p, p->heard_ns + PROBE_INTERVAL_NS);
}

void deadline_stop(Replication *r)
{
    aio_timer_del(&r->primary.timer);
}

void deadline_init(Replication *r)
{
    aio_timer_init(&r->primary.timer, r->bs->ctx, timer_cb, r);
}
