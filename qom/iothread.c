/*
 * iothread objects
 *
 * Command lines written for QEMU create them.  All nodes run in the main
 * loop, so the object only keeps its properties for queries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/iothread.h"

#include <jansson.h>

#define IOTHREAD_POLL_MAX_NS_DEFAULT 32768
#define IOTHREAD_POOL_MAX_DEFAULT 64

typedef struct IOThreadProperty {
    const char *name;
    size_t offset;
} IOThreadProperty;

static const IOThreadProperty iothread_properties[] = {
    { "poll-max-ns",    offsetof(IOThread, poll_max_ns) },
    { "poll-grow",      offsetof(IOThread, poll_grow) },
    { "poll-shrink",    offsetof(IOThread, poll_shrink) },
    { "aio-max-batch",  offsetof(IOThread, aio_max_batch) },
    { "thread-pool-min", offsetof(IOThread, thread_pool_min) },
    { "thread-pool-max", offsetof(IOThread, thread_pool_max) },
};

static int64_t *iothread_property(Object *obj, const char *name, GError **errp)
{
    for (size_t i = 0; i < ARRAY_SIZE(iothread_properties); i++) {
        if (!strcmp(iothread_properties[i].name, name)) {
            return (int64_t *)((char *)obj + iothread_properties[i].offset);
        }
    }
    object_error_no_property(obj, name, errp);
    return NULL;
}

/* Whether @t, all of it, is one that QEMU would take. */
static bool iothread_check(IOThread *t, GError **errp)
{
    for (size_t i = 0; i < ARRAY_SIZE(iothread_properties); i++) {
        const char *name = iothread_properties[i].name;

        if (*iothread_property(&t->obj, name, NULL) < 0) {
            error_setg(errp, "%s value must be in range [0, %" PRId64 "]",
                       name, INT64_MAX);
            return false;
        }
    }
    if (t->thread_pool_min > t->thread_pool_max || t->thread_pool_max == 0 ||
        t->thread_pool_max > INT_MAX) {
        error_setg(errp, "bad thread-pool-min/thread-pool-max values");
        return false;
    }
    return true;
}

static json_t *iothread_get(Object *obj, const char *property, GError **errp)
{
    int64_t *field = iothread_property(obj, property, errp);

    return field ? json_integer(*field) : NULL;
}

static bool iothread_set(Object *obj, const char *property, json_t *value,
                         GError **errp)
{
    int64_t *field = iothread_property(obj, property, errp);
    int64_t old;

    if (!field) {
        return false;
    }
    if (!json_is_integer(value)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: integer",
                   property);
        return false;
    }
    old = *field;
    *field = json_integer_value(value);
    if (!iothread_check(container_of(obj, IOThread, obj), errp)) {
        *field = old;
        return false;
    }
    return true;
}

static bool iothread_init(Object *obj, const ObjectOptions *options,
                          GError **errp)
{
    IOThread *t = container_of(obj, IOThread, obj);
    const IothreadProperties *props = &options->u.iothread;

    t->poll_max_ns = props->has_poll_max_ns ? props->poll_max_ns
                                            : IOTHREAD_POLL_MAX_NS_DEFAULT;
    t->poll_grow = props->poll_grow;
    t->poll_shrink = props->poll_shrink;
    t->aio_max_batch = props->aio_max_batch;
    t->thread_pool_min = props->thread_pool_min;
    t->thread_pool_max = props->has_thread_pool_max
        ? props->thread_pool_max : IOTHREAD_POOL_MAX_DEFAULT;
    return iothread_check(t, errp);
}

const ObjectTypeInfo iothread_type = {
    .type           = OBJECT_TYPE_IOTHREAD,
    .instance_size  = sizeof(IOThread),
    .init           = iothread_init,
    .get            = iothread_get,
    .set            = iothread_set,
};
