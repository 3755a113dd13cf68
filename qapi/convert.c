/*
 * Whole values from and to JSON
 *
 * The short ways that the generated conversion functions, and the marshalling
 * of commands and events, take over the visitors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/visitor.h"

json_t *qapi_value_to_json(const QapiType *type, const void *slot)
{
    json_t *json;
    g_autoptr(Visitor) v = json_output_visitor_new(&json);

    qapi_visit(v, NULL, type, (void *)slot, NULL);
    return json;
}

json_t *qapi_to_json(const QapiType *type, const void *obj)
{
    return qapi_value_to_json(type, &obj);
}

void *qapi_from_json(const QapiType *type, json_t *json, GError **errp)
{
    g_autoptr(Visitor) v = json_input_visitor_new(json);
    void *obj = NULL;

    qapi_visit(v, NULL, type, &obj, errp);
    return obj;
}

void *qapi_from_keyval(const QapiType *type, json_t *tree, GError **errp)
{
    g_autoptr(Visitor) v = keyval_input_visitor_new(tree);
    void *obj = NULL;

    qapi_visit(v, NULL, type, &obj, errp);
    return obj;
}

bool qapi_struct_from_json(const QapiType *type, json_t *json, void *obj,
                           GError **errp)
{
    g_autoptr(Visitor) v = NULL;
    json_t *none = NULL;
    bool ok;

    if (!json) {
        json = none = json_object();
    }
    v = json_input_visitor_new(json);
    ok = qapi_visit_struct(v, NULL, type, obj, errp);
    json_decref(none);
    return ok;
}
