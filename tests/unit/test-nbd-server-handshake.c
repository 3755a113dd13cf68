/*
 * The NBD server's negotiation, byte by byte
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/ioctl.h>

#include "log-capture.h"
#include "nbd-server-fixture.h"

#define FLAGS (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)

static void test_go_tells_size_and_block_sizes(Fixture *f, gconstpointer d)
{
    uint8_t data[256];
    NBDOptionReply reply;

    client_connect(f);
    greet(f, FLAGS);
    send_info(f, NBD_OPT_GO, "disk", NBD_INFO_BLOCK_SIZE);

    reply = recv_option_reply(f, data);
    g_assert_cmpint(reply.type, ==, NBD_REP_INFO);
    g_assert_cmpint(nbd_get16(data), ==, NBD_INFO_BLOCK_SIZE);
    g_assert_cmpint(nbd_get32(data + 2), ==, 512);
    g_assert_cmpint(nbd_get32(data + 6), ==, 4096);
    g_assert_cmpint(nbd_get32(data + 10), ==, NBD_MAX_BUFFER_SIZE);
    reply = recv_option_reply(f, data);
    g_assert_cmpint(nbd_get16(data), ==, NBD_INFO_EXPORT);
    g_assert_cmpint(nbd_get64(data + 2), ==, DISK_SIZE);
    g_assert_cmphex(nbd_get16(data + 10) & NBD_FLAG_CAN_MULTI_CONN, !=, 0);
    g_assert_cmphex(nbd_get16(data + 10) & NBD_FLAG_SEND_DF, ==, 0);
    expect_option_reply(f, NBD_OPT_GO, NBD_REP_ACK);
    g_assert_cmpint(f->disk.refs, ==, 1);
}

static void test_smallest_block_is_1_unless_asked(Fixture *f,
                                                  gconstpointer d)
{
    uint8_t data[256];

    client_connect(f);
    greet(f, FLAGS);
    send_info(f, NBD_OPT_GO, "disk", NBD_INFO_EXPORT);
    recv_option_reply(f, data);
    g_assert_cmpint(nbd_get16(data), ==, NBD_INFO_BLOCK_SIZE);
    g_assert_cmpint(nbd_get32(data + 2), ==, 1);
}

static void test_unknown_export_is_named(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_info(f, NBD_OPT_GO, "nope", NBD_INFO_EXPORT);
    expect_option_error(f, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN,
                        "export 'nope' not present");

    /* and it goes on */
    send_info(f, NBD_OPT_INFO, "disk", NBD_INFO_EXPORT);
    expect_option_reply(f, NBD_OPT_INFO, NBD_REP_INFO);
}

static void test_malformed_go_is_invalid(Fixture *f, gconstpointer d)
{
    static const uint8_t bad[][10] = {
        { 0, 0, 0, 9, 'd', 'i', 's', 'k', 0, 0 },   /* name too long */
        { 0, 0, 0, 4, 'd', 'i', 's', 'k', 0, 1 },   /* kind missing */
        { 0, 0, 0, 2, 'd', 'i', 0, 0, 0, 0 },       /* bytes left */
        { 0, 0, 0, 4, 'd', 0, 's', 'k', 0, 0 },     /* NUL in the name */
        { 0xff, 0xff, 0xff, 0xff, 'd', 'i', 's', 'k', 0, 0 },
    };
    unsigned i;

    client_connect(f);
    greet(f, FLAGS);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        send_option(f, NBD_OPT_GO, bad[i], sizeof(bad[i]));
        expect_option_reply(f, NBD_OPT_GO, NBD_REP_ERR_INVALID);
    }
    send_option(f, NBD_OPT_GO, NULL, 0);
    expect_option_reply(f, NBD_OPT_GO, NBD_REP_ERR_INVALID);
}

static void test_list_names_exports(Fixture *f, gconstpointer d)
{
    uint8_t data[256];
    NBDOptionReply reply;

    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_LIST, NULL, 0);
    reply = recv_option_reply(f, data);
    g_assert_cmpint(reply.type, ==, NBD_REP_SERVER);
    g_assert_cmpint(nbd_get32(data), ==, 4);
    g_assert_cmpmem(data + 4, reply.length - 4, "disk", 4);
    expect_option_reply(f, NBD_OPT_LIST, NBD_REP_ACK);

    send_option(f, NBD_OPT_LIST, "x", 1);
    expect_option_reply(f, NBD_OPT_LIST, NBD_REP_ERR_INVALID);
}

static void test_abort_is_acknowledged(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_ABORT, NULL, 0);
    expect_option_reply(f, NBD_OPT_ABORT, NBD_REP_ACK);
    expect_close(f);
}

static void test_export_name_begins_transmission(Fixture *f, gconstpointer d)
{
    uint8_t reply[NBD_EXPORT_NAME_REPLY_SIZE + NBD_RESERVED_ZEROES];

    client_connect(f);
    greet(f, NBD_FLAG_FIXED_NEWSTYLE);
    send_option(f, NBD_OPT_EXPORT_NAME, "disk", 4);
    recv_bytes(f, reply, sizeof(reply));
    g_assert_cmpint(nbd_get64(reply), ==, DISK_SIZE);
    send_request(f, NBD_CMD_FLUSH, 0, 1, 0, 0);
    expect_simple(f, 1, 0);
}

static void test_unknown_export_name_closes(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_EXPORT_NAME, "nope", 4);
    expect_close(f);
}

static void test_unknown_option_is_unsupported(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, 4711, "data", 4);
    expect_option_error(f, 4711, NBD_REP_ERR_UNSUP,
                        "Unsupported option 4711 (<unknown>)");
    send_option(f, NBD_OPT_EXTENDED_HEADERS, NULL, 0);
    expect_option_reply(f, NBD_OPT_EXTENDED_HEADERS, NBD_REP_ERR_UNSUP);
}

static int unread_bytes(Fixture *f)
{
    int bytes;

    g_assert_cmpint(ioctl(f->fd, FIONREAD, &bytes), ==, 0);
    return bytes;
}

/* However fast they come: in between others have their turn. */
static void test_options_are_answered_turn_by_turn(Fixture *f,
                                                   gconstpointer d)
{
    uint8_t options[200][NBD_OPTION_SIZE];
    size_t i;

    client_connect(f);
    greet(f, FLAGS);
    for (i = 0; i < ARRAY_SIZE(options); i++) {
        nbd_option_encode(options[i], 77, 0);
    }
    send_bytes(f, options, sizeof(options));
    aio_poll(f->ctx, false);
    g_assert_cmpint(unread_bytes(f), <, 1000);
    for (i = 0; i < ARRAY_SIZE(options); i++) {
        expect_option_reply(f, 77, NBD_REP_ERR_UNSUP);
    }
}

static void test_starttls_without_creds_is_refused(Fixture *f,
                                                   gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_STARTTLS, NULL, 0);
    expect_option_error(f, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY,
                        "TLS not configured");
    send_option(f, NBD_OPT_STARTTLS, "x", 1);
    expect_option_error(f, NBD_OPT_STARTTLS, NBD_REP_ERR_INVALID,
                        "option 'starttls' takes no data");
}

static void test_structured_reply_only_once(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_STRUCTURED_REPLY, "x", 1);
    expect_option_error(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID,
                        "option 'structured reply' takes no data");
    send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    expect_option_reply(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
    send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    expect_option_error(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID,
                        "structured reply already negotiated");
}

static void test_meta_contexts_need_structured_replies(Fixture *f,
                                                       gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_meta(f, NBD_OPT_SET_META_CONTEXT, "disk", "base:allocation");
    expect_option_error(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID,
                        "request option 'set meta context' when structured "
                        "reply is not negotiated");
}

static void test_meta_contexts_are_listed(Fixture *f, gconstpointer d)
{
    static const struct {
        const char *query;
        unsigned n;
    } queries[] = {
        { NULL, 2 }, { "base:", 1 }, { "qemu:", 1 }, { "base:allocation", 1 },
        { "qemu:allocation-depth", 1 }, { "base", 0 }, { "x-foo:bar", 0 },
    };
    unsigned i, j;

    f->disk.exp.allocation_depth = true;
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    expect_option_reply(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
    for (i = 0; i < ARRAY_SIZE(queries); i++) {
        send_meta(f, NBD_OPT_LIST_META_CONTEXT, "disk", queries[i].query);
        for (j = 0; j < queries[i].n; j++) {
            expect_option_reply(f, NBD_OPT_LIST_META_CONTEXT,
                                NBD_REP_META_CONTEXT);
        }
        expect_option_reply(f, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ACK);
    }
}

static void test_setting_contexts_wants_full_names(Fixture *f,
                                                   gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    expect_option_reply(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
    send_meta(f, NBD_OPT_SET_META_CONTEXT, "disk", "base:");
    expect_option_reply(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK);
    /* allocation depth is not offered by this export */
    send_meta(f, NBD_OPT_SET_META_CONTEXT, "disk", "qemu:allocation-depth");
    expect_option_reply(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK);
    send_meta(f, NBD_OPT_SET_META_CONTEXT, "nope", "base:allocation");
    expect_option_reply(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_UNKNOWN);
}

static void test_too_many_queries_are_malformed(Fixture *f, gconstpointer d)
{
    uint8_t data[12] = { 0, 0, 0, 4, 'd', 'i', 's', 'k',
                         0xff, 0xff, 0xff, 0xff };

    client_connect(f);
    greet(f, FLAGS);
    send_option(f, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    expect_option_reply(f, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
    send_option(f, NBD_OPT_SET_META_CONTEXT, data, sizeof(data));
    expect_option_error(f, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID,
                        "malformed query for meta contexts");
}

static void test_oversized_option_closes(Fixture *f, gconstpointer d)
{
    uint8_t header[NBD_OPTION_SIZE];

    client_connect(f);
    greet(f, FLAGS);
    nbd_option_encode(header, NBD_OPT_GO, NBD_MAX_OPTION_SIZE + 1);
    send_bytes(f, header, sizeof(header));
    expect_close(f);
}

static void test_bad_option_magic_closes(Fixture *f, gconstpointer d)
{
    uint8_t header[NBD_OPTION_SIZE] = { 1, 2, 3 };

    client_connect(f);
    greet(f, FLAGS);
    send_bytes(f, header, sizeof(header));
    expect_close(f);
}

static void test_unknown_client_flags_close(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS | 1 << 5);
    expect_close(f);
}

static void test_slow_client_is_disconnected(Fixture *f, gconstpointer d)
{
    client_connect(f);
    greet(f, FLAGS);
    f->clock.now_ns += 9 * NANOSECONDS_PER_SECOND;
    expect_nothing(f);
    f->clock.now_ns += 2 * NANOSECONDS_PER_SECOND;
    log_capture_begin();
    expect_close(f);
    log_capture_end(": did not choose an export in time; closing the "
                    "connection\n");
}

/* Whether the answer to GO finds no room behind those to @n options. */
static bool answer_to_go_waits(Fixture *f, int n)
{
    int i, before;

    client_connect(f);
    greet(f, FLAGS);
    for (i = 0; i < n; i++) {
        send_option(f, 77, NULL, 0);
        aio_poll(f->ctx, false);
        aio_poll(f->ctx, false);
    }
    turn(f);
    before = unread_bytes(f);
    send_info(f, NBD_OPT_GO, "disk", NBD_INFO_EXPORT);
    turn(f);
    return f->disk.refs == 1 && unread_bytes(f) == before;
}

/* It has chosen, and reads no answer: the export need not wait for that. */
static void test_export_goes_while_the_answer_waits(Fixture *f,
                                                    gconstpointer d)
{
    int n = 1;

    while (!answer_to_go_waits(f, n)) {
        g_assert_cmpint(n++, <, 5000);
    }
    nbd_server_remove_export(&f->disk.exp);
    nbd_export_disconnect(&f->disk.exp);
    turn(f);
    g_assert_cmpint(f->disk.refs, ==, 0);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
}

static void test_deadline_ends_with_the_negotiation(Fixture *f,
                                                    gconstpointer d)
{
    client_go(f, false);
    f->clock.now_ns += 60 * NANOSECONDS_PER_SECOND;
    expect_nothing(f);
    g_assert_cmpint(nbd_server_connections(f->server), ==, 1);
}

static void test_two_exports_of_one_name_are_refused(Fixture *f,
                                                     gconstpointer d)
{
    NBDExport other = { .ops = &disk_ops, .name = f->disk.exp.name };
    g_autoptr(GError) err = NULL;

    g_assert_false(nbd_server_add_export(f->server, &other, &err));
    g_assert_cmpstr(err->message, ==,
                    "NBD server already has export named 'disk'");
}

#define ADD(name, func) \
    g_test_add("/nbd-server/handshake/" name, Fixture, NULL, setup, func, \
               teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("go-tells-size", test_go_tells_size_and_block_sizes);
    ADD("smallest-block", test_smallest_block_is_1_unless_asked);
    ADD("unknown-export", test_unknown_export_is_named);
    ADD("malformed-go", test_malformed_go_is_invalid);
    ADD("list", test_list_names_exports);
    ADD("abort", test_abort_is_acknowledged);
    ADD("export-name", test_export_name_begins_transmission);
    ADD("unknown-export-name", test_unknown_export_name_closes);
    ADD("unknown-option", test_unknown_option_is_unsupported);
    ADD("turn-by-turn", test_options_are_answered_turn_by_turn);
    ADD("starttls-refused", test_starttls_without_creds_is_refused);
    ADD("structured-once", test_structured_reply_only_once);
    ADD("meta-needs-structured", test_meta_contexts_need_structured_replies);
    ADD("meta-list", test_meta_contexts_are_listed);
    ADD("meta-set", test_setting_contexts_wants_full_names);
    ADD("meta-many-queries", test_too_many_queries_are_malformed);
    ADD("oversized-option", test_oversized_option_closes);
    ADD("bad-magic", test_bad_option_magic_closes);
    ADD("client-flags", test_unknown_client_flags_close);
    ADD("slow-client", test_slow_client_is_disconnected);
    ADD("export-goes", test_export_goes_while_the_answer_waits);
    ADD("deadline-ends", test_deadline_ends_with_the_negotiation);
    ADD("same-name", test_two_exports_of_one_name_are_refused);
    return g_test_run();
}
