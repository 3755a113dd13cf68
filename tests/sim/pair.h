/*
 * A pair of hosts that replicate disks over a link, and what is known of them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "block-helpers.h"
#include "qapi/qapi-types-replication.h"
#include "sim.h"

#define SECOND NANOSECONDS_PER_SECOND
#define PAIR_TIMEOUT_NS (2 * SECOND)
#define MAX_DISKS 3

enum { PRIMARY, SECONDARY, LINK, HOSTS };

/* One disk on both hosts, and the contents that it must have. */
typedef struct PairDisk {
    struct Pair *pair;
    int number;
    BlockDriverState *disk[2], *root[2];
    BlockBackend *guest[2];

    uint8_t primary[TEST_DISK_SIZE];    /* all writes that have begun */
    uint8_t view[TEST_DISK_SIZE];       /* checkpoint plus own writes */
    uint8_t old_primary[TEST_DISK_SIZE];        /* as the round began */
    uint8_t old_view[TEST_DISK_SIZE];
    unsigned cuts;              /* of the round: the view came from the disk */
    bool isolated;              /* the secondary has layers */
    bool was_plain;             /* it had not, at some time of the round */
} PairDisk;

/* What a guest wants of its disk. */
typedef struct Request {
    PairDisk *disk;
    int host;
    int type;                   /* TEST_READ, ... */
    int64_t offset, bytes;
    uint8_t pattern;
    uint8_t *found;             /* what a read returned */
    int ret;                    /* 1 while it has not ended */
    bool wiped;                 /* the secondary's, by a checkpoint */
} Request;

/* What whoever manages a host says to it. */
typedef enum CommandType {
    COMMAND_QUERY, COMMAND_CHECKPOINT, COMMAND_START, COMMAND_STOP,
    COMMAND_FAILOVER, COMMAND_DELETE_CHILD, COMMAND_ADD_CHILD, COMMAND__MAX,
} CommandType;

typedef struct Command {
    struct Pair *pair;
    CommandType type;
    int host;
    PairDisk *disk;             /* of a change of children */
    bool done, ok;
} Command;

typedef struct PairOptions {
    int disks;
    bool async;
} PairOptions;

typedef struct Pair {
    Sim sim;
    PairOptions options;
    int seed;
    GRand *rand;
    char *dir;                  /* "link" and "server" are sockets in it */
    SimLink *link;
    SimLinkConditions conditions;
    PairDisk disks[MAX_DISKS];

    GPtrArray *requests;        /* Request: of this round, in order */
    GPtrArray *commands;        /* Command: of this round */
    bool replicated;            /* surely: nobody has told it to stop */
    bool disk_failed[2];        /* so requests may fail */
} Pair;

G_GNUC_PRINTF(2, 3) G_GNUC_NORETURN
void pair_fail(const Pair *p, const char *fmt, ...);

/* A pair with replication running. */
Pair *pair_new(int seed, PairOptions options);
void pair_free(Pair *p);
/* How many the secondary's server has. */
int pair_connections(Pair *p);
/* Options of the primary's replication node; g_free. */
char *pair_forward_options(const PairDisk *disk);
BlockDriverState *coroutine_fn pair_co_open(const char *json, GError **errp);

/*
 * pair-load.c: a round is requests of both guests in flight together, with
 * @event somewhere among them.  It ends when all have ended, and then what was
 * read, the view, and the disks are what they must be.
 */
typedef void PairEvent(Pair *p);

void pair_round(Pair *p, int requests, PairEvent *event);
/* What has begun ends and is judged, that of a host that was frozen, too. */
void pair_end_round(Pair *p);
/* A request of its guest begins. */
void pair_request(Pair *p, int host);
/* The view now is the secondary's disk: a checkpoint, a start. */
void pair_take_view(PairDisk *d);
/* It is what has passed the primary's gate so far. */
void pair_check_cut(Pair *p);

/* pair-commands.c */
/* Of both sides; whether there was one. */
bool pair_checkpoint(Pair *p);
/* Soon; the round's end waits for the answer. */
void pair_command(Pair *p, int host, CommandType type);
void pair_forget_commands(Pair *p);
/* Random commands to those that can hear them. */
void pair_random_commands(Pair *p);
/* Whether a disk of @host is said to have an error. */
bool pair_has_error(Pair *p, int host);
BlockReplicationState pair_state(const PairDisk *disk);

#endif
