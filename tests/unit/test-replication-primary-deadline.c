/*
 * replication, the primary: a peer that is slow, silent or gone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-primary-fixture.h"

/* Deadlines */

static void test_silent_peer_is_given_up(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 4096, 0xaa);
    TestRequest b = write_request(f, 2048, 4096, 0xbb);

    kill_peer(f);
    test_request_start(f->ctx, &a);
    advance(f->ctx, &f->clock, 3000);
    test_request_start(f->ctx, &b);
    advance(f->ctx, &f->clock, 1999);
    g_assert_cmpint(error_of(f), ==, 0);
    g_assert_cmpuint(seen.errors, ==, 0);
    advance(f->ctx, &f->clock, 1);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    g_assert_cmpuint(seen.errors, ==, 1);
    g_assert_cmpint(a.ret, ==, 0);
    g_assert_cmpint(b.ret, ==, 0);
    g_assert_cmpuint(peer(f)->writes, ==, 1);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 8192);

    /* Nobody waits for it again, even if it comes back. */
    revive_peer(f);
    write_ok(f, 0, 512, 1);
    g_assert_cmpuint(peer(f)->writes, ==, 1);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

/* One answer a second of what was asked at once: slow is not silent. */
static void test_slow_peer_is_kept(Fixture *f, gconstpointer data)
{
    TestRequest req[12];

    peer(f)->stepped = true;
    for (int i = 0; i < 12; i++) {
        req[i] = write_request(f, i * 512, 512, i + 1);
        test_request_start(f->ctx, &req[i]);
    }
    for (int i = 0; i < 12; i++) {
        advance(f->ctx, &f->clock, 1000);
        test_disk_step(f->peer, 0);
        g_assert_cmpint(test_request_finish(f->ctx, &req[i]), ==, 0);
    }
    g_assert_cmpint(error_of(f), ==, 0);
    assert_identical(f);
}

/* It was heard a moment ago: its silence begins there. */
static void test_silence_begins_with_the_last_answer(Fixture *f,
                                                     gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);
    TestRequest b = write_request(f, 512, 512, 2);

    peer(f)->stepped = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    advance(f->ctx, &f->clock, 4000);
    test_disk_step(f->peer, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    advance(f->ctx, &f->clock, 4999);
    g_assert_cmpint(error_of(f), ==, 0);
    advance(f->ctx, &f->clock, 1);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    test_disk_step(f->peer, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
}

/* A peer that answers others but never this one is no peer either. */
static void test_one_answer_is_owed_for_ever(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);

    peer(f)->stepped = true;
    test_request_start(f->ctx, &a);
    for (int i = 0; i < 19; i++) {
        TestRequest b = write_request(f, 512, 512, i);

        test_request_start(f->ctx, &b);
        advance(f->ctx, &f->clock, 1000);
        g_assert_cmpint(error_of(f), ==, 0);
        test_disk_step(f->peer, 1);
        g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    }
    advance(f->ctx, &f->clock, 1000);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    test_disk_step(f->peer, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
}

/* The turn of an overlapping write comes when the one before is answered. */
static void test_turn_is_not_waited_for(Fixture *f, gconstpointer data)
{
    peer(f)->stepped = true;
    for (int i = 0; i < 3; i++) {
        write_ok(f, 0, 512, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(test_disk_waiting(f->peer), ==, 1);
        advance(f->ctx, &f->clock, 4999);
        g_assert_cmpint(error_of(f), ==, 0);
        test_disk_step(f->peer, 0);
        test_settle(f->ctx);
    }
    assert_identical(f);
}

/* Zeroes go in pieces, each of which has the timeout. */
static void test_long_zeroes_are_kept(Fixture *f, gconstpointer data)
{
    TestRequest z = {
        .blk = f->blk, .type = TEST_ZEROES, .offset = 100,
        .bytes = TEST_DISK_SIZE - 200,
    };

    write_ok(f, 0, TEST_DISK_SIZE, 0x55);
    test_disk_set_limits(f->peer, (BlockLimits) {
        .request_alignment = 1, .max_transfer = 4096,
        .max_pwrite_zeroes = 4096,
    });
    peer(f)->no_zeroes = peer(f)->stepped = true;
    test_request_start(f->ctx, &z);
    for (int i = 0; i < 16; i++) {
        g_assert_cmpuint(test_disk_waiting(f->peer), ==, 1);
        advance(f->ctx, &f->clock, 1000);
        g_assert_cmpint(z.ret, ==, 1);
        test_disk_step(f->peer, 0);
        test_settle(f->ctx);
    }
    g_assert_cmpint(test_request_finish(f->ctx, &z), ==, 0);
    g_assert_cmpint(error_of(f), ==, 0);
    assert_identical(f);
}

/* What one cancelling does not end is cancelled again. */
static void test_giving_up_is_tried_again(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);

    kill_peer(f);
    peer(f)->ignore_cancel = true;
    test_request_start(f->ctx, &a);
    advance(f->ctx, &f->clock, 5000);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    g_assert_cmpint(a.ret, ==, 1);
    peer(f)->ignore_cancel = false;
    advance(f->ctx, &f->clock, 5000);
    g_assert_cmpint(a.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpuint(seen.errors, ==, 1);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_window_waiters_are_released(Fixture *f, gconstpointer data)
{
    TestRequest req[2];

    kill_peer(f);
    write_ok(f, 0, 512, 1);
    write_ok(f, 512, 512, 2);
    for (int i = 0; i < 2; i++) {
        req[i] = write_request(f, 1024 * i, 512, 3);
        test_request_start(f->ctx, &req[i]);
        g_assert_cmpint(req[i].ret, ==, 1);
    }
    advance(f->ctx, &f->clock, 5000);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(req[i].ret, ==, 0);
        g_assert_cmpint(test_request_finish(f->ctx, &req[i]), ==, 0);
    }
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 2048);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_idle_peer_is_probed(Fixture *f, gconstpointer data)
{
    advance(f->ctx, &f->clock, 999);
    g_assert_cmpuint(peer(f)->reads, ==, 0);
    advance(f->ctx, &f->clock, 1);
    g_assert_cmpuint(peer(f)->reads, ==, 1);
    advance(f->ctx, &f->clock, 500);
    write_ok(f, 0, 512, 1);
    advance(f->ctx, &f->clock, 999);
    g_assert_cmpuint(peer(f)->reads, ==, 1);
    advance(f->ctx, &f->clock, 1);
    g_assert_cmpuint(peer(f)->reads, ==, 2);
    g_assert_cmpint(error_of(f), ==, 0);
}

static void test_dead_idle_peer_is_noticed(Fixture *f, gconstpointer data)
{
    kill_peer(f);
    advance(f->ctx, &f->clock, 1000);
    advance(f->ctx, &f->clock, 4999);
    g_assert_cmpint(error_of(f), ==, 0);
    advance(f->ctx, &f->clock, 1);
    g_assert_cmpint(error_of(f), ==, -ETIMEDOUT);
    g_assert_cmpint(replication_unforwarded_bytes(f->r), ==, 0);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_lost_idle_connection_is_noticed(Fixture *f,
                                                 gconstpointer data)
{
    peer(f)->fail_read = ENOTCONN;
    advance(f->ctx, &f->clock, 1000);
    g_assert_cmpint(error_of(f), ==, -ENOTCONN);
    g_assert_cmpuint(seen.errors, ==, 1);
}

static void test_no_timeout_waits(Fixture *f, gconstpointer data)
{
    TestRequest a = write_request(f, 0, 512, 1);

    peer(f)->hold = true;
    test_request_start(f->ctx, &a);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
    advance(f->ctx, &f->clock, 3600 * 1000);
    g_assert_cmpint(a.ret, ==, 1);
    revive_peer(f);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(error_of(f), ==, 0);
}

int main(int argc, char **argv)
{
    static const PrimaryTest tests[] = {
        { "deadline/silent", NULL, false, test_silent_peer_is_given_up },
        { "deadline/slow", NULL, false, test_slow_peer_is_kept },
        { "deadline/heard", NULL, false,
          test_silence_begins_with_the_last_answer },
        { "deadline/one", NULL, false, test_one_answer_is_owed_for_ever },
        { "deadline/turn", ASYNC, false, test_turn_is_not_waited_for },
        { "deadline/zeroes", NULL, false, test_long_zeroes_are_kept },
        { "deadline/again", NULL, false, test_giving_up_is_tried_again },
        { "deadline/window", SMALL, false, test_window_waiters_are_released },
        { "deadline/probe", NULL, false, test_idle_peer_is_probed },
        { "deadline/idle-dead", NULL, false, test_dead_idle_peer_is_noticed },
        { "deadline/idle-lost", NULL, false,
          test_lost_idle_connection_is_noticed },
        { "deadline/none", ", 'timeout': 0", false, test_no_timeout_waits },
    };

    return run_primary_tests(argc, argv, tests, ARRAY_SIZE(tests));
}
