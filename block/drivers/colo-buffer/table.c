/*
 * Hash table from block numbers to what a layer holds of the block
 *
 * Open addressing with linear probing, at most 70 % full.  Entries are never
 * removed one by one: a layer goes as a whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "table.h"

#include <sys/mman.h>

#include "util/thread-pool.h"

#define INITIAL_CAPACITY 64
#define MOVES_PER_INSERT 8

/* To give back a table of 8 MiB takes the kernel more than a millisecond. */
#define LARGE_BYTES (1 * MiB)

/*
 * Blocks that follow each other lie in a group, two cache lines: most requests
 * are for several of them.
 */
#define GROUP_BITS 3

static size_t hash_block(uint64_t block)
{
    uint64_t group = (block >> GROUP_BITS) * UINT64_C(0x9e3779b97f4a7c15);

    group ^= group >> 29;
    return group << GROUP_BITS | (block & ((1 << GROUP_BITS) - 1));
}

static TableEntry *half_probe(const TableHalf *half, uint64_t block)
{
    size_t i = hash_block(block) & (half->capacity - 1);

    while (half->entries[i].used && half->entries[i].block != block) {
        i = (i + 1) & (half->capacity - 1);
    }
    return &half->entries[i];
}

static TableEntry *half_find(const TableHalf *half, uint64_t block)
{
    TableEntry *entry;

    if (!half->count) {
        return NULL;
    }
    entry = half_probe(half, block);
    return entry->used ? entry : NULL;
}

/*
 * Large arrays do not come from the heap: it would clear them at once, and
 * shrink by them with its lock held.
 */
static bool is_large(const TableHalf *half)
{
    return half->capacity * sizeof(TableEntry) >= LARGE_BYTES;
}

static void half_alloc(TableHalf *half, size_t capacity)
{
    size_t bytes = capacity * sizeof(TableEntry);

    half->capacity = capacity;
    half->count = 0;
    if (!is_large(half)) {
        half->entries = g_malloc0(bytes);
        return;
    }
    /* Zeroed pages appear when they are touched, not here. */
    half->entries = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (half->entries == MAP_FAILED) {
        g_error("cannot allocate %zu bytes", bytes);
    }
}

/* In a worker thread */
static int unmap_entries(void *opaque)
{
    TableHalf *half = opaque;

    munmap(half->entries, half->capacity * sizeof(TableEntry));
    return 0;
}

static void entries_unmapped(void *opaque, int ret)
{
    g_free(opaque);
}

static void half_free(TableHalf *half)
{
    if (is_large(half)) {
        thread_pool_submit(unmap_entries, g_memdup2(half, sizeof(*half)),
                           entries_unmapped);
    } else {
        g_free(half->entries);
    }
    *half = (TableHalf) { 0 };
}

static void move_some(Table *table)
{
    for (int i = 0; i < MOVES_PER_INSERT && table->old.capacity; i++) {
        TableEntry *from = &table->old.entries[table->moved++];

        if (from->used) {
            TableEntry *to = half_probe(&table->now, from->block);

            g_assert(!to->used);
            *to = *from;
            table->now.count++;
            table->old.count--;     /* it stays, so that others are found */
        }
        if (table->moved == table->old.capacity) {
            half_free(&table->old);
            table->moved = 0;
        }
    }
}

static void grow_if_full(Table *table)
{
    if (!table->now.capacity) {
        half_alloc(&table->now, INITIAL_CAPACITY);
    } else if ((table->now.count + table->old.count + 1) * 10 >
               table->now.capacity * 7) {
        /* Moving is faster than filling: the old one is empty by now. */
        g_assert(!table->old.capacity);
        table->old = table->now;
        table->moved = 0;
        half_alloc(&table->now, 2 * table->old.capacity);
    }
}

/* An entry of the old half that was not moved yet. */
static TableEntry *find_unmoved(Table *table, uint64_t block)
{
    TableEntry *entry = half_find(&table->old, block);

    if (entry && entry < table->old.entries + table->moved) {
        return NULL;            /* a copy in the new half is the real one */
    }
    return entry;
}

TableEntry *table_find(Table *table, uint64_t block)
{
    TableEntry *entry = half_find(&table->now, block);

    if (entry || G_LIKELY(!table->old.capacity)) {
        return entry;
    }
    return find_unmoved(table, block);
}

TableEntry *table_insert(Table *table, uint64_t block, bool *is_new)
{
    TableEntry *entry = table_find(table, block);

    *is_new = !entry;
    if (entry) {
        return entry;
    }
    grow_if_full(table);
    move_some(table);
    entry = half_probe(&table->now, block);
    *entry = (TableEntry) { .block = block, .used = true };
    table->now.count++;
    return entry;
}

TableEntry *table_next(Table *table, size_t *pos)
{
    size_t n_old = table->old.capacity;

    for (; *pos < n_old; ++*pos) {
        if (*pos >= table->moved && table->old.entries[*pos].used) {
            return &table->old.entries[(*pos)++];
        }
    }
    for (; *pos - n_old < table->now.capacity; ++*pos) {
        if (table->now.entries[*pos - n_old].used) {
            return &table->now.entries[(*pos)++ - n_old];
        }
    }
    return NULL;
}

void table_destroy(Table *table)
{
    half_free(&table->now);
    half_free(&table->old);
    table->moved = 0;
}

size_t table_memory(const Table *table)
{
    return (table->now.capacity + table->old.capacity) * sizeof(TableEntry);
}
