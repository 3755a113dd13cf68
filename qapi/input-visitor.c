/*
 * Input visitor for JSON: types must match
 *
 * It walks down the tree with a stack of frames; the stack also gives the
 * path for messages.  Depth is limited because each level costs stack on a
 * coroutine, both here and for whoever opens what the tree describes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "input-visitor.h"

#define INPUT_MAX_DEPTH 128

static InputVisitor *to_iv(Visitor *v)
{
    return container_of(v, InputVisitor, visitor);
}

static InputFrame *top_frame(InputVisitor *iv)
{
    g_assert(iv->frames->len);
    return &g_array_index(iv->frames, InputFrame, iv->frames->len - 1);
}

static void append_name(InputVisitor *iv, GString *s, const char *name,
                        const InputFrame *parent)
{
    if (name) {
        g_string_append_printf(s, "%s%s", s->len ? "." : "", name);
    } else if (parent) {
        g_string_append_printf(s, iv->keyval ? ".%zu" : "[%zu]",
                               parent->index - 1);
    }
}

static char *full_name(Visitor *v, const char *name)
{
    InputVisitor *iv = to_iv(v);
    GString *s = g_string_new(NULL);
    const InputFrame *parent = NULL;
    guint i;

    for (i = 0; i < iv->frames->len; i++) {
        const InputFrame *f = &g_array_index(iv->frames, InputFrame, i);

        append_name(iv, s, f->name, parent);
        parent = f;
    }
    append_name(iv, s, name, parent);
    if (!s->len) {
        g_string_append(s, "<anonymous>");
    }
    return g_string_free(s, FALSE);
}

bool input_wrong_type(InputVisitor *iv, const char *name,
                      const char *expected, GError **errp)
{
    g_autofree char *full = full_name(&iv->visitor, name);

    error_setg(errp, "Invalid parameter type for '%s', expected: %s", full,
               expected);
    return false;
}

bool input_wrong_value(InputVisitor *iv, const char *name,
                       const char *expected, GError **errp)
{
    g_autofree char *full = full_name(&iv->visitor, name);

    error_setg(errp, "Parameter '%s' expects %s", full, expected);
    return false;
}

json_t *input_get(InputVisitor *iv, const char *name)
{
    InputFrame *f;

    if (!iv->frames->len) {
        return iv->root;
    }
    f = top_frame(iv);
    if (!name) {
        return json_array_get(f->json, f->index - 1);
    }
    return json_object_get(f->json, name);
}

json_t *input_require(InputVisitor *iv, const char *name, GError **errp)
{
    json_t *json = input_get(iv, name);

    if (json && iv->frames->len && name) {
        g_ptr_array_add(top_frame(iv)->seen, (char *)name);
    }
    if (!json) {
        g_autofree char *full = full_name(&iv->visitor, name);

        error_setg(errp, "Parameter '%s' is missing", full);
    }
    return json;
}

QType input_qtype(json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return QTYPE_QDICT;
    case JSON_ARRAY:
        return QTYPE_QLIST;
    case JSON_STRING:
        return QTYPE_QSTRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return QTYPE_QNUM;
    case JSON_TRUE:
    case JSON_FALSE:
        return QTYPE_QBOOL;
    case JSON_NULL:
        return QTYPE_QNULL;
    }
    g_assert_not_reached();
}

static bool push(InputVisitor *iv, const char *name, QType qtype,
                 const char *expected, GError **errp)
{
    json_t *json = input_require(iv, name, errp);
    InputFrame f = { .name = name, .json = json };

    if (!json) {
        return false;
    }
    if (input_qtype(json) != qtype) {
        return input_wrong_type(iv, name, expected, errp);
    }
    if (iv->frames->len == INPUT_MAX_DEPTH) {
        g_autofree char *full = full_name(&iv->visitor, name);

        error_setg(errp, "Parameter '%s' is nested more than %d levels deep",
                   full, INPUT_MAX_DEPTH);
        return false;
    }
    if (qtype == QTYPE_QDICT) {
        f.seen = g_ptr_array_new();
    }
    g_array_append_val(iv->frames, f);
    return true;
}

static void pop(InputVisitor *iv)
{
    InputFrame *f = top_frame(iv);

    if (f->seen) {
        g_ptr_array_free(f->seen, TRUE);
    }
    g_array_set_size(iv->frames, iv->frames->len - 1);
}

static bool start_object(Visitor *v, const char *name, GError **errp)
{
    return push(to_iv(v), name, QTYPE_QDICT, "object", errp);
}

static gboolean same_string(gconstpointer a, gconstpointer b)
{
    return !strcmp(a, b);
}

static bool check_object(Visitor *v, GError **errp)
{
    InputFrame *f = top_frame(to_iv(v));
    const char *key;
    json_t *value;

    if (json_object_size(f->json) == f->seen->len) {
        return true;
    }
    json_object_foreach(f->json, key, value) {
        g_autofree char *full = NULL;

        if (g_ptr_array_find_with_equal_func(f->seen, key, same_string,
                                             NULL)) {
            continue;
        }
        full = full_name(v, key);
        error_setg(errp, "Parameter '%s' is unexpected", full);
        return false;
    }
    return true;
}

static void end_object(Visitor *v)
{
    pop(to_iv(v));
}

static bool start_list(Visitor *v, const char *name, GError **errp)
{
    return push(to_iv(v), name, QTYPE_QLIST, "array", errp);
}

static bool next_element(Visitor *v)
{
    InputFrame *f = top_frame(to_iv(v));

    return f->index < json_array_size(f->json) && ++f->index;
}

static void end_list(Visitor *v)
{
    pop(to_iv(v));
}

static bool present(Visitor *v, const char *name)
{
    return input_get(to_iv(v), name) != NULL;
}

static QType alternative(Visitor *v, const char *name, unsigned accepted,
                         const QapiType *type, GError **errp)
{
    InputVisitor *iv = to_iv(v);
    json_t *json = input_get(iv, name);

    if (!json) {
        input_require(iv, name, errp);
        return QTYPE_NONE;
    }
    if (!(accepted & (1u << input_qtype(json)))) {
        input_wrong_type(iv, name, type->name, errp);
        return QTYPE_NONE;
    }
    return input_qtype(json);
}

static bool type_int(Visitor *v, const char *name, int64_t *val,
                     GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);

    if (!json) {
        return false;
    }
    if (!json_is_integer(json)) {
        return input_wrong_type(to_iv(v), name, "integer", errp);
    }
    *val = json_integer_value(json);
    return true;
}

/*
 * jansson's integers are int64_t.  What is above arrives as a real number,
 * which is good enough for a limit and never mistaken for something small.
 */
static bool type_uint(Visitor *v, const char *name, uint64_t *val,
                      GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);
    double real;

    if (!json) {
        return false;
    }
    if (json_is_integer(json)) {
        if (json_integer_value(json) < 0) {
            return input_wrong_value(to_iv(v), name,
                                     "a number that is not negative", errp);
        }
        *val = json_integer_value(json);
        return true;
    }
    real = json_real_value(json);
    if (real >= 0x1p63 && real < 0x1p64) {
        *val = real;
        return true;
    }
    return input_wrong_type(to_iv(v), name, "integer", errp);
}

static bool type_number(Visitor *v, const char *name, double *val,
                        GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);

    if (!json) {
        return false;
    }
    if (!json_is_number(json)) {
        return input_wrong_type(to_iv(v), name, "number", errp);
    }
    *val = json_number_value(json);
    return true;
}

static bool type_bool(Visitor *v, const char *name, bool *val, GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);

    if (!json) {
        return false;
    }
    if (!json_is_boolean(json)) {
        return input_wrong_type(to_iv(v), name, "boolean", errp);
    }
    *val = json_is_true(json);
    return true;
}

static bool type_str(Visitor *v, const char *name, char **val, GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);

    if (!json) {
        return false;
    }
    if (!json_is_string(json)) {
        return input_wrong_type(to_iv(v), name, "string", errp);
    }
    *val = g_strdup(json_string_value(json));
    return true;
}

static bool type_any(Visitor *v, const char *name, json_t **val,
                     GError **errp)
{
    *val = json_incref(input_require(to_iv(v), name, errp));
    return *val != NULL;
}

static bool type_null(Visitor *v, const char *name, GError **errp)
{
    json_t *json = input_require(to_iv(v), name, errp);

    if (!json) {
        return false;
    }
    if (!json_is_null(json)) {
        return input_wrong_type(to_iv(v), name, "null", errp);
    }
    return true;
}

static void input_free(Visitor *v)
{
    InputVisitor *iv = to_iv(v);

    g_assert(!iv->frames->len);
    g_array_free(iv->frames, TRUE);
    json_decref(iv->root);
    g_free(iv);
}

const VisitorOps json_input_ops = {
    .input          = true,

    .start_object   = start_object,
    .check_object   = check_object,
    .end_object     = end_object,
    .start_list     = start_list,
    .next_element   = next_element,
    .end_list       = end_list,
    .present        = present,
    .alternative    = alternative,

    .type_int       = type_int,
    .type_uint      = type_uint,
    .type_size      = type_uint,
    .type_number    = type_number,
    .type_bool      = type_bool,
    .type_str       = type_str,
    .type_any       = type_any,
    .type_null      = type_null,

    .full_name      = full_name,
    .free           = input_free,
};

InputVisitor *input_visitor_new(json_t *json)
{
    InputVisitor *iv = g_new0(InputVisitor, 1);

    iv->ops = json_input_ops;
    iv->visitor.ops = &iv->ops;
    iv->root = json_incref(json);
    iv->frames = g_array_new(FALSE, FALSE, sizeof(InputFrame));
    return iv;
}

Visitor *json_input_visitor_new(json_t *json)
{
    return &input_visitor_new(json)->visitor;
}
