/*
 * A cut: some disks at rest, at one moment
 *
 * Closing the gates keeps new requests of guests and of the peer out of the
 * graph; what is in flight ends by itself.  Flushes pass, they change nothing.
 * All disks settle, drain and prepare side by side, so that the pause is that
 * of the slowest one.
 *
 * Every wait ends at the deadline or when somebody cancels.  A prepare that
 * does not end even then is left behind: it is aborted when it ends.  Once
 * disks are being started or stopped there is no cancelling: all of them end
 * as one command says, and who asks for a failover meanwhile gets it
 * afterwards, if there is anything left to fail over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/block-backend.h"
#include "block/graph.h"
#include "util/trace.h"

typedef enum CutStep {
    CUT_IDLE,
    CUT_SETTLE,                 /* the guest runs */
    CUT_DRAIN,
    CUT_PREPARE,
    CUT_PREPARED,
    CUT_STARTING,
    CUT_STOPPING,
    CUT_ENDED,
} CutStep;

/* One disk's part. */
typedef struct CutDisk {
    ReplicationCut *cut;
    ReplicatedDisk *disk;       /* lives as long as its node */
    BlockDriverState *bs;       /* its node; a reference */
    GPtrArray *gates;           /* BlockBackend, referenced */
    bool closed;                /* by us */
    bool pending;               /* a coroutine works on it */
    bool ok;
    bool failover_due;          /* when the cut ends */
    GError *err;
} CutDisk;

struct ReplicationCut {
    ReplicationGroup *group;
    GPtrArray *disks;
    CutDisk *parts;             /* one for each of disks */
    unsigned refs;              /* the owner, and each pending part */
    CutStep step;
    bool prepared;              /* its owner comes back, cancelled or not */

    unsigned pending;
    Coroutine *owner;           /* sleeps until all parts have ended */
    AioTimer deadline;
    int64_t closed_ns, open_ns;
    bool cancelled;
    char *why;
    int given_up;               /* peers: why a stop does not wait for them */
};

/* Life */

static void deadline_expired(void *opaque);

bool replication_check_no_cut(GError **errp)
{
    if (replication_group()->cut) {
        error_setg(errp, "A checkpoint is already under way");
        return false;
    }
    return true;
}

ReplicationCut *replication_cut_prepared(void)
{
    ReplicationCut *cut = replication_group()->cut;

    return cut && cut->prepared ? cut : NULL;
}

ReplicationCut *replication_cut_new(GPtrArray *disks)
{
    ReplicationGroup *group = replication_group();
    ReplicationCut *cut = g_new0(ReplicationCut, 1);
    guint i;

    g_assert(!group->cut);
    cut->group = group;
    cut->disks = g_ptr_array_ref(disks);
    cut->parts = g_new0(CutDisk, disks->len);
    cut->refs = 1;
    for (i = 0; i < disks->len; i++) {
        cut->parts[i].cut = cut;
        cut->parts[i].disk = disks->pdata[i];
        cut->parts[i].bs = replication_bs(cut->parts[i].disk->r);
        bdrv_ref(cut->parts[i].bs);
        cut->parts[i].gates = g_ptr_array_new();
    }
    aio_timer_init(&cut->deadline, aio_get_current(), deadline_expired, cut);
    group->cut = cut;
    return cut;
}

static void coroutine_fn unref_gate_entry(void *opaque)
{
    blk_co_unref(opaque);
}

static void coroutine_fn unref_node_entry(void *opaque)
{
    bdrv_co_unref(opaque);
}

static void cut_unref(ReplicationCut *cut)
{
    guint i, j;

    if (--cut->refs > 0) {
        return;
    }
    for (i = 0; i < cut->disks->len; i++) {
        CutDisk *part = &cut->parts[i];

        for (j = 0; j < part->gates->len; j++) {
            coroutine_start(unref_gate_entry, part->gates->pdata[j]);
        }
        g_ptr_array_unref(part->gates);
        coroutine_start(unref_node_entry, part->bs);
        g_clear_error(&part->err);
    }
    g_ptr_array_unref(cut->disks);
    g_free(cut->parts);
    g_free(cut->why);
    g_free(cut);
}

GPtrArray *replication_cut_disks(ReplicationCut *cut)
{
    return cut->disks;
}

/* Gates */

/* What everybody above it uses in the end. */
static BlockDriverState *bottom_of(ReplicatedDisk *disk)
{
    BlockDriverState *bs = replication_disk(disk->r);

    return bs ? bs : replication_bs(disk->r);
}

static void close_gates(ReplicationCut *cut)
{
    BlockBackend *blk;
    guint i;

    cut->closed_ns = aio_clock_get_ns(aio_get_current());
    for (i = 0; i < cut->disks->len; i++) {
        CutDisk *part = &cut->parts[i];
        BlockDriverState *bottom = bottom_of(part->disk);

        part->closed = true;
        for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
            if (blk_bs(blk) && bdrv_is_above_or_same(blk_bs(blk), bottom)) {
                blk_ref(blk);
                blk_gate_close(blk);
                g_ptr_array_add(part->gates, blk);
            }
        }
    }
}

static void open_gates(CutDisk *part)
{
    guint i;

    if (!part->closed) {
        return;
    }
    part->closed = false;
    for (i = 0; i < part->gates->len; i++) {
        blk_gate_open(part->gates->pdata[i]);
    }
}

int64_t replication_cut_open(ReplicationCut *cut)
{
    guint i;

    cut->open_ns = aio_clock_get_ns(aio_get_current());
    for (i = 0; i < cut->disks->len; i++) {
        open_gates(&cut->parts[i]);
    }
    return (cut->open_ns - cut->closed_ns) / SCALE_US;
}

/* Cancelling */

static bool is_changing(const ReplicationCut *cut)
{
    return cut->step == CUT_STARTING || cut->step == CUT_STOPPING;
}

/* Undo what settle and prepare have done. */
static void abort_all(ReplicationCut *cut)
{
    guint i;

    if (cut->step == CUT_IDLE || cut->step == CUT_ENDED) {
        return;
    }
    for (i = 0; i < cut->disks->len; i++) {
        replication_abort_checkpoint(cut->parts[i].disk->r);
    }
    cut->step = CUT_ENDED;
}

static void coroutine_fn give_up_peers_entry(void *opaque)
{
    ReplicationCut *cut = opaque;
    guint i;

    /* Each may let the stop go on, up to its end. */
    for (i = 0; i < cut->disks->len && cut->step == CUT_STOPPING; i++) {
        replication_give_up_peer(cut->parts[i].disk->r, cut->given_up);
    }
    cut_unref(cut);
}

/* A stop does not wait for them any longer.  Calls nobody back. */
static void give_up_peers(ReplicationCut *cut, int ret)
{
    if (cut->step == CUT_STOPPING && !cut->given_up) {
        cut->given_up = ret;
        cut->refs++;
        aio_co_schedule(coroutine_create(give_up_peers_entry, cut));
    }
}

static void wake_owner(ReplicationCut *cut)
{
    if (cut->owner) {
        aio_co_schedule(g_steal_pointer(&cut->owner));
    }
}

void replication_cut_cancel(ReplicationCut *cut, const char *why)
{
    if (cut->cancelled) {
        return;
    }
    trace_event(replication_cut_cancel, "step %d: %s", cut->step, why);
    cut->cancelled = true;
    cut->why = g_strdup(why);
    if (is_changing(cut)) {
        return;
    }
    aio_timer_del(&cut->deadline);
    abort_all(cut);
    replication_cut_open(cut);
    blk_wake_idle_waiters();
    wake_owner(cut);
}

static void deadline_expired(void *opaque)
{
    ReplicationCut *cut = opaque;
    g_autofree char *why = NULL;
    guint i = 0;

    if (cut->step == CUT_STOPPING) {
        give_up_peers(cut, -ETIMEDOUT);
        return;
    }
    while (!cut->parts[i].pending) {
        i++;
    }
    why = g_strdup_printf("Requests of disk '%s' did not end within %d "
                          "seconds, nothing has been changed",
                          replicated_disk_name(cut->parts[i].disk),
                          (int)(REPLICATION_DEADLINE_NS /
                                NANOSECONDS_PER_SECOND));
    replication_cut_cancel(cut, why);
}

static void arm_deadline(ReplicationCut *cut)
{
    aio_timer_mod(&cut->deadline, aio_clock_get_ns(aio_get_current()) +
                                  REPLICATION_DEADLINE_NS);
}

bool replication_cut_check(ReplicationCut *cut, GError **errp)
{
    if (cut->cancelled) {
        error_setg(errp, "%s", cut->why);
    }
    return !cut->cancelled;
}

/* Parts side by side */

/* The last one is in time, even if the deadline comes before the owner runs. */
static void part_ended(CutDisk *part)
{
    ReplicationCut *cut = part->cut;

    part->pending = false;
    if (--cut->pending == 0) {
        aio_timer_del(&cut->deadline);
        wake_owner(cut);
    }
    cut_unref(cut);
}

static void coroutine_fn settle_entry(void *opaque)
{
    CutDisk *part = opaque;

    replication_settle(part->disk->r);
    part_ended(part);
}

static void coroutine_fn drain_entry(void *opaque)
{
    CutDisk *part = opaque;
    guint i;

    for (i = 0; i < part->gates->len; i++) {
        if (blk_co_wait_idle_unless(part->gates->pdata[i],
                                    &part->cut->cancelled) < 0) {
            break;
        }
    }
    part_ended(part);
}

static void coroutine_fn prepare_entry(void *opaque)
{
    CutDisk *part = opaque;
    ReplicatedDisk *disk = part->disk;
    Replication *r = disk->r;

    disk->preparing++;
    part->ok = replication_prepare_checkpoint(r, &part->err);
    disk->preparing--;
    if (part->cut->cancelled &&
        replication_state(r) == BLOCK_REPLICATION_STATE_PREPARED) {
        replication_abort_checkpoint(r);
    }
    part_ended(part);
}

/* Run @entry for all disks, wait until they have ended or are given up. */
static bool coroutine_fn cut_co_run(ReplicationCut *cut,
                                    CoroutineEntry *entry, CutStep step,
                                    GError **errp)
{
    guint i;

    cut->step = step;
    cut->pending = cut->disks->len;
    if (cut->pending) {
        arm_deadline(cut);
    }
    for (i = 0; i < cut->disks->len; i++) {
        cut->parts[i].pending = true;
        cut->refs++;
    }
    for (i = 0; i < cut->disks->len; i++) {
        coroutine_start(entry, &cut->parts[i]);
    }
    while (cut->pending && !cut->cancelled) {
        cut->owner = coroutine_self();
        coroutine_yield();
    }
    cut->owner = NULL;
    return replication_cut_check(cut, errp);
}

bool coroutine_fn replication_cut_co_rest(ReplicationCut *cut, GError **errp)
{
    if (!replication_cut_check(cut, errp)) {
        return false;
    }
    if (!cut_co_run(cut, settle_entry, CUT_SETTLE, errp)) {
        return false;
    }
    close_gates(cut);
    return cut_co_run(cut, drain_entry, CUT_DRAIN, errp);
}

bool coroutine_fn replication_cut_co_prepare(ReplicationCut *cut,
                                             GError **errp)
{
    guint i;

    if (!cut_co_run(cut, prepare_entry, CUT_PREPARE, errp)) {
        return false;
    }
    for (i = 0; i < cut->disks->len; i++) {
        if (!cut->parts[i].ok) {
            g_propagate_error(errp, g_steal_pointer(&cut->parts[i].err));
            return false;
        }
    }
    cut->step = CUT_PREPARED;
    cut->prepared = true;
    return true;
}

void replication_cut_starting(ReplicationCut *cut)
{
    cut->step = CUT_STARTING;
}

void replication_cut_stopping(ReplicationCut *cut)
{
    cut->step = CUT_STOPPING;
    arm_deadline(cut);
}

bool replication_cut_defer_failover(ReplicationCut *cut, ReplicatedDisk *disk)
{
    guint i;

    for (i = 0; is_changing(cut) && i < cut->disks->len; i++) {
        if (cut->parts[i].disk == disk) {
            cut->parts[i].failover_due = true;
            give_up_peers(cut, -ECANCELED);
            return true;
        }
    }
    return false;
}

static void fail_over_due(ReplicationCut *cut)
{
    g_autoptr(GPtrArray) due = g_ptr_array_new();
    guint i;

    for (i = 0; i < cut->disks->len; i++) {
        if (cut->parts[i].failover_due) {
            g_ptr_array_add(due, cut->parts[i].disk);
        }
    }
    replicated_disks_failover(due);
}

void replication_cut_end(ReplicationCut *cut)
{
    aio_timer_del(&cut->deadline);
    abort_all(cut);
    replication_cut_open(cut);
    /* A prepare that is left behind must not stay prepared. */
    cut->cancelled = true;
    cut->step = CUT_ENDED;
    cut->group->cut = NULL;
    fail_over_due(cut);
    cut_unref(cut);
}
