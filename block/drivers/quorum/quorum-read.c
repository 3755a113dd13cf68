/*
 * quorum: reads, from the first child that can or from all of them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "quorum-int.h"

/* fifo */

static int coroutine_fn read_fifo(BDRVQuorumState *s,
                                  const QuorumTargets *voters, int64_t offset,
                                  int64_t bytes, IOVector *qiov)
{
    int ret = -EIO;

    for (int i = 0; i < voters->n; i++) {
        BdrvChild *edge = voters->child[i]->edge;

        ret = bdrv_co_preadv(edge, offset, bytes, qiov, 0);
        if (ret >= 0) {
            return ret;
        }
        quorum_report_bad(QUORUM_OP_TYPE_READ, offset, bytes,
                          edge->bs->node_name, ret);
    }
    quorum_report_failure(s, offset, bytes);
    return ret;
}

/* All children */

typedef struct ReadAll ReadAll;

typedef struct ReadLeg {
    ReadAll *all;
    BdrvChild *edge;
    void *buf;
    int ret;
} ReadLeg;

struct ReadAll {
    int64_t offset, bytes;
    int n;
    ReadLeg *legs;
    int pending;
    Coroutine *waiting;
};

static void coroutine_fn read_leg_entry(void *opaque)
{
    ReadLeg *leg = opaque;
    ReadAll *all = leg->all;

    leg->ret = bdrv_co_pread(leg->edge, all->offset, all->bytes, leg->buf, 0);
    if (--all->pending == 0 && all->waiting) {
        aio_co_wake(g_steal_pointer(&all->waiting));
    }
}

static void coroutine_fn read_all(ReadAll *all, const QuorumTargets *voters)
{
    all->n = all->pending = voters->n;
    all->legs = g_new0(ReadLeg, voters->n);
    for (int i = 0; i < voters->n; i++) {
        BdrvChild *edge = voters->child[i]->edge;

        all->legs[i] = (ReadLeg) {
            .all = all, .edge = edge,
            .buf = bdrv_blockalign(edge->bs, all->bytes),
        };
        coroutine_start(read_leg_entry, &all->legs[i]);
    }
    while (all->pending) {
        all->waiting = coroutine_self();
        coroutine_yield();
    }
}

static void read_all_free(ReadAll *all)
{
    for (int i = 0; i < all->n; i++) {
        g_aligned_free(all->legs[i].buf);
    }
    g_free(all->legs);
}

static int elect(BDRVQuorumState *s, const ReadAll *all)
{
    g_autofree uint8_t **data = g_new(uint8_t *, all->n);
    g_autofree bool *ok = g_new(bool, all->n);

    for (int i = 0; i < all->n; i++) {
        data[i] = all->legs[i].buf;
        ok[i] = all->legs[i].ret >= 0;
        if (!ok[i]) {
            quorum_report_bad(QUORUM_OP_TYPE_READ, all->offset, all->bytes,
                              all->legs[i].edge->bs->node_name,
                              all->legs[i].ret);
        }
    }
    return quorum_vote(data, ok, all->n, all->bytes, s->threshold);
}

static int first_error(const ReadAll *all)
{
    g_autofree int *rets = g_new(int, all->n);

    for (int i = 0; i < all->n; i++) {
        rets[i] = all->legs[i].ret;
    }
    return quorum_majority_errno(rets, all->n);
}

/* Tell of those that differ from the winner, and repair them if asked to. */
static void coroutine_fn handle_losers(BDRVQuorumState *s, const ReadAll *all,
                                       int winner)
{
    for (int i = 0; i < all->n; i++) {
        const ReadLeg *leg = &all->legs[i];

        if (leg->ret < 0 ||
            !memcmp(leg->buf, all->legs[winner].buf, all->bytes)) {
            continue;
        }
        quorum_report_bad(QUORUM_OP_TYPE_READ, all->offset, all->bytes,
                          leg->edge->bs->node_name, 0);
        if (s->rewrite_corrupted) {
            int ret = bdrv_co_pwrite(leg->edge, all->offset, all->bytes,
                                     all->legs[winner].buf, 0);

            if (ret < 0) {
                quorum_report_bad(QUORUM_OP_TYPE_WRITE, all->offset,
                                  all->bytes, leg->edge->bs->node_name, ret);
            }
        }
    }
}

static int coroutine_fn read_quorum(BDRVQuorumState *s,
                                    const QuorumTargets *voters,
                                    int64_t offset, int64_t bytes,
                                    IOVector *qiov)
{
    ReadAll all = { .offset = offset, .bytes = bytes };
    RangeLockHold hold;
    int winner, ret = 0;

    /* Nobody writes while the children are compared and repaired. */
    range_lock_co_lock(&s->order, &hold, offset, bytes, s->rewrite_corrupted);
    read_all(&all, voters);
    winner = elect(s, &all);
    if (winner >= 0) {
        iov_from_buf(qiov, 0, all.legs[winner].buf, bytes);
        handle_losers(s, &all, winner);
    } else {
        quorum_report_failure(s, offset, bytes);
        ret = first_error(&all);
        if (s->is_blkverify) {
            error_report("quorum '%s': blkverify: the children differ in %"
                         PRId64 " bytes at offset %" PRId64,
                         s->bs->node_name, bytes, offset);
        }
    }
    range_lock_unlock(&s->order, &hold);
    read_all_free(&all);
    return ret;
}

int coroutine_fn quorum_co_preadv(BlockDriverState *bs, int64_t offset,
                                  int64_t bytes, IOVector *qiov,
                                  BdrvRequestFlags flags)
{
    BDRVQuorumState *s = bs->opaque;
    QuorumTargets voters;
    int ret;

    quorum_targets_get(s, &voters, true);
    if (s->read_pattern == QUORUM_READ_PATTERN_FIFO) {
        ret = read_fifo(s, &voters, offset, bytes, qiov);
    } else {
        ret = read_quorum(s, &voters, offset, bytes, qiov);
    }
    quorum_targets_put(s, &voters);
    return ret;
}
