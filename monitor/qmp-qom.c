/*
 * QMP: objects and their properties
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/qapi-commands-qom.h"

#include "qom/object.h"

#define OBJECTS_PREFIX "/objects/"

void coroutine_fn qmp_object_add(ObjectOptions *options, GError **errp)
{
    object_add(options, errp);
}

void coroutine_fn qmp_object_del(const char *id, GError **errp)
{
    object_del(id, errp);
}

/* "/objects/ID", or ID alone. */
static Object *find_object(const char *path, GError **errp)
{
    const char *id = path;
    Object *obj;

    if (g_str_has_prefix(path, OBJECTS_PREFIX)) {
        id += strlen(OBJECTS_PREFIX);
    }
    obj = object_lookup(id);
    if (!obj) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                        "Device '%s' not found", path);
    }
    return obj;
}

json_t *coroutine_fn qmp_qom_get(const char *path, const char *property, GError **errp)
{
    Object *obj = find_object(path, errp);

    if (!obj) {
        return NULL;
    }
    if (g_str_equal(property, "type")) {
        return json_string(ObjectType_str(obj->info->type));
    }
    if (!obj->info->get) {
        error_setg(errp, "Property '%s.%s' not found",
                   ObjectType_str(obj->info->type), property);
        return NULL;
    }
    return obj->info->get(obj, property, errp);
}

void coroutine_fn qmp_qom_set(const char *path, const char *property, json_t *value,
                              GError **errp)
{
    Object *obj = find_object(path, errp);

    if (!obj) {
        return;
    }
    if (!obj->info->set) {
        error_setg(errp, "Property '%s.%s' is not writable",
                   ObjectType_str(obj->info->type), property);
        return;
    }
    obj->info->set(obj, property, value, errp);
}
