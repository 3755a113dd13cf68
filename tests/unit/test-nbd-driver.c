/*
 * The nbd driver: connections that come, go and come back
 *
 * Client and server share one event loop with a virtual clock, so that ten
 * seconds of reconnect-delay take no time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "block-helpers.h"
#include "block/block-backend.h"
#include "block/drivers.h"
#include "io/yank.h"
#include "log-capture.h"
#include "nbd-fake-server.h"
#include "nbd/protocol.h"

#define SECOND NANOSECONDS_PER_SECOND

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    char *dir;
    FakeServer *server;

    /* Options */
    int reconnect_delay;
    int open_timeout;
    bool read_only, auto_read_only;
    const SocketAddress *addr;  /* NULL: the server's */

    BlockDriverState *bs;
    BlockBackend *blk;
    GError *err;
    bool opened;                /* or failed to */
} Fixture;

/* Opening and closing */

static BlockdevOptions node_options(Fixture *f)
{
    return (BlockdevOptions) {
        .driver = BLOCKDEV_DRIVER_NBD,
        .node_name = (char *)"n0",
        .has_read_only = true,
        .read_only = f->read_only,
        .has_auto_read_only = true,
        .auto_read_only = f->auto_read_only,
        .u.nbd = {
            .server = (SocketAddress *)f->addr ?: &f->server->addr,
            .has_reconnect_delay = true,
            .reconnect_delay = f->reconnect_delay,
            .has_open_timeout = true,
            .open_timeout = f->open_timeout,
        },
    };
}

static void coroutine_fn open_entry(void *opaque)
{
    Fixture *f = opaque;
    BlockdevOptions options = node_options(f);

    f->bs = bdrv_co_open(&options, &f->err);
    if (f->bs) {
        f->blk = blk_new(BLK_PERM_CONSISTENT_READ |
                         (bdrv_is_read_only(f->bs) ? 0 : BLK_PERM_WRITE),
                         BLK_PERM_ALL);
        g_assert_true(blk_co_insert_bs(f->blk, f->bs, NULL));
    }
    f->opened = true;
}

static void coroutine_fn close_entry(void *opaque)
{
    Fixture *f = opaque;

    blk_co_unref(f->blk);
    bdrv_co_unref(f->bs);
    f->bs = NULL;
}

static void open_node(Fixture *f)
{
    test_run(f->ctx, open_entry, f);
    g_assert_no_error(f->err);
}

static void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = { &bdrv_nbd, NULL };
    g_autofree char *path = NULL;

    f->dir = g_dir_make_tmp("test-nbd-XXXXXX", NULL);
    path = g_build_filename(f->dir, "sock", NULL);
    f->ctx = aio_context_new(&f->clock, NULL);
    bdrv_register_drivers(drivers);
    f->server = fake_server_new(f->ctx, path);
}

static void teardown(Fixture *f, gconstpointer data)
{
    if (f->bs) {
        test_run(f->ctx, close_entry, f);
    }
    g_clear_error(&f->err);
    fake_server_free(f->ctx, f->server);
    test_settle(f->ctx);
    g_assert_cmpint(coroutine_count(), ==, 0);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
    aio_context_free(f->ctx);
    rmdir(f->dir);
    g_free(f->dir);
}

/* Time */

/* Let @ns pass, each timer at its time. */
static void pass(Fixture *f, int64_t ns)
{
    int64_t end = f->clock.now_ns + ns;

    for (;;) {
        int64_t next;

        test_settle(f->ctx);
        next = aio_next_deadline_ns(f->ctx);
        if (next < 0 || next > end) {
            break;
        }
        f->clock.now_ns = MAX(next, f->clock.now_ns);
    }
    f->clock.now_ns = end;
    test_settle(f->ctx);
}

/* Requests */

typedef struct Read {
    Fixture *f;
    uint32_t bytes;
    int ret;
    bool done;
} Read;

static void coroutine_fn read_entry(void *opaque)
{
    Read *r = opaque;
    g_autofree uint8_t *buf = g_malloc(r->bytes);

    r->ret = blk_co_pread(r->f->blk, 0, r->bytes, buf, 0);
    r->done = true;
}

static Read *read_start(Fixture *f)
{
    Read *r = g_new0(Read, 1);

    r->f = f;
    r->bytes = 512;
    coroutine_start(read_entry, r);
    test_settle(f->ctx);
    return r;
}

static int read_now(Fixture *f)
{
    g_autofree Read *r = read_start(f);

    g_assert_true(r->done);
    return r->ret;
}

/* Opening */

static void test_open_takes_size_and_limits(Fixture *f, gconstpointer data)
{
    g_autofree char *name = NULL;
    g_autofree char *expected = NULL;

    f->server->min_block = 4096;
    f->server->opt_block = 8192;
    f->server->max_block = 65536;
    open_node(f);
    g_assert_cmpint(bdrv_getlength(f->bs), ==, 1 * MiB);
    g_assert_cmpint(f->bs->bl.request_alignment, ==, 4096);
    g_assert_cmpint(f->bs->bl.opt_transfer, ==, 8192);
    g_assert_cmpint(f->bs->bl.max_transfer, ==, 65536);
    name = bdrv_filename(f->bs);
    expected = g_strdup_printf("nbd+unix://?socket=%s",
                               f->server->addr.u.q_unix.path);
    g_assert_cmpstr(name, ==, expected);
}

static void test_long_requests_are_split(Fixture *f, gconstpointer data)
{
    Read r = { .f = f, .bytes = 1 * MiB };

    f->server->min_block = 1;
    f->server->opt_block = 4096;
    f->server->max_block = 100000;
    open_node(f);
    test_run(f->ctx, read_entry, &r);
    g_assert_cmpint(r.ret, ==, 0);
    g_assert_cmpint(f->server->requests, ==, 11);
    g_assert_cmpint(f->server->longest, ==, 100000);
}

static void test_odd_size_is_served_whole(Fixture *f, gconstpointer data)
{
    Read r = { .f = f, .bytes = 1001 };

    f->server->size = 1001;
    open_node(f);
    g_assert_cmpint(bdrv_getlength(f->bs), ==, 1001);
    test_run(f->ctx, read_entry, &r);
    g_assert_cmpint(r.ret, ==, 0);
    g_assert_cmpint(f->server->longest, ==, 1001);
}

static void coroutine_fn reopen_entry(void *opaque)
{
    Fixture *f = opaque;
    BlockdevOptions options = node_options(f);
    BlockdevOptionsList list = { .value = &options };

    g_clear_error(&f->err);
    bdrv_co_reopen_multiple(&list, &f->err);
}

static void test_read_only_export_after_a_reopen(Fixture *f,
                                                 gconstpointer data)
{
    f->server->flags |= NBD_FLAG_READ_ONLY;
    f->auto_read_only = true;
    open_node(f);
    test_run(f->ctx, reopen_entry, f);
    g_assert_no_error(f->err);
    g_assert_true(bdrv_is_read_only(f->bs));

    f->auto_read_only = false;
    test_run(f->ctx, reopen_entry, f);
    g_assert_cmpstr(f->err->message, ==,
                    "request on write denied without write permission");
    g_assert_true(bdrv_is_read_only(f->bs));
}

static void test_read_only_export_needs_a_read_only_node(Fixture *f,
                                                         gconstpointer data)
{
    f->server->flags |= NBD_FLAG_READ_ONLY;
    test_run(f->ctx, open_entry, f);
    g_assert_nonnull(f->err);
    g_assert_nonnull(strstr(f->err->message, "request on write denied without "
                            "write permission"));
    g_clear_error(&f->err);

    f->auto_read_only = true;
    open_node(f);
    g_assert_true(bdrv_is_read_only(f->bs));
}

static void test_open_without_server_fails_at_once(Fixture *f,
                                                   gconstpointer data)
{
    fake_server_stop(f->server);
    test_run(f->ctx, open_entry, f);
    g_assert_nonnull(f->err);
    g_assert_cmpint(f->clock.now_ns, ==, 0);
}

static void test_open_timeout_waits_for_the_server(Fixture *f,
                                                   gconstpointer data)
{
    f->open_timeout = 5;
    fake_server_stop(f->server);
    coroutine_start(open_entry, f);
    pass(f, 3 * SECOND);
    g_assert_false(f->opened);
    fake_server_restart(f->ctx, f->server);
    pass(f, 1 * SECOND);
    g_assert_true(f->opened);
    g_assert_no_error(f->err);
}

static void test_open_timeout_ends(Fixture *f, gconstpointer data)
{
    f->open_timeout = 5;
    fake_server_stop(f->server);
    coroutine_start(open_entry, f);
    pass(f, 4900 * SCALE_MS);
    g_assert_false(f->opened);
    pass(f, 200 * SCALE_MS);
    g_assert_true(f->opened);
    g_assert_nonnull(f->err);
    g_assert_nonnull(strstr(f->err->message, "No such file or directory"));
}

static void test_silent_server_has_a_deadline(Fixture *f, gconstpointer data)
{
    f->server->mood = GPOINTER_TO_INT(data);
    coroutine_start(open_entry, f);
    pass(f, 9 * SECOND);
    g_assert_false(f->opened);
    pass(f, 2 * SECOND);
    g_assert_true(f->opened);
    g_assert_nonnull(f->err);
    g_assert_nonnull(strstr(f->err->message, "Connection timed out"));
}

/* Losing the connection */

static void test_without_delay_requests_fail_at_once(Fixture *f,
                                                     gconstpointer data)
{
    g_autofree Read *r = NULL;

    f->server->mood = FAKE_SILENT_REQUESTS;
    open_node(f);
    r = read_start(f);
    g_assert_false(r->done);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
    g_assert_cmpint(read_now(f), ==, -EIO);
}

static void test_without_delay_it_comes_back_too(Fixture *f,
                                                 gconstpointer data)
{
    open_node(f);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    g_assert_cmpint(read_now(f), ==, -EIO);
    fake_server_restart(f->ctx, f->server);
    pass(f, 2 * SECOND);
    g_assert_cmpint(read_now(f), ==, 0);
}

static int connect_to_server(Fixture *f)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(un.sun_path, f->server->addr.u.q_unix.path,
              sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

/* Its number may be another one's by the second attempt, as it is here. */
static void test_descriptor_is_used_once(Fixture *f, gconstpointer data)
{
    int fd = connect_to_server(f);
    g_autofree char *number = g_strdup_printf("%d", fd);
    const SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_FD,
        .u.fd.str = number,
    };

    f->addr = &addr;
    f->reconnect_delay = 10;
    open_node(f);
    g_assert_cmpint(read_now(f), ==, 0);

    fake_server_stop(f->server);
    test_settle(f->ctx);
    fake_server_restart(f->ctx, f->server);
    fd = connect_to_server(f);
    pass(f, 20 * SECOND);
    g_assert_cmpint(read_now(f), ==, -EIO);
    test_run(f->ctx, close_entry, f);
    g_assert_cmpint(close(fd), ==, 0);
}

static void test_descriptor_is_opened_once(Fixture *f, gconstpointer data)
{
    g_autofree char *number = g_strdup_printf("%d", connect_to_server(f));
    const SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_FD,
        .u.fd.str = number,
    };

    fake_server_stop(f->server);
    f->addr = &addr;
    f->open_timeout = 10;
    coroutine_start(open_entry, f);
    test_settle(f->ctx);
    g_assert_true(f->opened);
    g_assert_nonnull(f->err);
}

/* Neither does a request wait for a new connection while it is pinned. */
static void test_pinned_connection_is_not_replaced(Fixture *f,
                                                   gconstpointer data)
{
    f->reconnect_delay = 10;
    open_node(f);
    g_assert_cmpint(bdrv_pin_connection(f->bs, true), ==, 0);
    g_assert_cmpint(read_now(f), ==, 0);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    fake_server_restart(f->ctx, f->server);
    pass(f, 60 * SECOND);
    g_assert_cmpint(read_now(f), ==, -EIO);
    g_assert_cmpint(bdrv_pin_connection(f->bs, true), ==, -ENOTCONN);

    g_assert_cmpint(bdrv_pin_connection(f->bs, false), ==, 0);
    pass(f, 2 * SECOND);
    g_assert_cmpint(read_now(f), ==, 0);
}

static void test_with_delay_requests_wait_and_are_repeated(Fixture *f,
                                                           gconstpointer data)
{
    g_autofree Read *before = NULL;
    g_autofree Read *after = NULL;

    f->reconnect_delay = 10;
    f->server->mood = FAKE_SILENT_REQUESTS;
    open_node(f);
    before = read_start(f);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    after = read_start(f);
    pass(f, 5 * SECOND);
    g_assert_false(before->done);
    g_assert_false(after->done);

    f->server->mood = FAKE_SERVES;
    fake_server_restart(f->ctx, f->server);
    pass(f, 1 * SECOND);
    g_assert_true(before->done);
    g_assert_true(after->done);
    g_assert_cmpint(before->ret, ==, 0);
    g_assert_cmpint(after->ret, ==, 0);
}

static void test_after_the_delay_requests_fail(Fixture *f, gconstpointer data)
{
    g_autofree Read *r = NULL;

    f->reconnect_delay = 10;
    open_node(f);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    r = read_start(f);
    pass(f, 9900 * SCALE_MS);
    g_assert_false(r->done);
    pass(f, 200 * SCALE_MS);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
    g_assert_cmpint(read_now(f), ==, -EIO);

    fake_server_restart(f->ctx, f->server);
    pass(f, 17 * SECOND);
    g_assert_cmpint(read_now(f), ==, 0);
}

static void test_attempts_back_off(Fixture *f, gconstpointer data)
{
    open_node(f);
    f->server->mood = FAKE_HANGS_UP;
    fake_server_stop(f->server);
    fake_server_restart(f->ctx, f->server);
    f->server->accepted = 0;
    pass(f, 1000 * SECOND);
    g_assert_cmpint(f->server->accepted, >=, 55);
    g_assert_cmpint(f->server->accepted, <=, 70);
}

/* The server is there again, but attempts fail for @reason. */
static void assert_not_used(Fixture *f, const char *reason)
{
    g_autofree char *text = g_strdup_printf("node 'n0': cannot connect to the "
                                            "NBD server again: %s\n", reason);

    log_capture_begin();
    pass(f, 20 * SECOND);
    log_capture_end(text);
    g_assert_cmpint(read_now(f), ==, -EIO);
}

static void test_changed_export_is_refused(Fixture *f, gconstpointer data)
{
    open_node(f);
    fake_server_stop(f->server);
    f->server->size = 2 * MiB;
    fake_server_restart(f->ctx, f->server);
    assert_not_used(f, "export has changed its size from 1048576 to 2097152 "
                    "bytes");

    f->server->size = 1 * MiB;
    f->server->flags |= NBD_FLAG_READ_ONLY;
    assert_not_used(f, "export has become read-only");

    f->server->flags &= ~(NBD_FLAG_READ_ONLY | NBD_FLAG_SEND_FLUSH);
    assert_not_used(f, "export has lost features (flags 0x4)");

    f->server->flags |= NBD_FLAG_SEND_FLUSH;
    f->server->min_block = f->server->opt_block = 4096;
    f->server->max_block = 1 * MiB;
    assert_not_used(f, "export has changed its block sizes");

    f->server->min_block = f->server->opt_block = f->server->max_block = 0;
    log_capture_begin();
    pass(f, 20 * SECOND);
    log_capture_end("node 'n0': connected to the NBD server again\n");
    g_assert_cmpint(read_now(f), ==, 0);
}

/* Giving up: yank, cancel, drain, close */

static void yank_n0(void)
{
    YankInstance node = {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
        .u.block_node.node_name = (char *)"n0",
    };
    const YankInstanceList list = { .value = &node };

    g_assert_true(yank_instances(&list, NULL));
}

static void test_yank_ends_an_open_at_once(Fixture *f, gconstpointer data)
{
    f->server->mood = GPOINTER_TO_INT(data);
    f->open_timeout = 100;
    coroutine_start(open_entry, f);
    test_settle(f->ctx);
    g_assert_false(f->opened);
    yank_n0();
    test_settle(f->ctx);
    g_assert_true(f->opened);
    g_assert_nonnull(f->err);
    g_assert_nonnull(strstr(f->err->message, "cancelled by yank"));
    g_assert_null(yank_query());
}

static void test_yank_is_final(Fixture *f, gconstpointer data)
{
    g_autofree Read *r = NULL;

    f->reconnect_delay = 100;
    f->server->mood = FAKE_SILENT_REQUESTS;
    open_node(f);
    r = read_start(f);
    yank_n0();
    test_settle(f->ctx);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
    yank_n0();
    pass(f, 100 * SECOND);
    g_assert_cmpint(f->server->accepted, ==, 1);
    g_assert_cmpint(read_now(f), ==, -EIO);
}

static void test_yank_ends_the_wait_for_a_reconnect(Fixture *f,
                                                    gconstpointer data)
{
    g_autofree Read *r = NULL;

    f->reconnect_delay = 100;
    open_node(f);
    fake_server_stop(f->server);
    f->server->mood = FAKE_SILENT_OPTIONS;
    fake_server_restart(f->ctx, f->server);
    pass(f, 2 * SECOND);
    r = read_start(f);
    g_assert_false(r->done);
    yank_n0();
    test_settle(f->ctx);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
}

static void test_cancel_fails_what_waits_but_comes_back(Fixture *f,
                                                        gconstpointer data)
{
    g_autofree Read *r = NULL;

    f->reconnect_delay = 100;
    f->server->mood = FAKE_SILENT_REQUESTS;
    open_node(f);
    r = read_start(f);
    bdrv_cancel_in_flight(f->bs);
    test_settle(f->ctx);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
    f->server->mood = FAKE_SERVES;
    pass(f, 2 * SECOND);
    g_assert_cmpint(read_now(f), ==, 0);
}

typedef struct Drain {
    Fixture *f;
    bool done;
} Drain;

static void coroutine_fn drain_entry(void *opaque)
{
    Drain *d = opaque;

    bdrv_co_drained_begin(d->f->bs);
    d->done = true;
    bdrv_drained_end(d->f->bs);
}

static void test_drain_waits_for_the_delay_at_most(Fixture *f,
                                                   gconstpointer data)
{
    g_autofree Read *r = NULL;
    Drain d = { .f = f };

    f->reconnect_delay = 10;
    open_node(f);
    fake_server_stop(f->server);
    test_settle(f->ctx);
    r = read_start(f);
    coroutine_start(drain_entry, &d);
    pass(f, 9 * SECOND);
    g_assert_false(d.done);
    pass(f, 2 * SECOND);
    g_assert_true(d.done);
    g_assert_true(r->done);
    g_assert_cmpint(r->ret, ==, -EIO);
}

/* teardown closes the node and fails if that needs the clock to move. */
static void test_close_while_reconnecting_is_immediate(Fixture *f,
                                                       gconstpointer data)
{
    open_node(f);
    fake_server_stop(f->server);
    f->server->mood = GPOINTER_TO_INT(data);
    fake_server_restart(f->ctx, f->server);
    pass(f, 1500 * SCALE_MS);
    g_assert_cmpint(f->server->accepted, >=, 2);
}

static void test_close_between_attempts_is_immediate(Fixture *f,
                                                     gconstpointer data)
{
    open_node(f);
    fake_server_stop(f->server);
    pass(f, 1500 * SCALE_MS);
}

/* The same blow at every turn of the loop, from connecting to the end */

#define READS 4

typedef struct Scenario {
    Fixture *f;
    Read reads[READS];
    bool started;
} Scenario;

static bool reads_done(const Scenario *s)
{
    for (int i = 0; i < READS; i++) {
        if (!s->reads[i].done) {
            return false;
        }
    }
    return s->started;
}

static void start_reads(Scenario *s)
{
    s->started = true;
    for (int i = 0; i < READS; i++) {
        s->reads[i] = (Read) { .f = s->f, .bytes = 64 * KiB };
        coroutine_start(read_entry, &s->reads[i]);
    }
}

/* Open and read; returns whether that was done before @turns were over. */
static bool run_turns(Scenario *s, int turns)
{
    coroutine_start(open_entry, s->f);
    for (int i = 0; i < turns; i++) {
        if (s->f->opened && !s->started) {
            start_reads(s);
        }
        if (reads_done(s)) {
            return true;
        }
        aio_poll(s->f->ctx, false);
    }
    return false;
}

typedef void Blow(Fixture *f);

static void blow_yank(Fixture *f)
{
    yank_n0();
}

static void blow_server_dies(Fixture *f)
{
    fake_server_stop(f->server);
}

static void blow_server_restarts(Fixture *f)
{
    fake_server_stop(f->server);
    fake_server_restart(f->ctx, f->server);
}

static void blow_cancel(Fixture *f)
{
    if (f->bs) {
        bdrv_cancel_in_flight(f->bs);
    }
}

static void blow_time(Fixture *f)
{
    f->clock.now_ns += 60 * SECOND;
}

static void blow_drain(Fixture *f)
{
    Drain d = { .f = f };

    if (f->bs) {
        coroutine_start(drain_entry, &d);
        pass(f, 20 * SECOND);
        g_assert_true(d.done);
    }
}

static const struct {
    const char *name;
    Blow *blow;
} blows[] = {
    { "yank", blow_yank },
    { "server-dies", blow_server_dies },
    { "server-restarts", blow_server_restarts },
    { "cancel", blow_cancel },
    { "time", blow_time },
    { "drain", blow_drain },
};

static void reset(Fixture *f)
{
    if (f->bs) {
        test_run(f->ctx, close_entry, f);
    }
    g_clear_error(&f->err);
    f->opened = false;
    if (!f->server->listener) {
        fake_server_restart(f->ctx, f->server);
    }
}

static void test_blow_at_every_turn(Fixture *f, gconstpointer data)
{
    Blow *blow = blows[GPOINTER_TO_INT(data)].blow;
    bool finished = false;
    int turns;

    f->reconnect_delay = 5;
    for (turns = 0; !finished; turns++) {
        Scenario s = { .f = f };

        g_assert_cmpint(turns, <, 1000);
        finished = run_turns(&s, turns);
        blow(f);
        pass(f, 20 * SECOND);
        g_assert_true(f->opened);
        g_assert_true(!f->bs == !!f->err);
        if (s.started) {
            g_assert_true(reads_done(&s));
        }
        reset(f);
    }
    g_assert_cmpint(turns, >, 5);
}

static void add_blows(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(blows); i++) {
        g_autofree char *path =
            g_strdup_printf("/nbd/driver/at-every-turn/%s", blows[i].name);

        g_test_add(path, Fixture, GINT_TO_POINTER(i), setup,
                   test_blow_at_every_turn, teardown);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

#define ADD_MOOD(name, func, mood)                                      \
    g_test_add("/nbd/driver/" name, Fixture, GINT_TO_POINTER(mood),     \
               setup, func, teardown)
#define ADD(name, func) ADD_MOOD(name, func, 0)
    ADD("open-takes-size-and-limits", test_open_takes_size_and_limits);
    ADD("long-requests-are-split", test_long_requests_are_split);
    ADD("odd-size-is-served-whole", test_odd_size_is_served_whole);
    ADD("read-only-export-needs-a-read-only-node",
        test_read_only_export_needs_a_read_only_node);
    ADD("read-only-export-after-a-reopen",
        test_read_only_export_after_a_reopen);
    ADD("open-without-server-fails-at-once",
        test_open_without_server_fails_at_once);
    ADD("open-timeout-waits-for-the-server",
        test_open_timeout_waits_for_the_server);
    ADD("open-timeout-ends", test_open_timeout_ends);
    ADD_MOOD("silent-server-has-a-deadline",
             test_silent_server_has_a_deadline, FAKE_SILENT);
    ADD_MOOD("silent-handshake-has-a-deadline",
             test_silent_server_has_a_deadline, FAKE_SILENT_OPTIONS);
    ADD("without-delay-requests-fail-at-once",
        test_without_delay_requests_fail_at_once);
    ADD("without-delay-it-comes-back-too",
        test_without_delay_it_comes_back_too);
    ADD("descriptor-is-used-once", test_descriptor_is_used_once);
    ADD("descriptor-is-opened-once", test_descriptor_is_opened_once);
    ADD("pinned-connection-is-not-replaced",
        test_pinned_connection_is_not_replaced);
    ADD("with-delay-requests-wait-and-are-repeated",
        test_with_delay_requests_wait_and_are_repeated);
    ADD("after-the-delay-requests-fail", test_after_the_delay_requests_fail);
    ADD("attempts-back-off", test_attempts_back_off);
    ADD("changed-export-is-refused", test_changed_export_is_refused);
    ADD_MOOD("yank-ends-an-open-at-once", test_yank_ends_an_open_at_once,
             FAKE_SILENT);
    ADD_MOOD("yank-ends-a-handshake-at-once", test_yank_ends_an_open_at_once,
             FAKE_SILENT_OPTIONS);
    ADD("yank-is-final", test_yank_is_final);
    ADD("yank-ends-the-wait-for-a-reconnect",
        test_yank_ends_the_wait_for_a_reconnect);
    ADD("cancel-fails-what-waits-but-comes-back",
        test_cancel_fails_what_waits_but_comes_back);
    ADD("drain-waits-for-the-delay-at-most",
        test_drain_waits_for_the_delay_at_most);
    ADD_MOOD("close-while-reconnecting-is-immediate",
             test_close_while_reconnecting_is_immediate, FAKE_SILENT);
    ADD_MOOD("close-while-shaking-hands-is-immediate",
             test_close_while_reconnecting_is_immediate, FAKE_SILENT_OPTIONS);
    ADD("close-between-attempts-is-immediate",
        test_close_between_attempts_is_immediate);
    add_blows();
#undef ADD
#undef ADD_MOOD
    return g_test_run();
}
