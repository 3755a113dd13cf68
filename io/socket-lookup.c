/*
 * From a SocketAddress to the kernel's addresses
 *
 * Names are looked up in a worker thread.  Numbers, unix paths and vsock need
 * no waiting and are done at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/socket.h"

#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "io/socket-int.h"
#include "util/thread-pool.h"

struct SocketLookup {
    /* Constant while the worker runs */
    char *host;                 /* NULL: any address */
    char *port;
    char *name;                 /* of the whole, for messages */
    struct addrinfo hints;
    AioHandler *done_cb;
    void *opaque;

    /* The result */
    struct addrinfo *res;
    int gai_ret;
    int gai_errno;
    SocketTargets *targets;     /* instead of @res */
    GError *err;                /* instead of both */

    int protocol;               /* for the targets */
    bool done;
    bool cancelled;
};

void socket_targets_free(SocketTargets *targets)
{
    if (targets) {
        g_free(targets->target);
        g_free(targets);
    }
}

static SocketTargets *targets_new(const void *sa, socklen_t len)
{
    SocketTargets *targets = g_new0(SocketTargets, 1);

    targets->n = 1;
    targets->target = g_new0(SocketTarget, 1);
    memcpy(&targets->target->sa, sa, len);
    targets->target->len = len;
    return targets;
}

static SocketTargets *unix_targets(const UnixSocketAddress *addr,
                                   GError **errp)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t len = strlen(addr->path);
    bool tight = !addr->has_tight || addr->tight;
    size_t max = sizeof(un.sun_path) - (addr->abstract ? 1 : 0);

    if (len == 0 && !addr->abstract) {
        error_setg(errp, "UNIX socket path is empty");
        return NULL;
    }
    if (len > max) {
        error_setg(errp, "UNIX socket path '%s' is too long: it must be less "
                   "than %zu bytes", addr->path, max);
        return NULL;
    }
    if (addr->abstract) {
        memcpy(un.sun_path + 1, addr->path, len);
        return targets_new(&un, tight
                           ? offsetof(struct sockaddr_un, sun_path) + 1 + len
                           : sizeof(un));
    }
    memcpy(un.sun_path, addr->path, len);
    return targets_new(&un, sizeof(un));
}

static SocketTargets *vsock_targets(const VsockSocketAddress *addr,
                                    GError **errp)
{
    struct sockaddr_vm vm = { .svm_family = AF_VSOCK };
    guint64 n;

    if (!g_ascii_string_to_unsigned(addr->cid, 10, 0, UINT32_MAX, &n, NULL)) {
        error_setg(errp, "Failed to parse cid '%s'", addr->cid);
        return NULL;
    }
    vm.svm_cid = n;
    if (!g_ascii_string_to_unsigned(addr->port, 10, 0, UINT32_MAX, &n, NULL)) {
        error_setg(errp, "Failed to parse port '%s'", addr->port);
        return NULL;
    }
    vm.svm_port = n;
    return targets_new(&vm, sizeof(vm));
}

/* Which families the ipv4 and ipv6 switches leave. */
static bool inet_family(const InetSocketAddress *addr, int *family,
                        GError **errp)
{
    bool v4 = addr->has_ipv4 && addr->ipv4;
    bool v6 = addr->has_ipv6 && addr->ipv6;
    bool no_v4 = addr->has_ipv4 && !addr->ipv4;
    bool no_v6 = addr->has_ipv6 && !addr->ipv6;

    if (no_v4 && no_v6) {
        error_setg(errp, "Cannot disable IPv4 and IPv6 at same time");
        return false;
    }
    if (v4 == v6 && !no_v4 && !no_v6) {
        *family = AF_UNSPEC;
    } else {
        *family = (v6 && !v4) || no_v4 ? AF_INET6 : AF_INET;
    }
    return true;
}

static int lookup_run(void *opaque)
{
    SocketLookup *l = opaque;

    l->gai_ret = getaddrinfo(l->host, l->port, &l->hints, &l->res);
    l->gai_errno = errno;
    return 0;
}

static void lookup_free(SocketLookup *l)
{
    if (l->res) {
        freeaddrinfo(l->res);
    }
    socket_targets_free(l->targets);
    g_clear_error(&l->err);
    g_free(l->host);
    g_free(l->port);
    g_free(l->name);
    g_free(l);
}

static void lookup_done(void *opaque, int ret)
{
    SocketLookup *l = opaque;

    if (l->cancelled) {
        lookup_free(l);
        return;
    }
    l->done = true;
    l->done_cb(l->opaque);
}

/* getaddrinfo() would take 70000 for 4464. */
static bool port_is_valid(const char *port)
{
    const char *p = port;

    while (g_ascii_isdigit(*p)) {
        p++;
    }
    return *port && (*p || g_ascii_string_to_unsigned(port, 10, 0, 65535,
                                                      NULL, NULL));
}

/* Returns whether the look-up is done already. */
static bool lookup_start_inet(SocketLookup *l, const InetSocketAddress *addr,
                              bool passive)
{
    l->hints.ai_socktype = SOCK_STREAM;
    l->protocol = addr->has_mptcp && addr->mptcp ? IPPROTO_MPTCP : 0;
    if (!inet_family(addr, &l->hints.ai_family, &l->err)) {
        return true;
    }
    if (!port_is_valid(addr->port)) {
        error_setg(&l->err, "invalid port '%s' in address '%s': expected a "
                   "number from 0 to 65535 or a service name",
                   addr->port, l->name);
        return true;
    }
    l->host = *addr->host ? g_strdup(addr->host) : NULL;
    l->port = g_strdup(addr->port);

    l->hints.ai_flags = (passive ? AI_PASSIVE : 0) |
                        AI_NUMERICHOST | AI_NUMERICSERV;
    lookup_run(l);
    if (l->gai_ret == 0) {
        return true;
    }
    if (l->gai_ret != EAI_NONAME) {
        return true;
    }
    l->hints.ai_flags = (passive ? AI_PASSIVE : 0) |
                        (addr->has_numeric && addr->numeric
                         ? AI_NUMERICHOST : 0);
    return false;
}

SocketLookup *socket_lookup_start(const SocketAddress *addr, bool passive,
                                  AioHandler *done, void *opaque)
{
    SocketLookup *l = g_new0(SocketLookup, 1);

    l->name = socket_address_for_error(addr);
    l->done_cb = done;
    l->opaque = opaque;
    l->done = true;

    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        l->targets = unix_targets(&addr->u.q_unix, &l->err);
        break;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        l->targets = vsock_targets(&addr->u.vsock, &l->err);
        break;
    case SOCKET_ADDRESS_TYPE_INET:
        if (!lookup_start_inet(l, &addr->u.inet, passive)) {
            l->done = false;
            thread_pool_submit(lookup_run, l, lookup_done);
        }
        break;
    default:
        g_assert_not_reached();
    }
    return l;
}

bool socket_lookup_is_done(const SocketLookup *lookup)
{
    return lookup->done;
}

static SocketTargets *targets_from_addrinfo(const struct addrinfo *res,
                                            int protocol)
{
    SocketTargets *targets = g_new0(SocketTargets, 1);
    size_t n = 0;

    for (const struct addrinfo *ai = res; ai; ai = ai->ai_next) {
        n++;
    }
    targets->target = g_new0(SocketTarget, n);
    for (const struct addrinfo *ai = res; ai; ai = ai->ai_next) {
        SocketTarget *t = &targets->target[targets->n++];

        memcpy(&t->sa, ai->ai_addr, ai->ai_addrlen);
        t->len = ai->ai_addrlen;
        t->protocol = protocol;
    }
    return targets;
}

SocketTargets *socket_lookup_finish(SocketLookup *l, GError **errp)
{
    SocketTargets *targets = NULL;

    g_assert(l->done);
    if (l->err) {
        g_propagate_error(errp, g_steal_pointer(&l->err));
    } else if (l->targets) {
        targets = g_steal_pointer(&l->targets);
    } else if (l->gai_ret) {
        error_setg(errp, "address resolution failed for %s: %s", l->name,
                   l->gai_ret == EAI_SYSTEM ? g_strerror(l->gai_errno)
                                            : gai_strerror(l->gai_ret));
    } else {
        targets = targets_from_addrinfo(l->res, l->protocol);
    }
    lookup_free(l);
    return targets;
}

void socket_lookup_cancel(SocketLookup *l)
{
    if (l->done) {
        lookup_free(l);
    } else {
        l->cancelled = true;
    }
}
