/*
 * A replication driver that does as it is told, for tests of the group
 *
 * It takes the place of the real one: all of block/replication.h is here.  A
 * step can be held or made to fail on each disk; what was called is logged.
 * Included by one file of a program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_FAKE_REPLICATION_H
#define TESTS_UNIT_FAKE_REPLICATION_H

#include "block/graph.h"
#include "block/replication.h"
#include "util/co-lock.h"

typedef enum FakeStep {
    FAKE_CHECK_START,
    FAKE_START,
    FAKE_SETTLE,
    FAKE_PREPARE,
    FAKE_STOP,
    FAKE_MERGE,
    FAKE__MAX,
} FakeStep;

struct Replication {
    BlockDriverState *bs, *disk;
    ReplicationMode mode;
    int index;
    BlockReplicationState state;
    ReplicationError error;
    int64_t epoch;
    uint64_t generation;
    bool hold[FAKE__MAX];       /* wait there, until released */
    bool fail[FAKE__MAX];
    bool fail_last_flush;       /* the stop works, but leaves an error */
    unsigned held;              /* coroutines that wait */
    unsigned aborts;
    bool settled;               /* neither do nor abort has come yet */
    int64_t speed;
    CoQueue queue;
};

#define FAKE_MAX_DISKS 3

static Replication *fakes[FAKE_MAX_DISKS];
static const ReplicationObserver *fake_observer;
static GString *fake_log;

static inline void fake_set_state(Replication *r, BlockReplicationState to)
{
    BlockReplicationState from = r->state;

    r->state = to;
    if (fake_observer && from != to) {
        fake_observer->state_changed(r, from, to);
    }
}

/* True if the step succeeds. */
static inline bool coroutine_fn fake_step(Replication *r, FakeStep step,
                                          const char *name)
{
    g_string_append_printf(fake_log, "%s%d ", name, r->index);
    r->held++;
    while (r->hold[step]) {
        co_queue_wait(&r->queue);
    }
    r->held--;
    return !r->fail[step];
}

static inline void fake_release(Replication *r, FakeStep step)
{
    r->hold[step] = false;
    co_queue_restart_all(&r->queue);
}

static inline bool fake_result(Replication *r, bool ok, const char *name,
                               GError **errp)
{
    if (!ok) {
        error_setg(errp, "%s of disk %d failed", name, r->index);
    }
    return ok;
}

/* What the group calls */

void replication_set_observer(const ReplicationObserver *observer)
{
    fake_observer = observer;
}

Replication *replication_next(Replication *r)
{
    int i = r ? r->index + 1 : 0;

    return i < FAKE_MAX_DISKS ? fakes[i] : NULL;
}

Replication *replication_find(const char *node_name)
{
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        if (g_str_equal(bdrv_node_name(r->bs), node_name)) {
            return r;
        }
    }
    return NULL;
}

BlockDriverState *replication_bs(Replication *r)
{
    return r->bs;
}

ReplicationMode replication_mode(const Replication *r)
{
    return r->mode;
}

BlockReplicationState replication_state(const Replication *r)
{
    return r->state;
}

const ReplicationError *replication_error(const Replication *r)
{
    return &r->error;
}

void replication_writer_lost(Replication *r)
{
    if (r->state == BLOCK_REPLICATION_STATE_RUNNING) {
        r->error.ret = -ECONNRESET;
    }
}

void replication_get_info(Replication *r, BlockReplicationInfo *info)
{
    info->node_name = g_strdup(bdrv_node_name(r->bs));
    info->mode = r->mode;
    info->state = r->state;
    info->epoch = r->epoch;
    info->generation = r->generation;
}

BlockDriverState *replication_disk(Replication *r)
{
    return r->disk;
}

BlockDriverState *replication_top(Replication *r)
{
    return r->disk ? r->bs : NULL;
}

bool coroutine_fn replication_check_start(Replication *r, bool force,
                                          GError **errp)
{
    return fake_result(r, fake_step(r, FAKE_CHECK_START, "check"),
                       "check", errp);
}

bool coroutine_fn replication_start(Replication *r, GError **errp)
{
    if (!fake_result(r, fake_step(r, FAKE_START, "start"), "start", errp)) {
        return false;
    }
    r->epoch = 0;
    fake_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    return true;
}

void coroutine_fn replication_settle(Replication *r)
{
    r->settled = r->state == BLOCK_REPLICATION_STATE_RUNNING;
    fake_step(r, FAKE_SETTLE, "settle");
}

bool coroutine_fn replication_prepare_checkpoint(Replication *r,
                                                 GError **errp)
{
    unsigned aborts = r->aborts;
    bool ok = fake_step(r, FAKE_PREPARE, "prepare");

    if (r->aborts != aborts) {
        ok = false;
    }
    if (ok) {
        fake_set_state(r, BLOCK_REPLICATION_STATE_PREPARED);
    }
    return fake_result(r, ok, "prepare", errp);
}

void replication_do_checkpoint(Replication *r)
{
    g_string_append_printf(fake_log, "do%d ", r->index);
    g_assert_cmpint(r->state, ==, BLOCK_REPLICATION_STATE_PREPARED);
    r->epoch++;
    r->settled = false;
    fake_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
}

void replication_abort_checkpoint(Replication *r)
{
    r->aborts++;
    r->settled = false;
    if (r->state == BLOCK_REPLICATION_STATE_PREPARED) {
        g_string_append_printf(fake_log, "abort%d ", r->index);
        fake_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    }
}

bool coroutine_fn replication_stop(Replication *r, GError **errp)
{
    bool ok;

    replication_abort_checkpoint(r);
    ok = fake_step(r, FAKE_STOP, "stop");
    if (ok) {
        g_assert_cmpint(r->state, ==, BLOCK_REPLICATION_STATE_RUNNING);
        r->error.ret = r->fail_last_flush ? -EIO : r->error.ret;
        fake_set_state(r, BLOCK_REPLICATION_STATE_NONE);
    }
    return fake_result(r, ok, "stop", errp);
}

void replication_failover(Replication *r)
{
    g_string_append_printf(fake_log, "failover%d ", r->index);
    g_assert_cmpint(r->state, !=, BLOCK_REPLICATION_STATE_PREPARED);
    replication_abort_checkpoint(r);
    fake_set_state(r, r->disk ? BLOCK_REPLICATION_STATE_FAILOVER
                              : BLOCK_REPLICATION_STATE_DONE);
}

int coroutine_fn replication_merge(Replication *r, int64_t speed)
{
    bool ok;

    r->speed = speed;
    ok = fake_step(r, FAKE_MERGE, "merge");
    fake_set_state(r, ok ? BLOCK_REPLICATION_STATE_DONE
                         : BLOCK_REPLICATION_STATE_FAILOVER_FAILED);
    return ok ? 0 : -EIO;
}

void replication_set_merge_speed(Replication *r, int64_t speed)
{
    r->speed = speed;
}

void replication_merge_progress(Replication *r, ColoMergeProgress *progress)
{
    *progress = (ColoMergeProgress) {
        .done = r->state == BLOCK_REPLICATION_STATE_DONE ? 100 : 0,
        .total = 100,
    };
}

/* Of a secondary nobody waits for the peer. */
void replication_give_up_peer(Replication *r, int ret)
{
    g_string_append_printf(fake_log, "give-up%d ", r->index);
    if (r->mode == REPLICATION_MODE_PRIMARY) {
        r->error.ret = ret;
        fake_release(r, FAKE_STOP);
    }
}

void replication_set_generation(Replication *r, uint64_t generation)
{
    r->generation = generation;
}

#endif
