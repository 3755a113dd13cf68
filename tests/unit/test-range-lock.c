/*
 * Range locks: sharing, exclusion, order of arrival
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/range-lock.h"

#include "util/aio.h"

typedef struct Holder {
    RangeLock *lock;
    int64_t offset, bytes;
    bool exclusive;
    bool locked, release;
    Coroutine *co;
} Holder;

static void coroutine_fn holder_entry(void *opaque)
{
    Holder *h = opaque;
    RangeLockHold hold;

    range_lock_co_lock(h->lock, &hold, h->offset, h->bytes, h->exclusive);
    h->locked = true;
    h->co = coroutine_self();
    if (!h->release) {
        coroutine_yield();
    }
    range_lock_unlock(h->lock, &hold);
    h->co = NULL;
}

static void settle(AioContext *ctx)
{
    while (aio_poll(ctx, false)) {
        /* until nothing happens */
    }
}

static void start(AioContext *ctx, RangeLock *lock, Holder *h, int64_t offset,
                  int64_t bytes, bool exclusive)
{
    *h = (Holder) {
        .lock = lock, .offset = offset, .bytes = bytes,
        .exclusive = exclusive,
    };
    coroutine_start(holder_entry, h);
    settle(ctx);
}

static void release(AioContext *ctx, Holder *h)
{
    g_assert_true(h->locked);
    aio_co_wake(h->co);
    settle(ctx);
}

static void test_readers_share(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    RangeLock lock;
    Holder a, b, w;

    range_lock_init(&lock);
    start(ctx, &lock, &a, 0, 100, false);
    start(ctx, &lock, &b, 50, 100, false);
    start(ctx, &lock, &w, 99, 1, true);
    g_assert_true(a.locked && b.locked);
    g_assert_false(w.locked);
    release(ctx, &a);
    g_assert_false(w.locked);
    release(ctx, &b);
    g_assert_true(w.locked);
    release(ctx, &w);
    g_assert_true(interval_tree_is_empty(&lock.ranges));
    aio_context_free(ctx);
}

static void test_nobody_overtakes_a_waiting_writer(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    RangeLock lock;
    Holder r, w, late, elsewhere;

    range_lock_init(&lock);
    start(ctx, &lock, &r, 0, 10, false);
    start(ctx, &lock, &w, 5, 10, true);
    start(ctx, &lock, &late, 12, 2, false);
    start(ctx, &lock, &elsewhere, 15, 5, true);
    g_assert_false(w.locked || late.locked);
    g_assert_true(elsewhere.locked);
    release(ctx, &r);
    g_assert_true(w.locked);
    g_assert_false(late.locked);
    release(ctx, &w);
    g_assert_true(late.locked);
    release(ctx, &late);
    release(ctx, &elsewhere);
    aio_context_free(ctx);
}

typedef struct Settler {
    RangeLock *lock;
    bool settled;
} Settler;

static void coroutine_fn settler_entry(void *opaque)
{
    Settler *s = opaque;

    range_lock_co_settle(s->lock);
    s->settled = true;
}

static void test_settling_holds_nobody_up(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    RangeLock lock;
    Holder r, w, late, elsewhere;
    Settler settler = { .lock = &lock };

    range_lock_init(&lock);
    start(ctx, &lock, &r, 0, 10, false);
    start(ctx, &lock, &w, 5, 10, true);
    coroutine_start(settler_entry, &settler);
    start(ctx, &lock, &elsewhere, 20, 10, true);
    start(ctx, &lock, &late, 0, 5, false);
    g_assert_true(elsewhere.locked && late.locked);
    release(ctx, &r);
    /* Who waited then is waited for, too. */
    g_assert_true(w.locked);
    g_assert_false(settler.settled);
    release(ctx, &w);
    g_assert_true(settler.settled);
    release(ctx, &late);
    release(ctx, &elsewhere);
    aio_context_free(ctx);
}

static void test_nothing_to_settle(void)
{
    RangeLock lock;
    Settler settler = { .lock = &lock };
    AioContext *ctx = aio_context_new(NULL, NULL);

    range_lock_init(&lock);
    coroutine_start(settler_entry, &settler);
    g_assert_true(settler.settled);
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/range-lock/share", test_readers_share);
    g_test_add_func("/range-lock/order",
                    test_nobody_overtakes_a_waiting_writer);
    g_test_add_func("/range-lock/settle", test_settling_holds_nobody_up);
    g_test_add_func("/range-lock/settle-nothing", test_nothing_to_settle);
    return g_test_run();
}
