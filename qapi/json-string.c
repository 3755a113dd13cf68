/*
 * The meaning of JSON string tokens
 *
 * Escapes become shorter when they are replaced, so this works in place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "json-string.h"

/* The four hexadecimal digits at @p; -1 if they are none. */
static int hex4(const char *p)
{
    int i, val = 0;

    for (i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(p[i]);

        if (digit < 0) {
            return -1;
        }
        val = val << 4 | digit;
    }
    return val;
}

/*
 * *@in is behind "\u".  Surrogates come in pairs; NUL would end the string
 * for everybody who reads it in C.
 */
static bool unescape_unicode(const char **in, char **out, GError **errp)
{
    const char *start = *in;
    int low, code = hex4(start);

    if (code < 0) {
        error_setg(errp, "JSON parse error, invalid hex escape '\\u%.4s' in "
                   "string", g_utf8_validate(start, -1, NULL) ? start : "");
        return false;
    }
    *in += 4;
    if (code >= 0xd800 && code < 0xdc00 && (*in)[0] == '\\' &&
        (*in)[1] == 'u') {
        low = hex4(*in + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
            *in += 6;
        }
    }
    if (!code || (code >= 0xd800 && code < 0xe000)) {
        error_setg(errp, "JSON parse error, \\u%.4s is not a valid Unicode "
                   "character", start);
        return false;
    }
    *out += g_unichar_to_utf8(code, *out);
    return true;
}

static bool unescape_one(const char **in, char **out, GError **errp)
{
    static const char from[] = "\"\\/'bfnrt";
    static const char to[] = "\"\\/'\b\f\n\r\t";
    char c = *(*in)++;
    const char *p = c ? strchr(from, c) : NULL;

    if (p) {
        *(*out)++ = to[p - from];
        return true;
    }
    if (c == 'u') {
        return unescape_unicode(in, out, errp);
    }
    if (g_ascii_isprint(c)) {
        error_setg(errp, "JSON parse error, invalid escape sequence '\\%c' "
                   "in string", c);
    } else {
        error_setg(errp, "JSON parse error, invalid escape sequence in "
                   "string");
    }
    return false;
}

bool json_unescape(GString *text, GError **errp)
{
    const char *in, *end = text->str + text->len;
    char *out;

    if (!g_utf8_validate_len(text->str, text->len, NULL)) {
        error_setg(errp, "JSON parse error, invalid UTF-8 sequence in "
                   "string");
        return false;
    }
    in = memchr(text->str, '\\', text->len);
    if (!in) {
        return true;
    }
    out = text->str + (in - text->str);
    while (in < end) {
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        in++;
        if (!unescape_one(&in, &out, errp)) {
            return false;
        }
    }
    g_string_truncate(text, out - text->str);
    return true;
}
