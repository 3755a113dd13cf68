/*
 * For tests of the NBD server: a disk in memory, and a scripted client
 *
 * The server has one end of a socket pair, the test the other.  The test
 * sends bytes and turns the loop until the bytes that it expects are there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_SERVER_FIXTURE_H
#define NBD_SERVER_FIXTURE_H

#include <sys/socket.h>

#include "nbd/protocol.h"
#include "nbd/server.h"
#include "util/co-lock.h"

#define DISK_SIZE (4 * MiB)

typedef struct Disk {
    NBDExport exp;
    uint8_t *data;
    unsigned refs;
    int fail;                   /* errno of every request, or 0 */
    bool gate_closed;
    bool cancelled;
    CoQueue gate;
    unsigned last_flags;
    unsigned n_requests;
    unsigned n_status;
    bool slow;                  /* requests take a turn of the loop */
    int file;                   /* > 0: reads lend what is in there */
    unsigned n_taken;           /* reads of which something was taken */
    bool refuse_writers;
    bool polling_clients;
    void (*watch)(void *opaque);        /* called as a request begins */
    void *watch_opaque;
    unsigned n_left, n_lost;    /* clients that have gone */
} Disk;

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    NBDServer *server;
    Disk disk;
    int fd;                     /* the client's end */
} Fixture;

/* The disk.  4 KiB blocks that hold nothing but zeroes are holes. */

static inline Disk *disk_of(NBDExport *exp)
{
    return container_of(exp, Disk, exp);
}

static void disk_ref(NBDExport *exp)
{
    disk_of(exp)->refs++;
}

static void disk_unref(NBDExport *exp)
{
    disk_of(exp)->refs--;
}

static int coroutine_fn disk_wait(NBDExport *exp, const void *client)
{
    Disk *disk = disk_of(exp);

    while (disk->gate_closed && !disk->cancelled) {
        if (!client) {
            return -ECANCELED;
        }
        co_queue_wait(&disk->gate);
    }
    return disk->cancelled ? -ECANCELED : 0;
}

static void disk_cancel_waiting(NBDExport *exp, const void *client)
{
    if (disk_of(exp)->gate_closed) {
        disk_of(exp)->cancelled = true;
        co_queue_restart_all(&disk_of(exp)->gate);
    }
}

static bool disk_may_write(NBDExport *exp, const void *client, char **why)
{
    if (disk_of(exp)->refuse_writers) {
        *why = g_strdup("another one writes");
        return false;
    }
    return true;
}

static bool disk_has_polling_clients(NBDExport *exp)
{
    return disk_of(exp)->polling_clients;
}

static void disk_client_left(NBDExport *exp, const void *client, bool lost)
{
    disk_of(exp)->n_left++;
    disk_of(exp)->n_lost += lost;
}

static int coroutine_fn disk_begin(NBDExport *exp, unsigned flags)
{
    Disk *disk = disk_of(exp);

    disk->n_requests++;
    disk->last_flags = flags;
    if (disk->watch) {
        disk->watch(disk->watch_opaque);
    }
    if (disk->slow) {
        co_reschedule_self();
    }
    return -disk->fail;
}

static int coroutine_fn disk_preadv(NBDExport *exp, int64_t offset,
                                    int64_t bytes, IOVector *qiov)
{
    Disk *disk = disk_of(exp);
    int ret = disk_begin(exp, 0);
    size_t taken = 0;

    g_assert_cmpint(offset + bytes, <=, exp->size);
    if (disk->file && qiov->take) {
        taken = qiov->take(qiov, disk->file, offset);
        disk->n_taken += taken > 0;
    }
    iov_from_buf(qiov, taken, disk->data + offset + taken, bytes - taken);
    return ret;
}

static int coroutine_fn disk_pwritev(NBDExport *exp, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     unsigned flags)
{
    int ret = disk_begin(exp, flags);

    g_assert_cmpint(offset + bytes, <=, exp->size);
    iov_to_buf(qiov, 0, disk_of(exp)->data + offset, bytes);
    return ret;
}

static int coroutine_fn disk_pwrite_zeroes(NBDExport *exp, int64_t offset,
                                           int64_t bytes, unsigned flags)
{
    int ret = disk_begin(exp, flags);

    memset(disk_of(exp)->data + offset, 0, bytes);
    return ret;
}

static int coroutine_fn disk_pdiscard(NBDExport *exp, int64_t offset,
                                      int64_t bytes, unsigned flags)
{
    return disk_pwrite_zeroes(exp, offset, bytes, flags);
}

static int coroutine_fn disk_flush(NBDExport *exp)
{
    return disk_begin(exp, 0);
}

static int coroutine_fn disk_block_status(NBDExport *exp, int64_t offset,
                                          int64_t bytes, int64_t *pnum)
{
    const uint8_t *data = disk_of(exp)->data;
    int64_t pos = offset, step = 4096 - offset % 4096;
    bool zero = buffer_is_zero(data + pos, step);

    disk_of(exp)->n_status++;
    while (pos < offset + bytes && pos < exp->size &&
           buffer_is_zero(data + pos, step) == zero) {
        pos += step;
        step = 4096;
    }
    *pnum = MIN(pos - offset, bytes);
    return zero ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0;
}

static int coroutine_fn disk_depth(NBDExport *exp, int64_t offset,
                                   int64_t bytes, int64_t *pnum)
{
    *pnum = bytes;
    return 1;
}

static const NBDExportOps disk_ops = {
    .ref = disk_ref,
    .unref = disk_unref,
    .wait = disk_wait,
    .cancel_waiting = disk_cancel_waiting,
    .may_write = disk_may_write,
    .client_left = disk_client_left,
    .has_polling_clients = disk_has_polling_clients,
    .preadv = disk_preadv,
    .pwritev = disk_pwritev,
    .pwrite_zeroes = disk_pwrite_zeroes,
    .pdiscard = disk_pdiscard,
    .flush = disk_flush,
    .block_status = disk_block_status,
    .allocation_depth = disk_depth,
};

/* The client */

static inline void turn(Fixture *f)
{
    int i;

    for (i = 0; i < 20; i++) {
        aio_poll(f->ctx, false);
    }
}

static inline void send_bytes(Fixture *f, const void *buf, size_t bytes)
{
    const uint8_t *p = buf;

    while (bytes > 0) {
        ssize_t ret = send(f->fd, p, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (ret < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
            turn(f);
            continue;
        }
        p += ret;
        bytes -= ret;
    }
}

static inline void recv_bytes(Fixture *f, void *buf, size_t bytes)
{
    uint8_t *p = buf;
    int idle = 0;

    while (bytes > 0) {
        ssize_t ret = recv(f->fd, p, bytes, MSG_DONTWAIT);

        g_assert_cmpint(ret, !=, 0);
        if (ret < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
            g_assert_cmpint(idle++, <, 1000);
            turn(f);
            continue;
        }
        idle = 0;
        p += ret;
        bytes -= ret;
    }
}

static inline void expect_nothing(Fixture *f)
{
    uint8_t byte;

    turn(f);
    g_assert_cmpint(recv(f->fd, &byte, 1, MSG_DONTWAIT), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

static inline void expect_close(Fixture *f)
{
    uint8_t byte;

    turn(f);
    g_assert_cmpint(recv(f->fd, &byte, 1, MSG_DONTWAIT), ==, 0);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
}

static inline void send_option(Fixture *f, uint32_t option, const void *data,
                               uint32_t length)
{
    uint8_t header[NBD_OPTION_SIZE];

    nbd_option_encode(header, option, length);
    send_bytes(f, header, sizeof(header));
    send_bytes(f, data, length);
}

/* The reply's header, its data in @data (at most 64 KiB). */
static inline NBDOptionReply recv_option_reply(Fixture *f, void *data)
{
    uint8_t header[NBD_OPTION_REPLY_SIZE];
    NBDOptionReply reply;

    recv_bytes(f, header, sizeof(header));
    reply = nbd_option_reply_decode(header);
    g_assert_cmphex(reply.magic, ==, NBD_REP_MAGIC);
    g_assert_cmpint(reply.length, <=, 65536);
    recv_bytes(f, data, reply.length);
    return reply;
}

static inline void expect_option_reply(Fixture *f, uint32_t option, uint32_t type)
{
    g_autofree uint8_t *data = g_malloc(65536);
    NBDOptionReply reply = recv_option_reply(f, data);

    g_assert_cmphex(reply.type, ==, type);
    g_assert_cmpint(reply.option, ==, option);
}

static inline void expect_option_error(Fixture *f, uint32_t option,
                                       uint32_t type, const char *text)
{
    g_autofree char *data = g_malloc(65537);
    NBDOptionReply reply = recv_option_reply(f, data);

    g_assert_cmphex(reply.type, ==, type);
    g_assert_cmpint(reply.option, ==, option);
    data[reply.length] = '\0';
    g_assert_cmpstr(data, ==, text);
}

/* NBD_OPT_INFO and _GO, asking for one kind of information */
static inline void send_info(Fixture *f, uint32_t option, const char *name,
                             uint16_t kind)
{
    uint8_t data[256];
    size_t len = strlen(name);

    nbd_put32(data, len);
    memcpy(data + 4, name, len);
    nbd_put16(data + 4 + len, 1);
    nbd_put16(data + 6 + len, kind);
    send_option(f, option, data, 8 + len);
}

/* LIST and SET_META_CONTEXT with one query, or none for NULL */
static inline void send_meta(Fixture *f, uint32_t option, const char *name,
                             const char *query)
{
    uint8_t data[256];
    size_t len = strlen(name), pos = 4 + len;

    nbd_put32(data, len);
    memcpy(data + 4, name, len);
    nbd_put32(data + pos, query ? 1 : 0);
    pos += 4;
    if (query) {
        nbd_put32(data + pos, strlen(query));
        memcpy(data + pos + 4, query, strlen(query));
        pos += 4 + strlen(query);
    }
    send_option(f, option, data, pos);
}

static inline void greet(Fixture *f, uint32_t flags)
{
    uint8_t greeting[NBD_GREETING_SIZE], answer[4];

    recv_bytes(f, greeting, sizeof(greeting));
    g_assert_cmphex(nbd_get64(greeting), ==, NBD_MAGIC);
    g_assert_cmphex(nbd_get64(greeting + 8), ==, NBD_OPTS_MAGIC);
    g_assert_cmphex(nbd_get16(greeting + 16), ==,
                    NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    nbd_put32(answer, flags);
    send_bytes(f, answer, sizeof(answer));
}

static inline void send_request(Fixture *f, uint16_t type, uint16_t flags,
                                uint64_t cookie, uint64_t offset, uint32_t length)
{
    uint8_t header[NBD_REQUEST_SIZE];

    nbd_request_encode(header, flags, type, cookie, offset, length);
    send_bytes(f, header, sizeof(header));
}

static inline void expect_simple(Fixture *f, uint64_t cookie, uint32_t error)
{
    uint8_t header[NBD_SIMPLE_REPLY_SIZE];
    NBDSimpleReply reply;

    recv_bytes(f, header, sizeof(header));
    g_assert_cmphex(nbd_get32(header), ==, NBD_SIMPLE_REPLY_MAGIC);
    reply = nbd_simple_reply_decode(header);
    g_assert_cmpint(reply.cookie, ==, cookie);
    g_assert_cmpint(reply.error, ==, error);
}

static inline NBDChunk recv_chunk(Fixture *f, uint64_t cookie)
{
    uint8_t header[NBD_CHUNK_SIZE];
    NBDChunk chunk;

    recv_bytes(f, header, sizeof(header));
    g_assert_cmphex(nbd_get32(header), ==, NBD_STRUCTURED_REPLY_MAGIC);
    chunk = nbd_chunk_decode(header);
    g_assert_cmpint(chunk.cookie, ==, cookie);
    return chunk;
}

/* A new client, and its socket; the one before must be gone. */
static inline void client_connect_fds(Fixture *f, int client, int server)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = client;
    nbd_server_accept(f->server, io_channel_new_fd(server));
}

static inline void client_connect(Fixture *f)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    client_connect_fds(f, fds[0], fds[1]);
}

/* Negotiate as far as GO. */
static inline void client_negotiate(Fixture *f, bool structured)
{
    greet(f, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    if (structured) {
        send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
        expect_option_reply(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
        send_meta(f, NBD_OPT_SET_META_CONTEXT, "disk", "base:allocation");
        expect_option_reply(f, NBD_OPT_SET_META_CONTEXT,
                            NBD_REP_META_CONTEXT);
        expect_option_reply(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK);
    }
    send_info(f, NBD_OPT_GO, "disk", NBD_INFO_EXPORT);
    expect_option_reply(f, NBD_OPT_GO, NBD_REP_INFO);
    expect_option_reply(f, NBD_OPT_GO, NBD_REP_INFO);
    expect_option_reply(f, NBD_OPT_GO, NBD_REP_ACK);
}

static inline void client_go(Fixture *f, bool structured)
{
    client_connect(f);
    client_negotiate(f, structured);
}

/* Life */

static void coroutine_fn fixture_start_entry(void *opaque)
{
    Fixture *f = opaque;
    NBDServerConfig config = {
        .handshake_ns = 10 * NANOSECONDS_PER_SECOND,
    };

    f->server = nbd_server_co_new(&config, NULL);
}

static void coroutine_fn fixture_stop_entry(void *opaque)
{
    Fixture *f = opaque;

    nbd_server_co_free(f->server);
    f->server = NULL;
}

static inline void setup(Fixture *f, gconstpointer data)
{
    f->fd = -1;
    f->ctx = aio_context_new(&f->clock, NULL);
    f->disk.data = g_malloc0(DISK_SIZE);
    f->disk.exp.ops = &disk_ops;
    f->disk.exp.name = g_strdup("disk");
    f->disk.exp.size = DISK_SIZE;
    f->disk.exp.min_block = 512;
    f->disk.exp.opt_block = 4096;
    co_queue_init(&f->disk.gate);
    coroutine_start(fixture_start_entry, f);
    g_assert_true(nbd_server_add_export(f->server, &f->disk.exp, NULL));
}

static inline void teardown(Fixture *f, gconstpointer data)
{
    coroutine_start(fixture_stop_entry, f);
    while (f->server) {
        aio_poll(f->ctx, false);
    }
    turn(f);
    g_assert_cmpint(f->disk.refs, ==, 0);
    g_assert_cmpint(coroutine_count(), ==, 0);
    close(f->fd);
    g_free(f->disk.data);
    g_free(f->disk.exp.name);
    aio_context_free(f->ctx);
}

#endif
