/*
 * Throttled nodes and backends: requests wait, drains do not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/drivers.h"
#include "block/throttle-group-int.h"
#include "driver-helpers.h"

#define DISK "{'driver': 'null-co', 'discard': 'unmap'}"
#define REQUESTS 5

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    ThrottleGroup *group;
    TestRequest req[REQUESTS];
} Fixture;

/* Ten requests a second: one and the one that fills the bucket at once. */
static ThrottleConfig slow(void)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.limit[THROTTLE_OPS_TOTAL].avg = 10;
    return cfg;
}

static void setup(Fixture *f, gconstpointer unused)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_raw, &bdrv_throttle, NULL
    };
    ThrottleConfig cfg = slow();

    bdrv_register_drivers(drivers);
    f->clock.now_ns = NANOSECONDS_PER_SECOND;
    f->ctx = aio_context_new(&f->clock, NULL);
    f->group = throttle_group_new("tg0", NULL, &cfg);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    throttle_group_unref(f->group);
    g_assert_false(throttle_group_exists("tg0"));
    test_block_end(f->ctx);
}

static void start_requests(Fixture *f, BlockBackend *blk)
{
    for (int i = 0; i < REQUESTS; i++) {
        f->req[i] = (TestRequest) {
            .blk = blk, .type = TEST_WRITE, .bytes = 512,
            .offset = 512 * i, .pattern = i,
        };
        test_request_start(f->ctx, &f->req[i]);
    }
}

static int count_done(const Fixture *f)
{
    int n = 0;

    for (int i = 0; i < REQUESTS; i++) {
        n += f->req[i].ret != 1;
    }
    return n;
}

static void finish_requests(Fixture *f)
{
    for (int i = 0; i < REQUESTS; i++) {
        g_assert_cmpint(test_request_finish(f->ctx, &f->req[i]), ==, 0);
    }
}

static void pass_time(Fixture *f, int64_t ns)
{
    f->clock.now_ns += ns;
    test_settle(f->ctx);
}

static void check_rate(Fixture *f, BlockBackend *blk)
{
    start_requests(f, blk);
    g_assert_cmpint(count_done(f), ==, 2);
    for (int n = 3; n <= REQUESTS; n++) {
        pass_time(f, 101 * SCALE_MS);
        g_assert_cmpint(count_done(f), ==, n);
    }
    finish_requests(f);
}

static void test_node_is_limited(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'throttle', "
                                     "'throttle-group': 'tg0', "
                                     "'file': " DISK "}");

    check_rate(f, blk);
    test_backend_free(f->ctx, blk);
}

static void coroutine_fn drain_entry(void *opaque)
{
    bdrv_co_drained_begin(opaque);
    bdrv_drained_end(opaque);
}

static void test_drained_node_does_not_wait(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'throttle', "
                                     "'throttle-group': 'tg0', "
                                     "'file': " DISK "}");

    start_requests(f, blk);
    /* The clock stands still. */
    test_run(f->ctx, drain_entry, blk_bs(blk));
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);
    test_backend_free(f->ctx, blk);
}

static void test_drain_above_does_not_wait(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'file': {'driver': 'throttle', "
                                     "'throttle-group': 'tg0', "
                                     "'file': " DISK "}}");

    start_requests(f, blk);
    test_run(f->ctx, drain_entry, blk_bs(blk));
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);

    /* Only what waited then */
    start_requests(f, blk);
    g_assert_cmpint(count_done(f), ==, 0);
    blk_let_pass(blk);
    test_settle(f->ctx);
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);
    test_backend_free(f->ctx, blk);
}

static void test_node_without_group(Fixture *f, gconstpointer unused)
{
    assert_open_error("Throttle group 'nope' does not exist", f->ctx,
                      "{'driver': 'throttle', 'throttle-group': 'nope', "
                      "'file': " DISK "}");
}

static void test_reopen_changes_the_group(Fixture *f, gconstpointer unused)
{
    ThrottleConfig fast;
    ThrottleGroup *other;
    BlockBackend *blk;
    g_autoptr(GError) err = NULL;

    throttle_config_init(&fast);
    other = throttle_group_new("tg1", NULL, &fast);
    blk = open_backend(f->ctx, "{'driver': 'throttle', 'node-name': 'n', "
                       "'throttle-group': 'tg0', 'file': " DISK "}");
    reopen_node(f->ctx, &err, "{'driver': 'throttle', 'node-name': 'n', "
                "'throttle-group': 'tg1', 'file': " DISK "}");
    g_assert_no_error(err);
    start_requests(f, blk);
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);
    test_backend_free(f->ctx, blk);
    throttle_group_unref(other);
}

static void test_backend_is_limited(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, DISK);
    ThrottleConfig cfg = slow(), seen;

    g_assert_true(blk_throttle_set(blk, "drive0", &cfg, NULL));
    g_assert_true(throttle_group_exists("drive0"));
    g_assert_cmpstr(blk_throttle_get(blk, &seen), ==, "drive0");
    g_assert_cmpint(seen.limit[THROTTLE_OPS_TOTAL].avg, ==, 10);
    check_rate(f, blk);

    /* Without limits it leaves the group, which nobody else holds. */
    throttle_config_init(&cfg);
    g_assert_true(blk_throttle_set(blk, "drive0", &cfg, NULL));
    g_assert_false(throttle_group_exists("drive0"));
    g_assert_null(blk_throttle_get(blk, &seen));
    start_requests(f, blk);
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);
    test_backend_free(f->ctx, blk);
}

static void test_drained_backend_does_not_wait(Fixture *f,
                                               gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, DISK);
    ThrottleConfig cfg = slow();

    g_assert_true(blk_throttle_set(blk, "drive0", &cfg, NULL));
    start_requests(f, blk);
    test_run(f->ctx, drain_entry, blk_bs(blk));
    g_assert_cmpint(count_done(f), ==, REQUESTS);
    finish_requests(f);
    /* The backend takes its group along. */
    test_backend_free(f->ctx, blk);
    g_assert_false(throttle_group_exists("drive0"));
}

static void test_refused_limits_change_nothing(Fixture *f,
                                               gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, DISK);
    ThrottleConfig cfg = slow(), seen;

    g_assert_true(blk_throttle_set(blk, "drive0", &cfg, NULL));
    cfg.limit[THROTTLE_OPS_READ].avg = 5;
    g_assert_false(blk_throttle_set(blk, "drive0", &cfg, NULL));
    g_assert_cmpstr(blk_throttle_get(blk, &seen), ==, "drive0");
    g_assert_cmpint(seen.limit[THROTTLE_OPS_READ].avg, ==, 0);
    test_backend_free(f->ctx, blk);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer unused);
    } tests[] = {
        { "/driver/throttle/rate", test_node_is_limited },
        { "/driver/throttle/drain", test_drained_node_does_not_wait },
        { "/driver/throttle/drain-above", test_drain_above_does_not_wait },
        { "/driver/throttle/no-group", test_node_without_group },
        { "/driver/throttle/reopen", test_reopen_changes_the_group },
        { "/blk-throttle/rate", test_backend_is_limited },
        { "/blk-throttle/drain", test_drained_backend_does_not_wait },
        { "/blk-throttle/refused", test_refused_limits_change_nothing },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
