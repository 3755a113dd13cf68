/*
 * Hierarchical bitmap
 *
 * levels[0] is the bitmap itself.  Bit j of word i of level n + 1 is set if
 * and only if word 64 * i + j of level n is not zero.  The last level has one
 * word.  Bits beyond the end are always clear.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/hbitmap.h"

/* 64^11 bits are more than 2^64. */
#define LEVELS_MAX 11

struct HBitmap {
    uint64_t size;              /* items */
    uint64_t bits;              /* granules */
    uint64_t dirty;             /* granules that are set */
    int granularity;
    int n_levels;
    uint64_t *levels[LEVELS_MAX];
    uint64_t words[LEVELS_MAX];
};

/* Life */

static void alloc_levels(HBitmap *hb)
{
    uint64_t bits = hb->bits;

    hb->n_levels = 0;
    do {
        uint64_t words = MAX(DIV_ROUND_UP(bits, 64), 1);

        hb->words[hb->n_levels] = words;
        hb->levels[hb->n_levels++] = g_new0(uint64_t, words);
        bits = words;
    } while (bits > 1);
}

HBitmap *hbitmap_new(uint64_t size, int granularity)
{
    HBitmap *hb = g_new0(HBitmap, 1);

    g_assert(granularity >= 0 && granularity < 64);
    g_assert(size <= INT64_MAX);
    hb->size = size;
    hb->granularity = granularity;
    hb->bits = (size + (UINT64_C(1) << granularity) - 1) >> granularity;
    alloc_levels(hb);
    return hb;
}

static void free_levels(uint64_t **levels, int n)
{
    for (int i = 0; i < n; i++) {
        g_free(levels[i]);
    }
}

void hbitmap_free(HBitmap *hb)
{
    if (hb) {
        free_levels(hb->levels, hb->n_levels);
        g_free(hb);
    }
}

/* Looking */

static bool bit_is_set(const HBitmap *hb, uint64_t bit)
{
    return hb->levels[0][bit / 64] >> bit % 64 & 1;
}

uint64_t hbitmap_count(const HBitmap *hb)
{
    uint64_t count = hb->dirty << hb->granularity;

    /* The last granule may be a partial one. */
    if (hb->bits > 0 && bit_is_set(hb, hb->bits - 1)) {
        count -= (hb->bits << hb->granularity) - hb->size;
    }
    return count;
}

bool hbitmap_is_empty(const HBitmap *hb)
{
    return hb->dirty == 0;
}

bool hbitmap_get(const HBitmap *hb, uint64_t item)
{
    g_assert(item < hb->size);
    return bit_is_set(hb, item >> hb->granularity);
}

/* The first set bit from @bit on, or hb->bits. */
static uint64_t next_set(const HBitmap *hb, uint64_t bit)
{
    int level = 0;
    uint64_t word;

    /* Up, until something is left to the right of where we are... */
    for (;;) {
        if (bit / 64 >= hb->words[level]) {
            return hb->bits;
        }
        word = hb->levels[level][bit / 64] & UINT64_MAX << bit % 64;
        if (word) {
            break;
        }
        if (++level == hb->n_levels) {
            return hb->bits;
        }
        bit = bit / 64 + 1;
    }
    /* ... then down along the first bits. */
    for (;;) {
        bit = ROUND_DOWN(bit, 64) + __builtin_ctzll(word);
        if (level == 0) {
            return bit;
        }
        word = hb->levels[--level][bit];
        bit *= 64;
    }
}

/* The first clear bit in [@bit, @end), or @end. */
static uint64_t next_clear(const HBitmap *hb, uint64_t bit, uint64_t end)
{
    while (bit < end) {
        uint64_t word = ~hb->levels[0][bit / 64] & UINT64_MAX << bit % 64;

        bit = ROUND_DOWN(bit, 64);
        if (word) {
            return MIN(bit + __builtin_ctzll(word), end);
        }
        bit += 64;
    }
    return end;
}

/* The end of a range that may reach too far. */
static uint64_t range_end(const HBitmap *hb, uint64_t start, uint64_t count)
{
    return count > hb->size - start ? hb->size : start + count;
}

int64_t hbitmap_next_dirty(const HBitmap *hb, uint64_t start, uint64_t count)
{
    uint64_t item;

    if (start >= hb->size || count == 0) {
        return -1;
    }
    item = next_set(hb, start >> hb->granularity);
    if (item >= hb->bits) {
        return -1;
    }
    item = MAX(item << hb->granularity, start);
    return item < range_end(hb, start, count) ? (int64_t)item : -1;
}

int64_t hbitmap_next_zero(const HBitmap *hb, uint64_t start, uint64_t count)
{
    uint64_t item;

    if (start >= hb->size || count == 0) {
        return -1;
    }
    item = next_clear(hb, start >> hb->granularity, hb->bits);
    if (item >= hb->bits) {
        return -1;
    }
    item = MAX(item << hb->granularity, start);
    return item < range_end(hb, start, count) ? (int64_t)item : -1;
}

bool hbitmap_next_dirty_area(const HBitmap *hb, uint64_t start, uint64_t end,
                             uint64_t max, uint64_t *area_start,
                             uint64_t *area_count)
{
    int64_t first, zero;

    end = MIN(end, hb->size);
    if (start >= end || max == 0) {
        return false;
    }
    first = hbitmap_next_dirty(hb, start, end - start);
    if (first < 0) {
        return false;
    }
    end = range_end(hb, first, MIN(max, end - first));
    zero = hbitmap_next_zero(hb, first, end - first);
    *area_start = first;
    *area_count = (zero < 0 ? end : (uint64_t)zero) - first;
    return true;
}

bool hbitmap_status(const HBitmap *hb, uint64_t start, uint64_t count,
                    uint64_t *same)
{
    bool dirty = hbitmap_get(hb, start);
    int64_t change = dirty ? hbitmap_next_zero(hb, start, count)
                           : hbitmap_next_dirty(hb, start, count);

    *same = (change < 0 ? range_end(hb, start, count) : (uint64_t)change) -
            start;
    return dirty;
}

/* Changing */

/* The bits of word @word that lie in [@first, @last]. */
static uint64_t mask_of(uint64_t word, uint64_t first, uint64_t last)
{
    uint64_t mask = UINT64_MAX;

    if (word == first / 64) {
        mask &= UINT64_MAX << first % 64;
    }
    if (word == last / 64) {
        mask &= UINT64_MAX >> (63 - last % 64);
    }
    return mask;
}

static void set_bits(HBitmap *hb, uint64_t first, uint64_t last)
{
    for (int level = 0; level < hb->n_levels; level++) {
        bool was_empty = false;

        for (uint64_t w = first / 64; w <= last / 64; w++) {
            uint64_t *word = &hb->levels[level][w];
            uint64_t added = mask_of(w, first, last) & ~*word;

            was_empty |= *word == 0;
            *word |= added;
            if (level == 0) {
                hb->dirty += __builtin_popcountll(added);
            }
        }
        if (!was_empty) {
            return;
        }
        first /= 64;
        last /= 64;
    }
}

static void reset_bits(HBitmap *hb, uint64_t first, uint64_t last)
{
    for (int level = 0; level < hb->n_levels; level++) {
        uint64_t *words = hb->levels[level];

        for (uint64_t w = first / 64; w <= last / 64; w++) {
            uint64_t removed = mask_of(w, first, last) & words[w];

            words[w] &= ~removed;
            if (level == 0) {
                hb->dirty -= __builtin_popcountll(removed);
            }
        }
        /* All words in between are empty now, the outer two perhaps. */
        first /= 64;
        last /= 64;
        if (words[first]) {
            first++;
        }
        if (words[last]) {
            if (last == 0) {
                return;
            }
            last--;
        }
        if (first > last) {
            return;
        }
    }
}

static void check_range(const HBitmap *hb, uint64_t start, uint64_t count)
{
    g_assert(start <= hb->size && count <= hb->size - start);
}

void hbitmap_set(HBitmap *hb, uint64_t start, uint64_t count)
{
    check_range(hb, start, count);
    if (count > 0) {
        set_bits(hb, start >> hb->granularity,
                 (start + count - 1) >> hb->granularity);
    }
}

void hbitmap_reset(HBitmap *hb, uint64_t start, uint64_t count)
{
    uint64_t granule = UINT64_C(1) << hb->granularity;
    uint64_t end = start + count;
    uint64_t first, behind;

    check_range(hb, start, count);
    first = (start + granule - 1) >> hb->granularity;
    behind = end == hb->size ? hb->bits : end >> hb->granularity;
    if (first < behind) {
        reset_bits(hb, first, behind - 1);
    }
}

void hbitmap_reset_all(HBitmap *hb)
{
    for (int i = 0; i < hb->n_levels; i++) {
        memset(hb->levels[i], 0, hb->words[i] * sizeof(uint64_t));
    }
    hb->dirty = 0;
}

/* Make the upper levels and the count match the lowest level. */
static void rebuild(HBitmap *hb)
{
    hb->dirty = 0;
    for (uint64_t w = 0; w < hb->words[0]; w++) {
        hb->dirty += __builtin_popcountll(hb->levels[0][w]);
    }
    for (int level = 1; level < hb->n_levels; level++) {
        memset(hb->levels[level], 0, hb->words[level] * sizeof(uint64_t));
        for (uint64_t w = 0; w < hb->words[level - 1]; w++) {
            if (hb->levels[level - 1][w]) {
                hb->levels[level][w / 64] |= UINT64_C(1) << w % 64;
            }
        }
    }
}

static void clear_beyond_end(HBitmap *hb)
{
    if (hb->bits == 0) {
        hb->levels[0][0] = 0;
    } else if (hb->bits % 64) {
        hb->levels[0][hb->bits / 64] &= UINT64_MAX >> (64 - hb->bits % 64);
    }
}

void hbitmap_truncate(HBitmap *hb, uint64_t size)
{
    HBitmap old = *hb;
    uint64_t granule = UINT64_C(1) << hb->granularity;

    g_assert(size <= INT64_MAX);
    hb->size = size;
    hb->bits = (size + granule - 1) >> hb->granularity;
    alloc_levels(hb);
    memcpy(hb->levels[0], old.levels[0],
           MIN(hb->words[0], old.words[0]) * sizeof(uint64_t));
    clear_beyond_end(hb);
    rebuild(hb);
    free_levels(old.levels, old.n_levels);
}

void hbitmap_merge(HBitmap *dst, const HBitmap *src)
{
    uint64_t bit;

    g_assert(dst->size == src->size);
    if (dst->granularity == src->granularity) {
        for (uint64_t w = 0; w < dst->words[0]; w++) {
            dst->levels[0][w] |= src->levels[0][w];
        }
        rebuild(dst);
        return;
    }
    for (bit = next_set(src, 0); bit < src->bits;) {
        uint64_t end = next_clear(src, bit, src->bits);
        uint64_t start = bit << src->granularity;

        hbitmap_set(dst, start,
                    MIN(end << src->granularity, src->size) - start);
        bit = next_set(src, end);
    }
}

/* Serialisation */

uint64_t hbitmap_serialization_align(const HBitmap *hb)
{
    return UINT64_C(64) << hb->granularity;
}

/* The words [*@first, *@first + n) of a piece. */
static uint64_t piece_words(const HBitmap *hb, uint64_t start, uint64_t count,
                            uint64_t *first)
{
    uint64_t last;

    check_range(hb, start, count);
    g_assert(start % hbitmap_serialization_align(hb) == 0);
    *first = (start >> hb->granularity) / 64;
    if (count == 0) {
        return 0;
    }
    g_assert(start + count == hb->size ||
             count % hbitmap_serialization_align(hb) == 0);
    last = ((start + count - 1) >> hb->granularity) / 64;
    return last - *first + 1;
}

uint64_t hbitmap_serialization_size(const HBitmap *hb, uint64_t start,
                                    uint64_t count)
{
    uint64_t first;

    return piece_words(hb, start, count, &first) * sizeof(uint64_t);
}

void hbitmap_serialize_part(const HBitmap *hb, uint8_t *buf, uint64_t start,
                            uint64_t count)
{
    uint64_t first;
    uint64_t n = piece_words(hb, start, count, &first);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t le = GUINT64_TO_LE(hb->levels[0][first + i]);

        memcpy(buf + i * sizeof(le), &le, sizeof(le));
    }
}

void hbitmap_deserialize_part(HBitmap *hb, const uint8_t *buf, uint64_t start,
                              uint64_t count)
{
    uint64_t first;
    uint64_t n = piece_words(hb, start, count, &first);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t le;

        memcpy(&le, buf + i * sizeof(le), sizeof(le));
        hb->levels[0][first + i] = GUINT64_FROM_LE(le);
    }
    clear_beyond_end(hb);
    rebuild(hb);
}
