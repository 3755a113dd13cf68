/*
 * QMP: objects, their properties, iothreads
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/qapi-commands-qom.h"

#include "qapi/qapi-commands-misc.h"
#include "qom/iothread.h"

void coroutine_fn qmp_object_add(ObjectOptions *options, GError **errp)
{
    object_add(options, errp);
}

void coroutine_fn qmp_object_del(const char *id, GError **errp)
{
    object_del(id, errp);
}

json_t *coroutine_fn qmp_qom_get(const char *path, const char *property,
                                 GError **errp)
{
    Object *obj = object_resolve_path(path, errp);

    return obj ? object_property_get(obj, property, errp) : NULL;
}

void coroutine_fn qmp_qom_set(const char *path, const char *property,
                              json_t *value, GError **errp)
{
    Object *obj = object_resolve_path(path, errp);

    if (obj) {
        object_property_set(obj, property, value, errp);
    }
}

/* Listing */

static void add_property(const char *name, const char *type, void *opaque)
{
    ObjectPropertyInfoList ***tail = opaque;
    ObjectPropertyInfoList *item = g_new0(ObjectPropertyInfoList, 1);

    item->value = g_new0(ObjectPropertyInfo, 1);
    item->value->name = g_strdup(name);
    item->value->type = g_strdup(type);
    **tail = item;
    *tail = &item->next;
}

static void add_child(Object *obj, void *opaque)
{
    g_autofree char *type = g_strdup_printf(
        "child<%s>", ObjectType_str(obj->info->type));

    add_property(obj->id, type, opaque);
}

ObjectPropertyInfoList *coroutine_fn qmp_qom_list(const char *path,
                                                  GError **errp)
{
    ObjectPropertyInfoList *list = NULL, **tail = &list;
    Object *obj;

    if (g_str_equal(path, "/")) {
        add_property("type", "string", &tail);
        add_property("objects", "child<container>", &tail);
        return list;
    }
    if (g_str_equal(path, "/objects") || g_str_equal(path, "/objects/")) {
        add_property("type", "string", &tail);
        object_foreach(add_child, &tail);
        return list;
    }
    obj = object_resolve_path(path, errp);
    if (obj) {
        add_property("type", "string", &tail);
        object_type_foreach_option(obj->info->type, add_property, &tail);
    }
    return list;
}

static void add_iothread(Object *obj, void *opaque)
{
    IOThreadInfoList **list = opaque;
    IOThread *iothread;
    IOThreadInfo *info;

    if (obj->info->type != OBJECT_TYPE_IOTHREAD) {
        return;
    }
    iothread = container_of(obj, IOThread, obj);
    info = g_new0(IOThreadInfo, 1);
    info->id = g_strdup(obj->id);
    info->thread_id = getpid();
    info->poll_max_ns = iothread->poll_max_ns;
    info->poll_grow = iothread->poll_grow;
    info->poll_shrink = iothread->poll_shrink;
    info->aio_max_batch = iothread->aio_max_batch;
    QAPI_LIST_PREPEND(*list, info);
}

/* They have no threads of their own: everything runs in the one. */
IOThreadInfoList *coroutine_fn qmp_query_iothreads(GError **errp)
{
    IOThreadInfoList *list = NULL;

    object_foreach(add_iothread, &list);
    return list;
}
