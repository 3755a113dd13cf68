/*
 * QMP: background jobs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/job.h"

#include "qapi/qapi-commands-job.h"

JobInfoList *coroutine_fn qmp_query_jobs(GError **errp)
{
    return block_job_query();
}

BlockJobInfoList *coroutine_fn qmp_query_block_jobs(GError **errp)
{
    return block_job_query_block();
}

void coroutine_fn qmp_job_dismiss(const char *id, GError **errp)
{
    block_job_dismiss(id, errp);
}

void coroutine_fn qmp_blockdev_create(const char *job_id,
                                      BlockdevCreateOptions *options,
                                      GError **errp)
{
    blockdev_create_start(job_id, options, errp);
}

void coroutine_fn qmp_block_job_set_speed(const char *device, int64_t speed,
                                          GError **errp)
{
    block_job_set_speed(device, speed, errp);
}
