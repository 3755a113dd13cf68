/*
 * User-creatable objects by id
 *
 * The name table exists once per AioContext.  It holds a reference to each
 * object; object-del works only while that is the only one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/object.h"

#include <jansson.h>

#include "qapi/qapi-visit-qom.h"
#include "util/aio.h"

/* In order of creation, since later objects may use earlier ones. */
typedef struct ObjectTable {
    GPtrArray *objects;
} ObjectTable;

/* Pure tables, complete before the first object is made. */
static const ObjectTypeInfo *object_types[OBJECT_TYPE__MAX];

static void object_table_init(AioContext *ctx, void *data)
{
    ObjectTable *table = data;

    table->objects = g_ptr_array_new();
}

static void object_table_fini(AioContext *ctx, void *data)
{
    ObjectTable *table = data;

    while (table->objects->len) {
        Object *obj = g_ptr_array_index(table->objects,
                                        table->objects->len - 1);

        g_ptr_array_set_size(table->objects, table->objects->len - 1);
        object_unref(obj);
    }
    g_ptr_array_free(table->objects, true);
}

static GPtrArray *object_table(void)
{
    static const AioLocal key = {
        .size = sizeof(ObjectTable),
        .init = object_table_init,
        .fini = object_table_fini,
    };
    ObjectTable *table = aio_local_get(aio_get_current(), &key);

    return table->objects;
}

void object_register_types(const ObjectTypeInfo *const *types)
{
    for (; *types; types++) {
        object_types[(*types)->type] = *types;
    }
}

void object_ref(Object *obj)
{
    obj->refcnt++;
}

void object_unref(Object *obj)
{
    if (!obj) {
        return;
    }
    g_assert(obj->refcnt > 0);
    if (--obj->refcnt == 0) {
        if (obj->info->finalize) {
            obj->info->finalize(obj);
        }
        qapi_free_ObjectOptions(obj->options);
        g_free(obj->id);
        g_free(obj);
    }
}

Object *object_lookup(const char *id)
{
    GPtrArray *objects = object_table();

    for (guint i = 0; i < objects->len; i++) {
        Object *obj = g_ptr_array_index(objects, i);

        if (!strcmp(obj->id, id)) {
            return obj;
        }
    }
    return NULL;
}

Object *object_resolve_path(const char *path, GError **errp)
{
    const char *id = path;
    Object *obj;

    if (g_str_has_prefix(path, "/objects/")) {
        id += strlen("/objects/");
    }
    obj = object_lookup(id);
    if (!obj) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                        "Device '%s' not found", path);
    }
    return obj;
}

void object_foreach(void (*cb)(Object *obj, void *opaque), void *opaque)
{
    GPtrArray *objects = object_table();

    for (guint i = 0; i < objects->len; i++) {
        cb(g_ptr_array_index(objects, i), opaque);
    }
}

bool object_id_wellformed(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    for (; *id; id++) {
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

bool object_add(const ObjectOptions *options, GError **errp)
{
    const ObjectTypeInfo *info = object_types[options->qom_type];
    Object *obj;

    if (!object_id_wellformed(options->id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        return false;
    }
    if (object_lookup(options->id)) {
        error_setg(errp, "attempt to add duplicate property '%s' to object "
                   "(type 'container')", options->id);
        return false;
    }
    if (!info) {
        error_setg(errp, "object type '%s' is not supported by this program",
                   ObjectType_str(options->qom_type));
        return false;
    }

    obj = g_malloc0(info->instance_size);
    obj->info = info;
    obj->id = g_strdup(options->id);
    obj->refcnt = 1;
    obj->options = QAPI_CLONE(ObjectOptions, options);
    if (!info->init(obj, options, errp)) {
        object_unref(obj);
        return false;
    }
    g_ptr_array_add(object_table(), obj);
    return true;
}

bool object_del(const char *id, GError **errp)
{
    Object *obj = object_lookup(id);

    if (!obj) {
        error_setg(errp, "object '%s' not found", id);
        return false;
    }
    if (obj->refcnt > 1) {
        error_setg(errp, "object '%s' is in use, can not be deleted", id);
        return false;
    }
    g_ptr_array_remove(object_table(), obj);
    object_unref(obj);
    return true;
}

/* Properties */

void object_error_no_property(Object *obj, const char *property,
                              GError **errp)
{
    error_setg(errp, "Property '%s.%s' not found",
               ObjectType_str(obj->info->type), property);
}

json_t *object_property_get(Object *obj, const char *property, GError **errp)
{
    json_t *all, *value;

    if (!strcmp(property, "type")) {
        return json_string(ObjectType_str(obj->info->type));
    }
    if (obj->info->get) {
        return obj->info->get(obj, property, errp);
    }
    all = qapi_ObjectOptions_to_json(obj->options);
    value = json_incref(json_object_get(all, property));
    json_decref(all);
    if (!value || !strcmp(property, "id") || !strcmp(property, "qom-type")) {
        json_decref(value);
        object_error_no_property(obj, property, errp);
        return NULL;
    }
    return value;
}

bool object_property_set(Object *obj, const char *property, json_t *value,
                         GError **errp)
{
    json_t *old;

    if (obj->info->set && strcmp(property, "type")) {
        return obj->info->set(obj, property, value, errp);
    }
    old = object_property_get(obj, property, errp);
    if (!old) {
        return false;
    }
    json_decref(old);
    error_setg(errp, "Property '%s.%s' is not writable",
               ObjectType_str(obj->info->type), property);
    return false;
}
