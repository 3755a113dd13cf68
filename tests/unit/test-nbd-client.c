/*
 * The NBD client's requests against a scripted server
 *
 * The test plays the server on the other end of a socket pair, byte by byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

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

static void peer_lost(void *opaque, const GError *reason)
{
    Peer *p = opaque;

    g_assert_null(p->lost);
    p->lost = g_strdup(reason->message);
}

static Peer *peer_new(bool structured)
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

static void coroutine_fn close_entry(void *opaque)
{
    Peer *p = opaque;

    nbd_client_co_close(p->client);
    p->closed = true;
}

static void peer_free(Peer *p)
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

static void server_read(Peer *p, void *buf, size_t bytes)
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

static void server_write(Peer *p, const void *buf, size_t bytes)
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

static NBDRequest server_expect(Peer *p, uint16_t type)
{
    uint8_t buf[NBD_REQUEST_SIZE];
    NBDRequest req;

    server_read(p, buf, sizeof(buf));
    req = nbd_request_decode(buf);
    g_assert_cmphex(req.magic, ==, NBD_REQUEST_MAGIC);
    g_assert_cmpint(req.type, ==, type);
    return req;
}

static bool server_sees_nothing(Peer *p)
{
    uint8_t c;

    aio_poll(ctx, false);
    return read(p->fd, &c, 1) < 0 && errno == EAGAIN;
}

static void reply_simple(Peer *p, uint64_t cookie, uint32_t error)
{
    uint8_t buf[NBD_SIMPLE_REPLY_SIZE];

    nbd_simple_reply_encode(buf, error, cookie);
    server_write(p, buf, sizeof(buf));
}

static void reply_chunk(Peer *p, uint64_t cookie, uint16_t flags,
                        uint16_t type, const void *payload, uint32_t len)
{
    g_autofree uint8_t *buf = g_malloc(NBD_CHUNK_SIZE + len);

    nbd_chunk_encode(buf, flags, type, cookie, len);
    if (len) {
        memcpy(buf + NBD_CHUNK_SIZE, payload, len);
    }
    server_write(p, buf, NBD_CHUNK_SIZE + len);
}

static void reply_done(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, NULL, 0);
}

static void reply_data(Peer *p, uint64_t cookie, uint16_t flags,
                       uint64_t offset, int byte, uint32_t len)
{
    g_autofree uint8_t *buf = g_malloc(8 + len);

    nbd_put64(buf, offset);
    memset(buf + 8, byte, len);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_OFFSET_DATA, buf, 8 + len);
}

static void reply_hole(Peer *p, uint64_t cookie, uint16_t flags,
                       uint64_t offset, uint32_t len)
{
    uint8_t buf[NBD_OFFSET_HOLE_SIZE];

    nbd_put64(buf, offset);
    nbd_put32(buf + 8, len);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_OFFSET_HOLE, buf,
                sizeof(buf));
}

static void reply_status(Peer *p, uint64_t cookie, uint16_t flags,
                         uint32_t context, uint32_t length, uint32_t state)
{
    uint8_t buf[NBD_CONTEXT_ID_SIZE + NBD_EXTENT_SIZE];

    nbd_put32(buf, context);
    nbd_put32(buf + 4, length);
    nbd_put32(buf + 8, state);
    reply_chunk(p, cookie, flags, NBD_REPLY_TYPE_BLOCK_STATUS, buf,
                sizeof(buf));
}

static void reply_error(Peer *p, uint64_t cookie, uint16_t flags,
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

static void coroutine_fn call_entry(void *opaque)
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

static Call *call_start(Peer *p, uint16_t type, uint64_t offset,
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

static int call_wait(Call *c)
{
    while (!c->done) {
        aio_poll(ctx, true);
    }
    return c->ret;
}

static void call_free(Call *c)
{
    g_assert_true(c->done);
    g_free(c->buf);
    g_free(c);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Call, call_free)

static void assert_bytes(const Call *c, uint32_t from, uint32_t to, int byte)
{
    for (uint32_t i = from; i < to; i++) {
        g_assert_cmphex(c->buf[i], ==, byte);
    }
}

/* Good replies */

static void test_simple_read_brings_its_data(void)
{
    g_autoptr(Peer) p = peer_new(false);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 4096, 3);
    NBDRequest r = server_expect(p, NBD_CMD_READ);

    g_assert_cmpint(r.offset, ==, 4096);
    g_assert_cmpint(r.length, ==, 3);
    reply_simple(p, r.cookie, 0);
    server_write(p, "abc", 3);
    g_assert_cmpint(call_wait(c), ==, 0);
    g_assert_cmpmem(c->buf, 3, "abc", 3);
}

static void test_simple_errors_are_the_servers(void)
{
    g_autoptr(Peer) p = peer_new(false);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 512);
    g_autoptr(Call) d = NULL;

    reply_simple(p, server_expect(p, NBD_CMD_READ).cookie, NBD_ENOSPC);
    g_assert_cmpint(call_wait(c), ==, -ENOSPC);
    d = call_start(p, NBD_CMD_TRIM, 0, 512);
    reply_simple(p, server_expect(p, NBD_CMD_TRIM).cookie, 4711);
    g_assert_cmpint(call_wait(d), ==, -EINVAL);
    g_assert_null(p->lost);
}

static void test_write_sends_payload_and_flags(void)
{
    g_autoptr(Peer) p = peer_new(true);
    Call c = {
        .peer = p, .type = NBD_CMD_WRITE, .flags = NBD_CMD_FLAG_FUA,
        .offset = 77, .bytes = 5, .buf = (uint8_t *)"hello",
    };
    char payload[5];
    NBDRequest r;

    coroutine_start(call_entry, &c);
    r = server_expect(p, NBD_CMD_WRITE);
    g_assert_cmpint(r.flags, ==, NBD_CMD_FLAG_FUA);
    g_assert_cmpint(r.offset, ==, 77);
    server_read(p, payload, sizeof(payload));
    g_assert_cmpmem(payload, 5, "hello", 5);
    reply_simple(p, r.cookie, 0);
    g_assert_cmpint(call_wait(&c), ==, 0);
}

static void test_structured_read_takes_data_and_holes(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 1000, 300);
    uint64_t cookie = server_expect(p, NBD_CMD_READ).cookie;

    reply_data(p, cookie, 0, 1000, 'a', 100);
    reply_hole(p, cookie, 0, 1100, 100);
    reply_data(p, cookie, NBD_REPLY_FLAG_DONE, 1200, 'b', 100);
    g_assert_cmpint(call_wait(c), ==, 0);
    assert_bytes(c, 0, 100, 'a');
    assert_bytes(c, 100, 200, 0);
    assert_bytes(c, 200, 300, 'b');
}

static void test_chunks_may_come_in_any_order(void)
{
    static const int order[] = { 7, 1, 3, 0, 2, 9, 8, 5, 4, 6 };
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 1000);
    uint64_t cookie = server_expect(p, NBD_CMD_READ).cookie;

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        reply_data(p, cookie, 0, order[i] * 100, order[i], 100);
    }
    reply_done(p, cookie);
    g_assert_cmpint(call_wait(c), ==, 0);
    for (int i = 0; i < 10; i++) {
        assert_bytes(c, i * 100, i * 100 + 100, i);
    }
}

static void test_large_reads_arrive_whole(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 4 * MiB);
    g_autoptr(Call) d = call_start(p, NBD_CMD_READ, 4 * MiB, 100000);
    uint64_t cookie_c = server_expect(p, NBD_CMD_READ).cookie;
    uint64_t cookie_d = server_expect(p, NBD_CMD_READ).cookie;

    reply_data(p, cookie_c, NBD_REPLY_FLAG_DONE, 0, 'c', 4 * MiB);
    reply_data(p, cookie_d, NBD_REPLY_FLAG_DONE, 4 * MiB, 'd', 100000);
    g_assert_cmpint(call_wait(c), ==, 0);
    g_assert_cmpint(call_wait(d), ==, 0);
    assert_bytes(c, 0, 4 * MiB, 'c');
    assert_bytes(d, 0, 100000, 'd');
}

static void test_large_writes_leave_whole(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_WRITE, 0, 4 * MiB);
    g_autoptr(Call) d = call_start(p, NBD_CMD_WRITE, 4 * MiB, 1 * MiB);
    g_autofree uint8_t *buf = g_malloc(4 * MiB);
    uint64_t cookie_c, cookie_d;

    cookie_c = server_expect(p, NBD_CMD_WRITE).cookie;
    server_read(p, buf, 4 * MiB);
    g_assert_cmpmem(buf, 4 * MiB, c->buf, 4 * MiB);
    cookie_d = server_expect(p, NBD_CMD_WRITE).cookie;
    server_read(p, buf, 1 * MiB);
    reply_done(p, cookie_d);
    reply_done(p, cookie_c);
    g_assert_cmpint(call_wait(d), ==, 0);
    g_assert_cmpint(call_wait(c), ==, 0);
}

static void test_replies_survive_any_segmentation(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 40);
    uint64_t cookie = server_expect(p, NBD_CMD_READ).cookie;
    uint8_t buf[NBD_CHUNK_SIZE + 8 + 40];

    nbd_chunk_encode(buf, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_OFFSET_DATA,
                     cookie, 8 + 40);
    nbd_put64(buf + NBD_CHUNK_SIZE, 0);
    memset(buf + NBD_CHUNK_SIZE + 8, 'x', 40);
    for (size_t i = 0; i < sizeof(buf); i++) {
        g_assert_false(c->done);
        server_write(p, buf + i, 1);
        aio_poll(ctx, false);
    }
    g_assert_cmpint(call_wait(c), ==, 0);
    assert_bytes(c, 0, 40, 'x');
}

static void test_structured_errors_are_the_servers(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 1024);
    uint64_t cookie = server_expect(p, NBD_CMD_READ).cookie;
    uint8_t at_offset[NBD_ERROR_CHUNK_SIZE + 3 + NBD_ERROR_OFFSET_SIZE] = {
        0, 0, 0, NBD_EPERM, 0, 3, 'b', 'a', 'd', 0, 0, 0, 0, 0, 0, 2, 0,
    };

    reply_data(p, cookie, 0, 0, 'a', 512);
    reply_error(p, cookie, 0, NBD_EIO, "bad sector");
    reply_chunk(p, cookie, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR_OFFSET,
                at_offset, sizeof(at_offset));
    g_assert_cmpint(call_wait(c), ==, -EIO);
    g_assert_null(p->lost);
}

static void test_unknown_error_chunks_are_errors(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_FLUSH, 0, 0);
    uint64_t cookie = server_expect(p, NBD_CMD_FLUSH).cookie;

    reply_chunk(p, cookie, NBD_REPLY_FLAG_DONE, NBD_REPLY_ERR(99),
                "\0\0\0\x0c\0\1?and more", 15);
    g_assert_cmpint(call_wait(c), ==, -ENOMEM);
    g_assert_null(p->lost);
}

static void test_block_status_gives_the_first_extent(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_BLOCK_STATUS, 0, 1 * MiB);
    NBDRequest r = server_expect(p, NBD_CMD_BLOCK_STATUS);

    g_assert_cmpint(r.flags, ==, NBD_CMD_FLAG_REQ_ONE);
    reply_status(p, r.cookie, NBD_REPLY_FLAG_DONE, CONTEXT_ID, 4096,
                 NBD_STATE_HOLE | NBD_STATE_ZERO);
    g_assert_cmpint(call_wait(c), ==, 0);
    g_assert_cmpint(c->length, ==, 4096);
    g_assert_cmpint(c->state, ==, NBD_STATE_HOLE | NBD_STATE_ZERO);
}

static void test_block_status_ends_with_the_request(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_BLOCK_STATUS, 0, 4096);
    NBDRequest r = server_expect(p, NBD_CMD_BLOCK_STATUS);

    reply_status(p, r.cookie, 0, CONTEXT_ID, UINT32_MAX, 0);
    reply_done(p, r.cookie);
    g_assert_cmpint(call_wait(c), ==, 0);
    g_assert_cmpint(c->length, ==, 4096);
}

/* Many in flight */

static void test_replies_find_their_requests_in_any_order(void)
{
    g_autoptr(Peer) p = peer_new(true);
    uint64_t cookies[50];
    Call *calls[50];

    for (int i = 0; i < 50; i++) {
        calls[i] = call_start(p, NBD_CMD_READ, i * 512, 512);
    }
    for (int i = 0; i < 50; i++) {
        NBDRequest r = server_expect(p, NBD_CMD_READ);

        g_assert_cmpint(r.offset, ==, i * 512);
        cookies[i] = r.cookie;
    }
    for (int i = 49; i >= 0; i--) {
        reply_data(p, cookies[i], NBD_REPLY_FLAG_DONE, i * 512, i, 512);
    }
    for (int i = 0; i < 50; i++) {
        g_assert_cmpint(call_wait(calls[i]), ==, 0);
        assert_bytes(calls[i], 0, 512, i);
        call_free(calls[i]);
    }
}

static void test_too_many_requests_wait_for_a_slot(void)
{
    enum { N = NBD_CLIENT_MAX_REQUESTS + 3 };
    g_autoptr(Peer) p = peer_new(true);
    uint64_t cookies[N];
    Call *calls[N];

    for (int i = 0; i < N; i++) {
        calls[i] = call_start(p, NBD_CMD_FLUSH, 0, 0);
    }
    for (int i = 0; i < NBD_CLIENT_MAX_REQUESTS; i++) {
        cookies[i] = server_expect(p, NBD_CMD_FLUSH).cookie;
    }
    g_assert_true(server_sees_nothing(p));
    for (int i = 0; i < N; i++) {
        if (i >= NBD_CLIENT_MAX_REQUESTS) {
            cookies[i] = server_expect(p, NBD_CMD_FLUSH).cookie;
        }
        reply_done(p, cookies[i]);
    }
    for (int i = 0; i < N; i++) {
        g_assert_cmpint(call_wait(calls[i]), ==, 0);
        call_free(calls[i]);
    }
}

static void test_requests_of_one_turn_leave_together(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) a = call_start(p, NBD_CMD_FLUSH, 0, 0);
    g_autoptr(Call) b = call_start(p, NBD_CMD_FLUSH, 0, 0);
    g_autoptr(Call) c = call_start(p, NBD_CMD_FLUSH, 0, 0);
    uint8_t buf[3 * NBD_REQUEST_SIZE];

    /* Nobody was in flight: the first did not wait for the loop. */
    g_assert_cmpint(read(p->fd, buf, sizeof(buf)), ==, NBD_REQUEST_SIZE);
    g_assert_cmpint(read(p->fd, buf, sizeof(buf)), ==, -1);
    aio_poll(ctx, false);
    g_assert_cmpint(read(p->fd, buf, sizeof(buf)), ==, 2 * NBD_REQUEST_SIZE);
    nbd_client_shutdown(p->client, "enough");
    call_wait(a);
    call_wait(b);
    call_wait(c);
}

/* The end of a connection */

static void assert_all_fail(Peer *p, Call **calls, int n)
{
    for (int i = 0; i < n; i++) {
        g_assert_cmpint(call_wait(calls[i]), ==, -ENOTCONN);
        call_free(calls[i]);
    }
    g_assert_nonnull(p->lost);
}

static void test_lost_connection_fails_what_is_in_flight(void)
{
    g_autoptr(Peer) p = peer_new(true);
    Call *calls[NBD_CLIENT_MAX_REQUESTS + 5];

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        calls[i] = call_start(p, NBD_CMD_FLUSH, 0, 0);
    }
    server_expect(p, NBD_CMD_FLUSH);
    close(p->fd);
    p->fd = -1;
    assert_all_fail(p, calls, ARRAY_SIZE(calls));
}

static void test_shutdown_fails_what_is_in_flight(void)
{
    g_autoptr(Peer) p = peer_new(true);
    Call *calls[] = {
        call_start(p, NBD_CMD_READ, 0, 4096),
        call_start(p, NBD_CMD_WRITE, 0, 8 * MiB),   /* half sent */
        call_start(p, NBD_CMD_FLUSH, 0, 0),
    };
    NBDRequest r = server_expect(p, NBD_CMD_READ);

    /* Half a reply as well */
    reply_data(p, r.cookie, 0, 0, 'x', 100);
    aio_poll(ctx, false);
    nbd_client_shutdown(p->client, "yanked");
    nbd_client_shutdown(p->client, "again");
    assert_all_fail(p, calls, ARRAY_SIZE(calls));
    g_assert_cmpstr(p->lost, ==, "yanked");
}

static void test_requests_after_the_end_fail_at_once(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = NULL;

    nbd_client_shutdown(p->client, "yanked");
    c = call_start(p, NBD_CMD_FLUSH, 0, 0);
    g_assert_true(c->done);
    g_assert_cmpint(c->ret, ==, -ENOTCONN);
}

static void test_idle_connection_notices_its_end(void)
{
    g_autoptr(Peer) p = peer_new(true);

    close(p->fd);
    p->fd = -1;
    while (!p->lost) {
        aio_poll(ctx, true);
    }
    g_assert_cmpstr(p->lost, ==, "Server closed the connection");
}

static void test_close_says_goodbye(void)
{
    Peer *p = peer_new(true);
    int fd = p->fd;
    uint8_t buf[NBD_REQUEST_SIZE + 1];

    p->fd = -1;
    peer_free(p);
    g_assert_cmpint(read(fd, buf, sizeof(buf)), ==, NBD_REQUEST_SIZE);
    g_assert_cmpint(nbd_request_decode(buf).type, ==, NBD_CMD_DISC);
    close(fd);
}

static void test_early_error_waits_until_the_payload_is_gone(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_WRITE, 0, 8 * MiB);
    g_autofree uint8_t *buf = g_malloc(8 * MiB);
    NBDRequest r = server_expect(p, NBD_CMD_WRITE);

    reply_simple(p, r.cookie, NBD_EPERM);
    for (int i = 0; i < 10; i++) {
        aio_poll(ctx, false);
    }
    g_assert_false(c->done);
    server_read(p, buf, 8 * MiB);
    g_assert_cmpint(call_wait(c), ==, -EPERM);
    g_assert_null(p->lost);
}

/* Replies that break the protocol */

typedef struct BadReply {
    const char *name;
    const char *message;        /* what the reason contains */
    bool simple_replies_only;
    uint16_t command;           /* for bytes 512 to 1536 */
    void (*reply)(Peer *p, uint64_t cookie);
} BadReply;

static void bad_magic(Peer *p, uint64_t cookie)
{
    server_write(p, "0123456789abcdefghij", 20);
}

static void bad_cookie_slot(Peer *p, uint64_t cookie)
{
    reply_simple(p, cookie + 2, NBD_EIO);
}

static void bad_cookie_range(Peer *p, uint64_t cookie)
{
    reply_simple(p, UINT64_MAX, NBD_EIO);
}

static void bad_cookie_generation(Peer *p, uint64_t cookie)
{
    reply_simple(p, cookie + (UINT64_C(1) << 32), NBD_EIO);
}

static void bad_simple(Peer *p, uint64_t cookie)
{
    reply_simple(p, cookie, 0);
}

static void bad_done(Peer *p, uint64_t cookie)
{
    reply_done(p, cookie);
}

static void bad_none_without_done(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_NONE, NULL, 0);
}

static void bad_none_with_payload(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, "x", 1);
}

static void bad_type(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, 77, "x", 1);
}

static void bad_short_data(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_OFFSET_DATA, "abc", 3);
}

static void bad_empty_data(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 0, 0, 0);
}

static void bad_data_before(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 511, 0, 2);
}

static void bad_data_after(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 1535, 0, 2);
}

static void bad_data_far(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, UINT64_MAX, 0, 2);
}

static void bad_empty_hole(Peer *p, uint64_t cookie)
{
    reply_hole(p, cookie, 0, 0, 0);
}

static void bad_long_hole(Peer *p, uint64_t cookie)
{
    reply_hole(p, cookie, 0, 512, UINT32_MAX);
}

static void bad_hole_length(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_OFFSET_HOLE, "0123456789abc", 13);
}

static void bad_duplicate(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 512, 0, 512);
    reply_hole(p, cookie, 0, 512, 512);
}

static void bad_overlap_left(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 1024, 0, 512);
    reply_data(p, cookie, 0, 512, 0, 513);
}

static void bad_overlap_right(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 512, 0, 513);
    reply_data(p, cookie, 0, 1024, 0, 512);
}

static void bad_gap(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 512, 0, 500);
    reply_data(p, cookie, NBD_REPLY_FLAG_DONE, 1024, 0, 512);
}

static void bad_pieces(Peer *p, uint64_t cookie)
{
    for (int i = 0; i < 100; i++) {
        reply_data(p, cookie, 0, 512 + 2 * i, 0, 1);
    }
}

static void bad_status(Peer *p, uint64_t cookie)
{
    reply_status(p, cookie, NBD_REPLY_FLAG_DONE, CONTEXT_ID, 512, 0);
}

static void bad_status_length(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_BLOCK_STATUS,
                "0123456789abc", 13);
}

static void bad_status_context(Peer *p, uint64_t cookie)
{
    reply_status(p, cookie, NBD_REPLY_FLAG_DONE, CONTEXT_ID + 1, 512, 0);
}

static void bad_status_zero(Peer *p, uint64_t cookie)
{
    reply_status(p, cookie, NBD_REPLY_FLAG_DONE, CONTEXT_ID, 0, 0);
}

static void bad_status_twice(Peer *p, uint64_t cookie)
{
    reply_status(p, cookie, 0, CONTEXT_ID, 512, 0);
    reply_status(p, cookie, 0, CONTEXT_ID, 512, 0);
}

static void bad_data_plain(Peer *p, uint64_t cookie)
{
    reply_data(p, cookie, 0, 512, 0, 512);
}

static void bad_error_zero(Peer *p, uint64_t cookie)
{
    reply_error(p, cookie, 0, 0, "fine");
}

static void bad_error_short(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_ERROR, "\0\0\0\5\0", 5);
}

static void bad_error_text(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_ERROR, "\0\0\0\5\0\2x", 7);
}

static void bad_error_offset(Peer *p, uint64_t cookie)
{
    reply_chunk(p, cookie, 0, NBD_REPLY_TYPE_ERROR_OFFSET,
                "\0\0\0\5\0\0\0\0\0\0\0\0\0", 13);
}

static void bad_error_huge(Peer *p, uint64_t cookie)
{
    uint8_t buf[NBD_CHUNK_SIZE];

    nbd_chunk_encode(buf, 0, NBD_REPLY_TYPE_ERROR, cookie, UINT32_MAX);
    server_write(p, buf, sizeof(buf));
}

static const BadReply bad_replies[] = {
    { "magic", "invalid magic 0x30313233", false, NBD_CMD_READ, bad_magic },
    { "cookie-slot", "unexpected reply cookie", true, NBD_CMD_READ,
      bad_cookie_slot },
    { "cookie-range", "unexpected reply cookie 0xffffffffffffffff", true,
      NBD_CMD_READ, bad_cookie_range },
    { "cookie-generation", "unexpected reply cookie", true, NBD_CMD_READ,
      bad_cookie_generation },
    { "simple-read", "simple reply when structured", false, NBD_CMD_READ,
      bad_simple },
    { "simple-status", "did not reply with any status extents", false,
      NBD_CMD_BLOCK_STATUS, bad_simple },
    { "not-negotiated", "not negotiated", true, NBD_CMD_FLUSH, bad_done },
    { "read-without-data", "did not send all data", false, NBD_CMD_READ,
      bad_done },
    { "status-without-extents", "did not reply with any status extents", false,
      NBD_CMD_BLOCK_STATUS, bad_done },
    { "none-without-done", "without NBD_REPLY_FLAG_DONE", false, NBD_CMD_TRIM,
      bad_none_without_done },
    { "none-with-payload", "invalid payload of 1 bytes for chunk type 0",
      false, NBD_CMD_TRIM, bad_none_with_payload },
    { "type", "unexpected reply type: 77", false, NBD_CMD_READ, bad_type },
    { "short-data", "invalid payload of 3 bytes", false, NBD_CMD_READ,
      bad_short_data },
    { "empty-data-at-0", "invalid payload of 8 bytes", false, NBD_CMD_READ,
      bad_empty_data },
    { "data-before", "exceeding requested region", false, NBD_CMD_READ,
      bad_data_before },
    { "data-after", "exceeding requested region", false, NBD_CMD_READ,
      bad_data_after },
    { "data-far", "exceeding requested region", false, NBD_CMD_READ,
      bad_data_far },
    { "empty-hole-at-0", "empty chunk", false, NBD_CMD_READ, bad_empty_hole },
    { "long-hole", "exceeding requested region", false, NBD_CMD_READ,
      bad_long_hole },
    { "hole-length", "invalid payload of 13 bytes", false, NBD_CMD_READ,
      bad_hole_length },
    { "duplicate", "overlapping", false, NBD_CMD_READ, bad_duplicate },
    { "overlap-left", "overlapping", false, NBD_CMD_READ, bad_overlap_left },
    { "overlap-right", "overlapping", false, NBD_CMD_READ, bad_overlap_right },
    { "gap", "did not send all data", false, NBD_CMD_READ, bad_gap },
    { "pieces", "too many chunks", false, NBD_CMD_READ, bad_pieces },
    { "data-for-trim", "unexpected data in reply to trim", false, NBD_CMD_TRIM,
      bad_data_plain },
    { "status-for-read", "unexpected block status in reply to read", false,
      NBD_CMD_READ, bad_status },
    { "status-length", "invalid payload of 13 bytes", false,
      NBD_CMD_BLOCK_STATUS, bad_status_length },
    { "status-context", "unexpected context id 43", false,
      NBD_CMD_BLOCK_STATUS, bad_status_context },
    { "status-zero", "with zero length", false, NBD_CMD_BLOCK_STATUS,
      bad_status_zero },
    { "status-twice", "several BLOCK_STATUS chunks", false,
      NBD_CMD_BLOCK_STATUS, bad_status_twice },
    { "error-zero", "error = 0", false, NBD_CMD_READ, bad_error_zero },
    { "error-short", "invalid payload of 5 bytes", false, NBD_CMD_READ,
      bad_error_short },
    { "error-text", "incorrect message size", false, NBD_CMD_READ,
      bad_error_text },
    { "error-offset", "incorrect message size", false, NBD_CMD_READ,
      bad_error_offset },
    { "error-huge", "invalid payload of 4294967295 bytes", false, NBD_CMD_READ,
      bad_error_huge },
};

static void test_bad_reply_ends_the_connection(gconstpointer data)
{
    const BadReply *bad = data;
    g_autoptr(Peer) p = peer_new(!bad->simple_replies_only);
    g_autoptr(Call) c = call_start(p, bad->command, 512, 1024);
    /* It had nothing to do with the bad reply, but cannot go on either. */
    g_autoptr(Call) other = call_start(p, NBD_CMD_FLUSH, 0, 0);
    uint64_t cookie = server_expect(p, bad->command).cookie;

    server_expect(p, NBD_CMD_FLUSH);
    bad->reply(p, cookie);
    g_assert_cmpint(call_wait(c), ==, -ENOTCONN);
    g_assert_cmpint(call_wait(other), ==, -ENOTCONN);
    g_assert_nonnull(p->lost);
    g_assert_nonnull(strstr(p->lost, "Protocol error: "));
    g_assert_nonnull(strstr(p->lost, bad->message));
}

static void add_bad_replies(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad_replies); i++) {
        g_autofree char *path = g_strdup_printf("/nbd/client/bad-reply/%s",
                                                bad_replies[i].name);

        g_test_add_data_func(path, &bad_replies[i],
                             test_bad_reply_ends_the_connection);
    }
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    ctx = aio_context_new(NULL, NULL);
    g_assert_nonnull(ctx);

#define ADD(name, func) g_test_add_func("/nbd/client/" name, func)
    ADD("simple-read-brings-its-data", test_simple_read_brings_its_data);
    ADD("simple-errors-are-the-servers", test_simple_errors_are_the_servers);
    ADD("write-sends-payload-and-flags", test_write_sends_payload_and_flags);
    ADD("structured-read-takes-data-and-holes",
        test_structured_read_takes_data_and_holes);
    ADD("chunks-may-come-in-any-order", test_chunks_may_come_in_any_order);
    ADD("large-reads-arrive-whole", test_large_reads_arrive_whole);
    ADD("large-writes-leave-whole", test_large_writes_leave_whole);
    ADD("replies-survive-any-segmentation",
        test_replies_survive_any_segmentation);
    ADD("structured-errors-are-the-servers",
        test_structured_errors_are_the_servers);
    ADD("unknown-error-chunks-are-errors",
        test_unknown_error_chunks_are_errors);
    ADD("block-status-gives-the-first-extent",
        test_block_status_gives_the_first_extent);
    ADD("block-status-ends-with-the-request",
        test_block_status_ends_with_the_request);
    ADD("replies-find-their-requests-in-any-order",
        test_replies_find_their_requests_in_any_order);
    ADD("too-many-requests-wait-for-a-slot",
        test_too_many_requests_wait_for_a_slot);
    ADD("requests-of-one-turn-leave-together",
        test_requests_of_one_turn_leave_together);
    ADD("lost-connection-fails-what-is-in-flight",
        test_lost_connection_fails_what_is_in_flight);
    ADD("shutdown-fails-what-is-in-flight",
        test_shutdown_fails_what_is_in_flight);
    ADD("requests-after-the-end-fail-at-once",
        test_requests_after_the_end_fail_at_once);
    ADD("idle-connection-notices-its-end",
        test_idle_connection_notices_its_end);
    ADD("close-says-goodbye", test_close_says_goodbye);
    ADD("early-error-waits-until-the-payload-is-gone",
        test_early_error_waits_until_the_payload_is_gone);
    add_bad_replies();
#undef ADD
    ret = g_test_run();
    aio_context_free(ctx);
    return ret;
}
