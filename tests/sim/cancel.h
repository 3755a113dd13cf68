/*
 * Cancel at every turn: a blow after each step of a scenario
 *
 * A client's host with an nbd node, a link, and a server's host with an
 * export over a disk.  A scenario (opening, a request, several, a reopen, a
 * new connection) is run again and again, each time one step further: one
 * event of one host's loop.  Then something strikes: a yank, a close, a
 * drain, the removal of the export, a cut.  Whatever it is and whenever it
 * comes, every request and every command ends, what was promised holds, and
 * nothing is left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_CANCEL_H
#define TESTS_CANCEL_H

#include "nbd-world.h"

#define SECOND NANOSECONDS_PER_SECOND
#define MAX_OPS 8
#define PATTERN NBD_WORLD_PATTERN

typedef enum OpType {
    OP_NONE,
    OP_READ, OP_WRITE, OP_ZEROES, OP_DISCARD, OP_FLUSH, OP_STATUS,
    OP_OPEN, OP_REOPEN, OP_CLOSE, OP_RESIZE,
} OpType;

/* Something that a client does. */
typedef struct Op {
    OpType type;
    int64_t offset, bytes;

    struct World *world;
    int ret;
    bool done;
} Op;

/* What happens on one of the hosts. */
typedef struct Blow Blow;

typedef struct Scenario {
    const char *name;
    Op ops[MAX_OPS];
    bool closed;                /* no node yet */
    bool lost;                  /* the connection breaks as it begins */
    bool held;                  /* the disk answers once nobody can go on */
    size_t chunk;               /* bytes that the link passes at a time */
} Scenario;

typedef struct World {
    NbdWorld nbd;
    const Scenario *scenario;
    const Blow *blow;
    Way way;
    int steps;

    BlockBackend *blk;          /* ours and the monitor's */
    Op ops[MAX_OPS];
    bool blow_done;
} World;

struct Blow {
    const char *name;
    int host;
    CoroutineEntry *strike;     /* on @host; sets blow_done at its end */
    bool stall;                 /* the link, before that and for a minute */
    bool frees;                 /* requests end though nobody answers */
    bool answers;               /* so does the command */
    bool removes;               /* the export is gone soon */
    bool harmless;              /* nothing fails */
    bool spares_clients;        /* ... if they may connect again */
};

G_GNUC_PRINTF(2, 3)
void cancel_fail(const World *w, const char *fmt, ...);

/* cancel-ops.c: what the client does; errors are answers, too */
void coroutine_fn cancel_op_entry(void *opaque);
int coroutine_fn cancel_co_close(void);
int coroutine_fn cancel_co_reopen(World *w);

/* cancel-blows.c; the one that has no name ends the list */
extern const Blow cancel_blows[];
const Blow *cancel_blow(const char *name);

/* Strike after no step, after one, and so on to the scenario's end. */
void cancel_at_every_step(const World *setup);

#endif
