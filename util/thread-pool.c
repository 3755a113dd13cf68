/*
 * Worker threads for calls that block
 *
 * One queue, a condition that idle workers sleep on, and as many workers as
 * there is work, up to a limit.  A worker without work for some seconds ends.
 * Results go back as bottom halves of the context that submitted; the request
 * is embedded there, so nothing is allocated for a coroutine's call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/thread-pool.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "util/aio-int.h"

/* What a disk can have in flight matters here, not the number of CPUs. */
#define MAX_WORKERS 64
#define IDLE_SECONDS 10

typedef struct PoolRequest {
    ThreadPoolFunc *func;
    void *opaque;
    AioContext *ctx;
    int ret;
    AioBH bh;
    STAILQ_ENTRY(PoolRequest) link;
} PoolRequest;

typedef struct Worker {
    pthread_t thread;
    bool busy;
    LIST_ENTRY(Worker) link;
} Worker;

/* Everything is protected by @lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool initialised;
    bool stopping;
    STAILQ_HEAD(, PoolRequest) queue;
    LIST_HEAD(, Worker) workers;
    unsigned queued;
    unsigned count;
    unsigned idle;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Workers */

/* The next request; NULL when the worker has to end.  Called locked. */
static PoolRequest *next_request(void)
{
    PoolRequest *req;
    struct timespec until;
    int ret = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;

    while (STAILQ_EMPTY(&pool.queue)) {
        if (pool.stopping || ret == ETIMEDOUT) {
            return NULL;
        }
        pool.idle++;
        ret = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
        pool.idle--;
    }
    req = STAILQ_FIRST(&pool.queue);
    STAILQ_REMOVE_HEAD(&pool.queue, link);
    pool.queued--;
    return req;
}

static void run_request(PoolRequest *req)
{
    AioContext *ctx = req->ctx;

    req->ret = req->func(req->opaque);
    aio_bh_push(ctx, &req->bh);
    __atomic_fetch_sub(&ctx->async_users, 1, __ATOMIC_RELEASE);
}

static void *worker_main(void *opaque)
{
    Worker *w = opaque;
    PoolRequest *req;

    pthread_mutex_lock(&pool.lock);
    while ((req = next_request())) {
        w->busy = true;
        pthread_mutex_unlock(&pool.lock);
        run_request(req);
        pthread_mutex_lock(&pool.lock);
        w->busy = false;
    }
    pool.count--;
    if (!pool.stopping) {
        /* Nobody will join it. */
        LIST_REMOVE(w, link);
        pthread_detach(w->thread);
        g_free(w);
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* Called locked.  Signals are the main thread's business. */
static void spawn_worker(void)
{
    Worker *w = g_new0(Worker, 1);
    sigset_t all, old;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (ret != 0) {
        g_free(w);
        if (pool.count == 0) {
            g_error("cannot create a worker thread: %s", g_strerror(ret));
        }
        return;
    }
    pool.count++;
    LIST_INSERT_HEAD(&pool.workers, w, link);
}

static void pool_init(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool.work, &attr);
    pthread_condattr_destroy(&attr);
    STAILQ_INIT(&pool.queue);
    LIST_INIT(&pool.workers);
    pool.initialised = true;
}

/*
 * At exit: end the idle workers, so that leak checkers see none of their
 * memory.  One that hangs in a system call cannot be waited for.
 */
static void __attribute__((destructor)) pool_stop(void)
{
    Worker *w, *next;

    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    if (pool.initialised) {
        pthread_cond_broadcast(&pool.work);
        LIST_FOREACH_SAFE(w, &pool.workers, link, next) {
            if (!w->busy) {
                LIST_REMOVE(w, link);
                pthread_mutex_unlock(&pool.lock);
                pthread_join(w->thread, NULL);
                g_free(w);
                pthread_mutex_lock(&pool.lock);
            }
        }
    }
    pthread_mutex_unlock(&pool.lock);
}

/* Submission */

static void pool_submit(PoolRequest *req, ThreadPoolFunc *func, void *opaque,
                        AioHandler *done, void *done_opaque)
{
    req->func = func;
    req->opaque = opaque;
    req->ctx = aio_get_current();
    req->ret = 0;
    aio_bh_init(&req->bh, done, done_opaque);
    req->ctx->async_pending++;
    __atomic_fetch_add(&req->ctx->async_users, 1, __ATOMIC_RELAXED);

    pthread_mutex_lock(&pool.lock);
    if (!pool.initialised) {
        pool_init();
    }
    STAILQ_INSERT_TAIL(&pool.queue, req, link);
    pool.queued++;
    if (pool.idle >= pool.queued) {
        pthread_cond_signal(&pool.work);
    } else if (pool.count < MAX_WORKERS) {
        spawn_worker();
    }
    pthread_mutex_unlock(&pool.lock);
}

typedef struct CoRequest {
    PoolRequest req;
    Coroutine *co;
} CoRequest;

static void co_done(void *opaque)
{
    CoRequest *r = opaque;

    r->req.ctx->async_pending--;
    aio_co_wake(r->co);
}

int coroutine_fn thread_pool_submit_co(ThreadPoolFunc *func, void *opaque)
{
    CoRequest r = { .co = coroutine_self() };

    pool_submit(&r.req, func, opaque, co_done, &r);
    coroutine_yield();
    return r.req.ret;
}

typedef struct CallbackRequest {
    PoolRequest req;
    void (*done)(void *opaque, int ret);
} CallbackRequest;

static void callback_done(void *opaque)
{
    CallbackRequest *r = opaque;

    r->req.ctx->async_pending--;
    r->done(r->req.opaque, r->req.ret);
    g_free(r);
}

void thread_pool_submit(ThreadPoolFunc *func, void *opaque,
                        void (*done)(void *opaque, int ret))
{
    CallbackRequest *r = g_new(CallbackRequest, 1);

    r->done = done;
    pool_submit(&r->req, func, opaque, callback_done, r);
}
