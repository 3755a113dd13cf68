/*
 * Shared and exclusive locks on byte ranges
 *
 * For coroutines of one AioContext.  First come, first served: a request
 * waits for every earlier overlapping one that it cannot share with, granted
 * or not, so nobody starves and the order of arrival is the order of effect.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_RANGE_LOCK_H
#define BLOCK_RANGE_LOCK_H

#include "util/co-lock.h"
#include "util/interval-tree.h"

typedef struct RangeLock {
    IntervalTree ranges;
    uint64_t next_ticket;
} RangeLock;

/* One holder or waiter; lives on its coroutine's stack. */
typedef struct RangeLockHold {
    IntervalTreeNode range;
    bool exclusive;
    uint64_t ticket;
    CoQueue waiters;
} RangeLockHold;

void range_lock_init(RangeLock *lock);

/* Lock [@offset, @offset + @bytes), @bytes > 0. */
void coroutine_fn range_lock_co_lock(RangeLock *lock, RangeLockHold *hold,
                                     int64_t offset, int64_t bytes,
                                     bool exclusive);
void range_lock_unlock(RangeLock *lock, RangeLockHold *hold);

/*
 * Wait until all who hold or wait for any range now are gone.  Nobody waits
 * for this: later ones come and go meanwhile.
 */
void coroutine_fn range_lock_co_settle(RangeLock *lock);

#endif
