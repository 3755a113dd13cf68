/*
 * Inside of the quorum driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QUORUM_INT_H
#define QUORUM_INT_H

#include "block/driver.h"
#include "block/range-lock.h"
#include "util/aio.h"

typedef struct QuorumChild {
    BdrvChild *edge;
    bool forwarder;             /* no voter: edge->bs->forward_only */
    bool leaving;               /* takes no new requests */
    bool left_alone;            /* nobody waits: detached when it is idle */
    CoSleep idle;               /* who removes it waits for its last request */
    unsigned in_flight;
    unsigned refcnt;            /* the list and requests in flight */
} QuorumChild;

typedef struct BDRVQuorumState {
    BlockDriverState *bs;

    /* Constant after open */
    int threshold;
    bool is_blkverify;
    bool rewrite_corrupted;
    QuorumReadPattern read_pattern;

    /* Changed by commands */
    QuorumChild **children;
    int num_children;
    unsigned next_child_index;

    /* Overlapping writes take effect in one order on every child. */
    RangeLock order;
} BDRVQuorumState;

int quorum_num_voters(const BDRVQuorumState *s);

/* The children that take requests now, referenced; in order. */
typedef struct QuorumTargets {
    QuorumChild **child;
    int n;
    int n_voters;
    QuorumChild *inline_child[4];
} QuorumTargets;

void quorum_targets_get(BDRVQuorumState *s, QuorumTargets *targets,
                        bool voters_only);
void quorum_targets_put(BDRVQuorumState *s, QuorumTargets *targets);

/* Events */

void quorum_report_bad(QuorumOpType type, int64_t offset, int64_t bytes,
                       const char *node_name, int ret);
void quorum_report_failure(BDRVQuorumState *s, int64_t offset, int64_t bytes);

/*
 * The errno that most of the failed children returned: @ret has @n results,
 * negative ones are failures.
 */
int quorum_majority_errno(const int *ret, int n);

/* Requests: quorum-read.c and quorum-write.c */

int coroutine_fn quorum_co_preadv(BlockDriverState *bs, int64_t offset,
                                  int64_t bytes, IOVector *qiov,
                                  BdrvRequestFlags flags);
int coroutine_fn quorum_co_pwritev(BlockDriverState *bs, int64_t offset,
                                   int64_t bytes, IOVector *qiov,
                                   BdrvRequestFlags flags);
int coroutine_fn quorum_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes,
                                         BdrvRequestFlags flags);
int coroutine_fn quorum_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                    int64_t bytes);
int coroutine_fn quorum_co_flush(BlockDriverState *bs);

/* Votes: quorum-vote.c */

/*
 * @data: what each of @n children returned, @bytes each; @ok tells which did.
 * The index of a child whose data at least @threshold of them share, or -1.
 */
int quorum_vote(uint8_t *const *data, const bool *ok, int n, size_t bytes,
                int threshold);

#endif
