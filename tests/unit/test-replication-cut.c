/*
 * The disks of a guest at rest: requests in flight, deadlines, failover in the
 * middle of everything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-group-fixture.h"

/* Requests in flight */

static void test_checkpoint_waits_for_requests(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        TestRequest held = {
            .blk = f->peer[i] ?: f->guest[i], .type = TEST_WRITE,
            .bytes = 512,
        };
        TestRequest late = {
            .blk = f->guest[f->n - 1 - i], .type = TEST_WRITE, .bytes = 512,
        };
        TestRequest flush = { .blk = f->guest[i], .type = TEST_FLUSH };
        BlockDriverState *bs = fakes[i]->bs;
        Command c;

        set_states(f, S(NONE));
        start(f);
        test_disk(bs)->hold = true;
        test_request_start(f->ctx, &held);
        begin(&c, f, CHECKPOINT);
        g_assert_false(c.ended);
        assert_gates(f, true);
        test_request_start(f->ctx, &late);
        g_assert_cmpint(late.ret, ==, 1);
        test_request_start(f->ctx, &flush);
        /* It has passed the gate, and come as far as the disk if it must. */
        g_assert_true(flush.ret == 0 || test_disk(bs)->waiting == 2);
        g_assert_null(strstr(fake_log->str, "prepare"));

        test_disk_release(bs);
        g_assert_cmpint(test_request_finish(f->ctx, &held), ==, 0);
        g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
        test_settle(f->ctx);
        assert_ended(&c, NULL);
        assert_gates(f, false);
        g_assert_cmpint(test_request_finish(f->ctx, &late), ==, 0);
    }
}

static void test_pause_is_measured(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockReplicationInfoList) list = NULL;
    Command c;

    start(f);
    fakes[0]->hold[FAKE_SETTLE] = true;
    fakes[f->n - 1]->hold[FAKE_PREPARE] = true;
    begin(&c, f, CHECKPOINT);
    assert_gates(f, false);
    f->clock.now_ns += 500 * SCALE_MS;
    fake_release(fakes[0], FAKE_SETTLE);
    test_settle(f->ctx);
    assert_gates(f, true);
    f->clock.now_ns += 7 * SCALE_MS;
    fake_release(fakes[f->n - 1], FAKE_PREPARE);
    test_settle(f->ctx);
    assert_ended(&c, NULL);
    list = replication_group_query();
    for (BlockReplicationInfoList *item = list; item; item = item->next) {
        g_assert_true(item->value->has_last_pause);
        g_assert_cmpint(item->value->last_pause, ==, 7000);
    }
}

/* Deadlines */

static void pass_deadline(Fixture *f)
{
    f->clock.now_ns += REPLICATION_DEADLINE_NS;
    test_settle(f->ctx);
}

static char *deadline_text(int i)
{
    return g_strdup_printf("Requests of disk '%s' did not end within 5 "
                           "seconds, nothing has been changed",
                           bdrv_node_name(fakes[i]->bs));
}

static void test_deadline_of_requests(Fixture *f, gconstpointer data)
{
    static const int types[] = { CHECKPOINT, STOP };

    for (int i = 0; i < f->n * 2; i++) {
        BlockDriverState *bs = fakes[i / 2]->bs;
        g_autofree char *text = deadline_text(i / 2);
        TestRequest held = {
            .blk = f->guest[i / 2], .type = TEST_WRITE, .bytes = 512,
        };
        Command c;

        set_states(f, S(NONE));
        start(f);
        test_disk(bs)->hold = true;
        test_request_start(f->ctx, &held);
        begin(&c, f, types[i % 2]);
        f->clock.now_ns += REPLICATION_DEADLINE_NS - 1;
        test_settle(f->ctx);
        g_assert_false(c.ended);
        f->clock.now_ns++;
        test_settle(f->ctx);
        assert_ended(&c, text);
        assert_states(f, S(RUNNING));
        assert_gates(f, false);
        assert_nothing_settled(f);
        g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
        test_disk_release(bs);
        test_request_finish(f->ctx, &held);
        run(f, CHECKPOINT, NULL);
    }
}

static void test_deadline_of_start(Fixture *f, gconstpointer data)
{
    g_autofree char *text = deadline_text(f->n - 1);
    BlockDriverState *bs = fakes[f->n - 1]->bs;
    TestRequest held = {
        .blk = f->guest[f->n - 1], .type = TEST_WRITE, .bytes = 512,
    };
    Command c;

    test_disk(bs)->hold = true;
    test_request_start(f->ctx, &held);
    begin(&c, f, START);
    g_assert_false(c.ended);
    pass_deadline(f);
    assert_ended(&c, text);
    assert_states(f, S(NONE));
    test_disk_release(bs);
    test_request_finish(f->ctx, &held);
    start(f);
}

static void release_prepare(void *opaque)
{
    fake_release(opaque, FAKE_PREPARE);
}

/* A peer is given up just then, and that is what the command tells. */
static void test_last_moment(Fixture *f, gconstpointer data)
{
    Replication *last = fakes[f->n - 1];
    g_autofree char *text = g_strdup_printf("prepare of disk %d failed",
                                            f->n - 1);
    AioTimer timer;
    Command c;

    start(f);
    last->hold[FAKE_PREPARE] = last->fail[FAKE_PREPARE] = true;
    begin(&c, f, CHECKPOINT);
    aio_timer_init(&timer, f->ctx, release_prepare, last);
    aio_timer_mod(&timer, aio_next_deadline_ns(f->ctx) - 1);
    pass_deadline(f);
    assert_ended(&c, text);
    assert_gates(f, false);
}

static void test_deadline_of_prepare(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        g_autofree char *text = deadline_text(i);
        g_autofree char *left = g_strdup_printf(
            "An earlier checkpoint of disk '%s' was given up and has not "
            "ended yet", bdrv_node_name(fakes[i]->bs));
        g_autofree char *left_to_start = g_strdup_printf(
            "A checkpoint of disk '%s' was given up and has not ended yet",
            bdrv_node_name(fakes[i]->bs));
        Command c;

        set_states(f, S(NONE));
        start(f);
        fakes[i]->hold[FAKE_PREPARE] = true;
        begin(&c, f, CHECKPOINT);
        pass_deadline(f);
        assert_ended(&c, text);
        assert_states(f, S(RUNNING));
        assert_gates(f, false);
        assert_nothing_settled(f);
        run(f, CHECKPOINT, left);
        set_states(f, S(NONE));
        run(f, START, left_to_start);
        set_states(f, S(RUNNING));
        fake_release(fakes[i], FAKE_PREPARE);
        test_settle(f->ctx);
        assert_states(f, S(RUNNING));
        run(f, CHECKPOINT, NULL);
    }
}

static void test_deadline_of_stop(Fixture *f, gconstpointer data)
{
    bool primary = f->mode == REPLICATION_MODE_PRIMARY;

    for (int i = 0; primary && i < f->n; i++) {
        Command c;

        start(f);
        fakes[i]->hold[FAKE_STOP] = true;
        begin(&c, f, STOP);
        f->clock.now_ns += REPLICATION_DEADLINE_NS - 1;
        test_settle(f->ctx);
        g_assert_false(c.ended);
        f->clock.now_ns++;
        test_settle(f->ctx);
        assert_ended(&c, NULL);
        assert_states(f, S(NONE));
        g_assert_cmpint(fakes[i]->error.ret, ==, -ETIMEDOUT);
        g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
    }
}

/* The daemon's end */

static void coroutine_fn holder_entry(void *opaque)
{
    Coroutine **self = opaque;
    GRAPH_COMMAND_GUARD();

    *self = coroutine_self();
    coroutine_yield();
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    bool *ended = opaque;

    replication_group_co_shutdown();
    *ended = true;
}

/* A command that is still under way takes a disk away. */
static void test_shutdown_looks_at_what_is_there(Fixture *f,
                                                 gconstpointer data)
{
    Coroutine *holder;
    bool ended = false;

    start(f);
    coroutine_start(holder_entry, &holder);
    coroutine_start(shutdown_entry, &ended);
    test_settle(f->ctx);
    g_assert_false(ended);
    close_fake(f, --f->n);
    coroutine_enter(holder);
    test_settle(f->ctx);
    g_assert_true(ended);
    assert_states(f, S(NONE));
}

static void test_shutdown_does_not_wait_for_ever(Fixture *f,
                                                 gconstpointer data)
{
    bool ended = false;

    start(f);
    fakes[0]->hold[FAKE_STOP] = f->mode == REPLICATION_MODE_PRIMARY;
    coroutine_start(shutdown_entry, &ended);
    pass_deadline(f);
    g_assert_true(ended);
    assert_states(f, S(NONE));
}

/* Failover in the middle */

static void assert_failed_over(Fixture *f)
{
    test_settle(f->ctx);
    assert_states(f, S(DONE));
    assert_gates(f, false);
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->epoch, ==, 0);
    }
}

static void test_failover_during_checkpoint(Fixture *f, gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_SETTLE, FAKE_PREPARE };

    for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
        for (int i = 0; i < f->n; i++) {
            Command c;

            set_states(f, S(NONE));
            start(f);
            fakes[i]->hold[steps[s]] = true;
            begin(&c, f, CHECKPOINT);
            g_assert_false(c.ended);
            failover(f);
            assert_gates(f, false);
            test_settle(f->ctx);
            assert_ended(&c, "A failover has begun");
            fake_release(fakes[i], steps[s]);
            assert_failed_over(f);
        }
    }
}

static void test_failover_during_drain(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        TestRequest held = {
            .blk = f->guest[i], .type = TEST_WRITE, .bytes = 512,
        };
        TestRequest late = { .blk = f->guest[i], .type = TEST_FLUSH };
        Command c;

        set_states(f, S(NONE));
        start(f);
        test_disk(fakes[i]->bs)->hold = true;
        test_request_start(f->ctx, &held);
        begin(&c, f, CHECKPOINT);
        failover(f);
        assert_gates(f, false);
        test_settle(f->ctx);
        assert_ended(&c, "A failover has begun");
        test_disk_release(fakes[i]->bs);
        test_request_finish(f->ctx, &held);
        test_request_start(f->ctx, &late);
        test_request_finish(f->ctx, &late);
        assert_failed_over(f);
    }
}

/* A checkpoint of several ends, the others go on as before. */
static void test_failover_of_one_during_checkpoint(Fixture *f,
                                                   gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_SETTLE, FAKE_PREPARE };

    for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
        Command c;

        set_states(f, S(NONE));
        f->node = NULL;
        start(f);
        fakes[0]->hold[steps[s]] = true;
        begin(&c, f, CHECKPOINT);
        f->node = bdrv_node_name(fakes[0]->bs);
        failover(f);
        fake_release(fakes[0], steps[s]);
        test_settle(f->ctx);
        assert_ended(&c, "A failover has begun");
        assert_nothing_settled(f);
        for (int i = 0; i < f->n; i++) {
            g_assert_cmpint(fakes[i]->state, ==, i ? S(RUNNING) : S(DONE));
        }
    }
}

static void test_failover_when_prepared(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    start(f);
    run(f, PREPARE, NULL);
    failover(f);
    assert_gates(f, false);
    g_assert_false(replication_group_do(&err));
    g_assert_cmpstr(err->message, ==, "A failover has begun");
    assert_failed_over(f);
}

/* A start that is under way is undone, and then nothing runs. */
static void test_failover_during_start(Fixture *f, gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_CHECK_START, FAKE_START };

    for (int i = 0; i < f->n * 2; i++) {
        FakeStep step = steps[i % 2];
        Replication *r = fakes[i / 2];
        Command c;

        r->hold[step] = true;
        begin(&c, f, START);
        g_assert_false(c.ended);
        failover(f);
        /* What has begun to change stays at rest until it is undone. */
        assert_gates(f, step == FAKE_START);
        fake_release(r, step);
        test_settle(f->ctx);
        assert_ended(&c, "A failover has begun");
        assert_states(f, S(NONE));
        assert_gates(f, false);
    }
    start(f);
}

/* One of a group that is being started cannot be torn out of it. */
static void test_failover_of_one_during_start(Fixture *f, gconstpointer data)
{
    Command c;

    fakes[f->n - 1]->hold[FAKE_START] = true;
    begin(&c, f, START);
    f->node = bdrv_node_name(fakes[0]->bs);
    failover(f);
    fake_release(fakes[f->n - 1], FAKE_START);
    test_settle(f->ctx);
    assert_ended(&c, "A failover has begun");
    assert_states(f, S(NONE));
}

/* What cannot be stopped again is all that there is to fail over. */
static void test_failover_of_a_start_not_undone(Fixture *f, gconstpointer data)
{
    Replication *last = fakes[f->n - 1];
    Command c;

    last->hold[FAKE_START] = last->fail[FAKE_STOP] = true;
    begin(&c, f, START);
    failover(f);
    fake_release(last, FAKE_START);
    test_settle(f->ctx);
    assert_ended(&c, "A failover has begun");
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==,
                        fakes[i] == last ? S(DONE) : S(NONE));
    }
}

/* Once a disk has begun to stop all of them stop: never some of each. */
static void test_failover_during_stop(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        Command c;

        start(f);
        fakes[i]->hold[FAKE_STOP] = true;
        begin(&c, f, STOP);
        g_assert_false(c.ended);
        failover(f);
        assert_gates(f, true);
        test_settle(f->ctx);
        if (f->mode == REPLICATION_MODE_PRIMARY) {
            g_assert_cmpint(fakes[i]->error.ret, ==, -ECANCELED);
        } else {
            g_assert_false(c.ended);
            fake_release(fakes[i], FAKE_STOP);
            test_settle(f->ctx);
        }
        assert_ended(&c, NULL);
        assert_states(f, S(NONE));
        assert_gates(f, false);
    }
}

/* That of another disk does not make it lose what its peer still answers. */
static void test_failover_of_another_during_stop(Fixture *f,
                                                 gconstpointer data)
{
    Command c;

    start(f);
    fakes[0]->hold[FAKE_STOP] = true;
    f->node = bdrv_node_name(fakes[0]->bs);
    begin(&c, f, STOP);
    f->node = bdrv_node_name(fakes[f->n - 1]->bs);
    if (f->n > 1) {
        failover(f);
    }
    test_settle(f->ctx);
    g_assert_false(c.ended);
    fake_release(fakes[0], FAKE_STOP);
    test_settle(f->ctx);
    assert_ended(&c, NULL);
    g_assert_cmpint(fakes[0]->error.ret, ==, 0);
    g_assert_cmpint(fakes[0]->state, ==, S(NONE));
    for (int i = 1; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==,
                        i == f->n - 1 ? S(DONE) : S(RUNNING));
    }
}

/* It is as if the failover had come after the stop. */
static void test_failover_of_a_failed_stop(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        g_autofree char *text =
            g_strdup_printf("disk '%s': stop of disk %d failed",
                            bdrv_node_name(fakes[i]->bs), i);
        Command c;

        set_states(f, S(NONE));
        start(f);
        fakes[i]->hold[FAKE_STOP] = fakes[i]->fail[FAKE_STOP] = true;
        begin(&c, f, STOP);
        failover(f);
        fake_release(fakes[i], FAKE_STOP);
        test_settle(f->ctx);
        assert_ended(&c, text);
        fakes[i]->fail[FAKE_STOP] = false;
        for (int j = 0; j < f->n; j++) {
            g_assert_cmpint(fakes[j]->state, ==, j == i ? S(DONE) : S(NONE));
        }
    }
}

static void test_failover_needs_no_mutex(Fixture *f, gconstpointer data)
{
    Command first, second;

    start(f);
    fakes[0]->hold[FAKE_PREPARE] = true;
    begin(&first, f, CHECKPOINT);
    begin(&second, f, CHECKPOINT);
    failover(f);
    g_assert_cmpint(fakes[0]->state, ==, f->mode == REPLICATION_MODE_PRIMARY
                    ? S(DONE) : S(FAILOVER));
    test_settle(f->ctx);
    assert_ended(&first, "A failover has begun");
    /* Whatever came after it finds nothing to do. */
    assert_ended(&second, NULL);
    fake_release(fakes[0], FAKE_PREPARE);
    test_settle(f->ctx);
    assert_states(f, S(DONE));
}

int main(int argc, char **argv)
{
    static const GroupTest tests[] = {
        { "requests-in-flight", test_checkpoint_waits_for_requests },
        { "pause", test_pause_is_measured },
        { "deadline-requests", test_deadline_of_requests },
        { "deadline-start", test_deadline_of_start },
        { "deadline-prepare", test_deadline_of_prepare },
        { "deadline-last-moment", test_last_moment },
        { "deadline-stop", test_deadline_of_stop },
        { "shutdown-late", test_shutdown_looks_at_what_is_there },
        { "shutdown-deadline", test_shutdown_does_not_wait_for_ever },
        { "failover-in-checkpoint", test_failover_during_checkpoint },
        { "failover-in-drain", test_failover_during_drain },
        { "failover-of-one", test_failover_of_one_during_checkpoint },
        { "failover-when-prepared", test_failover_when_prepared },
        { "failover-in-start", test_failover_during_start },
        { "failover-of-one-in-start", test_failover_of_one_during_start },
        { "failover-of-bad-start", test_failover_of_a_start_not_undone },
        { "failover-in-stop", test_failover_during_stop },
        { "failover-of-another-in-stop",
          test_failover_of_another_during_stop },
        { "failover-of-bad-stop", test_failover_of_a_failed_stop },
        { "failover-needs-no-mutex", test_failover_needs_no_mutex },
    };

    return run_group_tests(argc, argv, "/replication/cut", tests,
                           ARRAY_SIZE(tests));
}
