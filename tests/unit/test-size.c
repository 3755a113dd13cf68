/*
 * Unit tests of numbers and sizes as people write them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/size.h"

static void test_sizes(void)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "512", true, 512 },
        { "1B", true, 1 },
        { "64k", true, 64 * KiB },
        { "64K", true, 64 * KiB },
        { "1.5G", true, 3 * GiB / 2 },
        { "0.1M", true, 104858 },
        { "0x1000", true, 4096 },
        { "8388607T", true, UINT64_C(8388607) << 40 },
        { "15E", true, UINT64_C(15) << 60 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "16E", false, 0 },
        { "15.99999999999999999999E", false, 0 },
        { "", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { "k", false, 0 },
        { "1kk", false, 0 },
        { "1x", false, 0 },
        { "1.", false, 0 },
        { "1.k", false, 0 },
        { "1.5", false, 0 },
        { "0x", false, 0 },
        { "0x1k", false, 0 },
        { "1e3", false, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value;

        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(size_parse(cases[i].text, &value), ==, cases[i].ok);
        if (cases[i].ok) {
            g_assert_cmpuint(value, ==, cases[i].value);
        }
    }
}

static void test_integers(void)
{
    int64_t i;
    uint64_t u;

    g_assert_true(int64_parse("-12", &i));
    g_assert_cmpint(i, ==, -12);
    g_assert_true(int64_parse("0x10", &i));
    g_assert_cmpint(i, ==, 16);
    g_assert_false(int64_parse("9223372036854775808", &i));
    g_assert_false(int64_parse("- 1", &i));
    g_assert_false(int64_parse(" 1", &i));
    g_assert_false(int64_parse("1a", &i));
    g_assert_false(int64_parse("", &i));

    g_assert_true(uint64_parse("18446744073709551615", &u));
    g_assert_cmpuint(u, ==, UINT64_MAX);
    g_assert_false(uint64_parse("-1", &u));
    g_assert_false(uint64_parse(" 1", &u));
    g_assert_false(uint64_parse("0x", &u));
}

static void test_booleans(void)
{
    bool value = false;

    g_assert_true(bool_parse("on", &value));
    g_assert_true(value);
    g_assert_true(bool_parse("no", &value));
    g_assert_false(value);
    g_assert_false(bool_parse("On", &value));
    g_assert_false(bool_parse("", &value));
}

static void check_format(uint64_t bytes, const char *expected)
{
    g_autofree char *text = size_format(bytes);

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
    g_test_add_func("/size/size", test_sizes);
    g_test_add_func("/size/integer", test_integers);
    g_test_add_func("/size/bool", test_booleans);
    g_test_add_func("/size/format", test_formatting);
    return g_test_run();
}
