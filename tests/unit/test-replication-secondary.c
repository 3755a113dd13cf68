/*
 * replication, the secondary: isolation, errors, checkpoints
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "log-capture.h"
#include "replication-secondary-fixture.h"

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
    gpointer args[] = { blk, blk_bs(f->peer), &err };

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

static void test_disk_that_is_written_stays_writable(Fixture *f,
                                                     gconstpointer data)
{
    g_autoptr(GError) err = NULL;
    gpointer args[] = { f->peer, f->disk, &err };
    bool read_only = true;

    test_run(f->ctx, remove_user, f->peer);
    test_run(f->ctx, make_read_only, &read_only);
    step_ok(f->ctx, f->r, STEP_START);
    test_run(f->ctx, insert_user, args);
    g_assert_no_error(err);

    log_capture_begin();
    step_ok(f->ctx, f->r, STEP_STOP);
    log_capture_end("node 'disk' stays writable: ");
    g_assert_false(bdrv_is_read_only(f->disk));
}

/* Isolation */

/* At the end of replication the filter goes, and its users stay. */
static void test_users_can_do_without_the_filter(Fixture *f,
                                                 gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    test_run(f->ctx, remove_user, f->peer);
    g_assert_null(open_node(f->ctx, &err, "{'driver': 'quorum', "
                            "'node-name': 'q', 'vote-threshold': 1, "
                            "'children': ['disk']}"));
    g_assert_true(g_str_has_prefix(err->message, "Permission conflict on "
                                   "node 'disk': permissions 'write'"));
    step_ok(f->ctx, f->r, STEP_STOP);
}

/* Whoever comes to the disk by its name is before the filter, too. */
static void test_later_writer_is_isolated(Fixture *f, gconstpointer data)
{
    BlockDriverState *found = bdrv_lookup("disk", NULL);
    BlockBackend *late = new_user(f, found, BLK_PERM_WRITE);

    g_assert_true(found != f->disk);
    g_assert_cmpint(test_write(f->ctx, late, 0, 4096, 0x22), ==, 0);
    g_assert_cmphex(disk(f)->data[0], ==, 0x22);
    g_assert_true(guest_sees(f, 0, 4096, 0x11));
    test_backend_free(f->ctx, late);
    step_ok(f->ctx, f->r, STEP_STOP);
    g_assert_true(bdrv_lookup("disk", NULL) == f->disk);
}

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

static void assert_flush_error(Fixture *f)
{
    g_assert_cmpint(replication_error(f->r)->ret, ==, -ENOSPC);
    g_assert_cmpstr(replication_error(f->r)->node_name, ==, "disk");
    g_assert_cmpint(replication_error(f->r)->offset, ==, -1);
    g_assert_cmpuint(seen.errors, ==, 1);
}

static void test_flush_error_sticks(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    disk(f)->fail_flush = ENOSPC;
    g_assert_cmpint(test_simple(f->ctx, f->peer, TEST_FLUSH, 0, 0, 0), ==,
                    -ENOSPC);
    disk(f)->fail_flush = 0;
    assert_flush_error(f);
    g_assert_false(step_run(f->ctx, f->r, STEP_PREPARE, NULL));
    g_assert_true(guest_sees(f, 0, 512, 0x11));
}

/* A stop cannot be refused any more then; who asks for the error knows. */
static void test_last_flush_fails(Fixture *f, gconstpointer data)
{
    peer_writes(f, 0, 512, 0x22);
    disk(f)->fail_flush = ENOSPC;
    step_ok(f->ctx, f->r, STEP_STOP);
    disk(f)->fail_flush = 0;
    assert_state(f->r, "none");
    assert_flush_error(f);
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

static void coroutine_fn drain_entry(void *opaque)
{
    bdrv_co_drained_begin(opaque);
}

/* A write that reaches the disk while the filter is being drained. */
static void drained_write(Fixture *f, Step *s)
{
    TestRequest a = request(f->peer, TEST_WRITE, 0, 512, 0xaa);
    BlockDriverState *filter = blk_bs(f->peer);

    disk(f)->hold = true;
    test_request_start(f->ctx, &a);
    coroutine_start(drain_entry, filter);
    if (s) {
        step_begin(f->ctx, s);
        replication_abort_checkpoint(f->r);
    }
    test_disk_release(f->disk);
    test_settle(f->ctx);
    g_assert_cmpint(a.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    bdrv_drained_end(filter);
}

static void test_drain_ends_slow_acks(Fixture *f, gconstpointer data)
{
    Step settle = { .step = STEP_SETTLE, .r = f->r };
    Step prepare = { .step = STEP_PREPARE, .r = f->r };

    high_mark(f, 600);
    layers(f)->used_bytes = 900;
    drained_write(f, NULL);
    /* Nor does a checkpoint that is given up meanwhile slow them down. */
    drained_write(f, &settle);
    drained_write(f, &prepare);
    g_assert_cmpint(f->clock.now_ns, ==, 0);
    g_assert_cmpint(ack_delay(f, 800), ==, 250);
    /* And the end of a drain does not when a checkpoint is near. */
    step_ok(f->ctx, f->r, STEP_SETTLE);
    drained_write(f, NULL);
    g_assert_cmpint(ack_delay(f, 800), ==, 0);
}

int main(int argc, char **argv)
{
    static const SecondaryTest tests[] = {
        { "options", NULL, true, test_options },
        { "no-resize/idle", NULL, true, test_nobody_may_resize },
        { "no-resize/running", NULL, false, test_nobody_may_resize },

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
        { "stop/writer", NULL, true,
          test_disk_that_is_written_stays_writable },

        { "view/isolated", NULL, false, test_view_is_isolated },
        { "stop/users", NULL, false, test_users_can_do_without_the_filter },
        { "view/later-writer", NULL, false, test_later_writer_is_isolated },
        { "view/checkpoint", NULL, false, test_checkpoint_shows_the_disk },
        { "view/abort", NULL, false, test_abort_keeps_the_view },
        { "view/discard", NULL, false, test_discard_becomes_zeroes },
        { "view/export", NULL, false, test_reads_through_the_filter },
        { "view/counters", NULL, false, test_counters },
        { "view/lock", NULL, false, test_reader_waits_for_a_forward },
        { "view/order", NULL, false, test_forwards_keep_their_order },

        { "error/before-image", NULL, false, test_no_before_image_no_write },
        { "error/disk", NULL, false, test_disk_error_sticks },
        { "error/flush", NULL, false, test_flush_error_sticks },
        { "error/last-flush", NULL, false, test_last_flush_fails },
        { "error/layers", NULL, false, test_layers_report_errors },

        { "checkpoint/waits", NULL, false, test_prepare_waits_for_forwards },
        { "checkpoint/undone", NULL, false, test_failed_prepare_is_undone },
        { "checkpoint/failover", NULL, false, test_failover_ends_prepare },

        { "high-mark/once", NULL, false, test_high_mark_asks_once },
        { "high-mark/slow", NULL, false, test_acknowledgements_slow_down },
        { "high-mark/settle", NULL, false, test_settle_ends_slow_acks },
        { "high-mark/drain", NULL, false, test_drain_ends_slow_acks },
    };

    return run_secondary_tests(argc, argv, tests, ARRAY_SIZE(tests));
}
