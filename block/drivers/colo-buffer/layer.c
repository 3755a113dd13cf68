/*
 * One layer: which sectors are held, and their data
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "layer.h"

#define SLOTS_PER_CHUNK (ARENA_CHUNK_SIZE / COLO_BLOCK_SIZE)
#define SPILLED UINT32_C(0x80000000)

Layer *layer_new(unsigned leave)
{
    Layer *layer = g_new0(Layer, 1);

    layer->leave = leave;
    layer->memory = g_ptr_array_new();
    layer->spill = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    return layer;
}

void layer_free(Layer *layer, Storage *st)
{
    if (!layer) {
        return;
    }
    storage_put(st, layer->memory, layer->spill);
    g_ptr_array_free(layer->memory, TRUE);
    g_array_free(layer->spill, TRUE);
    table_destroy(&layer->table);
    g_free(layer);
}

/* Sectors */

static uint64_t block_of(int64_t offset)
{
    return (uint64_t)offset >> COLO_BLOCK_BITS;
}

/* The sectors of its first block that a range covers. */
static uint8_t first_mask(int64_t offset, int64_t bytes)
{
    unsigned first = offset % COLO_BLOCK_SIZE / COLO_SECTOR_SIZE;
    int64_t n = MIN(bytes / COLO_SECTOR_SIZE, 8 - (int64_t)first);

    return ((1u << n) - 1) << first;
}

/* Bytes up to the end of the first block, at most @bytes. */
static int64_t first_part(int64_t offset, int64_t bytes)
{
    return MIN(bytes, COLO_BLOCK_SIZE - offset % COLO_BLOCK_SIZE);
}

static uint8_t mask_at(Layer *layer, int64_t offset)
{
    TableEntry *entry = table_find(&layer->table, block_of(offset));

    return entry ? entry->mask : 0;
}

/* How many sectors from @first on are alike in @mask. */
static int alike(uint8_t mask, int first, bool *held)
{
    int n = 1;

    *held = mask >> first & 1;
    while (first + n < 8 && (bool)(mask >> (first + n) & 1) == *held) {
        n++;
    }
    return n;
}

int64_t layer_run(Layer *layer, int64_t offset, int64_t bytes, bool *held)
{
    int64_t done = 0;

    if (layer_is_empty(layer)) {
        *held = false;
        return bytes;
    }
    while (done < bytes) {
        int64_t pos = offset + done;
        int first = pos % COLO_BLOCK_SIZE / COLO_SECTOR_SIZE;
        bool here;
        int n = alike(mask_at(layer, pos), first, &here);

        if (done == 0) {
            *held = here;
        } else if (here != *held) {
            break;
        }
        done += (int64_t)n * COLO_SECTOR_SIZE;
        if (first + n < 8) {
            break;
        }
    }
    return MIN(done, bytes);
}

void layer_mark(Layer *layer, int64_t offset, int64_t bytes)
{
    while (bytes > 0) {
        TableEntry *entry = table_find(&layer->table, block_of(offset));
        uint8_t mask = first_mask(offset, bytes);
        int64_t n = first_part(offset, bytes);

        layer->bytes += COLO_SECTOR_SIZE *
                        __builtin_popcount(mask & ~entry->mask);
        entry->mask |= mask;
        offset += n;
        bytes -= n;
    }
}

void layer_unmark(Layer *layer, int64_t offset, int64_t bytes)
{
    while (bytes > 0 && !layer_is_empty(layer)) {
        TableEntry *entry = table_find(&layer->table, block_of(offset));
        int64_t n = first_part(offset, bytes);

        if (entry) {
            uint8_t mask = first_mask(offset, bytes);

            layer->bytes -= COLO_SECTOR_SIZE *
                            __builtin_popcount(mask & entry->mask);
            entry->mask &= ~mask;
        }
        offset += n;
        bytes -= n;
    }
}

/* Slots */

static bool may_grow(const Layer *layer, const Storage *st)
{
    return storage_free_chunks(st) > layer->leave;
}

static bool give_memory_slot(Layer *layer, Storage *st, uint32_t *slot)
{
    if (layer->memory_slots == layer->memory->len * SLOTS_PER_CHUNK) {
        void *chunk = may_grow(layer, st) ? storage_get_memory(st) : NULL;

        if (!chunk) {
            return false;
        }
        g_ptr_array_add(layer->memory, chunk);
    }
    *slot = layer->memory_slots++;
    return true;
}

static bool give_spill_slot(Layer *layer, Storage *st, uint32_t *slot)
{
    if (layer->spill_slots == layer->spill->len * SLOTS_PER_CHUNK) {
        int64_t chunk = may_grow(layer, st) ? storage_get_spill(st) : -1;
        uint32_t number = chunk;

        if (chunk < 0) {
            return false;
        }
        g_array_append_val(layer->spill, number);
    }
    *slot = SPILLED | layer->spill_slots++;
    return true;
}

int layer_reserve(Layer *layer, Storage *st, int64_t offset, int64_t bytes)
{
    uint64_t last = block_of(offset + bytes - 1);

    for (uint64_t block = block_of(offset); block <= last; block++) {
        uint32_t slot;
        bool is_new;
        TableEntry *entry = table_find(&layer->table, block);

        if (entry) {
            continue;
        }
        if (!give_memory_slot(layer, st, &slot) &&
            !give_spill_slot(layer, st, &slot)) {
            return -ENOSPC;
        }
        entry = table_insert(&layer->table, block, &is_new);
        entry->slot = slot;
    }
    return 0;
}

static uint8_t *slot_memory(const Layer *layer, uint32_t slot)
{
    uint8_t *chunk = layer->memory->pdata[slot / SLOTS_PER_CHUNK];

    return chunk + (size_t)(slot % SLOTS_PER_CHUNK) * COLO_BLOCK_SIZE;
}

static int64_t slot_file_offset(const Layer *layer, uint32_t slot)
{
    uint32_t n = slot & ~SPILLED;
    int64_t chunk = g_array_index(layer->spill, uint32_t,
                                  n / SLOTS_PER_CHUNK);

    return chunk * ARENA_CHUNK_SIZE +
           (int64_t)(n % SLOTS_PER_CHUNK) * COLO_BLOCK_SIZE;
}

/* Data */

static int coroutine_fn block_co_rw(Layer *layer, Storage *st, uint32_t slot,
                                    int64_t in_block, int64_t bytes,
                                    IOVector *qiov, size_t qiov_offset,
                                    bool is_write)
{
    g_auto(IOVector) part = { 0 };
    uint8_t *p;

    if (slot & SPILLED) {
        iov_init_slice(&part, qiov, qiov_offset, bytes);
        return storage_co_spill_rw(st, slot_file_offset(layer, slot) +
                                   in_block, &part, is_write);
    }
    p = slot_memory(layer, slot) + in_block;
    if (is_write) {
        iov_to_buf(qiov, qiov_offset, p, bytes);
    } else {
        iov_from_buf(qiov, qiov_offset, p, bytes);
    }
    return 0;
}

int coroutine_fn layer_co_rw(Layer *layer, Storage *st, int64_t offset,
                             int64_t bytes, IOVector *qiov,
                             size_t qiov_offset, bool is_write)
{
    while (bytes > 0) {
        TableEntry *entry = table_find(&layer->table, block_of(offset));
        int64_t n = first_part(offset, bytes);
        int ret = block_co_rw(layer, st, entry->slot,
                              offset % COLO_BLOCK_SIZE, n, qiov, qiov_offset,
                              is_write);

        if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
        qiov_offset += n;
    }
    return 0;
}

bool layer_map(Layer *layer, int64_t offset, int64_t bytes, IOVector *iov)
{
    for (int64_t pos = offset; pos < offset + bytes;) {
        TableEntry *entry = table_find(&layer->table, block_of(pos));

        if (entry->slot & SPILLED) {
            return false;
        }
        pos += first_part(pos, offset + bytes - pos);
    }
    while (bytes > 0) {
        TableEntry *entry = table_find(&layer->table, block_of(offset));
        int64_t n = first_part(offset, bytes);

        iov_add(iov, slot_memory(layer, entry->slot) +
                offset % COLO_BLOCK_SIZE, n);
        offset += n;
        bytes -= n;
    }
    return true;
}

int64_t layer_memory_used(const Layer *layer)
{
    return (int64_t)layer->memory_slots * COLO_BLOCK_SIZE +
           table_memory(&layer->table);
}
