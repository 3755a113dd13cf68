/*
 * Coroutine switch for machines without one of their own
 *
 * ucontext is the portable way onto a new stack, but each swapcontext() is a
 * system call for the signal mask.  So it is used once per stack, and later
 * switches go by sigsetjmp() and siglongjmp(), without the mask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* The checked longjmp() takes a switch between stacks for an error. */
#undef _FORTIFY_SOURCE

#include "osdep.h"
#include "util/coroutine-int.h"

#include <setjmp.h>
#include <ucontext.h>

/* makecontext() passes ints only. */
typedef union Pointer {
    void *ptr;
    unsigned half[2];
} Pointer;

static void first_entry(unsigned low, unsigned high)
{
    Pointer p = { .half = { low, high } };

    coroutine_trampoline(p.ptr);
}

void coroutine_arch_prepare(Coroutine *co)
{
    co->sp = NULL;
}

/* Make @uc the start of the new stack of @co. */
static void make_start(ucontext_t *uc, Coroutine *co)
{
    Pointer p = { .ptr = co };

    if (getcontext(uc) < 0) {
        g_error("getcontext failed: %s", g_strerror(errno));
    }
    uc->uc_link = NULL;
    uc->uc_stack.ss_sp = co->stack;
    uc->uc_stack.ss_size = co->stack_size & ~(size_t)15;
    makecontext(uc, (void (*)(void))first_entry, 2, p.half[0], p.half[1]);
}

#ifdef CONFIG_ASAN

/* ASan follows swapcontext(), but takes a longjmp() for an unwinding. */
void coroutine_arch_switch(Coroutine *from, Coroutine *to)
{
    ucontext_t stop = { .uc_flags = 0 };
    ucontext_t start;

    from->sp = &stop;
    if (!to->sp) {
        make_start(&start, to);
        to->sp = &start;
    }
    swapcontext(&stop, to->sp);
}

#else

/* Where a stack stopped; on that stack, below everything it still needs. */
typedef struct Stop {
    sigjmp_buf env;
} Stop;

void coroutine_arch_switch(Coroutine *from, Coroutine *to)
{
    Stop stop;
    ucontext_t start;

    from->sp = &stop;
    if (sigsetjmp(stop.env, 0) == 0) {
        if (to->sp) {
            siglongjmp(((Stop *)to->sp)->env, 1);
        }
        make_start(&start, to);
        setcontext(&start);
        g_error("setcontext failed: %s", g_strerror(errno));
    }
}

#endif
