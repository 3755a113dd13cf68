/*
 * util/aio-poll.c: how the loop waits
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

/* As after many short waits. */
static void poll_gladly(AioContext *ctx)
{
    for (int i = 0; i < 100; i++) {
        aio_spin_account(&ctx->spin, 1);
    }
}

static void test_zero_turns_it_off(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);

    aio_context_set_poll_max_ns(ctx, 0);
    poll_gladly(ctx);
    g_assert_cmpint(aio_spin_window(&ctx->spin, 0), ==, 0);
    aio_context_free(ctx);
}

/* Naps are for a loop that nobody waits for. */

static void nothing(void *opaque)
{
}

static bool naps(AioContext *ctx)
{
    poll_gladly(ctx);
    ctx->nap.retry_ns = 0;
    ctx->nap.open = false;
    aio_poll(ctx, true);
    return ctx->nap.open;
}

/* A machine that is busy elsewhere may take longer than the timer runs. */
static bool naps_at_last(AioContext *ctx, AioTimer *timer)
{
    for (int i = 0; i < 100; i++) {
        aio_timer_mod(timer, aio_clock_get_ns(ctx) + SCALE_MS);
        if (naps(ctx)) {
            return true;
        }
    }
    return false;
}

static void test_no_nap_while_an_answer_is_expected(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    AioTimer timer;

    aio_timer_init(&timer, ctx, nothing, NULL);
    aio_timer_mod(&timer, aio_clock_get_ns(ctx) + SCALE_MS);
    aio_expect_begin(ctx);
    g_assert_false(naps(ctx));
    aio_expect_end(ctx);
    g_assert_true(naps_at_last(ctx, &timer));
    aio_timer_del(&timer);
    aio_context_free(ctx);
}

static void test_no_nap_before_a_timer(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    AioTimer timer;

    aio_timer_init(&timer, ctx, nothing, NULL);
    aio_timer_mod(&timer, aio_clock_get_ns(ctx) + 50 * SCALE_US);
    g_assert_false(naps(ctx));
    aio_timer_del(&timer);
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll/off", test_zero_turns_it_off);
    g_test_add_func("/nap/expected", test_no_nap_while_an_answer_is_expected);
    g_test_add_func("/nap/timer", test_no_nap_before_a_timer);
    return g_test_run();
}
