/*
 * The event loop: contexts and turns
 *
 * A turn waits for descriptors (aio-poll.c), then runs what is ready: bottom
 * halves (aio-bh.c), descriptor handlers (aio-fd.c), timers (aio-timer.c) and
 * the calls at the turn's end.
 *
 * Waking: whoever gives work to a context from outside sets its @notified
 * flag and then looks at @sleeping; the loop sets @sleeping and then looks at
 * @notified.  These four are sequentially consistent, so that either the loop
 * sees the work or the other side sees the sleeper and writes to its eventfd.
 * So a busy loop costs those who notify it no system call.  The eventfd is
 * watched edge-triggered and never read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio.h"

#include <sched.h>
#include <sys/eventfd.h>

#include "util/aio-int.h"

/* Calls at the turn's end may arm others; beyond this they wait. */
#define TURN_END_PASSES 8

static __thread AioContext *running;
static __thread TAILQ_HEAD(, AioContext) contexts;

/* Notification */

void aio_notify(AioContext *ctx)
{
    static const uint64_t one = 1;
    int saved_errno;

    __atomic_store_n(&ctx->notified, true, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&ctx->sleeping, __ATOMIC_SEQ_CST)) {
        return;
    }
    saved_errno = errno;
    if (write(ctx->event_fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: it holds 2^64 notifications, one of them will do. */
    }
    errno = saved_errno;
}

/* Calls at the turn's end */

void aio_turn_end_init(AioTurnEnd *te, AioContext *ctx, AioHandler *cb,
                       void *opaque)
{
    *te = (AioTurnEnd) { .ctx = ctx, .cb = cb, .opaque = opaque };
}

void aio_turn_end_arm(AioTurnEnd *te)
{
    if (!te->armed) {
        te->armed = true;
        TAILQ_INSERT_TAIL(&te->ctx->turn_end, te, link);
    }
}

void aio_turn_end_disarm(AioTurnEnd *te)
{
    if (te->armed) {
        te->armed = false;
        TAILQ_REMOVE(&te->ctx->turn_end, te, link);
    }
}

static bool run_turn_end(AioContext *ctx)
{
    bool progress = false;

    for (int pass = 0; pass < TURN_END_PASSES; pass++) {
        AioTurnEnd *last = TAILQ_LAST(&ctx->turn_end, AioTurnEndList);
        AioTurnEnd *te;

        if (!last) {
            break;
        }
        do {
            te = TAILQ_FIRST(&ctx->turn_end);
            aio_turn_end_disarm(te);
            te->cb(te->opaque);
            progress = true;
        } while (te != last && !TAILQ_EMPTY(&ctx->turn_end));
    }
    return progress;
}

/* Turns */

/* Until when the loop may wait: a machine time, 0 (not at all) or -1. */
static int64_t wait_deadline(AioContext *ctx, bool blocking)
{
    int64_t deadline;

    if (!blocking || !TAILQ_EMPTY(&ctx->turn_end) || aio_fd_plain_ready(ctx)) {
        return 0;
    }
    if (ctx->clock) {
        /* Time stands still: only a descriptor or a thread can help. */
        if (ctx->timers.len > 0 &&
            aio_next_deadline_ns(ctx) <= ctx->clock->now_ns) {
            return 0;
        }
        return ctx->fds_count > 0 || ctx->async_pending > 0 ? -1 : 0;
    }
    deadline = aio_next_deadline_ns(ctx);
    return deadline == 0 ? 1 : deadline;
}

static bool dispatch_events(AioContext *ctx)
{
    bool progress = false;

    for (int i = 0; i < ctx->n_events; i++) {
        progress |= aio_fd_dispatch(ctx, &ctx->events[i]);
    }
    ctx->n_events = 0;
    if (ctx->fds_plain > 0) {
        progress |= aio_fd_dispatch_plain(ctx);
    }
    aio_fd_bury(ctx);
    return progress;
}

bool aio_poll(AioContext *ctx, bool blocking)
{
    AioContext *outer = running;
    bool progress;

    g_assert(!coroutine_running() && !ctx->in_poll);
    running = ctx;
    ctx->in_poll = true;

    ctx->n_events = aio_wait(ctx, wait_deadline(ctx, blocking));
    progress = aio_bh_run(ctx);
    progress |= dispatch_events(ctx);
    progress |= aio_timers_run(ctx);
    progress |= run_turn_end(ctx);

    ctx->in_poll = false;
    running = outer;
    return progress;
}

/* Data of a context */

void *aio_local_get(AioContext *ctx, const AioLocal *key)
{
    void *data;

    for (int i = 0; i < ctx->n_locals; i++) {
        if (ctx->locals[i].key == key) {
            return ctx->locals[i].data;
        }
    }
    data = g_malloc0(key->size);
    /* First: what @init creates comes earlier in the list and goes later. */
    if (key->init) {
        key->init(ctx, data);
    }
    ctx->locals = g_renew(AioLocalData, ctx->locals, ctx->n_locals + 1);
    ctx->locals[ctx->n_locals++] = (AioLocalData) { key, data };
    return data;
}

/* Those created last may rely on earlier ones, so they go first. */
static void destroy_locals(AioContext *ctx)
{
    while (ctx->n_locals > 0) {
        AioLocalData last = ctx->locals[ctx->n_locals - 1];

        if (last.key->fini) {
            last.key->fini(ctx, last.data);
        }
        /* @fini may have created others behind it. */
        for (int i = 0; i < ctx->n_locals; i++) {
            if (ctx->locals[i].key == last.key) {
                ctx->locals[i] = ctx->locals[--ctx->n_locals];
                break;
            }
        }
        g_free(last.data);
    }
}

/* Life */

AioContext *aio_get_current(void)
{
    return running ?: contexts.tqh_first;
}

static void context_destroy(AioContext *ctx)
{
    if (ctx->event_fd >= 0) {
        close(ctx->event_fd);
    }
    if (ctx->epoll_fd >= 0) {
        close(ctx->epoll_fd);
    }
    g_free(ctx->locals);
    g_free(ctx->fds);
    g_free(ctx->timers.v);
    g_free(ctx);
}

AioContext *aio_context_new(AioVirtualClock *clock, GError **errp)
{
    AioContext *ctx = g_new0(AioContext, 1);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };

    ctx->clock = clock;
    ctx->max_events = AIO_MAX_EVENTS;
    TAILQ_INIT(&ctx->turn_end);
    aio_spin_init(&ctx->spin);
    aio_nap_init(&ctx->nap);

    ctx->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ctx->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ctx->event_fd < 0 || ctx->epoll_fd < 0 ||
        epoll_ctl(ctx->epoll_fd, EPOLL_CTL_ADD, ctx->event_fd, &event) < 0) {
        error_setg_errno(errp, errno, "Cannot create an event loop");
        context_destroy(ctx);
        return NULL;
    }

    if (!contexts.tqh_last) {
        TAILQ_INIT(&contexts);
    }
    TAILQ_INSERT_TAIL(&contexts, ctx, link);
    return ctx;
}

static void run_pending(AioContext *ctx)
{
    bool progress;

    /* What runs may schedule more. */
    do {
        progress = aio_bh_run(ctx);
        progress |= run_turn_end(ctx);
    } while (progress);
}

void aio_context_free(AioContext *ctx)
{
    AioContext *outer = running;

    g_assert(!ctx->in_poll);
    /* A worker cannot be stopped, a look-up of a name for instance. */
    while (ctx->async_pending > 0) {
        aio_poll(ctx, true);
    }
    running = ctx;
    do {
        run_pending(ctx);
        destroy_locals(ctx);
        run_pending(ctx);
    } while (ctx->n_locals > 0);
    running = outer;

    g_assert(ctx->async_pending == 0 && ctx->expected == 0);
    while (__atomic_load_n(&ctx->async_users, __ATOMIC_ACQUIRE) > 0) {
        /* A worker is on its way out of aio_notify(). */
        sched_yield();
    }
    g_assert(ctx->timers.len == 0);
    g_assert(ctx->fds_count == 0);

    TAILQ_REMOVE(&contexts, ctx, link);
    context_destroy(ctx);
}
