/*
 * null-co: takes everything, keeps nothing
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/drivers.h"
#include "driver-helpers.h"

static AioContext *begin(AioVirtualClock *clock)
{
    bdrv_register_drivers(bdrv_drivers);
    return aio_context_new(clock, NULL);
}

static void test_default_size(void)
{
    AioContext *ctx = begin(NULL);
    BlockBackend *blk = open_backend(ctx, "{'driver': 'null-co'}");

    g_assert_cmpint(length_of(blk), ==, 1 * GiB);
    test_backend_free(ctx, blk);
    test_block_end(ctx);
}

static void test_bad_size(void)
{
    AioContext *ctx = begin(NULL);

    assert_open_error("Parameter 'size' must be between 0 and "
                      "9223372036854710272",
                      ctx, "{'driver': 'null-co', 'size': -1}");
    test_block_end(ctx);
}

static void test_reads_zeroes_if_told_to(void)
{
    AioContext *ctx = begin(NULL);
    BlockBackend *blk = open_backend(ctx, "{'driver': 'null-co', "
                                     "'size': 65536, 'read-zeroes': true}");
    int64_t pnum;

    g_assert_cmpint(test_write(ctx, blk, 0, 4096, 0x5a), ==, 0);
    g_assert_true(reads_as(ctx, blk, 0, 4096, 0));
    g_assert_true(block_status(ctx, blk, 0, 65536, &pnum) & BDRV_BLOCK_ZERO);
    g_assert_cmpint(pnum, ==, 65536);
    test_backend_free(ctx, blk);
    test_block_end(ctx);
}

static void test_all_requests_succeed(void)
{
    AioContext *ctx = begin(NULL);
    BlockBackend *blk = open_backend(ctx, "{'driver': 'null-co', "
                                     "'discard': 'unmap'}");

    g_assert_cmpint(test_simple(ctx, blk, TEST_ZEROES, 0, 1 * MiB,
                                BDRV_REQ_NO_FALLBACK), ==, 0);
    g_assert_cmpint(test_simple(ctx, blk, TEST_DISCARD, 0, 1 * MiB, 0), ==, 0);
    g_assert_cmpint(test_simple(ctx, blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    test_backend_free(ctx, blk);
    test_block_end(ctx);
}

static void test_latency(void)
{
    AioVirtualClock clock = { .now_ns = 1000 };
    AioContext *ctx = begin(&clock);
    BlockBackend *blk = open_backend(ctx, "{'driver': 'null-co', "
                                     "'latency-ns': 500}");
    TestRequest req = { .blk = blk, .type = TEST_READ, .bytes = 512 };

    test_request_start(ctx, &req);
    clock.now_ns += 499;
    test_settle(ctx);
    g_assert_cmpint(req.ret, ==, 1);
    clock.now_ns += 1;
    test_settle(ctx);
    g_assert_cmpint(req.ret, ==, 0);
    test_request_finish(ctx, &req);
    test_backend_free(ctx, blk);
    test_block_end(ctx);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver/null/size/default", test_default_size);
    g_test_add_func("/driver/null/size/bad", test_bad_size);
    g_test_add_func("/driver/null/read-zeroes", test_reads_zeroes_if_told_to);
    g_test_add_func("/driver/null/requests", test_all_requests_succeed);
    g_test_add_func("/driver/null/latency", test_latency);
    return g_test_run();
}
