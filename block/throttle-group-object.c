/*
 * throttle-group objects
 *
 * Make a throttle group that nodes and drives join by its id.  The limits
 * are in the property "limits"; each is there as "x-NAME" too, as QEMU's
 * command line spells them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <jansson.h>

#include "block/throttle-group.h"
#include "block/throttle-group-int.h"
#include "qapi/qapi-visit-block-core.h"
#include "qapi/qapi-visit-qom.h"

typedef struct ThrottleGroupObject {
    Object obj;
    ThrottleGroup *group;
} ThrottleGroupObject;

/* Take those members of @json, which are limits, into @cfg and check it. */
static bool apply_json(ThrottleConfig *cfg, json_t *json, GError **errp)
{
    g_autoptr(ThrottleLimits) limits = qapi_ThrottleLimits_from_json(json,
                                                                     errp);

    if (!limits) {
        return false;
    }
    throttle_config_apply(cfg, limits);
    return throttle_config_check(cfg, errp);
}

/* The limits among the options: in "limits", and as x-NAME. */
static json_t *options_to_limits(const ThrottleGroupProperties *opts)
{
    json_t *props = qapi_ThrottleGroupProperties_to_json(opts);
    json_t *limits = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(props, key, value) {
        if (g_str_has_prefix(key, "x-")) {
            json_object_set(limits, key + 2, value);
        }
    }
    json_object_update(limits, json_object_get(props, "limits"));
    json_decref(props);
    return limits;
}

static bool throttle_group_init(Object *obj, const ObjectOptions *options,
                                GError **errp)
{
    ThrottleGroupObject *tgo = container_of(obj, ThrottleGroupObject, obj);
    json_t *limits = options_to_limits(&options->u.throttle_group);
    ThrottleConfig cfg;
    bool ok;

    throttle_config_init(&cfg);
    ok = apply_json(&cfg, limits, errp);
    json_decref(limits);
    if (!ok) {
        return false;
    }
    if (throttle_group_exists(options->id)) {
        error_setg(errp, "A group with this name already exists");
        return false;
    }
    tgo->group = throttle_group_new(options->id, obj, &cfg);
    return true;
}

static void throttle_group_finalize(Object *obj)
{
    ThrottleGroupObject *tgo = container_of(obj, ThrottleGroupObject, obj);

    if (tgo->group) {
        throttle_group_unref(tgo->group);
    }
}

static json_t *throttle_group_get(Object *obj, const char *property,
                                  GError **errp)
{
    ThrottleGroupObject *tgo = container_of(obj, ThrottleGroupObject, obj);
    g_autoptr(ThrottleLimits) limits =
        throttle_config_limits(throttle_group_config(tgo->group));
    json_t *json = qapi_ThrottleLimits_to_json(limits);
    json_t *value = NULL;

    if (strcmp(property, "limits") == 0) {
        return json;
    }
    if (g_str_has_prefix(property, "x-")) {
        value = json_incref(json_object_get(json, property + 2));
    }
    json_decref(json);
    if (!value) {
        object_error_no_property(obj, property, errp);
    }
    return value;
}

static bool throttle_group_set(Object *obj, const char *property,
                               json_t *value, GError **errp)
{
    ThrottleGroupObject *tgo = container_of(obj, ThrottleGroupObject, obj);
    ThrottleConfig cfg = *throttle_group_config(tgo->group);
    json_t *limits;
    bool ok;

    if (strcmp(property, "limits") == 0) {
        limits = json_incref(value);
    } else if (g_str_has_prefix(property, "x-")) {
        limits = json_object();
        json_object_set(limits, property + 2, value);
    } else {
        object_error_no_property(obj, property, errp);
        return false;
    }
    ok = apply_json(&cfg, limits, errp);
    json_decref(limits);
    if (ok) {
        throttle_group_set_config(tgo->group, &cfg);
    }
    return ok;
}

const ObjectTypeInfo throttle_group_type = {
    .type = OBJECT_TYPE_THROTTLE_GROUP,
    .instance_size = sizeof(ThrottleGroupObject),
    .init = throttle_group_init,
    .finalize = throttle_group_finalize,
    .get = throttle_group_get,
    .set = throttle_group_set,
};
