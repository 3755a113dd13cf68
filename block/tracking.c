/*
 * Requests in flight on a node
 *
 * Requests that merely overlap are not ordered: whoever sends two of them at
 * once gets either result.  A serialising request (read-modify-write, resize)
 * has its range to itself.
 *
 * Why waiting cannot deadlock: a request only waits for one that was there
 * when it looked and that does not wait itself.  One that waits will look
 * again when it wakes, finds the newcomer and waits for it, so skipping it
 * is safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/tracking.h"

static BdrvTrackedRequest *find_conflict(BdrvTrackedRequest *self)
{
    IntervalTree *tree = &self->bs->tracked;
    int64_t start = self->range.start;
    int64_t last = self->range.last;
    IntervalTreeNode *node;

    for (node = interval_tree_iter_first(tree, start, last); node;
         node = interval_tree_iter_next(node, start, last)) {
        BdrvTrackedRequest *req = container_of(node, BdrvTrackedRequest, range);

        if (req != self && (req->serialising || self->serialising) &&
            !req->waiting_for) {
            return req;
        }
    }
    return NULL;
}

static void coroutine_fn wait_for_conflicts(BdrvTrackedRequest *self)
{
    BdrvTrackedRequest *req;

    while ((req = find_conflict(self))) {
        self->waiting_for = req;
        co_queue_wait(&req->waiters);
        self->waiting_for = NULL;
    }
}

void coroutine_fn tracked_request_begin(BdrvTrackedRequest *req,
                                        BlockDriverState *bs, int type,
                                        int64_t offset, int64_t bytes,
                                        uint32_t align, bool serialising)
{
    req->bs = bs;
    req->offset = offset;
    req->bytes = bytes;
    req->type = type;
    req->serialising = serialising;
    req->co = coroutine_self();
    req->waiting_for = NULL;
    req->range.start = ROUND_DOWN(offset, align);
    req->range.last = ROUND_UP(offset + bytes, align) - 1;
    co_queue_init(&req->waiters);

    interval_tree_insert(&bs->tracked, &req->range);
    bs->tracked_serialising += serialising;
    if (G_UNLIKELY(bs->tracked_serialising)) {
        wait_for_conflicts(req);
    }
}

void tracked_request_end(BdrvTrackedRequest *req)
{
    BlockDriverState *bs = req->bs;

    bs->tracked_serialising -= req->serialising;
    interval_tree_remove(&bs->tracked, &req->range);
    if (G_UNLIKELY(!co_queue_empty(&req->waiters))) {
        co_queue_restart_all(&req->waiters);
    }
}
