/*
 * Unit tests of TLS channels and credentials
 *
 * Both ends of a connection are in this process.  Pre-shared keys need one
 * file; certificates are made with certtool, and their tests are skipped
 * where it is missing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/tls.h"

#include <glib/gstdio.h>
#include <sys/socket.h>

#include "co-run.h"
#include "descriptors.h"
#include "object-helpers.h"

#define BULK (3 * 1000 * 1000)

typedef struct End {
    IOChannel *plain;
    IOChannel *tls;
    TLSCreds *creds;
    const char *hostname;
    const char *authz;
    bool server;
    GError *err;
    bool done;

    /* For the transfers */
    uint8_t *data;
    int ret;
} End;

typedef struct Fixture {
    AioContext *ctx;
    End client;
    End server;
} Fixture;

/* Keys and certificates: made once, for all tests */
static char *keys_dir;
static bool have_certs;

static void setup(Fixture *f, gconstpointer data)
{
    int fd[2];

    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    f->server.server = true;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    f->client.plain = io_channel_new_fd(fd[0]);
    f->server.plain = io_channel_new_fd(fd[1]);
}

static void end_clear(End *end)
{
    io_channel_unref(end->tls);
    io_channel_unref(end->plain);
    tls_creds_unref(end->creds);
    g_clear_error(&end->err);
    g_free(end->data);
}

static void teardown(Fixture *f, gconstpointer data)
{
    end_clear(&f->client);
    end_clear(&f->server);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void coroutine_fn end_handshake(void *opaque)
{
    End *end = opaque;

    end->tls = end->server
        ? io_channel_tls_co_server(end->plain, end->creds, end->authz,
                                   &end->err)
        : io_channel_tls_co_client(end->plain, end->creds, end->hostname,
                                   &end->err);
    end->done = true;
    if (!end->tls) {
        io_channel_shutdown(end->plain);
    }
}

static void take_creds(Fixture *f)
{
    g_autoptr(GError) err = NULL;

    f->client.creds = tls_creds_lookup("client", false, &err);
    g_assert_no_error(err);
    f->server.creds = tls_creds_lookup("server", true, &err);
    g_assert_no_error(err);
}

static void handshake(Fixture *f)
{
    take_creds(f);
    coroutine_start(end_handshake, &f->server);
    coroutine_start(end_handshake, &f->client);
    poll_until(&f->client.done);
    poll_until(&f->server.done);
}

static void assert_handshake_ok(Fixture *f)
{
    g_assert_no_error(f->client.err);
    g_assert_no_error(f->server.err);
}

static void assert_refused(End *end, const char *text)
{
    g_assert_null(end->tls);
    g_assert_nonnull(end->err);
    g_assert_cmpstr(end->err->message, ==, text);
}

static void add_psk(const char *id, const char *endpoint, const char *user)
{
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': '%s', 'dir': '%s', "
                    "'endpoint': '%s' %s%s%s}", id, keys_dir, endpoint,
                    user ? ", 'username': '" : "", user ?: "",
                    user ? "'" : "");
}

static void psk_handshake(Fixture *f)
{
    add_psk("server", "server", NULL);
    add_psk("client", "client", "alice");
    handshake(f);
}

/* Moving data */

static void coroutine_fn end_send_bulk(void *opaque)
{
    End *end = opaque;
    /* A header, an empty piece, and data of no round size */
    struct iovec iov[] = {
        { end->data, 16 }, { end->data, 0 }, { end->data + 16, BULK - 16 },
    };

    end->ret = io_channel_co_writev_full(end->tls, iov, ARRAY_SIZE(iov));
    end->done = true;
}

static void coroutine_fn end_receive_bulk(void *opaque)
{
    End *end = opaque;

    end->ret = io_channel_co_read_full(end->tls, end->data, BULK);
    end->done = true;
}

static void transfer(End *from, End *to)
{
    from->done = to->done = false;
    from->data = g_malloc(BULK);
    to->data = g_malloc0(BULK);
    for (size_t i = 0; i < BULK; i++) {
        from->data[i] = i * 7 + i / 256;
    }
    coroutine_start(end_send_bulk, from);
    coroutine_start(end_receive_bulk, to);
    poll_until(&from->done);
    poll_until(&to->done);
    g_assert_cmpint(from->ret, ==, 0);
    g_assert_cmpint(to->ret, ==, 0);
    g_assert_true(!memcmp(from->data, to->data, BULK));
    g_clear_pointer(&from->data, g_free);
    g_clear_pointer(&to->data, g_free);
}

static void test_psk_transfer(Fixture *f, gconstpointer data)
{
    psk_handshake(f);
    assert_handshake_ok(f);
    transfer(&f->client, &f->server);
    transfer(&f->server, &f->client);
}

static void test_old_protocol(Fixture *f, gconstpointer data)
{
    add_psk("server", "server", NULL);
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': 'client', 'dir': "
                    "'%s', 'username': 'alice', 'priority': "
                    "'NORMAL:-VERS-TLS1.3'}", keys_dir);
    handshake(f);
    assert_handshake_ok(f);
    transfer(&f->client, &f->server);
    transfer(&f->server, &f->client);
}

static void test_bad_priority(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(try_object_add(&err, "{'qom-type': 'tls-creds-psk', "
                                  "'id': 'c', 'dir': '%s', 'priority': "
                                  "'NONSENSE'}", keys_dir));
    g_assert_true(g_str_has_prefix(err->message, "Unable to set TLS session "
                                   "priority NONSENSE"));
}

static ssize_t read_now(IOChannel *ioc, void *buf, size_t bytes)
{
    struct iovec iov = { .iov_base = buf, .iov_len = bytes };

    return io_channel_readv(ioc, &iov, 1);
}

static void test_small_reads_of_one_record(Fixture *f, gconstpointer data)
{
    char buf[2];

    psk_handshake(f);
    assert_handshake_ok(f);
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, -EAGAIN);
    g_assert_cmpint(io_channel_writev(f->client.tls,
                                      &(struct iovec){ (void *)"abc", 3 }, 1),
                    ==, 3);
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, 2);
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, 1);
    g_assert_cmpint(buf[0], ==, 'c');
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, -EAGAIN);
}

static void test_orderly_end(Fixture *f, gconstpointer data)
{
    char buf[2];

    psk_handshake(f);
    assert_handshake_ok(f);
    io_channel_shutdown(f->client.tls);
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, 0);
}

static void test_truncation_is_no_end(Fixture *f, gconstpointer data)
{
    char buf[2];

    psk_handshake(f);
    assert_handshake_ok(f);
    io_channel_shutdown(f->client.plain);
    g_assert_cmpint(read_now(f->server.tls, buf, 2), ==, -ECONNABORTED);
}

static void test_shutdown_wakes_reader(Fixture *f, gconstpointer data)
{
    psk_handshake(f);
    assert_handshake_ok(f);
    f->server.done = false;
    f->server.data = g_malloc(BULK);
    coroutine_start(end_receive_bulk, &f->server);
    poll_idle();
    g_assert_false(f->server.done);
    io_channel_shutdown(f->server.tls);
    poll_until(&f->server.done);
    g_assert_cmpint(f->server.ret, ==, -ENODATA);
}

static void test_shutdown_ends_handshake(Fixture *f, gconstpointer data)
{
    add_psk("server", "server", NULL);
    add_psk("client", "client", "alice");
    take_creds(f);
    coroutine_start(end_handshake, &f->server);
    poll_idle();
    g_assert_false(f->server.done);
    io_channel_shutdown(f->server.plain);
    poll_until(&f->server.done);
    assert_refused(&f->server, "TLS handshake failed: Operation canceled");
}

static void test_plain_text_is_refused(Fixture *f, gconstpointer data)
{
    add_psk("server", "server", NULL);
    add_psk("client", "client", "alice");
    take_creds(f);
    coroutine_start(end_handshake, &f->server);
    g_assert_cmpint(io_channel_writev(f->client.plain,
                                      &(struct iovec){ (void *)"GET / \r\n", 8 },
                                      1), ==, 8);
    poll_until(&f->server.done);
    g_assert_null(f->server.tls);
    g_assert_true(g_str_has_prefix(f->server.err->message,
                                   "TLS handshake failed: "));
}

static void test_psk_wrong_key(Fixture *f, gconstpointer data)
{
    add_psk("server", "server", NULL);
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': 'client', 'dir': "
                    "'%s/wrong', 'username': 'alice'}", keys_dir);
    handshake(f);
    g_assert_null(f->client.tls);
    g_assert_null(f->server.tls);
}

static void test_psk_authz(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'authz-simple', 'id': 'auth', "
                    "'identity': 'bob'}");
    f->server.authz = "auth";
    psk_handshake(f);
    assert_refused(&f->server, "TLS x509 authz check for alice is denied");
}

static void test_psk_unknown_user(Fixture *f, gconstpointer data)
{
    g_autofree char *text =
        g_strdup_printf("Username carol not found in PSK file %s/keys.psk",
                        keys_dir);

    assert_object_add_fails(text, "{'qom-type': 'tls-creds-psk', 'id': 'c', "
                            "'dir': '%s', 'username': 'carol'}", keys_dir);
}

/* Certificates */

static void add_x509(const char *id, const char *endpoint, const char *dir,
                     const char *more)
{
    must_object_add("{'qom-type': 'tls-creds-x509', 'id': '%s', 'dir': "
                    "'%s/%s', 'endpoint': '%s' %s}", id, keys_dir, dir,
                    endpoint, more);
}

static bool need_certs(void)
{
    if (!have_certs) {
        g_test_skip("certtool is missing");
    }
    return have_certs;
}

static void test_x509(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    must_object_add("{'qom-type': 'authz-list', 'id': 'auth', 'rules': "
                    "[{'match': 'CN=client*', 'policy': 'allow', "
                    "'format': 'glob'}]}");
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "x509", "");
    f->server.authz = "auth";
    f->client.hostname = "localhost";
    handshake(f);
    assert_handshake_ok(f);
    transfer(&f->client, &f->server);
}

static void test_x509_wrong_hostname(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "x509", "");
    f->client.hostname = "example.org";
    handshake(f);
    assert_refused(&f->client,
                   "Certificate does not match the hostname example.org");
}

static void test_x509_authz_denies(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    must_object_add("{'qom-type': 'authz-simple', 'id': 'auth', "
                    "'identity': 'CN=other'}");
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "x509", "");
    f->server.authz = "auth";
    handshake(f);
    assert_refused(&f->server, "TLS x509 authz check for CN=client.example "
                   "is denied");
}

/* The authorization has nothing to look at. */
static void test_x509_name_is_too_long(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    must_object_add("{'qom-type': 'authz-simple', 'id': 'auth', "
                    "'identity': 'CN=client.example'}");
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "long-name", "");
    f->server.authz = "auth";
    handshake(f);
    assert_refused(&f->server, "Cannot get the name in the peer's "
                   "certificate: The given memory buffer is too short to "
                   "hold parameters.");
}

static void test_x509_client_without_cert(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "ca-only", "");
    handshake(f);
    assert_refused(&f->server,
                   "No certificate was found: the peer sent none");
}

static void test_x509_anyone_without_verify(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    add_x509("server", "server", "x509", ", 'verify-peer': false");
    add_x509("client", "client", "ca-only", "");
    handshake(f);
    assert_handshake_ok(f);
}

static void test_x509_unknown_ca(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "other-ca", "");
    handshake(f);
    assert_refused(&f->client,
                   "The certificate hasn't got a known issuer");
}

static void test_x509_client_of_unknown_ca(Fixture *f, gconstpointer data)
{
    if (!need_certs()) {
        return;
    }
    add_x509("server", "server", "x509", "");
    add_x509("client", "client", "stranger", ", 'sanity-check': false");
    handshake(f);
    assert_refused(&f->server,
                   "The certificate hasn't got a known issuer");
}

static void test_x509_mixed_up_files(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;

    if (!need_certs()) {
        return;
    }
    /* The client's certificate does not say that it is for servers. */
    g_assert_false(try_object_add(&err, "{'qom-type': 'tls-creds-x509', "
                                  "'id': 's', 'dir': '%s/mixed', "
                                  "'endpoint': 'server'}", keys_dir));
    g_assert_true(g_str_has_suffix(err->message, "purpose does not allow use "
                                   "with a TLS server"));
}

static void test_missing_files(Fixture *f, gconstpointer data)
{
    assert_object_add_fails("Unable to access credentials "
                            "/nonexistent/ca-cert.pem: No such file or "
                            "directory",
                            "{'qom-type': 'tls-creds-x509', 'id': 's', "
                            "'dir': '/nonexistent'}");
    assert_object_add_fails("Missing 'dir' property value",
                            "{'qom-type': 'tls-creds-psk', 'id': 's'}");
}

static void test_unreadable_keys(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strdup_printf(
        "Cannot set server credentials of %s/keys.psk: Error while reading "
        "file.", keys_dir);
    struct rlimit old = leave_descriptors(0);

    assert_object_add_fails(text, "{'qom-type': 'tls-creds-psk', 'id': 's', "
                            "'dir': '%s', 'endpoint': 'server'}", keys_dir);
    setrlimit(RLIMIT_NOFILE, &old);
}

static void test_lookup(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *id;
        bool server;
        const char *text;
    } cases[] = {
        { "nope", true, "No TLS credentials with id 'nope'" },
        { "sec", true, "Object with id 'sec' is not TLS credentials" },
        { "server", false, "Expected TLS credentials for a client endpoint" },
        { "client", true, "Expected TLS credentials for a server endpoint" },
    };

    must_object_add("{'qom-type': 'secret', 'id': 'sec', 'data': 'x'}");
    add_psk("server", "server", NULL);
    add_psk("client", "client", "alice");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) err = NULL;

        g_assert_null(tls_creds_lookup(cases[i].id, cases[i].server, &err));
        g_assert_cmpstr(err->message, ==, cases[i].text);
    }
}

/* Making keys and certificates */

static void write_file(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(keys_dir, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static bool run_shell(const char *script)
{
    g_autofree char *command = g_strdup_printf("cd '%s' && { %s; } >log 2>&1",
                                               keys_dir, script);

    return system(command) == 0;
}

/* A name of more than a kilobyte, of parts that are as long as may be */
static void write_long_name(void)
{
    g_autoptr(GString) text = g_string_new("cn = client.example\n"
                                           "tls_www_client\nsigning_key\n");

    for (int i = 0; i < 20; i++) {
        g_string_append_printf(text, "unit = %060d\n", i);
    }
    write_file("long.info", text->str);
}

static void make_keys(void)
{
    keys_dir = g_dir_make_tmp("test-io-tls-XXXXXX", NULL);
    g_assert_true(run_shell("mkdir wrong x509 ca-only other-ca stranger mixed"
                             " long-name"));
    write_file("keys.psk", "bob:0011\nalice:6a1f9a2d2b8f4c0e9d3b5a7c1e0f\n");
    write_file("wrong/keys.psk", "alice:deadbeef\n");
    write_file("ca.info", "cn = test CA\nca\ncert_signing_key\n");
    write_file("server.info", "cn = localhost\ndns_name = localhost\n"
               "tls_www_server\nsigning_key\n");
    write_file("client.info", "cn = client.example\ntls_www_client\n"
               "signing_key\n");
    write_long_name();
    have_certs = run_shell(
        "command -v certtool &&"
        "for n in ca server client other; do"
        "  certtool --generate-privkey --ecc --outfile $n.key; done &&"
        "certtool --generate-self-signed --template ca.info"
        "  --load-privkey ca.key --outfile x509/ca-cert.pem &&"
        "certtool --generate-self-signed --template ca.info"
        "  --load-privkey other.key --outfile other-ca/ca-cert.pem &&"
        "for n in server client; do"
        "  certtool --generate-certificate --template $n.info"
        "    --load-privkey $n.key --load-ca-certificate x509/ca-cert.pem"
        "    --load-ca-privkey ca.key --outfile x509/$n-cert.pem &&"
        "  cp $n.key x509/$n-key.pem || exit 1; done &&"
        "certtool --generate-certificate --template client.info"
        "  --load-privkey client.key --load-ca-privkey other.key"
        "  --load-ca-certificate other-ca/ca-cert.pem"
        "  --outfile stranger/client-cert.pem &&"
        "cp client.key stranger/client-key.pem &&"
        "certtool --generate-certificate --template long.info"
        "  --load-privkey client.key --load-ca-privkey ca.key"
        "  --load-ca-certificate x509/ca-cert.pem"
        "  --outfile long-name/client-cert.pem &&"
        "cp client.key long-name/client-key.pem &&"
        "cp x509/ca-cert.pem long-name &&"
        "cp x509/ca-cert.pem stranger &&"
        "cp x509/ca-cert.pem ca-only &&"
        "cp x509/ca-cert.pem mixed && "
        "cp x509/client-cert.pem mixed/server-cert.pem &&"
        "cp x509/client-key.pem mixed/server-key.pem");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        { "/tls/psk/transfer", test_psk_transfer },
        { "/tls/psk/old-protocol", test_old_protocol },
        { "/tls/psk/bad-priority", test_bad_priority },
        { "/tls/psk/wrong-key", test_psk_wrong_key },
        { "/tls/psk/authz", test_psk_authz },
        { "/tls/psk/unknown-user", test_psk_unknown_user },
        { "/tls/small-reads-of-one-record", test_small_reads_of_one_record },
        { "/tls/orderly-end", test_orderly_end },
        { "/tls/truncation-is-no-end", test_truncation_is_no_end },
        { "/tls/shutdown-wakes-reader", test_shutdown_wakes_reader },
        { "/tls/shutdown-ends-handshake", test_shutdown_ends_handshake },
        { "/tls/plain-text-is-refused", test_plain_text_is_refused },
        { "/tls/x509/transfer", test_x509 },
        { "/tls/x509/wrong-hostname", test_x509_wrong_hostname },
        { "/tls/x509/authz-denies", test_x509_authz_denies },
        { "/tls/x509/name-too-long", test_x509_name_is_too_long },
        { "/tls/x509/client-without-cert", test_x509_client_without_cert },
        { "/tls/x509/anyone-without-verify", test_x509_anyone_without_verify },
        { "/tls/x509/unknown-ca", test_x509_unknown_ca },
        { "/tls/x509/client-of-unknown-ca", test_x509_client_of_unknown_ca },
        { "/tls/x509/mixed-up-files", test_x509_mixed_up_files },
        { "/tls/creds/missing-files", test_missing_files },
        { "/tls/creds/unreadable-keys", test_unreadable_keys },
        { "/tls/creds/lookup", test_lookup },
    };
    int ret;

    g_test_init(&argc, &argv, NULL);
    object_register_types(qom_types);
    make_keys();
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    ret = g_test_run();
    run_shell("rm -rf \"$PWD\"");
    g_free(keys_dir);
    return ret;
}
