/*
 * The states of a replicated disk and the steps between them
 *
 * What a step does in which state is the table of docs/replication.md, row by
 * row; the work itself is the primary's or the secondary's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "util/trace.h"

#define NONE BLOCK_REPLICATION_STATE_NONE
#define RUNNING BLOCK_REPLICATION_STATE_RUNNING
#define PREPARED BLOCK_REPLICATION_STATE_PREPARED
#define FAILOVER BLOCK_REPLICATION_STATE_FAILOVER
#define FAILOVER_FAILED BLOCK_REPLICATION_STATE_FAILOVER_FAILED
#define DONE BLOCK_REPLICATION_STATE_DONE

/* The list */

typedef struct ReplicationList {
    TAILQ_HEAD(, Replication) all;
    const ReplicationObserver *observer;
} ReplicationList;

static void list_init(AioContext *ctx, void *data)
{
    ReplicationList *list = data;

    TAILQ_INIT(&list->all);
}

static ReplicationList *replication_list(void)
{
    static const AioLocal key = {
        .size = sizeof(ReplicationList),
        .init = list_init,
    };

    return aio_local_get(aio_get_current(), &key);
}

void replication_list_add(Replication *r)
{
    TAILQ_INSERT_TAIL(&replication_list()->all, r, link);
    r->listed = true;
}

void replication_list_remove(Replication *r)
{
    if (r->listed) {
        TAILQ_REMOVE(&replication_list()->all, r, link);
        r->listed = false;
    }
}

/* One that is going is not found: its close stops it, nobody else may. */
Replication *replication_next(Replication *r)
{
    do {
        r = r ? TAILQ_NEXT(r, link) : TAILQ_FIRST(&replication_list()->all);
    } while (r && r->bs->closing);
    return r;
}

Replication *replication_find(const char *node_name)
{
    Replication *r = NULL;

    while ((r = replication_next(r))) {
        if (!strcmp(r->bs->node_name, node_name)) {
            break;
        }
    }
    return r;
}

void replication_set_observer(const ReplicationObserver *observer)
{
    replication_list()->observer = observer;
}

const ReplicationObserver *replication_observer(void)
{
    return replication_list()->observer;
}

/* The setter */

static const bool legal[BLOCK_REPLICATION_STATE__MAX]
                       [BLOCK_REPLICATION_STATE__MAX] = {
    [NONE] = { [RUNNING] = true },
    [RUNNING] = {
        [NONE] = true, [PREPARED] = true, [FAILOVER] = true, [DONE] = true,
    },
    [PREPARED] = { [RUNNING] = true },
    [FAILOVER] = { [DONE] = true, [FAILOVER_FAILED] = true },
    [FAILOVER_FAILED] = { [FAILOVER] = true },
    [DONE] = { [RUNNING] = true },
};

void replication_set_state(Replication *r, BlockReplicationState to)
{
    const ReplicationObserver *observer = replication_observer();
    BlockReplicationState from = r->state;

    trace_event(replication_state, "node '%s': %s -> %s", r->bs->node_name,
                BlockReplicationState_str(from),
                BlockReplicationState_str(to));
    g_assert(legal[from][to]);
    r->state = to;
    if (observer && observer->state_changed) {
        observer->state_changed(r, from, to);
    }
}

/* Start */

/* A promoted secondary and one that is being promoted are left alone. */
static bool start_is_ignored(const Replication *r)
{
    return r->state == FAILOVER ||
           (r->state == DONE && r->mode == REPLICATION_MODE_SECONDARY);
}

static bool check_stopped(const Replication *r, GError **errp)
{
    if (r->state != NONE && r->state != DONE) {
        error_setg(errp, "Block replication is running or done");
        return false;
    }
    return true;
}

bool coroutine_fn replication_check_start(Replication *r, bool force,
                                          GError **errp)
{
    if (start_is_ignored(r)) {
        return true;
    }
    if (!check_stopped(r, errp)) {
        return false;
    }
    return r->mode == REPLICATION_MODE_PRIMARY
        ? primary_co_check_start(r, force, errp)
        : secondary_co_check_start(r, errp);
}

bool coroutine_fn replication_start(Replication *r, GError **errp)
{
    if (start_is_ignored(r)) {
        return true;
    }
    if (!check_stopped(r, errp)) {
        return false;
    }
    replication_clear_error(r);
    r->epoch = 0;
    return r->mode == REPLICATION_MODE_PRIMARY
        ? primary_start(r, errp) : secondary_co_start(r, errp);
}

/* What neither a checkpoint nor a stop can follow */

static bool refuse_not_running(GError **errp)
{
    error_setg(errp, "Block replication is not running");
    return false;
}

static bool refuse_failover_failed(const Replication *r, GError **errp)
{
    error_setg(errp, "The failover of node '%s' could not merge its "
               "layers; repeat the failover", r->bs->node_name);
    return false;
}

/* Checkpoint */

bool replication_check_prepare(const Replication *r, GError **errp)
{
    if (r->prepare_aborted) {
        error_setg(errp, "The checkpoint of node '%s' was aborted",
                   r->bs->node_name);
        return false;
    }
    return true;
}

static bool coroutine_fn prepare_running(Replication *r, GError **errp)
{
    bool ok;

    r->preparing = true;
    r->prepare_aborted = false;
    ok = r->mode == REPLICATION_MODE_PRIMARY
        ? primary_co_prepare(r, errp) : secondary_co_prepare(r, errp);
    r->preparing = false;
    return ok;
}

bool coroutine_fn replication_prepare_checkpoint(Replication *r,
                                                 GError **errp)
{
    switch (r->state) {
    case NONE:
        if (r->mode == REPLICATION_MODE_PRIMARY) {
            return true;
        }
        return refuse_not_running(errp);
    case RUNNING:
        if (!r->preparing) {
            return prepare_running(r, errp);
        }
        /* fall through */
    case PREPARED:
        error_setg(errp, "A checkpoint of node '%s' is already under way",
                   r->bs->node_name);
        return false;
    case FAILOVER_FAILED:
        return refuse_failover_failed(r, errp);
    case FAILOVER:
    case DONE:
        return true;
    default:
        g_assert_not_reached();
    }
}

void replication_do_checkpoint(Replication *r)
{
    if (r->state != PREPARED) {
        return;
    }
    r->epoch++;
    r->last_checkpoint_ns = aio_clock_get_ns(r->bs->ctx);
    if (r->mode == REPLICATION_MODE_PRIMARY) {
        primary_end_checkpoint(r);
    } else {
        secondary_do_checkpoint(r);
    }
}

void replication_abort_checkpoint(Replication *r)
{
    bool primary = r->mode == REPLICATION_MODE_PRIMARY;

    if (r->state == PREPARED) {
        if (primary) {
            primary_end_checkpoint(r);
        } else {
            secondary_abort_checkpoint(r);
        }
    } else if (r->state == RUNNING) {
        r->prepare_aborted = true;
        if (primary) {
            primary_abort_prepare(r);
        } else {
            secondary_abort_prepare(r);
        }
    }
}

/* Stop */

bool coroutine_fn replication_stop(Replication *r, GError **errp)
{
    switch (r->state) {
    case NONE:
        return refuse_not_running(errp);
    case FAILOVER_FAILED:
        return refuse_failover_failed(r, errp);
    case FAILOVER:
    case DONE:
        return true;
    case RUNNING:
    case PREPARED:
        replication_abort_checkpoint(r);
        if (r->mode == REPLICATION_MODE_SECONDARY) {
            return secondary_co_stop(r, errp);
        }
        primary_co_stop(r);
        return true;
    default:
        g_assert_not_reached();
    }
}

void replication_failover(Replication *r)
{
    switch (r->state) {
    case NONE:
    case FAILOVER:
    case DONE:
        return;
    case FAILOVER_FAILED:
        /* The layers still merge; replication_merge() tries again. */
        replication_set_state(r, FAILOVER);
        return;
    case RUNNING:
    case PREPARED:
        replication_abort_checkpoint(r);
        if (r->mode == REPLICATION_MODE_PRIMARY) {
            primary_failover(r);
        } else {
            secondary_failover(r);
        }
        return;
    default:
        g_assert_not_reached();
    }
}

int coroutine_fn replication_merge(Replication *r, int64_t speed)
{
    return r->state == FAILOVER ? secondary_co_merge(r, speed) : 0;
}

void replication_set_merge_speed(Replication *r, int64_t speed)
{
    BlockDriverState *layers = r->secondary.layers;

    if (layers) {
        layers->drv->colo_layers->set_merge_speed(layers, speed);
    }
}

void replication_merge_progress(Replication *r, ColoMergeProgress *progress)
{
    BlockDriverState *layers = r->secondary.layers;

    *progress = (ColoMergeProgress) { 0 };
    if (layers) {
        layers->drv->colo_layers->merge_progress(layers, progress);
    }
}

void replication_give_up_peer(Replication *r, int ret)
{
    if (r->mode == REPLICATION_MODE_PRIMARY && replication_is_running(r)) {
        primary_give_up(r, ret, "giving up the peer");
    }
}

void replication_writer_lost(Replication *r)
{
    if (replication_is_running(r)) {
        replication_set_error(r, -ECONNRESET, secondary_disk(r)->node_name,
                              -1, "receiving from the primary");
    }
}

/* What others ask for */

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

BlockDriverState *replication_disk(Replication *r)
{
    return r->mode == REPLICATION_MODE_SECONDARY ? secondary_disk(r) : NULL;
}

BlockDriverState *replication_top(Replication *r)
{
    return r->mode == REPLICATION_MODE_SECONDARY ? secondary_top(r) : NULL;
}

int64_t replication_unforwarded_bytes(const Replication *r)
{
    return r->primary.unforwarded_bytes;
}

void replication_set_generation(Replication *r, uint64_t generation)
{
    r->generation = generation;
}
