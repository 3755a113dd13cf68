/*
 * Which options the types of objects have
 *
 * The schema knows: they are the branches of ObjectOptions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/object.h"

#include <jansson.h>

#include "qapi/dispatch.h"

/* The entry of the schema called @name, borrowed. */
static json_t *find_entry(json_t *schema, const char *name)
{
    size_t i;
    json_t *entry;

    json_array_foreach(schema, i, entry) {
        if (!strcmp(json_string_value(json_object_get(entry, "name")), name)) {
            return entry;
        }
    }
    return NULL;
}

/* The struct of @type's options, borrowed; NULL if it has none. */
static json_t *find_options(json_t *schema, ObjectType type)
{
    json_t *all = find_entry(schema, "ObjectOptions");
    size_t i;
    json_t *variant;

    json_array_foreach(json_object_get(all, "variants"), i, variant) {
        const char *name = json_string_value(json_object_get(variant, "case"));

        if (!strcmp(name, ObjectType_str(type))) {
            return find_entry(schema, json_string_value(
                                  json_object_get(variant, "type")));
        }
    }
    return NULL;
}

void object_type_foreach_option(ObjectType type,
                                void (*cb)(const char *name, const char *type,
                                           void *opaque), void *opaque)
{
    json_t *schema = qapi_introspect();
    json_t *options = find_options(schema, type);
    size_t i;
    json_t *member;

    json_array_foreach(json_object_get(options, "members"), i, member) {
        const char *name = json_string_value(json_object_get(member, "name"));
        const char *kind = json_string_value(json_object_get(member, "type"));

        cb(name, strcmp(kind, "str") ? kind : "string", opaque);
    }
    json_decref(schema);
}
