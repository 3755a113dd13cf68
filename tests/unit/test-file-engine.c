/*
 * Unit tests of the file engines: each test on each engine, buffered with and
 * without inline I/O, and with O_DIRECT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine.h"

#include <glib/gstdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifdef CONFIG_LIBAIO
#include <libaio.h>

/* This stands before libaio's. */
static int queue_error;         /* 0 or the errno of the next one */

int io_setup(int depth, io_context_t *queue)
{
    int ret = -queue_error;

    queue_error = 0;
    if (ret == 0 && syscall(SYS_io_setup, depth, queue) < 0) {
        ret = -errno;
    }
    return ret;
}
#endif

#define SECTOR 4096
#define AREAS 32                /* one coroutine each */
#define AREA_SECTORS 16
#define AREA (AREA_SECTORS * SECTOR)

typedef enum Mode {
    BUFFERED,
    INLINE,
    DIRECT,
    N_MODES,
} Mode;

typedef struct Param {
    FileEngineKind kind;
    Mode mode;
} Param;

typedef struct Fixture {
    AioContext *ctx;
    FileEngine *engine;
    FileHandle file;
    char *path;
    int running;
} Fixture;

/* Returns false if this machine cannot do it. */
static bool fixture_open(Fixture *f, const Param *param)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *dir = g_dir_make_tmp("test-file-XXXXXX", NULL);
    int flags = param->mode == DIRECT ? O_DIRECT : 0;
    int fd;

    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    f->path = g_build_filename(dir, "disk", NULL);
    fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
    f->engine = file_engine_get(param->kind, &err);
    if (fd < 0 || !f->engine) {
        g_test_skip(err ? err->message : "no O_DIRECT here");
        return false;
    }
    file_handle_init(&f->file, fd, param->mode == INLINE);
    g_assert_cmpint(f->file.direct, ==, param->mode == DIRECT);
    return true;
}

static void fixture_close(Fixture *f)
{
    g_autofree char *dir = g_path_get_dirname(f->path);

    file_handle_destroy(&f->file);
    if (f->file.fd > 0) {
        close(f->file.fd);
    }
    g_unlink(f->path);
    g_rmdir(dir);
    g_free(f->path);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static uint8_t *alloc(size_t bytes)
{
    uint8_t *buf = g_aligned_alloc(1, bytes, SECTOR);

    memset(buf, 0xaa, bytes);
    return buf;
}

/* Run @entry(@opaque), which decrements @running at its end. */
static void run(Fixture *f, CoroutineEntry *entry, void *opaque)
{
    f->running++;
    coroutine_start(entry, opaque);
    while (f->running > 0) {
        aio_poll(f->ctx, true);
    }
}

static int coroutine_fn co_read(Fixture *f, int64_t offset, void *buf,
                                size_t bytes)
{
    IOVector qiov;

    iov_init_buf(&qiov, buf, bytes);
    return file_engine_co_preadv(f->engine, &f->file, offset, &qiov);
}

static int coroutine_fn co_write(Fixture *f, int64_t offset, void *buf,
                                 size_t bytes, unsigned flags)
{
    IOVector qiov;

    iov_init_buf(&qiov, buf, bytes);
    return file_engine_co_pwritev(f->engine, &f->file, offset, &qiov, flags);
}

/* Many coroutines write and read at random, each in its own area */

typedef struct Worker {
    Fixture *f;
    GRand *rand;
    int64_t offset;
    uint8_t *model;             /* what the area holds */
    uint8_t *buf;
} Worker;

static void coroutine_fn one_random_step(Worker *w)
{
    int first = g_rand_int_range(w->rand, 0, AREA_SECTORS);
    int n = g_rand_int_range(w->rand, 1, AREA_SECTORS - first + 1);
    int64_t at = first * SECTOR;
    size_t bytes = n * SECTOR;

    if (g_rand_boolean(w->rand)) {
        memset(w->buf, g_rand_int_range(w->rand, 0, 256), bytes);
        g_assert_cmpint(co_write(w->f, w->offset + at, w->buf, bytes,
                                 n == 1 ? FILE_IO_FUA : 0), ==, 0);
        memcpy(w->model + at, w->buf, bytes);
    } else {
        memset(w->buf, 0xaa, bytes);
        g_assert_cmpint(co_read(w->f, w->offset + at, w->buf, bytes), ==, 0);
        g_assert_cmpint(memcmp(w->buf, w->model + at, bytes), ==, 0);
    }
}

static void coroutine_fn random_steps(void *opaque)
{
    Worker *w = opaque;

    for (int i = 0; i < 30; i++) {
        one_random_step(w);
    }
    w->f->running--;
}

static void test_random(gconstpointer param)
{
    Fixture f;
    Worker w[AREAS];

    if (fixture_open(&f, param)) {
        for (int i = 0; i < AREAS; i++) {
            w[i] = (Worker) {
                .f = &f,
                .rand = g_rand_new_with_seed(g_test_rand_int()),
                .offset = i * AREA,
                .model = g_malloc0(AREA),
                .buf = alloc(AREA),
            };
            f.running++;
            coroutine_start(random_steps, &w[i]);
        }
        while (f.running > 0) {
            aio_poll(f.ctx, true);
        }
        for (int i = 0; i < AREAS; i++) {
            g_rand_free(w[i].rand);
            g_free(w[i].model);
            g_aligned_free(w[i].buf);
        }
    }
    fixture_close(&f);
}

/* More requests at once than any queue holds */

static void coroutine_fn write_one_sector(void *opaque)
{
    Worker *w = opaque;

    g_assert_cmpint(co_write(w->f, w->offset, w->buf, SECTOR, 0), ==, 0);
    w->f->running--;
}

static void test_many(gconstpointer param)
{
    const int n = 1000;
    g_autofree Worker *w = g_new0(Worker, n);
    uint8_t *buf = alloc(SECTOR);
    Fixture f;

    if (fixture_open(&f, param)) {
        for (int i = 0; i < n; i++) {
            w[i] = (Worker) { .f = &f, .offset = i * SECTOR, .buf = buf };
            f.running++;
            coroutine_start(write_one_sector, &w[i]);
        }
        while (f.running > 0) {
            aio_poll(f.ctx, true);
        }
        g_assert_cmpint(lseek(f.file.fd, 0, SEEK_END), ==, n * SECTOR);
    }
    g_aligned_free(buf);
    fixture_close(&f);
}

/* The end of the file */

static void coroutine_fn read_over_the_end(void *opaque)
{
    Fixture *f = opaque;
    uint8_t *buf = alloc(2 * SECTOR);

    g_assert_cmpint(ftruncate(f->file.fd, 0), ==, 0);
    g_assert_cmpint(co_write(f, 0, buf, SECTOR, 0), ==, 0);
    g_assert_cmpint(ftruncate(f->file.fd, 100), ==, 0);

    g_assert_cmpint(co_read(f, 0, buf, 2 * SECTOR), ==, 0);
    g_assert_cmphex(buf[99], ==, 0xaa);
    g_assert_true(buffer_is_zero(buf + 100, 2 * SECTOR - 100));

    memset(buf, 0xaa, SECTOR);
    g_assert_cmpint(co_read(f, 64 * SECTOR, buf, SECTOR), ==, 0);
    g_assert_true(buffer_is_zero(buf, SECTOR));

    g_assert_cmpint(co_read(f, 0, buf, 0), ==, 0);
    g_aligned_free(buf);
    f->running--;
}

static void test_end(gconstpointer param)
{
    Fixture f;

    if (fixture_open(&f, param)) {
        run(&f, read_over_the_end, &f);
    }
    fixture_close(&f);
}

/* More areas than one system call takes */

static void coroutine_fn write_many_areas(void *opaque)
{
    const int n = IOV_MAX + 500;
    Fixture *f = opaque;
    uint8_t *buf = alloc((size_t)n * SECTOR);
    g_auto(IOVector) qiov;

    iov_init(&qiov, n);
    /* Backwards, so that they are not one area in fact. */
    for (int i = 0; i < n; i++) {
        memset(buf + i * SECTOR, i % 251, SECTOR);
        iov_add(&qiov, buf + (n - 1 - i) * SECTOR, SECTOR);
    }
    g_assert_cmpint(file_engine_co_pwritev(f->engine, &f->file, SECTOR, &qiov,
                                           0), ==, 0);
    memset(buf, 0xaa, (size_t)n * SECTOR);
    g_assert_cmpint(file_engine_co_preadv(f->engine, &f->file, SECTOR, &qiov),
                    ==, 0);
    for (int i = 0; i < n; i++) {
        g_assert_cmpint(buf[i * SECTOR + 7], ==, i % 251);
    }
    g_aligned_free(buf);
    f->running--;
}

static void test_areas(gconstpointer param)
{
    Fixture f;

    if (fixture_open(&f, param)) {
        run(&f, write_many_areas, &f);
    }
    fixture_close(&f);
}

/* The rest of the calls, and errors */

static void coroutine_fn sync_and_punch(void *opaque)
{
    Fixture *f = opaque;
    uint8_t *buf = alloc(2 * SECTOR);

    g_assert_cmpint(co_write(f, 0, buf, 2 * SECTOR, FILE_IO_FUA), ==, 0);
    g_assert_cmpint(file_engine_co_fdatasync(f->engine, &f->file), ==, 0);
    g_assert_cmpint(file_engine_co_fallocate(
                        f->engine, &f->file,
                        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SECTOR),
                    ==, 0);
    g_assert_cmpint(co_read(f, 0, buf, 2 * SECTOR), ==, 0);
    g_assert_true(buffer_is_zero(buf, SECTOR));
    g_assert_cmphex(buf[SECTOR], ==, 0xaa);

    g_assert_cmpint(file_engine_co_fallocate(f->engine, &f->file, 0, -1, 1),
                    ==, -EINVAL);
    g_aligned_free(buf);
    f->running--;
}

static void test_sync(gconstpointer param)
{
    Fixture f;

    if (fixture_open(&f, param)) {
        run(&f, sync_and_punch, &f);
    }
    fixture_close(&f);
}

static void coroutine_fn write_read_only(void *opaque)
{
    Fixture *f = opaque;
    uint8_t *buf = alloc(SECTOR);

    g_assert_cmpint(co_write(f, 0, buf, SECTOR, 0), ==, -EBADF);
    g_aligned_free(buf);
    f->running--;
}

static void test_error(gconstpointer param)
{
    const Param *p = param;
    Fixture f;

    if (fixture_open(&f, param)) {
        close(f.file.fd);
        f.file.fd = open(f.path, O_RDONLY | O_CLOEXEC |
                         (p->mode == DIRECT ? O_DIRECT : 0));
        run(&f, write_read_only, &f);
    }
    fixture_close(&f);
}

/* Inline I/O does not even yield */

static void coroutine_fn write_and_read_back(void *opaque)
{
    Fixture *f = opaque;
    uint8_t *buf = alloc(SECTOR);

    g_assert_cmpint(co_write(f, 0, buf, SECTOR, 0), ==, 0);
    g_assert_cmpint(co_read(f, 0, buf, SECTOR), ==, 0);
    g_assert_cmphex(buf[0], ==, 0xaa);
    g_aligned_free(buf);
    f->running--;
}

static void test_cached_data_comes_at_once(void)
{
    const Param param = { FILE_ENGINE_THREADS, INLINE };
    Fixture f;

    g_assert_true(fixture_open(&f, &param));
    f.file.write_retry_ns = 0;
    f.running++;
    coroutine_start(write_and_read_back, &f);
    if (f.file.no_nowait || f.file.write_retry_ns > 0) {
        g_test_skip("a slow disk, or a file system without RWF_NOWAIT");
        while (f.running > 0) {
            aio_poll(f.ctx, true);
        }
    }
    g_assert_cmpint(f.running, ==, 0);
    fixture_close(&f);
}

static void test_slow_writes_go_to_the_engine(void)
{
    const Param param = { FILE_ENGINE_THREADS, INLINE };
    Fixture f;

    g_assert_true(fixture_open(&f, &param));
    if (f.file.tmpfs) {
        g_test_skip("tmpfs is never slow");
    } else {
        /* As after one that took long. */
        f.file.write_retry_ns = INT64_MAX;
        f.running++;
        coroutine_start(write_and_read_back, &f);
        g_assert_cmpint(f.running, ==, 1);
        while (f.running > 0) {
            aio_poll(f.ctx, true);
        }
    }
    fixture_close(&f);
}

/* Large inline I/O does not keep the loop from others */

#define LARGE (1 * MiB)

static void coroutine_fn write_large_and_read_back(void *opaque)
{
    Fixture *f = opaque;
    uint8_t *buf = alloc(LARGE);

    for (size_t i = 0; i < LARGE; i++) {
        buf[i] = (uint8_t)(i / SECTOR);
    }
    g_assert_cmpint(co_write(f, SECTOR, buf, LARGE, 0), ==, 0);
    memset(buf, 0, LARGE);
    g_assert_cmpint(co_read(f, SECTOR, buf, LARGE), ==, 0);
    for (size_t i = 0; i < LARGE; i++) {
        g_assert_cmphex(buf[i], ==, (uint8_t)(i / SECTOR));
    }
    g_aligned_free(buf);
    f->running--;
}

static void test_small_overtakes_large(void)
{
    const Param param = { FILE_ENGINE_THREADS, INLINE };
    Fixture f;

    g_assert_true(fixture_open(&f, &param));
    f.file.write_retry_ns = 0;
    f.running++;
    coroutine_start(write_large_and_read_back, &f);
    g_assert_cmpint(f.running, ==, 1);
    f.running++;
    coroutine_start(write_and_read_back, &f);
    if (f.file.no_nowait || f.file.write_retry_ns > 0) {
        g_test_skip("a slow disk, or a file system without RWF_NOWAIT");
    } else {
        g_assert_cmpint(f.running, ==, 1);
    }
    while (f.running > 0) {
        aio_poll(f.ctx, true);
    }
    fixture_close(&f);
}

/* What the user reads when the kernel refuses an engine */

/* @text is how the message begins. */
static void check_refused(FileEngineKind kind, bool descriptors,
                          const char *text)
{
    g_autoptr(GError) err = NULL;
    AioContext *ctx = aio_context_new(NULL, NULL);
    struct rlimit old, limit;

    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    limit.rlim_cur = descriptors ? old.rlim_cur : 0;
    setrlimit(RLIMIT_NOFILE, &limit);
    g_assert_null(file_engine_get(kind, &err));
    setrlimit(RLIMIT_NOFILE, &old);
    if (!g_str_has_prefix(err->message, text)) {
        g_error("'%s' is not how this begins: %s", text, err->message);
    }
    aio_context_free(ctx);
}

static void test_refusal_of_uring(void)
{
#ifdef CONFIG_LIBURING
    check_refused(FILE_ENGINE_IO_URING, false, "Cannot use aio=io_uring: the "
                  "kernel refuses to create a ring: ");
#else
    check_refused(FILE_ENGINE_IO_URING, true, "aio=io_uring was not built "
                  "into this program");
#endif
}

static void test_refusal_of_native(void)
{
#ifdef CONFIG_LIBAIO
    check_refused(FILE_ENGINE_NATIVE, false, "Cannot use aio=native: no "
                  "descriptor for completions: Too many open files");
    queue_error = EAGAIN;
    check_refused(FILE_ENGINE_NATIVE, true, "Cannot use aio=native: the kernel "
                  "refuses to create a queue (raise the sysctl "
                  "fs.aio-max-nr): ");
    queue_error = ENOSYS;
    check_refused(FILE_ENGINE_NATIVE, true, "Cannot use aio=native: the kernel "
                  "refuses to create a queue: Function not implemented");
#else
    check_refused(FILE_ENGINE_NATIVE, true, "aio=native was not built into "
                  "this program");
#endif
}

static void test_one_engine_per_context(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    FileEngine *engine = file_engine_get(FILE_ENGINE_THREADS, NULL);

    g_assert_true(file_engine_get(FILE_ENGINE_THREADS, NULL) == engine);
    g_assert_cmpint(file_engine_kind(engine), ==, FILE_ENGINE_THREADS);
    aio_context_free(ctx);
}

static void add_tests(const Param *param)
{
    static const char *const modes[] = { "buffered", "inline", "direct" };
    static const struct {
        const char *name;
        void (*func)(gconstpointer param);
    } tests[] = {
        { "random", test_random },
        { "many", test_many },
        { "end", test_end },
        { "areas", test_areas },
        { "sync", test_sync },
        { "error", test_error },
    };

    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf(
            "/file-engine/%s/%s/%s", file_engine_kind_name(param->kind),
            modes[param->mode], tests[i].name);

        g_test_add_data_func(path, param, tests[i].func);
    }
}

int main(int argc, char **argv)
{
    static Param params[FILE_ENGINE__MAX * N_MODES];

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < FILE_ENGINE__MAX * N_MODES; i++) {
        params[i].kind = (FileEngineKind)(i / N_MODES);
        params[i].mode = (Mode)(i % N_MODES);
        add_tests(&params[i]);
    }
    g_test_add_func("/file-engine/inline/cached",
                    test_cached_data_comes_at_once);
    g_test_add_func("/file-engine/inline/slow",
                    test_slow_writes_go_to_the_engine);
    g_test_add_func("/file-engine/inline/large", test_small_overtakes_large);
    g_test_add_func("/file-engine/get/uring-refused", test_refusal_of_uring);
    g_test_add_func("/file-engine/get/native-refused",
                    test_refusal_of_native);
    g_test_add_func("/file-engine/get/once", test_one_engine_per_context);
    return g_test_run();
}
