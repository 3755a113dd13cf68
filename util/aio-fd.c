/*
 * The event loop: descriptors
 *
 * A handler that goes while another of the same descriptor stays is often
 * soon back.  To save the system calls of both, the kernel keeps watching for
 * it and is told only when an event comes that nobody wants.  When the last
 * handler goes, so does the descriptor.  An event carries the address of its
 * AioFd; one that is removed while events are dispatched stays allocated,
 * without handlers, until all events of the turn are through.
 *
 * Regular files and /dev/null cannot be watched; they are ready in each turn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio-int.h"

/* Hang-up and error are always reported and concern both directions. */
#define EVENTS_READ (EPOLLIN | EPOLLRDHUP)
#define EVENTS_HANGUP EPOLLRDHUP
#define EVENTS_BOTH (EPOLLHUP | EPOLLERR)

static AioFd *fd_get(AioContext *ctx, int fd)
{
    return fd < ctx->fds_alloc ? ctx->fds[fd] : NULL;
}

static AioFd *fd_add(AioContext *ctx, int fd)
{
    AioFd *f = g_new0(AioFd, 1);

    g_assert(fd >= 0);
    if (fd >= ctx->fds_alloc) {
        int alloc = MAX(2 * ctx->fds_alloc, MAX(fd + 1, 16));

        ctx->fds = g_renew(AioFd *, ctx->fds, alloc);
        memset(ctx->fds + ctx->fds_alloc, 0,
               (alloc - ctx->fds_alloc) * sizeof(AioFd *));
        ctx->fds_alloc = alloc;
    }
    f->fd = fd;
    ctx->fds[fd] = f;
    ctx->fds_count++;
    return f;
}

/* Tell the kernel to watch for what is wanted, and for nothing else. */
static void fd_update(AioContext *ctx, AioFd *f)
{
    struct epoll_event event = { .events = f->wanted, .data.ptr = f };
    int op = EPOLL_CTL_MOD;

    if (f->plain || f->watched == f->wanted) {
        return;
    }
    if (!f->known) {
        op = EPOLL_CTL_ADD;
    } else if (!f->wanted) {
        op = EPOLL_CTL_DEL;
    }
    /* Removal fails if somebody closed the descriptor first; that is all. */
    if (epoll_ctl(ctx->epoll_fd, op, f->fd, &event) < 0 &&
        op != EPOLL_CTL_DEL) {
        if (errno == EPERM) {
            f->plain = true;
            ctx->fds_plain++;
            return;
        }
        g_error("cannot watch descriptor %d: %s", f->fd, g_strerror(errno));
    }
    f->known = f->wanted != 0;
    f->watched = f->wanted;
}

static void fd_remove(AioContext *ctx, AioFd *f)
{
    f->wanted = 0;
    f->io_read = NULL;
    f->io_write = NULL;
    f->io_hangup = NULL;
    fd_update(ctx, f);
    ctx->fds[f->fd] = NULL;
    ctx->fds_count--;
    ctx->fds_plain -= f->plain;
    f->next_dead = ctx->fds_dead;
    ctx->fds_dead = f;
    if (!ctx->in_poll) {
        aio_fd_bury(ctx);
    }
}

void aio_set_fd_handlers(AioContext *ctx, int fd, AioHandler *io_read,
                         AioHandler *io_write, AioHandler *io_hangup,
                         void *opaque)
{
    AioFd *f = fd_get(ctx, fd);

    if (!io_read && !io_write && !io_hangup) {
        if (f) {
            fd_remove(ctx, f);
        }
        return;
    }
    if (!f) {
        f = fd_add(ctx, fd);
    }
    f->io_read = io_read;
    f->io_write = io_write;
    f->io_hangup = io_hangup;
    f->opaque = opaque;
    f->wanted = (io_read ? EVENTS_READ : 0) | (io_write ? EPOLLOUT : 0) |
                (io_hangup ? EVENTS_HANGUP : 0);
    if (f->wanted & ~f->watched) {
        fd_update(ctx, f);
    }
}

void aio_set_fd_handler(AioContext *ctx, int fd, AioHandler *io_read,
                        AioHandler *io_write, void *opaque)
{
    aio_set_fd_handlers(ctx, fd, io_read, io_write, NULL, opaque);
}

bool aio_fd_plain_ready(AioContext *ctx)
{
    for (int fd = 0; ctx->fds_plain > 0 && fd < ctx->fds_alloc; fd++) {
        AioFd *f = ctx->fds[fd];

        if (f && f->plain && f->wanted) {
            return true;
        }
    }
    return false;
}

bool aio_fd_dispatch_plain(AioContext *ctx)
{
    bool progress = false;

    for (int fd = 0; fd < ctx->fds_alloc; fd++) {
        struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT,
            .data.ptr = ctx->fds[fd],
        };

        if (ctx->fds[fd] && ctx->fds[fd]->plain) {
            progress |= aio_fd_dispatch(ctx, &event);
        }
    }
    return progress;
}

bool aio_fd_dispatch(AioContext *ctx, const struct epoll_event *event)
{
    AioFd *f = event->data.ptr;
    bool progress = false;

    /* No address: our own eventfd, which has done its work. */
    if (!f) {
        return false;
    }
    if (f->io_read && (event->events & (EVENTS_READ | EVENTS_BOTH))) {
        f->io_read(f->opaque);
        progress = true;
    }
    if (f->io_write && (event->events & (EPOLLOUT | EVENTS_BOTH))) {
        f->io_write(f->opaque);
        progress = true;
    }
    if (f->io_hangup && (event->events & (EVENTS_HANGUP | EVENTS_BOTH))) {
        f->io_hangup(f->opaque);
        progress = true;
    }
    if (!progress) {
        fd_update(ctx, f);
    }
    return progress;
}

void aio_fd_bury(AioContext *ctx)
{
    while (ctx->fds_dead) {
        AioFd *f = ctx->fds_dead;

        ctx->fds_dead = f->next_dead;
        g_free(f);
    }
}
