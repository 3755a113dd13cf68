/*
 * The event loop: waiting
 *
 * Busy polling comes before blocking where it pays (aio-spin.c); meanwhile the
 * loop offers the CPU to others by sched_yield() now and then.  Where polling
 * finds more and more work, naps (aio-nap.c) take its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

#include <sched.h>
#include <sys/prctl.h>

/* Looks between two offers of the CPU */
#define YIELD_INTERVAL 16

/* Timers go first when they are nearer than this. */
#define NAP_CLEAR_NS (200 * SCALE_US)

void aio_context_set_poll_max_ns(AioContext *ctx, int64_t max_ns)
{
    aio_spin_init(&ctx->spin);
    ctx->spin.max_ns = max_ns;
}

void aio_expect_begin(AioContext *ctx)
{
    ctx->expected++;
}

void aio_expect_end(AioContext *ctx)
{
    g_assert(ctx->expected > 0);
    ctx->expected--;
}

/* Waiting */

static int look(AioContext *ctx)
{
    int n = epoll_wait(ctx->epoll_fd, ctx->events, ctx->max_events, 0);

    return MAX(n, 0);
}

static int block_ms(AioContext *ctx, int64_t ns)
{
    int64_t ms = ns < 0 ? -1 : MIN(DIV_ROUND_UP(ns, SCALE_MS), INT_MAX);

    return epoll_wait(ctx->epoll_fd, ctx->events, ctx->max_events, (int)ms);
}

/* Until there is an event, at most @ns (negative: for ever). */
static int block(AioContext *ctx, int64_t ns)
{
    int n;

#ifdef CONFIG_EPOLL_PWAIT2
    if (ns >= 0 && !ctx->no_pwait2) {
        struct timespec ts = {
            .tv_sec = ns / NANOSECONDS_PER_SECOND,
            .tv_nsec = ns % NANOSECONDS_PER_SECOND,
        };

        n = epoll_pwait2(ctx->epoll_fd, ctx->events, ctx->max_events, &ts,
                         NULL);
        if (n >= 0 || errno != ENOSYS) {
            return MAX(n, 0);
        }
        ctx->no_pwait2 = true;
    }
#endif
    n = block_ms(ctx, ns);
    return MAX(n, 0);
}

static bool is_notified(AioContext *ctx)
{
    return __atomic_load_n(&ctx->notified, __ATOMIC_SEQ_CST);
}

/* Offer the CPU to others.  Returns the time after it. */
static int64_t offer_cpu(AioContext *ctx, int64_t now)
{
    int64_t after;

    sched_yield();
    after = aio_monotonic_ns();
    aio_spin_contended(&ctx->spin, after, after - now);
    return after;
}

/* Look until there is something or the time @end is over. */
static int spin_until(AioContext *ctx, int64_t end)
{
    for (unsigned i = 0;; i++) {
        int n = look(ctx);
        int64_t now;

        if (n > 0 || is_notified(ctx)) {
            aio_spin_found_work(&ctx->spin);
            return n;
        }
        now = aio_monotonic_ns();
        if (i % YIELD_INTERVAL == 0) {
            now = offer_cpu(ctx, now);
        }
        if (now >= end || now < ctx->spin.retry_ns) {
            return 0;
        }
    }
}

/* Whether all that can come is new work. */
static bool expects_nothing(const AioContext *ctx)
{
    return ctx->expected == 0 && ctx->async_pending == 0;
}

/*
 * Nobody can wake up the loop from a nap.  So there is none while an answer is
 * under way or a timer is about to expire.
 */
static bool may_nap(const AioContext *ctx, int64_t now, int64_t deadline_ns)
{
    return !ctx->clock && expects_nothing(ctx) &&
           (deadline_ns < 0 || deadline_ns - now > NAP_CLEAR_NS);
}

static void nap(int64_t ns)
{
    static __thread bool exact;
    const struct timespec ts = { .tv_nsec = ns };

    if (!exact) {
        /* Else the kernel adds 50 us, to let timers expire together. */
        prctl(PR_SET_TIMERSLACK, 1UL);
        exact = true;
    }
    clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/*
 * Before spinning.  Returns how many events there are, and in *@start when
 * the wait began that a nap has nothing to do with.
 */
static int look_or_nap(AioContext *ctx, int64_t *start, int64_t deadline_ns)
{
    int n = look(ctx);
    int64_t ns;

    if (n > 0) {
        if (expects_nothing(ctx)) {
            aio_nap_found_work(&ctx->nap);
        }
        return n;
    }
    if (!may_nap(ctx, *start, deadline_ns)) {
        return 0;
    }
    ns = aio_nap_length(&ctx->nap, *start);
    if (ns > 0) {
        nap(ns);
        n = look(ctx);
        *start = aio_monotonic_ns();
    }
    return n;
}

static int sleep_until(AioContext *ctx, int64_t deadline_ns)
{
    int64_t ns = -1;
    int n;

    if (deadline_ns >= 0) {
        ns = deadline_ns - aio_monotonic_ns();
        if (ns <= 0) {
            return look(ctx);
        }
    }
    __atomic_store_n(&ctx->sleeping, true, __ATOMIC_SEQ_CST);
    n = is_notified(ctx) ? look(ctx) : block(ctx, ns);
    __atomic_store_n(&ctx->sleeping, false, __ATOMIC_RELAXED);
    return n;
}

static int wait_for_events(AioContext *ctx, int64_t deadline_ns)
{
    int64_t start = aio_monotonic_ns();
    int64_t window = aio_spin_window(&ctx->spin, start);
    int n = 0;

    if (window > 0) {
        n = look_or_nap(ctx, &start, deadline_ns);
        if (n == 0) {
            n = spin_until(ctx, deadline_ns < 0 ? start + window :
                                MIN(start + window, deadline_ns));
        }
    }
    if (n == 0 && !is_notified(ctx)) {
        n = sleep_until(ctx, deadline_ns);
    }
    aio_spin_account(&ctx->spin, aio_monotonic_ns() - start);
    return n;
}

int aio_wait(AioContext *ctx, int64_t deadline_ns)
{
    int n = deadline_ns == 0 || is_notified(ctx) ?
            look(ctx) : wait_for_events(ctx, deadline_ns);

    /*
     * Cleared before the bottom halves are looked at, never after; and by an
     * exchange, which also sees what came with a flag set just now.
     */
    if (is_notified(ctx)) {
        (void)!__atomic_exchange_n(&ctx->notified, false, __ATOMIC_SEQ_CST);
    }
    return n;
}
