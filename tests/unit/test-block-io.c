/*
 * The request path of nodes: alignment, splitting, zeroes, flush, bounds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block-helpers.h"

typedef struct Fixture {
    AioContext *ctx;
    BlockDriverState *bs;
    BlockBackend *blk;
    TestDisk *disk;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = test_block_begin();
    f->bs = test_open_disk(f->ctx, "disk");
    f->blk = test_backend(f->ctx, f->bs);
    f->disk = test_disk(f->bs);
    memset(f->disk->data, 0x11, TEST_DISK_SIZE);
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_backend_free(f->ctx, f->blk);
    test_unref(f->ctx, f->bs);
    test_block_end(f->ctx);
}

static void set_alignment(Fixture *f, uint32_t align)
{
    test_disk_set_limits(f->bs, (BlockLimits) { .request_alignment = align });
}

static void assert_bytes(Fixture *f, int64_t from, int64_t to, uint8_t value)
{
    for (int64_t i = from; i < to; i++) {
        g_assert_cmphex(f->disk->data[i], ==, value);
    }
}

static void test_write_reaches_disk(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_write(f->ctx, f->blk, 100, 7, 0x22), ==, 0);
    assert_bytes(f, 0, 100, 0x11);
    assert_bytes(f, 100, 107, 0x22);
    assert_bytes(f, 107, 4096, 0x11);
}

static void test_unaligned_write_keeps_neighbours(Fixture *f,
                                                  gconstpointer data)
{
    /* inside one block, over a border, a long one, aligned at either end */
    static const int64_t cases[][2] = {
        { 700, 10 }, { 1000, 100 }, { 10, 3000 }, { 512, 600 }, { 100, 412 },
    };

    set_alignment(f, 512);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t start = cases[i][0], end = start + cases[i][1];

        memset(f->disk->data, 0x11, TEST_DISK_SIZE);
        g_assert_cmpint(test_write(f->ctx, f->blk, start, end - start, 0x33),
                        ==, 0);
        assert_bytes(f, 0, start, 0x11);
        assert_bytes(f, start, end, 0x33);
        assert_bytes(f, end, 8192, 0x11);
    }
}

/* As when a child with larger blocks leaves a quorum meanwhile. */
static void test_alignment_that_changes(Fixture *f, gconstpointer data)
{
    TestRequest req = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 100, .bytes = 4096,
        .pattern = 0x33,
    };

    set_alignment(f, 4096);
    f->disk->stepped = true;
    test_request_start(f->ctx, &req);
    g_assert_cmpuint(test_disk_waiting(f->bs), ==, 1);
    set_alignment(f, 512);
    while (test_disk_waiting(f->bs) > 0) {
        test_disk_step(f->bs, 0);
        test_settle(f->ctx);
    }
    f->disk->stepped = false;
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    assert_bytes(f, 0, 100, 0x11);
    assert_bytes(f, 100, 4196, 0x33);
    assert_bytes(f, 4196, 8192, 0x11);
}

static void test_unaligned_read(Fixture *f, gconstpointer data)
{
    uint8_t buf[3000];

    set_alignment(f, 512);
    for (int i = 0; i < TEST_DISK_SIZE; i++) {
        f->disk->data[i] = i * 7;
    }
    g_assert_cmpint(test_read(f->ctx, f->blk, 777, sizeof(buf), buf), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), f->disk->data + 777, sizeof(buf));
    g_assert_cmpuint(f->disk->reads, ==, 1);
}

static void test_unaligned_zeroes(Fixture *f, gconstpointer data)
{
    set_alignment(f, 512);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 100, 3000, 0),
                    ==, 0);
    assert_bytes(f, 0, 100, 0x11);
    assert_bytes(f, 100, 3100, 0);
    assert_bytes(f, 3100, 8192, 0x11);
    g_assert_cmpuint(f->disk->zeroes, ==, 1);
    g_assert_cmpuint(f->disk->writes, ==, 2);
}

static void test_fast_zero_never_writes(Fixture *f, gconstpointer data)
{
    f->disk->no_zeroes = true;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 0, 4096,
                                BDRV_REQ_NO_FALLBACK), ==, -ENOTSUP);
    set_alignment(f, 512);
    f->disk->no_zeroes = false;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 1, 4096,
                                BDRV_REQ_NO_FALLBACK), ==, -ENOTSUP);
    g_assert_cmpuint(f->disk->writes, ==, 0);
    assert_bytes(f, 0, 8192, 0x11);
}

static void test_zeroes_fall_back_to_writes(Fixture *f, gconstpointer data)
{
    f->disk->no_zeroes = true;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 512, 4096, 0),
                    ==, 0);
    assert_bytes(f, 512, 4608, 0);
    g_assert_cmpuint(f->disk->writes, ==, 1);
}

static void test_split_at_max_transfer(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *buf = g_malloc(10000);

    test_disk_set_limits(f->bs, (BlockLimits) {
        .request_alignment = 1, .max_transfer = 4096,
    });
    g_assert_cmpint(test_write(f->ctx, f->blk, 5, 10000, 0x44), ==, 0);
    g_assert_cmpint(test_read(f->ctx, f->blk, 5, 10000, buf), ==, 0);
    g_assert_cmpint(f->disk->max_bytes, ==, 4096);
    g_assert_cmpuint(f->disk->writes, ==, 3);
    g_assert_cmpuint(f->disk->reads, ==, 3);
    assert_bytes(f, 5, 10005, 0x44);
    g_assert_cmpmem(buf, 10000, f->disk->data + 5, 10000);
}

static void test_detect_zeroes(Fixture *f, gconstpointer data)
{
    f->bs->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP;
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 4096, 0), ==, 0);
    g_assert_cmpuint(f->disk->zeroes, ==, 1);
    g_assert_cmpuint(f->disk->writes, ==, 0);
    g_assert_cmpint(f->disk->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);

    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 4096, 1), ==, 0);
    g_assert_cmpuint(f->disk->writes, ==, 1);
}

static void test_fua_becomes_a_flush(Fixture *f, gconstpointer data)
{
    TestRequest req = {
        .blk = f->blk, .type = TEST_WRITE, .bytes = 512,
        .flags = BDRV_REQ_FUA,
    };

    test_request_start(f->ctx, &req);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 1);
}

static void test_flush_without_writes_is_free(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 0);
    test_write(f->ctx, f->blk, 0, 512, 1);
    test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0);
    test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 1);
}

static void test_failed_flush_is_tried_again(Fixture *f, gconstpointer data)
{
    test_write(f->ctx, f->blk, 0, 512, 1);
    f->disk->fail_flush = EIO;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0),
                    ==, -EIO);
    f->disk->fail_flush = 0;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 2);
}

static void test_concurrent_flushes_share_one(Fixture *f, gconstpointer data)
{
    TestRequest a = { .blk = f->blk, .type = TEST_FLUSH };
    TestRequest b = a, c = a;

    test_write(f->ctx, f->blk, 0, 512, 1);
    f->disk->hold = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    test_request_start(f->ctx, &c);
    g_assert_cmpuint(f->disk->flushes, ==, 1);
    test_disk_release(f->bs);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &c), ==, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 1);
}

static void test_discard_leaves_partial_units(Fixture *f, gconstpointer data)
{
    test_disk_set_limits(f->bs, (BlockLimits) {
        .request_alignment = 1, .pdiscard_alignment = 4096,
    });
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 1, 4095, 0),
                    ==, 0);
    g_assert_cmpuint(f->disk->discards, ==, 0);
    test_simple(f->ctx, f->blk, TEST_DISCARD, 4000, 9000, 0);
    g_assert_cmpuint(f->disk->discards, ==, 1);
    g_assert_cmpint(f->disk->max_bytes, ==, 8192);
}

static void test_discard_ignored_unless_unmap(Fixture *f, gconstpointer data)
{
    f->bs->unmap = false;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 0, 4096, 0),
                    ==, 0);
    g_assert_cmpuint(f->disk->discards, ==, 0);
}

static void test_out_of_bounds(Fixture *f, gconstpointer data)
{
    static const int64_t cases[][2] = {
        { TEST_DISK_SIZE, 1 }, { TEST_DISK_SIZE - 1, 2 }, { -1, 1 },
        { INT64_MAX, 1 }, { INT64_MAX - 10, 20 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (int type = TEST_READ; type <= TEST_DISCARD; type++) {
            TestRequest req = {
                .blk = f->blk, .type = type, .offset = cases[i][0],
                .bytes = cases[i][1],
            };

            test_request_start(f->ctx, &req);
            g_assert_cmpint(test_request_finish(f->ctx, &req), ==, -EIO);
        }
    }
    assert_bytes(f, 0, TEST_DISK_SIZE, 0x11);
    g_assert_cmpuint(blk_stats(f->blk)->invalid_ops[BLOCK_ACCT_READ], ==,
                     ARRAY_SIZE(cases));
}

static void test_zero_length_request(Fixture *f, gconstpointer data)
{
    for (int type = TEST_READ; type <= TEST_DISCARD; type++) {
        g_assert_cmpint(test_simple(f->ctx, f->blk, type, TEST_DISK_SIZE, 0,
                                    0), ==, 0);
    }
    g_assert_cmpuint(f->disk->reads + f->disk->writes, ==, 0);
}

static void test_overlapping_rmw_is_serialised(Fixture *f, gconstpointer data)
{
    TestRequest a = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 10, .bytes = 10,
        .pattern = 0xaa,
    };
    TestRequest b = a;

    b.offset = 30;
    b.pattern = 0xbb;
    set_alignment(f, 512);
    f->disk->hold = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    g_assert_cmpuint(f->disk->reads, ==, 1);    /* b waits for a */
    test_disk_release(f->bs);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    assert_bytes(f, 10, 20, 0xaa);
    assert_bytes(f, 20, 30, 0x11);
    assert_bytes(f, 30, 40, 0xbb);
}

static void test_aligned_requests_run_together(Fixture *f, gconstpointer data)
{
    TestRequest a = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 0, .bytes = 4096,
    };
    TestRequest b = a;

    f->disk->hold = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    g_assert_cmpuint(f->disk->waiting, ==, 2);
    test_disk_release(f->bs);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
}

typedef struct CountingNotifier {
    BdrvBeforeWriteNotifier notifier;
    unsigned calls;
    int64_t offset, bytes;
    int ret;
} CountingNotifier;

static int coroutine_fn count_write(BdrvBeforeWriteNotifier *notifier,
                                    BdrvTrackedRequest *req)
{
    CountingNotifier *c = container_of(notifier, CountingNotifier, notifier);

    c->calls++;
    c->offset = req->offset;
    c->bytes = req->bytes;
    return c->ret;
}

static void test_before_write_notifier(Fixture *f, gconstpointer data)
{
    CountingNotifier c = { .notifier.notify = count_write };

    bdrv_add_before_write_notifier(f->bs, &c.notifier);
    test_write(f->ctx, f->blk, 3, 5, 0x22);
    g_assert_cmpint(c.offset, ==, 3);
    g_assert_cmpint(c.bytes, ==, 5);
    test_simple(f->ctx, f->blk, TEST_ZEROES, 0, 512, 0);
    test_simple(f->ctx, f->blk, TEST_DISCARD, 0, 512, 0);
    g_assert_cmpuint(c.calls, ==, 3);

    c.ret = -ENOSPC;
    g_assert_cmpint(test_write(f->ctx, f->blk, 1000, 5, 0x22), ==, -ENOSPC);
    assert_bytes(f, 1000, 1005, 0x11);
    bdrv_remove_before_write_notifier(&c.notifier);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/io/write/reaches-disk", test_write_reaches_disk },
        { "/io/write/unaligned", test_unaligned_write_keeps_neighbours },
        { "/io/write/other-alignment", test_alignment_that_changes },
        { "/io/write/overlapping-rmw", test_overlapping_rmw_is_serialised },
        { "/io/write/aligned-together", test_aligned_requests_run_together },
        { "/io/write/notifier", test_before_write_notifier },
        { "/io/write/fua", test_fua_becomes_a_flush },
        { "/io/write/detect-zeroes", test_detect_zeroes },
        { "/io/read/unaligned", test_unaligned_read },
        { "/io/split", test_split_at_max_transfer },
        { "/io/zeroes/unaligned", test_unaligned_zeroes },
        { "/io/zeroes/fast", test_fast_zero_never_writes },
        { "/io/zeroes/fallback", test_zeroes_fall_back_to_writes },
        { "/io/flush/nothing-written", test_flush_without_writes_is_free },
        { "/io/flush/failed", test_failed_flush_is_tried_again },
        { "/io/flush/concurrent", test_concurrent_flushes_share_one },
        { "/io/discard/partial", test_discard_leaves_partial_units },
        { "/io/discard/ignored", test_discard_ignored_unless_unmap },
        { "/io/bounds", test_out_of_bounds },
        { "/io/zero-length", test_zero_length_request },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
