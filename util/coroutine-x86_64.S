/*
 * Switching stacks on x86-64 (System V ABI)
 *
 * void coroutine_switch_stack(void **save_sp, void *load_sp);
 *
 * Saves what a called function must preserve; SSE and x87 control words are
 * the same in all coroutines of a thread, so they stay.  Goes on by a jump and
 * not by a return: the processor predicts indirect jumps by history, whereas
 * a return to another stack's address is always mispredicted.
 *
 * coroutine_switch_start is where a new stack begins: the preparation put
 * the trampoline's argument where %rbx is restored from, and its address
 * where %rbp is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

        .text
        .p2align 4
        .globl  coroutine_switch_stack
        .hidden coroutine_switch_stack
        .type   coroutine_switch_stack, @function
coroutine_switch_stack:
        popq    %rdx
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdx
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %rdx
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        jmp     *%rdx
        .size   coroutine_switch_stack, . - coroutine_switch_stack

        .p2align 4
        .globl  coroutine_switch_start
        .hidden coroutine_switch_start
        .type   coroutine_switch_start, @function
coroutine_switch_start:
        .cfi_startproc
        .cfi_undefined %rip
        movq    %rbx, %rdi
        movq    %rbp, %rax
        xorl    %ebp, %ebp
        callq   *%rax
        ud2
        .cfi_endproc
        .size   coroutine_switch_start, . - coroutine_switch_start

        .section .note.GNU-stack, "", @progbits
