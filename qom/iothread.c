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

typedef struct IOThreadProperty {
    const char *name;
    size_t offset;
} IOThreadProperty;

static const IOThreadProperty iothread_properties[] = {
    { "poll-max-ns",    offsetof(IOThread, poll_max_ns) },
    { "poll-grow",      offsetof(IOThread, poll_grow) },
    { "poll-shrink",    offsetof(IOThread, poll_shrink) },
    { "aio-max-batch",  offsetof(IOThread, aio_max_batch) },
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

static bool iothread_check(const char *name, int64_t value, GError **errp)
{
    if (value < 0) {
        error_setg(errp, "%s value must be in range [0, %" PRId64 "]", name,
                   INT64_MAX);
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

    if (!field) {
        return false;
    }
    if (!json_is_integer(value)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: integer",
                   property);
        return false;
    }
    if (!iothread_check(property, json_integer_value(value), errp)) {
        return false;
    }
    *field = json_integer_value(value);
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
    return iothread_check("poll-max-ns", t->poll_max_ns, errp) &&
           iothread_check("poll-grow", t->poll_grow, errp) &&
           iothread_check("poll-shrink", t->poll_shrink, errp) &&
           iothread_check("aio-max-batch", t->aio_max_batch, errp);
}

const ObjectTypeInfo iothread_type = {
    .type           = OBJECT_TYPE_IOTHREAD,
    .instance_size  = sizeof(IOThread),
    .init           = iothread_init,
    .get            = iothread_get,
    .set            = iothread_set,
};
