/*
 * What disks tell, as events; and the status for people and programs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/graph.h"
#include "qapi/qapi-events-replication.h"

/* Events */

static void state_changed(Replication *r, BlockReplicationState from,
                          BlockReplicationState to)
{
    qapi_event_send_block_replication_state_change(
        bdrv_node_name(replication_bs(r)), replication_mode(r), from,
        to);
}

static void error(Replication *r, const ReplicationError *err)
{
    qapi_event_send_block_replication_error(
        bdrv_node_name(replication_bs(r)), replication_mode(r),
        err->node_name, err->what, -err->ret, g_strerror(-err->ret),
        err->offset >= 0, err->offset);
}

static void high_mark(Replication *r)
{
    qapi_event_send_block_replication_high_mark(
        bdrv_node_name(replication_bs(r)));
}

static void unforwarded(Replication *r)
{
    qapi_event_send_block_replication_unforwarded(
        bdrv_node_name(replication_bs(r)));
}

const ReplicationObserver replication_observer_events = {
    .state_changed = state_changed,
    .error = error,
    .high_mark = high_mark,
    .unforwarded = unforwarded,
    .closing = replicated_disk_close,
};

/* Status */

bool replication_group_get_error(GError **errp)
{
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        BlockReplicationState state = replication_state(r);

        if (state == BLOCK_REPLICATION_STATE_NONE) {
            error_setg(errp, "Block replication is not running");
            return false;
        }
        /* Once a failover is done, the peer's errors are of no interest. */
        if (state == BLOCK_REPLICATION_STATE_DONE) {
            continue;
        }
        if (replication_error(r)->ret < 0 ||
            state == BLOCK_REPLICATION_STATE_FAILOVER_FAILED) {
            error_setg(errp, "I/O error occurred");
            return false;
        }
    }
    return true;
}

static void add_record(BlockReplicationInfo *info, const StateRecord *record)
{
    const ReplicationStateFile *contents =
        record ? state_record_contents(record) : NULL;

    info->state_file = record ? g_strdup(record->path) : NULL;
    info->has_disk_state = contents != NULL;
    info->disk_state = contents ? contents->state : 0;
}

BlockReplicationInfoList *replication_group_query(void)
{
    BlockReplicationInfoList *list = NULL, **tail = &list;
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        BlockReplicationInfo *info = g_new0(BlockReplicationInfo, 1);
        ReplicatedDisk *disk = replicated_disk(r);

        replication_get_info(r, info);
        info->has_last_pause = disk->has_pause;
        info->last_pause = disk->pause_us;
        add_record(info, disk->record);
        if (info->secondary) {
            info->secondary->writer = disk->writer_state;
        }
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}
