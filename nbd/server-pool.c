/*
 * NBD server: recycled memory for payload
 *
 * Buffers come in powers of two and go back to the top of a stack, so that
 * the next request finds memory that is mapped and in the cache.  While
 * there is anything to give back a timer looks whether it is still needed; an
 * idle server holds nothing and wakes up for nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#define NBD_BUFFER_ALIGN 4096
#define NBD_BUFFER_MIN_SHIFT 12
#define NBD_BUFFER_CLASSES 14           /* 4 KiB to 32 MiB */

/* As much as sixteen requests of 1 MiB in flight need. */
#define NBD_POOL_MAX_CACHED (16 * MiB)

#define NBD_POOL_IDLE_NS (2 * NANOSECONDS_PER_SECOND)

typedef struct NBDFreeBuffer {
    struct NBDFreeBuffer *next;
} NBDFreeBuffer;

struct NBDPool {
    AioContext *ctx;
    NBDFreeBuffer *free[NBD_BUFFER_CLASSES];
    size_t cached;              /* bytes on the stacks */
    size_t low_cached;          /* the least of it since the last look */
    NBDPipePool pipes;
    LIST_HEAD(, NBDPoolUser) users;
    AioTimer timer;
};

static unsigned buffer_class(size_t bytes)
{
    unsigned shift = NBD_BUFFER_MIN_SHIFT;

    if (bytes > (size_t)1 << shift) {
        shift = g_bit_storage(bytes - 1);
    }
    g_assert(shift - NBD_BUFFER_MIN_SHIFT < NBD_BUFFER_CLASSES);
    return shift - NBD_BUFFER_MIN_SHIFT;
}

static size_t class_bytes(unsigned cls)
{
    return (size_t)1 << (cls + NBD_BUFFER_MIN_SHIFT);
}

void nbd_pool_warm(NBDPool *pool)
{
    if (!aio_timer_pending(&pool->timer)) {
        pool->low_cached = pool->cached;
        aio_timer_mod(&pool->timer,
                      aio_clock_get_ns(pool->ctx) + NBD_POOL_IDLE_NS);
    }
}

void *nbd_buffer_new(NBDPool *pool, size_t bytes)
{
    unsigned cls = buffer_class(bytes);
    NBDFreeBuffer *buf = pool->free[cls];
    void *p;

    if (buf) {
        pool->free[cls] = buf->next;
        pool->cached -= class_bytes(cls);
        pool->low_cached = MIN(pool->low_cached, pool->cached);
        return buf;
    }
    if (posix_memalign(&p, NBD_BUFFER_ALIGN, class_bytes(cls)) != 0) {
        g_error("out of memory: %zu bytes of NBD payload", bytes);
    }
    return p;
}

void nbd_buffer_free(NBDPool *pool, void *p, size_t bytes)
{
    unsigned cls = buffer_class(bytes);
    NBDFreeBuffer *buf = p;

    if (pool->cached + class_bytes(cls) > NBD_POOL_MAX_CACHED) {
        free(p);
        return;
    }
    buf->next = pool->free[cls];
    pool->free[cls] = buf;
    pool->cached += class_bytes(cls);
    nbd_pool_warm(pool);
}

/* Free at least @bytes of the cache, the biggest buffers first. */
static void nbd_pool_shrink(NBDPool *pool, size_t bytes)
{
    size_t target = pool->cached - MIN(bytes, pool->cached);
    int cls;

    for (cls = NBD_BUFFER_CLASSES - 1; cls >= 0; cls--) {
        while (pool->cached > target && pool->free[cls]) {
            NBDFreeBuffer *buf = pool->free[cls];

            pool->free[cls] = buf->next;
            pool->cached -= class_bytes(cls);
            free(buf);
        }
    }
}

NBDPipePool *nbd_pool_pipes(NBDPool *pool)
{
    return &pool->pipes;
}

/* What lay unused since the last look is not needed. */
static void nbd_pool_timer(void *opaque)
{
    NBDPool *pool = opaque;
    NBDPoolUser *user;
    bool more = nbd_pipe_pool_trim(&pool->pipes);

    LIST_FOREACH(user, &pool->users, next) {
        more |= user->trim(user);
    }
    nbd_pool_shrink(pool, pool->low_cached);
    if (more || pool->cached > 0) {
        nbd_pool_warm(pool);
    }
}

void nbd_pool_add_user(NBDPool *pool, NBDPoolUser *user)
{
    LIST_INSERT_HEAD(&pool->users, user, next);
}

void nbd_pool_remove_user(NBDPoolUser *user)
{
    LIST_REMOVE(user, next);
}

static void nbd_pool_init(AioContext *ctx, void *data)
{
    NBDPool *pool = data;

    pool->ctx = ctx;
    LIST_INIT(&pool->users);
    nbd_pipe_pool_init(&pool->pipes);
    aio_timer_init(&pool->timer, ctx, nbd_pool_timer, pool);
}

static void nbd_pool_fini(AioContext *ctx, void *data)
{
    NBDPool *pool = data;

    nbd_pool_shrink(pool, pool->cached);
    nbd_pipe_pool_destroy(&pool->pipes);
    aio_timer_del(&pool->timer);
}

static const AioLocal nbd_pool_key = {
    .size = sizeof(NBDPool),
    .init = nbd_pool_init,
    .fini = nbd_pool_fini,
};

NBDPool *nbd_pool_get(AioContext *ctx)
{
    return aio_local_get(ctx, &nbd_pool_key);
}
