/*
 * Byte-stream channels: what all kinds of them have in common
 *
 * References, the state after a shutdown, and the loops that read or write
 * all of a request.  The kinds are in channel-fd.c and channel-tls.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/channel.h"

#include "io/channel-int.h"
#include "util/iov.h"

void io_channel_init(IOChannel *ioc, const IOChannelOps *ops)
{
    ioc->ops = ops;
    ioc->ctx = aio_get_current();
    ioc->refcnt = 1;
}

IOChannel *io_channel_ref(IOChannel *ioc)
{
    ioc->refcnt++;
    return ioc;
}

void io_channel_unref(IOChannel *ioc)
{
    if (!ioc) {
        return;
    }
    g_assert(ioc->refcnt > 0);
    if (--ioc->refcnt == 0) {
        ioc->ops->free(ioc);
    }
}

ssize_t io_channel_readv(IOChannel *ioc, const struct iovec *iov, int niov)
{
    if (ioc->shut) {
        return 0;
    }
    return ioc->ops->readv(ioc, iov, niov);
}

ssize_t io_channel_writev(IOChannel *ioc, const struct iovec *iov, int niov)
{
    if (ioc->shut) {
        return -EPIPE;
    }
    return ioc->ops->writev(ioc, iov, niov);
}

ssize_t io_channel_writev_pipe(IOChannel *ioc, const struct iovec *iov,
                               int niov, int pipe_fd, size_t bytes)
{
    if (ioc->shut) {
        return -EPIPE;
    }
    return ioc->ops->writev_pipe(ioc, iov, niov, pipe_fd, bytes);
}

void coroutine_fn io_channel_co_wait(IOChannel *ioc, IOChannelDirection dir)
{
    if (!ioc->shut) {
        ioc->ops->co_wait(ioc, dir);
    }
}

ssize_t coroutine_fn io_channel_co_read(IOChannel *ioc, void *buf,
                                        size_t bytes)
{
    struct iovec iov = { .iov_base = buf, .iov_len = bytes };
    ssize_t ret;

    while ((ret = io_channel_readv(ioc, &iov, 1)) == -EAGAIN) {
        io_channel_co_wait(ioc, IO_CHANNEL_READ);
    }
    return ret;
}

int coroutine_fn io_channel_co_read_full(IOChannel *ioc, void *buf,
                                         size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t ret = io_channel_co_read(ioc, (char *)buf + done,
                                         bytes - done);

        if (ret < 0) {
            return ret;
        }
        if (ret == 0) {
            return done ? -EPIPE : -ENODATA;
        }
        done += ret;
    }
    return 0;
}

int coroutine_fn io_channel_co_writev_full(IOChannel *ioc, struct iovec *iov,
                                           int niov)
{
    while (niov > 0) {
        ssize_t ret;

        if (iov->iov_len == 0) {
            iov++;
            niov--;
            continue;
        }
        ret = io_channel_writev(ioc, iov, niov);
        if (ret == -EAGAIN) {
            io_channel_co_wait(ioc, IO_CHANNEL_WRITE);
            continue;
        }
        if (ret < 0) {
            return ret;
        }
        iov_discard_front(&iov, &niov, ret);
    }
    return 0;
}

int coroutine_fn io_channel_co_write_full(IOChannel *ioc, const void *buf,
                                          size_t bytes)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = bytes };

    return io_channel_co_writev_full(ioc, &iov, 1);
}

void io_channel_shutdown(IOChannel *ioc)
{
    if (!ioc->shut) {
        ioc->shut = true;
        ioc->ops->shutdown(ioc);
    }
}

void io_channel_set_hangup_handler(IOChannel *ioc, AioHandler *cb,
                                   void *opaque)
{
    if (!ioc->shut) {
        ioc->ops->set_hangup(ioc, cb, opaque);
    }
}

int io_channel_take_fd(IOChannel *ioc)
{
    return ioc->ops->take_fd(ioc);
}

const char *io_channel_peer_name(IOChannel *ioc)
{
    return ioc->ops->peer_name(ioc);
}

bool io_channel_is_unix(IOChannel *ioc)
{
    return ioc->ops->is_unix(ioc);
}
