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

bool sockaddr_fd_is_unix(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           domain == AF_UNIX;
}
