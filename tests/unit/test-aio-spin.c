/*
 * util/aio-spin.c: when the loop polls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

#define SHORT_NS (10 * SCALE_US)
#define LONG_NS (10 * SCALE_MS)

static void account(AioSpin *spin, int64_t waited_ns, unsigned times)
{
    while (times-- > 0) {
        aio_spin_account(spin, waited_ns);
    }
}

static void test_does_not_spin_at_first(void)
{
    AioSpin spin;

    aio_spin_init(&spin);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, 0);
    account(&spin, LONG_NS, 100);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, 0);
}

static void test_starts_after_short_waits(void)
{
    AioSpin spin;

    aio_spin_init(&spin);
    account(&spin, SHORT_NS, 7);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, 0);
    account(&spin, SHORT_NS, 1);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, spin.max_ns);
}

/* However long it has been spinning. */
static void test_stops_after_long_waits(void)
{
    AioSpin spin;

    aio_spin_init(&spin);
    account(&spin, SHORT_NS, 1000);
    account(&spin, LONG_NS, 2);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, spin.max_ns);
    account(&spin, LONG_NS, 1);
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, 0);
}

/* One window in vain for three short waits is too many. */
static void test_needs_mostly_short_waits(void)
{
    AioSpin spin;

    aio_spin_init(&spin);
    account(&spin, SHORT_NS, 1000);
    for (int i = 0; i < 10; i++) {
        account(&spin, LONG_NS, 1);
        account(&spin, SHORT_NS, 3);
    }
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, 0);
    for (int i = 0; i < 10; i++) {
        account(&spin, LONG_NS, 1);
        account(&spin, SHORT_NS, 8);
    }
    g_assert_cmpint(aio_spin_window(&spin, 0), ==, spin.max_ns);
}

static void test_stays_away_while_others_want_the_cpu(void)
{
    AioSpin spin;
    int64_t first;

    aio_spin_init(&spin);
    account(&spin, SHORT_NS, 8);
    aio_spin_contended(&spin, 1000, 300);
    g_assert_cmpint(aio_spin_window(&spin, 1000), >, 0);

    aio_spin_contended(&spin, 1000, SCALE_MS);
    g_assert_cmpint(aio_spin_window(&spin, 1001), ==, 0);
    first = spin.retry_ns;
    g_assert_cmpint(aio_spin_window(&spin, first), >, 0);
    aio_spin_contended(&spin, first, SCALE_MS);
    g_assert_cmpint(spin.retry_ns - first, ==, 2 * (first - 1000));
}

static void test_work_ends_the_backoff(void)
{
    AioSpin spin;

    aio_spin_init(&spin);
    aio_spin_contended(&spin, 0, SCALE_MS);
    aio_spin_contended(&spin, 0, SCALE_MS);
    aio_spin_found_work(&spin);
    aio_spin_contended(&spin, 0, SCALE_MS);
    g_assert_cmpint(spin.retry_ns, ==, SCALE_MS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spin/first", test_does_not_spin_at_first);
    g_test_add_func("/spin/start", test_starts_after_short_waits);
    g_test_add_func("/spin/stop", test_stops_after_long_waits);
    g_test_add_func("/spin/mostly", test_needs_mostly_short_waits);
    g_test_add_func("/spin/contended",
                    test_stays_away_while_others_want_the_cpu);
    g_test_add_func("/spin/worth-it", test_work_ends_the_backoff);
    return g_test_run();
}
