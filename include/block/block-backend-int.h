/*
 * Private to block/: the BlockBackend itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_BACKEND_INT_H
#define BLOCK_BACKEND_INT_H

#include "block/block-backend.h"
#include "block/graph-int.h"

/* A request that waits outside of the graph. */
typedef struct BlkWaiter {
    const void *owner;
    Coroutine *co;
    bool cancelled;
    TAILQ_ENTRY(BlkWaiter) link;
} BlkWaiter;

struct BlockBackend {
    /* Constant */
    AioContext *ctx;
    BlockGraph *graph;

    /* Changed by commands */
    char *name;                 /* "" for an unnamed one */
    char *legacy_if;
    char *user;
    unsigned refcnt;
    BdrvChild *root;            /* root->bs is NULL without a node */
    uint64_t perm, shared;
    BdrvRequestFlags write_flags;   /* FUA without a write cache */
    BlkThrottle *throttle;
    const BlkThrottleOps *throttle_ops;
    void (*resize_cb)(void *opaque);
    void *resize_opaque;
    TAILQ_ENTRY(BlockBackend) link;

    /* Requests */
    unsigned quiesce_counter;   /* drains of the root */
    unsigned gate_counter;
    unsigned guest_gate_counter;
    unsigned in_flight;
    unsigned flushes;           /* of them */
    TAILQ_HEAD(, BlkWaiter) waiters;
    BlockAcctStats stats;
};

/* Wait at a closed gate (unless @flush) or drain; count as in flight. */
int coroutine_fn blk_co_enter(BlockBackend *blk, bool flush);
void blk_leave(BlockBackend *blk);

/* The gate or a drain has opened or closed. */
void blk_gate_update(BlockBackend *blk);

#endif
