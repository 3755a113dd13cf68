/*
 * Objects for tests, as people write them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_OBJECT_HELPERS_H
#define TESTS_UNIT_OBJECT_HELPERS_H

#include <jansson.h>

#include "qapi/qapi-visit-qom.h"
#include "qom/object.h"

/* object-add of JSON in single quotes, printf()'s way.  False with @errp. */
G_GNUC_PRINTF(2, 3)
static inline bool try_object_add(GError **errp, const char *fmt, ...)
{
    g_autoptr(ObjectOptions) options = NULL;
    g_autofree char *text = NULL;
    json_t *tree;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdelimit(g_strdup_vprintf(fmt, ap), "'", '"');
    va_end(ap);
    tree = json_loads(text, 0, NULL);
    g_assert_nonnull(tree);
    options = qapi_ObjectOptions_from_json(tree, errp);
    json_decref(tree);
    return options && object_add(options, errp);
}

#define must_object_add(...)                                            \
    do {                                                                \
        g_autoptr(GError) err_ = NULL;                                  \
        try_object_add(&err_, __VA_ARGS__);                             \
        g_assert_no_error(err_);                                        \
    } while (0)

#define assert_object_add_fails(text, ...)                              \
    do {                                                                \
        g_autoptr(GError) err_ = NULL;                                  \
        g_assert_false(try_object_add(&err_, __VA_ARGS__));             \
        g_assert_cmpstr(err_->message, ==, text);                       \
    } while (0)

#endif
