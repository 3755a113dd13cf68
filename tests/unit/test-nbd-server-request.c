/*
 * The NBD server's requests and replies, byte by byte
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "nbd-server-fixture.h"

static void send_write(Fixture *f, uint64_t cookie, uint64_t offset, int c,
                       uint32_t length)
{
    g_autofree uint8_t *data = g_malloc(length + 1);

    memset(data, c, length);
    send_request(f, NBD_CMD_WRITE, 0, cookie, offset, length);
    send_bytes(f, data, length);
}

static void expect_pattern(const uint8_t *p, int c, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        g_assert_cmphex(p[i], ==, c);
    }
}

static void test_write_then_read(Fixture *f, gconstpointer d)
{
    uint8_t buf[100];

    client_go(f, false);
    send_write(f, 1, 1000, 0xaa, 100);
    expect_simple(f, 1, 0);
    expect_pattern(f->disk.data + 1000, 0xaa, 100);
    send_request(f, NBD_CMD_READ, 0, 2, 1050, 100);
    expect_simple(f, 2, 0);
    recv_bytes(f, buf, 100);
    expect_pattern(buf, 0xaa, 50);
    expect_pattern(buf + 50, 0, 50);
}

static void test_many_writes_in_one_send(Fixture *f, gconstpointer d)
{
    enum { N = 100, STEP = NBD_REQUEST_SIZE + 4096 };
    g_autofree uint8_t *all = g_malloc(N * STEP);
    int i;

    client_go(f, false);
    for (i = 0; i < N; i++) {
        nbd_request_encode(all + i * STEP, 0, NBD_CMD_WRITE, i, i * 4096,
                           4096);
        memset(all + i * STEP + NBD_REQUEST_SIZE, i + 1, 4096);
    }
    send_bytes(f, all, N * STEP);
    for (i = 0; i < N; i++) {
        expect_simple(f, i, 0);
        expect_pattern(f->disk.data + i * 4096, i + 1, 4096);
    }
}

/* Requests that wait keep the memory that they were received in. */
static void test_slow_writes_keep_their_payload(Fixture *f, gconstpointer d)
{
    int i, j;

    f->disk.slow = true;
    client_go(f, false);
    for (j = 0; j < 5; j++) {
        for (i = 0; i < 100; i++) {
            send_write(f, i, i * 4096, i + j, 4096);
        }
        for (i = 0; i < 100; i++) {
            expect_simple(f, i, 0);
            expect_pattern(f->disk.data + i * 4096, i + j, 4096);
        }
    }
}

static void test_request_in_single_bytes(Fixture *f, gconstpointer d)
{
    uint8_t request[NBD_REQUEST_SIZE + 10];
    size_t i;

    client_go(f, false);
    nbd_request_encode(request, 0, NBD_CMD_WRITE, 7, 0, 10);
    memset(request + NBD_REQUEST_SIZE, 0x11, 10);
    for (i = 0; i < sizeof(request); i++) {
        send_bytes(f, request + i, 1);
        turn(f);
    }
    expect_simple(f, 7, 0);
    expect_pattern(f->disk.data, 0x11, 10);
}

static void test_writes_of_all_sizes(Fixture *f, gconstpointer d)
{
    static const uint32_t sizes[] = {
        1, 4095, 32 * 1024 - 1, 32 * 1024, 65536, 5, 262144, 1048576,
        2 * 1048576, 3, 100000,
    };
    unsigned i;

    client_go(f, false);
    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        send_write(f, i, 512 * i, i + 1, sizes[i]);
        send_request(f, NBD_CMD_FLUSH, 0, 100 + i, 0, 0);
        expect_simple(f, i, 0);
        expect_simple(f, 100 + i, 0);
        expect_pattern(f->disk.data + 512 * i, i + 1, sizes[i]);
    }
}

static void test_large_reads_fill_the_socket(Fixture *f, gconstpointer d)
{
    g_autofree uint8_t *buf = g_malloc(1 * MiB);
    int i;

    memset(f->disk.data, 0x42, DISK_SIZE);
    client_go(f, false);
    for (i = 0; i < 8; i++) {
        send_request(f, NBD_CMD_READ, 0, i, 1 * MiB, 1 * MiB);
    }
    for (i = 0; i < 8; i++) {
        expect_simple(f, i, 0);
        recv_bytes(f, buf, 1 * MiB);
        expect_pattern(buf, 0x42, 1 * MiB);
    }
}

static void test_empty_requests_succeed(Fixture *f, gconstpointer d)
{
    static const uint16_t types[] = {
        NBD_CMD_READ, NBD_CMD_WRITE, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES,
        NBD_CMD_CACHE,
    };
    unsigned i;

    client_go(f, false);
    for (i = 0; i < ARRAY_SIZE(types); i++) {
        send_request(f, types[i], 0, i, 0, 0);
        expect_simple(f, i, 0);
    }
    g_assert_cmpint(f->disk.n_requests, ==, 0);
}

static void test_flags_reach_the_disk(Fixture *f, gconstpointer d)
{
    unsigned zero_flags = NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;

    client_go(f, false);
    send_request(f, NBD_CMD_WRITE_ZEROES, zero_flags, 1, 0, 4096);
    expect_simple(f, 1, 0);
    g_assert_cmphex(f->disk.last_flags, ==, zero_flags);
    send_request(f, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, 2, 0, 4096);
    expect_simple(f, 2, 0);
    g_assert_cmphex(f->disk.last_flags, ==, NBD_CMD_FLAG_FUA);
}

static void test_refused_requests(Fixture *f, gconstpointer d)
{
    static const struct {
        uint16_t type, flags;
        uint64_t offset;
        uint32_t length, error;
    } bad[] = {
        { NBD_CMD_READ, 0, DISK_SIZE, 1, NBD_EINVAL },
        { NBD_CMD_READ, 0, DISK_SIZE - 1, 2, NBD_EINVAL },
        { NBD_CMD_READ, 0, UINT64_MAX, 2, NBD_EINVAL },
        { NBD_CMD_READ, 0, 0, NBD_MAX_BUFFER_SIZE + 1, NBD_EINVAL },
        { NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 1, NBD_EINVAL },
        { NBD_CMD_READ, 1 << 9, 0, 1, NBD_EINVAL },
        { NBD_CMD_WRITE_ZEROES, 0, DISK_SIZE, 1, NBD_ENOSPC },
        { NBD_CMD_TRIM, 0, DISK_SIZE, 1, NBD_EINVAL },
        { NBD_CMD_TRIM, NBD_CMD_FLAG_NO_HOLE, 0, 1, NBD_EINVAL },
        { NBD_CMD_BLOCK_STATUS, 0, 0, 4096, NBD_EINVAL },
        { 100, 0, 0, 0, NBD_EINVAL },
        { UINT16_MAX, 0, 0, 0, NBD_EINVAL },
    };
    unsigned i;

    client_go(f, false);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        send_request(f, bad[i].type, bad[i].flags, i, bad[i].offset,
                     bad[i].length);
        expect_simple(f, i, bad[i].error);
    }
    g_assert_cmpint(f->disk.n_requests, ==, 0);
}

static void test_write_behind_the_end(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_write(f, 1, DISK_SIZE - 10, 1, 11);
    expect_simple(f, 1, NBD_ENOSPC);
    send_write(f, 2, DISK_SIZE - 10, 1, 10);
    expect_simple(f, 2, 0);
}

static void test_overlong_write_is_swallowed(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_write(f, 1, 0, 1, NBD_MAX_BUFFER_SIZE + 1);
    expect_simple(f, 1, NBD_EINVAL);
    send_request(f, NBD_CMD_FLUSH, 0, 2, 0, 0);
    expect_simple(f, 2, 0);
}

static void test_absurd_write_closes(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_request(f, NBD_CMD_WRITE, 0, 1, 0, UINT32_MAX);
    expect_close(f);
}

static void test_read_only_export_takes_no_writes(Fixture *f,
                                                  gconstpointer d)
{
    f->disk.exp.read_only = true;
    client_go(f, false);
    send_write(f, 1, 0, 1, 4096);
    expect_simple(f, 1, NBD_EPERM);
    send_request(f, NBD_CMD_TRIM, 0, 2, 0, 4096);
    expect_simple(f, 2, NBD_EPERM);
}

static void test_bad_magic_closes_only_that_client(Fixture *f,
                                                   gconstpointer d)
{
    uint8_t junk[NBD_REQUEST_SIZE] = { 0 };

    client_go(f, false);
    send_bytes(f, junk, sizeof(junk));
    expect_close(f);
    client_go(f, false);
    send_request(f, NBD_CMD_FLUSH, 0, 1, 0, 0);
    expect_simple(f, 1, 0);
}

static void test_disc_answers_what_came_before(Fixture *f, gconstpointer d)
{
    f->disk.slow = true;
    client_go(f, false);
    send_write(f, 1, 0, 1, 4096);
    send_request(f, NBD_CMD_DISC, 0, 2, 0, 0);
    expect_simple(f, 1, 0);
    expect_close(f);
}

static void test_error_in_simple_reply(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    f->disk.fail = EIO;
    send_request(f, NBD_CMD_READ, 0, 1, 0, 4096);
    expect_simple(f, 1, NBD_EIO);
    f->disk.fail = ENOSPC;
    send_write(f, 2, 0, 1, 4096);
    expect_simple(f, 2, NBD_ENOSPC);
}

/* Structured replies */

static void test_error_chunk_has_text(Fixture *f, gconstpointer d)
{
    uint8_t data[256];
    NBDChunk chunk;

    client_go(f, true);
    f->disk.fail = EIO;
    send_write(f, 1, 0, 1, 4096);
    chunk = recv_chunk(f, 1);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_ERROR);
    g_assert_cmpint(chunk.flags, ==, NBD_REPLY_FLAG_DONE);
    recv_bytes(f, data, chunk.length);
    g_assert_cmpint(nbd_get32(data), ==, NBD_EIO);
    g_assert_cmpint(nbd_get16(data + 4), ==, chunk.length - 6);
    g_assert_cmpint(chunk.length, >, 6);
}

static void expect_data(Fixture *f, uint64_t cookie, uint64_t offset, int c,
                        uint32_t length, bool done)
{
    NBDChunk chunk = recv_chunk(f, cookie);
    g_autofree uint8_t *data = g_malloc(chunk.length);

    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_OFFSET_DATA);
    g_assert_cmpint(chunk.flags, ==, done ? NBD_REPLY_FLAG_DONE : 0);
    g_assert_cmpint(chunk.length, ==, 8 + length);
    recv_bytes(f, data, chunk.length);
    g_assert_cmpint(nbd_get64(data), ==, offset);
    expect_pattern(data + 8, c, length);
}

static void expect_hole(Fixture *f, uint64_t cookie, uint64_t offset,
                        uint32_t length, bool done)
{
    NBDChunk chunk = recv_chunk(f, cookie);
    uint8_t data[12];

    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_OFFSET_HOLE);
    g_assert_cmpint(chunk.flags, ==, done ? NBD_REPLY_FLAG_DONE : 0);
    g_assert_cmpint(chunk.length, ==, 12);
    recv_bytes(f, data, 12);
    g_assert_cmpint(nbd_get64(data), ==, offset);
    g_assert_cmpint(nbd_get32(data + 8), ==, length);
}

static void test_read_tells_holes(Fixture *f, gconstpointer d)
{
    memset(f->disk.data + 8192, 0x33, 4096);
    client_go(f, true);
    send_request(f, NBD_CMD_READ, 0, 1, 4096, 16384);
    expect_hole(f, 1, 4096, 4096, false);
    expect_data(f, 1, 8192, 0x33, 4096, false);
    expect_hole(f, 1, 12288, 8192, true);

    send_request(f, NBD_CMD_READ, 0, 2, 100, 1000);
    expect_hole(f, 2, 100, 1000, true);
}

static void test_df_read_is_one_chunk(Fixture *f, gconstpointer d)
{
    client_go(f, true);
    send_request(f, NBD_CMD_READ, NBD_CMD_FLAG_DF, 1, 0, 8192);
    expect_data(f, 1, 0, 0, 8192, true);
}

/* Reads of data ask once how far the data goes, not each time. */
static void test_status_of_data_is_remembered(Fixture *f, gconstpointer d)
{
    unsigned i;

    memset(f->disk.data, 0x77, DISK_SIZE);
    client_go(f, true);
    for (i = 0; i < 50; i++) {
        send_request(f, NBD_CMD_READ, 0, i, i * 4096, 4096);
        expect_data(f, i, i * 4096, 0x77, 4096, true);
    }
    g_assert_cmpint(f->disk.n_status, ==, 1);

    send_request(f, NBD_CMD_TRIM, 0, 100, 4096, 4096);
    expect_simple(f, 100, 0);
    send_request(f, NBD_CMD_READ, 0, 101, 4096, 4096);
    expect_hole(f, 101, 4096, 4096, true);
}

static void test_empty_read_has_an_empty_chunk(Fixture *f, gconstpointer d)
{
    NBDChunk chunk;

    client_go(f, true);
    send_request(f, NBD_CMD_READ, 0, 1, 0, 0);
    chunk = recv_chunk(f, 1);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_NONE);
    g_assert_cmpint(chunk.flags, ==, NBD_REPLY_FLAG_DONE);
    g_assert_cmpint(chunk.length, ==, 0);
}

static void test_block_status_lists_extents(Fixture *f, gconstpointer d)
{
    uint8_t data[64];
    NBDChunk chunk;

    memset(f->disk.data + 8192, 0x33, 4096);
    client_go(f, true);
    send_request(f, NBD_CMD_BLOCK_STATUS, 0, 1, 0, 16384);
    chunk = recv_chunk(f, 1);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_BLOCK_STATUS);
    g_assert_cmpint(chunk.length, ==, 4 + 3 * 8);
    recv_bytes(f, data, chunk.length);
    g_assert_cmpint(nbd_get32(data), ==, 0);
    g_assert_cmpint(nbd_get32(data + 4), ==, 8192);
    g_assert_cmpint(nbd_get32(data + 8), ==, NBD_STATE_HOLE | NBD_STATE_ZERO);
    g_assert_cmpint(nbd_get32(data + 12), ==, 4096);
    g_assert_cmpint(nbd_get32(data + 16), ==, 0);
    g_assert_cmpint(nbd_get32(data + 20), ==, 4096);
}

static void test_req_one_gives_one_extent(Fixture *f, gconstpointer d)
{
    uint8_t data[64];
    NBDChunk chunk;

    memset(f->disk.data + 8192, 0x33, 4096);
    client_go(f, true);
    send_request(f, NBD_CMD_BLOCK_STATUS, NBD_CMD_FLAG_REQ_ONE, 1, 0, 16384);
    chunk = recv_chunk(f, 1);
    g_assert_cmpint(chunk.length, ==, 4 + 8);
    recv_bytes(f, data, chunk.length);
    g_assert_cmpint(nbd_get32(data + 4), ==, 8192);

    send_request(f, NBD_CMD_BLOCK_STATUS, 0, 2, 0, 0);
    chunk = recv_chunk(f, 2);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_ERROR);
}

/* The gate, and the end */

static void test_closed_gate_holds_all_but_flush(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    f->disk.gate_closed = true;
    send_write(f, 1, 0, 0x55, 4096);
    send_request(f, NBD_CMD_FLUSH, 0, 2, 0, 0);
    expect_simple(f, 2, 0);
    expect_nothing(f);
    g_assert_cmphex(f->disk.data[0], ==, 0);

    f->disk.gate_closed = false;
    co_queue_restart_all(&f->disk.gate);
    expect_simple(f, 1, 0);
    g_assert_cmphex(f->disk.data[0], ==, 0x55);
}

static void test_client_that_leaves_the_gate_is_forgotten(Fixture *f,
                                                          gconstpointer d)
{
    client_go(f, false);
    f->disk.gate_closed = true;
    send_write(f, 1, 0, 0x55, 4096);
    turn(f);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmphex(f->disk.data[0], ==, 0);
}

/* All outstanding requests are handled, also if nobody reads the replies. */
static void test_disc_at_the_gate_loses_nothing(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    f->disk.gate_closed = true;
    send_write(f, 1, 0, 0x55, 4096);
    send_write(f, 2, 4096, 0x66, 4096);
    send_request(f, NBD_CMD_DISC, 0, 3, 0, 0);
    turn(f);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 1);
    g_assert_cmpuint(f->disk.n_left, ==, 0);

    /* The first reply fails before the second write has begun. */
    f->disk.gate_closed = false;
    co_queue_next(&f->disk.gate);
    turn(f);
    expect_pattern(f->disk.data, 0x55, 4096);
    g_assert_cmphex(f->disk.data[4096], ==, 0);
    co_queue_restart_all(&f->disk.gate);
    turn(f);
    expect_pattern(f->disk.data + 4096, 0x66, 4096);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmpuint(f->disk.n_left, ==, 1);
    g_assert_cmpuint(f->disk.n_lost, ==, 0);
}

/* Ending the server, or the export, does not wait for the gate. */
static void test_disc_at_the_gate_is_cut_off(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    f->disk.gate_closed = true;
    send_write(f, 1, 0, 0x55, 4096);
    send_request(f, NBD_CMD_DISC, 0, 2, 0, 0);
    turn(f);
    nbd_export_disconnect(&f->disk.exp);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmphex(f->disk.data[0], ==, 0);
}

/* A request that takes some turns of the loop, and then its client goes. */
static void check_gate_closes_within(Fixture *f, uint16_t type)
{
    unsigned done;
    int i;

    for (i = 0; i < 5; i++) {
        f->disk.data[i * MiB / 2] = 1;
    }
    f->disk.slow = true;
    client_go(f, true);
    send_request(f, type, 0, 1, 0, 4 * MiB);
    while (f->disk.n_requests == 0) {
        aio_poll(f->ctx, false);
    }
    f->disk.gate_closed = true;
    done = f->disk.n_requests;
    turn(f);
    g_assert_cmpint(f->disk.n_requests, ==, done);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmpint(f->disk.n_requests, ==, done);
}

static void test_gate_closes_within_a_read(Fixture *f, gconstpointer d)
{
    check_gate_closes_within(f, NBD_CMD_READ);
}

static void test_gate_closes_within_a_cache(Fixture *f, gconstpointer d)
{
    check_gate_closes_within(f, NBD_CMD_CACHE);
}

/* The client has gone, the gate closes, and only now a step ends. */
static void test_gate_closes_after_the_client(Fixture *f, gconstpointer d)
{
    f->disk.slow = true;
    client_go(f, false);
    send_request(f, NBD_CMD_CACHE, 0, 1, 0, 4 * MiB);
    while (f->disk.n_requests == 0) {
        aio_poll(f->ctx, false);
    }
    shutdown(f->fd, SHUT_RDWR);
    aio_poll(f->ctx, false);
    f->disk.gate_closed = true;
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
}

/* The reader cannot see the end of the stream: it waits for a slot. */
static void test_full_queue_at_the_gate_is_forgotten(Fixture *f,
                                                     gconstpointer d)
{
    int i;

    client_go(f, false);
    f->disk.gate_closed = true;
    for (i = 0; i < 200; i++) {
        send_request(f, NBD_CMD_TRIM, 0, i, 0, 4096);
    }
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 1);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmpint(f->disk.n_requests, ==, 0);
}

/* A client may send all it has to say and end the stream behind it. */
static void test_hang_up_at_a_full_queue_loses_nothing(Fixture *f,
                                                       gconstpointer d)
{
    int i;

    f->disk.slow = true;
    client_go(f, false);
    for (i = 0; i < 200; i++) {
        send_request(f, NBD_CMD_TRIM, 0, i, 0, 4096);
    }
    g_assert_cmpint(shutdown(f->fd, SHUT_WR), ==, 0);
    turn(f);
    g_assert_cmpint(f->disk.n_requests, ==, 200);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
}

static void test_requests_in_flight_are_bounded(Fixture *f, gconstpointer d)
{
    int i;

    client_go(f, false);
    f->disk.gate_closed = true;
    for (i = 0; i < 500; i++) {
        send_request(f, NBD_CMD_TRIM, 0, i, 0, 4096);
    }
    turn(f);
    f->disk.gate_closed = false;
    co_queue_restart_all(&f->disk.gate);
    for (i = 0; i < 500; i++) {
        expect_simple(f, i, 0);
    }
}

static void test_disconnected_export_takes_nothing_more(Fixture *f,
                                                        gconstpointer d)
{
    client_go(f, false);
    send_write(f, 1, 0, 0x55, 4096);
    nbd_export_disconnect(&f->disk.exp);
    turn(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    g_assert_cmphex(f->disk.data[0], ==, 0);
}

static void test_memory_is_given_back_when_idle(Fixture *f, gconstpointer d)
{
    int i;

    client_go(f, false);
    send_write(f, 1, 0, 1, 1 * MiB);
    expect_simple(f, 1, 0);
    for (i = 0; i < 5; i++) {
        f->clock.now_ns += 3 * NANOSECONDS_PER_SECOND;
        turn(f);
    }
    /* Nothing is left that would have to be looked after. */
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
    send_write(f, 2, 0, 2, 4096);
    expect_simple(f, 2, 0);
    for (i = 0; i < 5; i++) {
        f->clock.now_ns += 3 * NANOSECONDS_PER_SECOND;
        turn(f);
    }
}

static void test_refused_writer_may_read(Fixture *f, gconstpointer d)
{
    static const char why[] = "another one writes";
    uint8_t data[64];
    NBDChunk chunk;

    f->disk.refuse_writers = true;
    client_go(f, true);
    send_write(f, 1, 0, 0xaa, 512);
    chunk = recv_chunk(f, 1);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_ERROR);
    g_assert_cmpuint(chunk.length, ==, NBD_ERROR_CHUNK_SIZE + strlen(why));
    recv_bytes(f, data, chunk.length);
    g_assert_cmpuint(nbd_get32(data), ==, EPERM);
    g_assert_cmpmem(data + NBD_ERROR_CHUNK_SIZE, strlen(why), why,
                    strlen(why));
    g_assert_cmpuint(f->disk.n_requests, ==, 0);

    /* The text does not stick to the request's memory. */
    f->disk.refuse_writers = false;
    f->disk.fail = EIO;
    send_write(f, 2, 0, 0xaa, 512);
    chunk = recv_chunk(f, 2);
    g_assert_cmpuint(chunk.length, ==,
                     NBD_ERROR_CHUNK_SIZE + strlen(g_strerror(EIO)));
    recv_bytes(f, data, chunk.length);
    f->disk.fail = 0;

    f->disk.refuse_writers = true;
    f->disk.data[0] = 1;
    send_request(f, NBD_CMD_READ, NBD_CMD_FLAG_DF, 3, 0, 1);
    chunk = recv_chunk(f, 3);
    g_assert_cmphex(chunk.type, ==, NBD_REPLY_TYPE_OFFSET_DATA);
    recv_bytes(f, data, chunk.length);
}

static void test_all_writing_commands_ask(Fixture *f, gconstpointer d)
{
    f->disk.refuse_writers = true;
    client_go(f, false);
    send_write(f, 1, 0, 0xaa, 512);
    expect_simple(f, 1, EPERM);
    send_request(f, NBD_CMD_WRITE_ZEROES, 0, 2, 0, 512);
    expect_simple(f, 2, EPERM);
    send_request(f, NBD_CMD_TRIM, 0, 3, 0, 512);
    expect_simple(f, 3, EPERM);
    send_request(f, NBD_CMD_FLUSH, 0, 4, 0, 0);
    expect_simple(f, 4, 0);
}

static void test_owner_is_told_who_left(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    g_assert_cmpuint(f->disk.n_left, ==, 0);
    send_request(f, NBD_CMD_DISC, 0, 1, 0, 0);
    expect_close(f);
    g_assert_cmpuint(f->disk.n_left, ==, 1);
    g_assert_cmpuint(f->disk.n_lost, ==, 0);
}

static void test_owner_is_told_who_was_lost(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_write(f, 1, 0, 0xaa, 512);
    expect_simple(f, 1, 0);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    g_assert_cmpuint(f->disk.n_left, ==, 1);
    g_assert_cmpuint(f->disk.n_lost, ==, 1);
}

#define ADD(name, func) \
    g_test_add("/nbd-server/request/" name, Fixture, NULL, setup, func, \
               teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("write-then-read", test_write_then_read);
    ADD("many-in-one-send", test_many_writes_in_one_send);
    ADD("slow-writes", test_slow_writes_keep_their_payload);
    ADD("single-bytes", test_request_in_single_bytes);
    ADD("all-sizes", test_writes_of_all_sizes);
    ADD("large-reads", test_large_reads_fill_the_socket);
    ADD("empty", test_empty_requests_succeed);
    ADD("flags", test_flags_reach_the_disk);
    ADD("refused", test_refused_requests);
    ADD("behind-the-end", test_write_behind_the_end);
    ADD("overlong-write", test_overlong_write_is_swallowed);
    ADD("absurd-write", test_absurd_write_closes);
    ADD("read-only", test_read_only_export_takes_no_writes);
    ADD("bad-magic", test_bad_magic_closes_only_that_client);
    ADD("disc", test_disc_answers_what_came_before);
    ADD("simple-error", test_error_in_simple_reply);
    ADD("error-chunk", test_error_chunk_has_text);
    ADD("holes", test_read_tells_holes);
    ADD("df", test_df_read_is_one_chunk);
    ADD("remembered-data", test_status_of_data_is_remembered);
    ADD("empty-read", test_empty_read_has_an_empty_chunk);
    ADD("block-status", test_block_status_lists_extents);
    ADD("req-one", test_req_one_gives_one_extent);
    ADD("gate", test_closed_gate_holds_all_but_flush);
    ADD("gate-left", test_client_that_leaves_the_gate_is_forgotten);
    ADD("disc-at-gate", test_disc_at_the_gate_loses_nothing);
    ADD("disc-at-gate/cut-off", test_disc_at_the_gate_is_cut_off);
    ADD("gate-closes/read", test_gate_closes_within_a_read);
    ADD("gate-closes/cache", test_gate_closes_within_a_cache);
    ADD("gate-closes/left", test_gate_closes_after_the_client);
    ADD("gate-left-full", test_full_queue_at_the_gate_is_forgotten);
    ADD("hang-up-full", test_hang_up_at_a_full_queue_loses_nothing);
    ADD("bounded", test_requests_in_flight_are_bounded);
    ADD("disconnected", test_disconnected_export_takes_nothing_more);
    ADD("refused-writer", test_refused_writer_may_read);
    ADD("writers-ask", test_all_writing_commands_ask);
    ADD("left", test_owner_is_told_who_left);
    ADD("lost", test_owner_is_told_who_was_lost);
    ADD("idle-memory", test_memory_is_given_back_when_idle);
    return g_test_run();
}
