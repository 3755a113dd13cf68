/*
 * replication, the secondary: isolation, checkpoints, failover, states
 *
 *   top1 (quorum) -> r0 (replication) -> layers -> disk <- export
 *
 * "The peer" in the tests is whoever writes through the export.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fake-layers.h"
#include "replication-helpers.h"

#include "util/log.h"

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *disk, *layers, *node, *quorum;
    BlockBackend *guest, *peer;
    Replication *r;
} Fixture;

static void coroutine_fn insert_user(void *opaque)
{
    gpointer *args = opaque;

    blk_co_insert_bs(args[0], args[1], args[2]);
}

static BlockBackend *new_user(Fixture *f, BlockDriverState *bs, uint64_t perm)
{
    g_autoptr(GError) err = NULL;
    BlockBackend *blk = blk_new(perm, BLK_PERM_ALL);
    gpointer args[] = { blk, bs, &err };

    test_run(f->ctx, insert_user, args);
    g_assert_no_error(err);
    return blk;
}

/* @data: the top-id, "top1" by default. */
static void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, &fake_layers_driver,
        &fake_overlay_driver, &bdrv_quorum, &bdrv_replication, NULL
    };
    const uint64_t perm = BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE;
    g_autoptr(GError) err = NULL;

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(&f->clock, NULL);
    observe();
    f->disk = test_open_disk(f->ctx, "disk");
    memset(test_disk(f->disk)->data, 0x11, TEST_DISK_SIZE);
    f->layers = open_node(f->ctx, &err, "{'driver': 'colo-buffer', "
                          "'node-name': 'layers', 'backing': 'disk'}");
    g_assert_no_error(err);
    f->node = open_node(f->ctx, &err, "{'driver': 'replication', "
                        "'node-name': 'r0', 'mode': 'secondary', "
                        "'discard': 'unmap', 'top-id': '%s', "
                        "'file': 'layers'}", data ? (const char *)data
                                                  : "top1");
    g_assert_no_error(err);
    f->quorum = open_node(f->ctx, &err, "{'driver': 'quorum', "
                          "'node-name': 'top1', 'read-pattern': 'fifo', "
                          "'vote-threshold': 1, 'children': ['r0'], "
                          "'discard': 'unmap'}");
    g_assert_no_error(err);
    f->guest = new_user(f, f->quorum, perm);
    f->peer = new_user(f, f->disk, perm);
    f->r = replication_find("r0");
}

static void setup_running(Fixture *f, gconstpointer data)
{
    setup(f, data);
    step_ok(f->ctx, f->r, STEP_START);
}

static void close_guest(Fixture *f)
{
    if (f->guest) {
        test_backend_free(f->ctx, f->guest);
        test_unref(f->ctx, f->quorum);
        test_unref(f->ctx, f->node);
        f->guest = NULL;
    }
}

static void teardown(Fixture *f, gconstpointer data)
{
    fake_release(f->layers);
    test_disk_release(f->disk);
    test_settle(f->ctx);
    close_guest(f);
    test_backend_free(f->ctx, f->peer);
    test_unref(f->ctx, f->layers);
    test_unref(f->ctx, f->disk);
    g_assert_null(replication_next(NULL));
    observe_end();
    test_block_end(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static TestDisk *disk(Fixture *f)
{
    return test_disk(f->disk);
}

static FakeLayers *layers(Fixture *f)
{
    return fake_layers(f->layers);
}

static void peer_writes(Fixture *f, int64_t offset, int64_t bytes,
                        uint8_t pattern)
{
    g_assert_cmpint(test_write(f->ctx, f->peer, offset, bytes, pattern),
                    ==, 0);
}

static void guest_writes(Fixture *f, int64_t offset, int64_t bytes,
                         uint8_t pattern)
{
    g_assert_cmpint(test_write(f->ctx, f->guest, offset, bytes, pattern),
                    ==, 0);
}

static bool guest_sees(Fixture *f, int64_t offset, int64_t bytes,
                       uint8_t pattern)
{
    return reads_as(f->ctx, f->guest, offset, bytes, pattern);
}

static TestRequest request(BlockBackend *blk, int type, int64_t offset,
                           int64_t bytes, uint8_t pattern)
{
    return (TestRequest) {
        .blk = blk, .type = type, .offset = offset, .bytes = bytes,
        .pattern = pattern,
    };
}

static int error_of(Fixture *f)
{
    return replication_error(f->r)->ret;
}

static bool has_filter(Fixture *f)
{
    return blk_bs(f->peer) != f->disk;
}

/* Options and permissions */

static void test_options(Fixture *f, gconstpointer data)
{
    const char *base = "'driver': 'replication', 'mode': 'secondary', "
                       "'file': 'layers'";
    static const char *const primary_only[][2] = {
        { "protocol", "'sync'" },
        { "window-bytes", "65536" },
        { "window-requests", "1" },
        { "on-congestion", "'block'" },
        { "timeout", "1000" },
    };

    assert_open_error("Missing the option top-id", f->ctx, "{%s}", base);
    for (size_t i = 0; i < G_N_ELEMENTS(primary_only); i++) {
        g_autofree char *text = g_strdup_printf(
            "The secondary side does not support option %s",
            primary_only[i][0]);

        assert_open_error(text, f->ctx, "{%s, 'top-id': 'x', '%s': %s}", base,
                          primary_only[i][0], primary_only[i][1]);
    }
}

static void test_nobody_may_resize(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;
    BlockBackend *blk = blk_new(BLK_PERM_RESIZE, BLK_PERM_ALL);
    gpointer args[] = { blk, f->disk, &err };

    test_run(f->ctx, insert_user, args);
    g_assert_nonnull(err);
    g_assert_nonnull(strstr(err->message, "'resize'"));
    test_backend_free(f->ctx, blk);
}

/* Before start */

static void test_no_view_before_start(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    g_assert_cmpint(test_read(f->ctx, f->guest, 0, 1, &byte), ==, -EIO);
    g_assert_cmpint(test_write(f->ctx, f->guest, 0, 1, 1), ==, -EIO);
    g_assert_cmpint(test_simple(f->ctx, f->guest, TEST_ZEROES, 0, 512, 0),
                    ==, -EIO);
    peer_writes(f, 0, 512, 0x22);
    g_assert_cmphex(disk(f)->data[0], ==, 0x22);
}

static void test_wrong_top(Fixture *f, gconstpointer data)
{
    step_fails(f->ctx, f->r, STEP_START, "No top_bs or it is invalid");
    assert_state(f->r, "none");
    g_assert_false(has_filter(f));
}

static void test_right_top(Fixture *f, gconstpointer data)
{
    step_ok(f->ctx, f->r, STEP_START);
    g_assert_true(bdrv_is_above_or_same(replication_top(f->r), f->node));
    g_assert_true(replication_disk(f->r) == f->disk);
}

/* The text of a start with @driver below replication. */
static void assert_start_error(Fixture *f, const char *text, const char *file)
{
    g_autoptr(GError) err = NULL;
    BlockDriverState *bs = open_node(f->ctx, &err,
        "{'driver': 'replication', 'node-name': 'r1', 'mode': 'secondary', "
        "'top-id': 'r1', 'file': %s}", file);

    g_assert_no_error(err);
    step_fails(f->ctx, replication_find("r1"), STEP_START, text);
    test_unref(f->ctx, bs);
}

static void test_chain_is_checked(Fixture *f, gconstpointer data)
{
    assert_start_error(f, "Active disk doesn't have backing file", "'disk'");
    assert_start_error(f, "Active disk or hidden disk doesn't support "
                       "make_empty",
                       "{'driver': 'throttle', 'throttle-group': 'g', "
                       "'file': 'disk'}");
    f->disk->total_bytes = 4096;
    step_fails(f->ctx, f->r, STEP_START, "Active disk, hidden disk, secondary "
               "disk's length are not the same");
    f->disk->total_bytes = TEST_DISK_SIZE;
}

static void test_failed_start_is_undone(Fixture *f, gconstpointer data)
{
    layers(f)->fail_start = true;
    step_fails(f->ctx, f->r, STEP_START, "no space for the layers");
    assert_state(f->r, "none");
    g_assert_false(has_filter(f));
    layers(f)->fail_start = false;
    step_ok(f->ctx, f->r, STEP_START);
}

static void test_start_inserts_the_filter(Fixture *f, gconstpointer data)
{
    g_assert_cmpstr(blk_bs(f->peer)->drv->format_name, ==,
                    "replication-target");
    g_assert_true(f->layers->backing->bs == f->disk);
    g_assert_cmpstr(seen.states->str, ==, "none>running ");
}

static void coroutine_fn remove_user(void *opaque)
{
    blk_co_remove_bs(opaque);
}

static void coroutine_fn make_read_only(void *opaque)
{
    bool *read_only = opaque;

    g_assert_true(bdrv_co_reopen_set_read_only(bdrv_find_node("disk"),
                                               *read_only, NULL));
}

static void test_read_only_disk_is_reopened(Fixture *f, gconstpointer data)
{
    bool read_only = true;

    test_run(f->ctx, remove_user, f->peer);
    test_run(f->ctx, make_read_only, &read_only);
    step_ok(f->ctx, f->r, STEP_START);
    g_assert_false(bdrv_is_read_only(f->disk));
    step_ok(f->ctx, f->r, STEP_STOP);
    g_assert_true(bdrv_is_read_only(f->disk));
}

/* Isolation */

static void test_view_is_isolated(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 4096, 0x22);
    guest_writes(f, 512, 512, 0x33);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    g_assert_true(guest_sees(f, 512, 512, 0x33));
    g_assert_true(guest_sees(f, 1024, 3072, 0x11));
    g_assert_cmphex(disk(f)->data[512], ==, 0x22);
}

static void test_checkpoint_shows_the_disk(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 4096, 0x22);
    guest_writes(f, 512, 512, 0x33);
    checkpoint_ok(f->ctx, f->r);
    g_assert_true(guest_sees(f, 0, 4096, 0x22));
    g_assert_true(guest_sees(f, 4096, 512, 0x11));
}

static void test_abort_keeps_the_view(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 4096, 0x22);
    guest_writes(f, 512, 512, 0x33);
    step_ok(f->ctx, f->r, STEP_PREPARE);
    replication_abort_checkpoint(f->r);
    g_assert_cmpuint(layers(f)->aborted, ==, 1);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    g_assert_true(guest_sees(f, 512, 512, 0x33));
    peer_writes(f, 0, 512, 0x44);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
}

static void test_discard_becomes_zeroes(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_simple(f->ctx, f->peer, TEST_DISCARD, 512, 512, 0),
                    ==, 0);
    g_assert_cmpuint(disk(f)->discards, ==, 0);
    g_assert_cmphex(disk(f)->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
    g_assert_cmphex(disk(f)->data[512], ==, 0);
    g_assert_true(guest_sees(f, 512, 512, 0x11));
    g_assert_cmpint(test_simple(f->ctx, f->guest, TEST_DISCARD, 1024, 512, 0),
                    ==, 0);
    g_assert_true(guest_sees(f, 1024, 512, 0));
    g_assert_cmphex(disk(f)->data[1024], ==, 0x11);
}

static void test_reads_through_the_filter(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    guest_writes(f, 0, 512, 0x33);
    g_assert_true(reads_as(f->ctx, f->peer, 0, 512, 0x22));
    g_assert_cmpint(test_simple(f->ctx, f->peer, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(disk(f)->flushes, ==, 1);
}

static void test_counters(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);

    peer_writes(f, 0, 512, 0x22);
    peer_writes(f, 0, 100, 0x22);
    replication_get_info(f->r, info);
    g_assert_cmpint(info->secondary->received_bytes, ==, 612);
    g_assert_cmpint(info->secondary->received_requests, ==, 2);
    g_assert_cmpstr(info->secondary->top, ==, "top1");
    g_assert_cmpstr(info->secondary->disk, ==, "disk");
    g_assert_cmpint(info->secondary->max_bytes, ==, 1000);
    g_assert_false(info->secondary->has_merge_done);
}

/* A reader never sees a forward that is half done (rule 1). */
static void test_reader_waits_for_a_forward(Fixture *f, gconstpointer data)
{
    TestRequest w = request(f->peer, TEST_WRITE, 5000, 100, 0x22);
    TestRequest r = request(f->guest, TEST_READ, 4096, 512, 0);

    layers(f)->copy_unit = 4096;
    layers(f)->hold_before_write = true;
    test_request_start(f->ctx, &w);
    test_request_start(f->ctx, &r);
    g_assert_cmpint(r.ret, ==, 1);
    g_assert_true(guest_sees(f, 8192, 512, 0x11));
    fake_release(f->layers);
    g_assert_cmpint(test_request_finish(f->ctx, &w), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &r), ==, 0);
    g_assert_true(guest_sees(f, 5000, 100, 0x11));
}

static void test_forwards_keep_their_order(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    TestRequest b = request(f->peer, TEST_WRITE, 256, 512, 0xbb);

    layers(f)->hold_before_write = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    fake_release(f->layers);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_cmphex(disk(f)->data[255], ==, 0xaa);
    g_assert_cmphex(disk(f)->data[256], ==, 0xbb);
}

/* Errors */

static void test_no_before_image_no_write(Fixture *f, gconstpointer data)
{
    layers(f)->fail_before_write = ENOSPC;
    g_assert_cmpint(test_write(f->ctx, f->peer, 512, 512, 0x22), ==, -ENOSPC);
    g_assert_cmphex(disk(f)->data[512], ==, 0x11);
    g_assert_cmpint(error_of(f), ==, -ENOSPC);
    g_assert_cmpuint(seen.errors, ==, 1);
    layers(f)->fail_before_write = 0;
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "Replication of node 'r0' failed: holding what a write of the "
               "primary replaces at offset 512 of node 'layers': No space left "
               "on device");
    assert_state(f->r, "running");
    /* Later forwards still arrive, and the view is still right. */
    peer_writes(f, 0, 512, 0x22);
    g_assert_true(guest_sees(f, 0, 1024, 0x11));

    step_ok(f->ctx, f->r, STEP_STOP);
    step_ok(f->ctx, f->r, STEP_START);
    g_assert_cmpint(error_of(f), ==, 0);
    checkpoint_ok(f->ctx, f->r);
}

static void test_disk_error_sticks(Fixture *f, gconstpointer data)
{
    disk(f)->fail_write = EIO;
    g_assert_cmpint(test_write(f->ctx, f->peer, 512, 512, 0x22), ==, -EIO);
    disk(f)->fail_write = 0;
    g_assert_cmpstr(replication_error(f->r)->node_name, ==, "disk");
    g_assert_cmpint(replication_error(f->r)->offset, ==, 512);
    g_assert_true(guest_sees(f, 512, 512, 0x11));
}

static void test_layers_report_errors(Fixture *f, gconstpointer data)
{
    const ColoLayersObserver *o = layers(f)->observer;

    o->error(o->opaque, "active", 4096, -EIO);
    g_assert_cmpstr(replication_error(f->r)->what, ==, "active layer");
    g_assert_cmpstr(replication_error(f->r)->node_name, ==, "layers");
    o->error(o->opaque, "disk", 0, -ENOSPC);
    g_assert_cmpint(error_of(f), ==, -EIO);
    g_assert_cmpuint(seen.errors, ==, 1);
}

/* Checkpoint */

static void test_prepare_waits_for_forwards(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    TestRequest b = request(f->peer, TEST_WRITE, 4096, 512, 0xbb);
    Step s = { .step = STEP_PREPARE, .r = f->r };

    disk(f)->hold = true;
    test_request_start(f->ctx, &a);
    step_begin(f->ctx, &s);
    g_assert_false(s.ended);
    /* One that comes now belongs to the next epoch. */
    test_request_start(f->ctx, &b);
    test_disk_release(f->disk);
    test_settle(f->ctx);
    g_assert_true(s.ended && s.ok);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(b.ret, ==, 1);
    replication_do_checkpoint(f->r);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_true(guest_sees(f, 0, 512, 0xaa));
    g_assert_true(guest_sees(f, 4096, 512, 0x11));
}

static void test_failed_prepare_is_undone(Fixture *f, gconstpointer data)
{
    layers(f)->fail_prepare = true;
    step_fails(f->ctx, f->r, STEP_PREPARE, "no space for the next layers");
    assert_state(f->r, "running");
    peer_writes(f, 0, 512, 0x22);
    layers(f)->fail_prepare = false;
    checkpoint_ok(f->ctx, f->r);
}

static void test_failover_ends_prepare(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    g_autoptr(GError) err = NULL;
    Step s = { .step = STEP_PREPARE, .r = f->r, .errp = &err };

    disk(f)->hold = true;
    test_request_start(f->ctx, &a);
    step_begin(f->ctx, &s);
    replication_failover(f->r);
    test_settle(f->ctx);
    g_assert_true(s.ended);
    g_assert_cmpstr(err->message, ==,
                    "The checkpoint of node 'r0' was aborted");
    assert_state(f->r, "failover");
    test_disk_release(f->disk);
    test_request_finish(f->ctx, &a);
}

/* The high mark */

static void high_mark(Fixture *f, int64_t used)
{
    const ColoLayersObserver *o = layers(f)->observer;

    layers(f)->used_bytes = used;
    o->high_mark(o->opaque);
}

static void test_high_mark_asks_once(Fixture *f, gconstpointer data)
{
    high_mark(f, 600);
    high_mark(f, 600);
    g_assert_cmpuint(seen.high_marks, ==, 1);
    checkpoint_ok(f->ctx, f->r);
    high_mark(f, 600);
    g_assert_cmpuint(seen.high_marks, ==, 2);
}

/* How long a forward is held back with @used bytes held, in ms. */
static int64_t ack_delay(Fixture *f, int64_t used)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    int64_t start = f->clock.now_ns;

    layers(f)->used_bytes = used;
    test_request_start(f->ctx, &a);
    while (a.ret == 1) {
        f->clock.now_ns = aio_next_deadline_ns(f->ctx);
        test_settle(f->ctx);
    }
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    return (f->clock.now_ns - start) / SCALE_MS;
}

static void test_acknowledgements_slow_down(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(ack_delay(f, 500), ==, 0);
    high_mark(f, 600);
    g_assert_cmpint(ack_delay(f, 600), ==, 0);
    g_assert_cmpint(ack_delay(f, 800), ==, 250);
    g_assert_cmpint(ack_delay(f, 1000), ==, 500);
    g_assert_cmpint(ack_delay(f, 2000), ==, 500);
    checkpoint_ok(f->ctx, f->r);
    g_assert_cmpint(ack_delay(f, 800), ==, 0);
}

static void test_settle_ends_slow_acks(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    TestRequest b = request(f->peer, TEST_WRITE, 512, 512, 0xaa);

    high_mark(f, 600);
    layers(f)->used_bytes = 900;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    g_assert_cmpint(a.ret, ==, 1);
    step_ok(f->ctx, f->r, STEP_SETTLE);
    test_settle(f->ctx);
    g_assert_cmpint(a.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_cmpint(f->clock.now_ns, ==, 0);
    checkpoint_ok(f->ctx, f->r);
}

/* Failover */

static void test_failover_merges(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 4096, 0x22);
    guest_writes(f, 512, 512, 0x33);
    replication_failover(f->r);
    assert_state(f->r, "failover");
    guest_writes(f, 8192, 512, 0x44);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    step_ok(f->ctx, f->r, STEP_MERGE);
    assert_state(f->r, "done");
    g_assert_false(has_filter(f));
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    g_assert_cmphex(disk(f)->data[0], ==, 0x11);
    g_assert_cmphex(disk(f)->data[512], ==, 0x33);
    g_assert_cmphex(disk(f)->data[8192], ==, 0x44);
    guest_writes(f, 0, 512, 0x55);
    g_assert_cmphex(disk(f)->data[0], ==, 0x55);
}

static void test_late_requests_are_refused(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);
    uint8_t byte;

    replication_failover(f->r);
    g_assert_cmpint(test_write(f->ctx, f->peer, 0, 512, 0x22), ==,
                    -ESHUTDOWN);
    g_assert_cmpint(test_simple(f->ctx, f->peer, TEST_ZEROES, 0, 512, 0), ==,
                    -ESHUTDOWN);
    g_assert_cmpint(test_simple(f->ctx, f->peer, TEST_DISCARD, 0, 512, 0), ==,
                    -ESHUTDOWN);
    g_assert_cmpint(test_read(f->ctx, f->peer, 0, 1, &byte), ==, -ESHUTDOWN);
    g_assert_cmphex(disk(f)->data[0], ==, 0x11);
    g_assert_cmpuint(disk(f)->writes, ==, 0);
    replication_get_info(f->r, info);
    g_assert_cmpint(info->secondary->received_requests, ==, 0);
}

/* What has arrived but not reached the disk is as late as what arrives. */
static void test_waiting_requests_are_refused(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    TestRequest b = request(f->peer, TEST_WRITE, 0, 512, 0xbb);

    layers(f)->hold_before_write = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    replication_failover(f->r);
    fake_release(f->layers);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, -ESHUTDOWN);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, -ESHUTDOWN);
    g_assert_cmphex(disk(f)->data[0], ==, 0x11);
    g_assert_cmpint(error_of(f), ==, 0);
}

/* One that is being written has its before-image: the merge undoes it. */
static void test_write_in_flight_is_undone(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    Step s = { .step = STEP_MERGE, .r = f->r };

    peer_writes(f, 0, 512, 0x22);
    disk(f)->hold = true;
    test_request_start(f->ctx, &a);
    g_assert_cmpuint(disk(f)->writes, ==, 2);
    replication_failover(f->r);
    step_begin(f->ctx, &s);
    g_assert_false(s.ended);
    test_disk_release(f->disk);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    test_settle(f->ctx);
    g_assert_true(s.ended && s.ok);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    g_assert_cmphex(disk(f)->data[0], ==, 0x11);
}

static void test_failover_while_prepared(Fixture *f, gconstpointer data)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);

    peer_writes(f, 4096, 512, 0x22);
    step_ok(f->ctx, f->r, STEP_PREPARE);
    test_request_start(f->ctx, &a);
    replication_failover(f->r);
    g_assert_cmpuint(layers(f)->aborted, ==, 1);
    step_ok(f->ctx, f->r, STEP_MERGE);
    test_request_finish(f->ctx, &a);
    g_assert_true(guest_sees(f, 0, 8192, 0x11));
}

static void test_failed_merge_is_repeated(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    replication_failover(f->r);
    layers(f)->fail_merge = EIO;
    g_assert_false(step_run(f->ctx, f->r, STEP_MERGE, NULL));
    assert_state(f->r, "failover-failed");
    g_assert_cmpint(error_of(f), ==, -EIO);
    g_assert_true(guest_sees(f, 0, 512, 0x11));
    guest_writes(f, 512, 512, 0x33);

    layers(f)->fail_merge = 0;
    replication_failover(f->r);
    assert_state(f->r, "failover");
    step_ok(f->ctx, f->r, STEP_MERGE);
    assert_state(f->r, "done");
    g_assert_cmpint(error_of(f), ==, 0);
    g_assert_cmphex(disk(f)->data[0], ==, 0x11);
    g_assert_cmphex(disk(f)->data[512], ==, 0x33);
}

static void test_merge_is_visible(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);
    Step s = { .step = STEP_MERGE, .r = f->r };

    replication_failover(f->r);
    layers(f)->hold_merge = true;
    step_begin(f->ctx, &s);
    replication_set_merge_speed(f->r, 4096);
    g_assert_cmpint(layers(f)->speed, ==, 4096);
    replication_get_info(f->r, info);
    g_assert_cmpint(info->secondary->merge_done, ==, 0);
    g_assert_cmpint(info->secondary->merge_total, ==, 1000);
    fake_release(f->layers);
    test_settle(f->ctx);
    g_assert_true(s.ended && s.ok);
}

/* States */

static void test_state_none(Fixture *f, gconstpointer data)
{
    step_fails(f->ctx, f->r, STEP_PREPARE, "Block replication is not running");
    step_fails(f->ctx, f->r, STEP_STOP, "Block replication is not running");
    replication_failover(f->r);
    assert_state(f->r, "none");
    step_ok(f->ctx, f->r, STEP_START);
    assert_state(f->r, "running");
}

static void test_state_running(Fixture *f, gconstpointer data)
{
    step_fails(f->ctx, f->r, STEP_START,
               "Block replication is running or done");
    checkpoint_ok(f->ctx, f->r);
    assert_state(f->r, "running");
    step_ok(f->ctx, f->r, STEP_STOP);
    assert_state(f->r, "none");
}

static void test_state_prepared(Fixture *f, gconstpointer data)
{
    step_ok(f->ctx, f->r, STEP_PREPARE);
    assert_state(f->r, "prepared");
    step_fails(f->ctx, f->r, STEP_START,
               "Block replication is running or done");
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "A checkpoint of node 'r0' is already under way");
    step_ok(f->ctx, f->r, STEP_STOP);
    assert_state(f->r, "none");
    g_assert_cmpuint(layers(f)->aborted, ==, 1);
}

static void assert_all_ignored(Fixture *f)
{
    BlockReplicationState before = replication_state(f->r);

    step_ok(f->ctx, f->r, STEP_START);
    checkpoint_ok(f->ctx, f->r);
    step_ok(f->ctx, f->r, STEP_STOP);
    replication_failover(f->r);
    g_assert_cmpint(replication_state(f->r), ==, before);
}

static void test_state_failover(Fixture *f, gconstpointer data)
{
    replication_failover(f->r);
    assert_all_ignored(f);
    step_ok(f->ctx, f->r, STEP_MERGE);
}

static void test_state_done(Fixture *f, gconstpointer data)
{
    replication_failover(f->r);
    step_ok(f->ctx, f->r, STEP_MERGE);
    assert_all_ignored(f);
    g_assert_cmpstr(seen.states->str, ==,
                    "none>running running>failover failover>done ");
}

static void test_state_failover_failed(Fixture *f, gconstpointer data)
{
    const char *text = "The failover of node 'r0' could not merge its layers; "
                       "repeat the failover";

    replication_failover(f->r);
    layers(f)->fail_merge = EIO;
    g_assert_false(step_run(f->ctx, f->r, STEP_MERGE, NULL));
    step_fails(f->ctx, f->r, STEP_START,
               "Block replication is running or done");
    step_fails(f->ctx, f->r, STEP_PREPARE, text);
    step_fails(f->ctx, f->r, STEP_STOP, text);
    assert_state(f->r, "failover-failed");
    layers(f)->fail_merge = 0;
    replication_failover(f->r);
    step_ok(f->ctx, f->r, STEP_MERGE);
}

static void test_restart_after_stop(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    guest_writes(f, 512, 512, 0x33);
    step_ok(f->ctx, f->r, STEP_STOP);
    g_assert_false(has_filter(f));
    g_assert_cmpuint(layers(f)->dropped, ==, 1);
    g_assert_cmpint(test_write(f->ctx, f->guest, 0, 512, 1), ==, -EIO);
    peer_writes(f, 1024, 512, 0x44);
    step_ok(f->ctx, f->r, STEP_START);
    g_assert_true(guest_sees(f, 0, 512, 0x22));
    g_assert_true(guest_sees(f, 512, 512, 0x11));
    g_assert_true(guest_sees(f, 1024, 512, 0x44));
    peer_writes(f, 0, 512, 0x55);
    g_assert_true(guest_sees(f, 0, 512, 0x22));
}

/* Close */

static void test_close_is_a_stop(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    close_guest(f);
    g_assert_false(has_filter(f));
    g_assert_cmpuint(layers(f)->dropped, ==, 1);
    g_assert_cmphex(disk(f)->data[0], ==, 0x22);
    g_assert_nonnull(strstr(seen.states->str, "running>none"));
}

static void test_close_unmerged_is_loud(Fixture *f, gconstpointer data)
{
    g_autofree char *name = NULL, *text = NULL;
    int fd = g_file_open_tmp("replication-XXXXXX", &name, NULL);

    close(fd);
    replication_failover(f->r);
    g_assert_true(log_set_file(name, NULL));
    close_guest(f);
    log_set_file(NULL, NULL);
    g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
    unlink(name);
    g_assert_nonnull(strstr(text, "node 'r0' is closed before its layers were "
                            "merged: 1000 of 1000 bytes are NOT in the disk "
                            "'disk'"));
    g_assert_false(has_filter(f));
}

static void test_close_waits_for_the_merge(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_MERGE, .r = f->r };

    guest_writes(f, 0, 512, 0x33);
    replication_failover(f->r);
    layers(f)->hold_merge = true;
    step_begin(f->ctx, &s);
    close_guest(f);
    g_assert_nonnull(replication_next(NULL));
    fake_release(f->layers);
    test_settle(f->ctx);
    g_assert_true(s.ended && s.ok);
    g_assert_null(replication_next(NULL));
    g_assert_cmphex(disk(f)->data[0], ==, 0x33);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        const char *top;
        bool idle;              /* not started */
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "options", NULL, true, test_options },
        { "no-resize", NULL, true, test_nobody_may_resize },

        { "start/no-view-before", NULL, true, test_no_view_before_start },
        { "start/top-nothing", "nope", true, test_wrong_top },
        { "start/top-unrelated", "disk", true, test_wrong_top },
        { "start/top-below", "layers", true, test_wrong_top },
        { "start/top-root", "top1", true, test_right_top },
        { "start/top-self", "r0", true, test_right_top },
        { "start/chain", NULL, true, test_chain_is_checked },
        { "start/undone", NULL, true, test_failed_start_is_undone },
        { "start/filter", NULL, false, test_start_inserts_the_filter },
        { "start/read-only-disk", NULL, true,
          test_read_only_disk_is_reopened },

        { "view/isolated", NULL, false, test_view_is_isolated },
        { "view/checkpoint", NULL, false, test_checkpoint_shows_the_disk },
        { "view/abort", NULL, false, test_abort_keeps_the_view },
        { "view/discard", NULL, false, test_discard_becomes_zeroes },
        { "view/export", NULL, false, test_reads_through_the_filter },
        { "view/counters", NULL, false, test_counters },
        { "view/lock", NULL, false, test_reader_waits_for_a_forward },
        { "view/order", NULL, false, test_forwards_keep_their_order },

        { "error/before-image", NULL, false, test_no_before_image_no_write },
        { "error/disk", NULL, false, test_disk_error_sticks },
        { "error/layers", NULL, false, test_layers_report_errors },

        { "checkpoint/waits", NULL, false, test_prepare_waits_for_forwards },
        { "checkpoint/undone", NULL, false, test_failed_prepare_is_undone },
        { "checkpoint/failover", NULL, false, test_failover_ends_prepare },

        { "high-mark/once", NULL, false, test_high_mark_asks_once },
        { "high-mark/slow", NULL, false, test_acknowledgements_slow_down },
        { "high-mark/settle", NULL, false, test_settle_ends_slow_acks },

        { "failover/merge", NULL, false, test_failover_merges },
        { "failover/late", NULL, false, test_late_requests_are_refused },
        { "failover/waiting", NULL, false, test_waiting_requests_are_refused },
        { "failover/in-flight", NULL, false, test_write_in_flight_is_undone },
        { "failover/prepared", NULL, false, test_failover_while_prepared },
        { "failover/repeated", NULL, false, test_failed_merge_is_repeated },
        { "failover/visible", NULL, false, test_merge_is_visible },

        { "state/none", NULL, true, test_state_none },
        { "state/running", NULL, false, test_state_running },
        { "state/prepared", NULL, false, test_state_prepared },
        { "state/failover", NULL, false, test_state_failover },
        { "state/failover-failed", NULL, false, test_state_failover_failed },
        { "state/done", NULL, false, test_state_done },
        { "state/restart", NULL, false, test_restart_after_stop },

        { "close/running", NULL, false, test_close_is_a_stop },
        { "close/unmerged", NULL, false, test_close_unmerged_is_loud },
        { "close/merging", NULL, false, test_close_waits_for_the_merge },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path =
            g_strdup_printf("/replication/secondary/%s", tests[i].path);

        g_test_add(path, Fixture, tests[i].top,
                   tests[i].idle ? setup : setup_running, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
