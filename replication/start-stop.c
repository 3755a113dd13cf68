/*
 * Start and stop: of all disks, or of none
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/graph.h"

/* Start */

static bool check_mode(GPtrArray *disks, ReplicationMode mode, GError **errp)
{
    guint i;

    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];
        ReplicationMode needs = replication_mode(disk->r);

        if (needs != mode) {
            error_setg(errp, "The parameter mode's value is invalid, needs "
                       "%d, but got %d", needs, mode);
            return false;
        }
        if (disk->preparing) {
            error_setg(errp, "A checkpoint of disk '%s' was given up and has "
                       "not ended yet", replicated_disk_name(disk));
            return false;
        }
    }
    return true;
}

static bool coroutine_fn check_start(ReplicationCut *cut, bool force,
                                     GError **errp)
{
    GPtrArray *disks = replication_cut_disks(cut);
    guint i;

    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];

        if (!replication_check_start(disk->r, force, errp) ||
            !replicated_disk_co_find_record(disk, errp)) {
            return false;
        }
    }
    return replication_cut_check(cut, errp);
}

/*
 * What a start changes on one disk, and its undo.  The disk's old state comes
 * back: its contents have not changed.
 */
static bool coroutine_fn start_disk(ReplicationCut *cut, ReplicatedDisk *disk,
                                    GError **errp)
{
    bool ok;

    disk->has_pause = false;
    replication_set_generation(disk->r, disk->generation);
    ok = replication_start(disk->r, errp);
    if (ok && replicated_disk_is_secondary(disk)) {
        replicated_disk_guard_exports(disk);
    }
    return ok && replication_cut_check(cut, errp);
}

static void coroutine_fn undo_start(ReplicationCut *cut)
{
    GPtrArray *disks = replication_cut_disks(cut);
    guint i;

    replication_cut_stopping(cut);
    for (i = disks->len; i-- > 0;) {
        ReplicatedDisk *disk = disks->pdata[i];
        g_autoptr(GError) err = NULL;

        if (replicated_disk_state(disk) != BLOCK_REPLICATION_STATE_RUNNING) {
            continue;
        }
        if (replication_stop(disk->r, &err)) {
            replicated_disk_unguard_exports(disk);
        } else {
            warn_report("disk '%s' could not be stopped again: %s",
                        replicated_disk_name(disk), err->message);
        }
    }
}

/* The state files, before anything is forwarded: a crash must find them. */
static bool coroutine_fn claim_disks(GPtrArray *disks, GError **errp)
{
    guint i;

    for (i = 0; i < disks->len; i++) {
        if (!replicated_disk_co_claim(disks->pdata[i], errp)) {
            return false;
        }
    }
    return true;
}

static void coroutine_fn withdraw_claims(GPtrArray *disks)
{
    guint i;

    for (i = 0; i < disks->len; i++) {
        BlockReplicationState state = replicated_disk_state(disks->pdata[i]);

        /* Else it could not be stopped again. */
        if (state == BLOCK_REPLICATION_STATE_NONE ||
            state == BLOCK_REPLICATION_STATE_DONE) {
            replicated_disk_co_withdraw(disks->pdata[i]);
        }
    }
}

static bool coroutine_fn start_disks(ReplicationCut *cut, GError **errp)
{
    GPtrArray *disks = replication_cut_disks(cut);
    guint i;

    if (!replication_cut_co_rest(cut, errp)) {
        return false;
    }
    replication_cut_starting(cut);
    for (i = 0; i < disks->len; i++) {
        if (!start_disk(cut, disks->pdata[i], errp)) {
            undo_start(cut);
            return false;
        }
    }
    return true;
}

bool coroutine_fn replication_group_co_start(const char *node,
                                             ReplicationMode mode, bool force,
                                             GError **errp)
{
    g_autoptr(GPtrArray) all = replication_group_select(node, errp);
    g_autoptr(GPtrArray) disks = NULL;
    ReplicationCut *cut;
    bool ok;

    disks = all ? replication_choose(all, REPLICATION_COMMAND_START, errp)
                : NULL;
    if (!disks || !check_mode(disks, mode, errp)) {
        return false;
    }
    if (!disks->len) {
        return true;
    }
    if (!replication_check_no_cut(errp)) {
        return false;
    }
    cut = replication_cut_new(disks);
    ok = check_start(cut, force, errp) && claim_disks(disks, errp) &&
         start_disks(cut, errp);
    if (!ok) {
        replication_cut_open(cut);
        withdraw_claims(disks);
    }
    replication_cut_end(cut);
    return ok;
}

/* Stop */

bool coroutine_fn replicated_disk_co_stop(ReplicatedDisk *disk, GError **errp)
{
    bool ok = replication_stop(disk->r, errp);

    if (ok) {
        replicated_disk_unguard_exports(disk);
        replicated_disk_co_note_end(disk);
    } else {
        error_prepend(errp, "disk '%s': ", replicated_disk_name(disk));
    }
    return ok;
}

/* There is no way back to running, so one failure does not end the walk. */
static bool coroutine_fn stop_disks(ReplicationCut *cut, GError **errp)
{
    GPtrArray *disks = replication_cut_disks(cut);
    bool ok = true;
    guint i;

    replication_cut_stopping(cut);
    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];
        g_autoptr(GError) err = NULL;

        if (replicated_disk_state(disk) != BLOCK_REPLICATION_STATE_RUNNING ||
            replicated_disk_co_stop(disk, &err)) {
            continue;
        }
        if (ok) {
            g_propagate_error(errp, g_steal_pointer(&err));
        } else {
            warn_report("%s", err->message);
        }
        ok = false;
    }
    return ok;
}

bool coroutine_fn replication_group_co_stop(const char *node, GError **errp)
{
    g_autoptr(GPtrArray) all = replication_group_select(node, errp);
    g_autoptr(GPtrArray) disks = NULL;
    ReplicationCut *cut;
    bool ok;

    disks = all ? replication_choose(all, REPLICATION_COMMAND_STOP, errp)
                : NULL;
    if (!disks) {
        return false;
    }
    if (!disks->len) {
        return true;
    }
    /* Prepared, and nobody has said that it is to be done. */
    replication_group_abort();
    cut = replication_cut_new(disks);
    ok = replication_cut_co_rest(cut, errp) && stop_disks(cut, errp);
    replication_cut_end(cut);
    return ok;
}

/* The daemon's end */

/* Nobody uses the disks any more, so there is nothing to bring to rest. */
static void coroutine_fn stop_all(void)
{
    g_autoptr(GPtrArray) disks = NULL;
    g_autoptr(GError) err = NULL;
    ReplicationCut *cut;
    GRAPH_COMMAND_GUARD();

    replication_group_abort();
    disks = replication_group_select(NULL, NULL);
    cut = replication_cut_new(disks);
    if (!stop_disks(cut, &err)) {
        warn_report("%s", err->message);
    }
    replication_cut_end(cut);
}

void coroutine_fn replication_group_co_shutdown(void)
{
    stop_all();
    block_job_co_finish_all();
    state_records_co_settle();
}
