/*
 * The NBD protocol's headers and error codes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "nbd/protocol.h"

static void test_request_is_28_big_endian_bytes(void)
{
    static const uint8_t expected[NBD_REQUEST_SIZE] = {
        0x25, 0x60, 0x95, 0x13, 0x00, 0x05, 0x00, 0x06,
        1, 2, 3, 4, 5, 6, 7, 8,
        0, 0, 0, 1, 0, 0, 0, 2,
        0, 0x10, 0, 1,
    };
    uint8_t buf[NBD_REQUEST_SIZE];

    nbd_request_encode(buf, NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF,
                       NBD_CMD_WRITE_ZEROES, UINT64_C(0x0102030405060708),
                       UINT64_C(0x100000002), 0x100001);
    g_assert_cmpmem(buf, sizeof(buf), expected, sizeof(expected));
}

static void test_request_survives_the_round_trip(void)
{
    uint8_t buf[NBD_REQUEST_SIZE];
    NBDRequest r;

    nbd_request_encode(buf, NBD_CMD_FLAG_FAST_ZERO, NBD_CMD_TRIM, UINT64_MAX,
                       INT64_MAX, UINT32_MAX);
    r = nbd_request_decode(buf);
    g_assert_cmphex(r.magic, ==, NBD_REQUEST_MAGIC);
    g_assert_cmphex(r.flags, ==, NBD_CMD_FLAG_FAST_ZERO);
    g_assert_cmpint(r.type, ==, NBD_CMD_TRIM);
    g_assert_cmphex(r.cookie, ==, UINT64_MAX);
    g_assert_cmphex(r.offset, ==, INT64_MAX);
    g_assert_cmphex(r.length, ==, UINT32_MAX);
}

static void test_option_and_reply_survive_the_round_trip(void)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];
    NBDOption o;
    NBDOptionReply r;

    nbd_option_encode(buf, NBD_OPT_GO, 77);
    o = nbd_option_decode(buf);
    g_assert_cmphex(o.magic, ==, NBD_OPTS_MAGIC);
    g_assert_cmpint(o.option, ==, NBD_OPT_GO);
    g_assert_cmpint(o.length, ==, 77);

    nbd_option_reply_encode(buf, NBD_OPT_LIST, NBD_REP_ERR_POLICY, 9);
    r = nbd_option_reply_decode(buf);
    g_assert_cmphex(r.magic, ==, NBD_REP_MAGIC);
    g_assert_cmpint(r.option, ==, NBD_OPT_LIST);
    g_assert_cmphex(r.type, ==, 0x80000002);
    g_assert_cmpint(r.length, ==, 9);
}

static void test_replies_survive_the_round_trip(void)
{
    uint8_t buf[NBD_CHUNK_SIZE];
    NBDSimpleReply s;
    NBDChunk c;

    nbd_simple_reply_encode(buf, NBD_ENOSPC, 5);
    s = nbd_simple_reply_decode(buf);
    g_assert_cmphex(nbd_get32(buf), ==, NBD_SIMPLE_REPLY_MAGIC);
    g_assert_cmpint(s.error, ==, NBD_ENOSPC);
    g_assert_cmpint(s.cookie, ==, 5);

    nbd_chunk_encode(buf, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR_OFFSET,
                     6, 14);
    c = nbd_chunk_decode(buf);
    g_assert_cmphex(nbd_get32(buf), ==, NBD_STRUCTURED_REPLY_MAGIC);
    g_assert_cmphex(c.flags, ==, NBD_REPLY_FLAG_DONE);
    g_assert_cmphex(c.type, ==, 0x8002);
    g_assert_cmpint(c.cookie, ==, 6);
    g_assert_cmpint(c.length, ==, 14);
}

static void test_only_bit_15_makes_a_chunk_an_error(void)
{
    g_assert_true(nbd_reply_type_is_error(0x8000));
    g_assert_true(nbd_reply_type_is_error(NBD_REPLY_TYPE_ERROR));
    g_assert_false(nbd_reply_type_is_error(0x7fff));
    g_assert_false(nbd_reply_type_is_error(NBD_REPLY_TYPE_BLOCK_STATUS));
}

static void test_protocol_errors_map_both_ways(void)
{
    static const int same[] = {
        0, EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN,
    };

    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        uint32_t wire = nbd_errno_from_system(same[i]);

        g_assert_cmpint(nbd_errno_to_system(wire), ==, same[i]);
        g_assert_cmpstr(nbd_err_name(wire), !=, "<unknown>");
    }
}

static void test_other_errors_become_the_nearest(void)
{
    g_assert_cmpint(nbd_errno_from_system(EROFS), ==, NBD_EPERM);
    g_assert_cmpint(nbd_errno_from_system(EFBIG), ==, NBD_ENOSPC);
    g_assert_cmpint(nbd_errno_from_system(EDQUOT), ==, NBD_ENOSPC);
    g_assert_cmpint(nbd_errno_from_system(ETIMEDOUT), ==, NBD_EIO);
    g_assert_cmpint(nbd_errno_to_system(4711), ==, EINVAL);
}

static void test_names_are_never_null(void)
{
    g_assert_cmpstr(nbd_opt_name(NBD_OPT_GO), ==, "go");
    g_assert_cmpstr(nbd_opt_name(0), ==, "<unknown>");
    g_assert_cmpstr(nbd_opt_name(UINT32_MAX), ==, "<unknown>");
    g_assert_cmpstr(nbd_rep_name(NBD_REP_ACK), ==, "ack");
    g_assert_cmpstr(nbd_rep_name(NBD_REP_ERR_UNKNOWN), ==, "export unknown");
    g_assert_cmpstr(nbd_rep_name(UINT32_MAX), ==, "<unknown>");
    g_assert_cmpstr(nbd_info_name(UINT16_MAX), ==, "<unknown>");
    g_assert_cmpstr(nbd_cmd_name(NBD_CMD_CACHE), ==, "cache");
    g_assert_cmpstr(nbd_cmd_name(UINT16_MAX), ==, "<unknown>");
    g_assert_cmpstr(nbd_reply_type_name(0xffff), ==, "<unknown error>");
    g_assert_cmpstr(nbd_err_name(4711), ==, "<unknown>");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nbd/protocol/request-is-28-big-endian-bytes",
                    test_request_is_28_big_endian_bytes);
    g_test_add_func("/nbd/protocol/request-round-trip",
                    test_request_survives_the_round_trip);
    g_test_add_func("/nbd/protocol/option-round-trip",
                    test_option_and_reply_survive_the_round_trip);
    g_test_add_func("/nbd/protocol/reply-round-trip",
                    test_replies_survive_the_round_trip);
    g_test_add_func("/nbd/protocol/error-chunks-by-bit-15",
                    test_only_bit_15_makes_a_chunk_an_error);
    g_test_add_func("/nbd/protocol/errors-map-both-ways",
                    test_protocol_errors_map_both_ways);
    g_test_add_func("/nbd/protocol/other-errors-become-the-nearest",
                    test_other_errors_become_the_nearest);
    g_test_add_func("/nbd/protocol/names-are-never-null",
                    test_names_are_never_null);
    return g_test_run();
}
