/*
 * Output visitor: a value to JSON
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/visitor.h"

typedef struct OutputVisitor {
    Visitor visitor;
    json_t **result;
    GPtrArray *stack;           /* open objects and arrays, borrowed */
} OutputVisitor;

static OutputVisitor *to_ov(Visitor *v)
{
    return container_of(v, OutputVisitor, visitor);
}

/* Put the reference @json where it belongs. */
static bool add(Visitor *v, const char *name, json_t *json)
{
    OutputVisitor *ov = to_ov(v);
    json_t *parent;

    if (!ov->stack->len) {
        *ov->result = json;
        return true;
    }
    parent = g_ptr_array_index(ov->stack, ov->stack->len - 1);
    if (json_is_array(parent)) {
        json_array_append_new(parent, json);
    } else {
        json_object_set_new_nocheck(parent, name, json);
    }
    return true;
}

static bool start(Visitor *v, const char *name, json_t *json)
{
    add(v, name, json);
    g_ptr_array_add(to_ov(v)->stack, json);
    return true;
}

static bool start_object(Visitor *v, const char *name, GError **errp)
{
    return start(v, name, json_object());
}

static bool check_object(Visitor *v, GError **errp)
{
    return true;
}

static bool start_list(Visitor *v, const char *name, GError **errp)
{
    return start(v, name, json_array());
}

static void end(Visitor *v)
{
    OutputVisitor *ov = to_ov(v);

    g_ptr_array_set_size(ov->stack, ov->stack->len - 1);
}

static bool type_int(Visitor *v, const char *name, int64_t *val,
                     GError **errp)
{
    return add(v, name, json_integer(*val));
}

static bool type_uint(Visitor *v, const char *name, uint64_t *val,
                      GError **errp)
{
    /* Above jansson's integers a real number is the nearest */
    return add(v, name, *val <= INT64_MAX ? json_integer(*val)
                                          : json_real(*val));
}

static bool type_number(Visitor *v, const char *name, double *val,
                        GError **errp)
{
    json_t *json = json_real(*val);

    /* JSON has no infinities */
    return add(v, name, json ? json : json_null());
}

static bool type_bool(Visitor *v, const char *name, bool *val, GError **errp)
{
    return add(v, name, json_boolean(*val));
}

static bool type_str(Visitor *v, const char *name, char **val, GError **errp)
{
    const char *text = *val ? *val : "";
    json_t *json = json_string(text);
    g_autofree char *valid = NULL;

    if (!json) {
        /* A file name need not be UTF-8, but JSON must be */
        valid = g_utf8_make_valid(text, -1);
        json = json_string(valid);
    }
    return add(v, name, json);
}

static bool type_any(Visitor *v, const char *name, json_t **val,
                     GError **errp)
{
    return add(v, name, json_incref(*val));
}

static bool type_null(Visitor *v, const char *name, GError **errp)
{
    return add(v, name, json_null());
}

static void output_free(Visitor *v)
{
    OutputVisitor *ov = to_ov(v);

    g_ptr_array_free(ov->stack, TRUE);
    g_free(ov);
}

static const VisitorOps output_ops = {
    .start_object   = start_object,
    .check_object   = check_object,
    .end_object     = end,
    .start_list     = start_list,
    .end_list       = end,

    .type_int       = type_int,
    .type_uint      = type_uint,
    .type_size      = type_uint,
    .type_number    = type_number,
    .type_bool      = type_bool,
    .type_str       = type_str,
    .type_any       = type_any,
    .type_null      = type_null,

    .free           = output_free,
};

Visitor *json_output_visitor_new(json_t **result)
{
    OutputVisitor *ov = g_new0(OutputVisitor, 1);

    ov->visitor.ops = &output_ops;
    ov->result = result;
    ov->stack = g_ptr_array_new();
    *result = NULL;
    return &ov->visitor;
}
