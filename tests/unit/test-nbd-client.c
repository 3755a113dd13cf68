/*
 * The NBD client's requests against a scripted server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "nbd-client-peer.h"

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

static void count_turn(void *opaque)
{
    ++*(unsigned *)opaque;
}

/* A server that never comes to the end keeps nobody else from the loop. */
static void test_errors_without_end_leave_turns_to_others(void)
{
    g_autoptr(Peer) p = peer_new(true);
    g_autoptr(Call) c = call_start(p, NBD_CMD_READ, 0, 512);
    uint64_t cookie = server_expect(p, NBD_CMD_READ).cookie;
    unsigned turns = 0;

    for (int i = 0; i < 500; i++) {
        reply_error(p, cookie, 0, NBD_EIO, "");
    }
    reply_done(p, cookie);
    while (!c->done) {
        aio_bh_schedule_oneshot(ctx, count_turn, &turns);
        aio_poll(ctx, true);
    }
    g_assert_cmpint(c->ret, ==, -EIO);
    g_assert_cmpuint(turns, >, 100);
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

static void test_failed_send_fails_what_is_in_flight(void)
{
    g_autoptr(Peer) p = peer_new(true);
    Call *call;

    g_assert_cmpint(shutdown(p->fd, SHUT_RD), ==, 0);
    call = call_start(p, NBD_CMD_FLUSH, 0, 0);
    assert_all_fail(p, &call, 1);
    g_assert_cmpstr(p->lost, ==, "Failed to send request: Broken pipe");
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
    ADD("errors-without-end-leave-turns-to-others",
        test_errors_without_end_leave_turns_to_others);
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
    ADD("failed-send", test_failed_send_fails_what_is_in_flight);
    ADD("shutdown-fails-what-is-in-flight",
        test_shutdown_fails_what_is_in_flight);
    ADD("requests-after-the-end-fail-at-once",
        test_requests_after_the_end_fail_at_once);
    ADD("idle-connection-notices-its-end",
        test_idle_connection_notices_its_end);
    ADD("close-says-goodbye", test_close_says_goodbye);
    ADD("early-error-waits-until-the-payload-is-gone",
        test_early_error_waits_until_the_payload_is_gone);
#undef ADD
    ret = g_test_run();
    aio_context_free(ctx);
    return ret;
}
