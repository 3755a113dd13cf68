/*
 * key=value text to trees
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/keyval.h"

typedef struct Row {
    const char *text;
    const char *implied;
    const char *expected;       /* JSON, or an error after "! " */
} Row;

static const Row rows[] = {
    { "", NULL, "{}" },
    { "a=b", NULL, "{\"a\": \"b\"}" },
    { "a=", NULL, "{\"a\": \"\"}" },
    { "a=b,c=d", NULL, "{\"a\": \"b\", \"c\": \"d\"}" },
    { "a=b,", NULL, "{\"a\": \"b\"}" },
    { "a=1,a=2", NULL, "{\"a\": \"2\"}" },
    { "a=x,,y,,,b=z", NULL, "{\"a\": \"x,y,\", \"b\": \"z\"}" },
    { "a=b=c", NULL, "{\"a\": \"b=c\"}" },
    { "a.b=c,a.d.e=f", NULL,
      "{\"a\": {\"b\": \"c\", \"d\": {\"e\": \"f\"}}}" },
    { "l.0=x,l.1=y", NULL, "{\"l\": [\"x\", \"y\"]}" },
    { "l.1=y,l.0=x", NULL, "{\"l\": [\"x\", \"y\"]}" },
    { "l.0.a=x,l.1.a=y", NULL, "{\"l\": [{\"a\": \"x\"}, {\"a\": \"y\"}]}" },
    { "file,node-name=f", "driver",
      "{\"driver\": \"file\", \"node-name\": \"f\"}" },
    { "driver=file", "driver", "{\"driver\": \"file\"}" },

    { "a", NULL, "! Expected '=' after parameter 'a'" },
    { "a=b,c", "driver", "! Expected '=' after parameter 'c'" },
    { ",a=b", "driver", "! Expected '=' after parameter ''" },
    { "=b", NULL, "! Invalid parameter ''" },
    { "a.=b", NULL, "! Invalid parameter 'a.'" },
    { ".a=b", NULL, "! Invalid parameter '.a'" },
    { "0=b", NULL, "! Invalid parameter '0'" },
    { "a b=c", NULL, "! Invalid parameter 'a b'" },
    { "a=x,a.b=y", NULL, "! Parameters 'a.*' used inconsistently" },
    { "a.b=y,a=x", NULL, "! Parameters 'a.*' used inconsistently" },
    { "a.b.c=x,a.b=y", NULL, "! Parameters 'a.b.*' used inconsistently" },
    { "l.0=x,l.b=y", NULL, "! Parameters 'l.*' used inconsistently" },
    { "l.1=x", NULL, "! Parameter 'l.0' missing" },
    { "l.0=x,l.99999999999999999999=y", NULL, "! Parameter 'l.1' missing" },
    { "l.0=x,l.00=y", NULL, "! Parameter 'l.1' missing" },
    { "a=\xff", NULL, "! Parameter 'a' is not valid UTF-8" },
};

static void check_row(const Row *row)
{
    g_autoptr(GError) err = NULL;
    json_t *tree = keyval_parse(row->text, row->implied, NULL, &err);

    if (g_str_has_prefix(row->expected, "! ")) {
        g_assert_null(tree);
        g_assert_cmpstr(err->message, ==, row->expected + 2);
    } else {
        json_t *expected = json_loads(row->expected, 0, NULL);

        g_assert_no_error(err);
        g_assert_nonnull(expected);
        g_assert_true(json_equal(tree, expected));
        json_decref(expected);
        json_decref(tree);
    }
}

static void test_table(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *printable = g_strescape(rows[i].text, NULL);

        g_test_message("'%s'", printable);
        check_row(&rows[i]);
    }
}

static void test_fragment_of_128_bytes_is_refused(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *name = g_strnfill(128, 'a');
    g_autofree char *text = g_strdup_printf("%s=x", name);
    g_autofree char *expected = NULL;

    g_assert_null(keyval_parse(text, NULL, NULL, &err));
    expected = g_strdup_printf("Parameter '%s' is too long", name);
    g_assert_cmpstr(err->message, ==, expected);
}

static void test_depth_is_bounded(void)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(GString) text = g_string_new("a");
    int i;

    for (i = 0; i < 100000; i++) {
        g_string_append(text, ".a");
    }
    g_string_append(text, "=x");
    g_assert_null(keyval_parse(text->str, NULL, NULL, &err));
    g_assert_nonnull(strstr(err->message, "nested too deeply"));
}

static void test_depth_of_json_is_bounded(void)
{
    g_autoptr(GError) err = NULL;
    json_t *value = json_object();

    for (int i = 0; i < 100; i++) {
        value = json_pack("{s:o}", "a", value);
    }
    g_assert_null(keyval_stringify(value, &err));
    g_assert_cmpstr(err->message, ==, "Options are nested too deeply");
    json_decref(value);
}

static void test_help_is_told_apart(void)
{
    bool help = false;
    json_t *tree = keyval_parse("file,help", "driver", &help, NULL);

    g_assert_nonnull(tree);
    g_assert_true(help);
    g_assert_cmpuint(json_object_size(tree), ==, 1);
    json_decref(tree);
}

static void test_help_that_there_is_not(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(keyval_parse("help", "driver", NULL, &err));
    g_assert_cmpstr(err->message, ==, "Help is not available for this option");
}

static void test_scalars_become_strings(void)
{
    json_t *value = json_loads("{\"a\": true, \"b\": [1, false], \"c\": null}",
                               0, NULL);
    json_t *expected = json_loads("{\"a\": \"on\", \"b\": [\"1\", \"off\"], "
                                  "\"c\": null}", 0, NULL);
    json_t *strings = keyval_stringify(value, NULL);

    g_assert_true(json_equal(strings, expected));
    json_decref(strings);
    json_decref(expected);
    json_decref(value);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/table", test_table);
    g_test_add_func("/keyval/long-fragment",
                    test_fragment_of_128_bytes_is_refused);
    g_test_add_func("/keyval/deep", test_depth_is_bounded);
    g_test_add_func("/keyval/depth-of-json",
                    test_depth_of_json_is_bounded);
    g_test_add_func("/keyval/help", test_help_is_told_apart);
    g_test_add_func("/keyval/no-help", test_help_that_there_is_not);
    g_test_add_func("/keyval/stringify", test_scalars_become_strings);
    return g_test_run();
}
