/*
 * Numbers and sizes as text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/cutils.h"

#include <math.h>

/* strtol() skips white space and takes signs for unsigned numbers, too. */
static bool begins_number(const char *text, bool allow_sign)
{
    if (allow_sign && (*text == '-' || *text == '+')) {
        text++;
    }
    return g_ascii_isxdigit(*text);
}

int parse_int64(const char *text, int base, int64_t *result)
{
    char *end;
    long long value;

    if (!begins_number(text, true)) {
        return -EINVAL;
    }
    errno = 0;
    value = strtoll(text, &end, base);
    if (end == text || *end) {
        return -EINVAL;
    }
    if (errno) {
        return -errno;
    }
    *result = value;
    return 0;
}

int parse_uint64(const char *text, int base, uint64_t *result)
{
    char *end;
    unsigned long long value;

    if (!begins_number(text, false)) {
        return -EINVAL;
    }
    errno = 0;
    value = strtoull(text, &end, base);
    if (end == text || *end) {
        return -EINVAL;
    }
    if (errno) {
        return -errno;
    }
    *result = value;
    return 0;
}

/* The shift that @suffix stands for, or -1. */
static int suffix_shift(char suffix)
{
    static const char suffixes[] = "BKMGTPE";
    const char *p = strchr(suffixes, g_ascii_toupper(suffix));

    return suffix && p ? (int)(p - suffixes) * 10 : -1;
}

/* Read ".DIGITS" at *@p as a number below 1. */
static double read_fraction(const char **p)
{
    double fraction = 0;
    double weight = 0.1;

    for (++*p; g_ascii_isdigit(**p); ++*p, weight /= 10) {
        fraction += (**p - '0') * weight;
    }
    return fraction;
}

int parse_size(const char *text, uint64_t *result)
{
    const char *p = text;
    unsigned long long whole;
    double fraction = 0;
    uint64_t part;
    char *end;
    int shift = 0;

    if (text[0] == '0' && g_ascii_toupper(text[1]) == 'X') {
        return parse_uint64(text, 16, result);
    }
    if (!g_ascii_isdigit(*p)) {
        return -EINVAL;
    }
    errno = 0;
    whole = strtoull(p, &end, 10);
    if (errno) {
        return -errno;
    }
    p = end;
    if (*p == '.') {
        if (!g_ascii_isdigit(p[1])) {
            return -EINVAL;
        }
        fraction = read_fraction(&p);
    }
    if (*p) {
        shift = suffix_shift(*p++);
    }
    if (shift < 0 || *p || (shift == 0 && fraction > 0)) {
        return -EINVAL;
    }
    part = (uint64_t)ldexp(fraction, shift);
    if (whole > UINT64_MAX >> shift ||
        part > UINT64_MAX - ((uint64_t)whole << shift)) {
        return -ERANGE;
    }
    *result = ((uint64_t)whole << shift) + part;
    return 0;
}

int parse_bool(const char *text, bool *result)
{
    static const char *const names[][2] = {
        { "off", "on" }, { "no", "yes" }, { "false", "true" }, { "n", "y" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (int value = 0; value < 2; value++) {
            if (!strcmp(text, names[i][value])) {
                *result = value;
                return 0;
            }
        }
    }
    return -EINVAL;
}

char *format_size(uint64_t bytes)
{
    static const char *const units[] = {
        "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    };
    double value = (double)bytes;
    size_t unit = 0;

    /* 999.5 would be printed as 1e+03. */
    while (value >= 999.5 && unit < ARRAY_SIZE(units) - 1) {
        value /= 1024;
        unit++;
    }
    return g_strdup_printf("%0.3g %sB", value, units[unit]);
}
