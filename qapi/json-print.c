/*
 * JSON values to text
 *
 * Like json_dumps(), with QEMU's spacing, but without recursion: json_dumps()
 * takes more stack for a deep value than a coroutine has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/json-stream.h"

typedef struct PrintFrame {
    json_t *json;
    void *iter;                 /* objects: of the next member */
    size_t index;               /* arrays: of the next element */
} PrintFrame;

static void print_string(GString *out, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    size_t i, plain = 0;

    g_string_append_c(out, '"');
    for (i = 0; i < len; i++) {
        unsigned char c = text[i];
        const char *special = c ? strchr(from, c) : NULL;

        if (c >= 0x20 && !special) {
            continue;
        }
        g_string_append_len(out, text + plain, i - plain);
        plain = i + 1;
        if (special) {
            g_string_append_c(out, '\\');
            g_string_append_c(out, to[special - from]);
        } else {
            g_string_append(out, "\\u00");
            g_string_append_c(out, hex[c >> 4]);
            g_string_append_c(out, hex[c & 15]);
        }
    }
    g_string_append_len(out, text + plain, len - plain);
    g_string_append_c(out, '"');
}

static void print_real(GString *out, double val)
{
    char buf[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_dtostr(buf, sizeof(buf), val);
    g_string_append(out, buf);
    if (!strpbrk(buf, ".e")) {
        g_string_append(out, ".0");
    }
}

static void print_scalar(GString *out, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        print_string(out, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        g_string_append_printf(out, "%" JSON_INTEGER_FORMAT,
                               json_integer_value(json));
        break;
    case JSON_REAL:
        print_real(out, json_real_value(json));
        break;
    case JSON_TRUE:
        g_string_append(out, "true");
        break;
    case JSON_FALSE:
        g_string_append(out, "false");
        break;
    default:
        g_string_append(out, "null");
        break;
    }
}

/* Print what opens or makes up @json; containers get a frame. */
static void print_begin(GString *out, GArray *frames, json_t *json)
{
    PrintFrame f = { .json = json };

    if (json_is_object(json)) {
        g_string_append_c(out, '{');
        f.iter = json_object_iter(json);
        g_array_append_val(frames, f);
    } else if (json_is_array(json)) {
        g_string_append_c(out, '[');
        g_array_append_val(frames, f);
    } else {
        print_scalar(out, json);
    }
}

/* The next child of the innermost container, its key printed; or NULL. */
static json_t *print_step(GString *out, PrintFrame *f)
{
    json_t *child;

    if (json_is_array(f->json)) {
        child = json_array_get(f->json, f->index);
        if (child && f->index) {
            g_string_append(out, ", ");
        }
        f->index++;
        return child;
    }
    if (!f->iter) {
        return NULL;
    }
    if (f->index++) {
        g_string_append(out, ", ");
    }
    print_string(out, json_object_iter_key(f->iter),
                 strlen(json_object_iter_key(f->iter)));
    g_string_append(out, ": ");
    child = json_object_iter_value(f->iter);
    f->iter = json_object_iter_next(f->json, f->iter);
    return child;
}

char *json_print(const json_t *json, size_t *len)
{
    GString *out = g_string_new(NULL);
    g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(PrintFrame));

    print_begin(out, frames, (json_t *)json);
    while (frames->len) {
        PrintFrame *f = &g_array_index(frames, PrintFrame, frames->len - 1);
        json_t *child = print_step(out, f);

        if (child) {
            print_begin(out, frames, child);
        } else {
            g_string_append_c(out, json_is_object(f->json) ? '}' : ']');
            g_array_set_size(frames, frames->len - 1);
        }
    }
    if (len) {
        *len = out->len;
    }
    return g_string_free(out, FALSE);
}
