/*
 * Throttle groups: rate limits shared by several users
 *
 * Each member has one queue per direction.  Queues that are not empty stand
 * in the group's line: the first one whose direction may go on sends its
 * first request and goes to the end of the line.  One timer per group runs
 * when the earliest of them may go on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/throttle-group.h"

#include "block/throttle-group-int.h"
#include "util/aio.h"

typedef struct ThrottleRequest {
    Coroutine *co;
    int64_t bytes;
    bool granted;
    bool sleeping;
    TAILQ_ENTRY(ThrottleRequest) next;
} ThrottleRequest;

typedef struct ThrottleQueue {
    ThrottleMember *member;
    bool is_write;
    TAILQ_HEAD(, ThrottleRequest) requests;
    TAILQ_ENTRY(ThrottleQueue) line;    /* while @requests is not empty */
} ThrottleQueue;

struct ThrottleMember {
    /* Constant */
    ThrottleGroup *group;

    bool bypass;
    ThrottleQueue queue[2];     /* reads, writes */
};

struct ThrottleGroup {
    /* Constant */
    char *name;
    AioContext *ctx;
    Object *obj;                /* borrowed: members hold it; may be NULL */

    unsigned refcnt;            /* members, the object, running dispatches */
    ThrottleState ts;
    TAILQ_HEAD(, ThrottleQueue) line;
    AioTimer timer;
    LIST_ENTRY(ThrottleGroup) next;
};

typedef LIST_HEAD(ThrottleGroupList, ThrottleGroup) ThrottleGroupList;

static void throttle_groups_init(AioContext *ctx, void *data)
{
    ThrottleGroupList *groups = data;

    LIST_INIT(groups);
}

static const AioLocal throttle_groups_key = {
    .size = sizeof(ThrottleGroupList),
    .init = throttle_groups_init,
};

static ThrottleGroupList *throttle_groups(void)
{
    return aio_local_get(aio_get_current(), &throttle_groups_key);
}

/* Letting requests on */

/* The first request of @queue goes on. */
static void throttle_queue_grant(ThrottleQueue *queue)
{
    ThrottleGroup *tg = queue->member->group;
    ThrottleRequest *req = TAILQ_FIRST(&queue->requests);

    TAILQ_REMOVE(&queue->requests, req, next);
    TAILQ_REMOVE(&tg->line, queue, line);
    if (!TAILQ_EMPTY(&queue->requests)) {
        TAILQ_INSERT_TAIL(&tg->line, queue, line);
    }
    throttle_account(&tg->ts, queue->is_write, req->bytes);

    req->granted = true;
    if (req->sleeping) {
        aio_co_wake(req->co);
    }
}

/*
 * The queue whose turn it is; if there is none, how long until there is one.
 * All queues of one direction wait for the same buckets.
 */
static ThrottleQueue *throttle_group_next(ThrottleGroup *tg, int64_t now,
                                          int64_t *wait)
{
    int64_t wait_of[2] = {
        throttle_wait_ns(&tg->ts, false, now),
        throttle_wait_ns(&tg->ts, true, now),
    };
    ThrottleQueue *queue;

    *wait = INT64_MAX;
    TAILQ_FOREACH(queue, &tg->line, line) {
        if (queue->member->bypass || !wait_of[queue->is_write]) {
            return queue;
        }
        *wait = MIN(*wait, wait_of[queue->is_write]);
    }
    return NULL;
}

/* Let on what may go on, and come back when more may. */
static void throttle_group_dispatch(ThrottleGroup *tg)
{
    int64_t now = aio_clock_get_ns(tg->ctx);
    ThrottleQueue *queue;
    int64_t wait;

    /* Who is let on may leave the group, or even end it. */
    throttle_group_ref(tg);
    while ((queue = throttle_group_next(tg, now, &wait))) {
        throttle_queue_grant(queue);
    }
    if (wait != INT64_MAX) {
        aio_timer_mod(&tg->timer, now + wait);
    } else {
        aio_timer_del(&tg->timer);
    }
    throttle_group_unref(tg);
}

static void throttle_group_timer(void *opaque)
{
    throttle_group_dispatch(opaque);
}

void coroutine_fn throttle_member_co_wait(ThrottleMember *tgm, int64_t bytes,
                                          bool is_write)
{
    ThrottleQueue *queue = &tgm->queue[is_write];
    ThrottleRequest req = { .co = coroutine_self(), .bytes = bytes };

    if (TAILQ_EMPTY(&queue->requests)) {
        TAILQ_INSERT_TAIL(&tgm->group->line, queue, line);
    }
    TAILQ_INSERT_TAIL(&queue->requests, &req, next);

    throttle_group_dispatch(tgm->group);
    if (!req.granted) {
        req.sleeping = true;
        coroutine_yield();
        g_assert(req.granted);
    }
}

void throttle_member_set_bypass(ThrottleMember *tgm, bool bypass)
{
    tgm->bypass = bypass;
    if (bypass) {
        throttle_group_dispatch(tgm->group);
    }
}

/* Groups */

ThrottleGroup *throttle_group_find(const char *name)
{
    ThrottleGroup *tg;

    LIST_FOREACH(tg, throttle_groups(), next) {
        if (strcmp(tg->name, name) == 0) {
            return tg;
        }
    }
    return NULL;
}

bool throttle_group_exists(const char *name)
{
    return throttle_group_find(name) != NULL;
}

ThrottleGroup *throttle_group_new(const char *name, Object *obj,
                                  const ThrottleConfig *cfg)
{
    ThrottleGroup *tg = g_new0(ThrottleGroup, 1);

    tg->name = g_strdup(name);
    tg->ctx = aio_get_current();
    tg->obj = obj;
    tg->refcnt = 1;
    TAILQ_INIT(&tg->line);
    aio_timer_init(&tg->timer, tg->ctx, throttle_group_timer, tg);
    throttle_init(&tg->ts, cfg, aio_clock_get_ns(tg->ctx));
    LIST_INSERT_HEAD(throttle_groups(), tg, next);
    return tg;
}

void throttle_group_ref(ThrottleGroup *tg)
{
    tg->refcnt++;
}

void throttle_group_unref(ThrottleGroup *tg)
{
    g_assert(tg->refcnt > 0);
    if (--tg->refcnt > 0) {
        return;
    }
    g_assert(TAILQ_EMPTY(&tg->line));
    aio_timer_del(&tg->timer);
    LIST_REMOVE(tg, next);
    g_free(tg->name);
    g_free(tg);
}

const ThrottleConfig *throttle_group_config(const ThrottleGroup *tg)
{
    return &tg->ts.cfg;
}

void throttle_group_set_config(ThrottleGroup *tg, const ThrottleConfig *cfg)
{
    throttle_init(&tg->ts, cfg, aio_clock_get_ns(tg->ctx));
    throttle_group_dispatch(tg);
}

/* Members */

ThrottleMember *throttle_member_join(ThrottleGroup *tg)
{
    ThrottleMember *tgm = g_new0(ThrottleMember, 1);

    throttle_group_ref(tg);
    tgm->group = tg;
    if (tg->obj) {
        object_ref(tg->obj);    /* object-del says that it is in use */
    }
    for (int i = 0; i < 2; i++) {
        tgm->queue[i].member = tgm;
        tgm->queue[i].is_write = i;
        TAILQ_INIT(&tgm->queue[i].requests);
    }
    return tgm;
}

ThrottleMember *throttle_member_new(const char *name, GError **errp)
{
    ThrottleGroup *tg = throttle_group_find(name);

    if (!tg) {
        error_setg(errp, "Throttle group '%s' does not exist", name);
        return NULL;
    }
    return throttle_member_join(tg);
}

void throttle_member_free(ThrottleMember *tgm)
{
    ThrottleGroup *tg;

    if (!tgm) {
        return;
    }
    g_assert(TAILQ_EMPTY(&tgm->queue[false].requests));
    g_assert(TAILQ_EMPTY(&tgm->queue[true].requests));

    tg = tgm->group;
    if (tg->obj) {
        object_unref(tg->obj);
    }
    throttle_group_unref(tg);
    g_free(tgm);
}

ThrottleGroup *throttle_member_group(const ThrottleMember *tgm)
{
    return tgm->group;
}

const char *throttle_member_group_name(const ThrottleMember *tgm)
{
    return tgm->group->name;
}
