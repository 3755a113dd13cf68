/*
 * Unit tests of numbers and sizes as text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/cutils.h"

static void test_sizes(void)
{
    static const struct {
        const char *text;
        int ret;
        uint64_t value;
    } cases[] = {
        { "0", 0, 0 },
        { "512", 0, 512 },
        { "1B", 0, 1 },
        { "64k", 0, 64 * KiB },
        { "64K", 0, 64 * KiB },
        { "1.5G", 0, 3 * GiB / 2 },
        { "0.1M", 0, 104857 },
        { "0x1000", 0, 4096 },
        { "8388607T", 0, UINT64_C(8388607) << 40 },
        { "15E", 0, UINT64_C(15) << 60 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "16E", -ERANGE, 0 },
        { "15.99999999999999999999E", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { "k", -EINVAL, 0 },
        { "1kk", -EINVAL, 0 },
        { "1x", -EINVAL, 0 },
        { "1.", -EINVAL, 0 },
        { "1.k", -EINVAL, 0 },
        { "1.5", -EINVAL, 0 },
        { "0x", -EINVAL, 0 },
        { "0x1k", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 99;

        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(parse_size(cases[i].text, &value), ==, cases[i].ret);
        g_assert_cmpuint(value, ==, cases[i].ret ? 99 : cases[i].value);
    }
}

static void test_integers(void)
{
    int64_t i = 7;
    uint64_t u = 7;

    g_assert_cmpint(parse_int64("-12", 10, &i), ==, 0);
    g_assert_cmpint(i, ==, -12);
    g_assert_cmpint(parse_int64("0x10", 0, &i), ==, 0);
    g_assert_cmpint(i, ==, 16);
    g_assert_cmpint(parse_int64("9223372036854775808", 10, &i), ==, -ERANGE);
    g_assert_cmpint(parse_int64("- 1", 10, &i), ==, -EINVAL);
    g_assert_cmpint(parse_int64("1a", 10, &i), ==, -EINVAL);
    g_assert_cmpint(parse_int64("", 10, &i), ==, -EINVAL);
    g_assert_cmpint(i, ==, 16);

    g_assert_cmpint(parse_uint64("18446744073709551615", 10, &u), ==, 0);
    g_assert_cmpuint(u, ==, UINT64_MAX);
    g_assert_cmpint(parse_uint64("-1", 10, &u), ==, -EINVAL);
    g_assert_cmpint(parse_uint64(" 1", 10, &u), ==, -EINVAL);
}

static void test_booleans(void)
{
    bool value = false;

    g_assert_cmpint(parse_bool("on", &value), ==, 0);
    g_assert_true(value);
    g_assert_cmpint(parse_bool("no", &value), ==, 0);
    g_assert_false(value);
    g_assert_cmpint(parse_bool("On", &value), ==, -EINVAL);
    g_assert_cmpint(parse_bool("", &value), ==, -EINVAL);
}

static void check_format(uint64_t bytes, const char *expected)
{
    g_autofree char *text = format_size(bytes);

    g_assert_cmpstr(text, ==, expected);
}

static void test_formatting(void)
{
    check_format(0, "0 B");
    check_format(512, "512 B");
    check_format(1023, "0.999 KiB");
    check_format(64 * KiB, "64 KiB");
    check_format(3 * GiB / 2, "1.5 GiB");
    check_format(UINT64_MAX, "16 EiB");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cutils/size", test_sizes);
    g_test_add_func("/cutils/integer", test_integers);
    g_test_add_func("/cutils/bool", test_booleans);
    g_test_add_func("/cutils/format", test_formatting);
    return g_test_run();
}
