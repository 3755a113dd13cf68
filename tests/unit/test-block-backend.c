/*
 * BlockBackend: gate, cancellation, drain, statistics, throttle hooks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/graph.h"
#include "block/options.h"
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
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_backend_free(f->ctx, f->blk);
    test_unref(f->ctx, f->bs);
    test_block_end(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static TestRequest a_write(Fixture *f)
{
    return (TestRequest) {
        .blk = f->blk, .type = TEST_WRITE, .bytes = 512, .pattern = 1,
    };
}

static void test_gate_holds_requests(Fixture *f, gconstpointer data)
{
    TestRequest req = a_write(f);

    blk_gate_close(f->blk);
    blk_gate_close(f->blk);
    test_request_start(f->ctx, &req);
    blk_gate_open(f->blk);
    test_settle(f->ctx);
    g_assert_cmpint(req.ret, ==, 1);
    g_assert_cmpuint(f->disk->writes, ==, 0);
    g_assert_cmpuint(blk_in_flight(f->blk), ==, 0);

    blk_gate_open(f->blk);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
}

static void test_flush_passes_closed_gate(Fixture *f, gconstpointer data)
{
    test_write(f->ctx, f->blk, 0, 512, 1);
    blk_gate_close(f->blk);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(f->disk->flushes, ==, 1);
    blk_gate_open(f->blk);
}

static void test_gate_keeps_order(Fixture *f, gconstpointer data)
{
    TestRequest a = a_write(f), b = a_write(f);

    b.pattern = 2;
    blk_gate_close(f->blk);
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    blk_gate_open(f->blk);
    test_request_finish(f->ctx, &a);
    test_request_finish(f->ctx, &b);
    g_assert_cmphex(f->disk->data[0], ==, 2);
}

typedef struct WaitCall {
    BlockBackend *blk;
    const void *owner;
    int ret;
} WaitCall;

static void coroutine_fn wait_entry(void *opaque)
{
    WaitCall *call = opaque;

    call->ret = blk_co_wait_gate(call->blk, call->owner);
}

static void coroutine_fn insert_entry(void *opaque)
{
    Fixture *f = opaque;
    BlockBackend *blk = blk_new(BLK_PERM_WRITE, BLK_PERM_ALL);
    g_autoptr(GError) err = NULL;

    g_assert_false(blk_co_insert_bs(blk, f->bs, &err));
    g_assert_cmpstr(err->message, ==, "Node 'disk' is still being opened");
    blk_co_unref(blk);
}

/* Its name is taken from the beginning, so that it may be found. */
static void test_half_open_node_is_not_used(Fixture *f, gconstpointer data)
{
    f->bs->total_bytes = -ENOMEDIUM;
    test_run(f->ctx, insert_entry, f);
    f->bs->total_bytes = TEST_DISK_SIZE;
}

typedef struct ResizeCall {
    BlockBackend *blk;
    GError *err;
} ResizeCall;

static void coroutine_fn resize_entry(void *opaque)
{
    ResizeCall *call = opaque;

    g_assert_false(blk_co_truncate(call->blk, 512, PREALLOC_MODE_OFF,
                                   &call->err));
}

/* An export that goes takes back what was lent while a command waits. */
static void test_permission_is_lost_at_the_gate(Fixture *f,
                                                gconstpointer data)
{
    ResizeCall call = { .blk = f->blk };

    blk_gate_close(f->blk);
    coroutine_start(resize_entry, &call);
    blk_set_perm(f->blk, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    blk_gate_open(f->blk);
    test_settle(f->ctx);
    g_assert_cmpstr(call.err->message, ==,
                    "Resizing node 'disk' is not permitted");
    g_error_free(call.err);
}

static void test_owner_takes_its_requests_back(Fixture *f, gconstpointer data)
{
    WaitCall mine = { .blk = f->blk, .owner = &mine, .ret = 1 };
    WaitCall other = { .blk = f->blk, .owner = &other, .ret = 1 };

    blk_gate_close(f->blk);
    coroutine_start(wait_entry, &mine);
    coroutine_start(wait_entry, &other);
    blk_cancel_waiting(f->blk, &mine);
    test_settle(f->ctx);
    g_assert_cmpint(mine.ret, ==, -ECANCELED);
    g_assert_cmpint(other.ret, ==, 1);
    blk_gate_open(f->blk);
    test_settle(f->ctx);
    g_assert_cmpint(other.ret, ==, 0);
}

/* A guest is stopped: it waits, the monitor does not. */
static void test_guest_gate_is_for_guests(Fixture *f, gconstpointer data)
{
    WaitCall guest = { .blk = f->blk, .owner = &guest, .ret = 1 };
    TestRequest monitor = a_write(f);

    blk_guest_gate_close(f->blk);
    coroutine_start(wait_entry, &guest);
    test_request_start(f->ctx, &monitor);
    g_assert_cmpint(test_request_finish(f->ctx, &monitor), ==, 0);
    g_assert_cmpint(guest.ret, ==, 1);
    blk_guest_gate_open(f->blk);
    test_settle(f->ctx);
    g_assert_cmpint(guest.ret, ==, 0);
}

typedef struct DrainCall {
    BlockDriverState *bs;
    bool done;
} DrainCall;

static void coroutine_fn drain_entry(void *opaque)
{
    DrainCall *call = opaque;

    bdrv_co_drained_begin(call->bs);
    call->done = true;
}

static void test_drain_waits_for_what_is_in_flight(Fixture *f,
                                                   gconstpointer data)
{
    TestRequest running = a_write(f), late = a_write(f);
    DrainCall drain = { .bs = f->bs };

    f->disk->hold = true;
    test_request_start(f->ctx, &running);
    coroutine_start(drain_entry, &drain);
    test_request_start(f->ctx, &late);
    g_assert_false(drain.done);
    g_assert_cmpuint(f->disk->writes, ==, 1);

    test_disk_release(f->bs);
    g_assert_cmpint(test_request_finish(f->ctx, &running), ==, 0);
    test_settle(f->ctx);
    g_assert_true(drain.done);
    g_assert_cmpint(late.ret, ==, 1);

    bdrv_drained_end(f->bs);
    g_assert_cmpint(test_request_finish(f->ctx, &late), ==, 0);
}

static void coroutine_fn depth_entry(void *opaque)
{
    WaitCall *call = opaque;
    int64_t pnum;

    call->ret = blk_co_allocation_depth(call->blk, 0, 4096, &pnum);
    g_assert_cmpint(pnum, ==, 4096);
}

static void test_question_for_the_depth_waits(Fixture *f, gconstpointer data)
{
    WaitCall depth = { .blk = f->blk, .ret = -1 };
    DrainCall drain = { .bs = f->bs };

    coroutine_start(drain_entry, &drain);
    g_assert_true(drain.done);
    coroutine_start(depth_entry, &depth);
    test_settle(f->ctx);
    g_assert_cmpint(depth.ret, ==, -1);
    bdrv_drained_end(f->bs);
    test_settle(f->ctx);
    g_assert_cmpint(depth.ret, ==, 1);
}

static void test_drain_does_not_wait_for_the_gate(Fixture *f,
                                                  gconstpointer data)
{
    TestRequest held = a_write(f);
    DrainCall drain = { .bs = f->bs };

    blk_gate_close(f->blk);
    test_request_start(f->ctx, &held);
    coroutine_start(drain_entry, &drain);
    test_settle(f->ctx);
    g_assert_true(drain.done);
    bdrv_drained_end(f->bs);
    blk_gate_open(f->blk);
    g_assert_cmpint(test_request_finish(f->ctx, &held), ==, 0);
}

static void test_statistics(Fixture *f, gconstpointer data)
{
    BlockAcctStats *stats = blk_stats(f->blk);
    uint8_t buf[100];

    test_write(f->ctx, f->blk, 0, 512, 1);
    test_read(f->ctx, f->blk, 0, sizeof(buf), buf);
    test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0);
    test_simple(f->ctx, f->blk, TEST_DISCARD, 0, 4096, 0);
    f->disk->fail_write = EIO;
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, -EIO);

    g_assert_cmpuint(stats->nr_ops[BLOCK_ACCT_WRITE], ==, 1);
    g_assert_cmpuint(stats->nr_bytes[BLOCK_ACCT_WRITE], ==, 512);
    g_assert_cmpuint(stats->nr_bytes[BLOCK_ACCT_READ], ==, 100);
    g_assert_cmpuint(stats->nr_ops[BLOCK_ACCT_FLUSH], ==, 1);
    g_assert_cmpuint(stats->nr_bytes[BLOCK_ACCT_UNMAP], ==, 4096);
    g_assert_cmpuint(stats->failed_ops[BLOCK_ACCT_WRITE], ==, 1);
}

/* As account_failed and account_invalid of query-blockstats promise. */
static void test_failed_requests_take_time(Fixture *f, gconstpointer data)
{
    static const uint64_t bounds[] = { 10 };
    BlockAcctStats *stats = blk_stats(f->blk);

    block_latency_histogram_set(stats, BLOCK_ACCT_WRITE, bounds, 1);
    block_acct_done(stats, BLOCK_ACCT_WRITE, 512, 100, 105, 0);
    block_acct_done(stats, BLOCK_ACCT_WRITE, 512, 200, 220, -EIO);
    g_assert_cmpuint(stats->total_time_ns[BLOCK_ACCT_WRITE], ==, 25);
    g_assert_cmpuint(stats->histogram[BLOCK_ACCT_WRITE].bins[0], ==, 1);
    g_assert_cmpuint(stats->histogram[BLOCK_ACCT_WRITE].bins[1], ==, 1);
    g_assert_cmpuint(stats->nr_ops[BLOCK_ACCT_WRITE], ==, 1);
    g_assert_cmpuint(stats->nr_bytes[BLOCK_ACCT_WRITE], ==, 512);

    block_acct_invalid(stats, BLOCK_ACCT_WRITE, 300);
    g_assert_cmpint(stats->last_access_ns, ==, 300);
    g_assert_cmpuint(stats->total_time_ns[BLOCK_ACCT_WRITE], ==, 25);
}

static void test_histogram_bins(Fixture *f, gconstpointer data)
{
    static const uint64_t bounds[] = { 10, 20, 30 };
    static const uint64_t unsorted[] = { 10, 10 };
    BlockAcctStats *stats = blk_stats(f->blk);
    uint64_t *bins;

    g_assert_false(block_latency_histogram_set(stats, BLOCK_ACCT_READ,
                                               unsorted, 2));
    g_assert_true(block_latency_histogram_set(stats, BLOCK_ACCT_READ, bounds,
                                              3));
    for (int64_t ns = 0; ns < 50; ns += 5) {
        block_acct_done(stats, BLOCK_ACCT_READ, 1, 100, 100 + ns, 0);
    }
    bins = stats->histogram[BLOCK_ACCT_READ].bins;
    g_assert_cmpuint(bins[0], ==, 2);   /* 0, 5 */
    g_assert_cmpuint(bins[1], ==, 2);   /* 10, 15 */
    g_assert_cmpuint(bins[2], ==, 2);   /* 20, 25 */
    g_assert_cmpuint(bins[3], ==, 4);   /* 30 and more */
}

static void test_no_node_is_no_medium(Fixture *f, gconstpointer data)
{
    BlockBackend *empty = blk_new(0, BLK_PERM_ALL);

    g_assert_cmpint(test_write(f->ctx, empty, 0, 512, 1), ==, -ENOMEDIUM);
    test_backend_free(f->ctx, empty);
}

static void test_names_are_one_name_space(Fixture *f, gconstpointer data)
{
    BlockBackend *blk = blk_new(0, BLK_PERM_ALL);
    g_autoptr(GError) err = NULL;

    g_assert_false(blk_set_name(blk, "disk", &err));
    g_assert_cmpstr(err->message, ==,
                    "Device name 'disk' conflicts with an existing node name");
    g_clear_error(&err);
    g_assert_false(blk_set_name(blk, "1st", &err));
    g_assert_cmpstr(err->message, ==, "Invalid device name '1st'");
    g_clear_error(&err);
    g_assert_true(blk_set_name(blk, "drive0", NULL));
    g_assert_true(blk_by_name("drive0") == blk);
    g_assert_false(blk_set_name(f->blk, "drive0", &err));
    g_assert_cmpstr(err->message, ==, "Device with id 'drive0' already exists");
    g_clear_error(&err);
    g_assert_false(bdrv_name_is_free("drive0", &err));
    g_assert_cmpstr(err->message, ==,
                    "node-name=drive0 is conflicting with a device id");
    test_backend_free(f->ctx, blk);
}

static void test_named_backends_come_first(Fixture *f, gconstpointer data)
{
    BlockBackend *named = blk_new(0, BLK_PERM_ALL);

    blk_set_name(named, "drive0", NULL);
    g_assert_true(blk_next(NULL) == named);
    g_assert_true(blk_next(named) == f->blk);
    g_assert_null(blk_next(f->blk));
    test_backend_free(f->ctx, named);
}

static void coroutine_fn unref_entry(void *opaque)
{
    blk_co_unref(opaque);
}

/* A query may take a reference while the last user's leaving waits. */
static void test_looking_at_a_leaving_backend(Fixture *f, gconstpointer data)
{
    BlockBackend *blk = test_backend(f->ctx, f->bs);
    TestRequest req = {
        .blk = blk, .type = TEST_WRITE, .bytes = 512, .pattern = 1,
    };

    f->disk->hold = true;
    test_request_start(f->ctx, &req);
    coroutine_start(unref_entry, blk);
    test_settle(f->ctx);
    blk_ref(blk);
    test_disk_release(f->bs);
    test_settle(f->ctx);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    g_assert_null(blk_bs(blk));
    test_backend_free(f->ctx, blk);
    g_assert_null(blk_next(f->blk));
}

static void coroutine_fn drive_entry(void *opaque)
{
    g_autoptr(GError) err = NULL;
    BlockBackend *blk;

    drive_co_add("driver=null-co,id=d", false, &err);
    g_assert_no_error(err);
    blk = blk_by_name("d");
    blk_ref(blk);
    drive_co_close_all();
    bdrv_co_close_all();
    g_assert_null(blk_bs(blk));
    blk_co_unref(blk);
}

/* A command that still uses a drive at the end. */
static void test_drive_in_use_at_exit(void)
{
    AioContext *ctx = test_block_begin();

    test_run(ctx, drive_entry, NULL);
    test_block_end(ctx);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/backend/gate/holds", test_gate_holds_requests },
        { "/backend/gate/flush", test_flush_passes_closed_gate },
        { "/backend/half-open", test_half_open_node_is_not_used },
        { "/backend/gate/permission", test_permission_is_lost_at_the_gate },
        { "/backend/gate/order", test_gate_keeps_order },
        { "/backend/gate/cancel", test_owner_takes_its_requests_back },
        { "/backend/gate/guest", test_guest_gate_is_for_guests },
        { "/backend/drain/waits", test_drain_waits_for_what_is_in_flight },
        { "/backend/drain/depth", test_question_for_the_depth_waits },
        { "/backend/drain/gate", test_drain_does_not_wait_for_the_gate },
        { "/backend/statistics", test_statistics },
        { "/backend/statistics-failed", test_failed_requests_take_time },
        { "/backend/histogram", test_histogram_bins },
        { "/backend/no-medium", test_no_node_is_no_medium },
        { "/backend/leaving", test_looking_at_a_leaving_backend },
        { "/backend/names", test_names_are_one_name_space },
        { "/backend/next", test_named_backends_come_first },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add_func("/backend/drive-at-exit", test_drive_in_use_at_exit);
    return g_test_run();
}
