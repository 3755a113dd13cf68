/*
 * Channels over descriptors: sockets, pipes, terminals, files
 *
 * The read handler is registered at the first wait and then kept, so that a
 * connection in steady state costs no epoll_ctl() per request.  It is taken
 * out when it fires while nobody waits to read (the loop would spin) and put
 * back at the next wait.  The same holds for the handler of hang-ups.  The
 * write handler exists only while somebody waits to write.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/channel.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/channel-int.h"
#include "io/sockaddr.h"
#include "util/iov.h"

/* Descriptors that came along and that nobody took; more are closed. */
#define FD_CHANNEL_MAX_FDS 16

typedef struct FdChannel {
    IOChannel base;

    /* Constant */
    int fd[2];                  /* by direction; the same for sockets */
    bool is_socket;
    bool is_unix;
    bool never_blocks[2];       /* epoll refuses it: a file, /dev/null */
    char *peer;                 /* made when asked for */

    Coroutine *waiter[2];       /* who sleeps in co_wait, by direction */
    bool watched[2];            /* which handlers are registered */

    AioHandler *hangup_cb;
    void *hangup_opaque;
    bool hangup_watched;

    int rx_fds[FD_CHANNEL_MAX_FDS];
    int rx_nfds;
} FdChannel;

static void fd_channel_on_read(void *opaque);
static void fd_channel_on_write(void *opaque);
static void fd_channel_on_hangup(void *opaque);

static FdChannel *to_fd_channel(IOChannel *ioc)
{
    return container_of(ioc, FdChannel, base);
}

static void fd_channel_update(FdChannel *c)
{
    AioHandler *rd = c->watched[IO_CHANNEL_READ] ? fd_channel_on_read : NULL;
    AioHandler *wr = c->watched[IO_CHANNEL_WRITE] ? fd_channel_on_write : NULL;

    if (c->fd[0] == c->fd[1]) {
        aio_set_fd_handlers(c->base.ctx, c->fd[0], rd, wr,
                            c->hangup_watched ? fd_channel_on_hangup : NULL,
                            c);
        return;
    }
    if (!c->never_blocks[IO_CHANNEL_READ]) {
        aio_set_fd_handler(c->base.ctx, c->fd[IO_CHANNEL_READ], rd, NULL, c);
    }
    if (!c->never_blocks[IO_CHANNEL_WRITE]) {
        aio_set_fd_handler(c->base.ctx, c->fd[IO_CHANNEL_WRITE], NULL, wr, c);
    }
}

static void fd_channel_watch(FdChannel *c, IOChannelDirection dir, bool on)
{
    if (c->watched[dir] != on) {
        c->watched[dir] = on;
        fd_channel_update(c);
    }
}

static void fd_channel_unwatch(FdChannel *c)
{
    c->hangup_cb = NULL;
    if (c->watched[IO_CHANNEL_READ] || c->watched[IO_CHANNEL_WRITE] ||
        c->hangup_watched) {
        c->watched[IO_CHANNEL_READ] = false;
        c->watched[IO_CHANNEL_WRITE] = false;
        c->hangup_watched = false;
        fd_channel_update(c);
    }
}

/* The last thing a handler does: the channel may be gone when it returns. */
static void fd_channel_wake(FdChannel *c, IOChannelDirection dir)
{
    Coroutine *co = c->waiter[dir];

    c->waiter[dir] = NULL;
    if (co) {
        aio_co_wake(co);
    }
}

static void fd_channel_on_read(void *opaque)
{
    FdChannel *c = opaque;

    if (!c->waiter[IO_CHANNEL_READ]) {
        fd_channel_watch(c, IO_CHANNEL_READ, false);
        return;
    }
    fd_channel_wake(c, IO_CHANNEL_READ);
}

static void fd_channel_on_write(void *opaque)
{
    FdChannel *c = opaque;

    fd_channel_watch(c, IO_CHANNEL_WRITE, false);
    fd_channel_wake(c, IO_CHANNEL_WRITE);
}

static void fd_channel_on_hangup(void *opaque)
{
    FdChannel *c = opaque;
    AioHandler *cb = g_steal_pointer(&c->hangup_cb);

    c->hangup_watched = false;
    fd_channel_update(c);
    if (cb) {
        cb(c->hangup_opaque);
    }
}

/* Keep the descriptors in @msg for io_channel_take_fd(). */
static void fd_channel_store_fds(FdChannel *c, struct msghdr *msg)
{
    struct cmsghdr *cmsg;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        size_t n;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
            if (c->rx_nfds < FD_CHANNEL_MAX_FDS) {
                c->rx_fds[c->rx_nfds++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static ssize_t fd_channel_recvmsg(FdChannel *c, const struct iovec *iov,
                                  int niov)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * FD_CHANNEL_MAX_FDS)];
    } control;
    struct msghdr msg = {
        .msg_iov = (struct iovec *)iov,
        .msg_iovlen = niov,
    };
    ssize_t ret;

    if (c->is_unix) {
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
    }
    ret = recvmsg(c->fd[IO_CHANNEL_READ], &msg,
                  MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (ret >= 0 && msg.msg_controllen) {
        fd_channel_store_fds(c, &msg);
    }
    return ret;
}

static ssize_t fd_channel_readv(IOChannel *ioc, const struct iovec *iov,
                                int niov)
{
    FdChannel *c = to_fd_channel(ioc);
    ssize_t ret;

    do {
        if (!c->is_socket) {
            ret = readv(c->fd[IO_CHANNEL_READ], iov, MIN(niov, IOV_MAX));
        } else if (niov == 1 && !c->is_unix) {
            ret = recv(c->fd[IO_CHANNEL_READ], iov->iov_base, iov->iov_len,
                       MSG_DONTWAIT);
        } else {
            ret = fd_channel_recvmsg(c, iov, MIN(niov, IOV_MAX));
        }
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static ssize_t fd_channel_sendmsg(FdChannel *c, const struct iovec *iov,
                                  int niov, int flags)
{
    struct msghdr msg = {
        .msg_iov = (struct iovec *)iov,
        .msg_iovlen = MIN(niov, IOV_MAX),
    };
    ssize_t ret;

    do {
        ret = sendmsg(c->fd[IO_CHANNEL_WRITE], &msg,
                      MSG_DONTWAIT | MSG_NOSIGNAL | flags);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static ssize_t fd_channel_writev(IOChannel *ioc, const struct iovec *iov,
                                 int niov)
{
    FdChannel *c = to_fd_channel(ioc);
    ssize_t ret;

    if (c->is_socket) {
        return fd_channel_sendmsg(c, iov, niov, 0);
    }
    do {
        ret = writev(c->fd[IO_CHANNEL_WRITE], iov, MIN(niov, IOV_MAX));
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

/* Unlike sendmsg(), splice() to a socket that is gone raises SIGPIPE. */
static ssize_t fd_channel_writev_pipe(IOChannel *ioc, const struct iovec *iov,
                                      int niov, int pipe_fd, size_t bytes)
{
    FdChannel *c = to_fd_channel(ioc);
    size_t before = iov_bytes(iov, niov);
    ssize_t ret;

    if (before > 0) {
        ret = fd_channel_sendmsg(c, iov, niov, MSG_MORE);
        if (ret < (ssize_t)before) {
            return ret;
        }
    }
    do {
        ret = splice(pipe_fd, NULL, c->fd[IO_CHANNEL_WRITE], NULL, bytes,
                     SPLICE_F_NONBLOCK);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        return before > 0 ? (ssize_t)before : -errno;
    }
    return (ssize_t)before + ret;
}

static void coroutine_fn fd_channel_co_wait(IOChannel *ioc,
                                            IOChannelDirection dir)
{
    FdChannel *c = to_fd_channel(ioc);

    if (c->never_blocks[dir]) {
        co_reschedule_self();
        return;
    }
    g_assert(!c->waiter[dir]);
    fd_channel_watch(c, dir, true);
    c->waiter[dir] = coroutine_self();
    coroutine_yield();
}

static void fd_channel_shutdown(IOChannel *ioc)
{
    FdChannel *c = to_fd_channel(ioc);

    if (c->is_socket) {
        shutdown(c->fd[0], SHUT_RDWR);
    }
    fd_channel_unwatch(c);

    /* Who wakes first may drop the last reference but this one. */
    io_channel_ref(ioc);
    fd_channel_wake(c, IO_CHANNEL_READ);
    fd_channel_wake(c, IO_CHANNEL_WRITE);
    io_channel_unref(ioc);
}

static void fd_channel_set_hangup(IOChannel *ioc, AioHandler *cb,
                                  void *opaque)
{
    FdChannel *c = to_fd_channel(ioc);

    if (!c->is_socket) {
        return;
    }
    c->hangup_cb = cb;
    c->hangup_opaque = opaque;
    if (cb && !c->hangup_watched) {
        c->hangup_watched = true;
        fd_channel_update(c);
    }
}

static int fd_channel_take_fd(IOChannel *ioc)
{
    FdChannel *c = to_fd_channel(ioc);
    int fd;

    if (!c->rx_nfds) {
        return -1;
    }
    fd = c->rx_fds[0];
    c->rx_nfds--;
    memmove(c->rx_fds, c->rx_fds + 1, c->rx_nfds * sizeof(int));
    return fd;
}

static const char *fd_channel_peer_name(IOChannel *ioc)
{
    FdChannel *c = to_fd_channel(ioc);

    if (!c->peer) {
        c->peer = c->is_socket ? sockaddr_peer_name(c->fd[0])
                               : g_strdup_printf("fd:%d", c->fd[0]);
    }
    return c->peer;
}

static bool fd_channel_is_unix(IOChannel *ioc)
{
    return to_fd_channel(ioc)->is_unix;
}

static void fd_channel_free(IOChannel *ioc)
{
    FdChannel *c = to_fd_channel(ioc);

    g_assert(!c->waiter[IO_CHANNEL_READ] && !c->waiter[IO_CHANNEL_WRITE]);
    fd_channel_unwatch(c);
    close(c->fd[IO_CHANNEL_READ]);
    if (c->fd[IO_CHANNEL_WRITE] != c->fd[IO_CHANNEL_READ]) {
        close(c->fd[IO_CHANNEL_WRITE]);
    }
    while (c->rx_nfds) {
        close(c->rx_fds[--c->rx_nfds]);
    }
    g_free(c->peer);
    g_free(c);
}

static const IOChannelOps fd_channel_ops = {
    .readv      = fd_channel_readv,
    .writev     = fd_channel_writev,
    .writev_pipe = fd_channel_writev_pipe,
    .co_wait    = fd_channel_co_wait,
    .shutdown   = fd_channel_shutdown,
    .set_hangup = fd_channel_set_hangup,
    .take_fd    = fd_channel_take_fd,
    .peer_name  = fd_channel_peer_name,
    .is_unix    = fd_channel_is_unix,
    .free       = fd_channel_free,
};

/* Whether epoll takes @fd; only the kernel knows for character devices. */
static bool fd_is_pollable(int fd)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    bool ok;

    if (epfd < 0) {
        return true;
    }
    ok = epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) == 0 || errno != EPERM;
    close(epfd);
    return ok;
}

static void fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK)) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

IOChannel *io_channel_new_fd_pair(int read_fd, int write_fd)
{
    FdChannel *c = g_new0(FdChannel, 1);
    struct stat st;

    io_channel_init(&c->base, &fd_channel_ops);
    c->fd[IO_CHANNEL_READ] = read_fd;
    c->fd[IO_CHANNEL_WRITE] = write_fd;

    if (read_fd == write_fd && fstat(read_fd, &st) == 0 &&
        S_ISSOCK(st.st_mode)) {
        c->is_socket = true;
        c->is_unix = sockaddr_fd_is_unix(read_fd);
    } else {
        c->never_blocks[IO_CHANNEL_READ] = !fd_is_pollable(read_fd);
        c->never_blocks[IO_CHANNEL_WRITE] = !fd_is_pollable(write_fd);
    }
    fd_set_nonblocking(read_fd);
    fd_set_nonblocking(write_fd);
    return &c->base;
}

IOChannel *io_channel_new_fd(int fd)
{
    return io_channel_new_fd_pair(fd, fd);
}
