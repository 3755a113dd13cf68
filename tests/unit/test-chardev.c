/*
 * Unit tests of character devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/chardev.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <sys/stat.h>

#include "co-run.h"
#include "descriptors.h"
#include "io/socket.h"
#include "io/yank.h"
#include "object-helpers.h"
#include "qapi/qapi-visit-char.h"

typedef struct Fixture {
    AioContext *ctx;
    char *dir;
    char *addr;                 /* of the unix socket in @dir */

    /* In and out of the coroutines */
    const char *id;
    ChardevBackend *backend;
    GError *err;
    bool added;
    bool done;
    IOChannel *client;

    /* The front end */
    IOChannel *stream;
    int n_streams;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    f->dir = g_dir_make_tmp("test-chardev-XXXXXX", NULL);
    f->addr = g_strdup_printf("unix:%s/s", f->dir);
}

static void teardown(Fixture *f, gconstpointer data)
{
    io_channel_unref(f->client);
    io_channel_unref(f->stream);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    qapi_free_ChardevBackend(f->backend);
    g_clear_error(&f->err);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->addr);
}

static void coroutine_fn co_add(void *opaque)
{
    Fixture *f = opaque;

    f->done = false;
    f->added = chardev_co_add(f->id, f->backend, &f->err);
    f->done = true;
}

/* The backend in JSON with single quotes; a %s in it is the folder. */
static void prepare(Fixture *f, const char *id, const char *json)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) parts = g_strsplit(json, "%s", -1);
    json_t *tree;

    text = g_strdelimit(g_strjoinv(f->dir, parts), "'", '"');
    tree = json_loads(text, 0, NULL);
    g_assert_nonnull(tree);
    g_clear_error(&f->err);
    qapi_free_ChardevBackend(f->backend);
    f->id = id;
    f->backend = qapi_ChardevBackend_from_json(tree, &f->err);
    json_decref(tree);
    g_assert_no_error(f->err);
}

static void try_add(Fixture *f, const char *id, const char *json)
{
    prepare(f, id, json);
    co_run(co_add, f);
}

static void add(Fixture *f, const char *id, const char *json)
{
    try_add(f, id, json);
    g_assert_no_error(f->err);
    g_assert_true(f->added);
}

static void assert_add_fails(Fixture *f, const char *id, const char *json,
                             const char *text)
{
    try_add(f, id, json);
    g_assert_false(f->added);
    g_assert_nonnull(f->err);
    g_assert_cmpstr(f->err->message, ==, text);
}

#define UNIX_SOCKET(more) "{'type': 'socket', 'data': {'addr': {'type': " \
    "'unix', 'data': {'path': '%s/s'}}" more "}}"

static void coroutine_fn co_dial(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(SocketAddress) addr = socket_parse(f->addr, NULL);
    g_autoptr(GError) err = NULL;

    io_channel_unref(f->client);
    f->client = socket_co_connect(addr, NULL, 0, &err);
    g_assert_no_error(err);
}

static void dial(Fixture *f)
{
    co_run(co_dial, f);
}

static void on_opened(IOChannel *ioc, void *opaque)
{
    Fixture *f = opaque;

    io_channel_unref(f->stream);
    f->stream = ioc;
    f->n_streams++;
}

static void attach(Fixture *f, const char *id)
{
    g_assert_true(chardev_attach(chardev_lookup(id), on_opened, f, NULL));
}

static void wait_for_stream(Fixture *f, int n)
{
    while (f->n_streams < n) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmpint(f->n_streams, ==, n);
}

static char *filename_of_only_device(void)
{
    g_autoptr(ChardevInfoList) list = chardev_query();

    g_assert_nonnull(list);
    g_assert_null(list->next);
    return g_strdup(list->value->filename);
}

/* Servers */

static void test_stream_before_attach(Fixture *f, gconstpointer data)
{
    add(f, "mon", UNIX_SOCKET());
    dial(f);
    poll_idle();
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 1);
}

static ssize_t read_now(IOChannel *ioc, char buf[2])
{
    return io_channel_readv(ioc, &(struct iovec){ buf, 2 }, 1);
}

static void test_stream_after_attach(Fixture *f, gconstpointer data)
{
    char buf[2];

    add(f, "mon", UNIX_SOCKET());
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 0);
    dial(f);
    wait_for_stream(f, 1);
    g_assert_cmpint(io_channel_writev(f->stream,
                                      &(struct iovec){ (void *)"hi", 2 }, 1),
                    ==, 2);
    g_assert_cmpint(read_now(f->client, buf), ==, 2);
}

static void test_one_client_at_a_time(Fixture *f, gconstpointer data)
{
    IOChannel *first;
    char buf[2];

    add(f, "mon", UNIX_SOCKET());
    attach(f, "mon");
    dial(f);
    wait_for_stream(f, 1);
    first = g_steal_pointer(&f->client);
    dial(f);
    poll_idle();
    g_assert_cmpint(f->n_streams, ==, 1);
    chardev_disconnect(chardev_lookup("mon"));
    wait_for_stream(f, 2);
    g_assert_cmpint(read_now(first, buf), ==, 0);
    io_channel_unref(first);
}

static void test_socket_is_private(Fixture *f, gconstpointer data)
{
    struct stat st;

    add(f, "mon", UNIX_SOCKET());
    g_assert_cmpint(stat(f->addr + strlen("unix:"), &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
}

static void test_wait(Fixture *f, gconstpointer data)
{
    prepare(f, "mon", UNIX_SOCKET(", 'wait': true"));
    coroutine_start(co_add, f);
    poll_idle();
    g_assert_false(f->done);
    g_assert_null(chardev_lookup("mon"));
    dial(f);
    poll_until(&f->done);
    g_assert_true(f->added);
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 1);
}

static void test_removed_while_waiting(Fixture *f, gconstpointer data)
{
    prepare(f, "mon", UNIX_SOCKET(", 'wait': true"));
    coroutine_start(co_add, f);
    poll_idle();
    g_assert_true(chardev_remove("mon", NULL));
    poll_until(&f->done);
    g_assert_false(f->added);
    g_assert_cmpstr(f->err->message, ==,
                    "Chardev 'mon' was removed while it was opened");
}

static void test_removed_while_looking_up(Fixture *f, gconstpointer data)
{
    prepare(f, "mon", "{'type': 'socket', 'data': {'addr': {'type': 'inet', "
                      "'data': {'host': 'localhost', 'port': '0'}}}}");
    coroutine_start(co_add, f);
    g_assert_false(f->done);
    g_assert_true(chardev_remove("mon", NULL));
    poll_until(&f->done);
    g_assert_false(f->added);
    g_assert_cmpstr(f->err->message, ==,
                    "Chardev 'mon' was removed while it was opened");
}

static void test_yank(Fixture *f, gconstpointer data)
{
    g_autoptr(YankInstanceList) list = NULL;
    char byte;

    add(f, "mon", UNIX_SOCKET());
    attach(f, "mon");
    dial(f);
    wait_for_stream(f, 1);
    list = yank_query();
    g_assert_true(yank_instances(list, NULL));
    g_assert_cmpint(io_channel_readv(f->stream,
                                     &(struct iovec){ &byte, 1 }, 1), ==, 0);
}

/* Clients */

static void test_client(Fixture *f, gconstpointer data)
{
    g_autofree char *name = NULL;
    g_autofree char *expected = g_strdup(f->addr);

    add(f, "srv", UNIX_SOCKET());
    add(f, "mon", UNIX_SOCKET(", 'server': false"));
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 1);
    g_assert_true(chardev_remove("srv", NULL));
    name = filename_of_only_device();
    g_assert_cmpstr(name, ==, expected);
}

static void test_client_refused(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strdup_printf("Failed to connect to '%s/s': No "
                                            "such file or directory", f->dir);

    assert_add_fails(f, "mon", UNIX_SOCKET(", 'server': false"), text);
    g_assert_null(chardev_query());
}

static void test_client_reconnects(Fixture *f, gconstpointer data)
{
    AioVirtualClock clock = { .now_ns = 1 };

    aio_context_free(f->ctx);
    f->ctx = aio_context_new(&clock, NULL);
    add(f, "mon", UNIX_SOCKET(", 'server': false, 'reconnect': 2"));
    attach(f, "mon");
    poll_idle();
    g_assert_cmpint(f->n_streams, ==, 0);

    add(f, "srv", UNIX_SOCKET());
    clock.now_ns += 2 * NANOSECONDS_PER_SECOND;
    poll_idle();
    g_assert_cmpint(f->n_streams, ==, 1);

    chardev_disconnect(chardev_lookup("mon"));
    poll_idle();
    g_assert_cmpint(f->n_streams, ==, 1);
    clock.now_ns += 2 * NANOSECONDS_PER_SECOND;
    poll_idle();
    g_assert_cmpint(f->n_streams, ==, 2);
    g_assert_true(chardev_remove("srv", NULL));
    /* The stream and the timer go with the context. */
    io_channel_unref(g_steal_pointer(&f->stream));
    aio_context_free(f->ctx);
    f->ctx = aio_context_new(NULL, NULL);
}

/* TLS: a client with a key and a server that knows it */

static void take_stream(IOChannel *ioc, void *opaque)
{
    *(IOChannel **)opaque = ioc;
}

static bool need_tls(void)
{
#ifndef CONFIG_GNUTLS
    g_test_skip("this build has no gnutls");
    return false;
#else
    return true;
#endif
}

static void add_key(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->dir, "keys.psk", NULL);

    g_assert_true(g_file_set_contents(path, "alice:6a1f9a2d2b8f4c0e\n", -1,
                                      NULL));
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': 'server', "
                    "'endpoint': 'server', 'dir': '%s'}", f->dir);
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': 'client', "
                    "'dir': '%s', 'username': 'alice'}", f->dir);
}

/* The server reads it for each client. */
static void remove_key(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->dir, "keys.psk", NULL);

    g_unlink(path);
}

static void test_key(Fixture *f, gconstpointer data)
{
    IOChannel *server = NULL, *client = NULL;
    char buf[2] = "";

    if (!need_tls()) {
        return;
    }
    add_key(f);
    add(f, "srv", UNIX_SOCKET(", 'tls-creds': 'server'"));
    g_assert_true(chardev_attach(chardev_lookup("srv"), take_stream, &server,
                                 NULL));
    add(f, "mon", UNIX_SOCKET(", 'server': false, 'tls-creds': 'client'"));
    g_assert_true(chardev_attach(chardev_lookup("mon"), take_stream, &client,
                                 NULL));
    while (!server || !client) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmpint(io_channel_writev(client,
                                      &(struct iovec){ (void *)"hi", 2 }, 1),
                    ==, 2);
    g_assert_cmpint(read_now(server, buf), ==, 2);
    g_assert_cmpmem(buf, 2, "hi", 2);
    io_channel_unref(client);
    io_channel_unref(server);
    remove_key(f);
}

static void test_plain_client_of_tls_server(Fixture *f, gconstpointer data)
{
    char buf[2];

    if (!need_tls()) {
        return;
    }
    add_key(f);
    add(f, "srv", UNIX_SOCKET(", 'tls-creds': 'server'"));
    attach(f, "srv");
    dial(f);
    g_assert_cmpint(io_channel_writev(f->client,
                                      &(struct iovec){ (void *)"hi\n\r\n..", 7 },
                                      1), ==, 7);
    while (read_now(f->client, buf) == -EAGAIN) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmpint(f->n_streams, ==, 0);
    remove_key(f);
}

/* Nobody keeps the others out by saying nothing. */
static void test_silent_client_of_tls_server(Fixture *f, gconstpointer data)
{
    AioVirtualClock clock = { .now_ns = 1 };
    g_autoptr(IOChannel) silent = NULL;
    char buf[2];

    if (!need_tls()) {
        return;
    }
    aio_context_free(f->ctx);
    f->ctx = aio_context_new(&clock, NULL);
    add_key(f);
    add(f, "srv", UNIX_SOCKET(", 'tls-creds': 'server'"));
    attach(f, "srv");
    dial(f);
    silent = g_steal_pointer(&f->client);
    poll_idle();
    g_assert_cmpint(read_now(silent, buf), ==, -EAGAIN);

    clock.now_ns += 11 * NANOSECONDS_PER_SECOND;
    poll_idle();
    g_assert_cmpint(read_now(silent, buf), ==, 0);
    add(f, "mon", UNIX_SOCKET(", 'server': false, 'tls-creds': 'client'"));
    wait_for_stream(f, 1);
    remove_key(f);

    io_channel_unref(g_steal_pointer(&f->stream));
    io_channel_unref(g_steal_pointer(&silent));
    aio_context_free(f->ctx);
    f->ctx = aio_context_new(NULL, NULL);
}

/* Files and nothing */

static void test_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "out", NULL);
    g_autofree char *text = NULL;
    char byte;

    add(f, "mon", "{'type': 'file', 'data': {'out': '%s/out'}}");
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 1);
    g_assert_cmpint(io_channel_writev(f->stream,
                                      &(struct iovec){ (void *)"text", 4 },
                                      1), ==, 4);
    g_assert_cmpint(io_channel_readv(f->stream,
                                     &(struct iovec){ &byte, 1 }, 1),
                    ==, -EAGAIN);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "text");
    g_unlink(path);
}

static void test_fifo_that_nobody_reads(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "fifo", NULL);
    g_autofree char *text = g_strdup_printf("Could not open '%s': No such "
                                            "device or address", path);

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    alarm(30);                  /* an open() that waits would do so for good */
    assert_add_fails(f, "a", "{'type': 'file', 'data': {'out': "
                     "'%s/fifo'}}", text);
    alarm(0);
    g_unlink(path);
}

static void test_null(Fixture *f, gconstpointer data)
{
    g_autofree char *name = NULL;

    add(f, "mon", "{'type': 'null', 'data': {}}");
    attach(f, "mon");
    g_assert_cmpint(f->n_streams, ==, 0);
    name = filename_of_only_device();
    g_assert_cmpstr(name, ==, "null");
}

/* The table */

static void test_query(Fixture *f, gconstpointer data)
{
    g_autoptr(ChardevInfoList) list = NULL;
    g_autofree char *filename = g_strdup_printf("disconnected:%s,server=on",
                                                f->addr);

    add(f, "mon", UNIX_SOCKET());
    attach(f, "mon");
    list = chardev_query();
    g_assert_cmpstr(list->value->label, ==, "mon");
    g_assert_cmpstr(list->value->filename, ==, filename);
    g_assert_true(list->value->frontend_open);
}

static void test_remove(Fixture *f, gconstpointer data)
{
    GError *err = NULL;

    add(f, "mon", UNIX_SOCKET());
    attach(f, "mon");
    g_assert_false(chardev_remove("mon", &err));
    g_assert_cmpstr(err->message, ==, "Chardev 'mon' is busy");
    g_clear_error(&err);
    chardev_detach(chardev_lookup("mon"));
    g_assert_true(chardev_remove("mon", &err));
    g_assert_false(chardev_remove("mon", &err));
    g_assert_cmpstr(err->message, ==, "Chardev 'mon' not found");
    g_clear_error(&err);
}

static void test_busy(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    add(f, "mon", "{'type': 'null', 'data': {}}");
    attach(f, "mon");
    g_assert_false(chardev_attach(chardev_lookup("mon"), on_opened, f, &err));
    g_assert_cmpstr(err->message, ==, "Chardev 'mon' is busy");
}

static void test_bad_options(Fixture *f, gconstpointer data)
{
    add(f, "mon", "{'type': 'null', 'data': {}}");
    assert_add_fails(f, "mon", "{'type': 'null', 'data': {}}",
                     "Chardev with id 'mon' already exists");
    assert_add_fails(f, "1", "{'type': 'null', 'data': {}}",
                     "Parameter 'id' expects an identifier");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'reconnect': 1"),
                     "'reconnect' option is incompatible with socket in "
                     "server listen mode");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'server': false, "
                                         "'reconnect': -1"),
                     "'reconnect' must be from 0 to 86400 seconds");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'server': false, "
                                         "'reconnect': 18446744074"),
                     "'reconnect' must be from 0 to 86400 seconds");
    assert_add_fails(f, "a", "{'type': 'socket', 'data': {'addr': {'type': "
                     "'fd', 'data': {'str': '0'}}, 'server': false, "
                     "'reconnect': 1}}",
                     "'reconnect' option is incompatible with 'fd' address "
                     "type");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'server': false, 'wait': true"),
                     "'wait' option is incompatible with socket in client "
                     "connect mode");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'tls-authz': 'z'"),
                     "'tls_authz' option is only valid with 'tls_creds'");
    assert_add_fails(f, "a", UNIX_SOCKET(", 'tls-creds': 'z'"),
                     "No TLS credentials with id 'z'");
    assert_add_fails(f, "a", "{'type': 'file', 'data': {'out': "
                     "'/nonexistent/x'}}",
                     "Could not open '/nonexistent/x': No such file or "
                     "directory");
}

static void test_out_of_descriptors(Fixture *f, gconstpointer data)
{
    struct rlimit old = leave_descriptors(1);

    assert_add_fails(f, "a", "{'type': 'file', 'data': {'out': "
                     "'/dev/null'}}",
                     "Could not create a pipe: Too many open files");
    assert_add_fails(f, "a", "{'type': 'stdio', 'data': {}}",
                     "Could not use standard I/O: Too many open files");
    setrlimit(RLIMIT_NOFILE, &old);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        { "/chardev/server/stream-before-attach", test_stream_before_attach },
        { "/chardev/server/stream-after-attach", test_stream_after_attach },
        { "/chardev/server/one-client-at-a-time", test_one_client_at_a_time },
        { "/chardev/server/is-private", test_socket_is_private },
        { "/chardev/server/wait", test_wait },
        { "/chardev/server/removed-while-waiting",
          test_removed_while_waiting },
        { "/chardev/server/removed-while-looking-up",
          test_removed_while_looking_up },
        { "/chardev/yank", test_yank },
        { "/chardev/client/connects", test_client },
        { "/chardev/client/refused", test_client_refused },
        { "/chardev/client/reconnects", test_client_reconnects },
        { "/chardev/tls/key", test_key },
        { "/chardev/tls/plain-client", test_plain_client_of_tls_server },
        { "/chardev/tls/silent-client", test_silent_client_of_tls_server },
        { "/chardev/file", test_file },
        { "/chardev/file/fifo", test_fifo_that_nobody_reads },
        { "/chardev/null", test_null },
        { "/chardev/query", test_query },
        { "/chardev/remove", test_remove },
        { "/chardev/busy", test_busy },
        { "/chardev/bad-options", test_bad_options },
        { "/chardev/out-of-descriptors", test_out_of_descriptors },
    };

    g_test_init(&argc, &argv, NULL);
    object_register_types(qom_types);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
