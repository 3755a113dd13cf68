/*
 * The disks of a guest as one: the state table, all or none, the merge, events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-group-fixture.h"

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

/* An export of the first disk */

static bool coroutine_fn export_create(BlockExport *exp,
                                       const BlockExportOptions *options,
                                       GError **errp)
{
    return true;
}

static void export_nothing(BlockExport *exp)
{
}

static void coroutine_fn add_export(void *opaque)
{
    static const BlockExportDriver drv = {
        .type = BLOCK_EXPORT_TYPE_NBD, .instance_size = sizeof(BlockExport),
        .create = export_create, .request_shutdown = export_nothing,
        .destroy = export_nothing,
    };
    static const BlockExportDriver *const drivers[] = { &drv, NULL };
    const BlockExportOptions options = {
        .type = BLOCK_EXPORT_TYPE_NBD, .id = (char *)"e0",
        .node_name = (char *)"d0", .has_writable = true, .writable = true,
    };

    block_export_register(drivers);
    *(BlockExport **)opaque = block_export_co_add(&options, NULL);
}

/* It is running still, and so is the rule of the one writer. */
static void test_failed_stop_keeps_the_guard(Fixture *f, gconstpointer data)
{
    BlockExport *exp;

    if (f->mode == REPLICATION_MODE_PRIMARY) {
        return;
    }
    test_run(f->ctx, add_export, &exp);
    g_assert_null(exp->guard);
    start(f);
    g_assert_nonnull(exp->guard);
    fakes[0]->fail[FAKE_STOP] = true;
    run(f, STOP, "disk 'r0': stop of disk 0 failed");
    g_assert_nonnull(exp->guard);
    fakes[0]->fail[FAKE_STOP] = false;
    set_states(f, S(RUNNING));
    run(f, STOP, NULL);
    g_assert_null(exp->guard);
    g_assert_true(block_export_del("e0", BLOCK_EXPORT_REMOVE_MODE_HARD,
                                   NULL));
    test_settle(f->ctx);
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

/* The loop's two steps */

static void assert_nothing_prepared(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(replication_group_do(&err));
    g_assert_cmpstr(err->message, ==, "No checkpoint is prepared");
    replication_group_abort();
}

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
    assert_nothing_prepared();
}

/* Nothing to do for any disk is not the same as nothing prepared. */
static void test_two_steps_of_nothing(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    set_states(f, S(DONE));
    run(f, PREPARE, NULL);
    g_assert_true(replication_group_do(&err));
    assert_nothing_prepared();
    run(f, PREPARE, NULL);
    replication_group_abort();
    assert_nothing_prepared();
    run(f, CHECKPOINT, NULL);
    assert_states(f, S(DONE));
}

/* What a stop has ended is not done, not even while the stop goes on. */
static void test_stop_between_the_steps(Fixture *f, gconstpointer data)
{
    static const FakeStep steps[] = { FAKE_SETTLE, FAKE_STOP };

    for (int i = 0; i < f->n * 2; i++) {
        Replication *r = fakes[i / 2];
        FakeStep step = steps[i % 2];
        Command c;

        start(f);
        run(f, PREPARE, NULL);
        r->hold[step] = true;
        begin(&c, f, STOP);
        g_assert_false(c.ended);
        assert_nothing_prepared();
        fake_release(r, step);
        test_settle(f->ctx);
        assert_ended(&c, NULL);
        assert_states(f, S(NONE));
        assert_gates(f, false);
        g_assert_cmpint(r->epoch, ==, 0);
        assert_nothing_prepared();
    }
}

/* A disk that the cut is not about cannot be started meanwhile either. */
static void test_start_while_others_are_prepared(Fixture *f,
                                                 gconstpointer data)
{
    if (f->n == 1 || f->mode == REPLICATION_MODE_SECONDARY) {
        return;
    }
    start(f);
    fakes[0]->state = S(NONE);
    run(f, PREPARE, NULL);
    f->node = bdrv_node_name(fakes[0]->bs);
    run(f, START, "A checkpoint is already under way");
    g_assert_cmpint(fakes[0]->state, ==, S(NONE));
    replication_group_abort();
    run(f, START, NULL);
    assert_states(f, S(RUNNING));
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

static int coroutine_fn run_nothing(BlockJob *job)
{
    return 0;
}

static void no_progress(BlockJob *job, int64_t *done, int64_t *total)
{
    *done = *total = 0;
}

/* A failover does not fail because of a name. */
static void test_merge_finds_a_free_name(Fixture *f, gconstpointer data)
{
    static const BlockJobDriver drv = {
        .type = JOB_TYPE_CREATE, .manual_dismiss = true,
        .run = run_nothing, .progress = no_progress,
    };
    static const char *const ids[] = {
        "merge-r0", "merge-node-r0", "merge-node-r0-2",
    };

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        g_assert_nonnull(block_job_start(&drv, ids[i], NULL, NULL));
    }
    start(f);
    failover(f);
    test_settle(f->ctx);
    assert_states(f, S(DONE));
    if (f->mode == REPLICATION_MODE_SECONDARY) {
        assert_event("\"device\":\"merge-node-r0-3\"");
    }
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        g_assert_true(block_job_dismiss(ids[i], NULL));
    }
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
    static const GroupTest tests[] = {
        { "table", test_table },
        { "table-prepared", test_prepared_row },
        { "wrong-mode", test_wrong_mode },
        { "one-that-refuses", test_one_that_refuses },
        { "get-error", test_get_error },
        { "start-undone", test_start_undone },
        { "checkpoint-undone", test_checkpoint_undone },
        { "stop-goes-on", test_stop_goes_on_after_a_failure },
        { "stop-fails-guarded", test_failed_stop_keeps_the_guard },
        { "steps-in-order", test_steps_in_order },
        { "prepare-side-by-side", test_disks_prepare_side_by_side },
        { "two-steps", test_two_steps },
        { "two-steps-of-nothing", test_two_steps_of_nothing },
        { "stop-between-steps", test_stop_between_the_steps },
        { "start-while-prepared", test_start_while_others_are_prepared },
        { "merge-job", test_merge_is_a_job },
        { "merge-name", test_merge_finds_a_free_name },
        { "merge-again", test_failed_merge_is_tried_again },
        { "one-by-name", test_one_disk_by_name },
        { "events", test_events },
        { "generation", test_generation_grows },
    };

    return run_group_tests(argc, argv, "/replication/group", tests,
                           ARRAY_SIZE(tests));
}
