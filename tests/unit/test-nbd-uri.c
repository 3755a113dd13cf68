/*
 * File names that stand for protocols, NBD's above all
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

typedef struct Row {
    const char *name;
    const char *driver;         /* NULL: found from the name */
    const char *expected;       /* JSON, or a part of the error after "! " */
} Row;

#define INET(h, p) "\"driver\": \"nbd\", \"server\": {\"type\": \"inet\", " \
    "\"host\": \"" h "\", \"port\": \"" p "\"}"
#define UNIX(p) "\"driver\": \"nbd\", \"server\": {\"type\": \"unix\", " \
    "\"path\": \"" p "\"}"

static const Row rows[] = {
    { "x.img", NULL, "{\"driver\": \"file\", \"filename\": \"x.img\"}" },
    { "./a:b", NULL, "{\"driver\": \"file\", \"filename\": \"./a:b\"}" },
    { "file:a:b", NULL, "{\"driver\": \"file\", \"filename\": \"a:b\"}" },
    { "/dev/null", NULL,
      "{\"driver\": \"file\", \"filename\": \"/dev/null\"}" },
    { "host_device:/dev/x", NULL,
      "{\"driver\": \"host_device\", \"filename\": \"/dev/x\"}" },
    { "/dev/null", "file",
      "{\"driver\": \"file\", \"filename\": \"/dev/null\"}" },
    { "null-co://", NULL, "{\"driver\": \"null-co\"}" },
    { "null-co://x", NULL, "! only allowed filename" },
    { "gopher:x", NULL, "! Unknown protocol 'gopher'" },
    { "caf\xe9.img", NULL, "! File name is not valid UTF-8" },

    { "nbd://h", NULL, "{" INET("h", "10809") "}" },
    { "nbd://h/", NULL, "{" INET("h", "10809") "}" },
    { "nbd://h:1/e", NULL, "{" INET("h", "1") ", \"export\": \"e\"}" },
    { "nbd+tcp://h/a%2fb", NULL,
      "{" INET("h", "10809") ", \"export\": \"a/b\"}" },
    { "nbd://[::1]:5/e", NULL, "{" INET("::1", "5") ", \"export\": \"e\"}" },
    { "nbd+unix:///e?socket=/tmp/s", NULL,
      "{" UNIX("/tmp/s") ", \"export\": \"e\"}" },
    { "nbd+unix:///?socket=/a%20b", NULL, "{" UNIX("/a b") "}" },
    { "nbd+unix:///e", NULL, "! '?socket=PATH'" },
    { "nbd+unix://h/e?socket=/s", NULL, "! a unix socket has no host" },
    { "nbd+unix:///e?sock=/s", NULL, "! unknown parameter 'sock=/s'" },
    { "nbd:///e", NULL, "! no host" },
    { "nbd://h/e?socket=/s", NULL, "! parameters are for unix sockets" },
    { "nbd://h/%zz", NULL, "! Invalid NBD URI 'nbd://h/%zz': " },
    { "nbd://h/%00", NULL, "! Invalid NBD URI 'nbd://h/%00': bad export name" },

    { "nbd:h:1", NULL, "{" INET("h", "1") "}" },
    { "nbd::1", NULL, "{" INET("localhost", "1") "}" },
    { "nbd:[::1]:2:exportname=e:f", NULL,
      "{" INET("::1", "2") ", \"export\": \"e:f\"}" },
    { "nbd:unix:/s", NULL, "{" UNIX("/s") "}" },
    { "nbd:unix:/s:exportname=e", NULL,
      "{" UNIX("/s") ", \"export\": \"e\"}" },
    { "nbd:h", NULL, "! Invalid NBD address 'nbd:h'" },
    { "nbd:unix:", NULL, "! no path" },
    { "x", "nbd", "! must start with 'nbd:'" },
};

static void check_row(const Row *row)
{
    g_autoptr(GError) err = NULL;
    json_t *node = filename_parse(row->name, row->driver, &err);

    if (row->expected[0] == '!') {
        g_assert_null(node);
        g_assert_nonnull(strstr(err->message, row->expected + 2));
    } else {
        json_t *expected = json_loads(row->expected, 0, NULL);

        g_assert_no_error(err);
        g_assert_nonnull(expected);
        g_assert_true(json_equal(node, expected));
        json_decref(expected);
        json_decref(node);
    }
}

static void test_table(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        g_test_message("'%s'", rows[i].name);
        check_row(&rows[i]);
    }
}

/* Old keys of the driver: what a drive_add in every COLO script has. */
static const Row legacy_rows[] = {
    { "{\"host\": \"h\", \"port\": \"1\"}", NULL,
      "{\"server\": {\"type\": \"inet\", \"host\": \"h\", \"port\": \"1\"}}" },
    { "{\"host\": \"h\"}", NULL, "{\"server\": {\"type\": \"inet\", "
      "\"host\": \"h\", \"port\": \"10809\"}}" },
    { "{\"path\": \"/s\"}", NULL,
      "{\"server\": {\"type\": \"unix\", \"path\": \"/s\"}}" },
    { "{}", NULL, "{}" },
    { "{\"port\": \"1\"}", NULL, "! port may not be used without host" },
    { "{\"path\": \"/s\", \"host\": \"h\"}", NULL,
      "! path and host may not be used at the same time" },
    { "{\"path\": \"/s\", \"server\": {}}", NULL,
      "! 'server' and path/host/port cannot be used at the same time" },
};

static void test_legacy_keys(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(legacy_rows); i++) {
        const Row *row = &legacy_rows[i];
        g_autoptr(GError) err = NULL;
        json_t *node = json_loads(row->name, 0, NULL);
        bool ok = nbd_legacy_keys(node, &err);

        if (row->expected[0] == '!') {
            g_assert_false(ok);
            g_assert_cmpstr(err->message, ==, row->expected + 2);
        } else {
            json_t *expected = json_loads(row->expected, 0, NULL);

            g_assert_no_error(err);
            g_assert_true(json_equal(node, expected));
            json_decref(expected);
        }
        json_decref(node);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nbd-uri/filename", test_table);
    g_test_add_func("/nbd-uri/legacy-keys", test_legacy_keys);
    return g_test_run();
}
