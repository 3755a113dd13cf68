/*
 * Enum values by name and names by value
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/builtin.h"

const char *qapi_enum_str(const QapiEnumLookup *lookup, int val)
{
    g_assert(val >= 0 && val < lookup->size);
    return lookup->names[val];
}

char *qapi_enum_names(const QapiEnumLookup *lookup)
{
    GString *s = g_string_new(NULL);
    int i;

    for (i = 0; i < lookup->size; i++) {
        g_string_append(s, i ? ", " : "");
        g_string_append(s, lookup->names[i]);
    }
    return g_string_free(s, FALSE);
}

int qapi_enum_parse(const QapiEnumLookup *lookup, const char *name,
                    GError **errp)
{
    g_autofree char *names = NULL;
    int i;

    for (i = 0; i < lookup->size; i++) {
        if (!strcmp(lookup->names[i], name)) {
            return i;
        }
    }
    names = qapi_enum_names(lookup);
    error_setg(errp, "invalid parameter value: %s (accepts: %s)", name,
               names);
    return -1;
}
