/*
 * The disks of a guest as one: the state table, all or none, deadlines,
 * failover in the middle of everything
 *
 * Each disk of a secondary:   guest -> rN (filter) -> dN <- peer
 * of a primary:               guest -> dN
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication/group.h"

#include "block-helpers.h"
#include "block/export.h"
#include "block/job.h"
#include "fake-replication.h"
#include "qapi/event.h"

#include <jansson.h>

/* One kind of fixture: how many disks of which mode. */
typedef struct Kind {
    const char *name;
    int n;
    ReplicationMode mode;
} Kind;

static const Kind kinds[] = {
    { "primary", 1, REPLICATION_MODE_PRIMARY },
    { "secondary", 1, REPLICATION_MODE_SECONDARY },
    { "three-primaries", 3, REPLICATION_MODE_PRIMARY },
    { "three-secondaries", 3, REPLICATION_MODE_SECONDARY },
};

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    int n;
    ReplicationMode mode;
    BlockBackend *guest[FAKE_MAX_DISKS];
    BlockBackend *peer[FAKE_MAX_DISKS];         /* of a secondary */
    GString *events;
} Fixture;

static GString *current_events;

static void record_event(int event, const char *name, json_t *data)
{
    char *text = json_dumps(data, JSON_SORT_KEYS | JSON_COMPACT);

    g_string_append_printf(current_events, "%s %s\n", name, text);
    free(text);
}

static Replication *new_fake(Fixture *f, int i)
{
    g_autofree char *disk_name = g_strdup_printf("d%d", i);
    g_autofree char *name = g_strdup_printf("r%d", i);
    Replication *r = g_new0(Replication, 1);
    BlockDriverState *disk = test_open_disk(f->ctx, disk_name);

    r->index = i;
    r->mode = f->mode;
    r->error.offset = -1;
    co_queue_init(&r->queue);
    if (f->mode == REPLICATION_MODE_SECONDARY) {
        r->disk = disk;
        r->bs = test_open_filter(f->ctx, name, disk_name, NULL);
        f->peer[i] = test_backend(f->ctx, disk);
        blk_set_perm(f->peer[i], BLK_PERM_WRITE, BLK_PERM_ALL, NULL);
    } else {
        r->bs = disk;
    }
    f->guest[i] = test_backend(f->ctx, r->bs);
    blk_set_perm(f->guest[i], BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                 BLK_PERM_ALL, NULL);
    return r;
}

static void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, NULL
    };
    const Kind *kind = data;

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(&f->clock, NULL);
    f->n = kind->n;
    f->mode = kind->mode;
    current_events = f->events = g_string_new(NULL);
    fake_log = g_string_new(NULL);
    qapi_event_set_sink(record_event);
    replication_group_init();
    for (int i = 0; i < f->n; i++) {
        fakes[i] = new_fake(f, i);
    }
}

static void coroutine_fn closing_entry(void *opaque)
{
    fake_observer->closing(opaque);
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_settle(f->ctx);
    g_assert_null(block_job_next(NULL));
    for (int i = 0; i < f->n; i++) {
        Replication *r = fakes[i];

        g_assert_false(blk_gate_is_closed(f->guest[i]));
        g_assert_cmpuint(r->held, ==, 0);
        test_run(f->ctx, closing_entry, r);
        test_backend_free(f->ctx, f->guest[i]);
        if (f->peer[i]) {
            g_assert_false(blk_gate_is_closed(f->peer[i]));
            test_backend_free(f->ctx, f->peer[i]);
        }
        test_unref(f->ctx, r->bs);
        if (r->disk) {
            test_unref(f->ctx, r->disk);
        }
        g_free(r);
        fakes[i] = NULL;
    }
    test_settle(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    qapi_event_set_sink(NULL);
    block_export_set_hooks(NULL);
    g_string_free(fake_log, TRUE);
    g_string_free(f->events, TRUE);
    aio_context_free(f->ctx);
}

/* Commands in coroutines */

typedef struct Command {
    enum { START, CHECKPOINT, STOP, PREPARE } type;
    Fixture *f;
    bool ended, ok;
    GError *err;
} Command;

static void coroutine_fn command_entry(void *opaque)
{
    Command *c = opaque;
    GRAPH_COMMAND_GUARD();

    switch (c->type) {
    case START:
        c->ok = replication_group_co_start(NULL, c->f->mode, false, &c->err);
        break;
    case CHECKPOINT:
        c->ok = replication_group_co_checkpoint(NULL, &c->err);
        break;
    case STOP:
        c->ok = replication_group_co_stop(NULL, &c->err);
        break;
    case PREPARE:
        c->ok = replication_group_co_prepare(&c->err);
        break;
    }
    g_assert_true(c->ok == !c->err);
    c->ended = true;
}

/* Begin it and let everything happen that can. */
static void begin(Command *c, Fixture *f, int type)
{
    *c = (Command) { .type = type, .f = f };
    coroutine_start(command_entry, c);
    test_settle(f->ctx);
}

/* It ended, with the error @text or none. */
static void assert_ended(Command *c, const char *text)
{
    g_assert_true(c->ended);
    g_assert_cmpstr(c->err ? c->err->message : NULL, ==, text);
    g_clear_error(&c->err);
}

static void run(Fixture *f, int type, const char *text)
{
    Command c;

    begin(&c, f, type);
    assert_ended(&c, text);
}

static void failover(Fixture *f)
{
    g_autoptr(GError) err = NULL;

    g_assert_true(replication_group_failover(NULL, &err));
    g_assert_no_error(err);
}

static void set_states(Fixture *f, BlockReplicationState state)
{
    for (int i = 0; i < f->n; i++) {
        fakes[i]->state = state;
    }
}

static void assert_states(Fixture *f, BlockReplicationState state)
{
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==, state);
    }
}

static void assert_gates(Fixture *f, bool closed)
{
    for (int i = 0; i < f->n; i++) {
        g_assert_true(blk_gate_is_closed(f->guest[i]) == closed);
        g_assert_true(!f->peer[i] ||
                      blk_gate_is_closed(f->peer[i]) == closed);
    }
}

static void assert_event(const char *text)
{
    if (!strstr(current_events->str, text)) {
        g_error("no event '%s' in: %s", text, current_events->str);
    }
}

/* Position of @word in the log; it must be there. */
static ptrdiff_t logged(const char *word)
{
    const char *p = strstr(fake_log->str, word);

    if (!p) {
        g_error("no '%s' in: %s", word, fake_log->str);
    }
    return p - fake_log->str;
}

static void start(Fixture *f)
{
    run(f, START, NULL);
    assert_states(f, BLOCK_REPLICATION_STATE_RUNNING);
    g_string_truncate(fake_log, 0);
}

/* The state table */

#define NOT_RUNNING "Block replication is not running"
#define RUNNING_OR_DONE "Block replication is running or done"
#define UNMERGED \
    "The failover could not merge the layers into the disk; repeat it"

typedef struct Row {
    BlockReplicationState state;
    struct {
        const char *text;
        BlockReplicationState then;
    } start, checkpoint, stop, failover;
} Row;

#define S(name) BLOCK_REPLICATION_STATE_##name

static const Row primary_rows[] = {
    { S(NONE), { NULL, S(RUNNING) }, { NULL, S(NONE) },
      { NOT_RUNNING, S(NONE) }, { NULL, S(NONE) } },
    { S(RUNNING), { RUNNING_OR_DONE, S(RUNNING) }, { NULL, S(RUNNING) },
      { NULL, S(NONE) }, { NULL, S(DONE) } },
    { S(DONE), { NULL, S(RUNNING) }, { NULL, S(DONE) }, { NULL, S(DONE) },
      { NULL, S(DONE) } },
};

static const Row secondary_rows[] = {
    { S(NONE), { NULL, S(RUNNING) }, { NOT_RUNNING, S(NONE) },
      { NOT_RUNNING, S(NONE) }, { NULL, S(NONE) } },
    { S(RUNNING), { RUNNING_OR_DONE, S(RUNNING) }, { NULL, S(RUNNING) },
      { NULL, S(NONE) }, { NULL, S(DONE) } },
    { S(FAILOVER), { NULL, S(FAILOVER) }, { NULL, S(FAILOVER) },
      { NULL, S(FAILOVER) }, { NULL, S(FAILOVER) } },
    { S(FAILOVER_FAILED), { RUNNING_OR_DONE, S(FAILOVER_FAILED) },
      { UNMERGED, S(FAILOVER_FAILED) }, { UNMERGED, S(FAILOVER_FAILED) },
      { NULL, S(DONE) } },
    { S(DONE), { NULL, S(DONE) }, { NULL, S(DONE) }, { NULL, S(DONE) },
      { NULL, S(DONE) } },
};

static void test_table(Fixture *f, gconstpointer data)
{
    bool primary = f->mode == REPLICATION_MODE_PRIMARY;
    const Row *rows = primary ? primary_rows : secondary_rows;
    size_t n = primary ? ARRAY_SIZE(primary_rows)
                       : ARRAY_SIZE(secondary_rows);

    for (size_t i = 0; i < n; i++) {
        const Row *row = &rows[i];

        set_states(f, row->state);
        run(f, START, row->start.text);
        assert_states(f, row->start.then);
        set_states(f, row->state);
        run(f, CHECKPOINT, row->checkpoint.text);
        assert_states(f, row->checkpoint.then);
        set_states(f, row->state);
        run(f, STOP, row->stop.text);
        assert_states(f, row->stop.then);
        set_states(f, row->state);
        failover(f);
        test_settle(f->ctx);
        assert_states(f, row->failover.then);
    }
}

static void test_prepared_row(Fixture *f, gconstpointer data)
{
    start(f);
    run(f, PREPARE, NULL);
    assert_states(f, S(PREPARED));
    run(f, START, RUNNING_OR_DONE);
    run(f, CHECKPOINT, "A checkpoint is already under way");
    run(f, PREPARE, "A checkpoint is already under way");
    assert_states(f, S(PREPARED));
    assert_gates(f, true);
    run(f, STOP, NULL);
    assert_states(f, S(NONE));
    g_assert_cmpint(fakes[0]->epoch, ==, 0);
}

static void test_wrong_mode(Fixture *f, gconstpointer data)
{
    bool primary = f->mode == REPLICATION_MODE_PRIMARY;

    f->mode = !f->mode;
    run(f, START, primary
        ? "The parameter mode's value is invalid, needs 0, but got 1"
        : "The parameter mode's value is invalid, needs 1, but got 0");
    f->mode = !f->mode;
    assert_states(f, S(NONE));
    g_assert_cmpstr(fake_log->str, ==, "");
}

/* One of another state makes the whole command fail, and nothing is done. */
static void test_one_that_refuses(Fixture *f, gconstpointer data)
{
    for (int i = 0; f->n > 1 && i < f->n; i++) {
        set_states(f, S(NONE));
        fakes[i]->state = S(RUNNING);
        run(f, START, RUNNING_OR_DONE);
        run(f, STOP, NOT_RUNNING);
        g_assert_cmpint(fakes[i]->state, ==, S(RUNNING));
        g_assert_cmpint(fakes[(i + 1) % f->n]->state, ==, S(NONE));
    }
    g_assert_cmpstr(fake_log->str, ==, "");
}

static void test_get_error(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(replication_group_get_error(&err));
    g_assert_cmpstr(err->message, ==, NOT_RUNNING);
    g_clear_error(&err);
    start(f);
    g_assert_true(replication_group_get_error(&err));
    for (int i = 0; i < f->n; i++) {
        fakes[i]->error.ret = -ENOSPC;
        g_assert_false(replication_group_get_error(&err));
        g_assert_cmpstr(err->message, ==, "I/O error occurred");
        g_clear_error(&err);
        fakes[i]->error.ret = 0;
    }
    set_states(f, S(FAILOVER_FAILED));
    g_assert_false(replication_group_get_error(&err));
    g_assert_cmpstr(err->message, ==, "I/O error occurred");
    g_clear_error(&err);

    /* The peer was lost; that is why there was a failover. */
    fakes[0]->error.ret = -EIO;
    set_states(f, S(DONE));
    g_assert_true(replication_group_get_error(&err));
    fakes[0]->error.ret = 0;
}

/* All or none */

static void test_start_undone(Fixture *f, gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_CHECK_START, FAKE_START };
    static const char *const names[] = { "check", "start" };

    for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
        for (int i = 0; i < f->n; i++) {
            g_autofree char *text =
                g_strdup_printf("%s of disk %d failed", names[s], i);

            fakes[i]->fail[steps[s]] = true;
            run(f, START, text);
            fakes[i]->fail[steps[s]] = false;
            assert_states(f, S(NONE));
            assert_gates(f, false);
        }
    }
    start(f);
}

static void test_checkpoint_undone(Fixture *f, gconstpointer data)
{
    start(f);
    for (int i = 0; i < f->n; i++) {
        g_autofree char *text = g_strdup_printf("prepare of disk %d failed",
                                                i);

        fakes[i]->fail[FAKE_PREPARE] = true;
        run(f, CHECKPOINT, text);
        fakes[i]->fail[FAKE_PREPARE] = false;
        assert_states(f, S(RUNNING));
        assert_gates(f, false);
        for (int j = 0; j < f->n; j++) {
            g_assert_cmpint(fakes[j]->epoch, ==, 0);
        }
    }
    run(f, CHECKPOINT, NULL);
    for (int j = 0; j < f->n; j++) {
        g_assert_cmpint(fakes[j]->epoch, ==, 1);
    }
}

static void test_stop_goes_on_after_a_failure(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        g_autofree char *text =
            g_strdup_printf("disk '%s': stop of disk %d failed",
                            bdrv_node_name(fakes[i]->bs), i);

        set_states(f, S(RUNNING));
        fakes[i]->fail[FAKE_STOP] = true;
        run(f, STOP, text);
        fakes[i]->fail[FAKE_STOP] = false;
        for (int j = 0; j < f->n; j++) {
            g_assert_cmpint(fakes[j]->state, ==,
                            j == i ? S(RUNNING) : S(NONE));
        }
    }
}

/* Every disk takes each step before any takes the next one. */
static void test_steps_in_order(Fixture *f, gconstpointer data)
{
    static const char *const one = "settle0 prepare0 do0 ";
    static const char *const three =
        "settle0 settle1 settle2 prepare0 prepare1 prepare2 do0 do1 do2 ";

    start(f);
    run(f, CHECKPOINT, NULL);
    g_assert_cmpstr(fake_log->str, ==, f->n == 1 ? one : three);
}

static void test_disks_prepare_side_by_side(Fixture *f, gconstpointer data)
{
    Command c;

    start(f);
    for (int i = 0; i < f->n; i++) {
        fakes[i]->hold[FAKE_PREPARE] = true;
    }
    begin(&c, f, CHECKPOINT);
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpuint(fakes[i]->held, ==, 1);
    }
    for (int i = 0; i < f->n; i++) {
        g_assert_false(c.ended);
        fake_release(fakes[i], FAKE_PREPARE);
        test_settle(f->ctx);
    }
    assert_ended(&c, NULL);
}

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

static void test_deadline_of_prepare(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        g_autofree char *text = deadline_text(i);
        g_autofree char *left = g_strdup_printf(
            "An earlier checkpoint of disk '%s' was given up and has not "
            "ended yet", bdrv_node_name(fakes[i]->bs));
        Command c;

        set_states(f, S(NONE));
        start(f);
        fakes[i]->hold[FAKE_PREPARE] = true;
        begin(&c, f, CHECKPOINT);
        pass_deadline(f);
        assert_ended(&c, text);
        assert_states(f, S(RUNNING));
        assert_gates(f, false);
        run(f, CHECKPOINT, left);
        fake_release(fakes[i], FAKE_PREPARE);
        test_settle(f->ctx);
        assert_states(f, S(RUNNING));
        run(f, CHECKPOINT, NULL);
    }
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

static void test_failover_during_start(Fixture *f, gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_CHECK_START, FAKE_START };

    for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
        for (int i = 0; i < f->n; i++) {
            bool begun = steps[s] == FAKE_START;
            Command c;

            set_states(f, S(NONE));
            fakes[i]->hold[steps[s]] = true;
            begin(&c, f, START);
            g_assert_false(c.ended);
            failover(f);
            fake_release(fakes[i], steps[s]);
            test_settle(f->ctx);
            if (!begun) {
                /* Nothing was running yet: there was nothing to fail over. */
                assert_ended(&c, NULL);
                assert_states(f, S(RUNNING));
                continue;
            }
            assert_ended(&c, "A failover has begun");
            for (int j = 0; j < f->n; j++) {
                g_assert_cmpint(fakes[j]->state, ==,
                                j < i ? S(DONE) : S(NONE));
            }
            assert_gates(f, false);
        }
    }
}

static void test_failover_during_stop(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < f->n; i++) {
        Command c;

        set_states(f, S(NONE));
        start(f);
        fakes[i]->hold[FAKE_STOP] = true;
        begin(&c, f, STOP);
        g_assert_false(c.ended);
        failover(f);
        for (int j = 0; j < f->n; j++) {
            /* The one that is being stopped must stay at rest. */
            g_assert_true(blk_gate_is_closed(f->guest[j]) == (j == i));
        }
        fake_release(fakes[i], FAKE_STOP);
        test_settle(f->ctx);
        assert_ended(&c, NULL);
        for (int j = 0; j < f->n; j++) {
            g_assert_cmpint(fakes[j]->state, ==, j <= i ? S(NONE) : S(DONE));
        }
        assert_gates(f, false);
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

/* The loop's two steps */

static void test_two_steps(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    start(f);
    run(f, PREPARE, NULL);
    assert_gates(f, true);
    replication_group_abort();
    assert_states(f, S(RUNNING));
    assert_gates(f, false);
    g_assert_cmpint(fakes[0]->epoch, ==, 0);
    run(f, PREPARE, NULL);
    g_assert_true(replication_group_do(&err));
    assert_states(f, S(RUNNING));
    assert_gates(f, false);
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->epoch, ==, 1);
    }
    replication_group_abort();
}

/* The merge */

static void test_merge_is_a_job(Fixture *f, gconstpointer data)
{
    if (f->mode == REPLICATION_MODE_PRIMARY) {
        start(f);
        failover(f);
        g_assert_null(block_job_next(NULL));
        return;
    }
    start(f);
    for (int i = 0; i < f->n; i++) {
        fakes[i]->hold[FAKE_MERGE] = true;
    }
    failover(f);
    assert_states(f, S(FAILOVER));
    test_settle(f->ctx);
    for (int i = 0; i < f->n; i++) {
        g_autofree char *id = g_strdup_printf("merge-r%d", i);

        g_assert_nonnull(block_job_find(id));
        g_assert_true(block_job_set_speed(id, 4096, NULL));
        g_assert_cmpint(fakes[i]->speed, ==, 4096);
        fake_release(fakes[i], FAKE_MERGE);
    }
    test_settle(f->ctx);
    assert_states(f, S(DONE));
    assert_event("BLOCK_REPLICATION_MERGE_COMPLETED {\"node-name\":\"r0\"}");
    assert_event("BLOCK_JOB_COMPLETED {\"device\":\"merge-r0\",\"len\":100,"
                 "\"offset\":100,\"speed\":4096,\"type\":\"commit\"}");
}

static void test_failed_merge_is_tried_again(Fixture *f, gconstpointer data)
{
    if (f->mode == REPLICATION_MODE_PRIMARY) {
        return;
    }
    start(f);
    fakes[f->n - 1]->fail[FAKE_MERGE] = true;
    failover(f);
    test_settle(f->ctx);
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==, i == f->n - 1
                        ? S(FAILOVER_FAILED) : S(DONE));
    }
    assert_event("\"error\":\"Input/output error\",\"node-name\":");
    fakes[f->n - 1]->fail[FAKE_MERGE] = false;
    g_string_truncate(fake_log, 0);
    failover(f);
    test_settle(f->ctx);
    assert_states(f, S(DONE));
    logged("merge");
    g_assert_null(f->n > 1 ? strstr(fake_log->str, "merge0") : NULL);
}

/* One disk of several */

static void test_one_disk_by_name(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(replication_group_failover("nope", &err));
    g_assert_cmpstr(err->message, ==, "There is no replication node 'nope'");
    g_clear_error(&err);
    start(f);
    g_assert_true(replication_group_failover(bdrv_node_name(fakes[0]->bs),
                                             &err));
    test_settle(f->ctx);
    g_assert_cmpint(fakes[0]->state, ==, S(DONE));
    for (int i = 1; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==, S(RUNNING));
    }
}

/* Events */

static void test_events(Fixture *f, gconstpointer data)
{
    ReplicationError error = {
        .ret = -ENOSPC, .node_name = (char *)"d0", .offset = 512,
        .what = (char *)"holding a before-image",
    };

    start(f);
    assert_event("BLOCK_REPLICATION_STATE_CHANGE {\"mode\":");
    assert_event("\"previous\":\"none\",\"state\":\"running\"}");
    fake_observer->error(fakes[0], &error);
    assert_event("{\"desc\":\"No space left on device\",\"errno\":28,"
                 "\"failed-node\":\"d0\",\"mode\":");
    assert_event("\"offset\":512,\"what\":\"holding a before-image\"}");
    error.offset = -1;
    g_string_truncate(f->events, 0);
    fake_observer->error(fakes[0], &error);
    g_assert_null(strstr(f->events->str, "offset"));
    fake_observer->high_mark(fakes[0]);
    assert_event("BLOCK_REPLICATION_HIGH_MARK {\"node-name\":");
    fake_observer->unforwarded(fakes[0]);
    assert_event("BLOCK_REPLICATION_UNFORWARDED {\"node-name\":");
}

static void test_generation_grows(Fixture *f, gconstpointer data)
{
    for (int i = 1; i <= 3; i++) {
        start(f);
        g_assert_cmpuint(fakes[0]->generation, ==, i);
        run(f, STOP, NULL);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "table", test_table },
        { "table-prepared", test_prepared_row },
        { "wrong-mode", test_wrong_mode },
        { "one-that-refuses", test_one_that_refuses },
        { "get-error", test_get_error },
        { "start-undone", test_start_undone },
        { "checkpoint-undone", test_checkpoint_undone },
        { "stop-goes-on", test_stop_goes_on_after_a_failure },
        { "steps-in-order", test_steps_in_order },
        { "prepare-side-by-side", test_disks_prepare_side_by_side },
        { "requests-in-flight", test_checkpoint_waits_for_requests },
        { "pause", test_pause_is_measured },
        { "deadline-requests", test_deadline_of_requests },
        { "deadline-start", test_deadline_of_start },
        { "deadline-prepare", test_deadline_of_prepare },
        { "failover-in-checkpoint", test_failover_during_checkpoint },
        { "failover-in-drain", test_failover_during_drain },
        { "failover-when-prepared", test_failover_when_prepared },
        { "failover-in-start", test_failover_during_start },
        { "failover-in-stop", test_failover_during_stop },
        { "failover-needs-no-mutex", test_failover_needs_no_mutex },
        { "two-steps", test_two_steps },
        { "merge-job", test_merge_is_a_job },
        { "merge-again", test_failed_merge_is_tried_again },
        { "one-by-name", test_one_disk_by_name },
        { "events", test_events },
        { "generation", test_generation_grows },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
            g_autofree char *path = g_strdup_printf(
                "/replication/group/%s/%s", kinds[k].name, tests[i].name);

            g_test_add(path, Fixture, &kinds[k], setup, tests[i].fn,
                       teardown);
        }
    }
    return g_test_run();
}
