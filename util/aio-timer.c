/*
 * The event loop: clocks, timers and sleeping coroutines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

#include <time.h>

/* Clocks */

int64_t aio_monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

int64_t aio_clock_get_ns(AioContext *ctx)
{
    return ctx->clock ? ctx->clock->now_ns : aio_monotonic_ns();
}

/* The heap */

static void heap_place(AioTimerHeap *heap, size_t i, AioTimer *timer)
{
    heap->v[i] = timer;
    timer->heap_index = i;
}

static void heap_sift_up(AioTimerHeap *heap, size_t i, AioTimer *timer)
{
    while (i > 1 && heap->v[i / 2]->expire_ns > timer->expire_ns) {
        heap_place(heap, i, heap->v[i / 2]);
        i /= 2;
    }
    heap_place(heap, i, timer);
}

static void heap_sift_down(AioTimerHeap *heap, size_t i, AioTimer *timer)
{
    size_t child;

    while ((child = 2 * i) <= heap->len) {
        if (child < heap->len &&
            heap->v[child + 1]->expire_ns < heap->v[child]->expire_ns) {
            child++;
        }
        if (heap->v[child]->expire_ns >= timer->expire_ns) {
            break;
        }
        heap_place(heap, i, heap->v[child]);
        i = child;
    }
    heap_place(heap, i, timer);
}

/* Put @timer at @i, where another was or its own time changed. */
static void heap_fix(AioTimerHeap *heap, size_t i, AioTimer *timer)
{
    if (i > 1 && heap->v[i / 2]->expire_ns > timer->expire_ns) {
        heap_sift_up(heap, i, timer);
    } else {
        heap_sift_down(heap, i, timer);
    }
}

/* Timers */

void aio_timer_init(AioTimer *timer, AioContext *ctx, AioHandler *cb,
                    void *opaque)
{
    *timer = (AioTimer) { .ctx = ctx, .cb = cb, .opaque = opaque };
}

bool aio_timer_pending(const AioTimer *timer)
{
    return timer->heap_index != 0;
}

void aio_timer_mod(AioTimer *timer, int64_t expire_ns)
{
    AioTimerHeap *heap = &timer->ctx->timers;

    timer->expire_ns = expire_ns;
    if (aio_timer_pending(timer)) {
        heap_fix(heap, timer->heap_index, timer);
        return;
    }
    heap->len++;
    if (heap->len >= heap->alloc) {
        heap->alloc = MAX(16, 2 * heap->alloc);
        heap->v = g_renew(AioTimer *, heap->v, heap->alloc);
    }
    heap_sift_up(heap, heap->len, timer);
}

void aio_timer_del(AioTimer *timer)
{
    AioTimerHeap *heap;
    AioTimer *last;

    if (!aio_timer_pending(timer)) {
        return;
    }
    heap = &timer->ctx->timers;
    last = heap->v[heap->len--];
    if (last != timer) {
        heap_fix(heap, timer->heap_index, last);
    }
    timer->heap_index = 0;
}

int64_t aio_next_deadline_ns(AioContext *ctx)
{
    return ctx->timers.len > 0 ? ctx->timers.v[1]->expire_ns : -1;
}

bool aio_timers_run(AioContext *ctx)
{
    bool progress = false;
    int64_t now;

    if (ctx->timers.len == 0) {
        return false;
    }
    /* The time is taken once, so that a timer that rearms itself for now
     * does not keep the loop here. */
    now = aio_clock_get_ns(ctx);
    for (size_t n = ctx->timers.len; n > 0 && ctx->timers.len > 0; n--) {
        AioTimer *timer = ctx->timers.v[1];

        if (timer->expire_ns > now) {
            break;
        }
        aio_timer_del(timer);
        timer->cb(timer->opaque);
        progress = true;
    }
    return progress;
}

/* Sleeping */

static void sleep_over(void *opaque)
{
    co_sleep_wake(opaque);
}

void coroutine_fn co_sleep_ns_wakeable(CoSleep *sleep, int64_t ns)
{
    AioContext *ctx = aio_get_current();
    AioTimer timer;

    g_assert(!sleep->co);
    sleep->co = coroutine_self();
    aio_timer_init(&timer, ctx, sleep_over, sleep);
    aio_timer_mod(&timer, aio_clock_get_ns(ctx) + ns);
    coroutine_yield();
    aio_timer_del(&timer);
}

void co_sleep_wake(CoSleep *sleep)
{
    Coroutine *co = sleep->co;

    if (co) {
        /* Before it runs: it may sleep again at once. */
        sleep->co = NULL;
        aio_co_wake(co);
    }
}

void coroutine_fn co_sleep_ns(int64_t ns)
{
    CoSleep sleep = { NULL };

    co_sleep_ns_wakeable(&sleep, ns);
}
