/*
 * The event loop
 *
 * One AioContext per thread, on epoll: descriptors, timers, bottom halves and
 * calls at the end of a turn.  Where a comment does not say "any thread", a
 * function is called in the context's own thread.  There is no nested loop:
 * what must wait is a coroutine and yields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_AIO_H
#define UTIL_AIO_H

#include "util/coroutine.h"
#include "util/queue.h"

typedef void AioHandler(void *opaque);

/*
 * A clock that only moves when told, for tests.  Several contexts may share
 * one.  Units: nanoseconds from an arbitrary start.
 */
typedef struct AioVirtualClock {
    int64_t now_ns;
} AioVirtualClock;

/*
 * Create a context.  @clock is NULL for the monotonic clock of the machine,
 * or outlives the context.  Fails when the kernel refuses a descriptor.
 * The first context of a thread is the thread's current one until another
 * runs.
 */
AioContext *aio_context_new(AioVirtualClock *clock, GError **errp);

/*
 * Free @ctx.  The loop turns while worker threads owe it results, and its
 * pending bottom halves are run to the end; timers and descriptor handlers
 * must be gone by then.
 */
void aio_context_free(AioContext *ctx);

/* The context whose loop runs in this thread now, else the thread's first. */
AioContext *aio_get_current(void);

/*
 * One turn: spin or block (if @blocking) until something is ready, run what
 * is: bottom halves, descriptor handlers, timers, calls at the turn's end.
 * Returns whether anything ran.  With a virtual clock it never blocks for a
 * timer: the test moves the clock.  It then blocks only while a descriptor is
 * watched or a worker thread owes it a result.
 */
bool aio_poll(AioContext *ctx, bool blocking);

/* Make a blocking aio_poll() return.  Any thread, signal handlers included. */
void aio_notify(AioContext *ctx);

/*
 * Busy polling: spin at most @max_ns before the loop blocks.  The loop adapts
 * below that and stops spinning while it does not pay or while others wait
 * for the CPU.  0 turns it off.  The default is 50 us.
 */
void aio_context_set_poll_max_ns(AioContext *ctx, int64_t max_ns);

/*
 * An answer from outside is under way that somebody waits for: the loop takes
 * no nap until it is there.  What worker threads do needs no such call.  The
 * context's thread; each begin has its end.
 */
void aio_expect_begin(AioContext *ctx);
void aio_expect_end(AioContext *ctx);

/*
 * Watch @fd.  A handler that is NULL is not watched for; both NULL removes
 * the descriptor, after which it may be closed.  Level-triggered; hang-up and
 * error call whichever handler is set.
 */
void aio_set_fd_handler(AioContext *ctx, int fd, AioHandler *io_read,
                        AioHandler *io_write, void *opaque);

/*
 * The same with one handler more, for the moment when the peer of a socket
 * will send nothing more, whether or not what it sent has been read.
 */
void aio_set_fd_handlers(AioContext *ctx, int fd, AioHandler *io_read,
                         AioHandler *io_write, AioHandler *io_hangup,
                         void *opaque);

/* Bottom halves */

/* Run @cb once from the loop of @ctx, soon.  Any thread. */
void aio_bh_schedule_oneshot(AioContext *ctx, AioHandler *cb, void *opaque);

/*
 * A call at the end of the current turn, after all ready handlers have run
 * and before the loop sleeps: where replies and submissions are gathered.
 * Embedded, initialised once, armed as often as one likes (a second arming
 * in the same turn does nothing).  Outside of a turn it runs in the next one,
 * which then does not block.
 */
typedef struct AioTurnEnd {
    AioContext *ctx;
    AioHandler *cb;
    void *opaque;
    bool armed;
    TAILQ_ENTRY(AioTurnEnd) link;
} AioTurnEnd;

void aio_turn_end_init(AioTurnEnd *te, AioContext *ctx, AioHandler *cb,
                       void *opaque);
void aio_turn_end_arm(AioTurnEnd *te);
void aio_turn_end_disarm(AioTurnEnd *te);

/* Timers */

typedef struct AioTimer {
    AioContext *ctx;
    AioHandler *cb;
    void *opaque;
    int64_t expire_ns;          /* valid while pending */
    size_t heap_index;          /* 0: not pending */
} AioTimer;

/* Now, by the clock of @ctx, in ns.  Any thread. */
int64_t aio_clock_get_ns(AioContext *ctx);

void aio_timer_init(AioTimer *timer, AioContext *ctx, AioHandler *cb,
                    void *opaque);

/* Arm or move @timer to the absolute time @expire_ns. */
void aio_timer_mod(AioTimer *timer, int64_t expire_ns);
void aio_timer_del(AioTimer *timer);
bool aio_timer_pending(const AioTimer *timer);

/* The earliest deadline of @ctx in ns, or -1: for tests that move the clock. */
int64_t aio_next_deadline_ns(AioContext *ctx);

/* Sleep for @ns nanoseconds. */
void coroutine_fn co_sleep_ns(int64_t ns);

/*
 * A sleep that can be ended early.  co_sleep_wake() does nothing when nobody
 * sleeps.  Zero-initialised before use.
 */
typedef struct CoSleep {
    Coroutine *co;
} CoSleep;

void coroutine_fn co_sleep_ns_wakeable(CoSleep *sleep, int64_t ns);
void co_sleep_wake(CoSleep *sleep);

/*
 * State that exists once per context instead of once per process, so that
 * several daemons fit into one test process.  Created zeroed on first use
 * (then @init), destroyed with the context (@fini).  Control path only.
 */
typedef struct AioLocal {
    size_t size;
    void (*init)(AioContext *ctx, void *data);
    void (*fini)(AioContext *ctx, void *data);
} AioLocal;

void *aio_local_get(AioContext *ctx, const AioLocal *key);

#endif
