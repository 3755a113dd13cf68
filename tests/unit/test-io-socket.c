/*
 * Unit tests of connecting and listening
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include <glib/gstdio.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#ifdef CONFIG_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

#include "co-run.h"
#include "descriptors.h"

typedef struct Fixture {
    AioContext *ctx;
    char *dir;

    /* In and out of the coroutines */
    const char *listen_on;
    const char *connect_to;
    mode_t mode;
    int64_t timeout_ns;
    SocketConnect *conn;
    bool done;

    IOListener *listener;
    IOChannel *client;
    IOChannel *server;
    bool accepted;
    GError *err;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    f->dir = g_dir_make_tmp("test-io-socket-XXXXXX", NULL);
}

static void teardown(Fixture *f, gconstpointer data)
{
    io_listener_free(f->listener);
    io_channel_unref(f->client);
    io_channel_unref(f->server);
    socket_connect_free(f->conn);
    g_clear_error(&f->err);
    g_rmdir(f->dir);
    g_free(f->dir);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void on_accept(IOChannel *ioc, void *opaque)
{
    Fixture *f = opaque;

    g_assert_null(f->server);
    f->server = ioc;
    f->accepted = true;
}

static void coroutine_fn co_listen(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(SocketAddress) addr = socket_parse(f->listen_on, &f->err);

    g_assert_no_error(f->err);
    io_listener_free(f->listener);
    f->listener = io_listener_co_new(addr, 1, f->mode, on_accept, f, &f->err);
}

static void coroutine_fn co_connect(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(SocketAddress) addr = socket_parse(f->connect_to, &f->err);

    g_assert_no_error(f->err);
    f->client = socket_co_connect(addr, f->conn, f->timeout_ns, &f->err);
    f->done = true;
}

static void listen_on(Fixture *f, const char *addr)
{
    f->listen_on = addr;
    co_run(co_listen, f);
}

static void connect_to(Fixture *f, const char *addr)
{
    f->connect_to = addr;
    co_run(co_connect, f);
}

static void assert_error(Fixture *f, const char *text)
{
    g_assert_nonnull(f->err);
    g_assert_cmpstr(f->err->message, ==, text);
}

/* The address that the listener got, to connect to. */
static char *listening_at(Fixture *f)
{
    g_autoptr(SocketAddress) addr = io_listener_address(f->listener);

    return socket_address_to_string(addr);
}

static void test_tcp(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;

    listen_on(f, "127.0.0.1:0");
    g_assert_no_error(f->err);
    at = listening_at(f);
    connect_to(f, at);
    g_assert_no_error(f->err);
    poll_until(&f->accepted);
    g_assert_cmpstr(io_channel_peer_name(f->client), ==, at);
    g_assert_true(g_str_has_prefix(io_channel_peer_name(f->server),
                                   "127.0.0.1:"));
    g_assert_false(io_channel_is_unix(f->server));
}

/* What the kernel says of each end of the only connection */

static bool is_end_of_connection(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
           peer.ss_family == AF_INET;
}

static void assert_ends(int level, int option, int expected)
{
    int n = 0;

    for (int fd = 0; fd < 1000; fd++) {
        int value = 0;
        socklen_t len = sizeof(value);

        if (is_end_of_connection(fd)) {
            g_assert_cmpint(getsockopt(fd, level, option, &value, &len), ==,
                            0);
            g_assert_cmpint(value, ==, expected);
            n++;
        }
    }
    g_assert_cmpint(n, ==, 2);
}

/* A listener and its client, both with @options in their address */
static void connect_with(Fixture *f, const char *options)
{
    g_autofree char *listen = g_strdup_printf("127.0.0.1:0%s", options);
    g_autofree char *at = NULL, *connect = NULL;

    listen_on(f, listen);
    if (f->err) {
        return;
    }
    at = listening_at(f);
    connect = g_strdup_printf("%s%s", at, options);
    connect_to(f, connect);
    g_assert_no_error(f->err);
    poll_until(&f->accepted);
}

static void test_small_packets_go_at_once(Fixture *f, gconstpointer data)
{
    connect_with(f, "");
    assert_ends(IPPROTO_TCP, TCP_NODELAY, 1);
    assert_ends(SOL_SOCKET, SO_KEEPALIVE, 0);
}

static void test_keep_alive(Fixture *f, gconstpointer data)
{
    connect_with(f, ",keep-alive=on");
    assert_ends(SOL_SOCKET, SO_KEEPALIVE, 1);
}

static void test_mptcp(Fixture *f, gconstpointer data)
{
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

    if (fd < 0) {
        g_test_skip("the kernel has no multipath TCP");
        return;
    }
    close(fd);
    connect_with(f, ",mptcp=on");
    g_assert_no_error(f->err);
    assert_ends(SOL_SOCKET, SO_PROTOCOL, IPPROTO_MPTCP);
}

static void test_name_is_looked_up(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;
    g_autofree char *by_name = NULL;
    struct addrinfo *found;

    if (getaddrinfo("localhost", NULL, NULL, &found) != 0) {
        g_test_skip("this machine does not know the name localhost");
        return;
    }
    freeaddrinfo(found);
    listen_on(f, "localhost:0");
    g_assert_no_error(f->err);
    at = listening_at(f);
    by_name = g_strconcat("localhost", strrchr(at, ':'), NULL);
    connect_to(f, by_name);
    g_assert_no_error(f->err);
    poll_until(&f->accepted);
}

static void test_unix(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);
    struct stat st;

    f->mode = 0600;
    listen_on(f, addr);
    g_assert_no_error(f->err);
    g_assert_cmpint(stat(addr + strlen("unix:"), &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
    connect_to(f, addr);
    g_assert_no_error(f->err);
    poll_until(&f->accepted);
    g_assert_cmpstr(io_channel_peer_name(f->client), ==, addr);
    g_assert_cmpstr(io_channel_peer_name(f->server), ==, addr);
    g_assert_true(io_channel_is_unix(f->server));
}

static void test_abstract(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/a,abstract=on", f->dir);

    listen_on(f, addr);
    g_assert_no_error(f->err);
    connect_to(f, addr);
    g_assert_no_error(f->err);
    poll_until(&f->accepted);
}

static void test_unix_file_goes_with_listener(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);

    listen_on(f, addr);
    g_assert_no_error(f->err);
    io_listener_free(f->listener);
    f->listener = NULL;
    g_assert_cmpint(access(addr + strlen("unix:"), F_OK), ==, -1);
}

static void test_unix_file_of_another_stays(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);
    const char *path = addr + strlen("unix:");

    listen_on(f, addr);
    g_unlink(path);
    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    io_listener_free(f->listener);
    f->listener = NULL;
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void test_stale_unix_socket_is_replaced(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);
    struct sockaddr_storage sa = { .ss_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy((char *)&sa + offsetof(struct sockaddr, sa_data),
           addr + strlen("unix:"));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&sa, 110), ==, 0);
    close(fd);
    listen_on(f, addr);
    g_assert_no_error(f->err);
}

static void test_unix_socket_in_use(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);
    g_autofree char *text = g_strdup_printf("Failed to bind socket to %s/s: "
                                            "Address already in use", f->dir);
    IOListener *first;

    listen_on(f, addr);
    first = g_steal_pointer(&f->listener);
    listen_on(f, addr);
    assert_error(f, text);
    g_assert_null(f->listener);
    io_listener_free(first);
}

static void test_port_in_use(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;
    g_autofree char *text = NULL;
    IOListener *first;

    listen_on(f, "127.0.0.1:0");
    at = listening_at(f);
    first = g_steal_pointer(&f->listener);
    text = g_strdup_printf("Failed to bind socket to %s: Address already in "
                           "use", at);
    listen_on(f, at);
    assert_error(f, text);
    io_listener_free(first);
}

static void test_port_range(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;
    g_autofree char *range = NULL;
    g_autofree char *second = NULL;
    IOListener *first;

    listen_on(f, "127.0.0.1:0");
    at = listening_at(f);
    first = g_steal_pointer(&f->listener);
    range = g_strconcat(at, ",to=65535", NULL);
    listen_on(f, range);
    g_assert_no_error(f->err);
    second = listening_at(f);
    g_assert_cmpstr(second, !=, at);
    io_listener_free(first);
}

static void test_connection_refused(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;
    g_autofree char *text = NULL;

    listen_on(f, "127.0.0.1:0");
    at = listening_at(f);
    io_listener_free(g_steal_pointer(&f->listener));
    text = g_strdup_printf("Failed to connect to '%s': Connection refused",
                           at);
    connect_to(f, at);
    g_assert_null(f->client);
    assert_error(f, text);
}

static void test_missing_unix_socket(Fixture *f, gconstpointer data)
{
    connect_to(f, "unix:/nonexistent/s");
    assert_error(f, "Failed to connect to '/nonexistent/s': No such file or "
                 "directory");
}

static void test_unknown_name(Fixture *f, gconstpointer data)
{
    connect_to(f, "name.invalid:10");
    g_assert_nonnull(f->err);
    g_assert_true(g_str_has_prefix(f->err->message, "address resolution "
                                   "failed for name.invalid:10: "));
}

static void test_bad_port(Fixture *f, gconstpointer data)
{
    connect_to(f, "127.0.0.1:70000");
    assert_error(f, "invalid port '70000' in address '127.0.0.1:70000': "
                 "expected a number from 0 to 65535 or a service name");
}

/* A unix socket with a full queue: nothing comes until somebody accepts. */
static void connect_to_full_queue(Fixture *f, char **addr, GPtrArray *clients)
{
    *addr = g_strdup_printf("unix:%s/s", f->dir);
    listen_on(f, *addr);
    g_assert_no_error(f->err);
    io_listener_pause(f->listener, true);
    for (;;) {
        f->done = false;
        f->conn = f->conn ?: socket_connect_new();
        f->connect_to = *addr;
        coroutine_start(co_connect, f);
        if (!f->done) {
            break;
        }
        g_ptr_array_add(clients, g_steal_pointer(&f->client));
    }
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) clients =
        g_ptr_array_new_with_free_func((GDestroyNotify)io_channel_unref);
    g_autofree char *addr = NULL;
    g_autofree char *text = NULL;

    connect_to_full_queue(f, &addr, clients);
    socket_connect_cancel(f->conn);
    poll_until(&f->done);
    text = g_strdup_printf("Failed to connect to '%s/s': Operation canceled",
                           f->dir);
    assert_error(f, text);
}

static void test_timeout(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) clients =
        g_ptr_array_new_with_free_func((GDestroyNotify)io_channel_unref);
    g_autofree char *addr = NULL;
    g_autofree char *text = NULL;

    f->timeout_ns = 20 * SCALE_MS;
    connect_to_full_queue(f, &addr, clients);
    poll_until(&f->done);
    text = g_strdup_printf("Failed to connect to '%s/s': Connection timed "
                           "out", f->dir);
    assert_error(f, text);
}

static void test_pause(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;

    listen_on(f, "127.0.0.1:0");
    at = listening_at(f);
    io_listener_pause(f->listener, true);
    connect_to(f, at);
    g_assert_no_error(f->err);
    poll_idle();
    g_assert_false(f->accepted);
    io_listener_pause(f->listener, false);
    poll_until(&f->accepted);
}

static void test_out_of_descriptors(Fixture *f, gconstpointer data)
{
    g_autofree char *at = NULL;
    struct rlimit old;

#ifdef CONFIG_VALGRIND_H
    if (RUNNING_ON_VALGRIND) {
        g_test_skip("valgrind takes the connection when accept() fails");
        return;
    }
#endif
    listen_on(f, "127.0.0.1:0");
    at = listening_at(f);
    io_listener_pause(f->listener, true);
    connect_to(f, at);
    g_assert_no_error(f->err);
    old = leave_descriptors(0);
    io_listener_pause(f->listener, false);
    while (aio_next_deadline_ns(f->ctx) < 0) {
        aio_poll(f->ctx, true);
    }
    g_assert_false(f->accepted);
    setrlimit(RLIMIT_NOFILE, &old);
    poll_until(&f->accepted);
}

static void test_no_descriptor_to_listen(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("unix:%s/s", f->dir);
    struct rlimit old = leave_descriptors(0);

    listen_on(f, addr);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_error(f, "Failed to create Unix socket: Too many open files");
}

static int lookup_none(const char *name, GError **errp)
{
    error_setg(errp, "File descriptor named '%s' has not been found", name);
    return -1;
}

static void test_descriptor(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = NULL;
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    addr = g_strdup_printf("fd:%d", fd[0]);
    connect_to(f, addr);
    g_assert_no_error(f->err);
    g_assert_nonnull(f->client);
    close(fd[1]);
}

static void test_descriptor_by_name(Fixture *f, gconstpointer data)
{
    socket_set_fd_lookup(lookup_none);
    connect_to(f, "fd:nope");
    assert_error(f, "File descriptor named 'nope' has not been found");
    socket_set_fd_lookup(NULL);
    g_clear_error(&f->err);
    connect_to(f, "fd:nope");
    assert_error(f, "Unable to parse FD number nope");
}

static void test_descriptor_is_no_socket(Fixture *f, gconstpointer data)
{
    g_autofree char *addr = g_strdup_printf("fd:%d", open("/dev/null", 0));
    g_autofree char *text = g_strdup_printf("File descriptor '%s' is not a "
                                            "socket", addr + 3);

    connect_to(f, addr);
    assert_error(f, text);
    close(atoi(addr + 3));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        { "/socket/tcp", test_tcp },
        { "/socket/tcp/small-packets-go-at-once",
          test_small_packets_go_at_once },
        { "/socket/tcp/keep-alive", test_keep_alive },
        { "/socket/tcp/mptcp", test_mptcp },
        { "/socket/name-is-looked-up", test_name_is_looked_up },
        { "/socket/unix", test_unix },
        { "/socket/abstract", test_abstract },
        { "/socket/unix-file/goes-with-listener",
          test_unix_file_goes_with_listener },
        { "/socket/unix-file/of-another-stays",
          test_unix_file_of_another_stays },
        { "/socket/unix-file/stale-is-replaced",
          test_stale_unix_socket_is_replaced },
        { "/socket/unix-file/in-use", test_unix_socket_in_use },
        { "/socket/port/in-use", test_port_in_use },
        { "/socket/port/range", test_port_range },
        { "/socket/port/bad", test_bad_port },
        { "/socket/connect/refused", test_connection_refused },
        { "/socket/connect/missing-unix-socket", test_missing_unix_socket },
        { "/socket/connect/unknown-name", test_unknown_name },
        { "/socket/connect/cancel", test_cancel },
        { "/socket/connect/timeout", test_timeout },
        { "/socket/pause", test_pause },
        { "/socket/out-of-descriptors", test_out_of_descriptors },
        { "/socket/no-descriptor-to-listen", test_no_descriptor_to_listen },
        { "/socket/fd/number", test_descriptor },
        { "/socket/fd/name", test_descriptor_by_name },
        { "/socket/fd/no-socket", test_descriptor_is_no_socket },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
