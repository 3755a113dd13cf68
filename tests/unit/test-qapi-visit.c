/*
 * QAPI values from and to JSON, from key=value trees, copied and freed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "unit-qapi-visit.h"

#include "qapi/json-stream.h"
#include "util/coroutine.h"

static json_t *parse(const char *text)
{
    json_t *json = json_parse(text, strlen(text), NULL);

    g_assert_nonnull(json);
    return json;
}

typedef void *FromFunc(const QapiType *type, json_t *json, GError **errp);

/* @text is refused with the message @expected. */
static void check_error(FromFunc *from, const QapiType *type,
                        const char *text, const char *expected)
{
    g_autoptr(GError) err = NULL;
    json_t *json = parse(text);

    g_assert_null(from(type, json, &err));
    g_assert_nonnull(err);
    g_assert_cmpstr(err->message, ==, expected);
    json_decref(json);
}

/* @text makes a value, which gives @expected as JSON, and so does its copy. */
static void check_same(FromFunc *from, const QapiType *type,
                       const char *text, const char *expected)
{
    GError *err = NULL;
    json_t *json = parse(text);
    void *obj = from(type, json, &err);
    void *copy = qapi_clone(type, obj);
    json_t *back;
    g_autofree char *printed = NULL;

    g_assert_no_error(err);
    json_decref(json);
    qapi_free(type, obj);
    back = qapi_to_json(type, copy);
    qapi_free(type, copy);
    printed = json_print(back, NULL);
    json_decref(back);
    g_assert_cmpstr(printed, ==, expected);
}

static void roundtrip(const QapiType *type, const char *text)
{
    check_same(qapi_from_json, type, text, text);
}

static void test_struct(void)
{
    roundtrip(&qapi_type_Thing, "{\"name\": \"a\"}");
    roundtrip(&qapi_type_Thing,
              "{\"name\": \"a\", \"flag\": false, \"color\": \"light-blue\", "
              "\"default\": \"d\", \"numbers\": {\"i8\": -128, \"u16\": "
              "65535, \"n\": 1.5}, \"tags\": [\"x\", \"y\"], \"things\": "
              "[{\"name\": \"b\"}, {\"name\": \"c\"}], \"extra\": {\"k\": "
              "[null, 1]}}");
}

static void test_base(void)
{
    g_autoptr(NamedThing) thing = NULL;
    json_t *json = parse("{'id': 3, 'flag': true, 'name': 'n'}");

    thing = qapi_NamedThing_from_json(json, NULL);
    json_decref(json);
    g_assert_cmpstr(thing->name, ==, "n");
    g_assert_true(thing->has_flag && thing->flag);
    g_assert_false(thing->has_color);
    g_assert_null(thing->q_default);
    g_assert_cmpint(thing->id, ==, 3);
}

static void test_union(void)
{
    g_autoptr(Node) node = NULL;
    json_t *json = parse("{'driver': 'file', 'filename': 'f'}");

    node = qapi_Node_from_json(json, NULL);
    json_decref(json);
    g_assert_cmpint(node->driver, ==, KIND_FILE);
    g_assert_cmpstr(node->u.file.filename, ==, "f");
    roundtrip(&qapi_type_Node, "{\"driver\": \"null-co\", \"read-only\": "
              "true}");
}

static void test_alternate(void)
{
    roundtrip(&qapi_type_Node, "{\"driver\": \"filter\", \"child\": \"n\"}");
    roundtrip(&qapi_type_Node, "{\"driver\": \"filter\", \"child\": null}");
    roundtrip(&qapi_type_Node, "{\"driver\": \"filter\", \"child\": "
              "{\"driver\": \"filter\", \"child\": {\"driver\": \"file\", "
              "\"filename\": \"f\"}}}");
    roundtrip(&qapi_type_AmountHolder, "{\"amount\": 3}");
    roundtrip(&qapi_type_AmountHolder, "{\"amount\": true}");
    roundtrip(&qapi_type_AmountHolder, "{\"amount\": [1, 2]}");
}

static void test_list(void)
{
    g_autoptr(GError) err = NULL;
    json_t *json = parse("[]");

    roundtrip(&qapi_type_ColorList, "[\"red\", \"light-blue\"]");
    g_assert_null(qapi_ThingList_from_json(json, &err));
    g_assert_no_error(err);
    json_decref(json);
}

static void test_list_macros(void)
{
    g_autoptr(strList) list = NULL;
    strList **tail = &list;

    QAPI_LIST_APPEND(tail, g_strdup("b"));
    QAPI_LIST_APPEND(tail, g_strdup("c"));
    QAPI_LIST_PREPEND(list, g_strdup("a"));
    g_assert_cmpstr(list->value, ==, "a");
    g_assert_cmpstr(list->next->value, ==, "b");
    g_assert_cmpstr(list->next->next->value, ==, "c");
    g_assert_null(list->next->next->next);
}

static void test_big_numbers(void)
{
    roundtrip(&qapi_type_Numbers, "{\"u64\": 9223372036854775807, \"i\": "
              "-9223372036854775808}");
    check_same(qapi_from_json, &qapi_type_Numbers,
               "{'sz': 9223372036854775808}",
               "{\"sz\": 9.2233720368547758e+18}");
    check_error(qapi_from_json, &qapi_type_Numbers,
                "{'sz': 18446744073709551616}",
                "Invalid parameter type for 'sz', expected: integer");
}

static void test_error_missing(void)
{
    check_error(qapi_from_json, &qapi_type_Thing, "{}",
                "Parameter 'name' is missing");
    check_error(qapi_from_json, &qapi_type_Node,
                "{'driver': 'filter', 'child': {'driver': 'file'}}",
                "Parameter 'child.filename' is missing");
    check_error(qapi_from_json, &qapi_type_Node, "{'driver': 'filter'}",
                "Parameter 'child' is missing");
}

static void test_error_unexpected(void)
{
    check_error(qapi_from_json, &qapi_type_Thing, "{'name': 'a', 'x': 1}",
                "Parameter 'x' is unexpected");
    check_error(qapi_from_json, &qapi_type_Thing,
                "{'name': 'a', 'things': [{'name': 'b'}, "
                "{'name': 'c', 'numbers': {'y': 1}}]}",
                "Parameter 'things[1].numbers.y' is unexpected");
    check_error(qapi_from_json, &qapi_type_Node,
                "{'driver': 'null-co', 'filename': 'f'}",
                "Parameter 'filename' is unexpected");
}

static void test_error_type(void)
{
    FromFunc *from = qapi_from_json;

    check_error(from, &qapi_type_Thing, "{'name': 1}",
                "Invalid parameter type for 'name', expected: string");
    check_error(from, &qapi_type_Thing, "{'name': 'a', 'flag': 'on'}",
                "Invalid parameter type for 'flag', expected: boolean");
    check_error(from, &qapi_type_Thing, "{'name': 'a', 'numbers': []}",
                "Invalid parameter type for 'numbers', expected: object");
    check_error(from, &qapi_type_Thing, "{'name': 'a', 'tags': {}}",
                "Invalid parameter type for 'tags', expected: array");
    check_error(from, &qapi_type_Thing, "{'name': 'a', 'tags': ['b', 1]}",
                "Invalid parameter type for 'tags[1]', expected: string");
    check_error(from, &qapi_type_Numbers, "{'n': 'x'}",
                "Invalid parameter type for 'n', expected: number");
    check_error(from, &qapi_type_Numbers, "{'i': 1.5}",
                "Invalid parameter type for 'i', expected: integer");
    check_error(from, &qapi_type_Node, "{'driver': 'filter', 'child': 1}",
                "Invalid parameter type for 'child', expected: NodeRef");
    check_error(from, &qapi_type_Node, "[]",
                "Invalid parameter type for '<anonymous>', expected: object");
}

static void test_error_value(void)
{
    check_error(qapi_from_json, &qapi_type_Node, "{'driver': 'qed'}",
                "Parameter 'driver' does not accept value 'qed' "
                "(accepts: file, filter, null-co)");
    check_error(qapi_from_json, &qapi_type_Thing,
                "{'name': 'a', 'color': 'invisible'}",
                "Parameter 'color' does not accept value 'invisible' "
                "(accepts: red, light-blue)");
}

static void test_error_range(void)
{
    FromFunc *from = qapi_from_json;

    check_error(from, &qapi_type_Numbers, "{'i8': 128}",
                "Parameter 'i8' expects int8_t (-128 to 127)");
    check_error(from, &qapi_type_Numbers, "{'i8': -129}",
                "Parameter 'i8' expects int8_t (-128 to 127)");
    check_error(from, &qapi_type_Numbers, "{'u16': 65536}",
                "Parameter 'u16' expects uint16_t (0 to 65535)");
    check_error(from, &qapi_type_Numbers, "{'u16': -1}",
                "Parameter 'u16' expects a number that is not negative");
}

/* As deep as a QMP request may be, on a coroutine's stack */
static void deep_entry(void *opaque)
{
    GString *s = g_string_new(NULL);
    g_autoptr(GError) err = NULL;
    json_t *json;
    int i;

    for (i = 0; i < 1000; i++) {
        g_string_append(s, "{'driver': 'filter', 'child': ");
    }
    g_string_append(s, "'n'");
    for (i = 0; i < 1000; i++) {
        g_string_append(s, "}");
    }
    json = json_parse(s->str, s->len, NULL);
    g_assert_null(qapi_Node_from_json(json, &err));
    g_assert_true(g_str_has_suffix(err->message,
                                   "is nested more than 128 levels deep"));
    json_decref(json);
    g_string_free(s, TRUE);
    *(bool *)opaque = true;
}

static void test_error_depth(void)
{
    bool done = false;

    coroutine_start(deep_entry, &done);
    g_assert_true(done);
}

static void test_keyval_scalars(void)
{
    check_same(qapi_from_keyval, &qapi_type_Numbers,
               "{'i8': '-5', 'u16': '0x10', 'i': '7', 'sz': '64k', "
               "'n': '1.5'}",
               "{\"i8\": -5, \"u16\": 16, \"i\": 7, \"sz\": 65536, "
               "\"n\": 1.5}");
    check_same(qapi_from_keyval, &qapi_type_Thing,
               "{'name': '12', 'flag': 'on', 'color': 'red', 'tags': ['1']}",
               "{\"name\": \"12\", \"flag\": true, \"color\": \"red\", "
               "\"tags\": [\"1\"]}");
}

/* Parts that came as JSON keep their types. */
static void test_keyval_typed_leaves(void)
{
    check_same(qapi_from_keyval, &qapi_type_Thing,
               "{'name': 'a', 'flag': true, 'numbers': {'i': 3}}",
               "{\"name\": \"a\", \"flag\": true, \"numbers\": {\"i\": 3}}");
    check_error(qapi_from_keyval, &qapi_type_Thing, "{'name': 12}",
                "Invalid parameter type for 'name', expected: string");
}

static void test_keyval_alternates(void)
{
    check_same(qapi_from_keyval, &qapi_type_Node,
               "{'driver': 'filter', 'child': {'driver': 'file', "
               "'filename': '5'}}",
               "{\"driver\": \"filter\", \"child\": {\"driver\": \"file\", "
               "\"filename\": \"5\"}}");
    check_same(qapi_from_keyval, &qapi_type_AmountHolder, "{'amount': '3'}",
               "{\"amount\": 3}");
    check_same(qapi_from_keyval, &qapi_type_AmountHolder, "{'amount': 'on'}",
               "{\"amount\": true}");
}

static void test_keyval_errors(void)
{
    FromFunc *from = qapi_from_keyval;

    check_error(from, &qapi_type_Thing, "{'name': 'a', 'flag': 'maybe'}",
                "Parameter 'flag' expects 'on' or 'off'");
    check_error(from, &qapi_type_Numbers, "{'i': '5x'}",
                "Parameter 'i' expects integer");
    check_error(from, &qapi_type_Numbers, "{'i8': '300'}",
                "Parameter 'i8' expects int8_t (-128 to 127)");
    check_error(from, &qapi_type_Numbers, "{'sz': '5Q'}",
                "Parameter 'sz' expects size (a number of bytes, or one with "
                "suffix k, M, G, T, P or E)");
    check_error(from, &qapi_type_Thing,
                "{'name': 'a', 'things': [{'name': 'b', 'q': '1'}]}",
                "Parameter 'things.0.q' is unexpected");
}

static void test_enum(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_cmpstr(Color_str(COLOR_LIGHT_BLUE), ==, "light-blue");
    g_assert_cmpint(Color_parse("red", &err), ==, COLOR_RED);
    g_assert_cmpint(COLOR__MAX, ==, 2);
    g_assert_cmpint(Color_parse("green", &err), ==, -1);
    g_assert_cmpstr(err->message, ==, "invalid parameter value: green "
                    "(accepts: red, light-blue)");
}

static void test_clone_is_deep(void)
{
    json_t *json = parse("{'name': 'a', 'tags': ['b'], 'extra': [1]}");
    g_autoptr(Thing) thing = qapi_Thing_from_json(json, NULL);
    g_autoptr(Thing) copy = QAPI_CLONE(Thing, thing);

    json_decref(json);
    g_assert_true(copy->name != thing->name);
    g_assert_true(copy->tags != thing->tags);
    g_assert_true(copy->tags->value != thing->tags->value);
    g_assert_true(copy->extra != thing->extra);
    g_assert_null(QAPI_CLONE(Thing, NULL));
}

static void test_not_utf8_is_made_valid(void)
{
    NodeFile file = { .filename = (char *)"a\xff" };
    json_t *json = qapi_NodeFile_to_json(&file);

    g_assert_cmpstr(json_string_value(json_object_get(json, "filename")), ==,
                    "a\xef\xbf\xbd");
    json_decref(json);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/json/struct", test_struct);
    g_test_add_func("/qapi/json/base", test_base);
    g_test_add_func("/qapi/json/union", test_union);
    g_test_add_func("/qapi/json/alternate", test_alternate);
    g_test_add_func("/qapi/json/list", test_list);
    g_test_add_func("/qapi/json/big-numbers", test_big_numbers);
    g_test_add_func("/qapi/json/not-utf8", test_not_utf8_is_made_valid);
    g_test_add_func("/qapi/list-macros", test_list_macros);
    g_test_add_func("/qapi/error/missing", test_error_missing);
    g_test_add_func("/qapi/error/unexpected", test_error_unexpected);
    g_test_add_func("/qapi/error/type", test_error_type);
    g_test_add_func("/qapi/error/value", test_error_value);
    g_test_add_func("/qapi/error/range", test_error_range);
    g_test_add_func("/qapi/error/depth", test_error_depth);
    g_test_add_func("/qapi/keyval/scalars", test_keyval_scalars);
    g_test_add_func("/qapi/keyval/typed-leaves", test_keyval_typed_leaves);
    g_test_add_func("/qapi/keyval/alternates", test_keyval_alternates);
    g_test_add_func("/qapi/keyval/errors", test_keyval_errors);
    g_test_add_func("/qapi/enum", test_enum);
    g_test_add_func("/qapi/clone", test_clone_is_deep);
    return g_test_run();
}
