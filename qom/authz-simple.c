/*
 * authz-simple: one identity is let in
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/authz.h"

static bool authz_simple_init(Object *obj, const ObjectOptions *options,
                              GError **errp)
{
    return true;
}

bool authz_simple_check(Object *obj, const char *identity)
{
    return !strcmp(obj->options->u.authz_simple.identity, identity);
}

const ObjectTypeInfo authz_simple_type = {
    .type           = OBJECT_TYPE_AUTHZ_SIMPLE,
    .instance_size  = sizeof(Object),
    .init           = authz_simple_init,
};
