/*
 * What an implementation of IOChannel provides
 *
 * Included by the implementations (descriptors, TLS) and by channel.c, by
 * nobody else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_CHANNEL_INT_H
#define IO_CHANNEL_INT_H

#include "io/channel.h"

/* All callbacks run in the channel's context; mandatory but for one. */
typedef struct IOChannelOps {
    /*
     * One attempt, never waiting: see io_channel_readv().  Not called after
     * a shutdown.
     */
    ssize_t (*readv)(IOChannel *ioc, const struct iovec *iov, int niov);
    ssize_t (*writev)(IOChannel *ioc, const struct iovec *iov, int niov);

    /* Optional, the same. */
    ssize_t (*writev_pipe)(IOChannel *ioc, const struct iovec *iov, int niov,
                           int pipe_fd, size_t bytes);

    /*
     * Sleep until the last -EAGAIN may be out of date.  May return early.
     * Not called after a shutdown, which wakes it.
     */
    void coroutine_fn (*co_wait)(IOChannel *ioc, IOChannelDirection dir);

    /* End the stream and wake who waits.  Called once, ioc->shut is set. */
    void (*shutdown)(IOChannel *ioc);

    /* See io_channel_set_hangup_handler().  Not called after a shutdown. */
    void (*set_hangup)(IOChannel *ioc, AioHandler *cb, void *opaque);

    int (*take_fd)(IOChannel *ioc);
    const char *(*peer_name)(IOChannel *ioc);
    bool (*is_unix)(IOChannel *ioc);

    /* Close and free everything, @ioc included.  Nobody waits any more. */
    void (*free)(IOChannel *ioc);
} IOChannelOps;

struct IOChannel {
    const IOChannelOps *ops;
    AioContext *ctx;
    unsigned refcnt;
    bool shut;                  /* io_channel_shutdown() was called */
};

/* Fill in the base of a new channel, with one reference. */
void io_channel_init(IOChannel *ioc, const IOChannelOps *ops);

#endif
