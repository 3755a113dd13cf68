/*
 * The daemon's command line, and character devices on it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "chardev-option.h"
#include "qapi/json-stream.h"
#include "qapi/qapi-visit-char.h"

/* Parse words up to a NULL; NULL and the error's text, or "". */
static char *parse(CommandLine *cl, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) err = NULL;
    const char *word;
    va_list ap;

    g_ptr_array_add(argv, (char *)"daemon");
    va_start(ap, cl);
    do {
        word = va_arg(ap, const char *);
        g_ptr_array_add(argv, (char *)word);
    } while (word);
    va_end(ap);
    if (command_line_parse((char **)argv->pdata, cl, &err)) {
        return g_strdup("");
    }
    return g_strdup(err->message);
}

static void check_error(const char *expected, const char *word,
                        const char *arg)
{
    CommandLine cl = { NULL };
    g_autofree char *error = parse(&cl, word, arg, NULL);

    g_assert_nonnull(strstr(error, expected));
    command_line_clear(&cl);
}

static void test_one_or_two_dashes(void)
{
    CommandLine cl = { NULL };
    g_autofree char *error = parse(&cl, "-drive", "a", "--drive", "b", NULL);

    g_assert_cmpstr(error, ==, "");
    g_assert_cmpuint(cl.given->len, ==, 2);
    g_assert_cmpstr(command_line_last(&cl, OPT_DRIVE), ==, "b");
    g_assert_false(command_line_has(&cl, OPT_STOPPED));
    command_line_clear(&cl);
}

static void test_argument_after_equals(void)
{
    CommandLine cl = { NULL };
    g_autofree char *error = parse(&cl, "--blockdev=driver=null-co",
                                   "--name=", "-S", NULL);

    g_assert_cmpstr(error, ==, "");
    g_assert_cmpstr(command_line_last(&cl, OPT_BLOCKDEV), ==,
                    "driver=null-co");
    g_assert_cmpstr(g_array_index(cl.given, GivenOption, 0).name, ==,
                    "--blockdev");
    g_assert_cmpstr(command_line_last(&cl, OPT_NAME), ==, "");
    g_assert_true(command_line_has(&cl, OPT_STOPPED));
    command_line_clear(&cl);
}

static void test_faults_name_the_option(void)
{
    check_error("-foo: invalid option", "-foo", NULL);
    check_error("--drive: requires an argument", "--drive", NULL);
    check_error("'x.img' is not an option", "x.img", NULL);
    check_error("-: invalid option", "-", NULL);
    check_error("---S: invalid option", "---S", NULL);
    check_error("--foo: invalid option", "--foo=x", NULL);
    check_error("-drive=x: invalid option", "-drive=x", NULL);
    check_error("--S: takes no argument", "--S=on", NULL);
}

static void check_echo(const char *arg, const char *expected)
{
    g_autofree char *shown = object_option_echo(arg);

    g_assert_cmpstr(shown, ==, expected);
}

static void test_secrets_are_not_shown(void)
{
    check_echo("secret,id=s,data=xyzzy,format=raw", "secret,id=s,data=***");
    check_echo("secret,data=xy,,z,zy,id=s", "secret,data=***");
    check_echo("{'qom-type': 'secret', 'id': 's', 'd\\u0061ta': 'xyzzy'}",
               "{...}");
    check_echo("secret,id=s,file=my,,data=x", "secret,id=s,file=my,,data=x");
    check_echo("iothread,id=t", "iothread,id=t");
}

static void test_secrets_are_not_in_errors(void)
{
    static const char *const args[] = {
        "secret,id=s,data=xy,xyzzy", "secret,id=s,data=xyzzy,format=foo",
        "secret,id=1,data=xyzzy", "secret,id=s,data=xyzzy,format=base64,x=y",
        "{'qom-type': 'secret', 'data': xyzzy}",
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(args); i++) {
        g_autoptr(GError) err = NULL;

        g_assert_false(object_option_apply(args[i], &err));
        g_assert_null(strstr(err->message, "xyzzy"));
    }
}

static void test_one_nbd_server_only(void)
{
    CommandLine cl = { NULL };
    g_autofree char *error = parse(&cl, "-nbd-server", "a", "--nbd-server",
                                   "b", NULL);

    g_assert_cmpstr(error, ==, "--nbd-server: may be given only once");
    command_line_clear(&cl);
}

static void test_machine_options_are_named(void)
{
    CommandLine cl = { NULL };
    g_autofree char *error = parse(&cl, "-M", "none", "-S", "-nodefaults",
                                   NULL);
    g_autofree char *ignored = command_line_ignored(&cl);

    g_assert_cmpstr(error, ==, "");
    g_assert_cmpstr(ignored, ==, "-M, -nodefaults");
    command_line_clear(&cl);
}

typedef struct Row {
    const char *text;
    const char *expected;       /* JSON in '...', or the error after "! " */
} Row;

/* -qmp and -monitor */
static const Row compat_rows[] = {
    { "stdio", "{'type': 'stdio', 'data': {}}" },
    { "null", "{'type': 'null', 'data': {}}" },
    { "unix:/s,server=on,wait=off",
      "{'type': 'socket', 'data': {'server': true, 'wait': false,"
      " 'addr': {'type': 'unix', 'data': {'path': '/s'}}}}" },
    { "unix:/s,server,nowait",
      "{'type': 'socket', 'data': {'server': true, 'wait': false,"
      " 'addr': {'type': 'unix', 'data': {'path': '/s'}}}}" },
    { "unix:/s",
      "{'type': 'socket', 'data': {'server': false,"
      " 'addr': {'type': 'unix', 'data': {'path': '/s'}}}}" },
    { "tcp:h:1,server=on",
      "{'type': 'socket', 'data': {'server': true, 'addr': {'type': 'inet',"
      " 'data': {'host': 'h', 'port': '1'}}}}" },
    { "tcp:[::1]:1,server=on",
      "{'type': 'socket', 'data': {'server': true, 'addr': {'type': 'inet',"
      " 'data': {'host': '::1', 'port': '1'}}}}" },
    { "file:/f", "{'type': 'file', 'data': {'out': '/f'}}" },
    { "tcp:h", "! 'h' is not HOST:PORT" },
    { "vc", "! 'vc' is not a valid char driver" },
    { "unix:/s,foo=1", "! Parameter 'data.foo' is unexpected" },
    { "unix:/s,server=maybe", "! 'data.server'" },
};

static void check_backend(ChardevBackend *backend, GError *err,
                          const Row *row)
{
    json_t *got, *expected;

    if (row->expected[0] == '!') {
        g_assert_null(backend);
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, row->expected + 2));
        return;
    }
    g_assert_no_error(err);
    got = qapi_ChardevBackend_to_json(backend);
    expected = json_parse(row->expected, strlen(row->expected), NULL);
    g_assert_true(json_equal(got, expected));
    json_decref(got);
    json_decref(expected);
}

static void test_compat_chardevs(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(compat_rows); i++) {
        g_autoptr(GError) err = NULL;
        g_autoptr(ChardevBackend) backend =
            chardev_compat_parse(compat_rows[i].text, &err);

        g_test_message("'%s'", compat_rows[i].text);
        check_backend(backend, err, &compat_rows[i]);
    }
}

/* -chardev; the id is "m" where there is one */
static const Row option_rows[] = {
    { "socket,id=m,path=/s,server,nowait",
      "{'type': 'socket', 'data': {'server': true, 'wait': false,"
      " 'addr': {'type': 'unix', 'data': {'path': '/s'}}}}" },
    { "backend=socket,id=m,host=h,port=9003,server=off,reconnect=1",
      "{'type': 'socket', 'data': {'server': false, 'reconnect': 1,"
      " 'addr': {'type': 'inet', 'data': {'host': 'h', 'port': '9003'}}}}" },
    { "stdio,id=m,signal=off", "{'type': 'stdio', 'data': {'signal': false}}"
    },
    { "socket,path=/s", "! chardev: no id specified" },
    { "id=m", "! missing backend" },
    { "socket,id=m", "! no path, no fd, no port given" },
    { "socket,id=m,path=/s,host=h", "! mutually exclusive" },
    { "pty,id=m", "! 'pty'" },
};

static void test_chardevs(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(option_rows); i++) {
        g_autoptr(GError) err = NULL;
        g_autofree char *id = NULL;
        g_autoptr(ChardevBackend) backend =
            chardev_option_parse(option_rows[i].text, &id, &err);

        g_test_message("'%s'", option_rows[i].text);
        check_backend(backend, err, &option_rows[i]);
        g_assert_cmpstr(id, ==, backend ? "m" : NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/command-line/dashes", test_one_or_two_dashes);
    g_test_add_func("/command-line/equals", test_argument_after_equals);
    g_test_add_func("/command-line/faults", test_faults_name_the_option);
    g_test_add_func("/command-line/secret-echo", test_secrets_are_not_shown);
    g_test_add_func("/command-line/secret-error",
                    test_secrets_are_not_in_errors);
    g_test_add_func("/command-line/single", test_one_nbd_server_only);
    g_test_add_func("/command-line/ignored", test_machine_options_are_named);
    g_test_add_func("/command-line/compat-chardev", test_compat_chardevs);
    g_test_add_func("/command-line/chardev", test_chardevs);
    return g_test_run();
}
