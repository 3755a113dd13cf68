/*
 * Private to replication/: what the group knows of each disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef REPLICATION_GROUP_INT_H
#define REPLICATION_GROUP_INT_H

#include "block/export.h"
#include "block/job.h"
#include "block/replication.h"
#include "replication/group.h"
#include "util/aio.h"
#include "util/queue.h"

#include "state-file.h"

/* A disk, from its first use by the group to the close of its node. */
typedef struct ReplicatedDisk {
    Replication *r;
    TAILQ_ENTRY(ReplicatedDisk) link;

    /* Exports of the disk: who writes, whom it was said last to who may not */
    BlockExportGuard guard;
    const void *writer;
    const void *refused;

    /* On disk; path NULL: nothing is */
    char *state_path;
    ReplicationStateFile *state;
    int64_t generation;         /* of the last start */

    bool changing;              /* it is being started or stopped */
    unsigned preparing;         /* prepares under way, given up or not */
    bool has_pause;
    int64_t pause_us;           /* of the last checkpoint */
} ReplicatedDisk;

typedef struct ReplicationCut ReplicationCut;

typedef struct ReplicationGroup {
    char *cwd;                  /* when the daemon began */
    TAILQ_HEAD(, ReplicatedDisk) disks;
    ReplicationCut *cut;        /* the one that is under way, or NULL */
} ReplicationGroup;

ReplicationGroup *replication_group(void);

/* What is known of @r; made on first use. */
ReplicatedDisk *replicated_disk(Replication *r);
const char *replicated_disk_name(const ReplicatedDisk *disk);
BlockReplicationState replicated_disk_state(const ReplicatedDisk *disk);
bool replicated_disk_is_secondary(const ReplicatedDisk *disk);

/*
 * The disks that @node (NULL: all) stands for; g_ptr_array_unref.  NULL and an
 * error if there is no such one.
 */
GPtrArray *replication_group_select(const char *node, GError **errp);

/* table.c: what a command does in a state */

typedef enum ReplicationCommand {
    REPLICATION_COMMAND_START,
    REPLICATION_COMMAND_CHECKPOINT,
    REPLICATION_COMMAND_STOP,
    REPLICATION_COMMAND_FAILOVER,
} ReplicationCommand;

typedef enum ReplicationAction {
    REPLICATION_IGNORE,
    REPLICATION_ACT,
    REPLICATION_REFUSE,
} ReplicationAction;

/* With REPLICATION_REFUSE, *@text says why. */
ReplicationAction replication_table(ReplicationCommand command,
                                    ReplicationMode mode,
                                    BlockReplicationState state,
                                    const char **text);
/*
 * Those of @disks that @command is to act on, a new array; NULL and an error
 * if one of them refuses.
 */
GPtrArray *replication_choose(GPtrArray *disks, ReplicationCommand command,
                              GError **errp);

/*
 * cut.c: some disks at rest, at one moment
 *
 * rest: close every gate above the disks and wait until nothing is in flight
 * there.  prepare: the first step of a checkpoint on all of them.  Either fails
 * on the deadline or when the cut is cancelled; the caller then ends the cut.
 */

/* There is one at a time, which may be prepared and wait for what follows. */
bool replication_check_no_cut(GError **errp);
ReplicationCut *replication_cut_new(GPtrArray *disks);
bool coroutine_fn replication_cut_co_rest(ReplicationCut *cut, GError **errp);
bool coroutine_fn replication_cut_co_prepare(ReplicationCut *cut,
                                             GError **errp);
GPtrArray *replication_cut_disks(ReplicationCut *cut);
/* Why it was cancelled, as an error; true if it was not. */
bool replication_cut_check(ReplicationCut *cut, GError **errp);
/*
 * Abort what is prepared, open the gates, wake who waits; once.  Callable from
 * anywhere, does not yield.
 */
void replication_cut_cancel(ReplicationCut *cut, const char *why);
/* Open the gates; how long they were closed, in us. */
int64_t replication_cut_open(ReplicationCut *cut);
/* The end, whatever happened: abort, open, forget. */
void replication_cut_end(ReplicationCut *cut);

/* exports.c */

/* Let one client only write to the disk; let all; disconnect them all. */
void replicated_disk_guard_exports(ReplicatedDisk *disk);
void replicated_disk_unguard_exports(ReplicatedDisk *disk);
void replicated_disk_shutdown_exports(ReplicatedDisk *disk);
extern const BlockExportHooks replication_export_hooks;

/* failover.c */

/* Let the layers of a secondary merge, as a job. */
void replicated_disk_start_merge(ReplicatedDisk *disk);

/* events.c */

extern const ReplicationObserver replication_observer_events;
/* What the observer does when a node closes. */
void coroutine_fn replicated_disk_close(Replication *r);

/* disk-state.c: what the state file of a disk says */

/* Find the file, read what it says; false if it cannot be read. */
bool coroutine_fn replicated_disk_co_load_state(ReplicatedDisk *disk,
                                                GError **errp);
/* Write it, with a new generation for REPLICATING. */
bool coroutine_fn replicated_disk_co_save_state(ReplicatedDisk *disk,
                                                ReplicationDiskState state,
                                                GError **errp);
/* The same, where a failure is only worth a warning. */
void coroutine_fn replicated_disk_co_note_state(ReplicatedDisk *disk,
                                                ReplicationDiskState state);
/* Whether its end has left the disk good: no error of the secondary. */
bool replicated_disk_ended_well(const ReplicatedDisk *disk);
/* Write that the disks below @bs are good: somebody says so. */
void coroutine_fn replication_co_accept_disks(BlockDriverState *bs);

#endif
