/*
 * Inside of the event loop: what its files and its closest users share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_AIO_INT_H
#define UTIL_AIO_INT_H

#include <sys/epoll.h>

#include "util/aio.h"

/* Bottom halves: a list that any thread pushes to and the loop empties. */

typedef struct AioBH {
    struct AioBH *next;
    AioHandler *cb;
    void *opaque;
    bool allocated;             /* to be freed before @cb is called */
} AioBH;

static inline void aio_bh_init(AioBH *bh, AioHandler *cb, void *opaque)
{
    bh->cb = cb;
    bh->opaque = opaque;
    bh->allocated = false;
}

/* Run an embedded @bh once, soon.  It may vanish in its callback.  Any thread. */
void aio_bh_push(AioContext *ctx, AioBH *bh);

/* Run those that are pending now.  Returns whether there was one. */
bool aio_bh_run(AioContext *ctx);

/* Descriptors */

typedef struct AioFd {
    int fd;
    uint32_t wanted;            /* epoll events somebody waits for */
    uint32_t watched;           /* what the kernel was told */
    bool known;                 /* to the kernel at all */
    bool plain;                 /* a file: always ready, epoll refuses it */
    AioHandler *io_read;
    AioHandler *io_write;
    AioHandler *io_hangup;
    void *opaque;
    struct AioFd *next_dead;
} AioFd;

/* Call the handlers of one event.  Returns whether there was one. */
bool aio_fd_dispatch(AioContext *ctx, const struct epoll_event *event);

/* The same for those that epoll refuses. */
bool aio_fd_dispatch_plain(AioContext *ctx);
bool aio_fd_plain_ready(AioContext *ctx);

/* Free those that were removed while their events were being dispatched. */
void aio_fd_bury(AioContext *ctx);

/* Timers: a binary heap, first element at index 1. */

typedef struct AioTimerHeap {
    AioTimer **v;
    size_t len;
    size_t alloc;
} AioTimerHeap;

/* Run what has expired.  Returns whether there was one. */
bool aio_timers_run(AioContext *ctx);

/* Busy polling */

typedef struct AioSpin {
    int64_t max_ns;
    int score;                  /* of recent waits: high if mostly short */
    int64_t retry_ns;           /* no spinning before, others want the CPU */
    int64_t backoff_ns;
} AioSpin;

void aio_spin_init(AioSpin *spin);

/* How long to spin before a wait that begins at @now_ns. */
int64_t aio_spin_window(const AioSpin *spin, int64_t now_ns);

/* A wait took @waited_ns in all. */
void aio_spin_account(AioSpin *spin, int64_t waited_ns);

/* Others ran for @lost_ns when we offered them the CPU at @now_ns. */
void aio_spin_contended(AioSpin *spin, int64_t now_ns, int64_t lost_ns);

/* Spinning was worth it. */
void aio_spin_found_work(AioSpin *spin);

/* Naps */

typedef struct AioNap {
    bool open;                  /* the last one was not judged yet */
    unsigned turns;             /* that found new work after it, in a row */
    int64_t length_ns;          /* of the next one */
    int64_t retry_ns;           /* none before */
    int64_t backoff_ns;
} AioNap;

void aio_nap_init(AioNap *nap);

/* The loop has something to do without having waited for it. */
void aio_nap_found_work(AioNap *nap);

/* At @now_ns it has nothing to do: how long to sleep, 0: not at all. */
int64_t aio_nap_length(AioNap *nap, int64_t now_ns);

/*
 * Wait for events at most until @deadline_ns by the machine's clock (-1: for
 * ever, 0: not at all).  Returns how many there are in ctx->events.
 */
int aio_wait(AioContext *ctx, int64_t deadline_ns);

/* By the machine's clock whatever the context's is. */
int64_t aio_monotonic_ns(void);

/* The context */

#define AIO_MAX_EVENTS 128

typedef struct AioLocalData {
    const AioLocal *key;
    void *data;
} AioLocalData;

struct AioContext {
    /* Constant */
    AioVirtualClock *clock;
    int epoll_fd;
    int event_fd;
    int max_events;             /* of a turn; a test may lower it */

    /* Any thread, atomic */
    AioBH *bh_new;              /* newest first */
    bool notified;              /* the next wait must not block */
    bool sleeping;              /* whoever notifies must write to event_fd */
    unsigned async_users;       /* worker threads that still touch us */

    /* The context's thread only */
    unsigned async_pending;     /* results that worker threads owe us */
    unsigned expected;          /* see aio_expect_begin() */
    AioFd **fds;                /* by descriptor */
    int fds_alloc;
    int fds_count;
    int fds_plain;              /* how many are always ready */
    AioFd *fds_dead;
    AioTimerHeap timers;
    TAILQ_HEAD(AioTurnEndList, AioTurnEnd) turn_end;
    AioSpin spin;
    AioNap nap;
    bool no_pwait2;             /* the kernel lacks epoll_pwait2() */
    bool in_poll;
    struct epoll_event events[AIO_MAX_EVENTS];
    int n_events;

    AioLocalData *locals;
    int n_locals;

    TAILQ_ENTRY(AioContext) link;       /* the contexts of a thread */
};

#endif
