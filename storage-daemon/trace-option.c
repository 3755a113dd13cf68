/*
 * -trace [[enable=]PATTERN][,events=FILE][,file=FILE]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/keyval.h"
#include "util/log.h"
#include "util/trace.h"

static void print_name(const char *name, void *opaque)
{
    printf("%s\n", name);
}

/* Lines are patterns; "-PATTERN" turns off; empty ones and #... nothing. */
static bool enable_from_file(const char *path, GError **errp)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint i;

    if (!g_file_get_contents(path, &text, NULL, errp)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        bool enable = line[0] != '-';

        if (line[0] && line[0] != '#' &&
            !trace_enable(line + !enable, enable, errp)) {
            return false;
        }
    }
    return true;
}

static bool apply(const char *key, const char *value, GError **errp)
{
    if (g_str_equal(key, "enable")) {
        return trace_enable(value, true, errp);
    }
    if (g_str_equal(key, "events")) {
        return enable_from_file(value, errp);
    }
    if (g_str_equal(key, "file")) {
        return log_set_file(value, errp);
    }
    error_setg(errp, "Invalid parameter '%s', expected enable, events or "
               "file", key);
    return false;
}

bool trace_option_apply(const char *arg, GError **errp)
{
    bool help = false, ok = true;
    json_t *opts = keyval_parse(arg, "enable", &help, errp);
    const char *key;
    json_t *value;

    if (!opts) {
        return false;
    }
    if (help) {
        trace_foreach(print_name, NULL);
        json_decref(opts);
        exit(0);
    }
    json_object_foreach(opts, key, value) {
        if (!json_is_string(value)) {
            error_setg(errp, "Invalid parameter '%s.'", key);
            ok = false;
        } else {
            ok = apply(key, json_string_value(value), errp);
        }
        if (!ok) {
            break;
        }
    }
    json_decref(opts);
    return ok;
}
