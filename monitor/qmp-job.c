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

void coroutine_fn qmp_block_job_set_speed(const char *device, int64_t speed,
                                          GError **errp)
{
    block_job_set_speed(device, speed, errp);
}
