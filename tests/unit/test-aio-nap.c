/*
 * util/aio-nap.c: when a nap is worth it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

static void work(AioNap *nap, unsigned turns)
{
    while (turns-- > 0) {
        aio_nap_found_work(nap);
    }
}

static void test_goes_on_while_there_is_work(void)
{
    AioNap nap;

    aio_nap_init(&nap);
    for (int64_t now = 0; now < 10; now++) {
        g_assert_true(aio_nap_is_due(&nap, now));
        work(&nap, 2);
    }
}

static void test_stays_awake_after_a_bad_one(void)
{
    AioNap nap;

    aio_nap_init(&nap);
    g_assert_true(aio_nap_is_due(&nap, 0));
    work(&nap, 1);
    g_assert_false(aio_nap_is_due(&nap, 0));
    work(&nap, 5);
    g_assert_false(aio_nap_is_due(&nap, SCALE_MS - 1));
    g_assert_true(aio_nap_is_due(&nap, SCALE_MS));
}

/* Longer each time, up to 64 ms; one good nap makes up for it. */
static void test_tries_less_often(void)
{
    int64_t now = 0;
    AioNap nap;

    aio_nap_init(&nap);
    for (int64_t ms = 1; ms <= 64; ms *= 2) {
        g_assert_true(aio_nap_is_due(&nap, now));
        g_assert_false(aio_nap_is_due(&nap, now));
        g_assert_cmpint(nap.retry_ns - now, ==, ms * SCALE_MS);
        now = nap.retry_ns;
    }
    g_assert_true(aio_nap_is_due(&nap, now));
    g_assert_false(aio_nap_is_due(&nap, now));
    g_assert_cmpint(nap.retry_ns - now, ==, 64 * SCALE_MS);

    now = nap.retry_ns;
    g_assert_true(aio_nap_is_due(&nap, now));
    work(&nap, 2);
    g_assert_true(aio_nap_is_due(&nap, now));
    g_assert_false(aio_nap_is_due(&nap, now));
    g_assert_cmpint(nap.retry_ns - now, ==, SCALE_MS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nap/good", test_goes_on_while_there_is_work);
    g_test_add_func("/nap/bad", test_stays_awake_after_a_bad_one);
    g_test_add_func("/nap/backoff", test_tries_less_often);
    return g_test_run();
}
