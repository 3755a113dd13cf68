/*
 * What the coroutine core, the stack switches and the event loop share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_COROUTINE_INT_H
#define UTIL_COROUTINE_INT_H

#include "util/aio-int.h"
#include "util/coroutine.h"
#include "util/queue.h"

typedef struct CoroutineList {
    Coroutine *first;
    Coroutine **end;
} CoroutineList;

/*
 * Lives at the top of its own stack, so that one page holds all that a short
 * request touches.  The part of a thread that is outside of any coroutine is
 * represented by one, too (without stack and entry).
 */
struct Coroutine {
    void *sp;                   /* while it does not run; the switch's own */

    CoroutineEntry *entry;
    void *opaque;
    AioContext *ctx;

    Coroutine *caller;          /* while it runs: who goes on when it yields */
    Coroutine *next;            /* in a list of woken ones, or in the pool */
    CoroutineList woken;        /* to be entered when it yields or ends */
    bool queued;                /* in such a list */
    bool ended;

    bool scheduled;             /* atomic: @bh is in a context's list */
    AioBH bh;

    /* Constant */
    void *mapping;              /* guard page and stack */
    void *stack;                /* lowest usable address */
    size_t stack_size;          /* up to this structure */
    unsigned valgrind_id;
    bool prepared;              /* the switch knows the stack */

    void *fake_stack;           /* ASan's */
};

/* Runs @co->entry for ever, yielding at each end.  Never returns. */
void coroutine_trampoline(Coroutine *co) G_GNUC_NORETURN;

/* Make the first switch to @to call coroutine_trampoline() on its stack. */
void coroutine_arch_prepare(Coroutine *co);

/* Stop here, go on where @to stopped. */
void coroutine_arch_switch(Coroutine *from, Coroutine *to);

#endif
