/*
 * Fuzz target: the bytes that a QMP client may send
 *
 * They arrive in two pieces.  Each value that comes out is printed and read
 * again: it must be the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "qapi/json-stream.h"

static void check_value(json_t *value)
{
    g_autofree char *text = NULL;
    size_t len;
    json_t *again;

    text = json_print(value, &len);
    again = json_parse(text, len, NULL);
    g_assert_nonnull(again);
    g_assert_true(json_equal(value, again));
    json_decref(again);
}

static void take(json_t *value, GError *err)
{
    g_assert_false(value && err);
    if (value) {
        check_value(value);
        json_decref(value);
    }
    g_clear_error(&err);
}

static void feed(JsonStream *js, const char *buf, size_t len)
{
    while (len > 0) {
        json_t *value = NULL;
        GError *err = NULL;
        size_t used = json_stream_feed(js, buf, len, &value, &err);

        g_assert_cmpuint(used, <=, len);
        g_assert_true(used == len || value || err);
        take(value, err);
        buf += used;
        len -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(JsonStream) js = json_stream_new();
    size_t first = fuzz_byte(&data, &size);
    json_t *value = NULL;
    GError *err = NULL;

    first = MIN(first, size);
    feed(js, (const char *)data, first);
    feed(js, (const char *)data + first, size - first);
    json_stream_finish(js, &value, &err);
    take(value, err);
    g_assert_false(json_stream_in_value(js));
    return 0;
}
