/*
 * Unit tests of the worker pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/thread-pool.h"

#include "util/aio.h"

#define N_JOBS 500

typedef struct Job {
    GThread *ran_in;
    int ret;
    int *done;
} Job;

static int work(void *opaque)
{
    Job *job = opaque;

    job->ran_in = g_thread_self();
    return 42;
}

static void coroutine_fn submit(void *opaque)
{
    Job *job = opaque;

    job->ret = thread_pool_submit_co(work, job);
    g_assert_true(coroutine_running());
    ++*job->done;
}

static void test_coroutine_gets_the_result(gconstpointer clock)
{
    AioContext *ctx = aio_context_new((AioVirtualClock *)clock, NULL);
    int done = 0;
    Job job = { .done = &done };

    coroutine_start(submit, &job);
    g_assert_cmpint(done, ==, 0);
    while (!done) {
        aio_poll(ctx, true);
    }
    g_assert_cmpint(job.ret, ==, 42);
    g_assert_true(job.ran_in != g_thread_self());
    aio_context_free(ctx);
}

static void test_many_at_once(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    g_autofree Job *jobs = g_new0(Job, N_JOBS);
    int done = 0;

    for (int i = 0; i < N_JOBS; i++) {
        jobs[i].done = &done;
        coroutine_start(submit, &jobs[i]);
    }
    while (done < N_JOBS) {
        aio_poll(ctx, true);
    }
    g_assert_cmpuint(coroutine_count(), ==, 0);
    aio_context_free(ctx);
}

static void callback(void *opaque, int ret)
{
    Job *job = opaque;

    job->ret = ret;
    ++*job->done;
}

static void test_callback_runs_in_the_loop(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    int done = 0;
    Job job = { .done = &done };

    thread_pool_submit(work, &job, callback);
    g_assert_cmpint(done, ==, 0);
    while (!done) {
        aio_poll(ctx, true);
    }
    g_assert_cmpint(job.ret, ==, 42);
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    static AioVirtualClock still;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/thread-pool/coroutine", NULL,
                         test_coroutine_gets_the_result);
    g_test_add_data_func("/thread-pool/virtual-clock", &still,
                         test_coroutine_gets_the_result);
    g_test_add_func("/thread-pool/many", test_many_at_once);
    g_test_add_func("/thread-pool/callback", test_callback_runs_in_the_loop);
    return g_test_run();
}
