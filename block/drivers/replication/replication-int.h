/*
 * Inside of the replication driver
 *
 * One Replication per node.  What only a primary or only a secondary has is
 * in a struct of its own; the other one stays unused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef REPLICATION_INT_H
#define REPLICATION_INT_H

#include "block/driver.h"
#include "block/range-lock.h"
#include "block/replication.h"
#include "util/aio.h"

/* Primary */

typedef enum ForwardOp {
    FORWARD_WRITE,
    FORWARD_ZEROES,
    FORWARD_FLUSH,
    FORWARD_PROBE,              /* is the peer still there? */
} ForwardOp;

/* A request on its way to the peer, from its arrival to the peer's answer. */
typedef struct Forward {
    ForwardOp op;
    BdrvRequestFlags flags;
    int64_t offset, bytes;
    IOVector *qiov;
    int64_t asked_ns;           /* since when the peer owes an answer */
    TAILQ_ENTRY(Forward) link;
} Forward;

/* Buffers of asynchronous forwards, by size: 4 KiB, 8 KiB, ... 1 MiB. */
#define WINDOW_CLASSES 9

typedef struct AsyncForward AsyncForward;
typedef struct WindowWaiter WindowWaiter;

/* What protocol=async has outstanding: the guest no longer waits for it. */
typedef struct Window {
    /* Constant after open */
    int64_t max_bytes;
    unsigned max_requests;
    bool disconnect;            /* when it is full, instead of waiting */

    int64_t bytes;
    unsigned requests;
    bool squeezed;              /* a checkpoint is near: admit little */
    TAILQ_HEAD(, WindowWaiter) waiters; /* first come, first served */
    CoQueue low;                /* waits for little to be outstanding */

    AsyncForward *spare[WINDOW_CLASSES];
    int64_t spare_bytes;
} Window;

typedef struct Primary {
    /* Constant after open */
    ReplicationProtocol protocol;
    int64_t timeout_ns;         /* 0: wait for ever */

    /* From start on, until stop or until the peer is given up. */
    bool forwarding;
    bool given_up;              /* nobody waits for its answers any more */
    bool told_unforwarded;      /* the observer knows that there are some */
    bool attached;              /* there is a node above us */

    /* Overlapping forwards one after the other, in order of arrival. */
    RangeLock order;
    TAILQ_HEAD(, Forward) in_flight;    /* in order of arrival */
    CoQueue idle;               /* waits for in_flight to be empty */

    int64_t forwarded_bytes, forwarded_requests;
    int64_t unforwarded_bytes;

    AioTimer timer;             /* a peer gone silent, or the next probe */
    int64_t heard_ns;           /* when the peer gave its last answer */
    Window window;
} Primary;

/* Secondary */

typedef struct Secondary {
    /* Constant after open */
    char *top_id;
    ColoLayersObserver observer;

    /* From start to the end of replication */
    BlockDriverState *layers;   /* below our node, frozen */
    BlockDriverState *target;   /* the filter on the disk; a reference */
    bool reopened;              /* the disk was read-only before */

    bool high;                  /* above the high mark, in this epoch */
    int64_t high_at;            /* bytes that were in use then */
    bool merged;
    int64_t received_bytes, received_requests;
} Secondary;

struct Replication {
    /* Constant after open */
    BlockDriverState *bs;
    ReplicationMode mode;
    bool listed;
    TAILQ_ENTRY(Replication) link;

    BlockReplicationState state;        /* replication_set_state() */
    ReplicationError error;             /* replication_set_error() */
    uint64_t generation;
    int64_t epoch;
    int64_t last_checkpoint_ns; /* valid when epoch is not 0 */
    bool preparing;             /* a checkpoint; it may still be aborted */
    bool prepare_aborted;

    Primary primary;
    Secondary secondary;
};

/* state.c */

/* False and an error when a checkpoint that was being prepared was aborted. */
bool replication_check_prepare(const Replication *r, GError **errp);

const ReplicationObserver *replication_observer(void);
void replication_list_add(Replication *r);
void replication_list_remove(Replication *r);
/* The only writer of r->state: asserts that the edge is legal, traces it. */
void replication_set_state(Replication *r, BlockReplicationState to);
/* Whether writes of the primary are being forwarded or isolated. */
static inline bool replication_is_running(const Replication *r)
{
    return r->state == BLOCK_REPLICATION_STATE_RUNNING ||
           r->state == BLOCK_REPLICATION_STATE_PREPARED;
}

/* error.c */

/* The first one counts, the others are traced only. */
void replication_set_error(Replication *r, int ret, const char *node_name,
                           int64_t offset, const char *what);
void replication_clear_error(Replication *r);
/* False, and the sticky error as text, if there is one. */
bool replication_check_error(const Replication *r, GError **errp);

/* primary.c */

void primary_init(Replication *r);
void primary_close(Replication *r);
/* A request of the guest.  Never fails. */
void coroutine_fn primary_co_request(Replication *r, Forward *f);
/* Send it in its turn; returns when it was answered or given up. */
void coroutine_fn primary_co_forward(Replication *r, Forward *f);
bool coroutine_fn primary_co_check_start(Replication *r, bool force,
                                         GError **errp);
bool primary_start(Replication *r, GError **errp);
bool coroutine_fn primary_co_prepare(Replication *r, GError **errp);
void primary_abort_prepare(Replication *r);
void primary_end_checkpoint(Replication *r);
void coroutine_fn primary_co_stop(Replication *r);
void primary_failover(Replication *r);
/* Sticky error; what is in flight fails, nothing is forwarded any more. */
void primary_give_up(Replication *r, int ret, const char *what);
void primary_parents_changed(Replication *r);
void primary_sibling_failed(Replication *r, int64_t offset, int64_t bytes,
                            int ret);

/* window.c */

void window_init(Replication *r);
void window_close(Window *w);
/* Copy @f into the window and send it; false if the peer is given up. */
bool coroutine_fn window_co_put(Replication *r, const Forward *f);
/* Nothing is forwarded any more: let those who wait go on. */
void window_give_up(Window *w);
/* Memory that nothing is in flight with. */
void window_trim(Window *w);
void window_unsqueeze(Window *w);

/* deadline.c */

void deadline_init(Replication *r);
void deadline_start(Replication *r);
void deadline_stop(Replication *r);
void deadline_add(Replication *r, Forward *f);
/* @f goes to the peer; the peer has answered it, or a piece of it. */
void deadline_asked(Replication *r, Forward *f);
void deadline_answered(Replication *r, Forward *f);
void deadline_remove(Replication *r, Forward *f);

/* secondary.c */

void secondary_init(Replication *r);
void coroutine_fn secondary_co_close(Replication *r);
BlockDriverState *secondary_top(Replication *r);
bool replication_has_node_above(BlockDriverState *bs);
BlockDriverState *secondary_disk(Replication *r);
bool coroutine_fn secondary_co_check_start(Replication *r, GError **errp);
bool coroutine_fn secondary_co_start(Replication *r, GError **errp);
bool coroutine_fn secondary_co_prepare(Replication *r, GError **errp);
void secondary_abort_prepare(Replication *r);
void secondary_do_checkpoint(Replication *r);
void secondary_abort_checkpoint(Replication *r);
bool coroutine_fn secondary_co_stop(Replication *r, GError **errp);
void secondary_failover(Replication *r);
int coroutine_fn secondary_co_merge(Replication *r, int64_t speed);

/* target.c */

/* Put the filter between the disk below @layers and its other users. */
BlockDriverState *coroutine_fn target_co_insert(Replication *r,
                                                BlockDriverState *layers,
                                                GError **errp);
bool coroutine_fn target_co_remove(BlockDriverState *target, GError **errp);
/* Refuse everything from now on, also what waits here. */
void target_seal(BlockDriverState *target);
/* Let nothing new begin, and wait for what has begun, or for a release. */
void coroutine_fn target_co_hold(BlockDriverState *target);
void target_release(BlockDriverState *target);
/* End the waits of slow acknowledgements, and begin no new ones. */
void target_hurry(BlockDriverState *target);

#endif
