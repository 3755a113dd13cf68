/*
 * One replicated disk: what the replication driver offers to those above
 *
 * replication/ drives all disks of a guest through this, all or none; nobody
 * else does.  Per AioContext there is one list of replication nodes.  States
 * and transitions are those of docs/replication.md; every change of state is
 * one traced call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_REPLICATION_H
#define BLOCK_REPLICATION_H

#include "block/block-common.h"
#include "block/colo-layers.h"
#include "qapi/qapi-types-replication.h"
#include "util/queue.h"

typedef struct Replication Replication;

/*
 * What went wrong first; sticky until the next start, or until the merge of a
 * failover has succeeded.
 */
typedef struct ReplicationError {
    int ret;                    /* 0: nothing */
    char *node_name;            /* where */
    int64_t offset;             /* -1: nowhere in particular */
    char *what;                 /* "forwarding a write", ... */
    int64_t when_ns;            /* clock of the context */
} ReplicationError;

/* Events rise to the layer above, which may stop things and tell people. */
typedef struct ReplicationObserver {
    void (*state_changed)(Replication *r, BlockReplicationState from,
                          BlockReplicationState to);
    void (*error)(Replication *r, const ReplicationError *error);
    void (*high_mark)(Replication *r);
    /* The first guest write between attach and start. */
    void (*unforwarded)(Replication *r);
    /*
     * The node closes, and nobody finds @r any more.  Called once,
     * before anything of it is undone, in the closing coroutine.
     */
    void coroutine_fn (*closing)(Replication *r);
} ReplicationObserver;

/* Set once per AioContext by replication/; may be NULL. */
void replication_set_observer(const ReplicationObserver *observer);

/* The list, in order of creation; NULL begins and ends.  Not those that go. */
Replication *replication_next(Replication *r);
Replication *replication_find(const char *node_name);

BlockDriverState *replication_bs(Replication *r);
ReplicationMode replication_mode(const Replication *r);
BlockReplicationState replication_state(const Replication *r);
const ReplicationError *replication_error(const Replication *r);
/* Fill in what the driver knows of query-block-replication. */
void replication_get_info(Replication *r, BlockReplicationInfo *info);

/* Secondary: the disk that the primary writes to, the root of the guest. */
BlockDriverState *replication_disk(Replication *r);
BlockDriverState *replication_top(Replication *r);

/*
 * Each step is called for all disks before the next one is called for any;
 * a failure is answered by the undo of what was done.
 */

/* Everything that can be checked without changing anything. */
bool coroutine_fn replication_check_start(Replication *r, bool force,
                                          GError **errp);
bool coroutine_fn replication_start(Replication *r, GError **errp);

/*
 * Primary, before the gates above are closed: let the guest run while most of
 * what is outstanding is acknowledged (bounded); until do or abort little is
 * outstanding at a time.  Secondary: acknowledgements that are slowed down go
 * out now, so that draining does not wait for them.
 */
void coroutine_fn replication_settle(Replication *r);

/*
 * prepare: the gates above are closed, nothing of the guest is in flight.
 * Primary: every forwarded request has been acknowledged.  Secondary: the
 * forwards that have arrived are done.  Fails on a sticky error.
 */
bool coroutine_fn replication_prepare_checkpoint(Replication *r,
                                                 GError **errp);
/*
 * Do neither yield nor fail.  An abort, or a failover, that comes while
 * prepare still waits makes prepare return false soon, and leaves the state
 * that it would have found otherwise: running, or what failover gives.
 */
void replication_do_checkpoint(Replication *r);
void replication_abort_checkpoint(Replication *r);

/*
 * stop(failover = false).  Primary: stop forwarding.  Secondary: drop the
 * layers, remove the filter, undo start's reopen; nothing is in flight.
 * A primary waits for what is outstanding, or until its peer is given up.
 */
bool coroutine_fn replication_stop(Replication *r, GError **errp);

/*
 * stop(failover = true).  Primary: forwards are given up, the local disk goes
 * on alone.  Secondary: late writes of the old primary are refused from here
 * on (seal), the layers begin to merge, the guest can write at once.  Does
 * not wait for the peer.  Cannot fail.  In state failover-failed: back to
 * state failover, for the merge to be tried again.
 */
void replication_failover(Replication *r);
/* Secondary, state failover: merge, then state done or failover-failed. */
int coroutine_fn replication_merge(Replication *r, int64_t speed);
/* While it merges; and how far it is. */
void replication_set_merge_speed(Replication *r, int64_t speed);
void replication_merge_progress(Replication *r, ColoMergeProgress *progress);

/*
 * Primary: fail what is outstanding towards the peer, now; the state stays
 * running with a sticky error.  A stop or prepare that waits for it goes on.
 */
void replication_give_up_peer(Replication *r, int ret);

/*
 * Secondary: the connection through which the primary writes was lost, and
 * with it maybe writes.  Sticky error: the disk is no checkpoint as it is.
 */
void replication_writer_lost(Replication *r);

/* Bytes that the primary's guest wrote and nobody forwarded. */
int64_t replication_unforwarded_bytes(const Replication *r);

/*
 * Identifies this run of replication; set before start.  The secondary's
 * filter asserts at each disk write of a forward that failover has not begun
 * since the forward arrived.
 */
void replication_set_generation(Replication *r, uint64_t generation);

#endif
