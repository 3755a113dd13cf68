/*
 * Exports of replicated disks: who may write, and who may be served
 *
 * The peer writes to a secondary disk through an export of it.  While
 * replication runs one client of those exports writes, the first one to do so.
 * When it has left the next one may; when it was lost nobody may, because
 * writes may be lost with it.  A failover shuts the peer's exports down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/graph.h"
#include "qapi/qapi-events-replication.h"

/* The exports through which @disk can be reached past the guest's view */

static bool leads_to_disk(BlockDriverState *bs, ReplicatedDisk *disk)
{
    BlockDriverState *bottom = replication_disk(disk->r);

    return bs && bottom && bdrv_is_above_or_same(bs, bottom) &&
           !bdrv_is_above_or_same(bs, replication_bs(disk->r));
}

static bool is_export_of(BlockExport *exp, ReplicatedDisk *disk)
{
    return exp->blk && leads_to_disk(blk_bs(exp->blk), disk);
}

/* The guard */

static bool guard_may_write(BlockExportGuard *guard, BlockExport *exp,
                            const void *client, GError **errp)
{
    ReplicatedDisk *disk = container_of(guard, ReplicatedDisk, guard);

    if (G_LIKELY(disk->writer == client)) {
        return true;
    }
    if (!disk->writer &&
        disk->writer_state != BLOCK_REPLICATION_WRITER_LOST) {
        disk->writer = client;
        disk->writer_state = BLOCK_REPLICATION_WRITER_PRESENT;
        return true;
    }
    if (disk->refused != client) {
        disk->refused = client;
        qapi_event_send_block_replication_writer_refused(
            replicated_disk_name(disk), exp->id);
    }
    error_setg(errp, disk->writer ? "Export '%s' is being replicated to by "
               "another client, which alone may write" :
               "Export '%s' has lost the client that replicated to it; nobody "
               "may write until replication is started again", exp->id);
    return false;
}

static void writer_left(ReplicatedDisk *disk, bool lost)
{
    disk->writer = NULL;
    disk->writer_state = lost ? BLOCK_REPLICATION_WRITER_LOST
                              : BLOCK_REPLICATION_WRITER_LEFT;
    qapi_event_send_block_replication_writer_left(replicated_disk_name(disk),
                                                  lost);
    if (lost) {
        replication_writer_lost(disk->r);
    }
}

static void guard_client_left(BlockExportGuard *guard, const void *client,
                              bool lost)
{
    ReplicatedDisk *disk = container_of(guard, ReplicatedDisk, guard);

    if (disk->writer == client) {
        writer_left(disk, lost);
    }
    if (disk->refused == client) {
        disk->refused = NULL;
    }
}

void replicated_disk_guard_exports(ReplicatedDisk *disk)
{
    BlockExport *exp = NULL;

    disk->writer_state = BLOCK_REPLICATION_WRITER_NONE;
    disk->guard.may_write = guard_may_write;
    disk->guard.client_left = guard_client_left;
    while ((exp = block_export_next(exp))) {
        if (is_export_of(exp, disk)) {
            exp->guard = &disk->guard;
        }
    }
}

void replicated_disk_unguard_exports(ReplicatedDisk *disk)
{
    BlockExport *exp = NULL;

    disk->writer = disk->refused = NULL;
    disk->writer_state = BLOCK_REPLICATION_WRITER_NONE;
    while ((exp = block_export_next(exp))) {
        if (exp->guard == &disk->guard) {
            exp->guard = NULL;
        }
    }
}

void replicated_disk_shutdown_exports(ReplicatedDisk *disk)
{
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (is_export_of(exp, disk)) {
            block_export_request_shutdown(exp);
        }
    }
}

/* New exports */

/* Past the guest's view nobody writes while a failover merges. */
static bool check_not_merging(BlockDriverState *bs, GError **errp)
{
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        ReplicatedDisk *disk = replicated_disk(r);
        BlockReplicationState state = replicated_disk_state(disk);

        if ((state == BLOCK_REPLICATION_STATE_FAILOVER ||
             state == BLOCK_REPLICATION_STATE_FAILOVER_FAILED) &&
            leads_to_disk(bs, disk)) {
            error_setg(errp, "Disk '%s' is being merged after a failover and "
                       "belongs to its guest", bdrv_node_name(bs));
            return false;
        }
    }
    return true;
}

static bool coroutine_fn hook_check(BlockDriverState *bs,
                                    const BlockExportOptions *options,
                                    bool guest, GError **errp)
{
    bool writable = options->has_writable && options->writable;
    bool force = options->has_force && options->force;

    if (writable && !check_not_merging(bs, errp)) {
        return false;
    }
    return !guest || force || replication_co_check_guest(bs, errp);
}

static void coroutine_fn hook_added(BlockExport *exp,
                                    const BlockExportOptions *options)
{
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        ReplicatedDisk *disk = replicated_disk(r);

        if ((replicated_disk_state(disk) == BLOCK_REPLICATION_STATE_RUNNING ||
             replicated_disk_state(disk) ==
             BLOCK_REPLICATION_STATE_PREPARED) && is_export_of(exp, disk)) {
            exp->guard = &disk->guard;
        }
    }
    if (options->has_force && options->force && options->has_writable &&
        options->writable) {
        replication_co_accept_disks(blk_bs(exp->blk));
    }
}

const BlockExportHooks replication_export_hooks = {
    .check = hook_check,
    .added = hook_added,
};
