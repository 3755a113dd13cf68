/*
 * Unit tests of CRC32C
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/crc32c.h"

#define SIZE (16 * KiB)

/* RFC 3720, B.4 */
static void test_known_values(void)
{
    uint8_t buf[32] = { 0 };

    g_assert_cmphex(crc32c(0, "123456789", 9), ==, 0xe3069283);
    g_assert_cmphex(crc32c(0, buf, 32), ==, 0x8a9136aa);
    memset(buf, 0xff, 32);
    g_assert_cmphex(crc32c(0, buf, 32), ==, 0x62a8ab43);
    for (int i = 0; i < 32; i++) {
        buf[i] = (uint8_t)i;
    }
    g_assert_cmphex(crc32c(0, buf, 32), ==, 0x46dd794e);
    g_assert_cmphex(crc32c_portable(0, buf, 32), ==, 0x46dd794e);
    g_assert_cmphex(crc32c(0, NULL, 0), ==, 0);
}

static void test_pieces_make_the_whole(void)
{
    const char *text = "the quick brown fox jumps over the lazy dog";
    uint32_t whole = crc32c(0, text, strlen(text));

    for (size_t i = 0; i <= strlen(text); i++) {
        uint32_t crc = crc32c(0, text, i);

        g_assert_cmphex(crc32c(crc, text + i, strlen(text) - i), ==, whole);
    }
}

static void test_hardware_equals_portable(void)
{
    g_autofree uint8_t *buf = g_malloc(SIZE);

    if (!crc32c_has_hardware()) {
        g_test_skip("this processor has no CRC32C instruction");
        return;
    }
    for (int i = 0; i < SIZE; i++) {
        buf[i] = (uint8_t)g_test_rand_int();
    }
    for (int i = 0; i < 3000; i++) {
        int start = g_test_rand_int_range(0, SIZE);
        int bytes = g_test_rand_int_range(0, SIZE - start + 1);
        uint32_t crc = (uint32_t)g_test_rand_int();

        g_assert_cmphex(crc32c_hardware(crc, buf + start, bytes), ==,
                        crc32c_portable(crc, buf + start, bytes));
    }
}

static void test_speed(void)
{
    g_autofree uint8_t *buf = g_malloc0(SIZE);
    const int n = 20000;
    uint32_t crc = 0;
    double s;

    g_test_timer_start();
    for (int i = 0; i < n; i++) {
        crc = crc32c(crc, buf, SIZE);
    }
    s = g_test_timer_elapsed();
    g_test_maximized_result(n * (double)SIZE / s / GiB,
                            "%.1f GiB/s (%08x)", n * (double)SIZE / s / GiB,
                            crc);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crc32c/known", test_known_values);
    g_test_add_func("/crc32c/pieces", test_pieces_make_the_whole);
    g_test_add_func("/crc32c/hardware", test_hardware_equals_portable);
    if (g_test_perf()) {
        g_test_add_func("/crc32c/speed", test_speed);
    }
    return g_test_run();
}
