/*
 * -object: its argument, and what of it may be shown
 *
 * Errors repeat what the user gave, and end in logs that others read.  The
 * data of a secret is not repeated, nor is what stands behind it: after a
 * comma in the wrong place that is the rest of the data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/keyval.h"
#include "qapi/qapi-visit-qom.h"
#include "qom/object.h"

/* The start of the value of data=, NULL if there is none. */
static const char *find_data(const char *arg)
{
    const char *p = arg;

    while (*p) {
        size_t len = strcspn(p, "=,");

        if (p[len] == '=' && len == strlen("data") &&
            strncmp(p, "data", len) == 0) {
            return p + len + 1;
        }
        p += len;
        if (*p == '=') {
            g_free(keyval_take_value(&p));
        }
        p += *p == ',';
    }
    return NULL;
}

char *object_option_echo(const char *arg)
{
    const char *data;

    if (arg[0] == '{') {
        /* Members' names may be escaped: no JSON is looked into. */
        return g_strdup("{...}");
    }
    data = find_data(arg);
    return data ? g_strdup_printf("%.*s***", (int)(data - arg), arg)
                : g_strdup(arg);
}

bool coroutine_fn object_option_apply(const char *arg, GError **errp)
{
    g_autoptr(ObjectOptions) options = NULL;
    g_autoptr(GError) err = NULL;
    bool is_json;
    json_t *tree = keyval_or_json_parse(arg, "qom-type", &is_json, NULL,
                                        &err);

    if (!tree) {
        if (is_json || find_data(arg)) {
            error_setg(errp, "invalid syntax; a comma in a value must be "
                       "written twice, unless it is JSON");
        } else {
            g_propagate_error(errp, g_steal_pointer(&err));
        }
        return false;
    }
    options = is_json ? qapi_ObjectOptions_from_json(tree, errp)
                      : qapi_ObjectOptions_from_keyval(tree, errp);
    json_decref(tree);
    return options && object_add(options, errp);
}
