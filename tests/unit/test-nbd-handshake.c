/*
 * The NBD client's handshake against canned servers
 *
 * Everything a server will say is put into a socket at once; what the client
 * sends meanwhile is looked at afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/socket.h>

#include "io/channel.h"
#include "nbd/client.h"
#include "nbd/protocol.h"
#include "util/aio.h"

static AioContext *ctx;

/* What a server says */

static void put(GByteArray *s, const void *data, size_t len)
{
    g_byte_array_append(s, data, len);
}

static void put16(GByteArray *s, uint16_t v)
{
    uint8_t buf[2];

    nbd_put16(buf, v);
    put(s, buf, sizeof(buf));
}

static void put32(GByteArray *s, uint32_t v)
{
    uint8_t buf[4];

    nbd_put32(buf, v);
    put(s, buf, sizeof(buf));
}

static void put64(GByteArray *s, uint64_t v)
{
    uint8_t buf[8];

    nbd_put64(buf, v);
    put(s, buf, sizeof(buf));
}

static GByteArray *server_new(uint16_t flags)
{
    GByteArray *s = g_byte_array_new();

    put64(s, NBD_MAGIC);
    put64(s, NBD_OPTS_MAGIC);
    put16(s, flags);
    return s;
}

static void put_reply(GByteArray *s, uint32_t option, uint32_t type,
                      const void *data, size_t len)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];

    nbd_option_reply_encode(buf, option, type, len);
    put(s, buf, sizeof(buf));
    put(s, data, len);
}

static void put_error(GByteArray *s, uint32_t option, uint32_t type,
                      const char *text)
{
    put_reply(s, option, type, text, strlen(text));
}

static void put_info_export(GByteArray *s, uint64_t size, uint16_t flags)
{
    uint8_t buf[NBD_INFO_EXPORT_SIZE];

    nbd_put16(buf, NBD_INFO_EXPORT);
    nbd_put64(buf + 2, size);
    nbd_put16(buf + 10, flags);
    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, buf, sizeof(buf));
}

static void put_info_block_size(GByteArray *s, uint32_t min, uint32_t opt,
                                uint32_t max)
{
    uint8_t buf[NBD_INFO_BLOCK_SIZE_SIZE];

    nbd_put16(buf, NBD_INFO_BLOCK_SIZE);
    nbd_put32(buf + 2, min);
    nbd_put32(buf + 6, opt);
    nbd_put32(buf + 10, max);
    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, buf, sizeof(buf));
}

static void put_context(GByteArray *s, uint32_t id, const char *name)
{
    g_autofree uint8_t *buf = g_malloc(4 + strlen(name));

    nbd_put32(buf, id);
    memcpy(buf + 4, name, strlen(name));
    put_reply(s, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, buf,
              4 + strlen(name));
}

/* A server up to and with structured replies and base:allocation. */
static GByteArray *modern_server_new(void)
{
    GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_context(s, 7, NBD_META_BASE_ALLOCATION);
    put_reply(s, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    return s;
}

/* A server that refuses all but GO. */
static GByteArray *plain_server_new(void)
{
    GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    put_error(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_UNSUP, "");
    return s;
}

static GByteArray *oldstyle_server_new(void)
{
    GByteArray *s = g_byte_array_new();

    put64(s, NBD_MAGIC);
    put64(s, NBD_CLIENT_MAGIC);
    return s;
}

/* Running the client */

typedef struct Result {
    NBDClientParams params;
    NBDExportInfo info;
    IOChannel *plain;
    GError *err;
    bool ok;
    bool done;
    uint8_t sent[16 * 1024];    /* by the client */
    ssize_t n_sent;
} Result;

static void coroutine_fn negotiate_entry(void *opaque)
{
    Result *r = opaque;
    g_autoptr(IOChannel) ioc = nbd_client_co_negotiate(r->plain, &r->params,
                                                       &r->info, &r->err);

    r->ok = ioc != NULL;
    r->done = true;
}

static Result *negotiate(GByteArray *server, const NBDClientParams *params)
{
    Result *r = g_new0(Result, 1);
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_cmpint(write(fds[1], server->data, server->len), ==, server->len);
    g_assert_cmpint(shutdown(fds[1], SHUT_WR), ==, 0);
    if (params) {
        r->params = *params;
    }
    r->plain = io_channel_new_fd(fds[0]);
    coroutine_start(negotiate_entry, r);
    while (!r->done) {
        aio_poll(ctx, true);
    }
    io_channel_unref(r->plain);
    r->n_sent = read(fds[1], r->sent, sizeof(r->sent));
    close(fds[1]);
    g_byte_array_unref(server);
    g_assert_true(r->ok == !r->err);
    return r;
}

static void result_free(Result *r)
{
    g_clear_error(&r->err);
    g_free(r);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Result, result_free)

static void assert_ok(Result *r)
{
    g_assert_no_error(r->err);
}

static void assert_fails(GByteArray *server, const char *message)
{
    g_autoptr(Result) r = negotiate(server, NULL);

    g_assert_nonnull(r->err);
    g_assert_cmpstr(r->err->message, ==, message);
}

/* The same with a client that wants TLS; it never comes to use the creds. */
static void assert_tls_fails(GByteArray *server, const char *message)
{
    const NBDClientParams params = { .tls_creds = (TLSCreds *)server };
    g_autoptr(Result) r = negotiate(server, &params);

    g_assert_nonnull(r->err);
    g_assert_cmpstr(r->err->message, ==, message);
}

/* What works */

static void test_go_brings_size_flags_and_block_sizes(void)
{
    GByteArray *s = modern_server_new();
    g_autoptr(Result) r = NULL;

    put_info_export(s, 12345 * 512, NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY);
    put_info_block_size(s, 512, 4096, 65536);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_cmpint(r->info.size, ==, 12345 * 512);
    g_assert_cmpint(r->info.flags, ==,
                    NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY);
    g_assert_cmpint(r->info.min_block, ==, 512);
    g_assert_cmpint(r->info.opt_block, ==, 4096);
    g_assert_cmpint(r->info.max_block, ==, 65536);
    g_assert_true(r->info.structured_reply);
    g_assert_true(r->info.has_context);
    g_assert_cmpint(r->info.context_id, ==, 7);
}

static void test_client_asks_for_what_it_was_told(void)
{
    static const NBDClientParams params = {
        .export = "disk", .meta_context = "qemu:dirty-bitmap:b",
    };
    static const uint8_t expected[] =
        "\0\0\0\3"                                      /* client flags */
        "IHAVEOPT\0\0\0\x08\0\0\0\0"
        "IHAVEOPT\0\0\0\x0a\0\0\0\x23"
        "\0\0\0\4" "disk\0\0\0\1\0\0\0\x13qemu:dirty-bitmap:b"
        "IHAVEOPT\0\0\0\x07\0\0\0\x0c"
        "\0\0\0\4" "disk\0\1\0\3";
    GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    g_autoptr(Result) r = NULL;

    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_context(s, 1, "qemu:dirty-bitmap:b");
    put_reply(s, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    put_info_export(s, 4096, 0);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    r = negotiate(s, &params);
    assert_ok(r);
    g_assert_cmpmem(r->sent, r->n_sent, expected, sizeof(expected) - 1);
}

static void test_unknown_infos_are_skipped(void)
{
    GByteArray *s = modern_server_new();
    g_autoptr(Result) r = NULL;
    uint8_t long_info[1000] = { 0, NBD_INFO_DESCRIPTION };

    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, "\x12\x34xyz", 5);
    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, long_info, sizeof(long_info));
    put_info_export(s, 1, 0);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_cmpint(r->info.size, ==, 1);
    g_assert_cmpint(r->info.min_block, ==, 0);
}

static void test_server_without_go_gets_export_name(void)
{
    GByteArray *s = plain_server_new();
    g_autoptr(Result) r = NULL;

    put_error(s, NBD_OPT_GO, NBD_REP_ERR_UNSUP, "what?");
    put64(s, 1 * MiB);
    put16(s, NBD_FLAG_HAS_FLAGS);
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_cmpint(r->info.size, ==, 1 * MiB);
    g_assert_cmpint(r->info.flags, ==, NBD_FLAG_HAS_FLAGS);
    g_assert_false(r->info.structured_reply);
    g_assert_false(r->info.has_context);
}

static void test_not_fixed_newstyle_pads_with_zeroes(void)
{
    static const uint8_t zeroes[NBD_RESERVED_ZEROES];
    GByteArray *s = server_new(0);
    g_autoptr(Result) r = NULL;

    put64(s, 1000);
    put16(s, NBD_FLAG_HAS_FLAGS);
    put(s, zeroes, sizeof(zeroes));
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_cmpint(r->info.size, ==, 1000);
}

static void test_oldstyle_server_works(void)
{
    static const uint8_t zeroes[NBD_RESERVED_ZEROES];
    GByteArray *s = oldstyle_server_new();
    g_autoptr(Result) r = NULL;

    put64(s, 2000);
    put32(s, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH);
    put(s, zeroes, sizeof(zeroes));
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_cmpint(r->info.size, ==, 2000);
    g_assert_cmpint(r->info.flags, ==,
                    NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH);
}

static void test_refused_context_means_none(void)
{
    GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE);
    g_autoptr(Result) r = NULL;

    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_error(s, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_POLICY, "no");
    put_info_export(s, 512, 0);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    r = negotiate(s, NULL);
    assert_ok(r);
    g_assert_true(r->info.structured_reply);
    g_assert_false(r->info.has_context);
}

/* What does not */

static void test_wrong_magics_are_named(void)
{
    GByteArray *s = g_byte_array_new();

    put(s, "SSH-2.0-OpenSSH", 16);
    assert_fails(s, "Bad initial magic received: 0x5353482d322e302d");

    s = g_byte_array_new();
    put64(s, NBD_MAGIC);
    put64(s, 1);
    assert_fails(s, "Bad server magic received: 0x1");

    s = server_new(NBD_FLAG_FIXED_NEWSTYLE);
    put(s, "01234567890123456789", 20);
    assert_fails(s, "Unexpected option reply magic");
}

static void test_end_of_stream_is_named_anywhere(void)
{
    GByteArray *whole = modern_server_new();

    put_info_export(whole, 512, 0);
    put_reply(whole, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    for (guint len = 0; len < whole->len; len++) {
        GByteArray *s = g_byte_array_new();
        g_autoptr(Result) r = NULL;

        put(s, whole->data, len);
        r = negotiate(s, NULL);
        g_assert_nonnull(r->err);
        g_assert_true(g_str_has_prefix(r->err->message, "Failed to read "));
        g_assert_true(g_str_has_suffix(r->err->message,
                                       ": Unexpected end-of-file before all "
                                       "data were read"));
    }
    g_byte_array_unref(whole);
}

static void test_server_message_is_passed_on(void)
{
    GByteArray *s = plain_server_new();

    put_error(s, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "export 'x' not\npresent");
    assert_fails(s, "Requested export not available\n"
                 "server reported: export 'x' not present");

    s = plain_server_new();
    put_error(s, NBD_OPT_GO, NBD_REP_ERR_TLS_REQD, "Not before TLS");
    assert_fails(s, "TLS negotiation required before option 7 (go)\n"
                 "Did you forget a valid tls-creds?\n"
                 "server reported: Not before TLS");

    s = plain_server_new();
    put_error(s, NBD_OPT_GO, NBD_REP_ERR(4711), "");
    assert_fails(s, "Unknown error code 4711 when asking for option 7 (go)");
}

static void test_refusals_are_named(void)
{
    static const struct {
        uint32_t type;
        const char *message;
    } refusals[] = {
        { NBD_REP_ERR_UNSUP, "Unsupported option 5 (starttls)" },
        { NBD_REP_ERR_POLICY, "Denied by server for option 5 (starttls)" },
        { NBD_REP_ERR_INVALID,
          "Invalid parameters for option 5 (starttls)" },
        { NBD_REP_ERR_PLATFORM,
          "Server lacks support for option 5 (starttls)" },
        { NBD_REP_ERR_SHUTDOWN,
          "Server shutting down before option 5 (starttls)" },
        { NBD_REP_ERR_BLOCK_SIZE_REQD,
          "Server requires INFO_BLOCK_SIZE for option 5 (starttls)" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        g_autofree char *message = g_strconcat(refusals[i].message,
                                               "\nserver reported: why",
                                               NULL);
        GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE);

        put_error(s, NBD_OPT_STARTTLS, refusals[i].type, "why");
        assert_tls_fails(s, message);
    }
}

static void test_servers_without_tls_are_refused(void)
{
    GByteArray *s = server_new(0);

    assert_tls_fails(s, "Server does not support STARTTLS");

    s = oldstyle_server_new();
    assert_tls_fails(s, "Server does not support STARTTLS");
}

static void test_oldstyle_servers_cannot_do_much(void)
{
    const NBDClientParams named = { .export = "disk" };
    GByteArray *s = oldstyle_server_new();
    g_autoptr(Result) r = negotiate(s, &named);

    g_assert_nonnull(r->err);
    g_assert_cmpstr(r->err->message, ==,
                    "Server does not support non-empty export names");

    s = oldstyle_server_new();
    put64(s, 2000);
    put32(s, 0x10001);
    assert_fails(s, "Unexpected export flags 0x10001");
}

static void test_lengths_are_bounded(void)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];
    GByteArray *s = plain_server_new();

    nbd_option_reply_encode(buf, NBD_OPT_GO, NBD_REP_ERR_POLICY, UINT32_MAX);
    put(s, buf, sizeof(buf));
    assert_fails(s, "server error 2147483650 (denied by policy) message is "
                 "too long");

    s = plain_server_new();
    nbd_option_reply_encode(buf, NBD_OPT_GO, NBD_REP_INFO, UINT32_MAX);
    put(s, buf, sizeof(buf));
    assert_fails(s, "Reply to option 7 (go) is too long: 4294967295 bytes");

    s = plain_server_new();
    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, "\0", 1);
    assert_fails(s, "invalid length 1 of NBD_REP_INFO");

    s = plain_server_new();
    put_reply(s, NBD_OPT_GO, NBD_REP_INFO, "\0\0\0", 3);
    assert_fails(s, "invalid length 3 of info 0 (export)");

    s = plain_server_new();
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, "x", 1);
    assert_fails(s, "Unexpected length to ACK response of option 7 (go)");
}

static void test_bad_order_is_refused(void)
{
    GByteArray *s = plain_server_new();

    put_reply(s, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
    assert_fails(s, "Unexpected option type 3 (list), expected 7 (go)");

    s = plain_server_new();
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    assert_fails(s, "broken server omitted NBD_INFO_EXPORT");

    s = server_new(NBD_FLAG_FIXED_NEWSTYLE);
    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_SERVER, NULL, 0);
    assert_fails(s, "Server answered option 8 (structured reply) with "
                 "unexpected reply 2 (server)");

    s = plain_server_new();
    put_reply(s, NBD_OPT_GO, NBD_REP_SERVER, NULL, 0);
    assert_fails(s, "unexpected reply type 2 (server), expected 3 (info)");
}

static void test_endless_infos_are_cut_off(void)
{
    GByteArray *s = plain_server_new();

    for (int i = 0; i < 2000; i++) {
        put_info_export(s, 512, 0);
    }
    assert_fails(s, "server sends no end of replies to option 7 (go)");
}

static void test_wrong_contexts_are_refused(void)
{
    GByteArray *s = server_new(NBD_FLAG_FIXED_NEWSTYLE);

    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_context(s, 1, "base:allocatioM");
    assert_fails(s, "Failed to negotiate query 'base:allocation', server "
                 "answered with different context 'base:allocatioM'");

    s = server_new(NBD_FLAG_FIXED_NEWSTYLE);
    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_context(s, 1, NBD_META_BASE_ALLOCATION);
    put_context(s, 2, NBD_META_BASE_ALLOCATION);
    assert_fails(s, "Failed to negotiate query 'base:allocation', server "
                 "answered with more than one context");

    s = server_new(NBD_FLAG_FIXED_NEWSTYLE);
    put_reply(s, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_reply(s, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, "\0\0\0", 3);
    assert_fails(s, "Failed to negotiate query 'base:allocation', server "
                 "answered with unexpected reply 4 (meta context) of 3 "
                 "bytes");
}

static void test_impossible_sizes_are_refused(void)
{
    GByteArray *s = plain_server_new();

    put_info_block_size(s, 513, 4096, 65536);
    assert_fails(s, "server minimum block size 513 is not a power of two up "
                 "to 65536");

    s = plain_server_new();
    put_info_block_size(s, 4096, 512, 65536);
    assert_fails(s, "server preferred block size 512 is not a power of two "
                 "or below the minimum block size");

    s = plain_server_new();
    put_info_block_size(s, 4096, 4096, 512);
    assert_fails(s, "server maximum block size 512 is below the minimum "
                 "block size 4096");

    s = plain_server_new();
    put_info_block_size(s, 4096, 4096, 65536);
    put_info_export(s, 4097, 0);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    assert_fails(s, "export length 4097 is not multiple of minimum block "
                 "size 4096");

    s = plain_server_new();
    put_info_export(s, UINT64_MAX, 0);
    put_reply(s, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    assert_fails(s, "export length 18446744073709551615 is too large");
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    io_channel_shutdown(opaque);
}

static void test_shutdown_ends_a_silent_handshake(void)
{
    g_autoptr(Result) r = g_new0(Result, 1);
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    r->plain = io_channel_new_fd(fds[0]);
    coroutine_start(negotiate_entry, r);
    aio_poll(ctx, false);
    g_assert_false(r->done);
    coroutine_start(shutdown_entry, r->plain);
    while (!r->done) {
        aio_poll(ctx, true);
    }
    g_assert_nonnull(r->err);
    io_channel_unref(r->plain);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    ctx = aio_context_new(NULL, NULL);
    g_assert_nonnull(ctx);

#define ADD(name, func) g_test_add_func("/nbd/handshake/" name, func)
    ADD("go-brings-size-flags-and-block-sizes",
        test_go_brings_size_flags_and_block_sizes);
    ADD("client-asks-for-what-it-was-told",
        test_client_asks_for_what_it_was_told);
    ADD("unknown-infos-are-skipped", test_unknown_infos_are_skipped);
    ADD("server-without-go-gets-export-name",
        test_server_without_go_gets_export_name);
    ADD("not-fixed-newstyle-pads-with-zeroes",
        test_not_fixed_newstyle_pads_with_zeroes);
    ADD("oldstyle-server-works", test_oldstyle_server_works);
    ADD("refused-context-means-none", test_refused_context_means_none);
    ADD("wrong-magics-are-named", test_wrong_magics_are_named);
    ADD("end-of-stream-is-named-anywhere",
        test_end_of_stream_is_named_anywhere);
    ADD("server-message-is-passed-on", test_server_message_is_passed_on);
    ADD("refusals-are-named", test_refusals_are_named);
    ADD("servers-without-tls", test_servers_without_tls_are_refused);
    ADD("oldstyle-servers-cannot-do-much",
        test_oldstyle_servers_cannot_do_much);
    ADD("lengths-are-bounded", test_lengths_are_bounded);
    ADD("bad-order-is-refused", test_bad_order_is_refused);
    ADD("endless-infos-are-cut-off", test_endless_infos_are_cut_off);
    ADD("wrong-contexts-are-refused", test_wrong_contexts_are_refused);
    ADD("impossible-sizes-are-refused", test_impossible_sizes_are_refused);
    ADD("shutdown-ends-a-silent-handshake",
        test_shutdown_ends_a_silent_handshake);
#undef ADD
    ret = g_test_run();
    aio_context_free(ctx);
    return ret;
}
