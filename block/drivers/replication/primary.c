/*
 * The primary: what its guest writes goes to the peer
 *
 * A forward is handed to the peer before the local disks have it, in its turn
 * among those that overlap, and leaves when the peer has answered.  Whatever
 * becomes of it, the guest's request succeeds here: a failure is kept as the
 * sticky error, from then on nothing is forwarded, and bytes that the peer
 * does not have are counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "block/graph-int.h"

/* Of a peer that has no limit of its own. */
#define ZEROES_PIECE (32 * MiB)

static const char *const what_failed[] = {
    [FORWARD_WRITE] = "forwarding a write",
    [FORWARD_ZEROES] = "forwarding a write of zeroes",
    [FORWARD_FLUSH] = "forwarding a flush",
    [FORWARD_PROBE] = "asking the idle peer for a sign of life",
};

static bool changes_disk(const Forward *f)
{
    return f->op == FORWARD_WRITE || f->op == FORWARD_ZEROES;
}

static const char *peer_name(const Replication *r)
{
    return r->bs->file->bs->node_name;
}

/* Unforwarded writes */

static void count_unforwarded(Replication *r, int64_t bytes)
{
    const ReplicationObserver *observer = replication_observer();
    Primary *p = &r->primary;

    p->unforwarded_bytes += bytes;
    if (r->state != BLOCK_REPLICATION_STATE_NONE || p->told_unforwarded) {
        return;
    }
    p->told_unforwarded = true;
    if (observer && observer->unforwarded) {
        observer->unforwarded(r);
    }
}

/* Giving up */

/* What is in flight may still be answered; its deadline goes on. */
static void stop_forwarding(Replication *r)
{
    r->primary.forwarding = false;
    window_give_up(&r->primary.window);
}

typedef struct GiveUp {
    Replication *r;
    int ret;
    const char *what;           /* NULL: no error, as in a failover */
} GiveUp;

static void coroutine_fn give_up_entry(void *opaque)
{
    GiveUp *g = opaque;
    Replication *r = g->r;

    if (g->what && replication_is_running(r)) {
        replication_set_error(r, g->ret, peer_name(r), -1, g->what);
    }
    stop_forwarding(r);
    if (g->what || !TAILQ_EMPTY(&r->primary.in_flight)) {
        bdrv_cancel_in_flight(r->bs->file->bs);
        bdrv_let_pass(r->bs->file->bs);
    }
    r->primary.given_up = true;
    co_queue_restart_all(&r->primary.idle);
}

/* Never sleeps.  In a coroutine whom it wakes runs after it, not within. */
void primary_give_up(Replication *r, int ret, const char *what)
{
    GiveUp g = { .r = r, .ret = ret, .what = what };

    coroutine_start(give_up_entry, &g);
}

/* What the guest writes while we are not below its disk the peer never gets. */
void primary_parents_changed(Replication *r)
{
    Primary *p = &r->primary;
    bool attached = replication_has_node_above(r->bs);

    if (attached != p->attached && replication_is_running(r)) {
        replication_set_error(r, -ECANCELED, r->bs->node_name, -1,
                              attached ? "being attached while it was running"
                                       : "being removed while it was running");
        stop_forwarding(r);
    }
    p->attached = attached;
}

void primary_sibling_failed(Replication *r, int64_t offset, int64_t bytes,
                            int ret)
{
    if (!replication_is_running(r)) {
        return;
    }
    replication_set_error(r, ret, r->bs->node_name, offset,
                          "local write failed");
    r->primary.unforwarded_bytes += bytes;
    stop_forwarding(r);
}

/* Forwards */

/*
 * Zeroes take no memory and may be as long as the disk: in pieces of what a
 * peer takes at once, each of which it has the timeout for.
 */
static int coroutine_fn perform_zeroes(Replication *r, Forward *f)
{
    BdrvChild *peer = r->bs->file;
    int64_t max = peer->bs->bl.max_pwrite_zeroes ?: ZEROES_PIECE;
    int64_t offset = f->offset;
    int64_t end = f->offset + f->bytes;
    int ret = 0;

    while (offset < end && ret >= 0) {
        int64_t next = MIN(end, ROUND_DOWN(offset, max) + max);

        ret = bdrv_co_pwrite_zeroes(peer, offset, next - offset, f->flags);
        deadline_answered(r, f);
        offset = next;
    }
    return ret;
}

static int coroutine_fn perform(Replication *r, Forward *f)
{
    BdrvChild *peer = r->bs->file;

    switch (f->op) {
    case FORWARD_WRITE:
        return bdrv_co_pwritev(peer, f->offset, f->bytes, f->qiov, f->flags);
    case FORWARD_ZEROES:
        return perform_zeroes(r, f);
    case FORWARD_FLUSH:
        return bdrv_co_flush(peer->bs);
    case FORWARD_PROBE:
        return bdrv_co_preadv(peer, f->offset, f->bytes, f->qiov, 0);
    }
    g_assert_not_reached();
}

static void forward_failed(Replication *r, const Forward *f, int ret)
{
    if (replication_is_running(r)) {
        replication_set_error(r, ret, peer_name(r),
                              changes_disk(f) ? f->offset : -1,
                              what_failed[f->op]);
    }
    stop_forwarding(r);
}

void coroutine_fn primary_co_forward(Replication *r, Forward *f)
{
    Primary *p = &r->primary;
    bool ordered = changes_disk(f);
    bool sent = false;
    RangeLockHold hold;
    int ret = -ECANCELED;

    deadline_add(r, f);
    if (ordered) {
        range_lock_co_lock(&p->order, &hold, f->offset, f->bytes, true);
    }
    if (G_LIKELY(p->forwarding)) {
        sent = true;
        deadline_asked(r, f);
        ret = perform(r, f);
        deadline_answered(r, f);
    }
    if (ordered) {
        range_lock_unlock(&p->order, &hold);
    }
    if (G_UNLIKELY(ret < 0)) {
        if (sent) {
            forward_failed(r, f, ret);
        }
        p->unforwarded_bytes += ordered ? f->bytes : 0;
    } else if (f->op != FORWARD_PROBE) {
        p->forwarded_bytes += f->bytes;
        p->forwarded_requests++;
    }
    deadline_remove(r, f);
}

void coroutine_fn primary_co_request(Replication *r, Forward *f)
{
    Primary *p = &r->primary;

    if (p->forwarding && p->protocol == REPLICATION_PROTOCOL_SYNC) {
        primary_co_forward(r, f);
    } else if (f->op == FORWARD_FLUSH) {
        /* The guest's flush is about its own disk alone. */
    } else if (!p->forwarding || !window_co_put(r, f)) {
        count_unforwarded(r, f->bytes);
    }
}

/* Control */

/* Whoever writes through us has a disk of exactly the peer's size. */
static bool check_length(Replication *r, GError **errp)
{
    int64_t length = bdrv_getlength(r->bs->file->bs);
    BdrvChild *edge;

    LIST_FOREACH(edge, &r->bs->parents, next_parent) {
        BlockDriverState *parent = bdrv_child_parent_node(edge);

        if (parent && parent->total_bytes != length) {
            error_setg(errp, "Node '%s' has %" PRId64 " bytes, but its peer "
                       "'%s' has %" PRId64 ": they must be of the same size",
                       parent->node_name, parent->total_bytes, peer_name(r),
                       length);
            return false;
        }
    }
    return true;
}

bool coroutine_fn primary_co_check_start(Replication *r, bool force,
                                         GError **errp)
{
    Primary *p = &r->primary;

    if (p->unforwarded_bytes && !force) {
        error_setg(errp, "Node '%s': the guest wrote %" PRId64 " bytes that "
                   "were not forwarded; resynchronize the peer, or force the "
                   "start if both disks are known to be equal",
                   r->bs->node_name, p->unforwarded_bytes);
        return false;
    }
    if (!TAILQ_EMPTY(&p->in_flight)) {
        error_setg(errp, "Node '%s' still waits for answers to what was "
                   "forwarded before", r->bs->node_name);
        return false;
    }
    return check_length(r, errp);
}

bool primary_start(Replication *r, GError **errp)
{
    Primary *p = &r->primary;
    int ret = bdrv_pin_connection(r->bs->file->bs, true);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Node '%s' has no connection to its peer",
                         peer_name(r));
        return false;
    }
    p->forwarded_bytes = p->forwarded_requests = p->unforwarded_bytes = 0;
    p->told_unforwarded = false;
    p->forwarding = true;
    p->given_up = false;
    bdrv_freeze_chain(r->bs);
    deadline_start(r);
    replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
    return true;
}

/* Undo of start: it may be another one by the next start. */
static void release_peer(Replication *r)
{
    bdrv_pin_connection(r->bs->file->bs, false);
    bdrv_thaw_chain(r->bs);
}

static bool waits_for_peer(const Primary *p)
{
    return !TAILQ_EMPTY(&p->in_flight) && !p->given_up;
}

bool coroutine_fn primary_co_prepare(Replication *r, GError **errp)
{
    Primary *p = &r->primary;

    while (waits_for_peer(p) && !r->prepare_aborted) {
        co_queue_wait(&p->idle);
    }
    if (!replication_check_prepare(r, errp) ||
        !replication_check_error(r, errp)) {
        window_unsqueeze(&p->window);
        return false;
    }
    replication_set_state(r, BLOCK_REPLICATION_STATE_PREPARED);
    return true;
}

void primary_abort_prepare(Replication *r)
{
    window_unsqueeze(&r->primary.window);
    co_queue_restart_all(&r->primary.idle);
}

void primary_end_checkpoint(Replication *r)
{
    window_unsqueeze(&r->primary.window);
    replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
}

void coroutine_fn primary_co_stop(Replication *r)
{
    Primary *p = &r->primary;

    stop_forwarding(r);
    while (waits_for_peer(p)) {
        co_queue_wait(&p->idle);
    }
    deadline_stop(r);
    if (replication_is_running(r)) {
        release_peer(r);
        replication_set_state(r, BLOCK_REPLICATION_STATE_NONE);
    }
}

void primary_failover(Replication *r)
{
    replication_set_state(r, BLOCK_REPLICATION_STATE_DONE);
    primary_give_up(r, -ECANCELED, NULL);
    if (TAILQ_EMPTY(&r->primary.in_flight)) {
        deadline_stop(r);
    }
    release_peer(r);
}

/* Life */

void primary_init(Replication *r)
{
    Primary *p = &r->primary;
    const BlockdevOptionsReplication *o = &r->bs->options->u.replication;

    p->protocol = o->has_protocol ? o->protocol : REPLICATION_PROTOCOL_SYNC;
    p->timeout_ns = (o->has_timeout ? o->timeout : 5000) * SCALE_MS;
    range_lock_init(&p->order);
    TAILQ_INIT(&p->in_flight);
    co_queue_init(&p->idle);
    window_init(r);
    deadline_init(r);
}

void primary_close(Replication *r)
{
    Primary *p = &r->primary;

    g_assert(TAILQ_EMPTY(&p->in_flight));
    stop_forwarding(r);
    deadline_stop(r);
    window_close(&p->window);
    if (replication_is_running(r)) {
        release_peer(r);
        if (r->state == BLOCK_REPLICATION_STATE_PREPARED) {
            replication_set_state(r, BLOCK_REPLICATION_STATE_RUNNING);
        }
        replication_set_state(r, BLOCK_REPLICATION_STATE_NONE);
    }
}
