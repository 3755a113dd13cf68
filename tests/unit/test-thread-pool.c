/*
 * Unit tests of the worker pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <semaphore.h>

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

typedef struct LateJob {
    sem_t go;
    bool done;
} LateJob;

static int wait_to_go(void *opaque)
{
    LateJob *job = opaque;

    while (sem_wait(&job->go) < 0) {
        /* a signal came */
    }
    return 0;
}

static void late_done(void *opaque, int ret)
{
    ((LateJob *)opaque)->done = true;
}

static void let_go(void *opaque)
{
    sem_post(&((LateJob *)opaque)->go);
}

/* The worker ends only once the loop is being taken down. */
static void test_end_of_the_loop_waits_for_workers(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    LateJob job = { .done = false };

    sem_init(&job.go, 0, 0);
    thread_pool_submit(wait_to_go, &job, late_done);
    aio_bh_schedule_oneshot(ctx, let_go, &job);
    aio_context_free(ctx);
    g_assert_true(job.done);
    sem_destroy(&job.go);
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
    g_test_add_func("/thread-pool/end-of-the-loop",
                    test_end_of_the_loop_waits_for_workers);
    return g_test_run();
}
