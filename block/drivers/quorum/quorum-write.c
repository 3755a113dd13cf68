/*
 * quorum: writes, zeroes, discards and flushes go to all children at once
 *
 * A range is locked until every voter has it, so overlapping requests take
 * effect in one order everywhere; a forwarder is started inside of the lock
 * and keeps the order in which it was started.  The request ends when all have
 * answered: a forwarder answers when its own policy says so, never with an
 * error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "quorum-int.h"

#define MAX_INLINE 4

typedef enum QuorumOp {
    QUORUM_OP_PWRITEV,
    QUORUM_OP_PWRITE_ZEROES,
    QUORUM_OP_PDISCARD,
    QUORUM_OP_FLUSH,
} QuorumOp;

typedef struct FanOut FanOut;

/* What one child does for a request. */
typedef struct Leg {
    FanOut *fan;
    QuorumChild *child;
    int ret;
} Leg;

struct FanOut {
    /* Constant */
    QuorumOp op;
    int64_t offset, bytes;
    IOVector *qiov;
    BdrvRequestFlags flags;

    /* Progress */
    int pending;                /* legs that have not ended */
    int pending_voters;
    Coroutine *waiting;         /* for one of the two to become 0 */
};

static int coroutine_fn perform(const FanOut *fan, BdrvChild *edge)
{
    switch (fan->op) {
    case QUORUM_OP_PWRITEV:
        return bdrv_co_pwritev(edge, fan->offset, fan->bytes, fan->qiov,
                               fan->flags);
    case QUORUM_OP_PWRITE_ZEROES:
        return bdrv_co_pwrite_zeroes(edge, fan->offset, fan->bytes,
                                     fan->flags);
    case QUORUM_OP_PDISCARD:
        return bdrv_co_pdiscard(edge, fan->offset, fan->bytes);
    case QUORUM_OP_FLUSH:
        return bdrv_co_flush(edge->bs);
    }
    g_assert_not_reached();
}

static void coroutine_fn leg_run(Leg *leg)
{
    FanOut *fan = leg->fan;

    leg->ret = perform(fan, leg->child->edge);
    fan->pending--;
    fan->pending_voters -= !leg->child->forwarder;
    if (fan->waiting && (!fan->pending || !fan->pending_voters)) {
        aio_co_wake(g_steal_pointer(&fan->waiting));
    }
}

static void coroutine_fn leg_entry(void *opaque)
{
    leg_run(opaque);
}

static void coroutine_fn wait_until_zero(FanOut *fan, const int *pending)
{
    while (*pending) {
        fan->waiting = coroutine_self();
        coroutine_yield();
    }
    fan->waiting = NULL;
}

/* Forwarders first: their peer works while the local disks do. */
static void coroutine_fn start_legs(FanOut *fan, const QuorumTargets *targets,
                                    Leg *legs)
{
    Leg *last = NULL;

    for (int i = 0; i < targets->n; i++) {
        legs[i] = (Leg) { .fan = fan, .child = targets->child[i] };
        if (legs[i].child->forwarder) {
            coroutine_start(leg_entry, &legs[i]);
        }
    }
    for (int i = 0; i < targets->n; i++) {
        if (legs[i].child->forwarder) {
            continue;
        }
        if (last) {
            coroutine_start(leg_entry, last);
        }
        last = &legs[i];
    }
    leg_run(last);              /* the last voter needs no coroutine */
}

static QuorumOpType op_type(QuorumOp op)
{
    return op == QUORUM_OP_FLUSH ? QUORUM_OP_TYPE_FLUSH : QUORUM_OP_TYPE_WRITE;
}

/* What the request as a whole returns, and the events. */
static int judge(BDRVQuorumState *s, const FanOut *fan, const Leg *legs, int n)
{
    g_autofree int *failed = NULL;
    int successes = 0, failures = 0;

    for (int i = 0; i < n; i++) {
        if (legs[i].child->forwarder) {
            continue;
        }
        if (legs[i].ret >= 0) {
            successes++;
            continue;
        }
        if (!failed) {
            failed = g_new(int, n);
        }
        failed[failures++] = legs[i].ret;
        quorum_report_bad(op_type(fan->op), fan->offset, fan->bytes,
                          legs[i].child->edge->bs->node_name, legs[i].ret);
    }
    if (successes >= s->threshold) {
        return 0;
    }
    quorum_report_failure(s, fan->offset, fan->bytes);
    return failures ? quorum_majority_errno(failed, failures) : -EIO;
}

/* A forward of what our own disks do not have makes the peer differ. */
static void tell_forwarders(const FanOut *fan, const QuorumTargets *targets,
                            int ret)
{
    for (int i = 0; i < targets->n; i++) {
        BlockDriverState *child = targets->child[i]->edge->bs;

        if (child->drv->bdrv_sibling_failed) {
            child->drv->bdrv_sibling_failed(child, fan->offset, fan->bytes,
                                            ret);
        }
    }
}

static int coroutine_fn fan_out(BlockDriverState *bs, FanOut *fan)
{
    BDRVQuorumState *s = bs->opaque;
    bool ordered = fan->op != QUORUM_OP_FLUSH;
    QuorumTargets targets;
    RangeLockHold hold;
    Leg inline_legs[MAX_INLINE];
    g_autofree Leg *more_legs = NULL;
    Leg *legs = inline_legs;
    int ret;

    if (ordered) {
        range_lock_co_lock(&s->order, &hold, fan->offset, fan->bytes, true);
    }
    quorum_targets_get(s, &targets, false);
    if (targets.n > MAX_INLINE) {
        legs = more_legs = g_new(Leg, targets.n);
    }
    fan->pending = targets.n;
    fan->pending_voters = targets.n_voters;
    start_legs(fan, &targets, legs);
    wait_until_zero(fan, &fan->pending_voters);
    if (ordered) {
        range_lock_unlock(&s->order, &hold);
    }
    wait_until_zero(fan, &fan->pending);
    ret = judge(s, fan, legs, targets.n);
    if (ret < 0 && ordered) {
        tell_forwarders(fan, &targets, ret);
    }
    quorum_targets_put(s, &targets);
    return ret;
}

int coroutine_fn quorum_co_pwritev(BlockDriverState *bs, int64_t offset,
                                   int64_t bytes, IOVector *qiov,
                                   BdrvRequestFlags flags)
{
    FanOut fan = {
        .op = QUORUM_OP_PWRITEV, .offset = offset, .bytes = bytes,
        .qiov = qiov, .flags = flags,
    };

    return fan_out(bs, &fan);
}

int coroutine_fn quorum_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes,
                                         BdrvRequestFlags flags)
{
    BDRVQuorumState *s = bs->opaque;
    FanOut fan = {
        .op = QUORUM_OP_PWRITE_ZEROES, .offset = offset, .bytes = bytes,
        .flags = flags,
    };

    /* Some children may be fast and others not: they must not differ. */
    if ((flags & BDRV_REQ_NO_FALLBACK) && s->num_children > 1) {
        return -ENOTSUP;
    }
    return fan_out(bs, &fan);
}

/*
 * What a discarded range reads as is undefined, and children must not differ:
 * with more than one it becomes zeroes that may free the space.
 */
int coroutine_fn quorum_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                    int64_t bytes)
{
    BDRVQuorumState *s = bs->opaque;
    FanOut fan = {
        .op = QUORUM_OP_PDISCARD, .offset = offset, .bytes = bytes,
    };

    if (s->num_children > 1) {
        fan.op = QUORUM_OP_PWRITE_ZEROES;
        fan.flags = BDRV_REQ_MAY_UNMAP;
    }
    return fan_out(bs, &fan);
}

int coroutine_fn quorum_co_flush(BlockDriverState *bs)
{
    FanOut fan = { .op = QUORUM_OP_FLUSH };

    return fan_out(bs, &fan);
}
