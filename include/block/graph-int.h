/*
 * Private to block/: the graph's own state and changes in one transaction
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_GRAPH_INT_H
#define BLOCK_GRAPH_INT_H

#include "block/driver.h"
#include "block/graph.h"
#include "util/aio.h"

typedef struct BlockGraph {
    TAILQ_HEAD(, BlockDriverState) nodes;
    TAILQ_HEAD(, BlockBackend) backends;
    CoMutex mutex;              /* see bdrv_graph_mutex() */
    CoQueue idle_waiters;       /* drains: woken when something became idle */
    uint64_t generated_names;
} BlockGraph;

/*
 * How long a peer may take to answer when somebody leaves it: the last flush
 * of a node, the last requests of a backend.
 */
#define BDRV_CLOSE_DEADLINE_NS (5 * NANOSECONDS_PER_SECOND)

/* The graph of the current AioContext. */
BlockGraph *block_graph(void);

/* Something has no more requests in flight: let drains look again. */
static inline void block_graph_became_idle(BlockGraph *graph)
{
    if (G_UNLIKELY(!co_queue_empty(&graph->idle_waiters))) {
        co_queue_restart_all(&graph->idle_waiters);
    }
}

/*
 * A change of edges and permissions: applied step by step, checked as a
 * whole, then kept or undone.  No step yields, so nobody sees it half done.
 */
typedef struct GraphTx GraphTx;

GraphTx *graph_tx_new(void);

/* Let @child point at @to (NULL: nowhere).  The edge takes a reference. */
void graph_tx_set_bs(GraphTx *tx, BdrvChild *child, BlockDriverState *to);
void graph_tx_set_perm(GraphTx *tx, BdrvChild *child, uint64_t perm,
                       uint64_t shared);
/* The children's permissions of @bs have to be computed again. */
void graph_tx_touch(GraphTx *tx, BlockDriverState *bs);

/*
 * Compute and check the permissions of all that is affected, then keep
 * everything (true) or undo everything (false and an error).  Frees @tx.
 * References that edges have dropped are released later, in a coroutine.
 */
bool graph_tx_finish(GraphTx *tx, GError **errp);

/* Edges */

/* An edge without a node yet.  graph_tx_set_bs() attaches it. */
BdrvChild *bdrv_child_new(const char *name, const BdrvChildClass *klass,
                          BdrvChildRole role, void *opaque);
/* Free an edge that points nowhere. */
void bdrv_child_free(BdrvChild *child);

extern const BdrvChildClass child_of_node;
BlockDriverState *bdrv_child_parent_node(const BdrvChild *child);

/* Quiesce @bs and everything above it, without waiting; and undo. */
void bdrv_quiesce(BlockDriverState *bs);
void bdrv_unquiesce(BlockDriverState *bs);
/* Whether requests to @bs or to nodes above it are in flight. */
bool bdrv_is_busy(BlockDriverState *bs);
/* As bdrv_cancel_in_flight(), but leave nodes alone that several use. */
void bdrv_cancel_unshared(BlockDriverState *bs);

/*
 * From now until @deadline is deleted peers below @bs have a while to answer;
 * then those that nobody else uses are given up.
 */
void bdrv_deadline_start(AioTimer *deadline, BlockDriverState *bs);

/* Drop a reference from where no coroutine runs. */
void bdrv_unref_later(BlockDriverState *bs);

/* Ask the driver for the length and pass it on to all above. */
int coroutine_fn bdrv_co_refresh_length(BlockDriverState *bs);
/* Compute bs->bl from the children's and the driver's. */
void bdrv_refresh_limits(BlockDriverState *bs);

/* What an inline child takes over from the node that defines it. */
typedef struct BdrvInherit {
    BlockDriverState *parent;
    BdrvChildRole role;
} BdrvInherit;

BlockDriverState *coroutine_fn
bdrv_co_open_inherit(const BlockdevOptions *options,
                     const BdrvInherit *inherit, GError **errp);

/* Apply the generic options of @options (and @inherit) to @bs's flags. */
bool bdrv_apply_generic_options(BlockDriverState *bs,
                                const BlockdevOptions *options,
                                const BdrvInherit *inherit, GError **errp);

#endif
