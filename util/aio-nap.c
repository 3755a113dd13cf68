/*
 * The event loop: naps
 *
 * A loop that is faster than those who give it work finds nothing to do every
 * few microseconds.  Polling through all of that burns a CPU and makes every
 * request a batch of its own; blocking makes each of them pay for waking the
 * loop.  So when there is enough work under way, the loop sleeps for a short
 * time that nobody cuts short, and then does at once what has come together.
 *
 * Enough means that those who give work were not kept waiting: new work came
 * while that of the nap was being done, and once more after that.  If not, the
 * loop stays awake for a while, longer each time, so that a client with few
 * requests in flight loses next to nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

/* Turns that find work, in a row, after a nap that was a good one. */
#define TURNS_TO_GO_ON 2

#define BACKOFF_MIN_NS (1 * SCALE_MS)
#define BACKOFF_MAX_NS (64 * SCALE_MS)

void aio_nap_init(AioNap *nap)
{
    *nap = (AioNap) { .backoff_ns = BACKOFF_MIN_NS };
}

void aio_nap_found_work(AioNap *nap)
{
    nap->turns++;
}

/* What the last one was good for. */
static void judge(AioNap *nap, int64_t now_ns)
{
    if (nap->turns >= TURNS_TO_GO_ON) {
        nap->backoff_ns = BACKOFF_MIN_NS;
        return;
    }
    nap->retry_ns = now_ns + nap->backoff_ns;
    nap->backoff_ns = MIN(2 * nap->backoff_ns, BACKOFF_MAX_NS);
}

bool aio_nap_is_due(AioNap *nap, int64_t now_ns)
{
    if (nap->open) {
        nap->open = false;
        judge(nap, now_ns);
    }
    if (now_ns < nap->retry_ns) {
        return false;
    }
    nap->open = true;
    nap->turns = 0;
    return true;
}
