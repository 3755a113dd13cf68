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

/* One nap at @now, after which @turns find work.  Returns how long it was. */
static int64_t nap_once(AioNap *nap, int64_t now, unsigned turns)
{
    int64_t ns = aio_nap_length(nap, now);

    work(nap, turns);
    return ns;
}

static void test_goes_on_while_there_is_work(void)
{
    AioNap nap;

    aio_nap_init(&nap);
    for (int64_t now = 0; now < 10; now++) {
        g_assert_cmpint(nap_once(&nap, now, 1), ==, 20 * SCALE_US);
    }
}

/* Longer while there is more and more work, shorter when there is none. */
static void test_length_follows_the_work(void)
{
    int64_t ns, last = 20 * SCALE_US;
    AioNap nap;

    aio_nap_init(&nap);
    nap_once(&nap, 0, 12);
    for (int i = 0; i < 20; i++) {
        ns = nap_once(&nap, 0, 12);
        g_assert_cmpint(ns, >=, last);
        last = ns;
    }
    g_assert_cmpint(last, ==, 80 * SCALE_US);
    g_assert_cmpint(nap_once(&nap, 0, 0), ==, 80 * SCALE_US);
    g_assert_cmpint(nap_once(&nap, 0, 1), ==, 40 * SCALE_US);
    g_assert_cmpint(nap_once(&nap, 0, 0), ==, 40 * SCALE_US);
    g_assert_cmpint(nap_once(&nap, 0, 0), ==, 20 * SCALE_US);
    g_assert_cmpint(nap_once(&nap, 0, 0), ==, 0);
}

static void test_stays_awake_after_a_bad_one(void)
{
    AioNap nap;

    aio_nap_init(&nap);
    nap_once(&nap, 0, 0);
    g_assert_cmpint(nap_once(&nap, 0, 5), ==, 0);
    g_assert_cmpint(nap_once(&nap, SCALE_MS - 1, 5), ==, 0);
    g_assert_cmpint(nap_once(&nap, SCALE_MS, 0), >, 0);
}

/* Less often each time, up to 64 ms; one good nap makes up for it. */
static void test_tries_less_often(void)
{
    int64_t now = 0;
    AioNap nap;

    aio_nap_init(&nap);
    for (int64_t ms = 1; ms <= 64; ms *= 2) {
        g_assert_cmpint(nap_once(&nap, now, 0), >, 0);
        g_assert_cmpint(nap_once(&nap, now, 0), ==, 0);
        g_assert_cmpint(nap.retry_ns - now, ==, ms * SCALE_MS);
        now = nap.retry_ns;
    }
    g_assert_cmpint(nap_once(&nap, now, 0), >, 0);
    g_assert_cmpint(nap_once(&nap, now, 0), ==, 0);
    g_assert_cmpint(nap.retry_ns - now, ==, 64 * SCALE_MS);

    now = nap.retry_ns;
    nap_once(&nap, now, 1);
    nap_once(&nap, now, 0);
    g_assert_cmpint(nap_once(&nap, now, 0), ==, 0);
    g_assert_cmpint(nap.retry_ns - now, ==, SCALE_MS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nap/good", test_goes_on_while_there_is_work);
    g_test_add_func("/nap/length", test_length_follows_the_work);
    g_test_add_func("/nap/bad", test_stays_awake_after_a_bad_one);
    g_test_add_func("/nap/backoff", test_tries_less_often);
    return g_test_run();
}
