/*
 * Rate limits: the arithmetic of leaky buckets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/throttle.h"

static ThrottleConfig config(void)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    return cfg;
}

/* How many requests of @bytes pass within @seconds, as fast as they may. */
static int64_t count_passed(ThrottleState *ts, bool is_write, int64_t bytes,
                            double seconds)
{
    int64_t end = (int64_t)(seconds * NANOSECONDS_PER_SECOND);
    int64_t now = 0, n = 0;

    for (;;) {
        int64_t wait = throttle_wait_ns(ts, is_write, now);

        now += wait;
        if (now > end) {
            return n;
        }
        if (!wait) {
            throttle_account(ts, is_write, bytes);
            n++;
        }
    }
}

/* The last one may come a few nanoseconds after the end. */
static void assert_near(int64_t n, int64_t expected)
{
    g_assert_cmpint(n, >=, expected - 1);
    g_assert_cmpint(n, <=, expected);
}

static void test_no_limit(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    g_assert_false(throttle_config_enabled(&cfg));
    throttle_init(&ts, &cfg, 0);
    throttle_account(&ts, true, 1 * GiB);
    g_assert_cmpint(throttle_wait_ns(&ts, true, 0), ==, 0);
}

static void test_iops_average(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_OPS_TOTAL].avg = 100;
    g_assert_true(throttle_config_enabled(&cfg));
    throttle_init(&ts, &cfg, 0);
    /* A tenth of a second's worth, and the one that fills it, for free */
    assert_near(count_passed(&ts, false, 4096, 10), 1000 + 11);
}

static void test_bps_average(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_BPS_WRITE].avg = 1 * MiB;
    throttle_init(&ts, &cfg, 0);
    g_assert_cmpint(count_passed(&ts, true, 64 * KiB, 8), >=, 8 * 16);
    throttle_init(&ts, &cfg, 0);
    g_assert_cmpint(count_passed(&ts, true, 64 * KiB, 8), <=, 8 * 16 + 3);
}

static void test_directions_are_apart(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_OPS_WRITE].avg = 10;
    throttle_init(&ts, &cfg, 0);
    for (int i = 0; i < 100; i++) {
        throttle_account(&ts, false, 512);
    }
    g_assert_cmpint(throttle_wait_ns(&ts, false, 0), ==, 0);
    g_assert_cmpint(throttle_wait_ns(&ts, true, 0), ==, 0);
    for (int i = 0; i < 100; i++) {
        throttle_account(&ts, true, 512);
    }
    g_assert_cmpint(throttle_wait_ns(&ts, false, 0), ==, 0);
    g_assert_cmpint(throttle_wait_ns(&ts, true, 0), >, 0);
}

static void test_burst_of_one_second(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_OPS_TOTAL].avg = 10;
    cfg.limit[THROTTLE_OPS_TOTAL].max = 1000;
    throttle_init(&ts, &cfg, 0);
    /* The bucket holds a burst of a second, which is taken at once. */
    g_assert_cmpint(count_passed(&ts, false, 512, 0.001), ==, 1001);
    g_assert_cmpint(throttle_wait_ns(&ts, false, SCALE_MS), >, 0);
}

static void test_long_burst_is_held_to_its_rate(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_OPS_TOTAL].avg = 10;
    cfg.limit[THROTTLE_OPS_TOTAL].max = 100;
    cfg.limit[THROTTLE_OPS_TOTAL].burst_length = 5;
    throttle_init(&ts, &cfg, 0);
    assert_near(count_passed(&ts, false, 512, 2), 200 + 11);

    /* Five seconds' worth of 100, plus what leaks at 10 all the time */
    throttle_init(&ts, &cfg, 0);
    assert_near(count_passed(&ts, false, 512, 60), 500 + 600 + 1);
}

static void test_long_requests_count_more(void)
{
    ThrottleConfig cfg = config();
    ThrottleState ts;

    cfg.limit[THROTTLE_OPS_TOTAL].avg = 100;
    cfg.op_size = 4096;
    throttle_init(&ts, &cfg, 0);
    throttle_account(&ts, false, 512);
    g_assert_cmpfloat(ts.level[THROTTLE_OPS_TOTAL], ==, 1.0);
    throttle_account(&ts, false, 8 * 4096);
    g_assert_cmpfloat(ts.level[THROTTLE_OPS_TOTAL], ==, 9.0);
}

static void check_refused(const ThrottleConfig *cfg, const char *text)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(throttle_config_check(cfg, &err));
    g_assert_cmpstr(err->message, ==, text);
}

static void test_contradictions_are_refused(void)
{
    ThrottleConfig cfg = config();

    g_assert_true(throttle_config_check(&cfg, NULL));

    cfg.limit[THROTTLE_BPS_TOTAL].avg = 1;
    cfg.limit[THROTTLE_BPS_READ].avg = 1;
    check_refused(&cfg, "bps/iops/max total values and read/write values "
                  "cannot be used at the same time");

    cfg = config();
    cfg.op_size = 4096;
    check_refused(&cfg, "iops size requires an iops value to be set");

    cfg = config();
    cfg.limit[THROTTLE_OPS_READ].max = 10;
    check_refused(&cfg,
                  "bps_max/iops_max require corresponding bps/iops values");

    cfg.limit[THROTTLE_OPS_READ].avg = 11;
    check_refused(&cfg, "bps_max/iops_max cannot be lower than bps/iops");

    cfg = config();
    cfg.limit[THROTTLE_OPS_READ].avg = 10;
    cfg.limit[THROTTLE_OPS_READ].burst_length = 2;
    check_refused(&cfg, "burst length set without burst rate");

    cfg.limit[THROTTLE_OPS_READ].max = THROTTLE_VALUE_MAX;
    check_refused(&cfg, "burst length too high for this burst rate");

    cfg.limit[THROTTLE_OPS_READ].burst_length = 0;
    check_refused(&cfg, "the burst length cannot be 0");

    cfg = config();
    cfg.limit[THROTTLE_BPS_WRITE].avg = -1;
    check_refused(&cfg, "bps/iops/max values must be within [0, "
                  "1000000000000000]");
}

static void test_limits_round_trip(void)
{
    ThrottleConfig cfg = config(), back = config();
    ThrottleLimits *limits;

    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        cfg.limit[i] = (ThrottleLimit) {
            .avg = 10 * i + 1, .max = 10 * i + 2, .burst_length = 10 * i + 3,
        };
    }
    cfg.op_size = 4711;
    limits = throttle_config_limits(&cfg);
    throttle_config_apply(&back, limits);
    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        g_assert_cmpint(back.limit[i].avg, ==, cfg.limit[i].avg);
        g_assert_cmpint(back.limit[i].max, ==, cfg.limit[i].max);
        g_assert_cmpint(back.limit[i].burst_length, ==,
                        cfg.limit[i].burst_length);
    }
    g_assert_cmpint(back.op_size, ==, 4711);
    qapi_free_ThrottleLimits(limits);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/throttle/no-limit", test_no_limit);
    g_test_add_func("/throttle/iops", test_iops_average);
    g_test_add_func("/throttle/bps", test_bps_average);
    g_test_add_func("/throttle/directions", test_directions_are_apart);
    g_test_add_func("/throttle/burst/second", test_burst_of_one_second);
    g_test_add_func("/throttle/burst/long",
                    test_long_burst_is_held_to_its_rate);
    g_test_add_func("/throttle/iops-size", test_long_requests_count_more);
    g_test_add_func("/throttle/config/refused",
                    test_contradictions_are_refused);
    g_test_add_func("/throttle/config/round-trip", test_limits_round_trip);
    return g_test_run();
}
