/*
 * Numbers and sizes as people write them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/size.h"

/* Log2 of what the suffix multiplies with; -1 if it is none. */
static int suffix_shift(char c)
{
    static const char suffixes[] = "bkmgtpe";
    const char *p = c ? strchr(suffixes, g_ascii_tolower(c)) : NULL;

    return p ? (int)(p - suffixes) * 10 : -1;
}

/*
 * The digits after the point, as a part of 2^@shift, rounded down.  Long
 * division by ten from the last digit up: exact for any number of digits
 * that matter.
 */
static uint64_t fraction_bytes(const char *digits, size_t n, int shift)
{
    double part = 0;
    size_t i;

    for (i = MIN(n, 18); i > 0; i--) {
        part = (part + (digits[i - 1] - '0')) / 10;
    }
    return (uint64_t)(part * (double)(UINT64_C(1) << shift) + 0.5);
}

bool size_parse(const char *text, uint64_t *bytes)
{
    const char *end, *frac = NULL;
    size_t n_frac = 0;
    uint64_t val, extra = 0;
    int shift = 0;

    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    if (text[0] == '0' && g_ascii_tolower(text[1]) == 'x') {
        return uint64_parse(text, bytes);
    }
    errno = 0;
    val = g_ascii_strtoull(text, (char **)&end, 10);
    if (errno) {
        return false;
    }
    if (*end == '.') {
        frac = ++end;
        n_frac = strspn(end, "0123456789");
        end += n_frac;
        if (!n_frac || !*end) {
            return false;
        }
    }
    if (*end) {
        shift = suffix_shift(*end);
        if (shift < 0 || end[1]) {
            return false;
        }
    }
    if (frac) {
        extra = fraction_bytes(frac, n_frac, shift);
    }
    if (val > (UINT64_MAX >> shift) ||
        (val << shift) > UINT64_MAX - extra) {
        return false;
    }
    *bytes = (val << shift) + extra;
    return true;
}

bool int64_parse(const char *text, int64_t *val)
{
    char *end;

    if (!*text || g_ascii_isspace(*text)) {
        return false;
    }
    errno = 0;
    *val = g_ascii_strtoll(text, &end, 0);
    return !errno && end != text && !*end;
}

bool uint64_parse(const char *text, uint64_t *val)
{
    char *end;

    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    *val = g_ascii_strtoull(text, &end, 0);
    return !errno && end != text && !*end;
}

bool bool_parse(const char *text, bool *val)
{
    static const char *const words[2][4] = {
        { "off", "no", "false", "n" },
        { "on", "yes", "true", "y" },
    };
    size_t i;

    for (i = 0; i < 8; i++) {
        if (!strcmp(text, words[i & 1][i / 2])) {
            *val = i & 1;
            return true;
        }
    }
    return false;
}

char *size_format(uint64_t bytes)
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
