/*
 * Hierarchical bitmap
 *
 * One bit per granule of 2^granularity items (mostly bytes); upper levels
 * say which words below are not empty, so that sparse bitmaps of huge disks
 * are searched quickly.  The caller serialises access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_HBITMAP_H
#define UTIL_HBITMAP_H

typedef struct HBitmap HBitmap;

/* @size items; @granularity is a power of two given as its logarithm. */
HBitmap *hbitmap_new(uint64_t size, int granularity);
void hbitmap_free(HBitmap *hb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HBitmap, hbitmap_free)

/* How many items lie in dirty granules. */
uint64_t hbitmap_count(const HBitmap *hb);
bool hbitmap_is_empty(const HBitmap *hb);

/* Whether the granule of @item is dirty. */
bool hbitmap_get(const HBitmap *hb, uint64_t item);

/* Ranges must lie inside of the bitmap; empty ones do nothing. */

/* Every granule that the range touches becomes dirty. */
void hbitmap_set(HBitmap *hb, uint64_t start, uint64_t count);

/* Every granule that the range covers completely becomes clean. */
void hbitmap_reset(HBitmap *hb, uint64_t start, uint64_t count);
void hbitmap_reset_all(HBitmap *hb);

/* Change the size; new items are clean. */
void hbitmap_truncate(HBitmap *hb, uint64_t size);

/*
 * The first dirty (clean) item in the range, or -1.  The range may reach
 * beyond the end.
 */
int64_t hbitmap_next_dirty(const HBitmap *hb, uint64_t start, uint64_t count);
int64_t hbitmap_next_zero(const HBitmap *hb, uint64_t start, uint64_t count);

/*
 * The first run of dirty items in [@start, @end), at most @max items of it.
 * False if there is none.  Together with a moving @start this is how one
 * iterates; the bitmap may change in between.
 */
bool hbitmap_next_dirty_area(const HBitmap *hb, uint64_t start, uint64_t end,
                             uint64_t max, uint64_t *area_start,
                             uint64_t *area_count);

/*
 * Whether the granule of @start is dirty; for how many items from there, at
 * most @count, that stays so is put into *@same.
 */
bool hbitmap_status(const HBitmap *hb, uint64_t start, uint64_t count,
                    uint64_t *same);

/* What is dirty in @src becomes dirty in @dst; same size. */
void hbitmap_merge(HBitmap *dst, const HBitmap *src);

/*
 * Serialisation in pieces: little-endian 64-bit words, one bit per granule.
 * Pieces start at multiples of hbitmap_serialization_align() items.
 */
uint64_t hbitmap_serialization_align(const HBitmap *hb);
uint64_t hbitmap_serialization_size(const HBitmap *hb, uint64_t start,
                                    uint64_t count);
void hbitmap_serialize_part(const HBitmap *hb, uint8_t *buf, uint64_t start,
                            uint64_t count);

/* Replace the piece; bits beyond the end are ignored. */
void hbitmap_deserialize_part(HBitmap *hb, const uint8_t *buf, uint64_t start,
                              uint64_t count);

#endif
