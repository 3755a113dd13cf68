/*
 * Unit tests of coroutines and their pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/coroutine.h"

#include <sys/resource.h>
#include <sys/wait.h>
#ifdef CONFIG_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

#define OVERRUN 77              /* exit status */

typedef struct Log {
    char text[64];
    Coroutine *co[3];
} Log;

static void put(Log *log, const char *word)
{
    g_strlcat(log->text, word, sizeof(log->text));
}

/* Entering and yielding */

static void coroutine_fn yield_twice(void *opaque)
{
    put(opaque, "1");
    coroutine_yield();
    put(opaque, "2");
    coroutine_yield();
    put(opaque, "3");
}

static void test_yield_goes_back_to_who_entered(void)
{
    Log log = { "" };
    Coroutine *co = coroutine_create(yield_twice, &log);

    g_assert_cmpstr(log.text, ==, "");
    coroutine_enter(co);
    put(&log, "a");
    coroutine_enter(co);
    put(&log, "b");
    g_assert_cmpuint(coroutine_count(), ==, 1);
    coroutine_enter(co);
    g_assert_cmpstr(log.text, ==, "1a2b3");
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void coroutine_fn note_self(void *opaque)
{
    Log *log = opaque;

    g_assert_true(coroutine_self() == log->co[0]);
    coroutine_yield();
    g_assert_true(coroutine_self() == log->co[0]);
}

static void test_self(void)
{
    Log log = { "" };

    g_assert_null(coroutine_self());
    log.co[0] = coroutine_create(note_self, &log);
    coroutine_enter(log.co[0]);
    g_assert_false(coroutine_running());
    coroutine_enter(log.co[0]);
    g_assert_false(coroutine_running());
}

static void coroutine_fn enter_other(void *opaque)
{
    Log *log = opaque;

    put(log, "<");
    coroutine_enter(log->co[0]);
    put(log, ">");
}

static void test_nested_entry_returns_to_the_inner(void)
{
    Log log = { "" };

    log.co[0] = coroutine_create(yield_twice, &log);
    coroutine_start(enter_other, &log);
    coroutine_enter(log.co[0]);
    coroutine_start(enter_other, &log);
    g_assert_cmpstr(log.text, ==, "<1>2<3>");
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* Waking */

static void coroutine_fn sleeper(void *opaque)
{
    Log *log = opaque;

    coroutine_yield();
    put(log, coroutine_self() == log->co[0] ? "0" : "1");
}

static void coroutine_fn waker(void *opaque)
{
    Log *log = opaque;

    aio_co_wake(log->co[0]);
    aio_co_wake(log->co[1]);
    put(log, "w");
    coroutine_yield();
    put(log, "e");
}

static void test_woken_run_in_order_when_the_waker_yields(void)
{
    Log log = { "" };

    log.co[0] = coroutine_create(sleeper, &log);
    log.co[1] = coroutine_create(sleeper, &log);
    log.co[2] = coroutine_create(waker, &log);
    coroutine_enter(log.co[0]);
    coroutine_enter(log.co[1]);
    coroutine_enter(log.co[2]);
    g_assert_cmpstr(log.text, ==, "w01");
    coroutine_enter(log.co[2]);
    g_assert_cmpstr(log.text, ==, "w01e");
}

static void coroutine_fn wake_self(void *opaque)
{
    aio_co_wake(coroutine_self());
    put(opaque, "a");
    coroutine_yield();
    put(opaque, "b");
}

static void test_waking_oneself_before_a_yield(void)
{
    Log log = { "" };

    coroutine_start(wake_self, &log);
    g_assert_cmpstr(log.text, ==, "ab");
}

/* A chain of wake-ups must not use the stack of those before. */
typedef struct Chain {
    Coroutine *co[1000];
    int at;
} Chain;

static void coroutine_fn chain_link(void *opaque)
{
    Chain *chain = opaque;

    coroutine_yield();
    if (++chain->at < (int)ARRAY_SIZE(chain->co)) {
        aio_co_wake(chain->co[chain->at]);
    }
}

static void test_long_chain_of_wakes(void)
{
    g_autofree Chain *chain = g_new0(Chain, 1);

    for (size_t i = 0; i < ARRAY_SIZE(chain->co); i++) {
        chain->co[i] = coroutine_create(chain_link, chain);
        coroutine_enter(chain->co[i]);
    }
    aio_co_wake(chain->co[0]);
    g_assert_cmpint(chain->at, ==, ARRAY_SIZE(chain->co));
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* Programming errors */

static void coroutine_fn enter_self(void *opaque)
{
    coroutine_enter(coroutine_self());
}

static void test_entering_a_running_one_aborts(void)
{
    char text[200] = "";
    int fd[2], status;
    pid_t pid;

    g_assert_cmpint(pipe(fd), ==, 0);
    pid = fork();
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };

        setrlimit(RLIMIT_CORE, &no_core);
        /* The test framework prints to the one or the other. */
        dup2(fd[1], STDOUT_FILENO);
        dup2(fd[1], STDERR_FILENO);
        coroutine_start(enter_self, NULL);
        _exit(0);
    }
    close(fd[1]);
    g_assert_cmpint(read(fd[0], text, sizeof(text) - 1), >, 0);
    close(fd[0]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    g_assert_nonnull(strstr(text, "entered while it is running"));
}

/* Not a tail call: each level keeps a page. */
static __attribute__((noinline)) unsigned deep(unsigned depth)
{
    volatile char page[4000];

    page[0] = (char)depth;
    return depth == 0 ? 0 : deep(depth - 1) + page[0] - (char)depth + 1;
}

static void coroutine_fn use_stack(void *opaque)
{
    g_assert_cmpuint(deep(50), ==, 50);
}

static void test_stack_has_room(void)
{
    coroutine_start(use_stack, NULL);
}

/* What is overrun is the guard page: mapped, and nobody's. */

#ifndef CONFIG_ASAN
static void on_overrun(int signum, siginfo_t *info, void *context)
{
    _exit(info->si_code == SEGV_ACCERR ? OVERRUN : 1);
}

static void coroutine_fn overrun(void *opaque)
{
    volatile char here = 0;

    /* A test that finds no guard ends where nothing is mapped. */
    for (volatile char *p = &here;; p -= 64) {
        *p = 0;
    }
}

static void die_of_overrun(void)
{
    static char stack[64 * KiB];
    const stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction action = {
        .sa_sigaction = on_overrun,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };

    sigaltstack(&own, NULL);
    sigaction(SIGSEGV, &action, NULL);
    coroutine_start(overrun, NULL);
    _exit(0);
}
#endif

static void test_overrun_hits_the_guard(void)
{
#ifdef CONFIG_ASAN
    g_test_skip("the sanitizer finds the overrun first");
#else
    int status;
    pid_t pid;

#ifdef CONFIG_VALGRIND_H
    if (RUNNING_ON_VALGRIND) {
        g_test_skip("valgrind finds the overrun first");
        return;
    }
#endif
    pid = fork();
    if (pid == 0) {
        die_of_overrun();
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, OVERRUN);
#endif
}

static void *thread_main(void *opaque)
{
    Log log = { "" };

    for (int i = 0; i < 10; i++) {
        coroutine_start(wake_self, &log);
    }
    return GUINT_TO_POINTER(coroutine_count());
}

static void test_each_thread_has_its_own(void)
{
    GThread *thread = g_thread_new("co", thread_main, NULL);

    g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(thread)), ==, 0);
}

/* Speed, on demand: -m perf */

static void coroutine_fn yield_for_ever(void *opaque)
{
    bool *stop = opaque;

    while (!*stop) {
        coroutine_yield();
    }
}

static void coroutine_fn nothing(void *opaque)
{
}

static void test_speed(void)
{
    const int n = 5000000;
    bool stop = false;
    Coroutine *co = coroutine_create(yield_for_ever, &stop);
    double s;

    g_test_timer_start();
    for (int i = 0; i < n; i++) {
        coroutine_enter(co);
    }
    s = g_test_timer_elapsed();
    g_test_minimized_result(s / n * 1e9, "enter and yield: %.1f ns",
                            s / n * 1e9);
    stop = true;
    coroutine_enter(co);

    g_test_timer_start();
    for (int i = 0; i < n; i++) {
        coroutine_start(nothing, NULL);
    }
    s = g_test_timer_elapsed();
    g_test_minimized_result(s / n * 1e9, "create, run, end: %.1f ns",
                            s / n * 1e9);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/coroutine/yield", test_yield_goes_back_to_who_entered);
    g_test_add_func("/coroutine/self", test_self);
    g_test_add_func("/coroutine/stack/room", test_stack_has_room);
    g_test_add_func("/coroutine/stack/guard", test_overrun_hits_the_guard);
    g_test_add_func("/coroutine/wake/order",
                    test_woken_run_in_order_when_the_waker_yields);
    g_test_add_func("/coroutine/wake/self", test_waking_oneself_before_a_yield);
    g_test_add_func("/coroutine/wake/chain", test_long_chain_of_wakes);
    g_test_add_func("/coroutine/abort/running",
                    test_entering_a_running_one_aborts);
    g_test_add_func("/coroutine/thread", test_each_thread_has_its_own);
    g_test_add_func("/coroutine/nested",
                    test_nested_entry_returns_to_the_inner);
    if (g_test_perf()) {
        g_test_add_func("/coroutine/speed", test_speed);
    }
    return g_test_run();
}
