/*
 * file: calls of the C library that fail
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/syscall.h>

#include "../../block/drivers/file-int.h"

#include "driver-file-fixture.h"

/*
 * These stand before the C library's: the next attempt to make something
 * stable fails, as after a failed write-back.  The kernel tells of it once.
 */
static gint sync_fails;

static bool take_sync_failure(void)
{
    return g_atomic_int_compare_and_exchange(&sync_fails, 1, 0);
}

int fdatasync(int fd)
{
    if (take_sync_failure()) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int niov, off_t offset,
                 int flags)
{
    ssize_t n = pwritev(fd, iov, niov, offset);

    if ((flags & RWF_DSYNC) && take_sync_failure()) {
        errno = EIO;
        return -1;
    }
    return n;
}

/* Each of these fails once, too. */
static gint failing_lock;       /* 0 or the command of fcntl() */
static gint failing_fstat;      /* 1: the next one, 2: the one after it */
static gint close_fails;

int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, cmd);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (g_atomic_int_compare_and_exchange(&failing_lock, cmd, 0)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

int fstat(int fd, struct stat *st)
{
    if (g_atomic_int_get(&failing_fstat) > 0 &&
        g_atomic_int_dec_and_test(&failing_fstat)) {
        errno = EIO;
        return -1;
    }
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

int close(int fd)
{
    int ret = (int)syscall(SYS_close, fd);

    if (g_atomic_int_compare_and_exchange(&close_fails, 1, 0)) {
        errno = EIO;
        return -1;
    }
    return ret;
}

/* Lost writes */

static void check_loss_is_kept(Fixture *f, int type, BdrvRequestFlags flags)
{
    BlockBackend *blk;

    set_length(f, 64 * KiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 4096, 0x5a), ==, 0);
    g_atomic_int_set(&sync_fails, 1);
    g_assert_cmpint(test_simple(f->ctx, blk, type, 8192, 4096, flags), ==,
                    -EIO);
    g_assert_cmpint(sync_fails, ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_FLUSH, 0, 0, 0), ==, -EIO);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_WRITE, 0, 512,
                                BDRV_REQ_FUA), ==, -EIO);
    test_backend_free(f->ctx, blk);
}

static void test_failed_flush_is_for_good(Fixture *f, gconstpointer dir)
{
    check_loss_is_kept(f, TEST_FLUSH, 0);
}

static void test_failed_fua_write_is_for_good(Fixture *f, gconstpointer dir)
{
    check_loss_is_kept(f, TEST_WRITE, BDRV_REQ_FUA);
}

static void test_failed_fua_zeroes_are_for_good(Fixture *f, gconstpointer dir)
{
    check_loss_is_kept(f, TEST_ZEROES, BDRV_REQ_FUA);
}

/* Length */

static void test_open_without_a_length(Fixture *f, gconstpointer dir)
{
    failing_fstat = 2;
    assert_open_error("Cannot get the length of node 'n': Input/output error",
                      f->ctx, "{'driver': 'file', 'node-name': 'n', "
                      "'filename': '%s'}", f->path);
}

static void resize_fails(Fixture *f, BlockBackend *blk, const char *expected)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(truncate_blk(f->ctx, blk, 5000, PREALLOC_MODE_OFF, &err));
    g_assert_cmpstr(err->message, ==, expected);
}

static void test_resize_without_a_length(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_backend(f->ctx, "{'driver': 'file', 'node-name': "
                                     "'n', 'filename': '%s'}", f->path);
    g_autofree char *before =
        g_strdup_printf("Could not get the length of '%s': Input/output error",
                        f->path);

    failing_fstat = 1;
    resize_fails(f, blk, before);
    g_assert_cmpint(file_stat(f).st_size, ==, 0);
    failing_fstat = 2;
    resize_fails(f, blk, "Could not refresh total length of node 'n': "
                 "Input/output error");
    g_assert_cmpint(failing_fstat, ==, 0);
    test_backend_free(f->ctx, blk);
}

/* A file that is taken for a device cannot be asked for a device's length. */
static void test_resize_of_a_device(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_file(f);
    FileState *s = blk_bs(blk)->opaque;

    s->is_device = true;
    resize_fails(f, blk, "Could not get the length of the device: "
                 "Inappropriate ioctl for device");
    s->is_device = false;
    test_backend_free(f->ctx, blk);
}

/* Creating */

static void create_fails(Fixture *f, const char *expected)
{
    CreateCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_FILE,
            .u.file = { .filename = f->path },
        },
    };

    test_run(f->ctx, create_entry, &call);
    g_assert_false(call.ok);
    g_assert_cmpstr(call.err->message, ==, expected);
    g_clear_error(&call.err);
}

/* What was written may be lost. */
static void test_create_without_close(Fixture *f, gconstpointer dir)
{
    close_fails = 1;
    create_fails(f, "Could not close the new file: Input/output error");
}

static void test_create_without_locks(Fixture *f, gconstpointer dir)
{
    g_autofree char *set = g_strdup_printf("Failed to lock '%s': "
                                           "Input/output error", f->path);
    g_autofree char *get = g_strdup_printf("Failed to get \"write\" lock on "
                                           "'%s': Input/output error",
                                           f->path);

    set_length(f, 1000);
    failing_lock = F_OFD_SETLK;
    create_fails(f, set);
    failing_lock = F_OFD_GETLK;
    create_fails(f, get);
    g_assert_cmpint(file_stat(f).st_size, ==, 1000);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer dir);
    } tests[] = {
        { "loss/flush", test_failed_flush_is_for_good },
        { "loss/fua-write", test_failed_fua_write_is_for_good },
        { "loss/fua-zeroes", test_failed_fua_zeroes_are_for_good },
        { "resize/no-length", test_resize_without_a_length },
        { "resize/device", test_resize_of_a_device },
        { "create/no-close", test_create_without_close },
        { "create/no-locks", test_create_without_locks },
        { "open/no-length", test_open_without_a_length },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/driver/file/%s",
                                                tests[i].path);

        g_test_add(path, Fixture, NULL, setup, tests[i].func, teardown);
    }
    return g_test_run();
}
