/*
 * Jobs: their list and their life
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/job.h"

#include "qapi/qapi-events-job.h"
#include "util/aio.h"
#include "util/co-lock.h"
#include "util/trace.h"

typedef struct BlockJobs {
    TAILQ_HEAD(, BlockJob) list;
    unsigned alive;             /* those that are leaving, too */
    CoQueue ended;              /* one has gone */
} BlockJobs;

static void block_jobs_init(AioContext *ctx, void *data)
{
    BlockJobs *s = data;

    TAILQ_INIT(&s->list);
    co_queue_init(&s->ended);
}

static const AioLocal block_jobs_key = {
    .size = sizeof(BlockJobs),
    .init = block_jobs_init,
};

static BlockJobs *block_jobs(void)
{
    return aio_local_get(aio_get_current(), &block_jobs_key);
}

BlockJob *block_job_next(BlockJob *job)
{
    return job ? TAILQ_NEXT(job, link) : TAILQ_FIRST(&block_jobs()->list);
}

BlockJob *block_job_find(const char *id)
{
    BlockJob *job = NULL;

    while ((job = block_job_next(job))) {
        if (g_str_equal(job->id, id)) {
            return job;
        }
    }
    return NULL;
}

/* Life */

static void set_status(BlockJob *job, JobStatus status)
{
    trace_event(block_job_status, "%s: %s -> %s", job->id,
                JobStatus_str(job->status), JobStatus_str(status));
    job->status = status;
    qapi_event_send_job_status_change(job->id, status);
}

static bool is_block_job(const BlockJob *job)
{
    return job->drv->set_speed;
}

/* NULL: it has not failed. */
static const char *error_text(const BlockJob *job)
{
    return job->err ? job->err->message
           : job->ret < 0 ? g_strerror(-job->ret) : NULL;
}

static void send_completed(BlockJob *job)
{
    int64_t done, total;

    job->drv->progress(job, &done, &total);
    qapi_event_send_block_job_completed(job->drv->type, job->id, total, done,
                                        job->speed, error_text(job));
}

static void dismiss(BlockJob *job)
{
    job->dismissed = true;
    co_queue_restart_all(&job->dismissal);
}

static void coroutine_fn block_job_entry(void *opaque)
{
    BlockJobs *s = block_jobs();
    BlockJob *job = opaque;

    set_status(job, JOB_STATUS_RUNNING);
    job->ret = job->drv->run(job);
    if (job->ret < 0) {
        set_status(job, JOB_STATUS_ABORTING);
    } else {
        set_status(job, JOB_STATUS_WAITING);
        set_status(job, JOB_STATUS_PENDING);
    }
    if (is_block_job(job)) {
        send_completed(job);
    }
    if (job->drv->concluded) {
        job->drv->concluded(job);
    }
    set_status(job, JOB_STATUS_CONCLUDED);
    while (job->drv->manual_dismiss && !job->dismissed) {
        co_queue_wait(&job->dismissal);
    }
    set_status(job, JOB_STATUS_NULL);

    TAILQ_REMOVE(&s->list, job, link);
    if (job->drv->release) {
        job->drv->release(job);
    }
    g_clear_error(&job->err);
    g_free(job->id);
    g_free(job);
    s->alive--;
    co_queue_restart_all(&s->ended);
}

static void block_job_start_bh(void *opaque)
{
    coroutine_start(block_job_entry, opaque);
}

BlockJob *block_job_start(const BlockJobDriver *drv, const char *id,
                          void *opaque, GError **errp)
{
    BlockJobs *s = block_jobs();
    BlockJob *job;

    if (block_job_find(id)) {
        error_setg(errp, "Job ID '%s' already in use", id);
        return NULL;
    }
    job = g_new0(BlockJob, 1);
    job->drv = drv;
    job->id = g_strdup(id);
    job->opaque = opaque;
    co_queue_init(&job->dismissal);
    TAILQ_INSERT_TAIL(&s->list, job, link);
    s->alive++;
    set_status(job, JOB_STATUS_CREATED);
    aio_bh_schedule_oneshot(aio_get_current(), block_job_start_bh, job);
    return job;
}

void coroutine_fn block_job_co_finish_all(void)
{
    BlockJobs *s = block_jobs();
    BlockJob *job = NULL;

    while ((job = block_job_next(job))) {
        if (is_block_job(job)) {
            job->speed = 0;
            job->drv->set_speed(job);
        }
        if (job->drv->hurry) {
            job->drv->hurry(job);
        }
        dismiss(job);
    }
    while (s->alive) {
        co_queue_wait(&s->ended);
    }
}

/* Commands */

bool block_job_dismiss(const char *id, GError **errp)
{
    BlockJob *job = block_job_find(id);

    if (!job) {
        error_setg(errp, "Job not found");
        return false;
    }
    if (job->status != JOB_STATUS_CONCLUDED) {
        error_setg(errp, "Job '%s' in state '%s' cannot accept command verb "
                   "'dismiss'", id, JobStatus_str(job->status));
        return false;
    }
    dismiss(job);
    return true;
}

bool block_job_set_speed(const char *id, int64_t speed, GError **errp)
{
    BlockJob *job = block_job_find(id);

    if (!job || !is_block_job(job)) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_ACTIVE,
                        "Block job '%s' not found", id);
        return false;
    }
    if (speed < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        return false;
    }
    job->speed = speed;
    job->drv->set_speed(job);
    return true;
}

JobInfoList *block_job_query(void)
{
    JobInfoList *list = NULL, **tail = &list;
    BlockJob *job = NULL;

    while ((job = block_job_next(job))) {
        JobInfo *info = g_new0(JobInfo, 1);

        info->id = g_strdup(job->id);
        info->type = job->drv->type;
        info->status = job->status;
        info->error = g_strdup(error_text(job));
        job->drv->progress(job, &info->current_progress,
                           &info->total_progress);
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

static BlockDeviceIoStatus io_status(const BlockJob *job)
{
    return job->ret == -ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
           : job->ret < 0 ? BLOCK_DEVICE_IO_STATUS_FAILED
           : BLOCK_DEVICE_IO_STATUS_OK;
}

BlockJobInfoList *block_job_query_block(void)
{
    BlockJobInfoList *list = NULL, **tail = &list;
    BlockJob *job = NULL;

    while ((job = block_job_next(job))) {
        BlockJobInfo *info;

        if (!is_block_job(job)) {
            continue;
        }
        info = g_new0(BlockJobInfo, 1);
        info->type = job->drv->type;
        info->device = g_strdup(job->id);
        job->drv->progress(job, &info->offset, &info->len);
        info->busy = job->status == JOB_STATUS_RUNNING;
        info->speed = job->speed;
        info->io_status = io_status(job);
        info->status = job->status;
        info->auto_finalize = true;
        info->auto_dismiss = !job->drv->manual_dismiss;
        info->error = g_strdup(error_text(job));
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}
