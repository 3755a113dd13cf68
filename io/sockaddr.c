/*
 * The kernel's socket addresses as text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/sockaddr.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

static char *sockaddr_unix_to_string(const struct sockaddr_un *un,
                                     socklen_t len)
{
    size_t n = len > offsetof(struct sockaddr_un, sun_path)
               ? len - offsetof(struct sockaddr_un, sun_path) : 0;

    if (n == 0) {
        return g_strdup("unix:");
    }
    if (un->sun_path[0] == '\0') {
        /* The kernel counts every byte of an abstract name. */
        n = strnlen(un->sun_path + 1, n - 1);
        return g_strdup_printf("unix:@%.*s", (int)n, un->sun_path + 1);
    }
    n = strnlen(un->sun_path, n);
    return g_strdup_printf("unix:%.*s", (int)n, un->sun_path);
}

char *sockaddr_to_string(const struct sockaddr_storage *sa, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (sa->ss_family == AF_UNIX) {
        return sockaddr_unix_to_string((const struct sockaddr_un *)sa, len);
    }
    if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host),
                    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)) {
        return g_strdup("unknown address");
    }
    return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s",
                           host, port);
}

char *sockaddr_peer_name(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0) {
        return g_strdup("disconnected peer");
    }
    if (sa.ss_family == AF_UNIX &&
        len <= offsetof(struct sockaddr_un, sun_path)) {
        len = sizeof(sa);
        if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
            return g_strdup("unix:");
        }
    }
    return sockaddr_to_string(&sa, len);
}

static bool is_loopback4(struct in_addr addr)
{
    return ntohl(addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool is_loopback6(const struct in6_addr *addr)
{
    struct in_addr v4;

    if (!IN6_IS_ADDR_V4MAPPED(addr)) {
        return IN6_IS_ADDR_LOOPBACK(addr);
    }
    memcpy(&v4, &addr->s6_addr[12], sizeof(v4));
    return is_loopback4(v4);
}

bool sockaddr_is_network(const struct sockaddr_storage *sa)
{
    switch (sa->ss_family) {
    case AF_UNIX:
        return false;
    case AF_INET:
        return !is_loopback4(((const struct sockaddr_in *)sa)->sin_addr);
    case AF_INET6:
        return !is_loopback6(&((const struct sockaddr_in6 *)sa)->sin6_addr);
    default:
        return true;
    }
}

bool sockaddr_fd_is_unix(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           domain == AF_UNIX;
}
