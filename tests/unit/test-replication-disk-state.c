/*
 * What is on record of a disk, at each moment of its replication
 *
 * Disks are files.  Each disk of a secondary:   rN (filter) -> fN
 * of a primary:                    qN (quorum) -> fN, rN (forwarder)
 * The state file of fN is beside it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication/state-file.h"

#include <glib/gstdio.h>
#include <jansson.h>

#include "block-helpers.h"
#include "block/drivers.h"
#include "block/export.h"
#include "block/job.h"
#include "fake-replication.h"
#include "log-capture.h"
#include "replication/group.h"

#define N 2

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    char *folder;
    char *path[FAKE_MAX_DISKS];                 /* state files */
    BlockDriverState *file[FAKE_MAX_DISKS];
    BlockDriverState *quorum[FAKE_MAX_DISKS];   /* of a primary */
} Fixture;

/* Graph */

typedef struct Open {
    BlockdevOptions options;
    BlockDriverState *bs;
} Open;

static void coroutine_fn open_entry(void *opaque)
{
    Open *o = opaque;
    g_autoptr(GError) err = NULL;

    o->bs = bdrv_co_open(&o->options, &err);
    g_assert_no_error(err);
}

static char *image_of(Fixture *f, int i)
{
    return g_strdup_printf("%s/disk%d", f->folder, i);
}

static BlockDriverState *open_file(Fixture *f, int i)
{
    g_autofree char *image = image_of(f, i);
    g_autofree char *name = g_strdup_printf("f%d", i);
    g_autofree char *zeroes = g_malloc0(TEST_DISK_SIZE);
    Open o = {
        .options = {
            .driver = BLOCKDEV_DRIVER_FILE, .node_name = name,
            .u.file.filename = image,
        },
    };

    g_assert_true(g_file_set_contents(image, zeroes, TEST_DISK_SIZE, NULL));
    f->path[i] = g_strdup_printf("%s.colo-state", image);
    test_run(f->ctx, open_entry, &o);
    return o.bs;
}

static BlockdevRef reference(const char *name)
{
    return (BlockdevRef) {
        .type = QTYPE_QSTRING, .u.reference = (char *)name,
    };
}

static BlockDriverState *open_quorum(Fixture *f, int i, const char *first,
                                     const char *second)
{
    g_autofree char *name = g_strdup_printf("q%d", i);
    BlockdevRef a = reference(first), b = reference(second);
    BlockdevRefList last = { .value = &b }, list = { &last, &a };
    Open o = {
        .options = {
            .driver = BLOCKDEV_DRIVER_QUORUM, .node_name = name,
            .u.quorum = {
                .children = &list, .vote_threshold = 1,
                .has_read_pattern = true,
                .read_pattern = QUORUM_READ_PATTERN_FIFO,
            },
        },
    };

    test_run(f->ctx, open_entry, &o);
    return o.bs;
}

static void new_fake(int i, ReplicationMode mode)
{
    fakes[i] = g_new0(Replication, 1);
    fakes[i]->index = i;
    fakes[i]->mode = mode;
    fakes[i]->error.offset = -1;
    co_queue_init(&fakes[i]->queue);
}

static void add_secondary(Fixture *f, int i)
{
    g_autofree char *name = g_strdup_printf("r%d", i);

    new_fake(i, REPLICATION_MODE_SECONDARY);
    f->file[i] = open_file(f, i);
    fakes[i]->disk = f->file[i];
    fakes[i]->bs = test_open_filter(f->ctx, name,
                                    bdrv_node_name(f->file[i]), NULL);
}

/* Beside @sibling, or a file of its own. */
static void add_primary(Fixture *f, int i, const char *sibling)
{
    g_autofree char *name = g_strdup_printf("r%d", i);

    new_fake(i, REPLICATION_MODE_PRIMARY);
    fakes[i]->bs = test_open_disk(f->ctx, name);
    fakes[i]->bs->forward_only = true;
    if (!sibling) {
        f->file[i] = open_file(f, i);
        sibling = bdrv_node_name(f->file[i]);
    }
    f->quorum[i] = open_quorum(f, i, sibling, name);
}

/* The node of a secondary tells of its end, as that of the driver does. */
static void coroutine_fn secondary_close(BlockDriverState *bs)
{
    for (int i = 0; i < FAKE_MAX_DISKS; i++) {
        if (fakes[i] && fakes[i]->bs == bs) {
            fake_observer->closing(fakes[i]);
            fakes[i]->bs = NULL;
        }
    }
}

static void setup(Fixture *f, gconstpointer data)
{
    static BlockDriver secondary;
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &secondary, &bdrv_file, &bdrv_quorum, NULL
    };

    secondary = test_filter_driver;
    secondary.bdrv_co_close = secondary_close;
    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(&f->clock, NULL);
    f->folder = g_dir_make_tmp("colo-disk-state-XXXXXX", NULL);
    fake_log = g_string_new(NULL);
    replication_group_init();
}

static void setup_primaries(Fixture *f, gconstpointer data)
{
    setup(f, data);
    for (int i = 0; i < N; i++) {
        add_primary(f, i, NULL);
    }
}

static void setup_secondaries(Fixture *f, gconstpointer data)
{
    setup(f, data);
    for (int i = 0; i < N; i++) {
        add_secondary(f, i);
    }
}

static void coroutine_fn closing_entry(void *opaque)
{
    fake_observer->closing(opaque);
}

static void close_disk(Fixture *f, int i)
{
    test_run(f->ctx, closing_entry, fakes[i]);
}

static void remove_disk(Fixture *f, int i)
{
    if (f->quorum[i]) {
        test_unref(f->ctx, f->quorum[i]);
    }
    test_unref(f->ctx, fakes[i]->bs);
    if (f->file[i]) {
        g_autofree char *image = image_of(f, i);

        test_unref(f->ctx, f->file[i]);
        g_assert_cmpint(g_unlink(image), ==, 0);
        g_free(f->path[i]);
    }
    g_free(fakes[i]);
    fakes[i] = NULL;
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_settle(f->ctx);
    for (int i = FAKE_MAX_DISKS; i-- > 0;) {
        if (fakes[i]) {
            close_disk(f, i);
            if (f->path[i]) {
                g_unlink(f->path[i]);
            }
            remove_disk(f, i);
        }
    }
    test_settle(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);     /* nothing is left over */
    g_free(f->folder);
    g_string_free(fake_log, TRUE);
    block_export_set_hooks(NULL);
    aio_context_free(f->ctx);
}

/* Commands */

typedef struct Command {
    enum { START, PREPARE, STOP } type;
    ReplicationMode mode;
    bool ended, ok;
    GError *err;
} Command;

static void coroutine_fn command_entry(void *opaque)
{
    Command *c = opaque;
    GRAPH_COMMAND_GUARD();

    switch (c->type) {
    case START:
        c->ok = replication_group_co_start(NULL, c->mode, false, &c->err);
        break;
    case PREPARE:
        c->ok = replication_group_co_prepare(&c->err);
        break;
    case STOP:
        c->ok = replication_group_co_stop(NULL, &c->err);
        break;
    }
    c->ended = true;
}

static void begin(Command *c, int type, int mode)
{
    *c = (Command) { .type = type, .mode = mode };
    coroutine_start(command_entry, c);
}

/* It ends, with the error @text or none. */
static void end(Fixture *f, Command *c, const char *text)
{
    while (!c->ended) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmpstr(c->err ? c->err->message : NULL, ==, text);
    g_assert_true(c->ok == !c->err);
    g_clear_error(&c->err);
}

static void run(Fixture *f, int type, const char *text)
{
    Command c;

    begin(&c, type, fakes[0]->mode);
    end(f, &c, text);
}

static void failover(void)
{
    g_assert_true(replication_group_failover(NULL, NULL));
}

static void until_logged(Fixture *f, const char *word)
{
    while (!strstr(fake_log->str, word)) {
        aio_poll(f->ctx, true);
    }
}

static void until_state(Fixture *f, BlockReplicationState state)
{
    for (int i = 0; i < N; i++) {
        while (fakes[i]->state != state) {
            aio_poll(f->ctx, true);
        }
    }
}

/* Let merges end, and notes that nobody waits for get into their files. */
static void until_noted(Fixture *f)
{
    while (block_job_next(NULL) || coroutine_count()) {
        aio_poll(f->ctx, true);
    }
}

/* Files */

static const char *value_in(Fixture *f, int i, const char *key)
{
    static char value[32];
    json_t *file = json_load_file(f->path[i], 0, NULL);
    const char *text = json_string_value(json_object_get(file, key));

    g_strlcpy(value, text ? text : "none", sizeof(value));
    json_decref(file);
    return value;
}

static void assert_files(Fixture *f, const char *state)
{
    for (int i = 0; i < N; i++) {
        g_assert_cmpstr(value_in(f, i, "state"), ==, state);
    }
}

typedef struct Left {
    const char *path;
    const ReplicationStateFile *state;
} Left;

static void coroutine_fn leave_entry(void *opaque)
{
    const Left *left = opaque;

    g_assert_true(state_file_co_write(left->path, left->state, NULL));
}

static void coroutine_fn read_entry(void *opaque)
{
    const Left *left = opaque;
    g_autoptr(ReplicationStateFile) state = NULL;

    g_assert_true(state_file_co_read(left->path, &state, NULL));
}

/* What a daemon before us said of disk @i. */
static void leave_behind(Fixture *f, int i, ReplicationMode role,
                         ReplicationDiskState state)
{
    g_autofree char *image = image_of(f, i);
    ReplicationImageId id;
    ReplicationStateFile file = {
        .version = 1, .role = role, .state = state, .pair = (char *)"p",
        .generation = 7, .epoch = 3, .image = &id,
    };
    Left left = { f->path[i], &file };

    state_file_identify(image, &id);
    test_run(f->ctx, leave_entry, &left);
}

/* A folder of the temporary file's name: nobody can write it, root neither. */
static char *make_unwritable(Fixture *f, int i)
{
    char *temp = g_strdup_printf("%s.tmp", f->path[i]);

    g_assert_cmpint(g_mkdir(temp, 0700), ==, 0);
    return temp;
}

/* Order */

static void test_noted_before_start(Fixture *f, gconstpointer data)
{
    Command c;

    fakes[0]->hold[FAKE_START] = true;
    begin(&c, START, fakes[0]->mode);
    until_logged(f, "start0");
    assert_files(f, "replicating");
    fake_release(fakes[0], FAKE_START);
    end(f, &c, NULL);
    assert_files(f, "replicating");
}

static void test_noted_before_the_merge(Fixture *f, gconstpointer data)
{
    run(f, START, NULL);
    for (int i = 0; i < N; i++) {
        fakes[i]->hold[FAKE_MERGE] = true;
    }
    failover();
    until_logged(f, "merge0");
    until_logged(f, "merge1");
    assert_files(f, "merging");
    for (int i = 0; i < N; i++) {
        fake_release(fakes[i], FAKE_MERGE);
    }
    until_noted(f);
    assert_files(f, "consistent");
}

static void test_failed_merge_stays_noted(Fixture *f, gconstpointer data)
{
    run(f, START, NULL);
    fakes[1]->fail[FAKE_MERGE] = true;
    failover();
    until_noted(f);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "merging");
    fakes[1]->fail[FAKE_MERGE] = false;
    failover();
    until_noted(f);
    assert_files(f, "consistent");
}

static void test_noted_after_stop(Fixture *f, gconstpointer data)
{
    Command c;

    run(f, START, NULL);
    fakes[0]->hold[FAKE_STOP] = true;
    begin(&c, STOP, 0);
    until_logged(f, "stop0");
    assert_files(f, "replicating");
    fake_release(fakes[0], FAKE_STOP);
    end(f, &c, NULL);
    assert_files(f, "consistent");
}

/* It has stopped all the same. */
static void test_unwritable_file_after_stop(Fixture *f, gconstpointer data)
{
    g_autofree char *temp = NULL;
    g_autofree char *text =
        g_strdup_printf("' is consistent, but this cannot be noted: Cannot "
                        "create state file '%s': Is a directory", f->path[1]);

    run(f, START, NULL);
    temp = make_unwritable(f, 1);
    log_capture_begin();
    run(f, STOP, NULL);
    log_capture_end(text);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "replicating");
    g_assert_cmpint(g_rmdir(temp), ==, 0);
}

/* How it ended is known when nothing can fail any more. */
static void test_last_flush_fails(Fixture *f, gconstpointer data)
{
    bool secondary = fakes[0]->mode == REPLICATION_MODE_SECONDARY;

    run(f, START, NULL);
    fakes[0]->fail_last_flush = true;
    run(f, STOP, NULL);
    g_assert_cmpstr(value_in(f, 0, "state"), ==,
                    secondary ? "replicating" : "consistent");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "consistent");
    fakes[0]->error.ret = 0;

    run(f, START, NULL);
    close_disk(f, 0);
    close_disk(f, 1);
    g_assert_cmpstr(value_in(f, 0, "state"), ==,
                    secondary ? "replicating" : "consistent");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "consistent");
}

/* Starts that fail */

static void test_unwritable_file_fails_the_start(Fixture *f,
                                                 gconstpointer data)
{
    g_autofree char *temp = make_unwritable(f, 1);
    g_autofree char *text =
        g_strdup_printf("Cannot create state file '%s': Is a directory",
                        f->path[1]);

    run(f, START, text);
    g_assert_null(strstr(fake_log->str, "start"));
    until_state(f, BLOCK_REPLICATION_STATE_NONE);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
    g_assert_cmpint(g_rmdir(temp), ==, 0);
    run(f, START, NULL);
    assert_files(f, "replicating");
}

static void test_unreadable_file_fails_the_start(Fixture *f,
                                                 gconstpointer data)
{
    g_autofree char *text =
        g_strdup_printf("Cannot read state file '%s': Is a directory",
                        f->path[1]);

    g_assert_cmpint(g_mkdir(f->path[1], 0700), ==, 0);
    run(f, START, text);
    g_assert_null(strstr(fake_log->str, "start"));
    g_assert_cmpint(g_rmdir(f->path[1]), ==, 0);
}

static void test_failed_start_changes_nothing(Fixture *f, gconstpointer data)
{
    leave_behind(f, 0, REPLICATION_MODE_SECONDARY,
                 REPLICATION_DISK_STATE_MERGING);
    fakes[1]->fail[FAKE_START] = true;
    run(f, START, "start of disk 1 failed");
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "merging");
    g_assert_cmpstr(value_in(f, 0, "role"), ==, "secondary");
    g_assert_cmpstr(value_in(f, 0, "pair"), ==, "p");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "consistent");
    fakes[1]->fail[FAKE_START] = false;

    /* A start that works is somebody's word. */
    run(f, START, NULL);
    g_assert_cmpuint(fakes[0]->generation, ==, 9);
    run(f, STOP, NULL);
    assert_files(f, "consistent");
}

/* A primary that is done is started again, and the new peer is not there. */
static void test_failed_start_when_done(Fixture *f, gconstpointer data)
{
    run(f, START, NULL);
    failover();
    until_noted(f);
    assert_files(f, "consistent");
    for (int i = 0; i < N; i++) {
        fakes[i]->fail[FAKE_START] = true;
        run(f, START, i ? "start of disk 1 failed" : "start of disk 0 failed");
        fakes[i]->fail[FAKE_START] = false;
        assert_files(f, "consistent");
    }
}

/* The start is undone, and what was on record of its disks is so again. */
static void test_failover_in_a_start(Fixture *f, gconstpointer data)
{
    Command c;

    leave_behind(f, 0, REPLICATION_MODE_PRIMARY,
                 REPLICATION_DISK_STATE_MERGING);
    fakes[1]->hold[FAKE_START] = true;
    begin(&c, START, fakes[0]->mode);
    until_logged(f, "start1");
    assert_files(f, "replicating");
    failover();
    fake_release(fakes[1], FAKE_START);
    end(f, &c, "A failover has begun");
    until_noted(f);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "merging");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "consistent");
    until_state(f, BLOCK_REPLICATION_STATE_NONE);
}

/* Several with one file */

/* Whoever does not wait has come as far as the file by then. */
static void give_time(Fixture *f)
{
    for (int i = 0; i < 20; i++) {
        Left any = { f->path[1], NULL };

        test_run(f->ctx, read_entry, &any);
    }
}

/*
 * The first write is caught in a pipe that nobody reads; a start that comes
 * now waits for its end, and has the last word.
 */
static void test_writes_wait_for_each_other(Fixture *f, gconstpointer data)
{
    g_autofree char *temp = g_strdup_printf("%s.tmp", f->path[0]);
    Command c;
    int pipe;

    run(f, START, NULL);
    g_string_truncate(fake_log, 0);
    g_assert_cmpint(mkfifo(temp, 0600), ==, 0);
    failover();
    begin(&c, START, fakes[0]->mode);
    give_time(f);
    g_assert_false(c.ended);
    pipe = open(temp, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(pipe, >=, 0);
    end(f, &c, NULL);
    close(pipe);
    until_noted(f);
    until_state(f, BLOCK_REPLICATION_STATE_RUNNING);
    assert_files(f, "replicating");
}

/* A promoted secondary still merges, and there is a primary above it. */
static void promote_below_primary(Fixture *f)
{
    add_secondary(f, 0);
    run(f, START, NULL);
    fakes[0]->hold[FAKE_MERGE] = true;
    failover();
    until_logged(f, "merge0");
    add_primary(f, 1, bdrv_node_name(fakes[0]->bs));
}

/* A promoted secondary still merges when the primary above it is started. */
static void test_the_worst_counts(Fixture *f, gconstpointer data)
{
    Command c;

    promote_below_primary(f);
    begin(&c, START, REPLICATION_MODE_PRIMARY);
    end(f, &c, NULL);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "merging");
    fake_release(fakes[0], FAKE_MERGE);
    until_noted(f);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "replicating");
    g_assert_cmpstr(value_in(f, 0, "role"), ==, "primary");
    run(f, STOP, NULL);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
}

/* What a failed start puts back is not what the other one had noted. */
static void test_merged_during_a_start(Fixture *f, gconstpointer data)
{
    Command c;

    promote_below_primary(f);
    fakes[1]->hold[FAKE_START] = fakes[1]->fail[FAKE_START] = true;
    begin(&c, START, REPLICATION_MODE_PRIMARY);
    until_logged(f, "start1");
    fake_release(fakes[0], FAKE_MERGE);
    while (fakes[0]->state != BLOCK_REPLICATION_STATE_DONE) {
        aio_poll(f->ctx, true);
    }
    fake_release(fakes[1], FAKE_START);
    end(f, &c, "start of disk 1 failed");
    until_noted(f);
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
}

/* The last one to let a disk go is the checkpoint that it is prepared for. */
static void test_closed_while_prepared(Fixture *f, gconstpointer data)
{
    run(f, START, NULL);
    run(f, PREPARE, NULL);
    fakes[1]->fail_last_flush = true;
    for (int i = 0; i < N; i++) {
        test_unref(f->ctx, fakes[i]->bs);
    }
    g_assert_nonnull(bdrv_find_node("r0"));
    g_assert_nonnull(bdrv_find_node("r1"));
    assert_files(f, "replicating");

    g_assert_true(replication_group_do(NULL));
    until_noted(f);
    for (int i = 0; i < N; i++) {
        g_assert_null(fakes[i]->bs);
        g_assert_cmpint(fakes[i]->epoch, ==, 1);
        g_assert_cmpint(fakes[i]->state, ==, BLOCK_REPLICATION_STATE_NONE);
    }
    g_assert_cmpstr(value_in(f, 0, "state"), ==, "consistent");
    g_assert_cmpstr(value_in(f, 1, "state"), ==, "replicating");
}

int main(int argc, char **argv)
{
    enum { PRIMARY = 1, SECONDARY = 2, NEITHER = 0 };
    static const struct {
        const char *name;
        int of;
        void (*fn)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "start", PRIMARY | SECONDARY, test_noted_before_start },
        { "merge", SECONDARY, test_noted_before_the_merge },
        { "merge-failed", SECONDARY, test_failed_merge_stays_noted },
        { "stop", PRIMARY | SECONDARY, test_noted_after_stop },
        { "stop-unwritable", PRIMARY | SECONDARY,
          test_unwritable_file_after_stop },
        { "last-flush", PRIMARY | SECONDARY, test_last_flush_fails },
        { "unwritable", PRIMARY | SECONDARY,
          test_unwritable_file_fails_the_start },
        { "unreadable", PRIMARY | SECONDARY,
          test_unreadable_file_fails_the_start },
        { "failed-start", PRIMARY | SECONDARY,
          test_failed_start_changes_nothing },
        { "failed-start-done", PRIMARY, test_failed_start_when_done },
        { "failover-in-start", PRIMARY | SECONDARY,
          test_failover_in_a_start },
        { "closed-while-prepared", SECONDARY, test_closed_while_prepared },
        { "two-writes", PRIMARY, test_writes_wait_for_each_other },
        { "shared", NEITHER, test_the_worst_counts },
        { "shared-failed-start", NEITHER, test_merged_during_a_start },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *primary = g_strdup_printf(
            "/replication/disk-state/primary/%s", tests[i].name);
        g_autofree char *secondary = g_strdup_printf(
            "/replication/disk-state/secondary/%s", tests[i].name);
        g_autofree char *both = g_strdup_printf(
            "/replication/disk-state/%s", tests[i].name);

        if (tests[i].of & PRIMARY) {
            g_test_add(primary, Fixture, NULL, setup_primaries, tests[i].fn,
                       teardown);
        }
        if (tests[i].of & SECONDARY) {
            g_test_add(secondary, Fixture, NULL, setup_secondaries,
                       tests[i].fn, teardown);
        }
        if (tests[i].of == NEITHER) {
            g_test_add(both, Fixture, NULL, setup, tests[i].fn, teardown);
        }
    }
    return g_test_run();
}
