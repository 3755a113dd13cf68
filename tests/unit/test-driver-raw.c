/*
 * raw: all of a disk or a part of it
 *
 * The disk below is one in memory, of 64 KiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/drivers.h"
#include "driver-helpers.h"

#define DISK "{'driver': 'null-co', 'discard': 'unmap'}"

typedef struct Fixture {
    AioContext *ctx;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_raw, NULL
    };

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(NULL, NULL);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    test_block_end(f->ctx);
}

static void test_whole(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'file': " DISK "}");
    TestDisk *disk = test_disk(blk_bs(blk));

    g_assert_cmpint(length_of(blk), ==, TEST_DISK_SIZE);
    g_assert_cmpint(test_write(f->ctx, blk, 100, 1000, 0x5a), ==, 0);
    g_assert_cmphex(disk->data[99], ==, 0);
    g_assert_cmphex(disk->data[100], ==, 0x5a);
    g_assert_cmphex(disk->data[1099], ==, 0x5a);
    g_assert_true(reads_as(f->ctx, blk, 100, 1000, 0x5a));
    test_backend_free(f->ctx, blk);
}

static void test_part(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'offset': 1000, 'size': 2048, "
                                     "'discard': 'unmap', 'file': " DISK "}");
    TestDisk *disk = test_disk(blk_bs(blk));
    int64_t pnum;

    g_assert_cmpint(length_of(blk), ==, 2048);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 2048, 0x5a), ==, 0);
    g_assert_cmphex(disk->data[999], ==, 0);
    g_assert_cmphex(disk->data[1000], ==, 0x5a);
    g_assert_cmphex(disk->data[3047], ==, 0x5a);
    g_assert_cmphex(disk->data[3048], ==, 0);

    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 10, 10, 0), ==, 0);
    g_assert_cmphex(disk->data[1010], ==, 0);
    g_assert_cmphex(disk->data[1020], ==, 0x5a);

    g_assert_cmpint(test_write(f->ctx, blk, 2047, 2, 1), <, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_DISCARD, 0, 2048, 0), ==, 0);
    g_assert_cmpint(disk->discards, ==, 1);

    g_assert_true(block_status(f->ctx, blk, 0, 2048, &pnum) &
                  BDRV_BLOCK_DATA);
    g_assert_cmpint(pnum, ==, 2048);
    test_backend_free(f->ctx, blk);
}

static void test_part_beyond_the_end(Fixture *f, gconstpointer unused)
{
    assert_open_error("Offset (70000) cannot be greater than size of the "
                      "containing file (65536)", f->ctx,
                      "{'driver': 'raw', 'offset': 70000, 'file': " DISK "}");
    assert_open_error("The sum of offset (60000) and size (10240) has to be "
                      "smaller or equal to the actual size of the containing "
                      "file (65536)", f->ctx,
                      "{'driver': 'raw', 'offset': 60000, 'size': 10240, "
                      "'file': " DISK "}");
    assert_open_error("Specified size is not multiple of 512", f->ctx,
                      "{'driver': 'raw', 'size': 1000, 'file': " DISK "}");
    assert_open_error("Unknown driver 'host_device'", f->ctx,
                      "{'driver': 'host_device', 'filename': '/dev/x'}");
    assert_open_error("Parameter 'offset' must not be negative", f->ctx,
                      "{'driver': 'raw', 'offset': -1, 'file': " DISK "}");
}

static void test_largest_size(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'offset': 512, 'file': " DISK "}");
    g_autoptr(GError) err = NULL;

    g_assert_false(truncate_blk(f->ctx, blk, BDRV_MAX_LENGTH,
                                PREALLOC_MODE_OFF, &err));
    g_assert_cmpstr(err->message, ==,
                    "Disk size too large for the chosen offset");
    test_backend_free(f->ctx, blk);
}

static void test_fixed_size_is_not_resized(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'size': 2048, 'file': " DISK "}");
    g_autoptr(GError) err = NULL;

    g_assert_false(truncate_blk(f->ctx, blk, 3000, PREALLOC_MODE_OFF, &err));
    g_assert_cmpstr(err->message, ==, "Cannot resize fixed-size raw disks");
    test_backend_free(f->ctx, blk);
}

static void test_reopen_moves_the_part(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'node-name': 'part', 'offset': 0, "
                                     "'size': 512, 'file': " DISK "}");
    TestDisk *disk = test_disk(blk_bs(blk));
    g_autoptr(GError) err = NULL;

    reopen_node(f->ctx, &err, "{'driver': 'raw', 'node-name': 'part', "
                "'offset': 4096, 'size': 1024, 'file': " DISK "}");
    g_assert_no_error(err);
    g_assert_cmpint(length_of(blk), ==, 1024);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 1, 0x5a), ==, 0);
    g_assert_cmphex(disk->data[4096], ==, 0x5a);

    g_assert_false(reopen_node(f->ctx, NULL, "{'driver': 'raw', "
                               "'node-name': 'part', 'offset': 70000, "
                               "'file': " DISK "}"));
    g_assert_cmpint(length_of(blk), ==, 1024);
    test_backend_free(f->ctx, blk);
}

/* Its length is that of the new file, and the part must lie in that one. */
static void test_reopen_on_another_file(Fixture *f, gconstpointer unused)
{
    BlockDriverState *small = open_node(f->ctx, NULL, "{'driver': 'raw', "
                                        "'node-name': 'small', 'size': 4096, "
                                        "'file': " DISK "}");
    BlockDriverState *large = open_node(f->ctx, NULL, "{'driver': 'null-co', "
                                        "'node-name': 'large'}");
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'node-name': 'part', 'offset': 512, "
                                     "'file': 'large'}");
    g_autoptr(GError) err = NULL;

    reopen_node(f->ctx, &err, "{'driver': 'raw', 'node-name': 'part', "
                "'offset': 512, 'file': 'small'}");
    g_assert_no_error(err);
    g_assert_cmpint(length_of(blk), ==, 4096 - 512);
    reopen_node(f->ctx, &err, "{'driver': 'raw', 'node-name': 'part', "
                "'offset': 8192, 'file': 'large'}");
    g_assert_no_error(err);
    g_assert_cmpint(length_of(blk), ==, TEST_DISK_SIZE - 8192);
    g_assert_false(reopen_node(f->ctx, &err, "{'driver': 'raw', "
                               "'node-name': 'part', 'offset': 8192, "
                               "'file': 'small'}"));
    g_assert_cmpstr(err->message, ==, "Offset (8192) cannot be greater than "
                    "size of the containing file (4096)");
    g_assert_cmpint(length_of(blk), ==, TEST_DISK_SIZE - 8192);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, large);
    test_unref(f->ctx, small);
}

typedef struct ReopenTwo {
    BlockdevOptionsList list[2];
    GError *err;
} ReopenTwo;

static void coroutine_fn reopen_two_entry(void *opaque)
{
    ReopenTwo *two = opaque;

    two->list[0].next = &two->list[1];
    bdrv_co_reopen_multiple(two->list, &two->err);
}

G_GNUC_PRINTF(1, 2)
static BlockdevOptions *options(const char *fmt, ...)
{
    BlockdevOptions *result;
    va_list ap;

    va_start(ap, fmt);
    result = options_from_json(fmt, ap);
    va_end(ap);
    return result;
}

/* Each of the changes would do no harm alone. */
static void test_reopen_in_a_circle(Fixture *f, gconstpointer unused)
{
    static const char raw[] = "{'driver': 'raw', 'node-name': '%s', "
                              "'file': '%s'}";
    BlockDriverState *disk = open_node(f->ctx, NULL, "{'driver': 'null-co', "
                                       "'node-name': 'disk'}");
    BlockDriverState *a = open_node(f->ctx, NULL, raw, "a", "disk");
    BlockDriverState *b = open_node(f->ctx, NULL, raw, "b", "disk");
    ReopenTwo two = {
        .list = {
            { .value = options(raw, "a", "b") },
            { .value = options(raw, "b", "a") },
        },
    };

    test_run(f->ctx, reopen_two_entry, &two);
    g_assert_cmpstr(two.err->message, ==,
                    "Making 'b' a child of 'a' would create a cycle");
    g_error_free(two.err);
    g_assert_true(a->file->bs == disk && b->file->bs == disk);
    qapi_free_BlockdevOptions(two.list[0].value);
    qapi_free_BlockdevOptions(two.list[1].value);
    test_unref(f->ctx, a);
    test_unref(f->ctx, b);
    test_unref(f->ctx, disk);
}

static void test_reopen_turns_a_chain_round(Fixture *f,
                                            gconstpointer unused)
{
    static const char raw[] = "{'driver': 'raw', 'node-name': '%s', "
                              "'file': '%s'}";
    BlockDriverState *disk = open_node(f->ctx, NULL, "{'driver': 'null-co', "
                                       "'node-name': 'disk'}");
    BlockDriverState *a = open_node(f->ctx, NULL, raw, "a", "disk");
    BlockDriverState *b = open_node(f->ctx, NULL, raw, "b", "a");
    BlockBackend *blk = test_backend(f->ctx, b);
    ReopenTwo two = {
        .list = {
            { .value = options(raw, "a", "b") },
            { .value = options(raw, "b", "disk") },
        },
    };

    test_run(f->ctx, reopen_two_entry, &two);
    g_assert_no_error(two.err);
    g_assert_true(a->file->bs == b && b->file->bs == disk);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);
    qapi_free_BlockdevOptions(two.list[0].value);
    qapi_free_BlockdevOptions(two.list[1].value);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, b);
    test_unref(f->ctx, a);
    test_unref(f->ctx, disk);
}

/* Probed: the first sector must not become another format's */

static BlockBackend *open_probed(Fixture *f)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'file': " DISK "}");

    blk_bs(blk)->probed = true;
    return blk;
}

/* Write @text at @offset. */
static int write_text(Fixture *f, BlockBackend *blk, int64_t offset,
                      const char *text)
{
    int ret = 0;

    for (size_t i = 0; text[i] && ret == 0; i++) {
        ret = test_write(f->ctx, blk, offset + i, 1, text[i]);
    }
    return ret;
}

static void test_probed_refuses_a_header(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_probed(f);
    TestDisk *disk = test_disk(blk_bs(blk));

    /* In pieces as well as in one */
    g_assert_cmpint(write_text(f, blk, 0, "QFI\xfb"), ==, -EPERM);
    g_assert_cmpmem(disk->data, 4, "QFI", 4);
    g_assert_cmpint(write_text(f, blk, 0, "KDMV"), ==, -EPERM);
    test_backend_free(f->ctx, blk);
}

static void test_probed_takes_other_data(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_probed(f);

    g_assert_cmpint(test_write(f->ctx, blk, 0, 4096, 0x5a), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 4096, 0x5a));
    g_assert_cmpint(write_text(f, blk, 512, "QFI\xfb"), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 0, 512, 0), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 512, 0));
    test_backend_free(f->ctx, blk);
}

/* What was probed begins elsewhere after a reopen. */
static void test_probed_at_an_offset(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'node-name': 'part', 'file': " DISK "}");
    TestDisk *disk = test_disk(blk_bs(blk));
    g_autoptr(GError) err = NULL;

    blk_bs(blk)->probed = true;
    reopen_node(f->ctx, &err, "{'driver': 'raw', 'node-name': 'part', "
                "'offset': 4096, 'file': " DISK "}");
    g_assert_no_error(err);
    g_assert_cmpint(test_write(f->ctx, blk, 1, 512, 0x5a), ==, 0);
    g_assert_cmphex(disk->data[1], ==, 0);
    g_assert_cmphex(disk->data[4097], ==, 0x5a);
    disk->data[1] = 0x11;
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 0, 512, 0), ==, 0);
    g_assert_cmphex(disk->data[1], ==, 0x11);
    g_assert_cmphex(disk->data[4097], ==, 0);
    g_assert_cmpint(write_text(f, blk, 0, "QFI\xfb"), ==, -EPERM);
    test_backend_free(f->ctx, blk);
}

static void test_unprobed_takes_a_header(Fixture *f, gconstpointer unused)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'raw', "
                                     "'file': " DISK "}");

    g_assert_cmpint(write_text(f, blk, 0, "QFI\xfb"), ==, 0);
    test_backend_free(f->ctx, blk);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer unused);
    } tests[] = {
        { "/driver/raw/whole", test_whole },
        { "/driver/raw/part", test_part },
        { "/driver/raw/part/beyond", test_part_beyond_the_end },
        { "/driver/raw/part/largest", test_largest_size },
        { "/driver/raw/part/resize", test_fixed_size_is_not_resized },
        { "/driver/raw/part/reopen", test_reopen_moves_the_part },
        { "/driver/raw/part/reopen-elsewhere", test_reopen_on_another_file },
        { "/driver/raw/part/reopen-circle", test_reopen_in_a_circle },
        { "/driver/raw/part/reopen-round", test_reopen_turns_a_chain_round },
        { "/driver/raw/probed/offset", test_probed_at_an_offset },
        { "/driver/raw/probed/header", test_probed_refuses_a_header },
        { "/driver/raw/probed/data", test_probed_takes_other_data },
        { "/driver/raw/explicit/header", test_unprobed_takes_a_header },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
