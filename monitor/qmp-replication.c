/*
 * QMP: replication
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication/group.h"

#include "block/graph.h"
#include "qapi/qapi-commands-replication.h"

/* As others have it: one command for everything. */
void coroutine_fn qmp_xen_set_replication(bool enable, bool primary,
                                          bool has_failover, bool failover,
                                          GError **errp)
{
    if (!enable) {
        qmp_block_replication_stop(has_failover, failover, NULL, errp);
    } else if (has_failover) {
        error_setg(errp, "Parameter 'failover' is only for stopping "
                   "replication");
    } else {
        qmp_block_replication_start(primary ? REPLICATION_MODE_PRIMARY
                                            : REPLICATION_MODE_SECONDARY,
                                    false, false, NULL, errp);
    }
}

ReplicationStatus *coroutine_fn
qmp_query_xen_replication_status(GError **errp)
{
    g_autoptr(GError) err = NULL;
    ReplicationStatus *status = g_new0(ReplicationStatus, 1);

    if (!replication_group_get_error(&err)) {
        status->error = true;
        status->desc = g_strdup(err->message);
    }
    return status;
}

void coroutine_fn qmp_xen_colo_do_checkpoint(GError **errp)
{
    qmp_block_replication_checkpoint(NULL, errp);
}

void coroutine_fn qmp_block_replication_start(ReplicationMode mode,
                                              bool has_force, bool force,
                                              const char *node_name,
                                              GError **errp)
{
    GRAPH_COMMAND_GUARD();

    replication_group_co_start(node_name, mode, has_force && force, errp);
}

/* A failover waits for nothing, least of all for the graph. */
void coroutine_fn qmp_block_replication_stop(bool has_failover, bool failover,
                                             const char *node_name,
                                             GError **errp)
{
    if (has_failover && failover) {
        replication_group_failover(node_name, errp);
        return;
    }
    GRAPH_COMMAND_GUARD();
    replication_group_co_stop(node_name, errp);
}

void coroutine_fn qmp_block_replication_checkpoint(const char *node_name,
                                                   GError **errp)
{
    GRAPH_COMMAND_GUARD();

    replication_group_co_checkpoint(node_name, errp);
}

BlockReplicationInfoList *coroutine_fn
qmp_query_block_replication(GError **errp)
{
    return replication_group_query();
}
