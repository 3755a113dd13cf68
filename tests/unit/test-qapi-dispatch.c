/*
 * QAPI commands and events: marshalling, the table, introspection
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "unit-qapi-commands.h"

#include "qapi/dispatch.h"
#include "qapi/event.h"
#include "qapi/json-stream.h"
#include "unit-qapi-emit-events.h"
#include "unit-qapi-events.h"
#include "unit-qapi-init-commands.h"
#include "unit-qapi-introspect.h"

static unsigned vanished;
static char *added;

/* Handlers of the test schema */

char *coroutine_fn qmp_add_thing(const char *name, bool has_count,
                                 uint8_t count, Node *node, GError **errp)
{
    GString *s = g_string_new(node ? NodeKind_str(node->driver) : "");
    int i;

    for (i = 0; i < (has_count ? count : 1); i++) {
        g_string_append(s, name);
    }
    return g_string_free(s, FALSE);
}

void coroutine_fn qmp_node_add(Node *arg, GError **errp)
{
    if (arg->driver == KIND_NULL_CO) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "no such thing");
        return;
    }
    g_free(added);
    added = g_strdup(arg->u.file.filename);
}

NodeList *coroutine_fn qmp_query_nodes(GError **errp)
{
    NodeList *list = NULL;
    int i;

    for (i = 0; i < 2; i++) {
        Node *node = g_new0(Node, 1);

        node->driver = KIND_NULL_CO;
        QAPI_LIST_PREPEND(list, node);
    }
    return list;
}

void coroutine_fn qmp_vanish(GError **errp)
{
    vanished++;
}

/* Call @name with @args (text); the answer as text, or !error. */
static char *call(const char *name, const char *args)
{
    json_t *json = args ? json_parse(args, strlen(args), NULL) : NULL;
    g_autoptr(GError) err = NULL;
    json_t *ret = NULL;
    char *text;
    size_t i;

    for (i = 0; i < unit_qapi_n_commands; i++) {
        if (!strcmp(unit_qapi_commands[i].name, name)) {
            ret = unit_qapi_commands[i].marshal(json, &err);
        }
    }
    json_decref(json);
    g_assert_true(!ret == !!err);
    text = ret ? json_print(ret, NULL)
               : g_strdup_printf("!%s: %s", error_class_name(err),
                                 err->message);
    json_decref(ret);
    return text;
}

static void check(const char *name, const char *args, const char *expected)
{
    g_autofree char *got = call(name, args);

    g_assert_cmpstr(got, ==, expected);
}

static void test_arguments(void)
{
    check("add-thing", "{'name': 'x'}", "\"x\"");
    check("add-thing", "{'name': 'x', 'count': 3}", "\"xxx\"");
    check("add-thing", "{'name': 'x', 'count': 0, 'node': "
          "{'driver': 'null-co'}}", "\"null-co\"");
}

static void test_bad_arguments(void)
{
    check("add-thing", NULL, "!GenericError: Parameter 'name' is missing");
    check("add-thing", "{'name': 'x', 'node': {'driver': 'file'}}",
          "!GenericError: Parameter 'node.filename' is missing");
    check("query-nodes", "{'a': 1}",
          "!GenericError: Parameter 'a' is unexpected");
}

static void test_boxed(void)
{
    check("node-add", "{'driver': 'file', 'filename': 'f'}", "{}");
    g_assert_cmpstr(added, ==, "f");
    g_clear_pointer(&added, g_free);
}

static void test_handler_error(void)
{
    check("node-add", "{'driver': 'null-co'}",
          "!DeviceNotFound: no such thing");
}

static void test_returns_list(void)
{
    check("query-nodes", NULL,
          "[{\"driver\": \"null-co\"}, {\"driver\": \"null-co\"}]");
}

static void test_table_is_sorted_and_flagged(void)
{
    const QapiCommand *c = unit_qapi_commands;

    g_assert_cmpint(unit_qapi_n_commands, ==, 4);
    g_assert_cmpstr(c[0].name, ==, "add-thing");
    g_assert_cmpuint(c[0].flags, ==, QAPI_COMMAND_ALLOW_OOB);
    g_assert_cmpstr(c[1].name, ==, "node-add");
    g_assert_cmpuint(c[1].flags, ==, QAPI_COMMAND_ALLOW_PRECONFIG);
    g_assert_cmpstr(c[2].name, ==, "query-nodes");
    g_assert_cmpuint(c[2].flags, ==, 0);
    g_assert_cmpstr(c[3].name, ==, "vanish");
    g_assert_cmpuint(c[3].flags, ==, QAPI_COMMAND_NO_SUCCESS_RESP);
    check("vanish", NULL, "{}");
    g_assert_cmpuint(vanished, ==, 1);
}

/* Events */

static GString *events;

static void sink(int event, const char *name, json_t *data)
{
    g_autofree char *text = data ? json_print(data, NULL) : NULL;

    g_string_append_printf(events, "%d %s %s\n", event, name,
                           text ? text : "-");
}

static void test_events(void)
{
    strList tag = { .value = (char *)"t" };

    events = g_string_new(NULL);
    qapi_event_send_nothing();
    qapi_event_set_sink(sink);
    qapi_event_send_nothing();
    qapi_event_send_something_happened("n", false, COLOR_RED, NULL);
    qapi_event_send_something_happened("n", true, COLOR_LIGHT_BLUE, &tag);
    qapi_event_set_sink(NULL);
    g_assert_cmpstr(events->str, ==,
                    "1 NOTHING -\n"
                    "0 SOMETHING_HAPPENED {\"name\": \"n\"}\n"
                    "0 SOMETHING_HAPPENED {\"name\": \"n\", \"color\": "
                    "\"light-blue\", \"tags\": [\"t\"]}\n");
    g_assert_cmpint(UNIT_QAPI_EVENT_NOTHING, ==, 1);
    g_string_free(events, TRUE);
}

/* Introspection */

static json_t *find(json_t *infos, const char *name)
{
    size_t i;
    json_t *info;

    json_array_foreach(infos, i, info) {
        if (!strcmp(json_string_value(json_object_get(info, "name")),
                    name)) {
            return info;
        }
    }
    return NULL;
}

static void check_info(json_t *infos, const char *name, const char *expected)
{
    g_autofree char *text = json_print(find(infos, name), NULL);

    g_assert_cmpstr(text, ==, expected);
}

static void test_introspection(void)
{
    json_t *infos = json_loads(unit_qapi_introspect_text, 0, NULL);

    g_assert_true(json_is_array(infos));
    check_info(infos, "add-thing",
               "{\"name\": \"add-thing\", \"meta-type\": \"command\", "
               "\"arg-type\": \"q_obj_add-thing_arg\", \"ret-type\": "
               "\"str\", \"allow-oob\": true}");
    check_info(infos, "q_obj_add-thing_arg",
               "{\"name\": \"q_obj_add-thing_arg\", \"meta-type\": "
               "\"object\", \"members\": [{\"name\": \"name\", \"type\": "
               "\"str\"}, {\"name\": \"count\", \"type\": \"int\", "
               "\"default\": null}, {\"name\": \"node\", \"type\": \"Node\", "
               "\"default\": null}]}");
    check_info(infos, "Color",
               "{\"name\": \"Color\", \"meta-type\": \"enum\", \"members\": "
               "[{\"name\": \"red\"}, {\"name\": \"light-blue\", "
               "\"features\": [\"unstable\"]}], \"values\": [\"red\", "
               "\"light-blue\"]}");
    check_info(infos, "[Node]",
               "{\"name\": \"[Node]\", \"meta-type\": \"array\", "
               "\"element-type\": \"Node\"}");
    check_info(infos, "NodeRef",
               "{\"name\": \"NodeRef\", \"meta-type\": \"alternate\", "
               "\"members\": [{\"type\": \"Node\"}, {\"type\": \"str\"}, "
               "{\"type\": \"null\"}]}");
    /* Nothing refers to it */
    g_assert_null(find(infos, "NamedThing"));
    json_decref(infos);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/command/arguments", test_arguments);
    g_test_add_func("/qapi/command/bad-arguments", test_bad_arguments);
    g_test_add_func("/qapi/command/boxed", test_boxed);
    g_test_add_func("/qapi/command/handler-error", test_handler_error);
    g_test_add_func("/qapi/command/returns-list", test_returns_list);
    g_test_add_func("/qapi/command/table", test_table_is_sorted_and_flagged);
    g_test_add_func("/qapi/events", test_events);
    g_test_add_func("/qapi/introspection", test_introspection);
    return g_test_run();
}
