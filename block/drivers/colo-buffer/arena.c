/*
 * Memory of the layers: chunks that are handed on from epoch to epoch
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "arena.h"

#include <sys/mman.h>

#define TICK_NS (2 * NANOSECONDS_PER_SECOND)
/* To return a chunk takes some 200 us: one at once, requests in between. */
#define SLICE_NS (1 * SCALE_MS)

static void chunk_free(void *chunk)
{
    munmap(chunk, ARENA_CHUNK_SIZE);
}

static void *chunk_new(void)
{
    void *chunk = mmap(NULL, ARENA_CHUNK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return chunk == MAP_FAILED ? NULL : chunk;
}

static void rearm(Arena *arena, int64_t ns)
{
    aio_timer_mod(&arena->tick, aio_clock_get_ns(arena->tick.ctx) + ns);
}

/* Free what the last interval did not need, chunk by chunk. */
static void tick(void *opaque)
{
    Arena *arena = opaque;

    if (arena->idle > 0) {
        chunk_free(g_ptr_array_remove_index_fast(arena->free,
                                                 arena->free->len - 1));
        arena->idle--;
    }
    if (arena->idle > 0) {
        rearm(arena, SLICE_NS);
    } else if (arena->free->len > 0) {
        arena->idle = arena->free->len;
        rearm(arena, TICK_NS);
    }
}

void arena_init(Arena *arena, AioContext *ctx)
{
    arena->free = g_ptr_array_new();
    arena->idle = 0;
    aio_timer_init(&arena->tick, ctx, tick, arena);
}

void arena_destroy(Arena *arena)
{
    if (!arena->free) {
        return;
    }
    aio_timer_del(&arena->tick);
    for (unsigned i = 0; i < arena->free->len; i++) {
        chunk_free(arena->free->pdata[i]);
    }
    g_ptr_array_free(arena->free, TRUE);
    arena->free = NULL;
}

void *arena_get(Arena *arena)
{
    void *chunk;

    if (arena->free->len == 0) {
        return chunk_new();
    }
    chunk = g_ptr_array_remove_index_fast(arena->free, arena->free->len - 1);
    arena->idle = MIN(arena->idle, arena->free->len);
    return chunk;
}

void arena_put_all(Arena *arena, GPtrArray *chunks)
{
    for (unsigned i = 0; i < chunks->len; i++) {
        g_ptr_array_add(arena->free, chunks->pdata[i]);
    }
    g_ptr_array_set_size(chunks, 0);
    if (arena->free->len > 0 && !aio_timer_pending(&arena->tick)) {
        arena->idle = arena->free->len;
        rearm(arena, TICK_NS);
    }
}
