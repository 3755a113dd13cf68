/*
 * Stackful coroutines
 *
 * Creation, entering and yielding, the per-thread pool of stacks.  The switch
 * itself is in coroutine-x86_64.S or coroutine-ucontext.c.
 *
 * A coroutine that is woken from inside another one is not entered there:
 * stacks of stacks would grow without bound.  It is put on the list of the
 * running one and entered by whoever entered that, once it yields or ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/coroutine.h"

#include <pthread.h>
#include <sys/mman.h>

#include "util/coroutine-int.h"

#ifdef CONFIG_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CONFIG_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

/*
 * Address space, not memory: pages appear when they are touched.  ASan puts
 * red zones around every variable, hence its frames are far bigger.
 */
#ifdef CONFIG_ASAN
#define STACK_SIZE (1024 * KiB)
#else
#define STACK_SIZE (256 * KiB)
#endif

/*
 * As many requests as a busy server has in flight on one thread: a primary
 * with a full window has a few for each request in it.  A stack that does not
 * fit costs several system calls and page faults.
 */
#define POOL_MAX 1024

/*
 * Structures at the same address modulo the page size would compete for the
 * same lines of the first level cache, so spread them.
 */
#define COLOUR_STEP 192
#define COLOUR_COUNT 16

typedef struct CoroutineThread {
    Coroutine *current;         /* NULL: outside */
    Coroutine outside;
    Coroutine *pool;
    unsigned pool_size;
    unsigned alive;
    unsigned colour;
    bool cleanup_registered;
} CoroutineThread;

static __thread CoroutineThread this_thread;
static pthread_key_t cleanup_key;
static pthread_once_t cleanup_once = PTHREAD_ONCE_INIT;

/* Stacks */

static Coroutine *stack_new(CoroutineThread *t)
{
    size_t guard = sysconf(_SC_PAGESIZE);
    size_t size = guard + STACK_SIZE;
    size_t colour = t->colour++ % COLOUR_COUNT * COLOUR_STEP;
    size_t head = ROUND_UP(sizeof(Coroutine), 64) + colour;
    char *p;
    Coroutine *co;

    p = mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, guard, PROT_NONE) < 0) {
        g_error("cannot allocate a coroutine stack of %zu bytes: %s", size,
                g_strerror(errno));
    }

    co = (Coroutine *)(p + size - head);
    co->mapping = p;
    co->stack = p + guard;
    co->stack_size = (char *)co - (p + guard);
    co->woken.end = &co->woken.first;
#ifdef CONFIG_VALGRIND_H
    co->valgrind_id = VALGRIND_STACK_REGISTER(co->stack, co);
#endif
    return co;
}

static void stack_free(Coroutine *co)
{
    void *mapping = co->mapping;

#ifdef CONFIG_VALGRIND_H
    VALGRIND_STACK_DEREGISTER(co->valgrind_id);
#endif
#ifdef CONFIG_ASAN
    ASAN_UNPOISON_MEMORY_REGION(co->stack, co->stack_size);
#endif
    munmap(mapping, sysconf(_SC_PAGESIZE) + STACK_SIZE);
}

static void pool_drain(void *opaque)
{
    CoroutineThread *t = opaque;

    while (t->pool) {
        Coroutine *co = t->pool;

        t->pool = co->next;
        stack_free(co);
    }
    t->pool_size = 0;
}

static void cleanup_key_create(void)
{
    if (pthread_key_create(&cleanup_key, pool_drain) != 0) {
        g_error("cannot create a key for thread local data");
    }
}

static Coroutine *pool_get(CoroutineThread *t)
{
    Coroutine *co = t->pool;

    if (G_UNLIKELY(!co)) {
        return stack_new(t);
    }
    t->pool = co->next;
    t->pool_size--;
    co->next = NULL;
#ifdef CONFIG_ASAN
    /* The frames of the last life never returned. */
    ASAN_UNPOISON_MEMORY_REGION(co->stack, co->stack_size);
    co->prepared = false;
#endif
    return co;
}

static void pool_put(CoroutineThread *t, Coroutine *co)
{
    if (t->pool_size >= POOL_MAX) {
        stack_free(co);
        return;
    }
    if (G_UNLIKELY(!t->cleanup_registered)) {
        pthread_once(&cleanup_once, cleanup_key_create);
        pthread_setspecific(cleanup_key, t);
        t->cleanup_registered = true;
    }
    co->next = t->pool;
    t->pool = co;
    t->pool_size++;
}

/* Switching */

#ifdef CONFIG_ASAN
static void sanitizer_start_switch(Coroutine *from, Coroutine *to)
{
    __sanitizer_start_switch_fiber(from->ended ? NULL : &from->fake_stack,
                                   to->stack, to->stack_size);
}

/* @from is the coroutine that is running again. */
static void sanitizer_finish_switch(Coroutine *from)
{
    const void *bottom;
    size_t size;

    __sanitizer_finish_switch_fiber(from ? from->fake_stack : NULL, &bottom,
                                    &size);
    if (!this_thread.outside.stack) {
        /* The first switch of a thread: this is where it came from. */
        this_thread.outside.stack = (void *)bottom;
        this_thread.outside.stack_size = size;
    }
}
#else
static inline void sanitizer_start_switch(Coroutine *from, Coroutine *to)
{
}

static inline void sanitizer_finish_switch(Coroutine *from)
{
}
#endif

static inline void switch_to(Coroutine *from, Coroutine *to)
{
    sanitizer_start_switch(from, to);
    coroutine_arch_switch(from, to);
    sanitizer_finish_switch(from);
}

/* Only ever in the thread of @co, so its thread-local data is this thread's. */
static void coroutine_leave(Coroutine *co)
{
    Coroutine *to = co->caller;

    if (G_UNLIKELY(!to)) {
        g_error("coroutine %p is yielding but nobody entered it", (void *)co);
    }
    co->caller = NULL;
    this_thread.current = to == &this_thread.outside ? NULL : to;
    switch_to(co, to);
}

void coroutine_trampoline(Coroutine *co)
{
    sanitizer_finish_switch(NULL);
    for (;;) {
        co->entry(co->opaque);
        co->ended = true;
        coroutine_leave(co);
    }
}

static void coroutine_run(CoroutineThread *t, Coroutine *from, Coroutine *to)
{
    if (G_UNLIKELY(to->caller)) {
        g_error("coroutine %p entered while it is running", (void *)to);
    }
    if (G_UNLIKELY(to->ended)) {
        g_error("coroutine %p entered after it ended", (void *)to);
    }
    to->caller = from;
    t->current = to;
    switch_to(from, to);
}

void coroutine_enter(Coroutine *co)
{
    CoroutineThread *t = &this_thread;
    Coroutine *from = t->current ?: &t->outside;
    Coroutine *todo = co;

    if (G_UNLIKELY(__atomic_load_n(&co->scheduled, __ATOMIC_RELAXED))) {
        g_error("coroutine %p entered while it is scheduled", (void *)co);
    }
    if (G_UNLIKELY(co->queued)) {
        g_error("coroutine %p entered after it was woken", (void *)co);
    }

    while ((co = todo)) {
        todo = co->next;
        co->next = NULL;
        co->queued = false;

        coroutine_run(t, from, co);

        /* Those that it woke go first: their work is warm in the cache. */
        if (co->woken.first) {
            *co->woken.end = todo;
            todo = co->woken.first;
            co->woken.first = NULL;
            co->woken.end = &co->woken.first;
        }
        if (co->ended) {
            t->alive--;
            pool_put(t, co);
        }
    }
}

void coroutine_fn coroutine_yield(void)
{
    Coroutine *self = this_thread.current;

    g_assert(self);
    coroutine_leave(self);
}

/* Creation and waking */

Coroutine *coroutine_create(CoroutineEntry *entry, void *opaque)
{
    CoroutineThread *t = &this_thread;
    Coroutine *co = pool_get(t);

    co->entry = entry;
    co->opaque = opaque;
    co->ctx = aio_get_current();
    co->ended = false;
    if (!co->prepared) {
        coroutine_arch_prepare(co);
        co->prepared = true;
    }
    t->alive++;
    return co;
}

void coroutine_start(CoroutineEntry *entry, void *opaque)
{
    coroutine_enter(coroutine_create(entry, opaque));
}

Coroutine *coroutine_self(void)
{
    return this_thread.current;
}

unsigned coroutine_count(void)
{
    return this_thread.alive;
}

static void scheduled_bh(void *opaque)
{
    Coroutine *co = opaque;

    __atomic_store_n(&co->scheduled, false, __ATOMIC_RELAXED);
    coroutine_enter(co);
}

void aio_co_schedule(Coroutine *co)
{
    if (__atomic_exchange_n(&co->scheduled, true, __ATOMIC_RELAXED)) {
        g_error("coroutine %p is already scheduled", (void *)co);
    }
    g_assert(co->ctx);
    aio_bh_init(&co->bh, scheduled_bh, co);
    aio_bh_push(co->ctx, &co->bh);
}

void aio_co_wake(Coroutine *co)
{
    Coroutine *self = this_thread.current;

    if (co->ctx != aio_get_current()) {
        aio_co_schedule(co);
    } else if (self) {
        if (G_UNLIKELY(co->queued)) {
            g_error("coroutine %p woken twice", (void *)co);
        }
        co->queued = true;
        *self->woken.end = co;
        self->woken.end = &co->next;
    } else {
        coroutine_enter(co);
    }
}

void coroutine_fn co_reschedule_self(void)
{
    aio_co_schedule(coroutine_self());
    coroutine_yield();
}
