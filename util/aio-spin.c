/*
 * The event loop: when busy polling pays
 *
 * Waking an idle CPU costs tens of microseconds, more than a small request.
 * So when most of the recent waits were short, the loop polls for a while
 * before it blocks.  It stops when too many are too long to be bridged, hence
 * an idle program blocks for good, and starts again when waits become short.
 *
 * Polling is only worth it while nobody else wants all of the CPU.  If somebody
 * who was offered it kept it for long (CONTENDED_NS), the loop stays away from
 * polling for a time that doubles until polling succeeds again.
 *
 * No I/O and no clock in here, so that it is tested by itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

#define DEFAULT_MAX_NS (50 * SCALE_US)

/*
 * Each short wait adds one to the score, each long one takes this away: a
 * window spent in vain costs as much as a few short waits save.
 */
#define SCORE_LONG_WAIT 4
#define SCORE_MAX 16
#define SCORE_TO_SPIN 8

/*
 * Somebody who has a little to do and goes back to sleep, such as the other
 * end of a request, is whom the yield is for.  Who keeps the CPU for as long
 * as this wants all of it.
 */
#define CONTENDED_NS (1 * SCALE_MS)
#define BACKOFF_MIN_NS (1 * SCALE_MS)
#define BACKOFF_MAX_NS (64 * SCALE_MS)

void aio_spin_init(AioSpin *spin)
{
    *spin = (AioSpin) {
        .max_ns = DEFAULT_MAX_NS,
        .backoff_ns = BACKOFF_MIN_NS,
    };
}

int64_t aio_spin_window(const AioSpin *spin, int64_t now_ns)
{
    return spin->score < SCORE_TO_SPIN || now_ns < spin->retry_ns ?
           0 : spin->max_ns;
}

void aio_spin_account(AioSpin *spin, int64_t waited_ns)
{
    if (waited_ns <= spin->max_ns) {
        spin->score = MIN(spin->score + 1, SCORE_MAX);
    } else {
        spin->score = MAX(spin->score - SCORE_LONG_WAIT, 0);
    }
}

void aio_spin_contended(AioSpin *spin, int64_t now_ns, int64_t lost_ns)
{
    if (lost_ns < CONTENDED_NS) {
        return;
    }
    spin->retry_ns = now_ns + spin->backoff_ns;
    spin->backoff_ns = MIN(2 * spin->backoff_ns, BACKOFF_MAX_NS);
}

void aio_spin_found_work(AioSpin *spin)
{
    spin->backoff_ns = BACKOFF_MIN_NS;
}
