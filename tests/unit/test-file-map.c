/*
 * util/file-map.c: a mapped file is what it is by system calls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-map.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHUNK (64 * KiB)

typedef struct Fixture {
    AioContext *ctx;
    FileEngine *engine;
    FileHandle file;            /* in memory, through the mapping */
    int fd;
    bool done;
} Fixture;

static void fixture_open(Fixture *f, off_t length)
{
    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    f->engine = file_engine_get(FILE_ENGINE_THREADS, NULL);
    f->fd = memfd_create("disk", MFD_CLOEXEC);
    g_assert_cmpint(f->fd, >=, 0);
    g_assert_cmpint(ftruncate(f->fd, length), ==, 0);
    file_handle_init(&f->file, f->fd, true);
    g_assert_true(f->file.tmpfs);
}

static void fixture_close(Fixture *f)
{
    file_handle_destroy(&f->file);
    close(f->fd);
    aio_context_free(f->ctx);
}

typedef struct Transfer {
    Fixture *f;
    FileOp op;
    int64_t offset;
    void *buf;
    size_t bytes;
    int ret;
} Transfer;

static void coroutine_fn transfer_entry(void *opaque)
{
    Transfer *t = opaque;
    FileHandle *file = &t->f->file;
    IOVector qiov;

    iov_init_buf(&qiov, t->buf, t->bytes);
    switch (t->op) {
    case FILE_OP_READ:
        t->ret = file_engine_co_preadv(t->f->engine, file, t->offset, &qiov);
        break;
    case FILE_OP_WRITE:
        t->ret = file_engine_co_pwritev(t->f->engine, file, t->offset, &qiov,
                                        0);
        break;
    default:
        t->ret = file_engine_co_fallocate(t->f->engine, file,
                                          FALLOC_FL_PUNCH_HOLE |
                                          FALLOC_FL_KEEP_SIZE, t->offset,
                                          (int64_t)t->bytes);
        break;
    }
    t->f->done = true;
}

static void transfer(Fixture *f, FileOp op, int64_t offset, void *buf,
                     size_t bytes)
{
    Transfer t = {
        .f = f, .op = op, .offset = offset, .buf = buf, .bytes = bytes,
    };

    f->done = false;
    coroutine_start(transfer_entry, &t);
    while (!f->done) {
        aio_poll(f->ctx, true);
    }
    g_assert_cmpint(t.ret, ==, 0);
}

/* Whether the mapping alone can read there. */
static bool is_mapped(Fixture *f, int64_t offset, size_t bytes)
{
    g_autofree char *buf = g_malloc(bytes);
    struct iovec iov = { .iov_base = buf, .iov_len = bytes };
    FileRequest req = {
        .op = FILE_OP_READ, .iov = &iov, .niov = 1, .offset = offset,
    };
    ssize_t ret;

    return file_map_transfer(f->file.map, &req, &ret);
}

static int64_t allocated(Fixture *f)
{
    struct stat st;

    g_assert_cmpint(fstat(f->fd, &st), ==, 0);
    return (int64_t)st.st_blocks * 512;
}

static void fill(Fixture *f, int64_t offset, int64_t bytes, char value)
{
    g_autofree char *buf = g_malloc(bytes);

    memset(buf, value, bytes);
    g_assert_cmpint(pwrite(f->fd, buf, bytes, offset), ==, bytes);
}

static void assert_all(const char *buf, size_t bytes, char value)
{
    for (size_t i = 0; i < bytes; i++) {
        g_assert_cmpint(buf[i], ==, value);
    }
}

/* What is data is used through the mapping from its second request on. */
static void test_data_is_mapped(void)
{
    Fixture f;
    char buf[512];

    fixture_open(&f, 4 * CHUNK);
    fill(&f, 0, 4 * CHUNK, 'a');
    g_assert_false(is_mapped(&f, CHUNK, CHUNK));

    transfer(&f, FILE_OP_READ, CHUNK + 512, buf, sizeof(buf));
    assert_all(buf, sizeof(buf), 'a');
    g_assert_true(is_mapped(&f, CHUNK, CHUNK));
    g_assert_false(is_mapped(&f, 0, CHUNK));
    g_assert_false(is_mapped(&f, CHUNK, CHUNK + 1));

    memset(buf, 'b', sizeof(buf));
    transfer(&f, FILE_OP_WRITE, 2 * CHUNK - 512, buf, sizeof(buf));
    memset(buf, 0, sizeof(buf));
    g_assert_cmpint(pread(f.fd, buf, 512, 2 * CHUNK - 512), ==, 512);
    assert_all(buf, sizeof(buf), 'b');
    fixture_close(&f);
}

/* Reading a hole, however often, allocates nothing. */
static void test_hole_stays_a_hole(void)
{
    g_autofree char *buf = g_malloc(2 * CHUNK);
    Fixture f;

    fixture_open(&f, 4 * CHUNK);
    fill(&f, CHUNK, 4096, 'a');
    for (int i = 0; i < 100; i++) {
        transfer(&f, FILE_OP_READ, CHUNK, buf, 2 * CHUNK);
    }
    assert_all(buf, 4096, 'a');
    assert_all(buf + 4096, 2 * CHUNK - 4096, 0);
    g_assert_false(is_mapped(&f, CHUNK, 512));
    g_assert_cmpint(allocated(&f), ==, 4096);
    fixture_close(&f);
}

/* A chunk that was filled bit by bit is found out in the end. */
static void test_filled_hole_is_mapped(void)
{
    char buf[4096];
    Fixture f;

    fixture_open(&f, CHUNK);
    memset(buf, 'a', sizeof(buf));
    for (int i = 0; i < 4; i++) {
        for (int64_t at = 0; at < CHUNK; at += 4096) {
            transfer(&f, FILE_OP_WRITE, at, buf, sizeof(buf));
        }
    }
    g_assert_true(is_mapped(&f, 0, CHUNK));
    fixture_close(&f);
}

/* A chunk that was filled in one go is used at once. */
static void test_overwritten_hole_is_mapped(void)
{
    g_autofree char *buf = g_malloc0(CHUNK);
    Fixture f;

    fixture_open(&f, 2 * CHUNK);
    transfer(&f, FILE_OP_READ, 0, buf, 512);
    transfer(&f, FILE_OP_WRITE, 0, buf, CHUNK);
    g_assert_true(is_mapped(&f, 0, CHUNK));
    fixture_close(&f);
}

/* A hole made in what was mapped is one: zeroes, and no space. */
static void test_punched_hole_is_not_mapped(void)
{
    g_autofree char *buf = g_malloc(CHUNK);
    Fixture f;

    fixture_open(&f, 4 * CHUNK);
    fill(&f, 0, 4 * CHUNK, 'a');
    for (int64_t at = 0; at < 4 * CHUNK; at += CHUNK) {
        transfer(&f, FILE_OP_READ, at, buf, 512);
    }
    g_assert_true(is_mapped(&f, 0, 4 * CHUNK));

    transfer(&f, FILE_OP_FALLOCATE, CHUNK + 4096, NULL, CHUNK);
    g_assert_true(is_mapped(&f, 0, CHUNK));
    g_assert_false(is_mapped(&f, CHUNK, 512));
    g_assert_false(is_mapped(&f, 2 * CHUNK, 512));
    g_assert_true(is_mapped(&f, 3 * CHUNK, CHUNK));
    for (int i = 0; i < 100; i++) {
        transfer(&f, FILE_OP_READ, CHUNK + 4096, buf, CHUNK);
    }
    assert_all(buf, CHUNK, 0);
    g_assert_cmpint(allocated(&f), ==, 3 * CHUNK);
    fixture_close(&f);
}

/* The mapping follows a file that grows, and keeps what it knew. */
static void test_growth_is_followed(void)
{
    g_autofree char *buf = g_malloc0(CHUNK);
    Fixture f;

    fixture_open(&f, CHUNK);
    fill(&f, 0, CHUNK, 'a');
    transfer(&f, FILE_OP_READ, 0, buf, 512);
    for (int64_t at = CHUNK; at < 64 * CHUNK; at += CHUNK) {
        transfer(&f, FILE_OP_WRITE, at, buf, CHUNK);
    }
    g_assert_true(is_mapped(&f, 0, CHUNK));
    transfer(&f, FILE_OP_READ, 40 * CHUNK, buf, 512);
    transfer(&f, FILE_OP_READ, 40 * CHUNK, buf, 512);
    g_assert_true(is_mapped(&f, 40 * CHUNK, CHUNK));
    fixture_close(&f);
}

/* Somebody else cut the file: what the system calls say, and no crash. */
static void test_file_cut_by_others(void)
{
    g_autofree char *buf = g_malloc(CHUNK);
    struct stat st;
    Fixture f;

    fixture_open(&f, 2 * CHUNK);
    fill(&f, 0, 2 * CHUNK, 'a');
    transfer(&f, FILE_OP_READ, 0, buf, 2 * 512);
    transfer(&f, FILE_OP_READ, CHUNK, buf, 512);
    g_assert_true(is_mapped(&f, 0, 2 * CHUNK));

    g_assert_cmpint(ftruncate(f.fd, CHUNK + 4096), ==, 0);
    transfer(&f, FILE_OP_READ, CHUNK, buf, CHUNK);
    assert_all(buf, 4096, 'a');
    assert_all(buf + 4096, CHUNK - 4096, 0);
    g_assert_false(is_mapped(&f, CHUNK, 512));

    g_assert_cmpint(ftruncate(f.fd, 0), ==, 0);
    memset(buf, 'b', CHUNK);
    transfer(&f, FILE_OP_WRITE, 0, buf, CHUNK);
    g_assert_cmpint(fstat(f.fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, CHUNK);
    memset(buf, 0, CHUNK);
    g_assert_cmpint(pread(f.fd, buf, CHUNK, 0), ==, CHUNK);
    assert_all(buf, CHUNK, 'b');
    fixture_close(&f);
}

/* A fault that no request of ours makes still ends the program. */
static void test_other_faults_are_fatal(void)
{
    pid_t child;
    int status;

    child = fork();
    if (child == 0) {
        Fixture f;
        volatile char *mapped;

        signal(SIGBUS, SIG_DFL);
        fixture_open(&f, 0);
        mapped = mmap(NULL, CHUNK, PROT_READ, MAP_SHARED, f.fd, 0);
        _exit(mapped[0]);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status));
    g_assert_cmpint(WTERMSIG(status), ==, SIGBUS);
}

/* Anything at random against a copy in plain memory. */
static void test_random(void)
{
    const int64_t length = 16 * CHUNK + 1000;
    g_autofree char *model = g_malloc0(length);
    g_autofree char *buf = g_malloc0(length);
    Fixture f;

    fixture_open(&f, length);
    for (int i = 0; i < 4000; i++) {
        int64_t offset = g_test_rand_int_range(0, (int)length);
        int64_t bytes = g_test_rand_int_range(1, 2 * CHUNK);
        int what = g_test_rand_int_range(0, 20);

        bytes = MIN(bytes, length - offset);
        if (what == 0) {
            transfer(&f, FILE_OP_FALLOCATE, offset, NULL, bytes);
            memset(model + offset, 0, bytes);
        } else if (what == 1) {
            g_assert_cmpint(ftruncate(f.fd, offset), ==, 0);
            g_assert_cmpint(ftruncate(f.fd, length), ==, 0);
            file_handle_forget(&f.file, offset, INT64_MAX - offset);
            memset(model + offset, 0, length - offset);
        } else if (what < 12) {
            memset(buf, i, bytes);
            transfer(&f, FILE_OP_WRITE, offset, buf, bytes);
            memset(model + offset, i, bytes);
        } else {
            transfer(&f, FILE_OP_READ, offset, buf, bytes);
            g_assert_cmpmem(buf, bytes, model + offset, bytes);
        }
    }
    g_assert_cmpint(pread(f.fd, buf, length, 0), ==, length);
    g_assert_cmpmem(buf, length, model, length);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-map/data", test_data_is_mapped);
    g_test_add_func("/file-map/hole", test_hole_stays_a_hole);
    g_test_add_func("/file-map/filled-hole", test_filled_hole_is_mapped);
    g_test_add_func("/file-map/overwritten-hole",
                    test_overwritten_hole_is_mapped);
    g_test_add_func("/file-map/punched-hole",
                    test_punched_hole_is_not_mapped);
    g_test_add_func("/file-map/growth", test_growth_is_followed);
    g_test_add_func("/file-map/cut-by-others", test_file_cut_by_others);
    g_test_add_func("/file-map/other-faults", test_other_faults_are_fatal);
    g_test_add_func("/file-map/random", test_random);
    return g_test_run();
}
