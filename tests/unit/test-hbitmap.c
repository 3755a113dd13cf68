/*
 * Unit tests of the hierarchical bitmap, against an array of bytes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/hbitmap.h"

/* Three levels, and neither end is at a word or granule. */
#define SIZE 70003

typedef struct Model {
    HBitmap *hb;
    uint64_t size;
    uint64_t granule;
    uint8_t *dirty;             /* by granule */
} Model;

static void model_init(Model *m, uint64_t size, int granularity)
{
    m->hb = hbitmap_new(size, granularity);
    m->size = size;
    m->granule = UINT64_C(1) << granularity;
    m->dirty = g_malloc0(size / m->granule + 1);
}

static void model_clear(Model *m)
{
    hbitmap_free(m->hb);
    g_free(m->dirty);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Model, model_clear)

static bool model_get(const Model *m, uint64_t item)
{
    return m->dirty[item / m->granule];
}

static void model_set(Model *m, uint64_t start, uint64_t count)
{
    hbitmap_set(m->hb, start, count);
    for (uint64_t i = start; i < start + count; i++) {
        m->dirty[i / m->granule] = 1;
    }
}

static void model_reset(Model *m, uint64_t start, uint64_t count)
{
    uint64_t end = start + count;

    hbitmap_reset(m->hb, start, count);
    for (uint64_t g = DIV_ROUND_UP(start, m->granule);
         g * m->granule < end; g++) {
        if (MIN((g + 1) * m->granule, m->size) <= end) {
            m->dirty[g] = 0;
        }
    }
}

static int64_t model_next(const Model *m, uint64_t start, uint64_t count,
                          bool dirty)
{
    for (uint64_t i = start; i < MIN(start + count, m->size); i++) {
        if (model_get(m, i) == dirty) {
            return i;
        }
    }
    return -1;
}

static void check_all(const Model *m)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < m->size; i++) {
        g_assert_cmpint(hbitmap_get(m->hb, i), ==, model_get(m, i));
        count += model_get(m, i);
    }
    g_assert_cmpuint(hbitmap_count(m->hb), ==, count);
    g_assert_cmpint(hbitmap_is_empty(m->hb), ==, count == 0);
}

static void random_range(const Model *m, uint64_t *start, uint64_t *count)
{
    uint64_t left;

    *start = g_test_rand_int_range(0, (int)m->size);
    left = m->size - *start;
    if (g_test_rand_bit()) {
        left = MIN(left, 200);
    }
    *count = g_test_rand_int_range(0, (int)left + 1);
}

static void check_searches(const Model *m)
{
    uint64_t start, count, area, n;
    int64_t dirty, zero;

    random_range(m, &start, &count);
    dirty = model_next(m, start, count, true);
    zero = model_next(m, start, count, false);
    g_assert_cmpint(hbitmap_next_dirty(m->hb, start, count), ==, dirty);
    g_assert_cmpint(hbitmap_next_zero(m->hb, start, count), ==, zero);

    if (hbitmap_next_dirty_area(m->hb, start, start + count, 1000, &area,
                                &n)) {
        g_assert_cmpint(area, ==, dirty);
        g_assert_true(n > 0 && n <= 1000 && area + n <= start + count);
        g_assert_cmpint(model_next(m, area, n, false), ==, -1);
        g_assert_true(n == 1000 || area + n == start + count ||
                      !model_get(m, area + n));
    } else {
        g_assert_cmpint(dirty, ==, -1);
    }

    if (count > 0) {
        bool is_dirty = hbitmap_status(m->hb, start, count, &n);

        g_assert_cmpint(is_dirty, ==, model_get(m, start));
        g_assert_cmpint(model_next(m, start, n, !is_dirty), ==, -1);
        g_assert_true(n == count || model_get(m, start + n) != is_dirty);
    }
}

static void test_random_operations(gconstpointer granularity)
{
    g_auto(Model) m = { NULL };

    model_init(&m, SIZE, GPOINTER_TO_INT(granularity));
    for (int round = 0; round < 400; round++) {
        uint64_t start, count;

        random_range(&m, &start, &count);
        if (g_test_rand_bit()) {
            model_set(&m, start, count);
        } else {
            model_reset(&m, start, count);
        }
        check_searches(&m);
        if (round % 40 == 0) {
            check_all(&m);
        }
    }
    hbitmap_reset_all(m.hb);
    g_assert_true(hbitmap_is_empty(m.hb));
    g_assert_cmpint(hbitmap_next_dirty(m.hb, 0, UINT64_MAX), ==, -1);
}

static void test_huge_and_sparse(void)
{
    g_autoptr(HBitmap) hb = hbitmap_new(INT64_MAX, 40);
    uint64_t item = UINT64_C(5000000) << 40;
    uint64_t start, count;

    hbitmap_set(hb, item + 7, 1);
    g_assert_cmpint(hbitmap_next_dirty(hb, 0, INT64_MAX), ==, item);
    g_assert_cmpuint(hbitmap_count(hb), ==, TiB);
    hbitmap_set(hb, INT64_MAX - 1, 1);
    g_assert_true(hbitmap_next_dirty_area(hb, item + TiB, INT64_MAX,
                                          UINT64_MAX, &start, &count));
    g_assert_cmpuint(start, ==, UINT64_C(8388607) << 40);
    g_assert_cmpuint(count, ==, TiB - 1);
    g_assert_cmpuint(hbitmap_count(hb), ==, 2 * TiB - 1);
}

static void test_partial_granule_is_not_reset(void)
{
    g_autoptr(HBitmap) hb = hbitmap_new(100, 4);

    hbitmap_set(hb, 0, 100);
    hbitmap_reset(hb, 1, 32);
    g_assert_true(hbitmap_get(hb, 0));
    g_assert_false(hbitmap_get(hb, 16));
    g_assert_true(hbitmap_get(hb, 32));
    hbitmap_reset(hb, 96, 4);
    g_assert_false(hbitmap_get(hb, 99));
    g_assert_cmpuint(hbitmap_count(hb), ==, 80);
}

static void test_empty_bitmap(void)
{
    g_autoptr(HBitmap) hb = hbitmap_new(0, 0);

    hbitmap_set(hb, 0, 0);
    hbitmap_reset(hb, 0, 0);
    g_assert_true(hbitmap_is_empty(hb));
    g_assert_cmpint(hbitmap_next_dirty(hb, 0, 10), ==, -1);
    g_assert_cmpuint(hbitmap_serialization_size(hb, 0, 0), ==, 0);
}

static void test_truncate(void)
{
    g_autoptr(HBitmap) hb = hbitmap_new(1000, 1);

    hbitmap_set(hb, 0, 1000);
    hbitmap_truncate(hb, 301);
    g_assert_cmpuint(hbitmap_count(hb), ==, 301);
    hbitmap_truncate(hb, 100000);
    g_assert_cmpuint(hbitmap_count(hb), ==, 302);
    g_assert_cmpint(hbitmap_next_zero(hb, 0, UINT64_MAX), ==, 302);
    hbitmap_set(hb, 99999, 1);
    g_assert_cmpint(hbitmap_next_dirty(hb, 302, UINT64_MAX), ==, 99998);
}

static void test_merge(gconstpointer granularity)
{
    g_auto(Model) m = { NULL };
    g_autoptr(HBitmap) src = hbitmap_new(SIZE, 2);

    model_init(&m, SIZE, GPOINTER_TO_INT(granularity));
    model_set(&m, 5, 300);
    hbitmap_set(src, 4096, 4096);
    hbitmap_set(src, SIZE - 3, 3);
    hbitmap_merge(m.hb, src);
    for (uint64_t i = 0; i < SIZE; i++) {
        if (hbitmap_get(src, i)) {
            m.dirty[i / m.granule] = 1;
        }
    }
    check_all(&m);
}

static void test_serialised_in_pieces(void)
{
    g_auto(Model) m = { NULL };
    g_autoptr(HBitmap) copy = hbitmap_new(SIZE, 3);
    uint64_t piece = 5 * hbitmap_serialization_align(copy);
    g_autofree uint8_t *buf = g_malloc(5 * 8);

    model_init(&m, SIZE, 3);
    for (int i = 0; i < 100; i++) {
        model_set(&m, g_test_rand_int_range(0, SIZE - 50), 50);
    }
    hbitmap_set(copy, 0, SIZE);
    for (uint64_t at = 0; at < SIZE; at += piece) {
        uint64_t n = MIN(piece, SIZE - at);

        g_assert_cmpuint(hbitmap_serialization_size(m.hb, at, n), <=, 40);
        hbitmap_serialize_part(m.hb, buf, at, n);
        hbitmap_deserialize_part(copy, buf, at, n);
    }
    hbitmap_free(m.hb);
    m.hb = g_steal_pointer(&copy);
    check_all(&m);
}

static void test_bits_beyond_the_end_are_ignored(void)
{
    g_autoptr(HBitmap) hb = hbitmap_new(10, 0);
    uint8_t buf[8];

    memset(buf, 0xff, sizeof(buf));
    hbitmap_deserialize_part(hb, buf, 0, 10);
    g_assert_cmpuint(hbitmap_count(hb), ==, 10);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/hbitmap/random/bit", GINT_TO_POINTER(0),
                         test_random_operations);
    g_test_add_data_func("/hbitmap/random/granule", GINT_TO_POINTER(5),
                         test_random_operations);
    g_test_add_func("/hbitmap/huge", test_huge_and_sparse);
    g_test_add_func("/hbitmap/reset/partial",
                    test_partial_granule_is_not_reset);
    g_test_add_func("/hbitmap/empty", test_empty_bitmap);
    g_test_add_func("/hbitmap/truncate", test_truncate);
    g_test_add_data_func("/hbitmap/merge/same", GINT_TO_POINTER(2),
                         test_merge);
    g_test_add_data_func("/hbitmap/merge/other", GINT_TO_POINTER(4),
                         test_merge);
    g_test_add_func("/hbitmap/serialise/pieces", test_serialised_in_pieces);
    g_test_add_func("/hbitmap/serialise/end",
                    test_bits_beyond_the_end_are_ignored);
    return g_test_run();
}
