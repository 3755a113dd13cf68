/*
 * Locks for coroutines of one AioContext
 *
 * They order coroutines, not threads: between two yields a coroutine has its
 * context to itself.  Waiters are served first come, first served.  None
 * allocates memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_CO_LOCK_H
#define UTIL_CO_LOCK_H

#include "util/coroutine.h"
#include "util/queue.h"

typedef struct CoWaiter CoWaiter;

/* A queue of coroutines that wait for a condition. */
typedef struct CoQueue {
    TAILQ_HEAD(, CoWaiter) waiters;
} CoQueue;

void co_queue_init(CoQueue *queue);

/* Sleep until woken.  Check the condition again in a loop. */
void coroutine_fn co_queue_wait(CoQueue *queue);

/*
 * Wake the first or all of the coroutines that wait now.  They run when the
 * caller yields or returns to the loop, in the order in which they came.
 * Callable from outside of coroutines.  co_queue_next returns whether there
 * was one.
 */
bool co_queue_next(CoQueue *queue);
void co_queue_restart_all(CoQueue *queue);
bool co_queue_empty(const CoQueue *queue);

typedef struct CoMutex {
    Coroutine *holder;
    CoQueue queue;
} CoMutex;

void co_mutex_init(CoMutex *mutex);
void coroutine_fn co_mutex_lock(CoMutex *mutex);
void coroutine_fn co_mutex_unlock(CoMutex *mutex);
static inline bool co_mutex_is_held(const CoMutex *mutex)
{
    return mutex->holder != NULL;
}

/* Many readers or one writer; nobody overtakes a waiting writer. */
typedef struct CoRwlock {
    unsigned readers;
    bool writer;
    CoQueue queue;
} CoRwlock;

void co_rwlock_init(CoRwlock *lock);
void coroutine_fn co_rwlock_rdlock(CoRwlock *lock);
void coroutine_fn co_rwlock_wrlock(CoRwlock *lock);
void coroutine_fn co_rwlock_unlock(CoRwlock *lock);

/*
 * CO_MUTEX_GUARD(&s->lock); holds it until the end of the block.  Declare
 * what is freed under g_auto* before the guard: it is then freed after.
 */
static inline CoMutex *coroutine_fn co_mutex_guard_lock(CoMutex *mutex)
{
    co_mutex_lock(mutex);
    return mutex;
}
static inline void co_mutex_guard_unlock(CoMutex **mutex)
{
    co_mutex_unlock(*mutex);
}
#define CO_MUTEX_GUARD(m)                                               \
    CoMutex *G_PASTE(co_guard_, __LINE__)                               \
        __attribute__((cleanup(co_mutex_guard_unlock), unused)) =       \
        co_mutex_guard_lock(m)

#endif
