/*
 * When the NBD server sends replies: together, or the first one at once
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "nbd-server-fixture.h"

#define MAX_REQUESTS 16

/* How much of the replies the client has when a request begins */
typedef struct Watch {
    Fixture *f;
    unsigned n;
    ssize_t received[MAX_REQUESTS];
} Watch;

static ssize_t count_received(Fixture *f)
{
    uint8_t buf[MAX_REQUESTS * NBD_SIMPLE_REPLY_SIZE];
    ssize_t n = recv(f->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_PEEK);

    return MAX(n, 0);
}

static void watch(void *opaque)
{
    Watch *w = opaque;

    g_assert_cmpuint(w->n, <, MAX_REQUESTS);
    w->received[w->n++] = count_received(w->f);
}

static void go_over_tcp(Fixture *f)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int server, on = 1;

    g_assert_cmpint(bind(listener, (void *)&addr, len), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    g_assert_cmpint(getsockname(listener, (void *)&addr, &len), ==, 0);
    g_assert_cmpint(connect(client, (void *)&addr, len), ==, 0);
    server = accept(listener, NULL, NULL);
    g_assert_cmpint(server, >=, 0);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listener);
    client_connect_fds(f, client, server);
    client_negotiate(f, false);
}

/* Send @n requests at once and take their replies. */
static void ask(Fixture *f, Watch *w, unsigned n)
{
    uint8_t requests[MAX_REQUESTS * NBD_REQUEST_SIZE];

    *w = (Watch) { .f = f };
    f->disk.watch = watch;
    f->disk.watch_opaque = w;
    for (unsigned i = 0; i < n; i++) {
        nbd_request_encode(requests + (size_t)i * NBD_REQUEST_SIZE, 0,
                           NBD_CMD_TRIM, i, i * 4096, 4096);
    }
    send_bytes(f, requests, n * NBD_REQUEST_SIZE);
    for (unsigned i = 0; i < n; i++) {
        expect_simple(f, i, 0);
    }
    g_assert_cmpuint(w->n, ==, n);
}

/* None of the replies came before the last request began. */
static void assert_together(const Watch *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        g_assert_cmpint(w->received[i], ==, 0);
    }
}

static void test_first_of_a_few(Fixture *f, gconstpointer d)
{
    Watch w;

    go_over_tcp(f);
    ask(f, &w, 4);
    g_assert_cmpint(w.received[0], ==, 0);
    for (unsigned i = 1; i < 4; i++) {
        g_assert_cmpint(w.received[i], ==, NBD_SIMPLE_REPLY_SIZE);
    }
}

/* It takes one time to see that there are many. */
static void test_many_together(Fixture *f, gconstpointer d)
{
    Watch w;

    go_over_tcp(f);
    ask(f, &w, 10);
    ask(f, &w, 10);
    assert_together(&w);
    ask(f, &w, 2);
    ask(f, &w, 2);
    g_assert_cmpint(w.received[1], ==, NBD_SIMPLE_REPLY_SIZE);
}

static void test_polling_client(Fixture *f, gconstpointer d)
{
    Watch w;

    f->disk.polling_clients = true;
    go_over_tcp(f);
    ask(f, &w, 4);
    assert_together(&w);
}

static void test_unix_socket(Fixture *f, gconstpointer d)
{
    Watch w;

    client_go(f, false);
    ask(f, &w, 4);
    assert_together(&w);
}

#define ADD(name, func) \
    g_test_add("/nbd-server/send/" name, Fixture, NULL, setup, func, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("first-of-a-few", test_first_of_a_few);
    ADD("many-together", test_many_together);
    ADD("polling-client", test_polling_client);
    ADD("unix", test_unix_socket);
    return g_test_run();
}
