/*
 * replication, the secondary: failover, states, the end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-secondary-fixture.h"

#include "log-capture.h"

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
    g_assert_cmpuint(seen.closings, ==, 1);
    g_assert_false(has_filter(f));
    g_assert_cmpuint(layers(f)->dropped, ==, 1);
    g_assert_cmphex(disk(f)->data[0], ==, 0x22);
    g_assert_nonnull(strstr(seen.states->str, "running>none"));
}

static void test_close_unmerged_is_loud(Fixture *f, gconstpointer data)
{
    replication_failover(f->r);
    log_capture_begin();
    close_guest(f);
    log_capture_end("node 'r0' is closed before its layers were merged: 1000 "
                    "of 1000 bytes are NOT in the disk 'disk'");
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
    static const SecondaryTest tests[] = {
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

    return run_secondary_tests(argc, argv, tests, ARRAY_SIZE(tests));
}
