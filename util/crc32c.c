/*
 * CRC32C: by table, and the choice between that and the instruction
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/crc32c.h"

#include <pthread.h>

#include "util/crc32c-int.h"

/* tables[n][b]: what byte b does to the state n bytes later. */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        }
        tables[0][b] = crc;
    }
    for (unsigned b = 0; b < 256; b++) {
        for (int n = 1; n < 8; n++) {
            uint32_t crc = tables[n - 1][b];

            tables[n][b] = crc >> 8 ^ tables[0][crc & 0xff];
        }
    }
}

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT64_FROM_LE(v);
}

uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t bytes)
{
    const uint8_t *p = buf;

    pthread_once(&tables_once, make_tables);
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t v = load_le64(p) ^ crc;

        crc = 0;
        for (int n = 0; n < 8; n++) {
            crc ^= tables[7 - n][v >> (8 * n) & 0xff];
        }
    }
    for (; bytes > 0; bytes--, p++) {
        crc = crc >> 8 ^ tables[0][(crc ^ *p) & 0xff];
    }
    return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *buf, size_t bytes)
{
    if (crc32c_has_hardware()) {
        return crc32c_hardware(crc, buf, bytes);
    }
    return crc32c_portable(crc, buf, bytes);
}
