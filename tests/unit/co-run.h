/*
 * Running coroutines from a test: until they are done, never longer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_CO_RUN_H
#define TESTS_UNIT_CO_RUN_H

#include "util/aio.h"

/* Turn the loop until @flag is set.  The test's own timeout is the limit. */
static inline void poll_until(const bool *flag)
{
    while (!*flag) {
        aio_poll(aio_get_current(), true);
    }
}

/* Turn the loop while there is something to do. */
static inline void poll_idle(void)
{
    while (aio_poll(aio_get_current(), false)) {
        /* again */
    }
}

typedef struct CoRun {
    CoroutineEntry *entry;
    void *opaque;
    bool done;
} CoRun;

static inline void coroutine_fn co_run_entry(void *opaque)
{
    CoRun *run = opaque;

    run->entry(run->opaque);
    run->done = true;
}

/* Run @entry in a coroutine and the loop until it has ended. */
static inline void co_run(CoroutineEntry *entry, void *opaque)
{
    CoRun run = { .entry = entry, .opaque = opaque };

    coroutine_start(co_run_entry, &run);
    poll_until(&run.done);
}

#endif
