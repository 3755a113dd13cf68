/*
 * Several hosts in one process, on one virtual clock
 *
 * Each host has an AioContext of its own: its own graph, exports and
 * replication group.  Time passes only when the test says so, hence a test of
 * minutes takes milliseconds and the same seed gives the same run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "util/aio.h"

#define SIM_MAX_HOSTS 4

typedef struct Sim {
    AioVirtualClock clock;
    AioContext *host[SIM_MAX_HOSTS];
    int n_hosts;
    int turn;                   /* whose turn it is in sim_step() */
    bool frozen[SIM_MAX_HOSTS]; /* a host that does nothing: it is stopped */
    int coroutines[SIM_MAX_HOSTS];      /* of each host */
    const unsigned *real_io;    /* or NULL: requests that no clock governs */
    int real_io_host;           /* whose they are */
} Sim;

void sim_init(Sim *sim, int n_hosts);
void sim_destroy(Sim *sim);

/*
 * Let everybody do all that can be done without time passing; what worker
 * threads and the kernel do takes none.
 */
void sim_settle(Sim *sim);

/* Let @ns pass, everything at its time. */
void sim_pass(Sim *sim, int64_t ns);

/*
 * Let time pass until @flag is set, at most @ns.  Returns whether it is.
 */
bool sim_wait(Sim *sim, const bool *flag, int64_t ns);

/*
 * The smallest step there is: one host handles one event.  Returns whether
 * there was anything to do without time passing.
 */
bool sim_step(Sim *sim);

/* Go to the time at which there is something to do; false: never. */
bool sim_skip_time(Sim *sim);

/* Start a coroutine on a host, soon: nothing runs before the next step. */
void sim_spawn(Sim *sim, int host, CoroutineEntry *entry, void *opaque);

/* Start a coroutine on a host and settle. */
void sim_start(Sim *sim, int host, CoroutineEntry *entry, void *opaque);

/* The same and wait for its end, at most a (virtual) minute. */
void sim_run(Sim *sim, int host, CoroutineEntry *entry, void *opaque);

/*
 * A link: whoever connects to @from (a unix socket) talks to @to through it.
 */
typedef struct SimLink SimLink;

typedef struct SimLinkConditions {
    int64_t latency_ns;         /* each way */
    bool stalled;               /* nothing gets through, nothing is lost */
    bool down;                  /* nobody gets a connection */
    size_t chunk;               /* bytes passed on at a time; 0: many */
} SimLinkConditions;

SimLink *sim_link_new(Sim *sim, int host, const char *from, const char *to);
void sim_link_free(Sim *sim, SimLink *link);
void sim_link_set(Sim *sim, SimLink *link, SimLinkConditions conditions);
/* The same, soon. */
void sim_link_set_soon(Sim *sim, SimLink *link, SimLinkConditions conditions);
/* End all connections; new ones are accepted. */
void sim_link_cut(Sim *sim, SimLink *link);
/* The same, soon. */
void sim_link_cut_soon(Sim *sim, SimLink *link);

#endif
