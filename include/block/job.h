/*
 * Jobs: work in the background that people can see
 *
 * A job is a coroutine with a name and progress; a block job moves data and
 * has a speed limit.  Its driver says what it does; the core knows its life:
 * created, running, (aborting,) concluded, gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_JOB_H
#define BLOCK_JOB_H

#include "qapi/qapi-types-job.h"
#include "util/co-lock.h"
#include "util/queue.h"

typedef struct BlockJob BlockJob;

typedef struct BlockJobDriver {
    JobType type;
    /* Once concluded it stays until block_job_dismiss(). */
    bool manual_dismiss;
    /* The work: 0 or -errno, with job->err for more; ends the job. */
    int coroutine_fn (*run)(BlockJob *job);
    /* Bytes; may change with every call. */
    void (*progress)(BlockJob *job, int64_t *done, int64_t *total);
    /* job->speed has changed.  NULL: it is no block job. */
    void (*set_speed)(BlockJob *job);
    /* The daemon ends and waits for it.  Optional. */
    void (*hurry)(BlockJob *job);
    /*
     * The job is at its end: job->ret is its result.  Called before the
     * events, in the job's coroutine.
     */
    void coroutine_fn (*concluded)(BlockJob *job);
    /*
     * Nobody finds the job any more, so what the callbacks above need may go.
     * In the job's coroutine; may yield.
     */
    void coroutine_fn (*release)(BlockJob *job);
} BlockJobDriver;

struct BlockJob {
    /* Constant */
    const BlockJobDriver *drv;
    char *id;
    void *opaque;               /* the driver's */

    int64_t speed;              /* bytes per second, 0: unlimited */
    JobStatus status;
    int ret;                    /* valid from concluded on */
    GError *err;                /* or NULL: @ret says it all */
    bool dismissed;
    CoQueue dismissal;          /* wait here, concluded */
    TAILQ_ENTRY(BlockJob) link;
};

/*
 * Make a job and let it run soon.  NULL and an error if @id is taken.  It
 * frees itself at its end.
 */
BlockJob *block_job_start(const BlockJobDriver *drv, const char *id,
                          void *opaque, GError **errp);

BlockJob *block_job_find(const char *id);
BlockJob *block_job_next(BlockJob *job);

/* "Job not found"; or it "cannot accept command verb 'dismiss'" yet. */
bool block_job_dismiss(const char *id, GError **errp);

/* "Block job 'x' not found" of class DeviceNotActive. */
bool block_job_set_speed(const char *id, int64_t speed, GError **errp);

JobInfoList *block_job_query(void);
BlockJobInfoList *block_job_query_block(void);

/* Lift all speed limits and wait until every job has ended and is gone. */
void coroutine_fn block_job_co_finish_all(void);

/* blockdev-create */
bool blockdev_create_start(const char *id,
                           const BlockdevCreateOptions *options,
                           GError **errp);

#endif
