/*
 * Memory of the layers: chunks that are handed on from epoch to epoch
 *
 * A chunk that was written to is mapped already, so a recycled one costs no
 * page faults.  What an interval did not need goes back to the system.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_BUFFER_ARENA_H
#define COLO_BUFFER_ARENA_H

#include "util/aio.h"

#define ARENA_CHUNK_SIZE (1 * MiB)

typedef struct Arena {
    GPtrArray *free;            /* mapped chunks that nobody uses */
    unsigned idle;              /* fewest there were since the last tick */
    AioTimer tick;
} Arena;

void arena_init(Arena *arena, AioContext *ctx);
void arena_destroy(Arena *arena);

/* A chunk of ARENA_CHUNK_SIZE bytes with any contents, or NULL. */
void *arena_get(Arena *arena);

/* Take back all of @chunks and empty it. */
void arena_put_all(Arena *arena, GPtrArray *chunks);

#endif
