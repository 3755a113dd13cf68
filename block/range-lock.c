/*
 * Shared and exclusive locks on byte ranges
 *
 * Every hold has a ticket.  A hold waits only for holds with a smaller
 * ticket, so the waits-for relation has no cycle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/range-lock.h"

static RangeLockHold *find_earlier_conflict(RangeLock *lock,
                                            RangeLockHold *self)
{
    int64_t start = self->range.start;
    int64_t last = self->range.last;
    IntervalTreeNode *node;

    for (node = interval_tree_iter_first(&lock->ranges, start, last); node;
         node = interval_tree_iter_next(node, start, last)) {
        RangeLockHold *hold = container_of(node, RangeLockHold, range);

        if (hold->ticket < self->ticket &&
            (hold->exclusive || self->exclusive)) {
            return hold;
        }
    }
    return NULL;
}

void range_lock_init(RangeLock *lock)
{
    *lock = (RangeLock) { 0 };
}

void coroutine_fn range_lock_co_lock(RangeLock *lock, RangeLockHold *hold,
                                     int64_t offset, int64_t bytes,
                                     bool exclusive)
{
    RangeLockHold *earlier;

    hold->range.start = offset;
    hold->range.last = offset + bytes - 1;
    hold->exclusive = exclusive;
    hold->ticket = lock->next_ticket++;
    co_queue_init(&hold->waiters);
    interval_tree_insert(&lock->ranges, &hold->range);

    while ((earlier = find_earlier_conflict(lock, hold))) {
        co_queue_wait(&earlier->waiters);
    }
}

static RangeLockHold *find_older(RangeLock *lock, uint64_t ticket)
{
    IntervalTreeNode *node;

    for (node = interval_tree_iter_first(&lock->ranges, 0, INT64_MAX); node;
         node = interval_tree_iter_next(node, 0, INT64_MAX)) {
        RangeLockHold *hold = container_of(node, RangeLockHold, range);

        if (hold->ticket < ticket) {
            return hold;
        }
    }
    return NULL;
}

void coroutine_fn range_lock_co_settle(RangeLock *lock)
{
    uint64_t ticket = lock->next_ticket;
    RangeLockHold *hold;

    while ((hold = find_older(lock, ticket))) {
        co_queue_wait(&hold->waiters);
    }
}

void range_lock_unlock(RangeLock *lock, RangeLockHold *hold)
{
    interval_tree_remove(&lock->ranges, &hold->range);
    co_queue_restart_all(&hold->waiters);
}
