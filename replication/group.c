/*
 * The group: which disks there are
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/graph.h"

/* Life */

static void replicated_disk_free(ReplicatedDisk *disk)
{
    state_record_unref(disk->record);
    qapi_free_ReplicationStateFile(disk->claim);
    g_free(disk);
}

static void group_init(AioContext *ctx, void *data)
{
    ReplicationGroup *group = data;

    group->cwd = g_get_current_dir();
    TAILQ_INIT(&group->disks);
    LIST_INIT(&group->records);
}

static void group_fini(AioContext *ctx, void *data)
{
    ReplicationGroup *group = data;

    g_assert(TAILQ_EMPTY(&group->disks) && !group->cut);
    g_assert(LIST_EMPTY(&group->records));
    g_free(group->cwd);
}

static const AioLocal group_key = {
    .size = sizeof(ReplicationGroup),
    .init = group_init,
    .fini = group_fini,
};

ReplicationGroup *replication_group(void)
{
    return aio_local_get(aio_get_current(), &group_key);
}

void replication_group_init(void)
{
    replication_group();
    replication_set_observer(&replication_observer_events);
    block_export_set_hooks(&replication_export_hooks);
}

/* Disks */

static ReplicatedDisk *find_disk(Replication *r)
{
    ReplicatedDisk *disk;

    TAILQ_FOREACH(disk, &replication_group()->disks, link) {
        if (disk->r == r) {
            return disk;
        }
    }
    return NULL;
}

ReplicatedDisk *replicated_disk(Replication *r)
{
    ReplicatedDisk *disk = find_disk(r);

    if (!disk) {
        disk = g_new0(ReplicatedDisk, 1);
        disk->r = r;
        TAILQ_INSERT_TAIL(&replication_group()->disks, disk, link);
    }
    return disk;
}

/* Its layers are gone with the node, so this is a stop of its own. */
void coroutine_fn replicated_disk_close(Replication *r)
{
    ReplicatedDisk *disk = find_disk(r);
    g_autoptr(GError) err = NULL;

    if (!disk) {
        return;
    }
    if (replicated_disk_state(disk) == BLOCK_REPLICATION_STATE_RUNNING &&
        !replicated_disk_co_stop(disk, &err)) {
        warn_report("%s", err->message);
    }
    replicated_disk_unguard_exports(disk);
    TAILQ_REMOVE(&replication_group()->disks, disk, link);
    replicated_disk_free(disk);
}

const char *replicated_disk_name(const ReplicatedDisk *disk)
{
    return bdrv_node_name(replication_bs(disk->r));
}

BlockReplicationState replicated_disk_state(const ReplicatedDisk *disk)
{
    return replication_state(disk->r);
}

bool replicated_disk_is_secondary(const ReplicatedDisk *disk)
{
    return replication_mode(disk->r) == REPLICATION_MODE_SECONDARY;
}

GPtrArray *replication_group_select(const char *node, GError **errp)
{
    GPtrArray *disks = g_ptr_array_new();
    Replication *r = NULL;

    if (node) {
        r = replication_find(node);
        if (!r) {
            error_setg(errp, "There is no replication node '%s'", node);
            g_ptr_array_unref(disks);
            return NULL;
        }
        g_ptr_array_add(disks, replicated_disk(r));
        return disks;
    }
    while ((r = replication_next(r))) {
        g_ptr_array_add(disks, replicated_disk(r));
    }
    return disks;
}
