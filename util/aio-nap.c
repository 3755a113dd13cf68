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
 * while that of the nap was being done.  Then there may be another nap, a
 * longer one if work came for some turns more.  If none came, naps get shorter,
 * and in the end the loop stays awake for a while, longer each time, so that a
 * client with few requests in flight loses next to nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

/*
 * The shortest is long enough to be worth the sleep and the wake-up, which
 * make it two times as long; a client with a dozen small requests in flight
 * still has replies to go through when it is over.
 */
#define NAP_MIN_NS (20 * SCALE_US)
#define NAP_MAX_NS (80 * SCALE_US)

/*
 * So many turns in a row that find new work make the next one longer.  With
 * fewer, a client with 16 requests in flight would have to wait now and then.
 */
#define TURNS_TO_GROW 12

#define BACKOFF_MIN_NS (1 * SCALE_MS)
#define BACKOFF_MAX_NS (64 * SCALE_MS)

void aio_nap_init(AioNap *nap)
{
    *nap = (AioNap) {
        .length_ns = NAP_MIN_NS,
        .backoff_ns = BACKOFF_MIN_NS,
    };
}

void aio_nap_found_work(AioNap *nap)
{
    nap->turns++;
}

/* What the last one was good for. */
static void judge(AioNap *nap, int64_t now_ns)
{
    if (nap->turns > 0) {
        if (nap->turns >= TURNS_TO_GROW) {
            nap->length_ns = MIN(nap->length_ns + nap->length_ns / 8,
                                 NAP_MAX_NS);
        }
        nap->backoff_ns = BACKOFF_MIN_NS;
        return;
    }
    if (nap->length_ns > NAP_MIN_NS) {
        nap->length_ns = MAX(nap->length_ns / 2, NAP_MIN_NS);
        return;
    }
    nap->retry_ns = now_ns + nap->backoff_ns;
    nap->backoff_ns = MIN(2 * nap->backoff_ns, BACKOFF_MAX_NS);
}

int64_t aio_nap_length(AioNap *nap, int64_t now_ns)
{
    if (nap->open) {
        nap->open = false;
        judge(nap, now_ns);
    }
    if (now_ns < nap->retry_ns) {
        return 0;
    }
    nap->open = true;
    nap->turns = 0;
    return nap->length_ns;
}
