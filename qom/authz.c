/*
 * Authorization by the id of an object
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/authz.h"

#include "util/trace.h"

typedef struct AuthzKind {
    const ObjectTypeInfo *info;
    bool (*check)(Object *obj, const char *identity);
} AuthzKind;

static const AuthzKind authz_kinds[] = {
    { &authz_list_type,         authz_list_check },
    { &authz_list_file_type,    authz_list_file_check },
    { &authz_simple_type,       authz_simple_check },
};

bool authz_is_allowed(const char *id, const char *identity, bool *allowed,
                      GError **errp)
{
    Object *obj = object_lookup(id);

    if (!obj) {
        error_setg(errp, "Cannot find QAuthZ object ID %s", id);
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(authz_kinds); i++) {
        if (authz_kinds[i].info == obj->info) {
            *allowed = authz_kinds[i].check(obj, identity);
            trace_event(authz_is_allowed, "object %s identity '%s' %s", id,
                        identity, *allowed ? "allowed" : "denied");
            return true;
        }
    }
    error_setg(errp, "Object '%s' is not a QAuthZ subclass", id);
    return false;
}
