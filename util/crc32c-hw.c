/*
 * CRC32C by the SSE4.2 instruction
 *
 * The instruction takes eight bytes, has a latency of three cycles and can
 * start in each of them.  So three neighbouring blocks are summed up side by
 * side, and their sums are joined: the checksum is linear, hence a sum moves
 * over the bytes that follow by a table for "append BLOCK zeroes".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/crc32c.h"

#ifdef __x86_64__

#include <nmmintrin.h>
#include <pthread.h>

/* Three of them fit into a 4 KiB request; joining costs about 20 cycles. */
#define BLOCK 1024

/* skip[n][b]: the state whose byte n is b, BLOCK zeroes later. */
static uint32_t skip[4][256];
static pthread_once_t skip_once = PTHREAD_ONCE_INIT;

static __attribute__((target("sse4.2"))) void make_skip(void)
{
    for (int bit = 0; bit < 32; bit++) {
        uint64_t state = UINT64_C(1) << bit;

        for (int i = 0; i < BLOCK / 8; i++) {
            state = _mm_crc32_u64(state, 0);
        }
        for (unsigned b = 0; b < 256; b++) {
            if (b & 1u << bit % 8) {
                skip[bit / 8][b] ^= (uint32_t)state;
            }
        }
    }
}

static inline uint32_t skip_block(uint32_t state)
{
    return skip[0][state & 0xff] ^ skip[1][state >> 8 & 0xff] ^
           skip[2][state >> 16 & 0xff] ^ skip[3][state >> 24];
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static __attribute__((target("sse4.2"))) uint32_t
three_blocks(uint32_t state, const uint8_t *p)
{
    uint64_t a = state, b = 0, c = 0;

    for (int i = 0; i < BLOCK; i += 8) {
        a = _mm_crc32_u64(a, load64(p + i));
        b = _mm_crc32_u64(b, load64(p + BLOCK + i));
        c = _mm_crc32_u64(c, load64(p + 2 * BLOCK + i));
    }
    b ^= skip_block((uint32_t)a);
    c ^= skip_block((uint32_t)b);
    return (uint32_t)c;
}

bool crc32c_has_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) uint32_t
crc32c_hardware(uint32_t crc, const void *buf, size_t bytes)
{
    const uint8_t *p = buf;
    uint32_t state = ~crc;

    if (bytes >= 3 * BLOCK) {
        pthread_once(&skip_once, make_skip);
    }
    for (; bytes >= 3 * BLOCK; bytes -= 3 * BLOCK, p += 3 * BLOCK) {
        state = three_blocks(state, p);
    }
    for (; bytes >= 8; bytes -= 8, p += 8) {
        state = (uint32_t)_mm_crc32_u64(state, load64(p));
    }
    for (; bytes > 0; bytes--, p++) {
        state = _mm_crc32_u8(state, *p);
    }
    return ~state;
}

#else

bool crc32c_has_hardware(void)
{
    return false;
}

uint32_t crc32c_hardware(uint32_t crc, const void *buf, size_t bytes)
{
    return crc32c_portable(crc, buf, bytes);
}

#endif
