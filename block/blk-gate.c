/*
 * The gate of a BlockBackend
 *
 * A request that may not pass waits here: it is not in flight, so drains do
 * not wait for it, and its owner can take it back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/block-backend-int.h"

bool blk_gate_is_closed(const BlockBackend *blk)
{
    return blk->gate_counter > 0;
}

static bool must_wait(const BlockBackend *blk, bool flush)
{
    return blk->quiesce_counter || (blk_gate_is_closed(blk) && !flush);
}

static bool guests_must_wait(const BlockBackend *blk)
{
    return blk->guest_gate_counter > 0 || must_wait(blk, false);
}

/* Woken waiters look again by themselves, in the order in which they came. */
static void wake_all(BlockBackend *blk)
{
    BlkWaiter *waiter, *next;

    TAILQ_FOREACH_SAFE(waiter, &blk->waiters, link, next) {
        if (waiter->co) {
            aio_co_schedule(g_steal_pointer(&waiter->co));
        }
    }
}

void blk_gate_update(BlockBackend *blk)
{
    if (blk->throttle) {
        blk->throttle_ops->set_bypass(blk->throttle, guests_must_wait(blk));
    }
    if (!blk->quiesce_counter) {
        wake_all(blk);
    }
}

void blk_gate_close(BlockBackend *blk)
{
    blk->gate_counter++;
    blk_gate_update(blk);
}

void blk_gate_open(BlockBackend *blk)
{
    g_assert(blk->gate_counter > 0);
    blk->gate_counter--;
    blk_gate_update(blk);
}

void blk_guest_gate_close(BlockBackend *blk)
{
    blk->guest_gate_counter++;
    blk_gate_update(blk);
}

void blk_guest_gate_open(BlockBackend *blk)
{
    g_assert(blk->guest_gate_counter > 0);
    blk->guest_gate_counter--;
    blk_gate_update(blk);
}

/* @owner: of a client who asks before it makes a request; else NULL. */
static int coroutine_fn wait_to_pass(BlockBackend *blk, const void *owner,
                                     bool flush)
{
    BlkWaiter waiter = { .owner = owner };

    TAILQ_INSERT_TAIL(&blk->waiters, &waiter, link);
    while ((owner ? guests_must_wait(blk) : must_wait(blk, flush)) &&
           !waiter.cancelled) {
        waiter.co = coroutine_self();
        coroutine_yield();
    }
    TAILQ_REMOVE(&blk->waiters, &waiter, link);
    return waiter.cancelled ? -ECANCELED : 0;
}

int coroutine_fn blk_co_wait_gate(BlockBackend *blk, const void *owner)
{
    if (G_LIKELY(!guests_must_wait(blk))) {
        return 0;
    }
    return owner ? wait_to_pass(blk, owner, false) : -ECANCELED;
}

void blk_cancel_waiting(BlockBackend *blk, const void *owner)
{
    BlkWaiter *waiter;

    TAILQ_FOREACH(waiter, &blk->waiters, link) {
        if (waiter->owner == owner && !waiter->cancelled) {
            waiter->cancelled = true;
            if (waiter->co) {
                aio_co_schedule(g_steal_pointer(&waiter->co));
            }
        }
    }
}

int coroutine_fn blk_co_enter(BlockBackend *blk, bool flush)
{
    if (G_UNLIKELY(must_wait(blk, flush))) {
        wait_to_pass(blk, NULL, flush);
    }
    if (G_UNLIKELY(!blk->root->bs)) {
        return -ENOMEDIUM;
    }
    blk->in_flight++;
    return 0;
}

void blk_leave(BlockBackend *blk)
{
    if (--blk->in_flight == blk->flushes) {
        block_graph_became_idle(blk->graph);
    }
}

void blk_let_pass(BlockBackend *blk)
{
    if (blk->throttle) {
        blk->throttle_ops->set_bypass(blk->throttle, true);
        blk->throttle_ops->set_bypass(blk->throttle, guests_must_wait(blk));
    }
    if (blk->root->bs) {
        bdrv_let_pass(blk->root->bs);
    }
}

void coroutine_fn blk_co_wait_idle(BlockBackend *blk)
{
    while (blk->in_flight) {
        co_queue_wait(&blk->graph->idle_waiters);
    }
}

unsigned blk_changes_in_flight(const BlockBackend *blk)
{
    return blk->in_flight - blk->flushes;
}

int coroutine_fn blk_co_wait_idle_unless(BlockBackend *blk,
                                         const bool *cancelled)
{
    while (blk_changes_in_flight(blk) && !*cancelled) {
        co_queue_wait(&blk->graph->idle_waiters);
    }
    return *cancelled ? -ECANCELED : 0;
}

void blk_wake_idle_waiters(void)
{
    block_graph_became_idle(block_graph());
}

unsigned blk_in_flight(const BlockBackend *blk)
{
    return blk->in_flight;
}

void blk_set_throttle(BlockBackend *blk, BlkThrottle *throttle,
                      const BlkThrottleOps *ops)
{
    blk->throttle = throttle;
    blk->throttle_ops = ops;
    if (throttle && guests_must_wait(blk)) {
        ops->set_bypass(throttle, true);
    }
}

BlkThrottle *blk_get_throttle(BlockBackend *blk)
{
    return blk->throttle;
}
