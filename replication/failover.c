/*
 * Failover: this side goes on alone
 *
 * It never waits: not for the peer, not for a command that is under way, not
 * for the disk.  First the peer's way to the disk is cut, then the disk is
 * sealed against what is still on its way, then the guest goes on; the merge
 * of a secondary's layers follows in the background, as a job.
 *
 * Disks that are being started or stopped end as that command says, all of
 * them; cut.c remembers who is to fail over if it cannot end so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/graph.h"
#include "qapi/qapi-events-replication.h"
#include "util/trace.h"

/* The merge as a job.  The job holds the node, so the disk stays, too. */

static int coroutine_fn merge_run(BlockJob *job)
{
    ReplicatedDisk *disk = job->opaque;
    int ret;

    replicated_disk_co_note_merging(disk);
    ret = replication_merge(disk->r, job->speed);
    if (ret == 0) {
        replicated_disk_co_note_end(disk);
    }
    return ret;
}

static void merge_progress(BlockJob *job, int64_t *done, int64_t *total)
{
    ReplicatedDisk *disk = job->opaque;
    ColoMergeProgress progress = { 0 };

    replication_merge_progress(disk->r, &progress);
    *done = progress.done;
    *total = progress.total;
}

static void merge_set_speed(BlockJob *job)
{
    ReplicatedDisk *disk = job->opaque;

    replication_set_merge_speed(disk->r, job->speed);
}

static void coroutine_fn merge_concluded(BlockJob *job)
{
    ReplicatedDisk *disk = job->opaque;

    qapi_event_send_block_replication_merge_completed(
        replicated_disk_name(disk),
        job->ret < 0 ? g_strerror(-job->ret) : NULL);
}

/* The last reference takes the disk with it. */
static void coroutine_fn merge_release(BlockJob *job)
{
    ReplicatedDisk *disk = job->opaque;

    bdrv_co_unref(replication_bs(disk->r));
}

static const BlockJobDriver merge_driver = {
    .type = JOB_TYPE_COMMIT,
    .run = merge_run,
    .progress = merge_progress,
    .set_speed = merge_set_speed,
    .concluded = merge_concluded,
    .release = merge_release,
};

/*
 * By the name that the guest's disk has.  Another disk may be below the same
 * root, and jobs that users make are called as they like.
 */
static char *merge_id(const ReplicatedDisk *disk)
{
    BlockDriverState *top = replication_top(disk->r);
    const char *name = top ? bdrv_device_name(top) : NULL;
    const char *node = replicated_disk_name(disk);
    char *id = g_strdup_printf("merge-%s", name ? name : node);
    int n;

    for (n = 1; block_job_find(id); n++) {
        g_free(id);
        id = n == 1 ? g_strdup_printf("merge-node-%s", node)
                    : g_strdup_printf("merge-node-%s-%d", node, n);
    }
    return id;
}

static void start_merge(ReplicatedDisk *disk)
{
    g_autofree char *id = merge_id(disk);
    g_autoptr(GError) err = NULL;

    bdrv_ref(replication_bs(disk->r));
    if (!block_job_start(&merge_driver, id, disk, &err)) {
        g_error("%s", err->message);
    }
}

/* A primary: its own disk is whole, whatever the peer has. */

static void coroutine_fn note_alone_entry(void *opaque)
{
    ReplicatedDisk *disk = opaque;
    BlockDriverState *bs = replication_bs(disk->r);

    replicated_disk_co_note_end(disk);
    bdrv_co_unref(bs);
}

static void note_alone(ReplicatedDisk *disk)
{
    bdrv_ref(replication_bs(disk->r));
    coroutine_start(note_alone_entry, disk);
}

/* Failover */

static void failover_disk(ReplicatedDisk *disk)
{
    trace_event(replication_failover, "disk '%s' state %s",
                replicated_disk_name(disk),
                BlockReplicationState_str(replicated_disk_state(disk)));
    replication_failover(disk->r);
    if (replicated_disk_state(disk) == BLOCK_REPLICATION_STATE_FAILOVER) {
        start_merge(disk);
    } else {
        note_alone(disk);
    }
}

/* Cancel @cut, if there is one, when nobody comes to the disks any more. */
static void fail_over(GPtrArray *all, ReplicationCut *cut)
{
    g_autoptr(GPtrArray) disks =
        replication_choose(all, REPLICATION_COMMAND_FAILOVER, NULL);
    guint i;

    for (i = 0; i < disks->len; i++) {
        if (replicated_disk_is_secondary(disks->pdata[i])) {
            replicated_disk_unguard_exports(disks->pdata[i]);
            replicated_disk_shutdown_exports(disks->pdata[i]);
        }
    }
    if (cut) {
        replication_cut_cancel(cut, "A failover has begun");
    }
    for (i = 0; i < disks->len; i++) {
        failover_disk(disks->pdata[i]);
    }
}

void replicated_disks_failover(GPtrArray *disks)
{
    fail_over(disks, NULL);
}

bool replication_group_failover(const char *node, GError **errp)
{
    g_autoptr(GPtrArray) disks = replication_group_select(node, errp);
    ReplicationCut *cut = replication_group()->cut;
    guint i;

    if (!disks) {
        return false;
    }
    for (i = disks->len; i-- > 0;) {
        if (cut && replication_cut_defer_failover(cut, disks->pdata[i])) {
            g_ptr_array_remove_index(disks, i);
        }
    }
    fail_over(disks, cut);
    return true;
}
