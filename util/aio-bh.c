/*
 * The event loop: bottom halves
 *
 * Any thread pushes to a lock-free stack; the loop takes the whole of it and
 * turns it round.  What is pushed meanwhile runs in the next turn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

void aio_bh_push(AioContext *ctx, AioBH *bh)
{
    AioBH *old = __atomic_load_n(&ctx->bh_new, __ATOMIC_RELAXED);

    do {
        bh->next = old;
    } while (!__atomic_compare_exchange_n(&ctx->bh_new, &old, bh, true,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    aio_notify(ctx);
}

bool aio_bh_run(AioContext *ctx)
{
    AioBH *bh;
    AioBH *todo = NULL;

    /* A plain look first: an exchange costs even when there is nothing. */
    if (!__atomic_load_n(&ctx->bh_new, __ATOMIC_RELAXED)) {
        return false;
    }
    bh = __atomic_exchange_n(&ctx->bh_new, NULL, __ATOMIC_ACQUIRE);
    while (bh) {
        AioBH *next = bh->next;

        bh->next = todo;
        todo = bh;
        bh = next;
    }
    while ((bh = todo)) {
        AioHandler *cb = bh->cb;
        void *opaque = bh->opaque;

        todo = bh->next;
        if (bh->allocated) {
            g_free(bh);
        }
        cb(opaque);
    }
    return true;
}

void aio_bh_schedule_oneshot(AioContext *ctx, AioHandler *cb, void *opaque)
{
    AioBH *bh = g_new(AioBH, 1);

    aio_bh_init(bh, cb, opaque);
    bh->allocated = true;
    aio_bh_push(ctx, bh);
}
