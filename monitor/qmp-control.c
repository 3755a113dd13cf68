/*
 * QMP: negotiation, version, list of commands, the end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/qmp-dispatch.h"

#include "block/run-state.h"
#include "monitor/monitor.h"
#include "qapi/dispatch.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-types-control.h"

void coroutine_fn qmp_qmp_capabilities(QMPCapabilityList *enable,
                                       GError **errp)
{
    Monitor *mon = monitor_current();
    bool oob = false;

    /* "oob" is the only one there is: the schema refused all others. */
    for (; enable; enable = enable->next) {
        oob = oob || enable->value == QMP_CAPABILITY_OOB;
    }
    if (mon) {
        monitor_set_negotiated(mon, oob);
    }
}

VersionInfo *coroutine_fn qmp_query_version(GError **errp)
{
    VersionInfo *info = g_new0(VersionInfo, 1);

    info->qemu = g_new0(VersionTriple, 1);
    info->qemu->major = QMP_QEMU_MAJOR;
    info->qemu->minor = QMP_QEMU_MINOR;
    info->qemu->micro = QMP_QEMU_MICRO;
    info->package = g_strdup("colo-block " COLO_VERSION);
    return info;
}

CommandInfoList *coroutine_fn qmp_query_commands(GError **errp)
{
    CommandInfoList *list = NULL;
    size_t i;

    for (i = qapi_n_commands; i > 0; i--) {
        CommandInfo *info = g_new0(CommandInfo, 1);

        info->name = g_strdup(qapi_commands[i - 1].name);
        QAPI_LIST_PREPEND(list, info);
    }
    return list;
}

void coroutine_fn qmp_quit(GError **errp)
{
    run_state_request_shutdown(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}
