/*
 * util/stream-copy.c: what memcpy() would do, and nothing else
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/stream-copy.h"

#define ROOM ((size_t)(80 * KiB))
#define UNTOUCHED 0xee

static void check(size_t from, size_t to, size_t bytes)
{
    g_autofree uint8_t *src = g_malloc(ROOM);
    g_autofree uint8_t *dest = g_malloc(ROOM);

    for (size_t i = 0; i < ROOM; i++) {
        src[i] = (uint8_t)g_test_rand_int();
    }
    memset(dest, UNTOUCHED, ROOM);
    stream_copy(dest + to, src + from, bytes);

    g_assert_cmpmem(dest + to, bytes, src + from, bytes);
    for (size_t i = 0; i < ROOM; i++) {
        if (i < to || i >= to + bytes) {
            g_assert_cmphex(dest[i], ==, UNTOUCHED);
        }
    }
}

/* Both sides of the size from which on it differs, all alignments. */
static void test_alignments(void)
{
    for (size_t at = 0; at < 64; at++) {
        check(at, 63 - at, 32 * KiB - 1);
        check(at, 0, 32 * KiB + at);
        check(0, at, 64 * KiB);
    }
}

static void test_sizes(void)
{
    check(5, 7, 0);
    check(5, 7, 1);
    for (size_t bytes = 33000; bytes < 33130; bytes++) {
        check(3, 1, bytes);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream-copy/alignments", test_alignments);
    g_test_add_func("/stream-copy/sizes", test_sizes);
    return g_test_run();
}
