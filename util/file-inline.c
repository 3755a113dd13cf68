/*
 * File I/O without an engine, where it cannot block for long
 *
 * Handing a request to a thread or a ring costs more than a copy from or to
 * the page cache.  So:
 *
 * - tmpfs is memory: always inline, but for huge fallocate calls, and
 *   through a mapping where there is data.
 * - Buffered reads are tried with RWF_NOWAIT: what is cached comes at once.
 * - Buffered writes have no such flag that file systems would honour.  They
 *   mostly take microseconds, but wait when the kernel throttles writers.
 *   Their time is measured; after one that took long, the engine gets them
 *   for a while, longer each time.
 *
 * O_DIRECT, fdatasync and stable writes go to the disk, hence to the engine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine-int.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include "file-map.h"
#include "util/aio-int.h"

/* Punching a hole into tmpfs frees page after page. */
#define TMPFS_FALLOCATE_MAX (4 * MiB)

/* Copying takes time, too: about 10 us for 64 KiB at worst. */
#define WRITE_SLOW_NS(bytes) (100 * SCALE_US + (bytes) / 4)

#define WRITE_BACKOFF_MIN_NS (10 * SCALE_MS)
#define WRITE_BACKOFF_MAX_NS (1000 * SCALE_MS)

void file_handle_init(FileHandle *file, int fd, bool allow_inline)
{
    struct statfs fs;
    int flags = fcntl(fd, F_GETFL);

    *file = (FileHandle) {
        .fd = fd,
        .direct = flags >= 0 && (flags & O_DIRECT),
        .write_backoff_ns = WRITE_BACKOFF_MIN_NS,
    };
    file->tmpfs = allow_inline && fstatfs(fd, &fs) == 0 &&
                  fs.f_type == TMPFS_MAGIC;
    file->inline_io = allow_inline && (file->tmpfs || !file->direct);
    if (file->tmpfs) {
        file->map = file_map_new(fd);
    }
}

void file_handle_destroy(FileHandle *file)
{
    g_clear_pointer(&file->map, file_map_free);
}

void file_handle_forget(FileHandle *file, int64_t offset, int64_t bytes)
{
    if (file->map) {
        file_map_forget(file->map, offset, bytes);
    }
}

size_t file_handle_lend(FileHandle *file, int64_t offset,
                        const IOVector *qiov)
{
    if (!qiov->take || !file->map || file->direct ||
        !file_map_covers(file->map, offset, (int64_t)qiov->size)) {
        return 0;
    }
    file_map_prefetch(file->map, offset, (int64_t)qiov->size);
    return qiov->take(qiov, file->fd, offset);
}

static bool try_tmpfs(FileHandle *file, FileRequest *req, ssize_t *ret)
{
    bool transfer = req->op == FILE_OP_READ || req->op == FILE_OP_WRITE;

    if (req->op == FILE_OP_FALLOCATE && req->bytes > TMPFS_FALLOCATE_MAX) {
        return false;
    }
    if (transfer && file_map_transfer(file->map, req, ret)) {
        return true;
    }
    *ret = file_request_run_sync(req);
    if (transfer && *ret > 0) {
        file_map_learn(file->map, req, *ret);
    }
    return true;
}

static bool try_read(FileHandle *file, FileRequest *req, ssize_t *ret)
{
    ssize_t n;

    if (file->no_nowait) {
        return false;
    }
    req->rw_flags |= RWF_NOWAIT;
    n = file_request_run_sync(req);
    req->rw_flags &= ~RWF_NOWAIT;

    if (n == -EOPNOTSUPP || n == -ENOSYS) {
        file->no_nowait = true;
    }
    if (n == -EAGAIN) {
        return false;
    }
    *ret = n;
    return !file->no_nowait;
}

static bool try_write(FileHandle *file, FileRequest *req, ssize_t *ret)
{
    int64_t start, end;

    if (req->rw_flags & RWF_DSYNC) {
        return false;
    }
    start = aio_monotonic_ns();
    if (start < file->write_retry_ns) {
        return false;
    }
    *ret = file_request_run_sync(req);
    end = aio_monotonic_ns();

    if (end - start > WRITE_SLOW_NS(req->bytes)) {
        file->write_retry_ns = end + file->write_backoff_ns;
        file->write_backoff_ns = MIN(2 * file->write_backoff_ns,
                                     WRITE_BACKOFF_MAX_NS);
    } else if (end > file->write_retry_ns + WRITE_BACKOFF_MAX_NS) {
        /* Well for a while: forget the past. */
        file->write_backoff_ns = WRITE_BACKOFF_MIN_NS;
    }
    return true;
}

bool file_request_try_inline(FileHandle *file, FileRequest *req, ssize_t *ret)
{
    if (!file->inline_io) {
        return false;
    }
    if (file->tmpfs) {
        return try_tmpfs(file, req, ret);
    }
    switch (req->op) {
    case FILE_OP_READ:
        return try_read(file, req, ret);
    case FILE_OP_WRITE:
        return try_write(file, req, ret);
    default:
        return false;
    }
}
