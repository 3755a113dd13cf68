/*
 * Byte-stream channels: sockets, TLS over them, pipes
 *
 * Never blocks.  A channel belongs to the AioContext that was current when it
 * was created.  One coroutine may read while another one writes; there is at
 * most one of each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_CHANNEL_H
#define IO_CHANNEL_H

#include <sys/uio.h>

#include "util/aio.h"

typedef struct IOChannel IOChannel;

typedef enum IOChannelDirection {
    IO_CHANNEL_READ,
    IO_CHANNEL_WRITE,
} IOChannelDirection;

/* Wrap the connected socket, pipe or terminal @fd and own it from now on. */
IOChannel *io_channel_new_fd(int fd);

/* The same for two descriptors, one for each direction: standard I/O. */
IOChannel *io_channel_new_fd_pair(int read_fd, int write_fd);

IOChannel *io_channel_ref(IOChannel *ioc);
/* The last unref closes. */
void io_channel_unref(IOChannel *ioc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IOChannel, io_channel_unref)

/*
 * One system call's worth.  Returns the bytes moved (0 from read: end of
 * stream), -EAGAIN when it would block, else another -errno.  What is written
 * after -EAGAIN begins with the bytes of the attempt before: a TLS channel
 * has them encrypted already.
 */
ssize_t io_channel_readv(IOChannel *ioc, const struct iovec *iov, int niov);
ssize_t io_channel_writev(IOChannel *ioc, const struct iovec *iov, int niov);

/*
 * The same for @iov (which may be empty), then up to @bytes of what the pipe
 * @pipe_fd holds, at least one; all of the latter without being copied.
 * Sockets only, not TLS.
 */
ssize_t io_channel_writev_pipe(IOChannel *ioc, const struct iovec *iov,
                               int niov, int pipe_fd, size_t bytes);

/*
 * Sleep until the channel may be ready in that direction, or was shut down.
 * No other coroutine waits for the same direction.
 */
void coroutine_fn io_channel_co_wait(IOChannel *ioc, IOChannelDirection dir);

/*
 * Read at least one byte, waiting as needed.  Returns the number of bytes, 0
 * at the end of the stream, or -errno.
 */
ssize_t coroutine_fn io_channel_co_read(IOChannel *ioc, void *buf,
                                        size_t bytes);

/*
 * Read or write all of it.  Return 0, or -errno; an end of stream before the
 * first byte is -ENODATA, one within is -EPIPE.  @iov is used up (changed).
 */
int coroutine_fn io_channel_co_read_full(IOChannel *ioc, void *buf,
                                         size_t bytes);
int coroutine_fn io_channel_co_writev_full(IOChannel *ioc, struct iovec *iov,
                                           int niov);
int coroutine_fn io_channel_co_write_full(IOChannel *ioc, const void *buf,
                                          size_t bytes);

/*
 * End the stream both ways at once: whoever waits, now or later, gets an
 * end of stream or -EPIPE.  Any coroutine or callback of the context; may be
 * repeated; the descriptor stays open until the last unref.
 */
void io_channel_shutdown(IOChannel *ioc);

/*
 * Call @cb once, from the loop, when the peer will send nothing more, however
 * much of what it sent is still unread; NULL: do not.  For who waits for
 * something else than data.  Pipes and files never say so, nor does a channel
 * after a shutdown.  Reset before the last unref.
 */
void io_channel_set_hangup_handler(IOChannel *ioc, AioHandler *cb,
                                   void *opaque);

/*
 * The next descriptor that came along with data (SCM_RIGHTS), or -1; the
 * caller owns it.  Only on unix sockets.
 */
int io_channel_take_fd(IOChannel *ioc);

/* "unix:/path", "192.0.2.1:10809", ...: whom we talk to, for messages. */
const char *io_channel_peer_name(IOChannel *ioc);

/* Whether the peer is on this host through a unix socket. */
bool io_channel_is_unix(IOChannel *ioc);

#endif
