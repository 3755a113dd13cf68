/*
 * replication, the primary: forwards, window, errors, states
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-primary-fixture.h"

/* Options */

static void test_options(Fixture *f, gconstpointer data)
{
    const char *base = "'driver': 'replication', 'mode': 'primary', "
                       "'file': 'peer'";

    assert_open_error("The primary side does not support option top-id",
                      f->ctx, "{%s, 'top-id': 'x'}", base);
    assert_open_error("Parameter 'window-bytes' expects a size from 1 byte to "
                      "8 EiB", f->ctx, "{%s, 'window-bytes': 0}", base);
    assert_open_error("Parameter 'window-requests' expects a number from 1 up",
                      f->ctx, "{%s, 'window-requests': 0}", base);
}

/* Before start */

static void coroutine_fn read_entry(void *opaque)
{
    BlockDriverState *bs = opaque;
    BdrvChild edge = { .bs = bs, .perm = BLK_PERM_CONSISTENT_READ };
    uint8_t byte;

    g_assert_cmpint(bdrv_co_pread(&edge, 0, 1, &byte, 0), ==, -EIO);
}

static void test_cannot_be_read(Fixture *f, gconstpointer data)
{
    test_run(f->ctx, read_entry, f->node);
    step_ok(f->ctx, f->r, STEP_START);
    test_run(f->ctx, read_entry, f->node);
    replication_failover(f->r);
    test_run(f->ctx, read_entry, f->node);
    g_assert_cmpuint(peer(f)->reads, ==, 0);
}

static void test_unstarted_writes_are_counted(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(seen.unforwarded, ==, 0);
    write_ok(f, 0, 4096, 1);
    write_ok(f, 0, 100, 2);
    g_assert_cmpuint(peer(f)->writes, ==, 0);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 4196);
    g_assert_cmpuint(seen.unforwarded, ==, 1);
    g_assert_cmphex(local(f)->data[0], ==, 2);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(peer(f)->flushes, ==, 0);
}

static void test_start_wants_an_equal_peer(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_START, .r = f->r, .force = true };

    write_ok(f, 0, 4096, 1);
    step_fails(f->ctx, f->r, STEP_START,
               "Node 'r0': the guest wrote 4096 bytes that were not forwarded; "
               "resynchronize the peer, or force the start if both disks are "
               "known to be equal");
    assert_state(f->r, "none");
    step_begin(f->ctx, &s);
    g_assert_true(s.ok);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 0);
}

static void test_start_wants_an_equal_size(Fixture *f, gconstpointer data)
{
    f->peer->total_bytes = 4096;
    step_fails(f->ctx, f->r, STEP_START,
               "Node 'colo-disk0' has 65536 bytes, but its peer 'peer' has "
               "4096: they must be of the same size");
    f->peer->total_bytes = TEST_DISK_SIZE;
}

/* Forwards */

static void test_everything_is_forwarded(Fixture *f, gconstpointer data)
{
    write_ok(f, 0, TEST_DISK_SIZE, 0x55);
    write_ok(f, 7, 100, 0x5a);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 4096, 4096, 0),
                    ==, 0);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 8192, 512, 0),
                    ==, 0);
    test_settle(f->ctx);
    g_assert_cmphex(peer(f)->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
    g_assert_cmphex(peer(f)->data[106], ==, 0x5a);
    g_assert_cmphex(peer(f)->data[107], ==, 0x55);
    g_assert_cmphex(peer(f)->data[8192], ==, 0);
    g_assert_cmpuint(peer(f)->reads, ==, 0);
    assert_identical(f);
}

static void test_counters(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);
    TestRequest a = write_request(f, 8192, 512, 1);

    write_ok(f, 0, 4096, 1);
    peer(f)->hold = true;
    test_request_start(f->ctx, &a);
    replication_get_info(f->r, info);
    g_assert_cmpint(info->mode, ==, REPLICATION_MODE_PRIMARY);
    g_assert_cmpint(info->primary->forwarded_bytes, ==, 4096);
    g_assert_cmpint(info->primary->forwarded_requests, ==, 1);
    g_assert_cmpint(info->primary->in_flight_bytes, ==, 512);
    g_assert_cmpint(info->primary->in_flight_requests, ==, 1);
    g_assert_null(info->error);
    revive_peer(f);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
}

static void test_sync_waits_for_the_peer(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 4096, 0xaa);

    peer(f)->hold = true;
    test_request_start(f->ctx, &a);
    g_assert_cmpint(a.ret, ==, 1);
    g_assert_cmphex(local(f)->data[0], ==, 0xaa);
    revive_peer(f);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    assert_identical(f);
}

static void test_peer_starts_before_local(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 4096, 0xaa);

    local(f)->hold = true;
    test_request_start(f->ctx, &a);
    g_assert_cmphex(peer(f)->data[0], ==, 0xaa);
    test_disk_release(f->local);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
}

static void test_sync_flush_reaches_the_peer(Fixture *f, gconstpointer data)
{
    write_ok(f, 0, 4096, 1);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(peer(f)->flushes, ==, 1);
    g_assert_cmpuint(local(f)->flushes, ==, 1);
}

/* Order */

static void test_overlapping_forwards_have_one_order(Fixture *f,
                                                     gconstpointer data)
{
    TestRequest req[3] = {
        write_request(f, 0, 4096, 0xaa),
        write_request(f, 2048, 4096, 0xbb),
        write_request(f, 16384, 4096, 0xcc),
    };

    peer(f)->hold = true;
    for (int i = 0; i < 3; i++) {
        test_request_start(f->ctx, &req[i]);
    }
    /* The second one waits, the third one does not overlap. */
    g_assert_cmpuint(peer(f)->writes, ==, 2);
    revive_peer(f);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(test_request_finish(f->ctx, &req[i]), ==, 0);
    }
    test_settle(f->ctx);
    g_assert_cmphex(peer(f)->data[2048], ==, 0xbb);
    assert_identical(f);
}

/* Zeroes are not held by the disk: they would overtake if they could. */
static void test_zeroes_keep_the_order(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 4096, 0xaa);
    TestRequest z = {
        .blk = f->blk, .type = TEST_ZEROES, .offset = 512, .bytes = 512,
    };

    peer(f)->hold = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &z);
    g_assert_cmpuint(peer(f)->zeroes, ==, 0);
    revive_peer(f);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &z), ==, 0);
    test_settle(f->ctx);
    g_assert_cmphex(peer(f)->data[512], ==, 0);
    assert_identical(f);
}

/* The window */

static void test_async_does_not_wait(Fixture *f, gconstpointer data)
{
    peer(f)->hold = true;
    write_ok(f, 0, 4096, 0xaa);
    write_ok(f, 8192, 100, 0xbb);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 512, 512, 0),
                    ==, 0);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(peer(f)->flushes, ==, 0);
    g_assert_cmphex(peer(f)->data[0], ==, 0);
    /* The guest's memory is long gone. */
    revive_peer(f);
    g_assert_cmphex(peer(f)->data[0], ==, 0xaa);
    assert_identical(f);
}

static void test_full_window_blocks(Fixture *f, gconstpointer data)
{
    TestRequest req[3];

    peer(f)->hold = true;
    write_ok(f, 0, 512, 1);
    write_ok(f, 512, 512, 2);
    for (int i = 0; i < 3; i++) {
        req[i] = write_request(f, 1024, 512, 3 + i);
        test_request_start(f->ctx, &req[i]);
        g_assert_cmpint(req[i].ret, ==, 1);
    }
    revive_peer(f);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(test_request_finish(f->ctx, &req[i]), ==, 0);
    }
    test_settle(f->ctx);
    g_assert_cmphex(peer(f)->data[1024], ==, 5);
    assert_identical(f);
    g_assert_cmpint(error_of(f), ==, 0);
}

static void test_window_counts_bytes(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 32768, 4096, 2);

    /* Longer than the whole window: goes when it is alone. */
    write_ok(f, 0, 16384, 1);
    test_settle(f->ctx);
    peer(f)->hold = true;
    write_ok(f, 16384, 8192, 1);
    test_request_start(f->ctx, &a);
    g_assert_cmpint(a.ret, ==, 1);
    revive_peer(f);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    test_settle(f->ctx);
    assert_identical(f);
}

static void test_full_window_disconnects(Fixture *f, gconstpointer data)
{
    kill_peer(f);
    write_ok(f, 0, 512, 1);
    write_ok(f, 512, 512, 2);
    write_ok(f, 1024, 512, 3);
    test_settle(f->ctx);
    g_assert_cmpint(error_of(f), ==, -ENOBUFS);
    g_assert_cmpuint(peer(f)->cancelled, ==, 1);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 1536);
    assert_state(f->r, "running");
}

static void test_settle_squeezes_the_window(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_SETTLE, .r = f->r };
    TestRequest a = write_request(f, 8192, 512, 1);

    peer(f)->hold = true;
    for (int i = 0; i < 8; i++) {
        write_ok(f, i * 512, 512, i);
    }
    step_begin(f->ctx, &s);
    g_assert_false(s.ended);
    test_request_start(f->ctx, &a);
    g_assert_cmpint(a.ret, ==, 1);
    revive_peer(f);
    g_assert_true(s.ended);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    replication_abort_checkpoint(f->r);
}

static void test_settle_is_bounded(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_SETTLE, .r = f->r };

    peer(f)->hold = true;
    for (int i = 0; i < 8; i++) {
        write_ok(f, i * 512, 512, i);
    }
    step_begin(f->ctx, &s);
    advance(f->ctx, &f->clock, 200);
    g_assert_true(s.ended);
    revive_peer(f);
    replication_abort_checkpoint(f->r);
}

/* Errors */

static void test_first_error_sticks(Fixture *f, gconstpointer data)
{
    const ReplicationError *e = replication_error(f->r);

    peer(f)->fail_write = ENOSPC;
    write_ok(f, 4096, 512, 1);
    test_settle(f->ctx);
    g_assert_cmpint(e->ret, ==, -ENOSPC);
    g_assert_cmpstr(e->node_name, ==, "peer");
    g_assert_cmpstr(e->what, ==, "forwarding a write");
    g_assert_cmpint(e->offset, ==, 4096);
    g_assert_cmpuint(seen.errors, ==, 1);

    peer(f)->fail_write = 0;
    write_ok(f, 0, 512, 1);
    g_assert_cmpuint(peer(f)->writes, ==, 1);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 1024);
    g_assert_cmpuint(seen.unforwarded, ==, 0);
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "Replication of node 'r0' failed: forwarding a write at offset "
               "4096 of node 'peer': No space left on device");
}

static void test_local_failure_ends_the_copy(Fixture *f, gconstpointer data)
{
    local(f)->fail_write = EIO;
    g_assert_cmpint(test_write(f->ctx, f->blk, 512, 512, 1), ==, -EIO);
    g_assert_cmpint(error_of(f), ==, -EIO);
    g_assert_cmpstr(replication_error(f->r)->what, ==, "local write failed");
    g_assert_cmpint(replication_error(f->r)->offset, ==, 512);
    local(f)->fail_write = 0;
    write_ok(f, 0, 512, 1);
    g_assert_cmphex(peer(f)->data[0], ==, 0);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 1024);
}

static void coroutine_fn detach_entry(void *opaque)
{
    Fixture *f = opaque;

    g_assert_true(bdrv_co_del_child(f->quorum, "children.1", NULL));
}

static void test_removal_does_not_wait(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);

    kill_peer(f);
    test_request_start(f->ctx, &a);
    test_run(f->ctx, detach_entry, f);
    g_assert_cmpint(f->clock.now_ns, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(error_of(f), ==, -ECANCELED);
    write_ok(f, 0, 512, 1);
}

/* Without requests in flight, too: what is written meanwhile is missing. */
static void test_removal_ends_the_copy(Fixture *f, gconstpointer data)
{
    test_run(f->ctx, detach_entry, f);
    g_assert_cmpuint(seen.errors, ==, 1);
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "Replication of node 'r0' failed: being removed while it was "
               "running on node 'r0': Operation canceled");
    write_ok(f, 0, 512, 1);
    test_run(f->ctx, attach_entry, f);
    write_ok(f, 512, 512, 2);
    g_assert_cmpuint(peer(f)->writes, ==, 0);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 512);
}

static void test_attaching_is_too_late(Fixture *f, gconstpointer data)
{
    test_run(f->ctx, detach_entry, f);
    step_ok(f->ctx, f->r, STEP_START);
    write_ok(f, 0, 512, 1);
    checkpoint_ok(f->ctx, f->r);
    test_run(f->ctx, attach_entry, f);
    g_assert_cmpuint(seen.errors, ==, 1);
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "Replication of node 'r0' failed: being attached while it was "
               "running on node 'r0': Operation canceled");
}

static void test_fast_zeroes_are_refused(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 0, 512,
                                BDRV_REQ_NO_FALLBACK), ==, -ENOTSUP);
    g_assert_cmpuint(peer(f)->zeroes, ==, 0);
    g_assert_cmpint(error_of(f), ==, 0);
}

static void test_resize_is_refused(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(f->node->drv->bdrv_co_truncate(f->node, 512,
                                                  PREALLOC_MODE_OFF, &err));
    g_assert_cmpstr(err->message, ==, "Node 'r0' is one end of a replicated "
                    "disk and cannot be resized");
}

/* States */

static void test_state_none(Fixture *f, gconstpointer data)
{
    checkpoint_ok(f->ctx, f->r);
    step_fails(f->ctx, f->r, STEP_STOP, "Block replication is not running");
    replication_failover(f->r);
    assert_state(f->r, "none");
    step_ok(f->ctx, f->r, STEP_START);
    assert_state(f->r, "running");
    g_assert_cmpstr(seen.states->str, ==, "none>running ");
}

static void test_state_running(Fixture *f, gconstpointer data)
{
    step_fails(f->ctx, f->r, STEP_START,
               "Block replication is running or done");
    step_ok(f->ctx, f->r, STEP_PREPARE);
    assert_state(f->r, "prepared");
    replication_do_checkpoint(f->r);
    assert_state(f->r, "running");
    step_ok(f->ctx, f->r, STEP_STOP);
    assert_state(f->r, "none");
    write_ok(f, 0, 512, 1);
    g_assert_cmpuint(peer(f)->writes, ==, 0);
}

static void test_state_prepared(Fixture *f, gconstpointer data)
{
    step_ok(f->ctx, f->r, STEP_PREPARE);
    step_fails(f->ctx, f->r, STEP_START,
               "Block replication is running or done");
    step_fails(f->ctx, f->r, STEP_PREPARE,
               "A checkpoint of node 'r0' is already under way");
    replication_abort_checkpoint(f->r);
    assert_state(f->r, "running");
    step_ok(f->ctx, f->r, STEP_PREPARE);
    step_ok(f->ctx, f->r, STEP_STOP);
    g_assert_cmpstr(seen.states->str, ==, "none>running running>prepared "
                    "prepared>running running>prepared prepared>running "
                    "running>none ");
}

static void test_state_done(Fixture *f, gconstpointer data)
{
    replication_failover(f->r);
    assert_state(f->r, "done");
    checkpoint_ok(f->ctx, f->r);
    step_ok(f->ctx, f->r, STEP_STOP);
    replication_failover(f->r);
    assert_state(f->r, "done");
    step_ok(f->ctx, f->r, STEP_START);
    assert_state(f->r, "running");
    replication_failover(f->r);
    write_ok(f, 0, 512, 1);
    g_assert_cmpuint(peer(f)->writes, ==, 0);
    step_fails(f->ctx, f->r, STEP_START,
               "Node 'r0': the guest wrote 512 bytes that were not forwarded; "
               "resynchronize the peer, or force the start if both disks are "
               "known to be equal");
}

static void test_failover_with_a_dead_peer(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);

    kill_peer(f);
    test_request_start(f->ctx, &a);
    replication_failover(f->r);
    test_settle(f->ctx);
    g_assert_cmpint(a.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    assert_state(f->r, "done");
    g_assert_cmpint(error_of(f), ==, 0);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 512);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

/* One that does not even answer to being cancelled is left behind. */
static void test_stop_gives_up_the_peer(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_STOP, .r = f->r };

    peer(f)->hold = peer(f)->ignore_cancel = true;
    write_ok(f, 0, 512, 1);
    step_begin(f->ctx, &s);
    advance(f->ctx, &f->clock, 3600 * 1000);
    g_assert_false(s.ended);
    replication_give_up_peer(f->r, -ETIMEDOUT);
    test_settle(f->ctx);
    g_assert_true(s.ended && s.ok);
    g_assert_cmpuint(peer(f)->cancelled, ==, 1);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    assert_state(f->r, "none");
    step_fails(f->ctx, f->r, STEP_START, "Node 'r0' still waits for answers "
               "to what was forwarded before");
    revive_peer(f);
    step_ok(f->ctx, f->r, STEP_START);
}

static void test_prepare_waits_for_acknowledgements(Fixture *f,
                                                    gconstpointer data)
{
    Step s = { .step = STEP_PREPARE, .r = f->r };

    peer(f)->hold = true;
    write_ok(f, 0, 512, 1);
    step_begin(f->ctx, &s);
    g_assert_false(s.ended);
    revive_peer(f);
    g_assert_true(s.ended && s.ok);
    replication_do_checkpoint(f->r);
    assert_identical(f);
}

static void test_prepare_ends_with_the_peer(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;
    Step s = { .step = STEP_PREPARE, .r = f->r, .errp = &err };

    kill_peer(f);
    write_ok(f, 0, 512, 1);
    step_begin(f->ctx, &s);
    advance(f->ctx, &f->clock, 5000);
    g_assert_true(s.ended);
    g_assert_false(s.ok);
    g_assert_cmpstr(err->message, ==, "Replication of node 'r0' failed: "
                    "waiting for the peer on node 'peer': Connection timed "
                    "out");
    assert_state(f->r, "running");
}

static void test_abort_ends_prepare(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;
    Step s = { .step = STEP_PREPARE, .r = f->r, .errp = &err };

    peer(f)->hold = true;
    write_ok(f, 0, 512, 1);
    step_begin(f->ctx, &s);
    replication_abort_checkpoint(f->r);
    test_settle(f->ctx);
    g_assert_true(s.ended);
    g_assert_cmpstr(err->message, ==,
                    "The checkpoint of node 'r0' was aborted");
    assert_state(f->r, "running");
    revive_peer(f);
    checkpoint_ok(f->ctx, f->r);
}

static void test_restart_clears_the_error(Fixture *f, gconstpointer data)
{
    Step s = { .step = STEP_START, .r = f->r, .force = true };

    peer(f)->fail_write = EIO;
    write_ok(f, 0, 512, 1);
    test_settle(f->ctx);
    step_ok(f->ctx, f->r, STEP_STOP);
    g_assert_cmpint(error_of(f), ==, -EIO);
    peer(f)->fail_write = 0;
    step_begin(f->ctx, &s);
    g_assert_true(s.ok);
    g_assert_cmpint(error_of(f), ==, 0);
    write_ok(f, 0, 512, 1);
    test_settle(f->ctx);
    assert_identical(f);
}

int main(int argc, char **argv)
{
    static const PrimaryTest tests[] = {
        { "options", NULL, true, test_options },

        { "before/no-read", NULL, true, test_cannot_be_read },
        { "before/counted", NULL, true, test_unstarted_writes_are_counted },
        { "before/equal-peer", NULL, true, test_start_wants_an_equal_peer },
        { "before/equal-size", NULL, true, test_start_wants_an_equal_size },

        { "forward/all", NULL, false, test_everything_is_forwarded },
        { "forward/all-async", ASYNC, false, test_everything_is_forwarded },
        { "forward/counters", NULL, false, test_counters },
        { "forward/sync-waits", NULL, false, test_sync_waits_for_the_peer },
        { "forward/first", NULL, false, test_peer_starts_before_local },
        { "forward/flush", NULL, false, test_sync_flush_reaches_the_peer },

        { "order/sync", NULL, false,
          test_overlapping_forwards_have_one_order },
        { "order/async", ASYNC, false,
          test_overlapping_forwards_have_one_order },
        { "order/zeroes", ASYNC, false, test_zeroes_keep_the_order },

        { "window/no-wait", ASYNC, false, test_async_does_not_wait },
        { "window/full-blocks", SMALL, false, test_full_window_blocks },
        { "window/bytes", ASYNC ", 'window-bytes': 8192", false,
          test_window_counts_bytes },
        { "window/disconnect", SMALL ", 'on-congestion': 'disconnect'", false,
          test_full_window_disconnects },
        { "window/squeeze", ASYNC ", 'window-requests': 16", false,
          test_settle_squeezes_the_window },
        { "window/squeeze-bounded", ASYNC ", 'window-requests': 16", false,
          test_settle_is_bounded },

        { "error/first-sticks", NULL, false, test_first_error_sticks },
        { "error/first-sticks-async", ASYNC, false, test_first_error_sticks },
        { "error/local", NULL, false, test_local_failure_ends_the_copy },
        { "error/removal", NULL, false, test_removal_does_not_wait },
        { "error/removal-idle", NULL, false, test_removal_ends_the_copy },
        { "error/attaching", NULL, true, test_attaching_is_too_late },
        { "error/fast-zeroes", NULL, false, test_fast_zeroes_are_refused },
        { "error/resize", NULL, false, test_resize_is_refused },

        { "state/none", NULL, true, test_state_none },
        { "state/running", NULL, false, test_state_running },
        { "state/prepared", NULL, false, test_state_prepared },
        { "state/done", NULL, false, test_state_done },
        { "state/failover-dead-peer", NULL, false,
          test_failover_with_a_dead_peer },
        { "state/stop-gives-up", ASYNC ", 'timeout': 0", false,
          test_stop_gives_up_the_peer },
        { "state/prepare-waits", ASYNC, false,
          test_prepare_waits_for_acknowledgements },
        { "state/prepare-gives-up", ASYNC, false,
          test_prepare_ends_with_the_peer },
        { "state/prepare-aborted", ASYNC, false, test_abort_ends_prepare },
        { "state/restart", NULL, false, test_restart_clears_the_error },
    };

    return run_primary_tests(argc, argv, tests, ARRAY_SIZE(tests));
}
