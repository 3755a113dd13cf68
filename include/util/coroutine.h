/*
 * Stackful coroutines
 *
 * A coroutine runs until it yields or ends; then the one that entered it goes
 * on.  Stacks are pooled per thread and end in a guard page.  A coroutine
 * belongs to the AioContext in which it was created and is only ever entered
 * in that context's thread; aio_co_wake() is the one way in from elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_COROUTINE_H
#define UTIL_COROUTINE_H

typedef struct AioContext AioContext;
typedef struct Coroutine Coroutine;

typedef void coroutine_fn CoroutineEntry(void *opaque);

/*
 * Create a coroutine; it starts at the first coroutine_enter().  It belongs
 * to aio_get_current() and frees itself when @entry returns.
 */
Coroutine *coroutine_create(CoroutineEntry *entry, void *opaque);

/*
 * Run @co until it yields or ends.  The caller runs in @co's context.  May be
 * called from inside another coroutine, which then waits; entering a running
 * coroutine (itself included) is a programming error and aborts.
 */
void coroutine_enter(Coroutine *co);

/* Create and enter: the common case, one call. */
void coroutine_start(CoroutineEntry *entry, void *opaque);

/* Go back to whoever entered this coroutine, until entered again. */
void coroutine_fn coroutine_yield(void);

/* The running coroutine; NULL outside of any. */
Coroutine *coroutine_self(void);
static inline bool coroutine_running(void)
{
    return coroutine_self() != NULL;
}

/*
 * Enter @co soon, from its context's loop.  Any thread.  @co must be about to
 * yield or have yielded, and nobody else may wake it.
 */
void aio_co_schedule(Coroutine *co);

/*
 * Let @co go on: at once where that is possible (its own context, outside of
 * any coroutine), else soon.  Any thread.  This is what completion callbacks
 * call.
 */
void aio_co_wake(Coroutine *co);

/* Let other work of the loop run, then go on. */
void coroutine_fn co_reschedule_self(void);

/* How many coroutines of this thread exist and have not ended: for tests. */
unsigned coroutine_count(void);

#endif
