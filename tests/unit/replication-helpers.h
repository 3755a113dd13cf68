/*
 * For tests of the replication driver: steps in coroutines, an observer that
 * remembers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_REPLICATION_HELPERS_H
#define TESTS_UNIT_REPLICATION_HELPERS_H

#include "block/drivers.h"
#include "block/replication.h"
#include "driver-helpers.h"

/* What the observer has seen. */
typedef struct Seen {
    unsigned errors, high_marks, unforwarded, closings;
    GString *states;            /* "none>running " ... */
} Seen;

static Seen seen;

static void seen_state(Replication *r, BlockReplicationState from,
                       BlockReplicationState to)
{
    g_string_append_printf(seen.states, "%s>%s ",
                           BlockReplicationState_str(from),
                           BlockReplicationState_str(to));
}

static void seen_error(Replication *r, const ReplicationError *error)
{
    seen.errors++;
}

static void seen_high_mark(Replication *r)
{
    seen.high_marks++;
}

static void seen_unforwarded(Replication *r)
{
    seen.unforwarded++;
}

/* Whoever looks for it while it closes, a failover too, finds nothing. */
static void coroutine_fn seen_closing(Replication *r)
{
    Replication *other = NULL;

    while ((other = replication_next(other))) {
        g_assert_true(other != r);
    }
    seen.closings++;
}

static inline void observe(void)
{
    static const ReplicationObserver observer = {
        .state_changed = seen_state,
        .error = seen_error,
        .high_mark = seen_high_mark,
        .unforwarded = seen_unforwarded,
        .closing = seen_closing,
    };

    seen = (Seen) { .states = g_string_new(NULL) };
    replication_set_observer(&observer);
}

static inline void observe_end(void)
{
    g_string_free(seen.states, TRUE);
}

/* Steps */

typedef struct Step {
    enum {
        STEP_CHECK_START, STEP_START, STEP_PREPARE, STEP_STOP, STEP_MERGE,
        STEP_SETTLE,
    } step;
    Replication *r;
    bool force;
    bool ended, ok;
    int ret;
    GError **errp;
} Step;

static inline void coroutine_fn step_entry(void *opaque)
{
    Step *s = opaque;

    switch (s->step) {
    case STEP_CHECK_START:
        s->ok = replication_check_start(s->r, s->force, s->errp);
        break;
    case STEP_START:
        s->ok = replication_check_start(s->r, s->force, s->errp) &&
                replication_start(s->r, s->errp);
        break;
    case STEP_PREPARE:
        s->ok = replication_prepare_checkpoint(s->r, s->errp);
        break;
    case STEP_STOP:
        s->ok = replication_stop(s->r, s->errp);
        break;
    case STEP_MERGE:
        s->ret = replication_merge(s->r, 0);
        s->ok = s->ret == 0;
        break;
    case STEP_SETTLE:
        replication_settle(s->r);
        s->ok = true;
        break;
    }
    s->ended = true;
}

static inline void step_begin(AioContext *ctx, Step *s)
{
    s->ended = false;
    coroutine_start(step_entry, s);
    test_settle(ctx);
}

static inline bool step_run(AioContext *ctx, Replication *r, int step,
                            GError **errp)
{
    Step s = { .step = step, .r = r, .errp = errp };

    test_run(ctx, step_entry, &s);
    return s.ok;
}

static inline void step_ok(AioContext *ctx, Replication *r, int step)
{
    g_autoptr(GError) err = NULL;

    g_assert_true(step_run(ctx, r, step, &err));
    g_assert_no_error(err);
}

/* The step fails with exactly this text. */
static inline void step_fails(AioContext *ctx, Replication *r, int step,
                              const char *text)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(step_run(ctx, r, step, &err));
    g_assert_nonnull(err);
    g_assert_cmpstr(err->message, ==, text);
}

static inline void checkpoint_ok(AioContext *ctx, Replication *r)
{
    step_ok(ctx, r, STEP_PREPARE);
    replication_do_checkpoint(r);
}

static inline void advance(AioContext *ctx, AioVirtualClock *clock, int64_t ms)
{
    clock->now_ns += ms * SCALE_MS;
    test_settle(ctx);
}

#define assert_state(r, name)                                           \
    g_assert_cmpstr(BlockReplicationState_str(replication_state(r)), ==, name)

#endif
