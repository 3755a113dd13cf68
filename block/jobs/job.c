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

static void send_completed(BlockJob *job)
{
    int64_t done, total;

    job->drv->progress(job, &done, &total);
    qapi_event_send_block_job_completed(job->drv->type, job->id, total, done,
                                        job->speed,
                                        job->ret < 0 ? g_strerror(-job->ret)
                                                     : NULL);
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
    send_completed(job);
    if (job->drv->concluded) {
        job->drv->concluded(job);
    }
    set_status(job, JOB_STATUS_CONCLUDED);
    set_status(job, JOB_STATUS_NULL);

    TAILQ_REMOVE(&s->list, job, link);
    if (job->drv->release) {
        job->drv->release(job);
    }
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
        job->speed = 0;
        job->drv->set_speed(job);
    }
    while (s->alive) {
        co_queue_wait(&s->ended);
    }
}

/* Commands */

bool block_job_set_speed(const char *id, int64_t speed, GError **errp)
{
    BlockJob *job = block_job_find(id);

    if (!job) {
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
        info->error = job->ret < 0 ? g_strdup(g_strerror(-job->ret)) : NULL;
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
        BlockJobInfo *info = g_new0(BlockJobInfo, 1);

        info->type = job->drv->type;
        info->device = g_strdup(job->id);
        job->drv->progress(job, &info->offset, &info->len);
        info->busy = job->status == JOB_STATUS_RUNNING;
        info->speed = job->speed;
        info->io_status = io_status(job);
        info->status = job->status;
        info->auto_finalize = true;
        info->auto_dismiss = true;
        info->error = job->ret < 0 ? g_strdup(g_strerror(-job->ret)) : NULL;
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}
