/*
 * Coroutine switch for x86-64: the C half of coroutine-x86_64.S
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/coroutine-int.h"

void coroutine_switch_stack(void **save_sp, void *load_sp);
void coroutine_switch_start(void);

void coroutine_arch_prepare(Coroutine *co)
{
    uintptr_t top = ((uintptr_t)co->stack + co->stack_size) & ~(uintptr_t)15;
    uintptr_t *sp = (uintptr_t *)top;

    /* In the order in which coroutine_switch_stack() pops, backwards. */
    *--sp = (uintptr_t)coroutine_trampoline;    /* rbp */
    *--sp = (uintptr_t)co;                      /* rbx */
    *--sp = 0;                                  /* r12 */
    *--sp = 0;                                  /* r13 */
    *--sp = 0;                                  /* r14 */
    *--sp = 0;                                  /* r15 */
    *--sp = (uintptr_t)coroutine_switch_start;
    co->sp = sp;
}

void coroutine_arch_switch(Coroutine *from, Coroutine *to)
{
    coroutine_switch_stack(&from->sp, to->sp);
}
