/*
 * BlockBackend: a user of the graph
 *
 * What an export, a drive or a job holds: it carries permissions, the gate,
 * throttling, statistics.  Requests: any coroutine of the AioContext; the
 * rest: commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_BACKEND_H
#define BLOCK_BACKEND_H

#include "block/accounting.h"
#include "block/block-common.h"
#include "qapi/qapi-types-block-core.h"
#include "util/aio.h"

/* A backend without a node; @perm and @shared apply once it has one. */
BlockBackend *blk_new(uint64_t perm, uint64_t shared);
void blk_ref(BlockBackend *blk);
void coroutine_fn blk_co_unref(BlockBackend *blk);

/*
 * Attach @bs (taking a reference) or detach.  The latter waits for requests
 * in flight; a peer that nobody else uses is given up after a while.
 */
bool coroutine_fn blk_co_insert_bs(BlockBackend *blk, BlockDriverState *bs,
                                   GError **errp);
void coroutine_fn blk_co_remove_bs(BlockBackend *blk);
BlockDriverState *blk_bs(BlockBackend *blk);
AioContext *blk_get_aio_context(BlockBackend *blk);

bool blk_set_perm(BlockBackend *blk, uint64_t perm, uint64_t shared,
                  GError **errp);
void blk_get_perm(BlockBackend *blk, uint64_t *perm, uint64_t *shared);

/*
 * Drives: named backends.  The name space is shared with node names.
 * @legacy_if is the if= of -drive ("none" when absent); drives other than
 * if=none get a guest export.
 */
bool blk_set_name(BlockBackend *blk, const char *id, GError **errp);
const char *blk_name(const BlockBackend *blk);      /* "" when unnamed */
/*
 * Take the name and the node away and drop the reference that the name
 * stands for: drive_del.  Other users of the backend get -ENOMEDIUM.
 */
void coroutine_fn blk_co_delete_named(BlockBackend *blk);
BlockBackend *blk_by_name(const char *id);
/* Named ones first, in order of creation; NULL begins and ends. */
BlockBackend *blk_next(BlockBackend *blk);
void blk_set_interface(BlockBackend *blk, const char *legacy_if);
const char *blk_interface(const BlockBackend *blk);
/* What uses an unnamed backend, for query-blockstats' qdev: an export id. */
void blk_set_user(BlockBackend *blk, const char *user);
const char *blk_user(const BlockBackend *blk);

/*
 * A backend without a write cache (cache=writethrough) makes every write
 * stable before it is done.  It has one by default.
 */
void blk_set_enable_write_cache(BlockBackend *blk, bool enable);
bool blk_enable_write_cache(const BlockBackend *blk);

/* Without a node: -ENOMEDIUM. */
int64_t blk_getlength(BlockBackend *blk);
bool blk_is_read_only(BlockBackend *blk);
/* Of the root node; BlockLimits of an empty backend are the defaults. */
const BlockLimits *blk_limits(BlockBackend *blk);

/* Requests; see block/io.h. */
int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset,
                               int64_t bytes, IOVector *qiov,
                               BdrvRequestFlags flags);
int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags);
int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset,
                                      int64_t bytes, BdrvRequestFlags flags);
int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset,
                                 int64_t bytes);
int coroutine_fn blk_co_flush(BlockBackend *blk);
int coroutine_fn blk_co_block_status(BlockBackend *blk, bool want_zero,
                                     int64_t offset, int64_t bytes,
                                     int64_t *pnum);
int coroutine_fn blk_co_allocation_depth(BlockBackend *blk, int64_t offset,
                                         int64_t bytes, int64_t *pnum);
int coroutine_fn blk_co_pread(BlockBackend *blk, int64_t offset,
                              int64_t bytes, void *buf,
                              BdrvRequestFlags flags);
int coroutine_fn blk_co_pwrite(BlockBackend *blk, int64_t offset,
                               int64_t bytes, const void *buf,
                               BdrvRequestFlags flags);
bool coroutine_fn blk_co_truncate(BlockBackend *blk, int64_t offset,
                                  PreallocMode prealloc, GError **errp);

/*
 * The gate.  While it is closed (counted), requests other than flushes wait
 * here, outside of the graph, not in flight.
 */
void blk_gate_close(BlockBackend *blk);
void blk_gate_open(BlockBackend *blk);
bool blk_gate_is_closed(const BlockBackend *blk);

/*
 * The same for guests, while they are stopped: those who ask by
 * blk_co_wait_gate().  What the monitor does with the drive goes on.
 */
void blk_guest_gate_close(BlockBackend *blk);
void blk_guest_gate_open(BlockBackend *blk);

/*
 * Wait until a request may pass (both gates and drains).  @owner stands for a
 * client: blk_cancel_waiting() of it makes this return -ECANCELED, as it does
 * for NULL instead of sleeping.  After 0 the next request passes if the caller
 * does not yield in between.
 */
int coroutine_fn blk_co_wait_gate(BlockBackend *blk, const void *owner);
void blk_cancel_waiting(BlockBackend *blk, const void *owner);

/* Let what waits for a limit in rate, here or in the nodes, go on at once. */
void blk_let_pass(BlockBackend *blk);

/*
 * Fail what is in flight towards peers that nobody else uses: for when its
 * users are gone and the peer does not answer.
 */
void blk_give_up(BlockBackend *blk);

/* Wait until nothing of this backend is in flight. */
void coroutine_fn blk_co_wait_idle(BlockBackend *blk);
/*
 * Wait until nothing but flushes, which pass the gate, is in flight, or
 * -ECANCELED once *@cancelled, which blk_wake_idle_waiters() makes waiters
 * look at again.
 */
int coroutine_fn blk_co_wait_idle_unless(BlockBackend *blk,
                                         const bool *cancelled);
void blk_wake_idle_waiters(void);
unsigned blk_in_flight(const BlockBackend *blk);
/* The same without flushes. */
unsigned blk_changes_in_flight(const BlockBackend *blk);

/* Called when the node's length has changed. */
void blk_set_resize_cb(BlockBackend *blk, void (*cb)(void *opaque),
                       void *opaque);

BlockAcctStats *blk_stats(BlockBackend *blk);

/*
 * Throttling (block_set_io_throttle, throttling.* of -drive), implemented
 * elsewhere.  co_wait sleeps until the request may go on; it is called past
 * the gate, the request is in flight.  set_bypass(true) lets all sleepers and
 * all that come pass at once: while the backend is being drained or its gate
 * is closed, so that neither waits for a limit.
 */
typedef struct BlkThrottle BlkThrottle;
typedef struct BlkThrottleOps {
    void coroutine_fn (*co_wait)(BlkThrottle *throttle, int64_t bytes,
                                 bool is_write);
    void (*set_bypass)(BlkThrottle *throttle, bool bypass);
    /* The backend, idle, goes away: free. */
    void (*release)(BlkThrottle *throttle);
} BlkThrottleOps;

/*
 * NULLs remove it (without a release: who removes it frees it); the backend
 * is idle or drained.
 */
void blk_set_throttle(BlockBackend *blk, BlkThrottle *throttle,
                      const BlkThrottleOps *ops);
BlkThrottle *blk_get_throttle(BlockBackend *blk);

#endif
