/*
 * The disks of a guest as one
 *
 * Start, checkpoint, stop and failover over all replicated disks of this
 * daemon (or over one of them): on all or on none.  What a state answers is
 * the table of docs/replication.md.  There is one group per AioContext.
 *
 * start, checkpoint and stop change the graph or wait for it: hold the graph
 * mutex.  Failover never waits: it cancels what is under way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef REPLICATION_GROUP_H
#define REPLICATION_GROUP_H

#include "block/block-common.h"
#include "qapi/qapi-types-replication.h"

/* No wait for disks to come to rest is longer. */
#define REPLICATION_DEADLINE_NS (5 * NANOSECONDS_PER_SECOND)

/* Once per context, before nodes are opened or exported. */
void replication_group_init(void);
/*
 * The daemon's end: stop what runs, let merges finish, which would lose what
 * is in memory.  Take nothing of the graph's before.
 */
void coroutine_fn replication_group_co_shutdown(void);

/* @node: a replication node or NULL for all. */
bool coroutine_fn replication_group_co_start(const char *node,
                                             ReplicationMode mode, bool force,
                                             GError **errp);
bool coroutine_fn replication_group_co_checkpoint(const char *node,
                                                  GError **errp);
bool coroutine_fn replication_group_co_stop(const char *node, GError **errp);
/* Fails only if there is no such @node.  Does not yield. */
bool replication_group_failover(const char *node, GError **errp);

/*
 * A checkpoint in two steps, for who must have the guest's memory and the
 * other side follow: after a prepare that succeeded exactly one of do and
 * abort is called, by the same coroutine or not.  do returns false if a
 * failover or a stop has come in between: nothing is done then.  abort does
 * nothing if there is nothing prepared.  Neither yields.
 */
bool coroutine_fn replication_group_co_prepare(GError **errp);
bool replication_group_do(GError **errp);
void replication_group_abort(void);

/* "Block replication is not running", "I/O error occurred" */
bool replication_group_get_error(GError **errp);
BlockReplicationInfoList *replication_group_query(void);

/*
 * Whether @bs may be served to a guest.  If not, the error says in which
 * state which disk was left, and what to do.
 */
bool coroutine_fn replication_co_check_guest(BlockDriverState *bs,
                                             GError **errp);

#endif
