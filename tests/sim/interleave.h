/*
 * A secondary whose every access to disk and layers waits to be told
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_INTERLEAVE_H
#define TESTS_INTERLEAVE_H

#include "block-helpers.h"
#include "util/file-engine-int.h"

#define SECTORS 6
#define MAX_OPS 4

typedef enum OpType {
    OP_FORWARD,                 /* the primary writes */
    OP_READ,                    /* the secondary's guest */
    OP_WRITE,
    OP_CUT,                     /* checkpoint */
    OP_FAILOVER,                /* and merge */
} OpType;

/* What a scenario says of an operation. */
typedef struct OpSpec {
    OpType type;
    int sector, count;
} OpSpec;

typedef struct Op {
    OpSpec spec;
    uint8_t pattern;
    struct World *world;
    int began, ended;           /* steps; -1: not yet */
    int ret;
    uint8_t result[SECTORS];    /* a byte per sector of a read */
} Op;

/* Where the layers have their data. */
typedef enum Store {
    STORE_MEMORY,
    STORE_SPILL,                /* a file: their accesses wait, too */
    STORE__MAX,
} Store;

typedef struct World {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *disk, *layers, *secondary;
    BlockBackend *guest, *primary;
    FileEngine spill;           /* its requests wait as those of the disk */
    Op ops[MAX_OPS];
    int n_ops;
    int now;                    /* step */
    bool export_closed;         /* a failover has begun */
    bool over;                  /* all have ended, a merge included */
    uint8_t view[SECTORS];      /* of world_look() and world_end_view() */
} World;

void world_begin(World *w, Store store, const OpSpec *specs, int n);
void world_end(World *w);

/* Let the @i-th operation begin, or the @i-th access go on. */
void world_start(World *w, int i);
void world_step(World *w, int i);
/* How many accesses wait. */
int world_waiting(const World *w);

/* What the layers would show now, whoever has locked what. */
void world_look(World *w);
/* It is over, nothing waits any more: what the guest reads. */
void world_end_view(World *w);

/*
 * Whether some order of the operations, one after the other, that agrees with
 * the order in which they really began and ended, explains all that is known:
 * what they returned, the view, and, at the end, what is on the disk.
 * Operations that have not ended may or may not have taken effect.
 */
bool model_explains(const World *w);

#endif
