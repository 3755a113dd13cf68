/*
 * Locks for coroutines of one AioContext
 *
 * A lock is handed over, not released: who unlocks makes the first waiter the
 * holder before it runs.  So nobody can slip in between, and a waiter need
 * not look again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/co-lock.h"

/* On the stack of the one who waits. */
struct CoWaiter {
    Coroutine *co;
    bool writer;                /* CoRwlock only */
    TAILQ_ENTRY(CoWaiter) link;
};

/* CoQueue */

void co_queue_init(CoQueue *queue)
{
    TAILQ_INIT(&queue->waiters);
}

static void coroutine_fn wait_in(CoQueue *queue, bool writer)
{
    CoWaiter w = { .co = coroutine_self(), .writer = writer };

    TAILQ_INSERT_TAIL(&queue->waiters, &w, link);
    coroutine_yield();
}

void coroutine_fn co_queue_wait(CoQueue *queue)
{
    wait_in(queue, false);
}

/*
 * Remove and wake the first waiter.  Outside of a coroutine it runs at once,
 * so that everything must be in order before the call.
 */
static Coroutine *wake_first(CoQueue *queue)
{
    CoWaiter *w = TAILQ_FIRST(&queue->waiters);
    Coroutine *co = w->co;

    TAILQ_REMOVE(&queue->waiters, w, link);
    aio_co_wake(co);
    return co;
}

bool co_queue_next(CoQueue *queue)
{
    if (co_queue_empty(queue)) {
        return false;
    }
    wake_first(queue);
    return true;
}

void co_queue_restart_all(CoQueue *queue)
{
    CoQueue now;

    /*
     * Those who are woken may wait again at once, and may free @queue; so
     * take the present ones away first.
     */
    co_queue_init(&now);
    TAILQ_CONCAT(&now.waiters, &queue->waiters, link);
    while (co_queue_next(&now)) {
        /* next */
    }
}

bool co_queue_empty(const CoQueue *queue)
{
    return TAILQ_EMPTY(&queue->waiters);
}

/* CoMutex */

void co_mutex_init(CoMutex *mutex)
{
    mutex->holder = NULL;
    co_queue_init(&mutex->queue);
}

void coroutine_fn co_mutex_lock(CoMutex *mutex)
{
    Coroutine *self = coroutine_self();

    g_assert(self && mutex->holder != self);
    if (!mutex->holder) {
        mutex->holder = self;
        return;
    }
    wait_in(&mutex->queue, false);
    g_assert(mutex->holder == self);
}

void coroutine_fn co_mutex_unlock(CoMutex *mutex)
{
    g_assert(mutex->holder == coroutine_self());

    if (co_queue_empty(&mutex->queue)) {
        mutex->holder = NULL;
    } else {
        mutex->holder = TAILQ_FIRST(&mutex->queue.waiters)->co;
        wake_first(&mutex->queue);
    }
}

/* CoRwlock */

void co_rwlock_init(CoRwlock *lock)
{
    lock->readers = 0;
    lock->writer = false;
    co_queue_init(&lock->queue);
}

void coroutine_fn co_rwlock_rdlock(CoRwlock *lock)
{
    if (lock->writer || !co_queue_empty(&lock->queue)) {
        wait_in(&lock->queue, false);
        return;
    }
    lock->readers++;
}

void coroutine_fn co_rwlock_wrlock(CoRwlock *lock)
{
    if (lock->writer || lock->readers > 0) {
        wait_in(&lock->queue, true);
        return;
    }
    lock->writer = true;
}

/* Hand the lock to the first writer, or to all readers in front of one. */
static void rwlock_hand_over(CoRwlock *lock)
{
    while (!lock->writer && !co_queue_empty(&lock->queue)) {
        bool writer = TAILQ_FIRST(&lock->queue.waiters)->writer;

        if (writer && lock->readers > 0) {
            return;
        }
        lock->writer = writer;
        lock->readers += !writer;
        wake_first(&lock->queue);
    }
}

void coroutine_fn co_rwlock_unlock(CoRwlock *lock)
{
    g_assert(coroutine_running());
    if (lock->writer) {
        lock->writer = false;
    } else {
        g_assert(lock->readers > 0);
        lock->readers--;
    }
    rwlock_hand_over(lock);
}
