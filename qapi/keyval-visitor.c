/*
 * Input visitor for trees made of key=value text
 *
 * Leaves are strings, whatever they stand for: "on", "64k", "12".  A leaf of
 * another type came from a piece of JSON on the command line and must match
 * exactly, as in the JSON visitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "input-visitor.h"

#include "util/size.h"

static InputVisitor *to_iv(Visitor *v)
{
    return container_of(v, InputVisitor, visitor);
}

/* The text of the leaf; NULL if it is not a string (or not there). */
static const char *leaf(Visitor *v, const char *name)
{
    return json_string_value(input_get(to_iv(v), name));
}

/* Mark the leaf as visited. */
static void take(Visitor *v, const char *name)
{
    input_require(to_iv(v), name, NULL);
}

static bool type_int(Visitor *v, const char *name, int64_t *val,
                     GError **errp)
{
    const char *text = leaf(v, name);

    if (!text) {
        return json_input_ops.type_int(v, name, val, errp);
    }
    take(v, name);
    return int64_parse(text, val) ||
           input_wrong_value(to_iv(v), name, "integer", errp);
}

static bool type_uint(Visitor *v, const char *name, uint64_t *val,
                      GError **errp)
{
    const char *text = leaf(v, name);

    if (!text) {
        return json_input_ops.type_uint(v, name, val, errp);
    }
    take(v, name);
    return uint64_parse(text, val) ||
           input_wrong_value(to_iv(v), name, "integer", errp);
}

static bool type_size(Visitor *v, const char *name, uint64_t *val,
                      GError **errp)
{
    const char *text = leaf(v, name);

    if (!text) {
        return json_input_ops.type_size(v, name, val, errp);
    }
    take(v, name);
    return size_parse(text, val) ||
           input_wrong_value(to_iv(v), name,
                             "size (a number of bytes, or one with suffix "
                             "k, M, G, T, P or E)", errp);
}

static bool type_number(Visitor *v, const char *name, double *val,
                        GError **errp)
{
    const char *text = leaf(v, name);
    char *end;

    if (!text) {
        return json_input_ops.type_number(v, name, val, errp);
    }
    take(v, name);
    *val = g_ascii_strtod(text, &end);
    return (end != text && !*end && *val - *val == 0) ||
           input_wrong_value(to_iv(v), name, "number", errp);
}

static bool type_bool(Visitor *v, const char *name, bool *val, GError **errp)
{
    const char *text = leaf(v, name);

    if (!text) {
        return json_input_ops.type_bool(v, name, val, errp);
    }
    take(v, name);
    return bool_parse(text, val) ||
           input_wrong_value(to_iv(v), name, "'on' or 'off'", errp);
}

/* Text fits whatever the alternate takes; its look decides if need be. */
static QType alternative(Visitor *v, const char *name, unsigned accepted,
                         const QapiType *type, GError **errp)
{
    const char *text = leaf(v, name);
    bool flag;

    if (text && (accepted & (1u << QTYPE_QBOOL)) && bool_parse(text, &flag)) {
        return QTYPE_QBOOL;
    }
    if (text && (accepted & (1u << QTYPE_QNUM)) &&
        (g_ascii_isdigit(*text) || *text == '-')) {
        return QTYPE_QNUM;
    }
    return json_input_ops.alternative(v, name, accepted, type, errp);
}

Visitor *keyval_input_visitor_new(json_t *tree)
{
    InputVisitor *iv = input_visitor_new(tree);

    iv->keyval = true;
    iv->ops.type_int = type_int;
    iv->ops.type_uint = type_uint;
    iv->ops.type_size = type_size;
    iv->ops.type_number = type_number;
    iv->ops.type_bool = type_bool;
    iv->ops.alternative = alternative;
    return &iv->visitor;
}
