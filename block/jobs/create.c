/*
 * The job of blockdev-create
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/job.h"

#include "block/driver.h"
#include "block/graph.h"

typedef struct CreateJob {
    BlockdevCreateOptions *options;
    bool done;
    int cancel;                 /* atomic: read by the driver's threads */
} CreateJob;

static const BlockDriver *driver_of(const BlockdevCreateOptions *options)
{
    return bdrv_find_driver(BlockdevDriver_str(options->driver));
}

static int coroutine_fn create_run(BlockJob *job)
{
    CreateJob *c = job->opaque;
    bool ok = driver_of(c->options)->bdrv_co_create(c->options, &c->cancel,
                                                    &job->err);

    c->done = true;
    return ok ? 0 : -EIO;
}

/* One step, as it is in QEMU. */
static void create_progress(BlockJob *job, int64_t *done, int64_t *total)
{
    CreateJob *c = job->opaque;

    *done = c->done;
    *total = 1;
}

static void create_hurry(BlockJob *job)
{
    CreateJob *c = job->opaque;

    g_atomic_int_set(&c->cancel, 1);
}

static void create_job_free(CreateJob *c)
{
    qapi_free_BlockdevCreateOptions(c->options);
    g_free(c);
}

static void coroutine_fn create_release(BlockJob *job)
{
    create_job_free(job->opaque);
}

static const BlockJobDriver create_driver = {
    .type = JOB_TYPE_CREATE,
    .manual_dismiss = true,
    .run = create_run,
    .progress = create_progress,
    .hurry = create_hurry,
    .release = create_release,
};

bool blockdev_create_start(const char *id,
                           const BlockdevCreateOptions *options,
                           GError **errp)
{
    const BlockDriver *drv = driver_of(options);
    CreateJob *c;

    if (!drv || !drv->bdrv_co_create) {
        error_setg(errp, "Driver does not support blockdev-create");
        return false;
    }
    if (!bdrv_name_is_wellformed(id)) {
        error_setg(errp, "Invalid job ID '%s'", id);
        return false;
    }
    c = g_new0(CreateJob, 1);
    c->options = QAPI_CLONE(BlockdevCreateOptions, options);
    if (!block_job_start(&create_driver, id, c, errp)) {
        create_job_free(c);
        return false;
    }
    return true;
}
