/*
 * colo-buffer: view, before-images, checkpoint, full layers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "colo-buffer-fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "block/drivers/colo-buffer/colo-buffer-int.h"

#define SECTORS (TEST_DISK_SIZE / 512)

static void coroutine_fn checkpoint_entry(void *opaque)
{
    Fixture *f = opaque;

    g_assert_true(f->ops->prepare_checkpoint(f->bs, NULL));
    f->ops->do_checkpoint(f->bs);
}

static void checkpoint(Fixture *f)
{
    test_run(f->ctx, checkpoint_entry, f);
    test_settle(f->ctx);
}

static void test_isolation_and_checkpoint(Fixture *f, gconstpointer data)
{
    forward(f, 4096, 4096, 0x22);
    g_assert_cmphex(f->disk->data[4096], ==, 0x22);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x11);
    test_write(f->ctx, f->blk, 8192, 512, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x33);

    checkpoint(f);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x22);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    g_assert_cmpint(usage(f).active_bytes + usage(f).hidden_bytes, ==, 0);
}

static void test_abort_leaves_everything(Fixture *f, gconstpointer data)
{
    forward(f, 0, 512, 0x22);
    f->ops->prepare_checkpoint(f->bs, NULL);
    f->ops->abort_checkpoint(f->bs);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    checkpoint(f);
    g_assert_cmphex(view_byte(f, 0), ==, 0x22);
}

static void test_copies_exactly_what_is_needed(Fixture *f, gconstpointer data)
{
    forward(f, 512, 1024, 0x22);
    g_assert_cmpint(f->disk->max_bytes, ==, 1024);
    g_assert_cmpint(usage(f).hidden_bytes, ==, 1024);
    g_assert_cmpuint(f->disk->reads, ==, 1);

    /* Held already: not read again; next to it only the rest is. */
    forward(f, 1024, 512, 0x23);
    g_assert_cmpuint(f->disk->reads, ==, 1);
    forward(f, 0, 4096, 0x24);
    g_assert_cmpint(usage(f).hidden_bytes, ==, 4096);
    g_assert_cmpuint(f->disk->reads, ==, 3);
    g_assert_cmphex(view_byte(f, 600), ==, 0x11);
}

static void test_failed_before_image_leaves_disk(Fixture *f,
                                                 gconstpointer data)
{
    f->disk->fail_read = EIO;
    g_assert_cmpint(forward(f, 0, 512, 0x22), ==, -EIO);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmpuint(f->errors, ==, 1);
    f->disk->fail_read = 0;
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
}

static void test_read_waits_for_a_forward_in_between(Fixture *f,
                                                     gconstpointer data)
{
    Forward fwd = { .f = f, .bytes = 4096, .pattern = 0x22 };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 4096 };

    f->disk->hold = true;
    forward_start(&fwd);                /* reads its before-image */
    test_request_start(f->ctx, &read);
    g_assert_cmpint(read.ret, ==, 1);
    test_disk_release(f->disk_bs);
    while (fwd.ret == 1 || read.ret == 1) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmphex(read.buf[0], ==, 0x11);
    test_request_finish(f->ctx, &read);
}

static void test_forward_waits_for_a_read_in_between(Fixture *f,
                                                     gconstpointer data)
{
    Forward fwd = { .f = f, .bytes = 4096, .pattern = 0x22 };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 4096 };

    f->disk->hold = true;
    test_request_start(f->ctx, &read);
    forward_start(&fwd);
    g_assert_cmpuint(f->disk->reads, ==, 1);
    test_disk_release(f->disk_bs);
    while (fwd.ret == 1 || read.ret == 1) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmphex(read.buf[0], ==, 0x11);
    test_request_finish(f->ctx, &read);
}

/* Random operations against a model */

#define PARALLEL 4

static void test_random_model(Fixture *f, gconstpointer data)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    g_autofree uint8_t *view = g_malloc(TEST_DISK_SIZE);
    g_autofree uint8_t *disk = g_malloc(TEST_DISK_SIZE);

    memset(view, 0x11, TEST_DISK_SIZE);
    memset(disk, 0x11, TEST_DISK_SIZE);
    for (int round = 0; round < 3000; round++) {
        Forward fwd[PARALLEL];

        /*
         * Forwards that overlap in flight take effect in the order of
         * arrival; a read in between must see nothing of them.
         */
        f->disk->hold = true;
        for (int i = 0; i < PARALLEL; i++) {
            int64_t start = g_rand_int_range(rand, 0, SECTORS);
            int64_t n = g_rand_int_range(rand, 1, 24);

            n = MIN(n, SECTORS - start);
            fwd[i] = (Forward) {
                .f = f, .offset = start * 512, .bytes = n * 512,
                .pattern = g_rand_int(rand),
            };
            forward_start(&fwd[i]);
            memset(disk + start * 512, fwd[i].pattern, n * 512);
        }
        if (g_rand_boolean(rand)) {
            int64_t start = g_rand_int_range(rand, 0, TEST_DISK_SIZE - 3000);
            int64_t n = g_rand_int_range(rand, 1, 3000);
            uint8_t pattern = g_rand_int(rand);
            TestRequest own = {
                .blk = f->blk, .type = TEST_WRITE, .offset = start,
                .bytes = n, .pattern = pattern,
            };

            test_request_start(f->ctx, &own);
            test_disk_release(f->disk_bs);
            g_assert_cmpint(test_request_finish(f->ctx, &own), ==, 0);
            memset(view + start, pattern, n);
        }
        test_disk_release(f->disk_bs);
        assert_view(f, view);
        for (int i = 0; i < PARALLEL; i++) {
            while (fwd[i].ret == 1) {
                aio_poll(f->ctx, true);
            }
            g_assert_cmpint(fwd[i].ret, ==, 0);
        }
        g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, disk, TEST_DISK_SIZE);
        if (g_rand_int_range(rand, 0, 10) == 0) {
            checkpoint(f);
            memcpy(view, disk, TEST_DISK_SIZE);
        }
    }

    f->ops->begin_merge(f->bs);
    {
        MergeCall merge = { .f = f };

        merge_start(&merge);
        merge_finish(&merge);
    }
    g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, view, TEST_DISK_SIZE);
}

static void test_high_mark_once_per_epoch(Fixture *f, gconstpointer data)
{
    /* A layer takes a chunk, however little it holds. */
    ((ColoBuffer *)f->bs->opaque)->high_bytes = 2 * ARENA_CHUNK_SIZE;
    forward(f, 0, 4096, 1);
    forward(f, 4096, 8192, 1);
    g_assert_cmpuint(f->marks, ==, 0);
    test_write(f->ctx, f->blk, 0, 512, 1);
    test_write(f->ctx, f->blk, 8192, 512, 1);
    g_assert_cmpuint(f->marks, ==, 1);
    g_assert_true(usage(f).high);
    g_assert_cmpint(usage(f).used_bytes, ==, 2 * ARENA_CHUNK_SIZE);
    checkpoint(f);
    g_assert_false(usage(f).high);
    forward(f, 0, 8192, 2);
    test_write(f->ctx, f->blk, 0, 512, 2);
    g_assert_cmpuint(f->marks, ==, 2);
}

static void test_full_layers_leave_the_disk(Fixture *f, gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;

    st->max_memory_chunks = 0;
    g_assert_cmpint(forward(f, 0, 512, 0x22), ==, -ENOSPC);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmpint(f->last_error, ==, -ENOSPC);
}

/* The guest's error and nobody else's: nothing has diverged. */
static void test_full_layers_fail_own_writes(Fixture *f, gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;
    unsigned chunks = st->max_memory_chunks;

    st->max_memory_chunks = 0;
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, -ENOSPC);
    g_assert_cmpint(f->last_error, ==, 0);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    st->max_memory_chunks = chunks;
    checkpoint(f);
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, 0);
}

/* Without them replication can go on, without a forward it cannot. */
static void test_own_writes_leave_the_reserve(Fixture *f, gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;

    st->max_memory_chunks = 12;
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, -ENOSPC);
    g_assert_cmpint(forward(f, 0, 512, 0x22), ==, 0);
    g_assert_cmpint(f->last_error, ==, 0);
    st->max_memory_chunks = 13;
    checkpoint(f);
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 1), ==, 0);
}

/* A spill file on a full file system */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = bytes;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* All of the layers in a file. */
static void setup_spilled(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = g_dir_make_tmp("colo-buffer-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "spill", NULL);

    Storage *st;

    signal(SIGXFSZ, SIG_IGN);
    open_fixture(f, file);
    rmdir(dir);
    st = &((ColoBuffer *)f->bs->opaque)->storage;
    st->max_memory_chunks = 0;
    st->max_spill_chunks = 20;
}

static void teardown_spilled(Fixture *f, gconstpointer data)
{
    limit_file_size(RLIM_INFINITY);
    teardown(f, data);
    signal(SIGXFSZ, SIG_DFL);
}

static void test_full_spill_file_keeps_the_view(Fixture *f,
                                                gconstpointer data)
{
    MergeCall merge = { .f = f };

    g_assert_cmpint(forward(f, 0, 4096, 0x22), ==, 0);
    g_assert_cmpint(test_write(f->ctx, f->blk, 4096, 512, 0x33), ==, 0);
    g_assert_cmpuint(f->errors, ==, 0);
    limit_file_size(COLO_BLOCK_SIZE);

    /* Neither a before-image fits any more nor, its own error, an own write. */
    g_assert_cmpint(forward(f, 8192, 4096, 0x22), ==, -EFBIG);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmpint(test_write(f->ctx, f->blk, 12288, 512, 0x33), ==, -EFBIG);
    g_assert_cmpuint(f->errors, ==, 1);
    g_assert_cmpint(f->last_error, ==, -EFBIG);
    g_assert_cmphex(view_byte(f, 0), ==, 0x11);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x33);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    g_assert_cmphex(view_byte(f, 12288), ==, 0x11);

    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmphex(f->disk->data[4096], ==, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmphex(f->disk->data[12288], ==, 0x11);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/colo-buffer/isolation", test_isolation_and_checkpoint },
        { "/colo-buffer/abort", test_abort_leaves_everything },
        { "/colo-buffer/copy/exact", test_copies_exactly_what_is_needed },
        { "/colo-buffer/copy/failed", test_failed_before_image_leaves_disk },
        { "/colo-buffer/read-in-forward",
          test_read_waits_for_a_forward_in_between },
        { "/colo-buffer/forward-in-read",
          test_forward_waits_for_a_read_in_between },
        { "/colo-buffer/random", test_random_model },
        { "/colo-buffer/high-mark", test_high_mark_once_per_epoch },
        { "/colo-buffer/full", test_full_layers_leave_the_disk },
        { "/colo-buffer/full-own", test_full_layers_fail_own_writes },
        { "/colo-buffer/reserve", test_own_writes_leave_the_reserve },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add("/colo-buffer/full-spill", Fixture, NULL, setup_spilled,
               test_full_spill_file_keeps_the_view, teardown_spilled);
    return g_test_run();
}
