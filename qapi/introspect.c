/*
 * query-qmp-schema
 *
 * The generator writes the answer as text.  It is parsed when somebody asks,
 * so that nobody else pays for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/dispatch.h"

#include "qapi/qapi-commands-introspect.h"
#include "qapi/qapi-introspect.h"

json_t *qapi_introspect(void)
{
    return json_loads(qapi_introspect_text, 0, NULL);
}

json_t *coroutine_fn qmp_marshal_query_qmp_schema(json_t *args, GError **errp)
{
    if (!qapi_struct_from_json(&qapi_type_q_empty, args, NULL, errp)) {
        return NULL;
    }
    return qapi_introspect();
}
