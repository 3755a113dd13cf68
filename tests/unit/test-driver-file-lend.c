/*
 * Data in memory that a reader takes instead of having it copied: which nodes
 * pass this on, and what is taken
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "driver-file-fixture.h"

#define LENGTH (1 * MiB)
#define CHUNK (64 * KiB)        /* what is known to be data is known by these */

#define FILE_NODE "{'driver': 'file', 'filename': '%s', 'discard': 'unmap', " \
                  "'node-name': 'file'}"

static uint8_t byte_at(int64_t offset)
{
    return 1 + (offset ^ offset >> 8) % 255;
}

/* A reader that takes at most @max bytes, and remembers what was offered */
typedef struct Reader {
    IOVector qiov;
    BlockBackend *blk;
    int64_t offset;
    BdrvRequestFlags flags;
    size_t max;
    size_t offered;
    int64_t offered_at;
    int ret;
} Reader;

static size_t take(const IOVector *qiov, int fd, int64_t offset)
{
    Reader *r = container_of((IOVector *)qiov, Reader, qiov);

    r->offered = qiov->size;
    r->offered_at = offset;
    return MIN(r->max, qiov->size);
}

static void coroutine_fn read_entry(void *opaque)
{
    Reader *r = opaque;

    r->ret = blk_co_preadv(r->blk, r->offset, r->qiov.size, &r->qiov,
                           r->flags);
}

/* Read; what was not taken is the data, what was is left alone. */
static void read_taking(Fixture *f, BlockBackend *blk, Reader *r,
                        int64_t offset, size_t bytes, int64_t file_offset)
{
    g_autofree uint8_t *buf = g_malloc0(bytes);
    size_t taken;

    r->blk = blk;
    r->offset = offset;
    r->flags = BDRV_REQ_LEND;
    iov_init_buf(&r->qiov, buf, bytes);
    r->qiov.take = take;
    r->offered = 0;
    test_run(f->ctx, read_entry, r);
    g_assert_cmpint(r->ret, ==, 0);
    taken = MIN(r->max, r->offered);
    for (size_t i = 0; i < bytes; i++) {
        g_assert_cmphex(buf[i], ==,
                        i < taken ? 0 : byte_at(file_offset + i));
    }
}

/* Full of data, which are known to be there after having been read */
static BlockBackend *open_over_file(Fixture *f, const char *format)
{
    g_autofree uint8_t *buf = g_malloc(LENGTH);
    g_autofree char *file = g_strdup_printf(FILE_NODE, f->path);
    BlockBackend *blk;

    for (int64_t i = 0; i < LENGTH; i++) {
        buf[i] = byte_at(i);
    }
    g_assert_true(g_file_set_contents(f->path, (char *)buf, LENGTH, NULL));
    blk = open_backend(f->ctx, format, file);
    for (int i = 0; i < 20; i++) {
        g_assert_cmpint(test_read(f->ctx, blk, 0, length_of(blk), buf), ==, 0);
    }
    return blk;
}

typedef struct Stack {
    const char *path;
    const char *format;
    int64_t file_offset;
    bool passes;
} Stack;

static const Stack stacks[] = {
    { "file", "%s", 0, true },
    { "raw", "{'driver': 'raw', 'file': %s}", 0, true },
    { "part", "{'driver': 'raw', 'offset': 4096, 'file': %s}", 4096, true },
    { "blkdebug", "{'driver': 'blkdebug', 'image': %s}", 0, false },
    { "colo-buffer", "{'driver': 'colo-buffer', 'backing': %s}", 0, false },
    { "quorum", "{'driver': 'quorum', 'vote-threshold': 1, "
      "'children': [%s]}", 0, false },
    { "below-a-filter", "{'driver': 'raw', 'file': {'driver': 'blkdebug', "
      "'image': %s}}", 0, false },
};

static void test_stack(Fixture *f, const Stack *stack)
{
    BlockBackend *blk = open_over_file(f, stack->format);
    Reader r = { .max = 100000 };

    read_taking(f, blk, &r, 2 * CHUNK, 3 * CHUNK,
                2 * CHUNK + stack->file_offset);
    if (stack->passes) {
        g_assert_cmpuint(r.offered, ==, 3 * CHUNK);
        g_assert_cmpint(r.offered_at, ==, 2 * CHUNK + stack->file_offset);
    } else {
        g_assert_cmpuint(r.offered, ==, 0);
    }
    test_backend_free(f->ctx, blk);
}

static void test_stacks(Fixture *f, gconstpointer dir)
{
    for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
        g_test_message("%s", stacks[i].path);
        test_stack(f, &stacks[i]);
    }
}

static void test_all_is_taken(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_over_file(f, "%s");
    Reader r = { .max = SIZE_MAX };

    read_taking(f, blk, &r, 1000, 200000, 1000);
    g_assert_cmpuint(r.offered, ==, 200000);
    g_assert_cmpint(r.offered_at, ==, 1000);
    test_backend_free(f->ctx, blk);
}

static void test_nobody_takes_without_the_flag(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_over_file(f, "%s");
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    Reader r = { .blk = blk, .max = SIZE_MAX };

    iov_init_buf(&r.qiov, buf, CHUNK);
    r.qiov.take = take;
    test_run(f->ctx, read_entry, &r);
    g_assert_cmpuint(r.offered, ==, 0);
    test_backend_free(f->ctx, blk);
}

static void test_holes_are_not_lent(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_over_file(f, "%s");
    g_autofree uint8_t *buf = g_malloc(4 * CHUNK);
    Reader r = { .blk = blk, .offset = 0, .flags = BDRV_REQ_LEND,
                 .max = SIZE_MAX };

    g_assert_cmpint(test_simple(f->ctx, blk, TEST_DISCARD, 2 * CHUNK, CHUNK,
                                0), ==, 0);
    iov_init_buf(&r.qiov, buf, 4 * CHUNK);
    r.qiov.take = take;
    test_run(f->ctx, read_entry, &r);
    g_assert_cmpint(r.ret, ==, 0);
    g_assert_cmpuint(r.offered, ==, 0);
    g_assert_true(buffer_is_zero(buf + 2 * CHUNK, CHUNK));
    read_taking(f, blk, &r, 0, 2 * CHUNK, 0);
    g_assert_cmpuint(r.offered, ==, 2 * CHUNK);
    test_backend_free(f->ctx, blk);
}

/* Reading a file on a disk may take its time. */
static void test_only_memory_is_lent(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;
    Reader r = { .max = SIZE_MAX };
    struct statfs fs;

    g_assert_cmpint(statfs(dir, &fs), ==, 0);
    if (fs.f_type == TMPFS_MAGIC) {
        g_test_skip("needs a folder on a disk");
        return;
    }
    blk = open_over_file(f, "%s");
    read_taking(f, blk, &r, 0, 4 * CHUNK, 0);
    g_assert_cmpuint(r.offered, ==, 0);
    test_backend_free(f->ctx, blk);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer dir);
        const char *dir;
    } tests[] = {
        { "stacks", test_stacks, "/dev/shm" },
        { "all", test_all_is_taken, "/dev/shm" },
        { "no-flag", test_nobody_takes_without_the_flag, "/dev/shm" },
        { "holes", test_holes_are_not_lent, "/dev/shm" },
        { "disk", test_only_memory_is_lent, "/var/tmp" },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/driver-file/lend/%s",
                                                tests[i].path);

        g_test_add(path, Fixture, tests[i].dir, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
