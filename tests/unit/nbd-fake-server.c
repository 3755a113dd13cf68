/*
 * For tests of the nbd driver: a server in the same event loop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-fake-server.h"

#include "block-helpers.h"
#include "nbd/protocol.h"

typedef struct FakeConnection {
    FakeServer *server;
    FakeMood mood;
    IOChannel *ioc;
    LIST_ENTRY(FakeConnection) next;
} FakeConnection;

static bool coroutine_fn take(FakeConnection *c, void *buf, size_t bytes)
{
    return io_channel_co_read_full(c->ioc, buf, bytes) == 0;
}

static bool coroutine_fn put(FakeConnection *c, const void *buf, size_t bytes)
{
    return io_channel_co_write_full(c->ioc, buf, bytes) == 0;
}

static bool coroutine_fn drop(FakeConnection *c, uint32_t bytes)
{
    g_autofree uint8_t *buf = g_malloc(bytes);

    return bytes == 0 || take(c, buf, bytes);
}

static void coroutine_fn be_silent(FakeConnection *c)
{
    uint8_t buf[4096];

    while (io_channel_co_read(c->ioc, buf, sizeof(buf)) > 0) {
        /* and not a word */
    }
}

/* Negotiation */

static bool coroutine_fn greet(FakeConnection *c)
{
    uint8_t buf[NBD_GREETING_SIZE];

    nbd_put64(buf, NBD_MAGIC);
    nbd_put64(buf + 8, NBD_OPTS_MAGIC);
    nbd_put16(buf + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    return put(c, buf, sizeof(buf)) && take(c, buf, NBD_CLIENT_FLAGS_SIZE);
}

static bool coroutine_fn reply(FakeConnection *c, uint32_t option,
                               uint32_t type, const void *data, uint32_t len)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];

    nbd_option_reply_encode(buf, option, type, len);
    return put(c, buf, sizeof(buf)) && put(c, data, len);
}

static bool coroutine_fn answer_go(FakeConnection *c)
{
    FakeServer *server = c->server;
    uint8_t buf[NBD_INFO_BLOCK_SIZE_SIZE];

    nbd_put16(buf, NBD_INFO_EXPORT);
    nbd_put64(buf + 2, server->size);
    nbd_put16(buf + 10, server->flags);
    if (!reply(c, NBD_OPT_GO, NBD_REP_INFO, buf, NBD_INFO_EXPORT_SIZE)) {
        return false;
    }
    if (server->min_block) {
        nbd_put16(buf, NBD_INFO_BLOCK_SIZE);
        nbd_put32(buf + 2, server->min_block);
        nbd_put32(buf + 6, server->opt_block);
        nbd_put32(buf + 10, server->max_block);
        if (!reply(c, NBD_OPT_GO, NBD_REP_INFO, buf, sizeof(buf))) {
            return false;
        }
    }
    return reply(c, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static bool coroutine_fn negotiate(FakeConnection *c)
{
    uint8_t buf[NBD_OPTION_SIZE];

    while (take(c, buf, sizeof(buf))) {
        NBDOption option = nbd_option_decode(buf);

        if (!drop(c, option.length)) {
            return false;
        }
        if (option.option == NBD_OPT_GO) {
            return answer_go(c);
        }
        if (!reply(c, option.option, NBD_REP_ERR_UNSUP, NULL, 0)) {
            return false;
        }
    }
    return false;
}

/* Requests */

static bool coroutine_fn serve_one(FakeConnection *c)
{
    uint8_t buf[NBD_REQUEST_SIZE], answer[NBD_SIMPLE_REPLY_SIZE];
    g_autofree uint8_t *zeroes = NULL;
    NBDRequest req;

    if (!take(c, buf, sizeof(buf))) {
        return false;
    }
    req = nbd_request_decode(buf);
    if (req.type == NBD_CMD_DISC ||
        (req.type == NBD_CMD_WRITE && !drop(c, req.length))) {
        return false;
    }
    c->server->requests++;
    c->server->longest = MAX(c->server->longest, req.length);
    nbd_simple_reply_encode(answer, 0, req.cookie);
    if (!put(c, answer, sizeof(answer))) {
        return false;
    }
    if (req.type == NBD_CMD_READ) {
        zeroes = g_malloc0(req.length);
        return put(c, zeroes, req.length);
    }
    return true;
}

static void coroutine_fn serve(FakeConnection *c)
{
    if (c->mood == FAKE_SILENT) {
        be_silent(c);
    }
    if (!greet(c)) {
        return;
    }
    if (c->mood == FAKE_SILENT_OPTIONS) {
        be_silent(c);
    }
    if (!negotiate(c)) {
        return;
    }
    if (c->mood == FAKE_SILENT_REQUESTS) {
        be_silent(c);
    }
    while (c->mood != FAKE_HANGS_UP && serve_one(c)) {
        /* until the client goes */
    }
}

static void coroutine_fn connection_entry(void *opaque)
{
    FakeConnection *c = opaque;

    serve(c);
    io_channel_shutdown(c->ioc);
    LIST_REMOVE(c, next);
    io_channel_unref(c->ioc);
    g_free(c);
}

/* Life */

static void accepted(IOChannel *ioc, void *opaque)
{
    FakeServer *server = opaque;
    FakeConnection *c = g_new0(FakeConnection, 1);

    server->accepted++;
    c->server = server;
    c->mood = server->mood;
    c->ioc = ioc;
    LIST_INSERT_HEAD(&server->connections, c, next);
    coroutine_start(connection_entry, c);
}

static void coroutine_fn listen_entry(void *opaque)
{
    FakeServer *server = opaque;
    g_autoptr(GError) err = NULL;

    server->listener = io_listener_co_new(&server->addr, 16, 0, accepted,
                                          server, &err);
    g_assert_no_error(err);
}

void fake_server_restart(AioContext *ctx, FakeServer *server)
{
    test_run(ctx, listen_entry, server);
}

FakeServer *fake_server_new(AioContext *ctx, const char *path)
{
    FakeServer *server = g_new0(FakeServer, 1);

    server->size = 1 * MiB;
    server->flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH;
    server->addr.type = SOCKET_ADDRESS_TYPE_UNIX;
    server->addr.u.q_unix.path = g_strdup(path);
    LIST_INIT(&server->connections);
    fake_server_restart(ctx, server);
    return server;
}

void fake_server_stop(FakeServer *server)
{
    FakeConnection *c, *next;

    g_clear_pointer(&server->listener, io_listener_free);
    LIST_FOREACH_SAFE(c, &server->connections, next, next) {
        io_channel_shutdown(c->ioc);
    }
}

void fake_server_free(AioContext *ctx, FakeServer *server)
{
    fake_server_stop(server);
    while (!LIST_EMPTY(&server->connections)) {
        aio_poll(ctx, true);
    }
    g_free(server->addr.u.q_unix.path);
    g_free(server);
}
