/*
 * Jobs: names, life, progress, speed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/job.h"

#include "co-run.h"
#include "qapi/event.h"
#include "util/co-lock.h"

#include <jansson.h>

/* A job that waits until it is told to end. */
typedef struct Work {
    CoQueue queue;
    bool end;
    int ret;
    int64_t speed;
    unsigned concluded, released;
    bool hold_release;
} Work;

static AioContext *ctx;
static GString *events;
static Work work;

static void record_event(int event, const char *name, json_t *data)
{
    char *text = json_dumps(data, JSON_SORT_KEYS | JSON_COMPACT);

    g_string_append_printf(events, "%s %s\n", name, text);
    free(text);
}

static int coroutine_fn work_run(BlockJob *job)
{
    Work *w = job->opaque;

    while (!w->end) {
        co_queue_wait(&w->queue);
    }
    return w->ret;
}

static void work_progress(BlockJob *job, int64_t *done, int64_t *total)
{
    Work *w = job->opaque;

    *done = w->end && !w->ret ? 100 : 40;
    *total = 100;
}

static void work_set_speed(BlockJob *job)
{
    Work *w = job->opaque;

    w->speed = job->speed;
}

static void coroutine_fn work_concluded(BlockJob *job)
{
    Work *w = job->opaque;

    w->concluded++;
    g_assert_cmpint(job->ret, ==, w->ret);
}

static void coroutine_fn work_release(BlockJob *job)
{
    Work *w = job->opaque;

    while (w->hold_release) {
        co_queue_wait(&w->queue);
    }
    w->released++;
}

static const BlockJobDriver work_driver = {
    .type = JOB_TYPE_COMMIT,
    .run = work_run,
    .progress = work_progress,
    .set_speed = work_set_speed,
    .concluded = work_concluded,
    .release = work_release,
};

static void setup(void *fixture, gconstpointer data)
{
    ctx = aio_context_new(NULL, NULL);
    events = g_string_new(NULL);
    qapi_event_set_sink(record_event);
    work = (Work) { .speed = -1 };
    co_queue_init(&work.queue);
}

static void teardown(void *fixture, gconstpointer data)
{
    g_assert_null(block_job_next(NULL));
    g_assert_cmpuint(coroutine_count(), ==, 0);
    qapi_event_set_sink(NULL);
    g_string_free(events, TRUE);
    aio_context_free(ctx);
}

static void start(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_nonnull(block_job_start(&work_driver, "j", &work, &err));
    g_assert_no_error(err);
    poll_idle();
}

static void finish(int ret)
{
    work.end = true;
    work.ret = ret;
    co_queue_restart_all(&work.queue);
    poll_idle();
}

static void test_success(void *fixture, gconstpointer data)
{
    start();
    finish(0);
    g_assert_cmpuint(work.concluded, ==, 1);
    g_assert_cmpstr(events->str, ==,
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"created\"}\n"
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"running\"}\n"
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"waiting\"}\n"
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"pending\"}\n"
        "BLOCK_JOB_COMPLETED {\"device\":\"j\",\"len\":100,\"offset\":100,"
        "\"speed\":0,\"type\":\"commit\"}\n"
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"concluded\"}\n"
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"null\"}\n");
}

static void test_failure(void *fixture, gconstpointer data)
{
    start();
    finish(-ENOSPC);
    g_assert_nonnull(strstr(events->str,
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"aborting\"}\n"
        "BLOCK_JOB_COMPLETED {\"device\":\"j\","
        "\"error\":\"No space left on device\",\"len\":100,\"offset\":40,"
        "\"speed\":0,\"type\":\"commit\"}\n"));
    g_assert_null(strstr(events->str, "pending"));
}

/* Without a speed it is no block job. */
static void test_manual_dismiss(void *fixture, gconstpointer data)
{
    BlockJobDriver drv = work_driver;
    g_autoptr(BlockJobInfoList) block = NULL;
    g_autoptr(JobInfoList) jobs = NULL;
    g_autoptr(GError) err = NULL;
    BlockJob *job;

    drv.manual_dismiss = true;
    drv.set_speed = NULL;
    job = block_job_start(&drv, "j", &work, &err);
    g_assert_no_error(err);
    poll_idle();
    g_assert_false(block_job_dismiss("j", &err));
    g_assert_cmpstr(err->message, ==, "Job 'j' in state 'running' cannot "
                    "accept command verb 'dismiss'");
    g_clear_error(&err);
    g_assert_false(block_job_set_speed("j", 1, NULL));
    error_setg(&job->err, "no luck");
    finish(-EIO);

    g_assert_null(strstr(events->str, "BLOCK_JOB_COMPLETED"));
    block = block_job_query_block();
    g_assert_null(block);
    jobs = block_job_query();
    g_assert_cmpint(jobs->value->status, ==, JOB_STATUS_CONCLUDED);
    g_assert_cmpstr(jobs->value->error, ==, "no luck");
    g_assert_true(block_job_dismiss("j", NULL));
    poll_idle();
    g_assert_true(g_str_has_suffix(events->str,
        "JOB_STATUS_CHANGE {\"id\":\"j\",\"status\":\"null\"}\n"));
    g_assert_false(block_job_dismiss("j", &err));
    g_assert_cmpstr(err->message, ==, "Job not found");
}

static void test_name_is_unique(void *fixture, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    start();
    g_assert_null(block_job_start(&work_driver, "j", &work, &err));
    g_assert_cmpstr(err->message, ==, "Job ID 'j' already in use");
    finish(0);
    work.end = false;
    start();
    finish(0);
    g_assert_cmpuint(work.concluded, ==, 2);
}

static void test_speed(void *fixture, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    start();
    g_assert_true(block_job_set_speed("j", 4096, &err));
    g_assert_cmpint(work.speed, ==, 4096);
    g_assert_false(block_job_set_speed("j", -1, &err));
    g_assert_cmpstr(err->message, ==,
                    "Parameter 'speed' expects a non-negative value");
    g_clear_error(&err);
    g_assert_cmpint(work.speed, ==, 4096);
    g_assert_false(block_job_set_speed("k", 1, &err));
    g_assert_cmpstr(err->message, ==, "Block job 'k' not found");
    g_assert_cmpstr(error_class_name(err), ==, "DeviceNotActive");
    finish(0);
}

static void test_query(void *fixture, gconstpointer data)
{
    g_autoptr(BlockJobInfoList) block = NULL;
    g_autoptr(JobInfoList) jobs = NULL;

    g_assert_null(block_job_query());
    g_assert_null(block_job_query_block());
    start();
    block_job_set_speed("j", 7, NULL);
    block = block_job_query_block();
    g_assert_null(block->next);
    g_assert_cmpstr(block->value->device, ==, "j");
    g_assert_cmpint(block->value->offset, ==, 40);
    g_assert_cmpint(block->value->len, ==, 100);
    g_assert_cmpint(block->value->speed, ==, 7);
    g_assert_true(block->value->busy);
    g_assert_cmpint(block->value->io_status, ==, BLOCK_DEVICE_IO_STATUS_OK);
    jobs = block_job_query();
    g_assert_null(jobs->next);
    g_assert_cmpint(jobs->value->status, ==, JOB_STATUS_RUNNING);
    g_assert_cmpint(jobs->value->current_progress, ==, 40);
    g_assert_cmpint(jobs->value->total_progress, ==, 100);
    finish(0);
}

static void coroutine_fn finish_all_entry(void *opaque)
{
    bool *done = opaque;

    block_job_co_finish_all();
    *done = true;
}

static void work_hurry(BlockJob *job)
{
    work.end = true;
    work.ret = -ECANCELED;
    co_queue_restart_all(&work.queue);
}

static void test_finish_all_hurries_and_dismisses(void *fixture,
                                                  gconstpointer data)
{
    BlockJobDriver drv = work_driver;
    bool done = false;

    drv.manual_dismiss = true;
    drv.hurry = work_hurry;
    block_job_start(&drv, "j", &work, NULL);
    poll_idle();
    coroutine_start(finish_all_entry, &done);
    poll_idle();
    g_assert_true(done);
    g_assert_cmpuint(work.released, ==, 1);
}

static void test_finish_all_waits(void *fixture, gconstpointer data)
{
    bool done = false;

    start();
    block_job_set_speed("j", 7, NULL);
    coroutine_start(finish_all_entry, &done);
    poll_idle();
    g_assert_false(done);
    g_assert_cmpint(work.speed, ==, 0);
    finish(0);
    g_assert_true(done);
}

/* What it works on may be gone before the job is: nobody may ask it. */
static void test_one_that_lets_go_is_not_found(void *fixture,
                                               gconstpointer data)
{
    bool done = false;

    start();
    work.hold_release = true;
    finish(0);
    g_assert_cmpuint(work.concluded, ==, 1);
    g_assert_null(block_job_find("j"));
    g_assert_null(block_job_query());
    g_assert_null(block_job_query_block());
    work.speed = -1;
    coroutine_start(finish_all_entry, &done);
    poll_idle();
    g_assert_cmpint(work.speed, ==, -1);
    g_assert_false(done);
    work.hold_release = false;
    co_queue_restart_all(&work.queue);
    poll_idle();
    g_assert_true(done);
    g_assert_cmpuint(work.released, ==, 1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*fn)(void *fixture, gconstpointer data);
    } tests[] = {
        { "/job/success", test_success },
        { "/job/failure", test_failure },
        { "/job/manual-dismiss", test_manual_dismiss },
        { "/job/name-is-unique", test_name_is_unique },
        { "/job/speed", test_speed },
        { "/job/query", test_query },
        { "/job/finish-all-hurries", test_finish_all_hurries_and_dismisses },
        { "/job/finish-all-waits", test_finish_all_waits },
        { "/job/release", test_one_that_lets_go_is_not_found },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add_vtable(tests[i].path, 0, NULL, setup, tests[i].fn,
                          teardown);
    }
    return g_test_run();
}
