/*
 * Copying past the cache
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/stream-copy.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* A cache line, which stores past the cache fill as a whole */
#define LINE ((size_t)64)

/* Below, what the cache saves whoever reads it next is worth more. */
#define STREAM_MIN ((size_t)(32 * KiB))

/* @dest is aligned to a line, @bytes a multiple of it. */
static void copy_lines(char *dest, const char *src, size_t bytes)
{
    for (; bytes > 0; bytes -= LINE, dest += LINE, src += LINE) {
        const __m128i *from = (const __m128i *)src;
        __m128i *to = (__m128i *)dest;
        __m128i a = _mm_loadu_si128(from);
        __m128i b = _mm_loadu_si128(from + 1);
        __m128i c = _mm_loadu_si128(from + 2);
        __m128i d = _mm_loadu_si128(from + 3);

        _mm_stream_si128(to, a);
        _mm_stream_si128(to + 1, b);
        _mm_stream_si128(to + 2, c);
        _mm_stream_si128(to + 3, d);
    }
    /* Such stores are not ordered with any others, those of a lock say. */
    _mm_sfence();
}

void stream_copy(void *dest, const void *src, size_t bytes)
{
    size_t head = -(uintptr_t)dest % LINE;
    size_t lines;

    if (bytes < STREAM_MIN) {
        memcpy(dest, src, bytes);
        return;
    }
    lines = ROUND_DOWN(bytes - head, LINE);
    memcpy(dest, src, head);
    copy_lines((char *)dest + head, (const char *)src + head, lines);
    head += lines;
    memcpy((char *)dest + head, (const char *)src + head, bytes - head);
}
#else
void stream_copy(void *dest, const void *src, size_t bytes)
{
    memcpy(dest, src, bytes);
}
#endif
