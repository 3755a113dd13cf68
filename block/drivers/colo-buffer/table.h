/*
 * Hash table from block numbers to what a layer holds of the block
 *
 * Grows without ever stopping for long: a larger table is filled by and by,
 * a few entries at each insertion.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_BUFFER_TABLE_H
#define COLO_BUFFER_TABLE_H

/* A block is 4 KiB, its sectors are 512 bytes. */
#define COLO_BLOCK_BITS 12
#define COLO_BLOCK_SIZE (1 << COLO_BLOCK_BITS)
#define COLO_SECTOR_SIZE 512

typedef struct TableEntry {
    uint64_t block;
    uint32_t slot;              /* where the data is, see layer.h */
    uint8_t mask;               /* bit n: sector n is held */
    bool used;
} TableEntry;

typedef struct TableHalf {
    TableEntry *entries;        /* NULL while capacity is 0 */
    size_t capacity;            /* a power of two, or 0 */
    size_t count;               /* of the old half: those not moved yet */
} TableHalf;

typedef struct Table {
    TableHalf now;
    TableHalf old;              /* being emptied into now */
    size_t moved;               /* entries of old below this are in now */
} Table;

/* The entry of @block, or NULL.  Valid until the next insertion. */
TableEntry *table_find(Table *table, uint64_t block);

/* The entry of @block; a new one (*@is_new) has slot and mask 0. */
TableEntry *table_insert(Table *table, uint64_t block, bool *is_new);

/* The first used entry at position @pos or behind; *@pos goes behind it. */
TableEntry *table_next(Table *table, size_t *pos);

void table_destroy(Table *table);
size_t table_memory(const Table *table);

#endif
