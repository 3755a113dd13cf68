/*
 * Unit tests of timers and sleeping coroutines, on a virtual clock
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio.h"

#define N_TIMERS 200

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    int64_t fired_at;
    int count;
    CoSleep sleep;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->clock.now_ns = 1000;
    f->ctx = aio_context_new(&f->clock, NULL);
    f->fired_at = -1;
}

static void teardown(Fixture *f, gconstpointer data)
{
    aio_context_free(f->ctx);
}

static void fired(void *opaque)
{
    Fixture *f = opaque;

    f->fired_at = f->clock.now_ns;
    f->count++;
}

static void test_fires_when_due_and_once(Fixture *f, gconstpointer data)
{
    AioTimer timer;

    aio_timer_init(&timer, f->ctx, fired, f);
    aio_timer_mod(&timer, 1500);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, 1500);
    f->clock.now_ns = 1499;
    g_assert_false(aio_poll(f->ctx, true));
    g_assert_true(aio_timer_pending(&timer));
    f->clock.now_ns = 1500;
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpint(f->fired_at, ==, 1500);
    g_assert_false(aio_timer_pending(&timer));
    g_assert_false(aio_poll(f->ctx, true));
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_moved_timer_fires_at_the_new_time(Fixture *f,
                                                   gconstpointer data)
{
    AioTimer timer;

    aio_timer_init(&timer, f->ctx, fired, f);
    aio_timer_mod(&timer, 1500);
    aio_timer_mod(&timer, 3000);
    f->clock.now_ns = 2000;
    g_assert_false(aio_poll(f->ctx, false));
    aio_timer_mod(&timer, 1900);
    g_assert_true(aio_poll(f->ctx, false));
    g_assert_cmpint(f->count, ==, 1);
}

static void test_deleted_timer_does_not_fire(Fixture *f, gconstpointer data)
{
    AioTimer timer;

    aio_timer_init(&timer, f->ctx, fired, f);
    aio_timer_mod(&timer, 1500);
    aio_timer_del(&timer);
    aio_timer_del(&timer);
    f->clock.now_ns = 2000;
    g_assert_false(aio_poll(f->ctx, false));
}

static void test_random_order_is_sorted(Fixture *f, gconstpointer data)
{
    g_autofree AioTimer *timers = g_new0(AioTimer, N_TIMERS);
    int64_t last = 0;
    int left = 0;

    for (int i = 0; i < N_TIMERS; i++) {
        aio_timer_init(&timers[i], f->ctx, fired, f);
        aio_timer_mod(&timers[i], g_test_rand_int_range(1001, 2000));
    }
    for (int i = 0; i < N_TIMERS; i++) {
        if (i % 3 == 0) {
            aio_timer_del(&timers[i]);
        } else if (i % 3 == 1) {
            aio_timer_mod(&timers[i], g_test_rand_int_range(1001, 2000));
        }
        left += aio_timer_pending(&timers[i]);
    }
    while (aio_next_deadline_ns(f->ctx) >= 0) {
        g_assert_cmpint(aio_next_deadline_ns(f->ctx), >=, last);
        last = f->clock.now_ns = aio_next_deadline_ns(f->ctx);
        g_assert_true(aio_poll(f->ctx, false));
        g_assert_cmpint(f->fired_at, ==, last);
    }
    g_assert_cmpint(f->count, ==, left);
}

static AioTimer again;

static void fire_again(void *opaque)
{
    Fixture *f = opaque;

    fired(f);
    aio_timer_mod(&again, f->clock.now_ns);
}

static void test_rearming_for_now_does_not_hold_the_loop(Fixture *f,
                                                         gconstpointer data)
{
    aio_timer_init(&again, f->ctx, fire_again, f);
    aio_timer_mod(&again, 1000);
    aio_poll(f->ctx, true);
    g_assert_cmpint(f->count, ==, 1);
    aio_poll(f->ctx, true);
    g_assert_cmpint(f->count, ==, 2);
    aio_timer_del(&again);
}

static void coroutine_fn sleep_500(void *opaque)
{
    Fixture *f = opaque;

    co_sleep_ns_wakeable(&f->sleep, 500);
    fired(f);
}

static void test_sleep_ends_at_its_time(Fixture *f, gconstpointer data)
{
    coroutine_start(sleep_500, f);
    g_assert_false(aio_poll(f->ctx, false));
    f->clock.now_ns += 500;
    aio_poll(f->ctx, false);
    g_assert_cmpint(f->fired_at, ==, 1500);
}

static void test_sleep_is_cut_short(Fixture *f, gconstpointer data)
{
    coroutine_start(sleep_500, f);
    co_sleep_wake(&f->sleep);
    co_sleep_wake(&f->sleep);
    g_assert_cmpint(f->fired_at, ==, 1000);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_real_clock_waits_long_enough(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    Fixture f = { .ctx = ctx };
    int64_t start = aio_clock_get_ns(ctx);
    AioTimer timer;

    aio_timer_init(&timer, ctx, fired, &f);
    aio_timer_mod(&timer, start + 300 * SCALE_US);
    while (!f.count) {
        aio_poll(ctx, true);
    }
    g_assert_cmpint(aio_clock_get_ns(ctx), >=, start + 300 * SCALE_US);
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/timer/due", test_fires_when_due_and_once },
        { "/timer/moved", test_moved_timer_fires_at_the_new_time },
        { "/timer/deleted", test_deleted_timer_does_not_fire },
        { "/timer/random", test_random_order_is_sorted },
        { "/timer/rearmed", test_rearming_for_now_does_not_hold_the_loop },
        { "/sleep/full", test_sleep_ends_at_its_time },
        { "/sleep/woken", test_sleep_is_cut_short },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add_func("/timer/real", test_real_clock_waits_long_enough);
    return g_test_run();
}
