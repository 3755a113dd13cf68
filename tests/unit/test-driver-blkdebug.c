/*
 * blkdebug: errors, suspended requests and limits on a disk in memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <glib/gstdio.h>

#include "block/blkdebug.h"
#include "block/drivers.h"
#include "driver-helpers.h"

#define DISK "{'driver': 'null-co', 'discard': 'unmap'}"

typedef struct Fixture {
    AioContext *ctx;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_blkdebug, &bdrv_raw, NULL
    };

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(NULL, NULL);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    test_block_end(f->ctx);
}

static void test_error_once(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'blkdebug', "
        "'image': " DISK ", 'inject-error': [{'event': 'none', "
        "'iotype': 'write', 'errno': 28, 'sector': 8, 'once': true}]}");

    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);
    g_assert_cmpint(test_write(f->ctx, blk, 4096, 512, 1), ==, -ENOSPC);
    g_assert_cmpint(test_write(f->ctx, blk, 4096, 512, 1), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 4096, 512, 1));
    test_backend_free(f->ctx, blk);
}

static void test_event_of_the_driver_above(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
        "{'driver': 'blkdebug', 'image': " DISK ", "
        "'inject-error': [{'event': 'read_aio', 'once': true, "
        "'immediately': true}]}}");
    uint8_t byte;

    g_assert_cmpint(test_write(f->ctx, blk, 0, 1, 1), ==, 0);
    g_assert_cmpint(test_read(f->ctx, blk, 0, 1, &byte), ==, -EIO);
    g_assert_cmpint(test_read(f->ctx, blk, 0, 1, &byte), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void test_events_of_a_write(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
        "{'driver': 'blkdebug', 'align': 512, 'image': " DISK ", "
        "'set-state': [{'event': 'pwritev_rmw_head', 'state': 1, "
        "'new_state': 2}, {'event': 'pwritev_rmw_after_head', 'state': 2, "
        "'new_state': 3}, {'event': 'pwritev', 'state': 3, 'new_state': 4}, "
        "{'event': 'pwritev_done', 'state': 4, 'new_state': 5}, "
        "{'event': 'pwritev_zero', 'state': 5, 'new_state': 6}], "
        "'inject-error': [{'event': 'none', 'state': 6, "
        "'iotype': 'write'}]}}");

    /* Every event once and in this order, or the state is another one */
    g_assert_cmpint(test_write(f->ctx, blk, 10, 502, 1), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 0, 512, 0), ==, 0);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, -EIO);
    test_backend_free(f->ctx, blk);
}

static void test_flush_error(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'blkdebug', "
        "'image': " DISK ", 'inject-error': [{'event': 'none', "
        "'iotype': 'flush'}]}");

    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_FLUSH, 0, 0, 0), ==, -EIO);
    test_backend_free(f->ctx, blk);
}

static void test_config_file(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("blkdebug-XXXXXX", &path, NULL);
    BlockBackend *blk;

    close(fd);
    g_assert_true(g_file_set_contents(path, "[inject-error]\n"
                                      "event = \"none\"\nerrno = \"28\"\n",
                                      -1, NULL));
    blk = open_backend(f->ctx, "{'driver': 'blkdebug', 'config': '%s', "
                       "'image': " DISK "}", path);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, -ENOSPC);
    test_backend_free(f->ctx, blk);

    g_unlink(path);
    g_assert_null(open_node(f->ctx, NULL, "{'driver': 'blkdebug', "
                            "'config': '%s', 'image': " DISK "}", path));
}

static void test_break_and_resume(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
                                     "{'driver': 'blkdebug', "
                                     "'image': " DISK "}}");
    BlockDriverState *bs = blk_bs(blk);
    TestRequest req = {
        .blk = blk, .type = TEST_WRITE, .bytes = 512, .pattern = 0x5a,
    };

    g_assert_cmpint(blkdebug_breakpoint(bs, "nope", "A"), ==, -ENOENT);
    g_assert_cmpint(blkdebug_breakpoint(bs, "write_aio", "A"), ==, 0);
    g_assert_false(blkdebug_is_suspended(bs, "A"));
    g_assert_cmpint(blkdebug_resume(bs, "A"), ==, -ENOENT);

    test_request_start(f->ctx, &req);
    g_assert_true(blkdebug_is_suspended(bs, "A"));
    g_assert_cmpint(req.ret, ==, 1);
    g_assert_cmpint(test_disk(bs)->writes, ==, 0);

    /* Only the one */
    g_assert_cmpint(test_write(f->ctx, blk, 4096, 512, 1), ==, 0);

    g_assert_cmpint(blkdebug_resume(bs, "A"), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 512, 0x5a));
    test_backend_free(f->ctx, blk);
}

static void test_suspended_request_keeps_nobody(Fixture *f,
                                                gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
                                     "{'driver': 'blkdebug', "
                                     "'image': " DISK "}}");
    TestRequest req = { .blk = blk, .type = TEST_READ, .bytes = 512 };
    BlockBackend *other;

    blkdebug_breakpoint(blk_bs(blk), "read_aio", "A");
    test_request_start(f->ctx, &req);

    /* Another user of the node comes and goes. */
    other = test_backend(f->ctx, blk_bs(blk));
    g_assert_true(reads_as(f->ctx, other, 0, 512, 0));
    test_backend_free(f->ctx, other);

    g_assert_true(blkdebug_is_suspended(blk_bs(blk), "A"));
    blkdebug_resume(blk_bs(blk), "A");
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void test_removed_breakpoint_resumes(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
                                     "{'driver': 'blkdebug', "
                                     "'image': " DISK "}}");
    BlockDriverState *bs = blk_bs(blk);
    TestRequest req = { .blk = blk, .type = TEST_READ, .bytes = 512 };

    blkdebug_breakpoint(bs, "read_aio", "A");
    test_request_start(f->ctx, &req);
    g_assert_true(blkdebug_is_suspended(bs, "A"));
    g_assert_cmpint(blkdebug_remove_breakpoint(bs, "A"), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void coroutine_fn wait_break_entry(void *opaque)
{
    g_assert_cmpint(blkdebug_co_wait_break(blk_bs(opaque), "A"), ==, 0);
    g_assert_cmpint(blkdebug_resume(blk_bs(opaque), "A"), ==, 0);
}

static void test_wait_break(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
                                     "{'driver': 'blkdebug', "
                                     "'image': " DISK "}}");
    TestRequest req = { .blk = blk, .type = TEST_READ, .bytes = 512 };

    blkdebug_breakpoint(blk_bs(blk), "read_aio", "A");
    coroutine_start(wait_break_entry, blk);
    test_request_start(f->ctx, &req);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void test_cancel_resumes(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', 'file': "
                                     "{'driver': 'blkdebug', "
                                     "'image': " DISK "}}");
    TestRequest req = { .blk = blk, .type = TEST_READ, .bytes = 512 };

    blkdebug_breakpoint(blk_bs(blk), "read_aio", "A");
    test_request_start(f->ctx, &req);
    bdrv_cancel_in_flight(blk_bs(blk));
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void coroutine_fn close_all_entry(void *opaque)
{
    bdrv_co_close_all();
}

static void test_exit_does_not_wait_for_a_resume(void)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_blkdebug, &bdrv_raw, NULL
    };
    AioVirtualClock clock = { .now_ns = NANOSECONDS_PER_SECOND };
    TestRequest req = { .type = TEST_READ, .bytes = 512 };
    AioContext *ctx;

    bdrv_register_drivers(drivers);
    ctx = aio_context_new(&clock, NULL);
    req.blk = open_backend(ctx, "{'driver': 'raw', 'file': "
                           "{'driver': 'blkdebug', 'image': " DISK "}}");
    g_assert_true(blk_set_name(req.blk, "drive0", NULL));
    blkdebug_breakpoint(blk_bs(req.blk), "read_aio", "A");
    test_request_start(ctx, &req);

    coroutine_start(close_all_entry, NULL);
    test_settle(ctx);
    g_assert_cmpint(req.ret, ==, 1);
    clock.now_ns += 3600 * NANOSECONDS_PER_SECOND;
    test_settle(ctx);
    g_assert_cmpint(test_request_finish(ctx, &req), ==, 0);
    test_block_end(ctx);
}

static void test_without_blkdebug(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, DISK);

    g_assert_cmpint(blkdebug_breakpoint(blk_bs(blk), "read_aio", "A"), ==,
                    -ENOTSUP);
    g_assert_cmpint(blkdebug_resume(blk_bs(blk), "A"), ==, -ENOTSUP);
    test_backend_free(f->ctx, blk);
}

static void test_limits(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'blkdebug', "
        "'align': 4096, 'max-transfer': 8192, 'image': " DISK "}");
    TestDisk *disk = test_disk(blk_bs(blk));

    g_assert_cmpint(test_write(f->ctx, blk, 0, 32768, 0x11), ==, 0);
    g_assert_cmpint(disk->writes, ==, 4);
    g_assert_cmpint(disk->max_bytes, ==, 8192);

    g_assert_cmpint(test_write(f->ctx, blk, 100, 10, 0x22), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 100, 0x11));
    g_assert_true(reads_as(f->ctx, blk, 100, 10, 0x22));
    g_assert_true(reads_as(f->ctx, blk, 110, 1000, 0x11));
    test_backend_free(f->ctx, blk);
}

static void test_padding_ends_with_the_image(Fixture *f,
                                             gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'blkdebug', "
        "'align': 4096, 'image': {'driver': 'raw', 'offset': 60536, "
        "'file': " DISK "}}");
    TestDisk *disk = test_disk(blk_bs(blk));

    g_assert_true(blk_set_perm(blk, BLK_PERM_WRITE, BLK_PERM_ALL, NULL));
    g_assert_cmpint(test_write(f->ctx, blk, 4990, 10, 0x5a), ==, 0);
    g_assert_cmphex(disk->data[60536 + 4989], ==, 0);
    g_assert_cmphex(disk->data[60536 + 4999], ==, 0x5a);
    g_assert_cmpint(length_of(blk), ==, 5000);
    test_backend_free(f->ctx, blk);
}

static void test_bad_limits(Fixture *f, gconstpointer unused)
{
    assert_open_error("Cannot meet constraints with align 3000", f->ctx,
                      "{'driver': 'blkdebug', 'align': 3000, "
                      "'image': " DISK "}");
    assert_open_error("Cannot meet constraints with max-transfer 100", f->ctx,
                      "{'driver': 'blkdebug', 'align': 512, "
                      "'max-transfer': 100, 'image': " DISK "}");
}

static void test_unshared_permission_keeps_others_out(Fixture *f,
                                                      gconstpointer unused)
{
    BlockDriverState *disk = open_node(f->ctx, NULL, "{'driver': 'null-co', "
                                       "'node-name': 'disk'}");
    BlockDriverState *a = open_node(f->ctx, NULL, "{'driver': 'blkdebug', "
        "'image': 'disk', 'unshare-child-perms': ['write']}");
    BlockDriverState *b;
    g_autoptr(GError) err = NULL;

    b = open_node(f->ctx, &err, "{'driver': 'blkdebug', "
                  "'image': 'disk', 'take-child-perms': ['write']}");
    g_assert_nonnull(a);
    g_assert_null(b);
    g_assert_nonnull(strstr(err->message, "write"));
    test_unref(f->ctx, a);
    test_unref(f->ctx, disk);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer unused);
    } tests[] = {
        { "/driver/blkdebug/error/once", test_error_once },
        { "/driver/blkdebug/error/event", test_event_of_the_driver_above },
        { "/driver/blkdebug/error/flush", test_flush_error },
        { "/driver/blkdebug/events", test_events_of_a_write },
        { "/driver/blkdebug/config", test_config_file },
        { "/driver/blkdebug/break/resume", test_break_and_resume },
        { "/driver/blkdebug/break/others",
          test_suspended_request_keeps_nobody },
        { "/driver/blkdebug/break/remove", test_removed_breakpoint_resumes },
        { "/driver/blkdebug/break/wait", test_wait_break },
        { "/driver/blkdebug/break/cancel", test_cancel_resumes },
        { "/driver/blkdebug/break/none", test_without_blkdebug },
        { "/driver/blkdebug/limits/good", test_limits },
        { "/driver/blkdebug/limits/tail", test_padding_ends_with_the_image },
        { "/driver/blkdebug/limits/bad", test_bad_limits },
        { "/driver/blkdebug/permissions",
          test_unshared_permission_keeps_others_out },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver/blkdebug/break/exit",
                    test_exit_does_not_wait_for_a_resume);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
