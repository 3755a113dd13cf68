/*
 * One layer: which sectors are held, and their data
 *
 * Blocks of 4 KiB, each with a slot for its data and a bit for each of its
 * sectors.  Slots are given out one after the other and come back all
 * together, when the layer goes.
 *
 * Offsets and lengths are multiples of COLO_SECTOR_SIZE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_BUFFER_LAYER_H
#define COLO_BUFFER_LAYER_H

#include "storage.h"
#include "table.h"

typedef struct Layer {
    Table table;
    GPtrArray *memory;          /* chunks */
    GArray *spill;              /* uint32_t: chunks of the spill file */
    uint32_t memory_slots;      /* given out */
    uint32_t spill_slots;
    int64_t bytes;              /* held */
    unsigned leave;             /* chunks that it leaves to others */
} Layer;

Layer *layer_new(unsigned leave);
/* Return the chunks to @st and free the rest. */
void layer_free(Layer *layer, Storage *st);

static inline bool layer_is_empty(const Layer *layer)
{
    return layer->bytes == 0;
}

/*
 * Whether @offset is held; how many of the @bytes from there on are alike in
 * that is returned.
 */
int64_t layer_run(Layer *layer, int64_t offset, int64_t bytes, bool *held);

/*
 * Have slots for all blocks that the range touches.  -ENOSPC when there is
 * neither memory nor spill space; what was reserved until then is kept and
 * holds nothing.
 */
int layer_reserve(Layer *layer, Storage *st, int64_t offset, int64_t bytes);

/*
 * Move the data of a reserved range: into the layer (@is_write, then it is
 * not held yet: see layer_mark) or out of it.  @qiov_offset: where in @qiov
 * it begins.
 */
int coroutine_fn layer_co_rw(Layer *layer, Storage *st, int64_t offset,
                             int64_t bytes, IOVector *qiov,
                             size_t qiov_offset, bool is_write);

/*
 * Append the memory of a reserved range to @iov.  False, and @iov is as it
 * was, if some of it is spilled.
 */
bool layer_map(Layer *layer, int64_t offset, int64_t bytes, IOVector *iov);

/* The range is held, or is not any more. */
void layer_mark(Layer *layer, int64_t offset, int64_t bytes);
void layer_unmark(Layer *layer, int64_t offset, int64_t bytes);

/* Chunks of memory and of the spill file. */
static inline unsigned layer_chunks(const Layer *layer)
{
    return layer->memory->len + layer->spill->len;
}

/* Bytes of slots and bookkeeping. */
int64_t layer_memory_used(const Layer *layer);

#endif
