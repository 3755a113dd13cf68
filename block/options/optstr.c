/*
 * Flat "key=value,key,nokey" options, the language of -drive
 *
 * Keys are taken as they are: dots are looked at later, so that the options
 * of -drive itself (id, if, cache...) can be taken out first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include "block/keyval.h"

/* "key" is key=on, "nokey" key=off.  Returns the value, changes @key. */
static char *short_bool(char **key)
{
    if (g_str_has_prefix(*key, "no") && strlen(*key) > 2 &&
        !g_str_has_prefix(*key, "node")) {
        g_autofree char *old = *key;

        *key = g_strdup(old + 2);
        return g_strdup("off");
    }
    return g_strdup("on");
}

json_t *optstr_parse(const char *optstr, GError **errp)
{
    json_t *opts = json_object();
    const char *p = optstr;

    while (*p) {
        size_t len = strcspn(p, "=,");
        g_autofree char *key = g_strndup(p, len);
        g_autofree char *value = NULL;

        p += len;
        if (*p == '=') {
            p++;
            value = keyval_take_value(&p);
        } else if (len) {
            value = short_bool(&key);
        }
        if (!key[0] || !g_utf8_validate(key, -1, NULL)) {
            error_setg(errp, "Invalid parameter '%s'", key[0] ? "?" : "");
            goto fail;
        }
        if (json_object_set_new(opts, key, json_string(value)) < 0) {
            error_setg(errp, "Parameter '%s' is not valid UTF-8", key);
            goto fail;
        }
        if (*p == ',') {
            p++;
        }
    }
    return opts;

fail:
    json_decref(opts);
    return NULL;
}
