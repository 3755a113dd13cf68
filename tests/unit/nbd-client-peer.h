/*
 * For tests of the NBD client's requests: a scripted server
 *
 * The test plays the server on the other end of a socket pair, byte by byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_NBD_CLIENT_PEER_H
#define TESTS_UNIT_NBD_CLIENT_PEER_H

#include <sys/socket.h>

#include "io/channel.h"
#include "nbd/client.h"
#include "nbd/protocol.h"
#include "util/aio.h"

#define CONTEXT_ID 42

static AioContext *ctx;

/* Both ends of a connection */

typedef struct Peer {
    int fd;                     /* the server's end */
    NBDClient *client;
    char *lost;                 /* why, once it is */
    bool closed;
} Peer;

static inline void peer_lost(void *opaque, const GError *reason)
{
    Peer *p = opaque;

    g_assert_null(p->lost);
    p->lost = g_strdup(reason->message);
}

static inline Peer *peer_new(bool structured)
{
    const NBDExportInfo info = {
        .size = 1 * GiB,
        .structured_reply = structured,
        .has_context = structured,
        .context_id = CONTEXT_ID,
    };
    Peer *p = g_new0(Peer, 1);
    g_autoptr(IOChannel) ioc = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                    ==, 0);
    p->fd = fds[1];
    ioc = io_channel_new_fd(fds[0]);
    p->client = nbd_client_new(ioc, &info, peer_lost, p);
    return p;
}

static inline void coroutine_fn close_entry(void *opaque)
{
    Peer *p = opaque;

    nbd_client_co_close(p->client);
    p->closed = true;
}

static inline void peer_free(Peer *p)
{
    coroutine_start(close_entry, p);
    while (!p->closed) {
        aio_poll(ctx, true);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    g_assert_cmpint(coroutine_count(), ==, 0);
    g_free(p->lost);
    g_free(p);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

static inline void server_read(Peer *p, void *buf, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t ret = read(p->fd, (char *)buf + done, bytes - done);

        g_assert_cmpint(ret, !=, 0);
        if (ret > 0) {
            done += ret;
        } else {
            g_assert_cmpint(errno, ==, EAGAIN);
            aio_poll(ctx, false);
        }
    }
}

static inline void server_write(Peer *p, const void *buf, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t ret = write(p->fd, (const char *)buf + done, bytes - done);

        if (ret > 0) {
            done += ret;
        } else {
            g_assert_cmpint(errno, ==, EAGAIN);
            aio_poll(ctx, false);
        }
    }
}

static inline NBDRequest server_expect(Peer *p, uint16_t type)
{
    uint8_t buf[NBD_REQUEST_SIZE];
    NBDRequest req;

    server_read(p, buf, sizeof(buf));
    req = nbd_request_decode(buf);
    g_assert_cmphex(req.magic, ==, NBD_REQUEST_MAGIC);
    g_assert_cmpint(req.type, ==, type);
    return req;
}

static inline bool server_sees_nothing(Peer *p)
{
    uint8_t c;

    aio_poll(ctx, false);
    return read(p->fd, &c, 1) < 0 && errno == EAGAIN;
}

static inline void reply_simple(Peer *p, uint64_t cookie, uint32_t error)
{
    uint8_t buf[NBD_SIMPLE_REPLY_SIZE];

    nbd_simple_reply_encode(buf, error, cookie);
    server_write(p, buf, sizeof(buf));
}

static inline void reply_chunk(Peer *p, uint64_t cookie, uint16_t flags,
                        uint16_t type, const void *payload, uint32_t len)
{
    g_autofree uint8_t *buf = g_malloc(NBD_CHUNK_SIZE + len);

    nbd_chunk_encode(buf, flags, type, cookie, len);
    if (len) {
        memcpy(buf + NBD_CHUNK_SIZE, payload, len);
    }
    server_write(p, buf, NBD_CHUNK_SIZE + len);
}

static inline void reply_done(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, NULL, 0);
}

static inline void reply_data(Peer *p, uint64_t cookie, uint16_t flags,
                       uint64_t offset, int byte, uint32_t len)
{
    g_autofree uint8_t *buf = g_malloc(8 + len);

    nbd_put64(buf, offset);
    memset(buf + 8, byte, len);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_OFFSET_DATA, buf, 8 + len);
}

static inline void reply_hole(Peer *p, uint64_t cookie, uint16_t flags,
                       uint64_t offset, uint32_t len)
{
    uint8_t buf[NBD_OFFSET_HOLE_SIZE];

    nbd_put64(buf, offset);
    nbd_put32(buf + 8, len);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_OFFSET_HOLE, buf,
                sizeof(buf));
}

static inline void reply_status(Peer *p, uint64_t cookie, uint16_t flags,
                         uint32_t context, uint32_t length, uint32_t state)
{
    uint8_t buf[NBD_CONTEXT_ID_SIZE + NBD_EXTENT_SIZE];

    nbd_put32(buf, context);
    nbd_put32(buf + 4, length);
    nbd_put32(buf + 8, state);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_BLOCK_STATUS, buf,
                sizeof(buf));
}

static inline void reply_error(Peer *p, uint64_t cookie, uint16_t flags,
                        uint32_t error, const char *text)
{
    g_autofree uint8_t *buf = g_malloc(NBD_ERROR_CHUNK_SIZE + strlen(text));

    nbd_put32(buf, error);
    nbd_put16(buf + 4, strlen(text));
    memcpy(buf + NBD_ERROR_CHUNK_SIZE, text, strlen(text));
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_ERROR, buf,
                NBD_ERROR_CHUNK_SIZE + strlen(text));
}

/* Requests of the client */

typedef struct Call {
    Peer *peer;
    uint16_t type;
    uint16_t flags;
    uint64_t offset;
    uint32_t bytes;
    uint8_t *buf;
    uint32_t length, state;     /* block status */
    int ret;
    bool done;
} Call;

static inline void coroutine_fn call_entry(void *opaque)
{
    Call *c = opaque;
    NBDClient *client = c->peer->client;
    IOVector qiov;

    iov_init_buf(&qiov, c->buf, c->bytes);
    switch (c->type) {
    case NBD_CMD_READ:
        c->ret = nbd_client_co_read(client, c->offset, c->bytes, &qiov);
        break;
    case NBD_CMD_WRITE:
        c->ret = nbd_client_co_write(client, c->offset, c->bytes, &qiov,
                                     c->flags);
        break;
    case NBD_CMD_BLOCK_STATUS:
        c->ret = nbd_client_co_block_status(client, c->offset, c->bytes,
                                            &c->length, &c->state);
        break;
    default:
        c->ret = nbd_client_co_command(client, c->type, c->flags, c->offset,
                                       c->bytes);
    }
    c->done = true;
}

static inline Call *call_start(Peer *p, uint16_t type, uint64_t offset,
                        uint32_t bytes)
{
    Call *c = g_new0(Call, 1);

    c->peer = p;
    c->type = type;
    c->offset = offset;
    c->bytes = bytes;
    if (type == NBD_CMD_READ || type == NBD_CMD_WRITE) {
        c->buf = g_malloc(bytes);
        memset(c->buf, 0xee, bytes);
    }
    coroutine_start(call_entry, c);
    return c;
}

static inline int call_wait(Call *c)
{
    while (!c->done) {
        aio_poll(ctx, true);
    }
    return c->ret;
}

static inline void call_free(Call *c)
{
    g_assert_true(c->done);
    g_free(c->buf);
    g_free(c);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Call, call_free)

static inline void assert_bytes(const Call *c, uint32_t from, uint32_t to, int byte)
{
    for (uint32_t i = from; i < to; i++) {
        g_assert_cmphex(c->buf[i], ==, byte);
    }
}

#endif
