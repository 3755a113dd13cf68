/*
 * The registry of what can be yanked
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/yank.h"

#include "util/aio.h"

typedef struct YankRegistry {
    TAILQ_HEAD(, YankEntry) entries;
} YankRegistry;

static void registry_init(AioContext *ctx, void *data)
{
    YankRegistry *reg = data;

    TAILQ_INIT(&reg->entries);
}

static const AioLocal registry_key = {
    .size = sizeof(YankRegistry),
    .init = registry_init,
};

static YankRegistry *registry(void)
{
    return aio_local_get(aio_get_current(), &registry_key);
}

void yank_register(YankEntry *entry)
{
    g_assert(entry->id && entry->func);
    TAILQ_INSERT_TAIL(&registry()->entries, entry, next);
}

void yank_unregister(YankEntry *entry)
{
    if (entry->func) {
        TAILQ_REMOVE(&registry()->entries, entry, next);
        entry->func = NULL;
    }
}

static bool same_name(const YankEntry *a, const YankEntry *b)
{
    return a->type == b->type && g_str_equal(a->id, b->id);
}

static bool is_first_of_name(YankRegistry *reg, const YankEntry *entry)
{
    YankEntry *e;

    TAILQ_FOREACH(e, &reg->entries, next) {
        if (same_name(e, entry)) {
            return e == entry;
        }
    }
    return false;
}

YankInstanceList *yank_query(void)
{
    YankRegistry *reg = registry();
    YankInstanceList *list = NULL, **tail = &list;
    YankEntry *e;

    TAILQ_FOREACH(e, &reg->entries, next) {
        YankInstance *instance;

        if (!is_first_of_name(reg, e)) {
            continue;
        }
        instance = g_new0(YankInstance, 1);
        instance->type = e->type;
        if (e->type == YANK_INSTANCE_TYPE_BLOCK_NODE) {
            instance->u.block_node.node_name = g_strdup(e->id);
        } else {
            instance->u.chardev.id = g_strdup(e->id);
        }
        *tail = g_new0(YankInstanceList, 1);
        (*tail)->value = instance;
        tail = &(*tail)->next;
    }
    return list;
}

static const char *instance_id(const YankInstance *instance)
{
    return instance->type == YANK_INSTANCE_TYPE_BLOCK_NODE
        ? instance->u.block_node.node_name : instance->u.chardev.id;
}

static bool names(const YankInstance *instance, const YankEntry *entry)
{
    return entry->type == instance->type &&
           g_str_equal(entry->id, instance_id(instance));
}

static bool instance_exists(YankRegistry *reg, const YankInstance *instance)
{
    YankEntry *e;

    TAILQ_FOREACH(e, &reg->entries, next) {
        if (names(instance, e)) {
            return true;
        }
    }
    return false;
}

/* Does not sleep. */
static void coroutine_fn yank_entry(void *opaque)
{
    const YankInstanceList *instances = opaque;
    YankRegistry *reg = registry();
    YankEntry *e;

    for (const YankInstanceList *l = instances; l; l = l->next) {
        TAILQ_FOREACH(e, &reg->entries, next) {
            if (names(l->value, e)) {
                e->func(e->opaque);
            }
        }
    }
}

bool yank_instances(const YankInstanceList *instances, GError **errp)
{
    YankRegistry *reg = registry();

    for (const YankInstanceList *l = instances; l; l = l->next) {
        if (!instance_exists(reg, l->value)) {
            error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                            "Instance not found: %s '%s'",
                            YankInstanceType_str(l->value->type),
                            instance_id(l->value));
            return false;
        }
    }
    /*
     * In a coroutine: whoever is woken runs when it is over, and may then
     * free entries.
     */
    if (coroutine_running()) {
        yank_entry((void *)instances);
    } else {
        coroutine_start(yank_entry, (void *)instances);
    }
    return true;
}
