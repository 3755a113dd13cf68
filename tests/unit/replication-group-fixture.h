/*
 * Disks of a guest as one, with drivers that do as they are told: fixture and
 * commands
 *
 * Each disk of a secondary:   guest -> rN (filter) -> dN <- peer
 * of a primary:               guest -> dN
 *
 * Included by one file of a program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_REPLICATION_GROUP_FIXTURE_H
#define TESTS_UNIT_REPLICATION_GROUP_FIXTURE_H

#include "replication/group.h"

#include "block-helpers.h"
#include "block/export.h"
#include "block/job.h"
#include "fake-replication.h"
#include "qapi/event.h"

#include <jansson.h>

#define S(name) BLOCK_REPLICATION_STATE_##name

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
    const char *node;           /* what commands are about; NULL: all */
    GString *events;
} Fixture;

static GString *current_events;

static inline void record_event(int event, const char *name, json_t *data)
{
    char *text = json_dumps(data, JSON_SORT_KEYS | JSON_COMPACT);

    g_string_append_printf(current_events, "%s %s\n", name, text);
    free(text);
}

static inline Replication *new_fake(Fixture *f, int i)
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

static inline void setup(Fixture *f, gconstpointer data)
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

static inline void coroutine_fn closing_entry(void *opaque)
{
    fake_observer->closing(opaque);
}

static inline void close_fake(Fixture *f, int i)
{
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

static inline void teardown(Fixture *f, gconstpointer data)
{
    test_settle(f->ctx);
    g_assert_null(block_job_next(NULL));
    for (int i = 0; i < f->n; i++) {
        close_fake(f, i);
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

static inline void coroutine_fn command_entry(void *opaque)
{
    Command *c = opaque;
    GRAPH_COMMAND_GUARD();

    switch (c->type) {
    case START:
        c->ok = replication_group_co_start(c->f->node, c->f->mode, false,
                                           &c->err);
        break;
    case CHECKPOINT:
        c->ok = replication_group_co_checkpoint(c->f->node, &c->err);
        break;
    case STOP:
        c->ok = replication_group_co_stop(c->f->node, &c->err);
        break;
    case PREPARE:
        c->ok = replication_group_co_prepare(&c->err);
        break;
    }
    g_assert_true(c->ok == !c->err);
    c->ended = true;
}

/* Begin it and let everything happen that can. */
static inline void begin(Command *c, Fixture *f, int type)
{
    *c = (Command) { .type = type, .f = f };
    coroutine_start(command_entry, c);
    test_settle(f->ctx);
}

/* It ended, with the error @text or none. */
static inline void assert_ended(Command *c, const char *text)
{
    g_assert_true(c->ended);
    g_assert_cmpstr(c->err ? c->err->message : NULL, ==, text);
    g_clear_error(&c->err);
}

static inline void run(Fixture *f, int type, const char *text)
{
    Command c;

    begin(&c, f, type);
    assert_ended(&c, text);
}

static inline void failover(Fixture *f)
{
    g_autoptr(GError) err = NULL;

    g_assert_true(replication_group_failover(f->node, &err));
    g_assert_no_error(err);
}

static inline void set_states(Fixture *f, BlockReplicationState state)
{
    for (int i = 0; i < f->n; i++) {
        fakes[i]->state = state;
    }
}

static inline void assert_states(Fixture *f, BlockReplicationState state)
{
    for (int i = 0; i < f->n; i++) {
        g_assert_cmpint(fakes[i]->state, ==, state);
    }
}

static inline void assert_nothing_settled(Fixture *f)
{
    for (int i = 0; i < f->n; i++) {
        g_assert_false(fakes[i]->settled);
    }
}

static inline void assert_gates(Fixture *f, bool closed)
{
    for (int i = 0; i < f->n; i++) {
        g_assert_true(blk_gate_is_closed(f->guest[i]) == closed);
        g_assert_true(!f->peer[i] ||
                      blk_gate_is_closed(f->peer[i]) == closed);
    }
}

static inline void assert_event(const char *text)
{
    if (!strstr(current_events->str, text)) {
        g_error("no event '%s' in: %s", text, current_events->str);
    }
}

/* Position of @word in the log; it must be there. */
static inline ptrdiff_t logged(const char *word)
{
    const char *p = strstr(fake_log->str, word);

    if (!p) {
        g_error("no '%s' in: %s", word, fake_log->str);
    }
    return p - fake_log->str;
}

static inline void start(Fixture *f)
{
    run(f, START, NULL);
    assert_states(f, BLOCK_REPLICATION_STATE_RUNNING);
    g_string_truncate(fake_log, 0);
}

/* Programs */

typedef struct GroupTest {
    const char *name;
    void (*fn)(Fixture *f, gconstpointer data);
} GroupTest;

/* Each test with each kind of fixture, below @prefix. */
static inline int run_group_tests(int argc, char **argv, const char *prefix,
                                  const GroupTest *tests, size_t n)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n * ARRAY_SIZE(kinds); i++) {
        const Kind *kind = &kinds[i / n];
        const GroupTest *t = &tests[i % n];
        g_autofree char *path = g_strdup_printf("%s/%s/%s", prefix,
                                                kind->name, t->name);

        g_test_add(path, Fixture, kind, setup, t->fn, teardown);
    }
    return g_test_run();
}

#endif
