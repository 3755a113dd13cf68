/*
 * quorum: several children with the same contents
 *
 * Writes go to all of them, reads to the first that answers or to all, which
 * then vote.  A COLO pair uses it with one local child and one that forwards
 * (driver replication): the guest's disk, and the place where a peer comes and
 * goes while the guest runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/drivers.h"

#include "block/graph-int.h"
#include "quorum-int.h"
#include "util/aio.h"

/* How long a removal waits for a local disk before it is left to itself. */
#define REMOVAL_DEADLINE_NS NANOSECONDS_PER_SECOND

/* Children */

int quorum_num_voters(const BDRVQuorumState *s)
{
    int n = 0;

    for (int i = 0; i < s->num_children; i++) {
        n += !s->children[i]->forwarder && !s->children[i]->leaving;
    }
    return n;
}

void quorum_targets_get(BDRVQuorumState *s, QuorumTargets *targets,
                        bool voters_only)
{
    targets->n = targets->n_voters = 0;
    targets->child = targets->inline_child;
    if (s->num_children > (int)ARRAY_SIZE(targets->inline_child)) {
        targets->child = g_new(QuorumChild *, s->num_children);
    }
    for (int i = 0; i < s->num_children; i++) {
        QuorumChild *child = s->children[i];

        if (child->leaving || (voters_only && child->forwarder)) {
            continue;
        }
        child->in_flight++;
        child->refcnt++;
        targets->n_voters += !child->forwarder;
        targets->child[targets->n++] = child;
    }
}

static void child_unref(QuorumChild *child)
{
    if (--child->refcnt == 0) {
        g_free(child);
    }
}

static void coroutine_fn detach(BlockDriverState *bs, QuorumChild *child)
{
    BDRVQuorumState *s = bs->opaque;
    int i = 0;

    while (s->children[i] != child) {
        i++;
    }
    s->num_children--;
    memmove(&s->children[i], &s->children[i + 1],
            (s->num_children - i) * sizeof(s->children[0]));
    bdrv_co_detach_child(bs, child->edge);
    child_unref(child);
}

static void coroutine_fn detach_entry(void *opaque)
{
    QuorumChild *child = opaque;
    BlockDriverState *bs = bdrv_child_parent_node(child->edge);

    detach(bs, child);
    bdrv_co_unref(bs);
}

static void detach_bh(void *opaque)
{
    coroutine_start(detach_entry, opaque);
}

/* The last request of a child that is being removed has ended. */
static void child_is_idle(BDRVQuorumState *s, QuorumChild *child)
{
    if (child->left_alone) {
        aio_bh_schedule_oneshot(s->bs->ctx, detach_bh, child);
    } else {
        co_sleep_wake(&child->idle);
    }
}

void quorum_targets_put(BDRVQuorumState *s, QuorumTargets *targets)
{
    for (int i = 0; i < targets->n; i++) {
        QuorumChild *child = targets->child[i];

        if (--child->in_flight == 0 && child->leaving) {
            child_is_idle(s, child);
        }
        child_unref(child);
    }
    if (targets->child != targets->inline_child) {
        g_free(targets->child);
    }
}

static void append_child(BDRVQuorumState *s, BdrvChild *edge)
{
    QuorumChild *child = g_new0(QuorumChild, 1);

    child->edge = edge;
    child->forwarder = edge->bs->forward_only;
    child->refcnt = 1;
    s->children = g_renew(QuorumChild *, s->children, s->num_children + 1);
    s->children[s->num_children++] = child;
}

static bool coroutine_fn quorum_co_add_child(BlockDriverState *bs,
                                             BlockDriverState *child_bs,
                                             GError **errp)
{
    BDRVQuorumState *s = bs->opaque;
    g_autofree char *name = NULL;
    BdrvChild *edge;

    if (s->is_blkverify) {
        error_setg(errp, "Cannot add a child to a quorum in blkverify mode");
        return false;
    }
    if (child_bs->total_bytes != bs->total_bytes) {
        error_setg(errp, "Node '%s' has %" PRId64 " bytes, but quorum '%s' has "
                   "%" PRId64 ": children must be of the same size",
                   child_bs->node_name, child_bs->total_bytes, bs->node_name,
                   bs->total_bytes);
        return false;
    }
    name = g_strdup_printf("children.%u", s->next_child_index);
    if (!bdrv_co_try_drained_begin(bs, errp)) {
        return false;
    }
    edge = bdrv_co_attach_child(bs, child_bs, name, BDRV_CHILD_DATA, errp);
    if (edge) {
        s->next_child_index++;
        append_child(s, edge);
    }
    bdrv_drained_end(bs);
    return edge != NULL;
}

static QuorumChild *find_child(BDRVQuorumState *s, const BdrvChild *edge)
{
    for (int i = 0; i < s->num_children; i++) {
        if (s->children[i]->edge == edge) {
            return s->children[i];
        }
    }
    return NULL;
}

/* The highest name is given again, the others never: names stay stable. */
static void forget_name(BDRVQuorumState *s, const char *name)
{
    g_autofree char *last = g_strdup_printf("children.%u",
                                            s->next_child_index - 1);

    if (!strcmp(name, last)) {
        s->next_child_index--;
    }
}

/*
 * No new request goes to the child from here on.  What is in flight to a peer
 * is failed; a local disk that hangs is detached when it comes back.
 */
static bool coroutine_fn quorum_co_del_child(BlockDriverState *bs,
                                             BdrvChild *edge, GError **errp)
{
    BDRVQuorumState *s = bs->opaque;
    QuorumChild *child = find_child(s, edge);

    if (child->leaving) {
        error_setg(errp, "Child '%s' of node '%s' is already being removed",
                   edge->name, bs->node_name);
        return false;
    }
    if (!child->forwarder && quorum_num_voters(s) <= s->threshold) {
        error_setg(errp, "The number of children cannot be lower than the "
                   "vote threshold %d", s->threshold);
        return false;
    }

    child->leaving = true;
    forget_name(s, edge->name);
    if (child->in_flight > 0) {
        bdrv_cancel_in_flight(edge->bs);
    }
    if (child->in_flight > 0) {
        co_sleep_ns_wakeable(&child->idle, REMOVAL_DEADLINE_NS);
    }
    if (child->in_flight > 0) {
        child->left_alone = true;
        bdrv_ref(bs);           /* until detach_entry() */
    } else {
        detach(bs, child);
    }
    return true;
}

/* Life */

static bool check_options(const BlockdevOptionsQuorum *o, int n, GError **errp)
{
    if (n < 1) {
        error_setg(errp, "Number of provided children must be 1 or more");
        return false;
    }
    if (o->vote_threshold < 1) {
        error_setg(errp, "Parameter 'vote-threshold' expects a value >= 1");
        return false;
    }
    if (o->vote_threshold > n) {
        error_setg(errp, "threshold may not exceed children count");
        return false;
    }
    if (o->blkverify && o->read_pattern == QUORUM_READ_PATTERN_FIFO) {
        error_setg(errp, "blkverify=on can only be set with "
                   "read-pattern=quorum");
        return false;
    }
    if (o->blkverify && (n != 2 || o->vote_threshold != 2)) {
        error_setg(errp, "blkverify=on can only be set if there are exactly "
                   "two files and vote-threshold is 2");
        return false;
    }
    if (o->blkverify && o->rewrite_corrupted) {
        error_setg(errp, "rewrite-corrupted=on cannot be used with "
                   "blkverify=on");
        return false;
    }
    return true;
}

static bool coroutine_fn open_children(BlockDriverState *bs,
                                       BlockdevRefList *list, GError **errp)
{
    BDRVQuorumState *s = bs->opaque;

    for (; list; list = list->next) {
        g_autofree char *name = g_strdup_printf("children.%u",
                                                s->next_child_index);
        BdrvChild *edge = bdrv_co_open_child(bs, list->value, name,
                                             BDRV_CHILD_DATA, errp);

        if (!edge) {
            return false;
        }
        s->next_child_index++;
        append_child(s, edge);
    }
    if (quorum_num_voters(s) < s->threshold) {
        error_setg(errp, "threshold may not exceed children count: %d of %d "
                   "children only forward and have no vote",
                   s->num_children - quorum_num_voters(s), s->num_children);
        return false;
    }
    return true;
}

static bool coroutine_fn quorum_co_open(BlockDriverState *bs,
                                        const BlockdevOptions *options,
                                        GError **errp)
{
    const BlockdevOptionsQuorum *o = &options->u.quorum;
    BDRVQuorumState *s = bs->opaque;
    int n = 0;

    for (BlockdevRefList *list = o->children; list; list = list->next) {
        n++;
    }
    if (!check_options(o, n, errp)) {
        return false;
    }
    s->bs = bs;
    s->threshold = o->vote_threshold;
    s->is_blkverify = o->blkverify;
    s->rewrite_corrupted = o->rewrite_corrupted;
    s->read_pattern = o->has_read_pattern ? o->read_pattern
                                          : QUORUM_READ_PATTERN_QUORUM;
    range_lock_init(&s->order);
    bs->supported_write_flags = BDRV_REQ_FUA | BDRV_REQ_WRITE_UNCHANGED;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return open_children(bs, o->children, errp);
}

static void coroutine_fn quorum_co_close(BlockDriverState *bs)
{
    BDRVQuorumState *s = bs->opaque;

    for (int i = 0; i < s->num_children; i++) {
        child_unref(s->children[i]);
    }
    g_free(s->children);
}

/* All voters agree on it, or there is none. */
static int64_t coroutine_fn quorum_co_getlength(BlockDriverState *bs)
{
    BDRVQuorumState *s = bs->opaque;
    QuorumTargets voters;
    int64_t result = -EIO;

    quorum_targets_get(s, &voters, true);
    for (int i = 0; i < voters.n; i++) {
        int64_t length = bdrv_getlength(voters.child[i]->edge->bs);

        if (i > 0 && length != result) {
            result = -EIO;
            break;
        }
        result = length;
    }
    quorum_targets_put(s, &voters);
    return result;
}

static int coroutine_fn quorum_co_block_status(BlockDriverState *bs,
                                               bool want_zero, int64_t offset,
                                               int64_t bytes, int64_t *pnum,
                                               int64_t *map,
                                               BlockDriverState **file)
{
    BDRVQuorumState *s = bs->opaque;
    QuorumTargets voters;
    int64_t zero = bytes, data = 0;

    /* Zeroes where every voter has some; data up to where one has none. */
    quorum_targets_get(s, &voters, true);
    for (int i = 0; i < voters.n; i++) {
        int64_t n;
        int ret = bdrv_co_block_status(voters.child[i]->edge->bs, want_zero,
                                       offset, bytes, &n, NULL, NULL);

        if (ret < 0 || n == 0) {
            quorum_report_bad(QUORUM_OP_TYPE_READ, offset, bytes,
                              voters.child[i]->edge->bs->node_name,
                              ret < 0 ? ret : -EIO);
            data = MAX(data, bytes);
        } else if (ret & BDRV_BLOCK_ZERO) {
            zero = MIN(zero, n);
        } else {
            data = MAX(data, n);
        }
    }
    quorum_targets_put(s, &voters);
    *pnum = data ? data : zero;
    return data ? BDRV_BLOCK_DATA : BDRV_BLOCK_ZERO;
}

static void quorum_child_perm(BlockDriverState *bs, BdrvChild *child,
                              BdrvChildRole role, uint64_t perm,
                              uint64_t shared, uint64_t *nperm,
                              uint64_t *nshared)
{
    BDRVQuorumState *s = bs->opaque;

    *nperm = perm & (BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE |
                     BLK_PERM_WRITE_UNCHANGED);
    if (s->rewrite_corrupted) {
        *nperm |= BLK_PERM_WRITE;
    }
    /* Another writer or another size would break the vote. */
    *nshared = (shared & BLK_PERM_CONSISTENT_READ) | BLK_PERM_WRITE_UNCHANGED;
}

const BlockDriver bdrv_quorum = {
    .format_name = "quorum",
    .type = BLOCKDEV_DRIVER_QUORUM,
    .instance_size = sizeof(BDRVQuorumState),

    .bdrv_co_open = quorum_co_open,
    .bdrv_co_close = quorum_co_close,
    .bdrv_co_getlength = quorum_co_getlength,

    .bdrv_co_preadv = quorum_co_preadv,
    .bdrv_co_pwritev = quorum_co_pwritev,
    .bdrv_co_pwrite_zeroes = quorum_co_pwrite_zeroes,
    .bdrv_co_pdiscard = quorum_co_pdiscard,
    .bdrv_co_flush = quorum_co_flush,
    .bdrv_co_block_status = quorum_co_block_status,

    .bdrv_child_perm = quorum_child_perm,
    .bdrv_co_add_child = quorum_co_add_child,
    .bdrv_co_del_child = quorum_co_del_child,
};
