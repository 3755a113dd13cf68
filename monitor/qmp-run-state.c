/*
 * QMP: stop, cont and the run state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/run-state.h"

#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-run-state.h"
#include "qapi/qapi-events-run-state.h"

StatusInfo *coroutine_fn qmp_query_status(GError **errp)
{
    StatusInfo *info = g_new0(StatusInfo, 1);

    info->status = run_state_get();
    info->running = info->status == RUN_STATE_RUNNING;
    return info;
}

void coroutine_fn qmp_stop(GError **errp)
{
    RunState state = run_state_get();

    /* A guest that has not begun to run stays where it is. */
    run_state_co_stop(state == RUN_STATE_RUNNING ? RUN_STATE_PAUSED : state,
                      errp);
}

void coroutine_fn qmp_cont(GError **errp)
{
    run_state_set(RUN_STATE_RUNNING);
}

void coroutine_fn qmp_system_powerdown(GError **errp)
{
    qapi_event_send_powerdown();
}
