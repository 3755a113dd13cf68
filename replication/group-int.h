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
#include "util/co-lock.h"
#include "util/queue.h"

#include "state-file.h"

/* A state file that somebody here has to do with. */
typedef struct StateRecord {
    /* Constant */
    char *path;

    unsigned refs;
    CoMutex lock;               /* of the file */
    ReplicationStateFile *left; /* by runs that have ended; NULL: nothing */
    LIST_ENTRY(StateRecord) link;
} StateRecord;

/* A disk, from its first use by the group to the close of its node. */
typedef struct ReplicatedDisk {
    Replication *r;
    TAILQ_ENTRY(ReplicatedDisk) link;

    /* Exports of the disk: who writes, whom it was said last to who may not */
    BlockExportGuard guard;
    const void *writer;         /* NULL unless present */
    BlockReplicationWriter writer_state;
    const void *refused;

    /* On disk; NULL: nothing is */
    StateRecord *record;
    ReplicationStateFile *claim;        /* from before start to the end */
    ReplicationImageId image;
    int64_t generation;         /* of the last start */

    unsigned preparing;         /* prepares under way, given up or not */
    bool has_pause;
    int64_t pause_us;           /* of the last checkpoint */
} ReplicatedDisk;

typedef struct ReplicationCut ReplicationCut;

typedef struct ReplicationGroup {
    char *cwd;                  /* when the daemon began */
    TAILQ_HEAD(, ReplicatedDisk) disks;
    LIST_HEAD(, StateRecord) records;
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
/* The one that waits for what follows, even if it was cancelled; or NULL. */
ReplicationCut *replication_cut_prepared(void);
ReplicationCut *replication_cut_new(GPtrArray *disks);
bool coroutine_fn replication_cut_co_rest(ReplicationCut *cut, GError **errp);
bool coroutine_fn replication_cut_co_prepare(ReplicationCut *cut,
                                             GError **errp);
GPtrArray *replication_cut_disks(ReplicationCut *cut);
/* Why it was cancelled, as an error; true if it was not. */
bool replication_cut_check(ReplicationCut *cut, GError **errp);
/*
 * The disks are at rest, and from here on are being started or stopped: until
 * the end the gates stay closed.  A stop gives the peers up at the deadline.
 */
void replication_cut_starting(ReplicationCut *cut);
void replication_cut_stopping(ReplicationCut *cut);
/*
 * Abort what is prepared, open the gates, wake who waits; once.  If the disks
 * are being changed it is only remembered, for replication_cut_check.
 * Callable from anywhere, does not yield.
 */
void replication_cut_cancel(ReplicationCut *cut, const char *why);
/* Open the gates; how long they were closed, in us. */
int64_t replication_cut_open(ReplicationCut *cut);
/*
 * True if @disk is being started or stopped: whether there is anything left to
 * fail over will be seen at the end.  A stop does not wait for peers any more.
 */
bool replication_cut_defer_failover(ReplicationCut *cut, ReplicatedDisk *disk);
/* The end, whatever happened: abort, open, forget, fail over who waited. */
void replication_cut_end(ReplicationCut *cut);

/* exports.c */

/* Let one client only write to the disk, anew; let all; disconnect all. */
void replicated_disk_guard_exports(ReplicatedDisk *disk);
void replicated_disk_unguard_exports(ReplicatedDisk *disk);
void replicated_disk_shutdown_exports(ReplicatedDisk *disk);
extern const BlockExportHooks replication_export_hooks;

/* failover.c */

/* Fail over those of @disks of whom there is anything to fail over. */
void replicated_disks_failover(GPtrArray *disks);

/* events.c */

extern const ReplicationObserver replication_observer_events;
/* What the observer does when a node closes. */
void coroutine_fn replicated_disk_close(Replication *r);

/* start-stop.c */

/* Stop one that is running, and say so on record. */
bool coroutine_fn replicated_disk_co_stop(ReplicatedDisk *disk,
                                          GError **errp);

/* state-record.c: a state file and those who have a say in it */

/* The one for @path; state_record_unref, of NULL too. */
StateRecord *state_record_get(const char *path);
void state_record_unref(StateRecord *record);
/* What is to be in the file, or NULL for no file. */
const ReplicationStateFile *state_record_contents(const StateRecord *record);
/* Read what was left of @image; nothing if a disk of ours claims something. */
bool coroutine_fn state_record_co_load(StateRecord *record, const char *image,
                                       GError **errp);
/* Write the contents, which are not NULL. */
bool coroutine_fn state_record_co_write(StateRecord *record, GError **errp);
/* Wait for all that is being written, for whom nobody else waits too. */
void coroutine_fn state_records_co_settle(void);

/* disk-state.c: what is on record of a disk */

/* Find the record, read what it says; false if it cannot be read. */
bool coroutine_fn replicated_disk_co_find_record(ReplicatedDisk *disk,
                                                 GError **errp);
/* Before a start: note REPLICATING, in a new generation. */
bool coroutine_fn replicated_disk_co_claim(ReplicatedDisk *disk,
                                           GError **errp);
/* The start has failed: note what was there before, unless the run ended. */
void coroutine_fn replicated_disk_co_withdraw(ReplicatedDisk *disk);
/* Before the first write of a merge. */
void coroutine_fn replicated_disk_co_note_merging(ReplicatedDisk *disk);
/* After all that can fail: note CONSISTENT, if the secondary had no error. */
void coroutine_fn replicated_disk_co_note_end(ReplicatedDisk *disk);
/* Write that the disks below @bs are good: somebody says so. */
void coroutine_fn replication_co_accept_disks(BlockDriverState *bs);

#endif
