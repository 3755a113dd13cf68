/*
 * file: bytes, zeroes, holes, lengths and locks of real files
 *
 * On the file system of the temporary folder, on one in memory, and for
 * O_DIRECT on that of the build folder.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "block/options.h"
#include "co-run.h"
#include "driver-file-fixture.h"

#define NOBODY 65534            /* a user who owns nothing */

/* What is looked at in the loop's thread stops everything on a dead mount. */
static GThread *loop_thread;

int stat(const char *path, struct stat *st)
{
    g_assert_true(!loop_thread || g_thread_self() != loop_thread);
    return fstatat(AT_FDCWD, path, st, 0);
}

/* Data */

static void test_length_is_exact(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;

    set_length(f, 1000);
    blk = open_file(f);
    g_assert_cmpint(length_of(blk), ==, 1000);
    g_assert_cmpint(test_write(f->ctx, blk, 990, 10, 0x5a), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 990, 10, 0x5a));
    g_assert_cmpint(test_write(f->ctx, blk, 991, 10, 0x5a), <, 0);
    test_backend_free(f->ctx, blk);
    g_assert_cmpint(file_stat(f).st_size, ==, 1000);
}

static void test_written_bytes_are_in_the_file(Fixture *f, gconstpointer dir)
{
    g_autofree char *data = NULL;
    BlockBackend *blk;
    gsize len;

    set_length(f, 64 * KiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 12345, 20000, 0x5a), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    test_backend_free(f->ctx, blk);

    g_assert_true(g_file_get_contents(f->path, &data, &len, NULL));
    g_assert_cmpint(len, ==, 64 * KiB);
    for (gsize i = 0; i < len; i++) {
        g_assert_cmphex((uint8_t)data[i], ==,
                        i >= 12345 && i < 32345 ? 0x5a : 0);
    }
}

static void test_zeroes(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;

    set_length(f, 1 * MiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 1 * MiB, 0x5a), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 4097, 100000, 0),
                    ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 4097, 0x5a));
    g_assert_true(reads_as(f->ctx, blk, 4097, 100000, 0));
    g_assert_true(reads_as(f->ctx, blk, 104097, 1000, 0x5a));
    /* They keep their space. */
    g_assert_cmpint(file_stat(f).st_blocks * 512, >=, 1 * MiB);
    test_backend_free(f->ctx, blk);
}

static void test_unmapped_zeroes_free_space(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;

    set_length(f, 1 * MiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 1 * MiB, 0x5a), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 0, 1 * MiB,
                                BDRV_REQ_MAY_UNMAP | BDRV_REQ_FUA), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 1 * MiB, 0));
    g_assert_cmpint(file_stat(f).st_blocks * 512, <, 64 * KiB);
    g_assert_cmpint(file_stat(f).st_size, ==, 1 * MiB);
    test_backend_free(f->ctx, blk);
}

static void test_discard_frees_space(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;

    set_length(f, 1 * MiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 1 * MiB, 0x5a), ==, 0);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_DISCARD, 0, 512 * KiB, 0),
                    ==, 0);
    g_assert_cmpint(file_stat(f).st_blocks * 512, <, 600 * KiB);
    g_assert_true(reads_as(f->ctx, blk, 512 * KiB, 4096, 0x5a));
    g_assert_cmpint(file_stat(f).st_size, ==, 1 * MiB);
    test_backend_free(f->ctx, blk);
}

static void test_status_tells_holes_from_data(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk;
    int64_t pnum;

    set_length(f, 1 * MiB + 100);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 256 * KiB, 64 * KiB, 1), ==, 0);

    g_assert_true(block_status(f->ctx, blk, 0, 1 * MiB, &pnum) &
                  BDRV_BLOCK_ZERO);
    g_assert_cmpint(pnum, ==, 256 * KiB);
    g_assert_true(block_status(f->ctx, blk, 256 * KiB, 512 * KiB, &pnum) &
                  BDRV_BLOCK_DATA);
    g_assert_cmpint(pnum, ==, 64 * KiB);
    g_assert_true(block_status(f->ctx, blk, 320 * KiB, 1 * MiB, &pnum) &
                  BDRV_BLOCK_ZERO);
    g_assert_cmpint(pnum, ==, 704 * KiB + 100);
    test_backend_free(f->ctx, blk);
}

/* Length */

/* The file has zeroes for 64536 bytes, as the node above it counts. */
G_GNUC_PRINTF(2, 0)
static BlockBackend *open_above_a_hole(Fixture *f, const char *above)
{
    g_autofree char *raw = g_strdup_printf(
        "{'driver': 'raw', 'offset': 1000, 'size': 131072, 'file': "
        "{'driver': 'file', 'filename': '%s'}}", f->path);
    BlockBackend *blk;

    set_length(f, 256 * KiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 64 * KiB, 4096, 1), ==, 0);
    test_backend_free(f->ctx, blk);
    return open_backend(f->ctx, above, raw);
}

/* What is partly zeroes and partly data is data, to who has blocks. */
static void check_status_in_blocks(Fixture *f, const char *above, int64_t size)
{
    BlockBackend *blk = open_above_a_hole(f, above);
    int64_t zero = ROUND_DOWN(64536, size), pnum;

    g_assert_true(block_status(f->ctx, blk, 0, 128 * KiB, &pnum) &
                  BDRV_BLOCK_ZERO);
    g_assert_cmpint(pnum, ==, zero);
    g_assert_false(block_status(f->ctx, blk, zero, size, &pnum) &
                   BDRV_BLOCK_ZERO);
    g_assert_cmpint(pnum, ==, size);
    g_assert_false(block_status(f->ctx, blk, zero + size, 64 * KiB, &pnum) &
                   BDRV_BLOCK_ZERO);
    test_backend_free(f->ctx, blk);
}

static void test_status_of_quorum(Fixture *f, gconstpointer dir)
{
    check_status_in_blocks(f, "{'driver': 'quorum', 'vote-threshold': 1, "
                           "'children': [{'driver': 'blkdebug', "
                           "'align': 4096, 'image': %s}]}", 4096);
}

static void test_status_of_layers(Fixture *f, gconstpointer dir)
{
    check_status_in_blocks(f, "{'driver': 'colo-buffer', 'max-memory': "
                           "67108864, 'backing': %s}", 512);
}

static void test_resize(Fixture *f, gconstpointer dir)
{
    BlockBackend *blk = open_file(f);
    g_autoptr(GError) err = NULL;

    g_assert_cmpint(length_of(blk), ==, 0);
    truncate_blk(f->ctx, blk, 100000, PREALLOC_MODE_OFF, &err);
    g_assert_no_error(err);
    g_assert_cmpint(length_of(blk), ==, 100000);
    g_assert_cmpint(file_stat(f).st_blocks, ==, 0);

    truncate_blk(f->ctx, blk, 300000, PREALLOC_MODE_FALLOC, &err);
    g_assert_no_error(err);
    g_assert_cmpint(file_stat(f).st_blocks * 512, >=, 190000);
    g_assert_true(reads_as(f->ctx, blk, 0, 300000, 0));

    truncate_blk(f->ctx, blk, 600000, PREALLOC_MODE_FULL, &err);
    g_assert_no_error(err);
    g_assert_cmpint(file_stat(f).st_blocks * 512, >=, 490000);

    truncate_blk(f->ctx, blk, 1000, PREALLOC_MODE_OFF, &err);
    g_assert_no_error(err);
    g_assert_cmpint(file_stat(f).st_size, ==, 1000);
    test_backend_free(f->ctx, blk);
}

/* What was cut off and is there again is a hole, and stays one. */
static void test_regrown_file_is_thin(Fixture *f, gconstpointer dir)
{
    g_autoptr(GError) err = NULL;
    BlockBackend *blk;

    set_length(f, 256 * KiB);
    blk = open_file(f);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 256 * KiB, 'a'), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 256 * KiB, 'a'));
    truncate_blk(f->ctx, blk, 64 * KiB, PREALLOC_MODE_OFF, &err);
    truncate_blk(f->ctx, blk, 256 * KiB, PREALLOC_MODE_OFF, &err);
    g_assert_no_error(err);

    g_assert_true(reads_as(f->ctx, blk, 0, 64 * KiB, 'a'));
    g_assert_true(reads_as(f->ctx, blk, 64 * KiB, 192 * KiB, 0));
    g_assert_cmpint(file_stat(f).st_blocks * 512, ==, 64 * KiB);
    test_backend_free(f->ctx, blk);
}

typedef struct ShrinkCall {
    TruncateCall truncate;
    bool ended;
} ShrinkCall;

static void coroutine_fn shrink_entry(void *opaque)
{
    ShrinkCall *call = opaque;

    truncate_entry(&call->truncate);
    call->ended = true;
}

/* Nothing that comes meanwhile brings back what is being cut off. */
static void test_shrinking_while_written(Fixture *f, gconstpointer dir)
{
    g_autoptr(GError) err = NULL;
    ShrinkCall shrink = {
        .truncate = { .bytes = 64 * KiB, .errp = &err },
    };
    TestRequest req = {
        .type = TEST_WRITE, .offset = 128 * KiB, .bytes = 4096,
    };
    BlockBackend *blk;

    set_length(f, 256 * KiB);
    blk = open_file(f);
    shrink.truncate.blk = blk;
    req.blk = test_backend_perm(f->ctx, blk_bs(blk), BLK_PERM_WRITE);
    coroutine_start(shrink_entry, &shrink);
    test_request_start(f->ctx, &req);
    g_assert_cmpint(test_request_finish(f->ctx, &req), <, 0);
    poll_until(&shrink.ended);
    g_assert_no_error(err);
    g_assert_cmpint(length_of(blk), ==, 64 * KiB);
    g_assert_cmpint(file_stat(f).st_size, ==, 64 * KiB);
    test_backend_free(f->ctx, req.blk);
    test_backend_free(f->ctx, blk);
}

static void test_refused_resize(Fixture *f, gconstpointer dir)
{
    g_autoptr(GError) err = NULL, err2 = NULL;
    BlockBackend *blk;

    set_length(f, 1000);
    blk = open_file(f);
    g_assert_false(truncate_blk(f->ctx, blk, 500, PREALLOC_MODE_FULL, &err));
    g_assert_cmpstr(err->message, ==,
                    "Preallocation can't be used for shrinking files");
    g_assert_false(truncate_blk(f->ctx, blk, 5000, PREALLOC_MODE_METADATA,
                                &err2));
    g_assert_cmpstr(err2->message, ==,
                    "Unsupported preallocation mode: metadata");
    g_assert_cmpint(file_stat(f).st_size, ==, 1000);
    test_backend_free(f->ctx, blk);
}

/* Creating */

static void test_create_gives_up(Fixture *f, gconstpointer dir)
{
    CreateCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_FILE,
            .u.file = {
                .filename = f->path,
                .size = 1 * MiB,
                .preallocation = PREALLOC_MODE_FULL,
            },
        },
        .cancel = 1,
    };

    set_length(f, 1000);
    test_run(f->ctx, create_entry, &call);
    g_assert_false(call.ok);
    g_assert_cmpstr(call.err->message, ==, "Could not write zeros for "
                    "preallocation: Operation canceled");
    g_clear_error(&call.err);
    g_assert_cmpint(file_stat(f).st_size, ==, 0);
    call.cancel = 0;
    test_run(f->ctx, create_entry, &call);
    g_assert_no_error(call.err);
    g_assert_cmpint(file_stat(f).st_size, ==, 1 * MiB);
}

/* Opening */

static void test_missing_file(Fixture *f, gconstpointer dir)
{
    assert_open_error("Could not open '/nonexistent': "
                      "No such file or directory", f->ctx,
                      "{'driver': 'file', 'filename': '/nonexistent'}");
}

static void coroutine_fn open_tree_entry(void *opaque)
{
    const char *path = opaque;
    json_t *node = json_pack("{s:s, s:s}", "driver", "file", "filename", path);
    g_autoptr(GError) err = NULL;
    BlockDriverState *bs;

    loop_thread = g_thread_self();
    bs = node_tree_co_open(node, &err);
    loop_thread = NULL;
    json_decref(node);
    if (g_str_equal(path, "/dev/null")) {
        g_assert_cmpstr(err->message, ==, "'host_device' driver requires "
                        "'/dev/null' to be a block device");
        return;
    }
    g_assert_no_error(err);
    g_assert_cmpstr(bs->drv->format_name, ==, "file");
    bdrv_co_unref(bs);
}

/* In a drive's tree a path may be either's. */
static void test_tree_tells_devices_from_files(Fixture *f, gconstpointer dir)
{
    test_run(f->ctx, open_tree_entry, f->path);
    test_run(f->ctx, open_tree_entry, (char *)"/dev/null");
}

static void test_wrong_kind_of_file(Fixture *f, gconstpointer dir)
{
    g_autofree char *text =
        g_strdup_printf("'host_device' driver requires '%s' to be a block "
                        "device", f->path);

    assert_open_error("'file' driver requires '/dev/null' to be a regular "
                      "file", f->ctx,
                      "{'driver': 'file', 'filename': '/dev/null'}");
    assert_open_error(text, f->ctx, "{'driver': 'host_device', "
                      "'filename': '%s'}", f->path);
}

static void test_native_needs_direct(Fixture *f, gconstpointer dir)
{
    assert_open_error("aio=native was specified, but it requires "
                      "cache.direct=on, which was not specified.", f->ctx,
                      "{'driver': 'file', 'aio': 'native', "
                      "'filename': '%s'}", f->path);
}

static void test_read_only(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_node(f->ctx, NULL, "{'driver': 'file', "
                                     "'filename': '%s', 'read-only': true}",
                                     f->path);

    g_assert_true(bdrv_is_read_only(bs));
    test_unref(f->ctx, bs);
}

static void test_auto_read_only(Fixture *f, gconstpointer dir)
{
    g_autofree char *folder = g_path_get_dirname(f->path);
    bool root = geteuid() == 0;
    BlockDriverState *bs;

    g_assert_cmpint(chmod(f->path, 0400), ==, 0);
    /* Root may write everything, so it is somebody else for a moment. */
    if (root && (chown(folder, NOBODY, -1) < 0 ||
                 chown(f->path, NOBODY, -1) < 0 || seteuid(NOBODY) < 0)) {
        g_test_skip("root cannot become somebody else");
        return;
    }
    g_assert_null(open_node(f->ctx, NULL, "{'driver': 'file', "
                            "'filename': '%s'}", f->path));
    bs = open_node(f->ctx, NULL, "{'driver': 'file', 'filename': '%s', "
                   "'auto-read-only': true}", f->path);
    g_assert_nonnull(bs);
    g_assert_true(bdrv_is_read_only(bs));
    test_unref(f->ctx, bs);
    g_assert_true(!root || seteuid(0) == 0);
}

static void test_reopen_read_only_and_back(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs;
    BlockBackend *blk;
    g_autoptr(GError) err = NULL;

    set_length(f, 4096);
    bs = open_node(f->ctx, NULL, "{'driver': 'file', 'node-name': 'n', "
                   "'filename': '%s', 'read-only': true}", f->path);
    reopen_node(f->ctx, &err, "{'driver': 'file', 'node-name': 'n', "
                "'filename': '%s', 'read-only': false}", f->path);
    g_assert_no_error(err);
    blk = test_backend(f->ctx, bs);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 4096, 0x5a), ==, 0);
    test_backend_free(f->ctx, blk);

    reopen_node(f->ctx, &err, "{'driver': 'file', 'node-name': 'n', "
                "'filename': '%s', 'read-only': true}", f->path);
    g_assert_no_error(err);
    g_assert_true(bdrv_is_read_only(bs));
    g_assert_false(reopen_node(f->ctx, NULL, "{'driver': 'file', "
                               "'node-name': 'n', 'filename': '/dev/null'}"));
    test_unref(f->ctx, bs);
}

/* Locks */

/* QEMU's bytes: 100 + n for permission n, 200 + n for refusing to share it */
enum { LOCKED_PERM = 100, LOCKED_UNSHARED = 200 };

static bool is_locked(Fixture *f, off_t byte)
{
    struct flock fl = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };
    int fd = open(f->path, O_RDWR);

    g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &fl), ==, 0);
    close(fd);
    return fl.l_type != F_UNLCK;
}

typedef struct InsertCall {
    BlockBackend *blk;
    BlockDriverState *bs;
    GError **errp;
    bool ok;
} InsertCall;

static void coroutine_fn insert_entry(void *opaque)
{
    InsertCall *call = opaque;

    call->ok = blk_co_insert_bs(call->blk, call->bs, call->errp);
}

/* A user of @bs, or NULL and an error. */
static BlockBackend *use(Fixture *f, BlockDriverState *bs, uint64_t perm,
                         uint64_t shared, GError **errp)
{
    InsertCall call = { .blk = blk_new(perm, shared), .bs = bs, .errp = errp };

    test_run(f->ctx, insert_entry, &call);
    if (!call.ok) {
        test_backend_free(f->ctx, call.blk);
        return NULL;
    }
    return call.blk;
}

static BlockDriverState *open_plain(Fixture *f)
{
    return open_node(f->ctx, NULL, "{'driver': 'file', 'filename': '%s'}",
                     f->path);
}

static void test_lock_bytes_are_those_of_qemu(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_plain(f);
    BlockBackend *blk = use(f, bs, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                            BLK_PERM_CONSISTENT_READ, NULL);

    g_assert_true(is_locked(f, LOCKED_PERM + 0));
    g_assert_true(is_locked(f, LOCKED_PERM + 1));
    g_assert_false(is_locked(f, LOCKED_PERM + 2));
    g_assert_false(is_locked(f, LOCKED_PERM + 3));
    g_assert_false(is_locked(f, LOCKED_UNSHARED + 0));
    g_assert_true(is_locked(f, LOCKED_UNSHARED + 1));
    g_assert_true(is_locked(f, LOCKED_UNSHARED + 2));
    g_assert_true(is_locked(f, LOCKED_UNSHARED + 3));

    test_backend_free(f->ctx, blk);
    g_assert_false(is_locked(f, LOCKED_PERM + 1));
    g_assert_false(is_locked(f, LOCKED_UNSHARED + 1));
    test_unref(f->ctx, bs);
}

static void test_second_writer_is_kept_out(Fixture *f, gconstpointer dir)
{
    g_autofree char *expected =
        g_strdup_printf("Failed to get \"write\" lock: Is another process "
                        "using the image [%s]?", f->path);
    BlockDriverState *a = open_plain(f), *b = open_plain(f);
    BlockBackend *owner = use(f, a, BLK_PERM_WRITE, BLK_PERM_CONSISTENT_READ,
                              NULL);
    BlockBackend *other;
    g_autoptr(GError) err = NULL;

    g_assert_null(use(f, b, BLK_PERM_WRITE, BLK_PERM_ALL, &err));
    g_assert_nonnull(strstr(err->message, expected));

    /* Nothing of the attempt is left behind. */
    g_assert_false(is_locked(f, LOCKED_PERM + 3));
    other = use(f, b, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    g_assert_nonnull(other);
    test_backend_free(f->ctx, other);

    test_backend_free(f->ctx, owner);
    other = use(f, b, BLK_PERM_WRITE, BLK_PERM_ALL, NULL);
    g_assert_nonnull(other);
    test_backend_free(f->ctx, other);
    test_unref(f->ctx, b);
    test_unref(f->ctx, a);
}

/* Another process that holds @byte until its pipe is closed. */
static pid_t hold_lock_elsewhere(Fixture *f, off_t byte, int *release)
{
    struct flock fl = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };
    int ready[2], end[2];
    char c;
    pid_t pid;

    g_assert_cmpint(pipe(ready), ==, 0);
    g_assert_cmpint(pipe(end), ==, 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(f->path, O_RDWR);

        close(end[1]);
        if (fcntl(fd, F_OFD_SETLK, &fl) == 0 && write(ready[1], "", 1) == 1 &&
            read(end[0], &c, 1) >= 0) {
            _exit(0);
        }
        _exit(1);
    }
    close(ready[1]);
    close(end[0]);
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    *release = end[1];
    return pid;
}

static void test_lock_of_another_process(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_plain(f);
    g_autoptr(GError) err = NULL;
    BlockBackend *blk;
    int release;
    /* It writes; we do not want that. */
    pid_t pid = hold_lock_elsewhere(f, LOCKED_PERM + 1, &release);

    g_assert_null(use(f, bs, BLK_PERM_CONSISTENT_READ,
                      BLK_PERM_CONSISTENT_READ, &err));
    g_assert_nonnull(strstr(err->message,
                            "Failed to get shared \"write\" lock"));
    close(release);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);

    blk = use(f, bs, BLK_PERM_CONSISTENT_READ, BLK_PERM_CONSISTENT_READ,
              NULL);
    g_assert_nonnull(blk);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, bs);
}

static void test_locking_can_be_turned_off(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_node(f->ctx, NULL, "{'driver': 'file', "
                                     "'locking': 'off', "
                                     "'filename': '%s'}", f->path);
    BlockBackend *blk = use(f, bs, BLK_PERM_WRITE, 0, NULL);

    g_assert_false(is_locked(f, LOCKED_PERM + 1));
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, bs);
}

static void test_force_share_refuses_nobody(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_node(f->ctx, NULL, "{'driver': 'file', "
                                     "'force-share': true, "
                                     "'read-only': true, "
                                     "'filename': '%s'}", f->path);
    BlockBackend *blk = use(f, bs, BLK_PERM_CONSISTENT_READ, 0, NULL);

    g_assert_false(is_locked(f, LOCKED_UNSHARED + 1));
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, bs);
}

static void test_reopen_moves_the_locks(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs = open_node(f->ctx, NULL, "{'driver': 'file', "
                                     "'node-name': 'n', 'read-only': true, "
                                     "'filename': '%s'}", f->path);
    BlockBackend *blk = use(f, bs, BLK_PERM_CONSISTENT_READ,
                            BLK_PERM_CONSISTENT_READ, NULL);
    g_autoptr(GError) err = NULL;

    reopen_node(f->ctx, &err, "{'driver': 'file', 'node-name': 'n', "
                "'filename': '%s', 'read-only': false}", f->path);
    g_assert_no_error(err);
    g_assert_true(is_locked(f, LOCKED_PERM + 0));
    g_assert_true(is_locked(f, LOCKED_UNSHARED + 1));
    test_backend_free(f->ctx, blk);
    g_assert_false(is_locked(f, LOCKED_UNSHARED + 1));
    test_unref(f->ctx, bs);
}

/* Around the page cache */

/* NULL where the file system does not support it. */
static BlockBackend *open_direct(Fixture *f, const char *aio)
{
    int fd = open(f->path, O_RDWR | O_DIRECT);

    if (fd < 0) {
        g_test_skip("no O_DIRECT on this file system");
        return NULL;
    }
    close(fd);
    return open_backend(f->ctx, "{'driver': 'file', 'filename': '%s', "
                        "'aio': '%s', 'discard': 'unmap', "
                        "'cache': {'direct': true}}", f->path, aio);
}

static void check_direct(Fixture *f, const char *aio)
{
    BlockBackend *blk;

    set_length(f, 64 * KiB);
    blk = open_direct(f, aio);
    if (!blk) {
        return;
    }
    g_assert_cmpint(test_write(f->ctx, blk, 1000, 10000, 0x5a), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 0, 1000, 0));
    g_assert_true(reads_as(f->ctx, blk, 1000, 10000, 0x5a));
    g_assert_true(reads_as(f->ctx, blk, 11000, 10000, 0));
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_ZEROES, 4096, 4096, 0), ==,
                    0);
    g_assert_true(reads_as(f->ctx, blk, 4096, 4096, 0));
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    test_backend_free(f->ctx, blk);
}

static void test_direct_threads(Fixture *f, gconstpointer dir)
{
    check_direct(f, "threads");
}

static void test_direct_native(Fixture *f, gconstpointer dir)
{
    check_direct(f, "native");
}

static void test_direct_uring(Fixture *f, gconstpointer dir)
{
    check_direct(f, "io_uring");
}

/* A node above that pads requests for the file's sake. */
static void test_direct_tail_below_a_quorum(Fixture *f, gconstpointer dir)
{
    BlockBackend *file, *blk;

    set_length(f, 10000);
    file = open_direct(f, "threads");
    if (!file) {
        return;
    }
    test_backend_free(f->ctx, file);
    blk = open_backend(f->ctx, "{'driver': 'quorum', 'vote-threshold': 1, "
                       "'cache': {'direct': true}, 'children': "
                       "[{'driver': 'file', 'filename': '%s'}]}", f->path);
    g_assert_cmpint(test_write(f->ctx, blk, 9990, 10, 0x5a), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 9990, 10, 0x5a));
    g_assert_cmpint(length_of(blk), ==, 10000);
    test_backend_free(f->ctx, blk);
    g_assert_cmpint(file_stat(f).st_size, ==, 10000);
}

static void test_direct_tail_keeps_the_length(Fixture *f, gconstpointer dir)
{
    BlockDriverState *bs;
    BlockBackend *blk;

    set_length(f, 10000);
    blk = open_direct(f, "threads");
    if (!blk) {
        return;
    }
    /* Whoever may not resize has not meant to. */
    bs = blk_bs(blk);
    g_assert_true(blk_set_perm(blk, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                               BLK_PERM_ALL, NULL));
    g_assert_cmpint(bdrv_getlength(bs), ==, 10000);
    g_assert_cmpint(test_write(f->ctx, blk, 9990, 10, 0x5a), ==, 0);
    g_assert_true(reads_as(f->ctx, blk, 9990, 10, 0x5a));
    g_assert_true(reads_as(f->ctx, blk, 9000, 990, 0));
    g_assert_cmpint(file_stat(f).st_size, ==, 10000);
    test_backend_free(f->ctx, blk);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer dir);
        const char *dir;
    } tests[] = {
        { "data/length", test_length_is_exact, NULL },
        { "data/bytes", test_written_bytes_are_in_the_file, NULL },
        { "data/zeroes", test_zeroes, NULL },
        { "data/unmapped-zeroes", test_unmapped_zeroes_free_space, NULL },
        { "data/discard", test_discard_frees_space, NULL },
        { "data/status", test_status_tells_holes_from_data, NULL },
        { "status/quorum", test_status_of_quorum, NULL },
        { "status/layers", test_status_of_layers, NULL },
        { "memory/zeroes", test_zeroes, "/dev/shm" },
        { "memory/unmapped-zeroes", test_unmapped_zeroes_free_space,
          "/dev/shm" },
        { "memory/discard", test_discard_frees_space, "/dev/shm" },
        { "memory/status", test_status_tells_holes_from_data, "/dev/shm" },
        { "resize/good", test_resize, NULL },
        { "memory/regrown", test_regrown_file_is_thin, "/dev/shm" },
        { "resize/shrink", test_shrinking_while_written, NULL },
        { "resize/refused", test_refused_resize, NULL },
        { "create/cancel", test_create_gives_up, NULL },
        { "open/missing", test_missing_file, NULL },
        { "open/kind", test_wrong_kind_of_file, NULL },
        { "open/tree", test_tree_tells_devices_from_files, NULL },
        { "open/native", test_native_needs_direct, NULL },
        { "open/read-only", test_read_only, NULL },
        { "open/auto-read-only", test_auto_read_only, NULL },
        { "reopen/read-only", test_reopen_read_only_and_back, NULL },
        { "reopen/locks", test_reopen_moves_the_locks, NULL },
        { "lock/bytes", test_lock_bytes_are_those_of_qemu, NULL },
        { "lock/second-writer", test_second_writer_is_kept_out, NULL },
        { "lock/process", test_lock_of_another_process, NULL },
        { "lock/off", test_locking_can_be_turned_off, NULL },
        { "lock/force-share", test_force_share_refuses_nobody, NULL },
        { "direct/threads", test_direct_threads, "." },
        { "direct/native", test_direct_native, "." },
        { "direct/io_uring", test_direct_uring, "." },
        { "direct/tail-below", test_direct_tail_below_a_quorum, "." },
        { "direct/tail", test_direct_tail_keeps_the_length, "." },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/driver/file/%s",
                                                tests[i].path);

        g_test_add(path, Fixture, tests[i].dir, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
