/*
 * The human monitor: objects
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "block/keyval.h"
#include "qapi/qapi-visit-qom.h"
#include "qom/object.h"

void coroutine_fn hmp_object_add(const HmpArgs *args, GString *out)
{
    GError *err = NULL;
    json_t *tree = keyval_parse(args->word[0], "qom-type", NULL, &err);
    g_autoptr(ObjectOptions) options = NULL;

    options = tree ? qapi_ObjectOptions_from_keyval(tree, &err) : NULL;
    if (options) {
        object_add(options, &err);
    }
    json_decref(tree);
    hmp_error(out, err);
}

void coroutine_fn hmp_object_del(const HmpArgs *args, GString *out)
{
    GError *err = NULL;

    object_del(args->word[0], &err);
    hmp_error(out, err);
}
