/*
 * Unit tests of socket addresses as strings
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include <arpa/inet.h>

#include "io/sockaddr.h"

static void test_round_trip(void)
{
    static const char *const cases[][2] = {
        { "127.0.0.1:10809", "127.0.0.1:10809" },
        { "tcp:localhost:10809", "localhost:10809" },
        { ":10809", ":10809" },
        { "[::1]:10809", "[::1]:10809" },
        { "tcp:[fe80::1]:nbd", "[fe80::1]:nbd" },
        { "unix:/tmp/s", "unix:/tmp/s" },
        { "unix:name,abstract=on", "unix:@name" },
        { "unix:/tmp/a,,b", "unix:/tmp/a,b" },
        { "fd:mon0", "fd:mon0" },
        { "localhost:1,ipv4=on,keep-alive=on,to=9", "localhost:1" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) err = NULL;
        g_autoptr(SocketAddress) addr = socket_parse(cases[i][0], &err);
        g_autofree char *str = NULL;

        g_assert_no_error(err);
        str = socket_address_to_string(addr);
        g_assert_cmpstr(str, ==, cases[i][1]);
    }
}

static void test_options(void)
{
    g_autoptr(SocketAddress) addr =
        socket_parse("h:1,to=9,ipv4,ipv6=off,keep-alive=on", NULL);
    const InetSocketAddress *inet = &addr->u.inet;

    g_assert_true(inet->has_to && inet->to == 9);
    g_assert_true(inet->has_ipv4 && inet->ipv4);
    g_assert_true(inet->has_ipv6 && !inet->ipv6);
    g_assert_true(inet->has_keep_alive && inet->keep_alive);
}

static void test_errors(void)
{
    static const char *const cases[][2] = {
        { "localhost", "error parsing address 'localhost'" },
        { "::1:10809", "error parsing address '::1:10809'" },
        { "[::1]", "error parsing IPv6 address '[::1]'" },
        { "localhost:", "error parsing port in address 'localhost:'" },
        { "unix:", "invalid Unix socket address" },
        { "fd:", "invalid file descriptor address" },
        { "h:1,to=x", "error parsing to= argument" },
        { "h:1,nope=on", "Invalid parameter 'nope'" },
        { "h:1,ipv4=maybe", "Parameter 'ipv4' expects 'on' or 'off'" },
        { "unix:/s,ipv4=on", "Invalid parameter 'ipv4'" },
        { "fd:3,x", "Invalid parameter 'x'" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) err = NULL;

        g_assert_null(socket_parse(cases[i][0], &err));
        g_assert_cmpstr(err->message, ==, cases[i][1]);
    }
}

static bool is_network(int family, const char *host)
{
    struct sockaddr_storage sa = { .ss_family = family };
    void *addr = family == AF_INET
        ? (void *)&((struct sockaddr_in *)&sa)->sin_addr
        : (void *)&((struct sockaddr_in6 *)&sa)->sin6_addr;

    if (host) {
        g_assert_cmpint(inet_pton(family, host, addr), ==, 1);
    }
    return sockaddr_is_network(&sa);
}

static void test_network(void)
{
    g_assert_false(is_network(AF_UNIX, NULL));
    g_assert_false(is_network(AF_INET, "127.0.0.1"));
    g_assert_false(is_network(AF_INET, "127.9.9.9"));
    g_assert_false(is_network(AF_INET6, "::1"));
    g_assert_false(is_network(AF_INET6, "::ffff:127.0.0.1"));

    g_assert_true(is_network(AF_VSOCK, NULL));
    g_assert_true(is_network(AF_INET, "0.0.0.0"));
    g_assert_true(is_network(AF_INET, "192.0.2.1"));
    g_assert_true(is_network(AF_INET6, "::"));
    g_assert_true(is_network(AF_INET6, "fe80::1"));
    g_assert_true(is_network(AF_INET6, "::ffff:192.0.2.1"));
}

static void test_flatten(void)
{
    UnixSocketAddress un = { .path = (char *)"/s", .has_abstract = true };
    InetSocketAddress inet = { .host = (char *)"h", .port = (char *)"1" };
    SocketAddressLegacy legacy = { .type = SOCKET_ADDRESS_TYPE_UNIX };
    g_autoptr(SocketAddress) flat_un = NULL;
    g_autoptr(SocketAddress) flat_inet = NULL;
    g_autofree char *str = NULL;

    legacy.u.q_unix.data = &un;
    flat_un = socket_address_flatten(&legacy);
    g_assert_cmpstr(flat_un->u.q_unix.path, ==, "/s");
    g_assert_true(flat_un->u.q_unix.has_abstract);

    legacy.type = SOCKET_ADDRESS_TYPE_INET;
    legacy.u.inet.data = &inet;
    flat_inet = socket_address_flatten(&legacy);
    str = socket_address_to_string(flat_inet);
    g_assert_cmpstr(str, ==, "h:1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/socket-address/round-trip", test_round_trip);
    g_test_add_func("/socket-address/options", test_options);
    g_test_add_func("/socket-address/errors", test_errors);
    g_test_add_func("/socket-address/network", test_network);
    g_test_add_func("/socket-address/flatten", test_flatten);
    return g_test_run();
}
