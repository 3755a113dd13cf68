/*
 * The NBD client against replies that break the protocol
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "nbd-client-peer.h"

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

#define OVERLAP "server sent overlapping or too many chunks"

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
    { "not-negotiated", "unexpected structured reply that was not negotiated",
      true, NBD_CMD_FLUSH, bad_done },
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
    { "empty-hole-at-0", "empty chunk in reply to read", false, NBD_CMD_READ,
      bad_empty_hole },
    { "long-hole", "exceeding requested region", false, NBD_CMD_READ,
      bad_long_hole },
    { "hole-length", "invalid payload of 13 bytes", false, NBD_CMD_READ,
      bad_hole_length },
    { "duplicate", OVERLAP, false, NBD_CMD_READ, bad_duplicate },
    { "overlap-left", OVERLAP, false, NBD_CMD_READ, bad_overlap_left },
    { "overlap-right", OVERLAP, false, NBD_CMD_READ, bad_overlap_right },
    { "gap", "did not send all data", false, NBD_CMD_READ, bad_gap },
    { "pieces", OVERLAP, false, NBD_CMD_READ, bad_pieces },
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
    { "error-zero", "structured error chunk with error = 0", false,
      NBD_CMD_READ, bad_error_zero },
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
        g_autofree char *path = g_strdup_printf("/nbd/bad-reply/%s",
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
    add_bad_replies();
    ret = g_test_run();
    aio_context_free(ctx);
    return ret;
}
