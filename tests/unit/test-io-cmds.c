/*
 * qemu-io's commands: arguments, output, permissions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "../../block/io-cmds/io-cmds-int.h"

#include <malloc.h>
#ifdef CONFIG_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

#include "block-helpers.h"
#include "util/aio.h"

/* This stands before the C library's. */
static bool no_memory;

int posix_memalign(void **mem, size_t align, size_t bytes)
{
    *mem = no_memory ? NULL : memalign(align, bytes);
    return *mem ? 0 : ENOMEM;
}

typedef struct Fixture {
    AioContext *ctx;
    BlockDriverState *bs;
    BlockBackend *blk;
    const char *line;
    char *out;
} Fixture;

static void coroutine_fn attach(void *opaque)
{
    Fixture *f = opaque;

    f->blk = blk_new(0, BLK_PERM_ALL);
    g_assert_true(blk_co_insert_bs(f->blk, f->bs, NULL));
}

static void coroutine_fn detach(void *opaque)
{
    blk_co_unref(opaque);
}

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = test_block_begin();
    f->bs = test_open_disk(f->ctx, "disk");
    test_run(f->ctx, attach, f);
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_run(f->ctx, detach, f->blk);
    test_unref(f->ctx, f->bs);
    test_block_end(f->ctx);
    g_free(f->out);
}

static void coroutine_fn run_line(void *opaque)
{
    Fixture *f = opaque;
    GString *out = g_string_new(NULL);

    io_cmd_run(f->blk, f->line, out);
    f->out = g_string_free(out, FALSE);
}

static const char *run(Fixture *f, const char *line)
{
    f->line = line;
    g_clear_pointer(&f->out, g_free);
    test_run(f->ctx, run_line, f);
    return f->out;
}

/* What @line prints, up to the time that it took. */
static void check(Fixture *f, const char *line, const char *expected)
{
    char *time;

    run(f, line);
    time = strstr(f->out, " ops; ");
    if (time) {
        time[strlen(" ops;")] = '\0';
    }
    if (!g_str_equal(f->out, expected)) {
        g_test_message("'%s' printed '%s'", line, f->out);
        g_test_fail();
    }
}

static void test_write_is_read_back(Fixture *f, gconstpointer data)
{
    check(f, "write -P 0xa 512 1k", "wrote 1024/1024 bytes at offset 512\n"
          "1 KiB, 1 ops;");
    g_assert_cmphex(test_disk(f->bs)->data[511], ==, 0);
    g_assert_cmphex(test_disk(f->bs)->data[512], ==, 0xa);
    g_assert_cmphex(test_disk(f->bs)->data[1535], ==, 0xa);
    check(f, "read -P 10 512 1k", "read 1024/1024 bytes at offset 512\n"
          "1 KiB, 1 ops;");
}

static void test_output(Fixture *f, gconstpointer data)
{
    static const char *const rows[][2] = {
        { "write -q -P 0x41 0 20", "" },
        { "read -q -P 0x42 0 20",
          "Pattern verification failed at offset 0, 20 bytes\n" },
        { "read -q -P 0x41 -s 4 -l 16 0 512", "" },
        { "read -q -P 0x41 -s 8 0 512",
          "Pattern verification failed at offset 8, 504 bytes\n" },
        { "read -v 16 8",
          "00000010:  41 41 41 41 00 00 00 00  AAAA....\n"
          "read 8/8 bytes at offset 16\n8 bytes, 1 ops;" },
        { "writev -P 1 0 512 512", "wrote 1024/1024 bytes at offset 0\n"
          "1 KiB, 1 ops;" },
        { "readv -P 1 0 512 512", "read 1024/1024 bytes at offset 0\n"
          "1 KiB, 1 ops;" },
        { "write -z -u -f 0 4k", "wrote 4096/4096 bytes at offset 0\n"
          "4 KiB, 1 ops;" },
        { "discard 0 64k", "discard 65536/65536 bytes at offset 0\n"
          "64 KiB, 1 ops;" },
        { "aio_write -P 3 0 512", "wrote 512/512 bytes at offset 0\n"
          "512 bytes, 1 ops;" },
        { "aio_flush", "" },
        { "flush", "" },
        { "length", "64 KiB\n" },
        { "map", "64 KiB (0x10000) bytes     allocated at offset 0 bytes "
          "(0x0)\n" },
        { "alloc 0 4k", "4096/4096 bytes allocated at offset 0 bytes\n" },
        { "help flush",
          "flush  -- flush all in-core file state to disk\n" },

        { "", "" },
        { "foo", "command \"foo\" not found\n" },
        { "read", "bad argument count 0 to read, expected at least 2 "
          "arguments\n" },
        { "discard 0 1 2", "discard [-Cq] off len -- discards a number of "
          "bytes at a specified offset\n" },
        { "readv 0", "bad argument count 1 to readv, expected at least 2 "
          "arguments\n" },
        { "alloc 1 2 3", "bad argument count 3 to alloc, expected between 1 "
          "and 2 arguments\n" },
        { "read x 5", "Parsing error: non-numeric argument, or "
          "extraneous/unrecognized suffix -- x\n" },
        { "read 0 8E", "Parsing error: argument too large -- 8E\n" },
        { "write -P 300 0 512", "300 is not a valid pattern byte\n" },
        { "read -P 1 -s 600 0 512", "pattern verification range exceeds end "
          "of read data\n" },
        { "write -z -P 4 0 512", "Only one of -z, -P, and -s can be specified "
          "at the same time\n" },
        { "write -u 0 512", "-u requires -z to be specified\n" },
        { "write -n 0 512", "-n requires -z to be specified\n" },
        { "write -c 0 512", "write failed: Operation not supported\n" },
        { "read -b 0 512", "read failed: Operation not supported\n" },
        { "write -b 0 512", "write failed: Operation not supported\n" },
        { "read 64k 512", "read failed: Input/output error\n" },
        { "resume t", "Could not resume request: Operation not supported\n" },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        check(f, rows[i][0], rows[i][1]);
    }
}

static void test_unknown_option_shows_usage(Fixture *f, gconstpointer data)
{
    check(f, "flush -x", "flush: invalid option -- 'x'\n"
          "flush  -- flush all in-core file state to disk\n");
}

static void test_machine_format(Fixture *f, gconstpointer data)
{
    run(f, "read -C 0 512");
    g_assert_true(g_str_has_prefix(f->out, "512,1,0:00:00.00,"));
}

static void test_failed_request_says_why(Fixture *f, gconstpointer data)
{
    test_disk(f->bs)->fail_write = ENOSPC;
    check(f, "write 0 512", "write failed: No space left on device\n");
}

static void test_request_without_memory(Fixture *f, gconstpointer data)
{
#ifdef CONFIG_VALGRIND_H
    if (RUNNING_ON_VALGRIND) {
        g_test_skip("valgrind gives out the memory");
        return;
    }
#endif
    no_memory = true;
    check(f, "write 0 512", "cannot allocate the buffer\n");
    no_memory = false;
    g_assert_cmpuint(test_disk(f->bs)->writes, ==, 0);
}

static void test_fua_reaches_the_disk(Fixture *f, gconstpointer data)
{
    unsigned flushes = test_disk(f->bs)->flushes;

    run(f, "write -f 0 512");
    g_assert_true(test_disk(f->bs)->flushes > flushes ||
                  (test_disk(f->bs)->last_flags & BDRV_REQ_FUA));
}

static void test_permissions_are_lent(Fixture *f, gconstpointer data)
{
    uint64_t perm, shared;

    run(f, "write 0 512");
    blk_get_perm(f->blk, &perm, &shared);
    g_assert_cmphex(perm, ==, 0);
    g_assert_cmphex(shared, ==, BLK_PERM_ALL);
}

static void test_background_text_comes_later(Fixture *f, gconstpointer data)
{
    uint64_t perm, shared;

    test_disk(f->bs)->hold = true;
    check(f, "aio_write 0 512", "");
    blk_get_perm(f->blk, &perm, &shared);
    g_assert_cmphex(perm, ==, BLK_PERM_WRITE);

    test_disk(f->bs)->hold = false;
    test_disk_release(f->bs);
    test_settle(f->ctx);
    check(f, "length", "64 KiB\nwrote 512/512 bytes at offset 0\n"
          "512 bytes, 1 ops;");
    blk_get_perm(f->blk, &perm, &shared);
    g_assert_cmphex(perm, ==, 0);
}

static void test_invalid_request_is_counted(Fixture *f, gconstpointer data)
{
    check(f, "aio_read -i 0 512", "");
    g_assert_cmpuint(blk_stats(f->blk)->invalid_ops[BLOCK_ACCT_READ], ==, 1);
    g_assert_cmpuint(test_disk(f->bs)->reads, ==, 0);
}

static void test_sizes_for_people(Fixture *f, gconstpointer data)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0, "0 bytes" }, { 512, "512 bytes" }, { 1023, "1023 bytes" },
        { 1024, "1 KiB" }, { 1536, "1.500 KiB" }, { 353.081578,
          "353.081578 bytes" }, { 1048576, "1 MiB" },
        { 9762242.56, "9.310 MiB" }, { 1099511627776.0, "1 TiB" },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *text = io_format_size(rows[i].value);

        g_assert_cmpstr(text, ==, rows[i].text);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/io-cmds/write-read", test_write_is_read_back },
        { "/io-cmds/output", test_output },
        { "/io-cmds/usage", test_unknown_option_shows_usage },
        { "/io-cmds/machine", test_machine_format },
        { "/io-cmds/failure", test_failed_request_says_why },
        { "/io-cmds/no-memory", test_request_without_memory },
        { "/io-cmds/fua", test_fua_reaches_the_disk },
        { "/io-cmds/permissions", test_permissions_are_lent },
        { "/io-cmds/background", test_background_text_comes_later },
        { "/io-cmds/invalid", test_invalid_request_is_counted },
        { "/io-cmds/sizes", test_sizes_for_people },
    };
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
