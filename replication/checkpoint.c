/*
 * Checkpoint: all disks move on, at one moment, or none does
 *
 * With all gates closed and nothing in flight every disk prepares, which may
 * fail; then all do it in one go, which may not.  The loop does not turn in
 * between, so nobody ever sees some disks before and some after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "util/trace.h"

/* A prepare that was given up may still be on its way. */
static bool check_no_leftover(GPtrArray *disks, GError **errp)
{
    guint i;

    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];

        if (disk->preparing) {
            error_setg(errp, "An earlier checkpoint of disk '%s' was given up "
                       "and has not ended yet", replicated_disk_name(disk));
            return false;
        }
    }
    return true;
}

/* On success the group's cut is prepared, and waits for do or abort. */
static bool coroutine_fn co_prepare(const char *node, GError **errp)
{
    g_autoptr(GPtrArray) all = replication_group_select(node, errp);
    g_autoptr(GPtrArray) disks = NULL;
    ReplicationCut *cut;

    if (!all || !replication_check_no_cut(errp)) {
        return false;
    }
    disks = replication_choose(all, REPLICATION_COMMAND_CHECKPOINT, errp);
    if (!disks || !check_no_leftover(disks, errp)) {
        return false;
    }
    cut = replication_cut_new(disks);
    if (!replication_cut_co_rest(cut, errp) ||
        !replication_cut_co_prepare(cut, errp)) {
        replication_cut_end(cut);
        return false;
    }
    return true;
}

bool coroutine_fn replication_group_co_prepare(GError **errp)
{
    return co_prepare(NULL, errp);
}

bool replication_group_do(GError **errp)
{
    ReplicationCut *cut = replication_cut_prepared();
    GPtrArray *disks;
    int64_t pause_us;
    guint i;

    if (!cut) {
        error_setg(errp, "No checkpoint is prepared");
        return false;
    }
    if (!replication_cut_check(cut, errp)) {
        replication_cut_end(cut);
        return false;
    }
    disks = replication_cut_disks(cut);
    for (i = 0; i < disks->len; i++) {
        replication_do_checkpoint(((ReplicatedDisk *)disks->pdata[i])->r);
    }
    pause_us = replication_cut_open(cut);
    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];

        disk->has_pause = true;
        disk->pause_us = pause_us;
    }
    trace_event(replication_checkpoint, "%u disks, pause %" PRId64 " us",
                disks->len, pause_us);
    replication_cut_end(cut);
    return true;
}

void replication_group_abort(void)
{
    ReplicationCut *cut = replication_cut_prepared();

    if (cut) {
        replication_cut_end(cut);
    }
}

bool coroutine_fn replication_group_co_checkpoint(const char *node,
                                                  GError **errp)
{
    return co_prepare(node, errp) && replication_group_do(errp);
}
