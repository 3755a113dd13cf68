/*
 * Writes of zeroes and discards in files and devices
 *
 * What the file system or device can do is found out by trying; what turned
 * out not to work is not tried again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "util/thread-pool.h"

#define MODE_PUNCH_HOLE (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* Errors that say "not here", as opposed to "it failed". */
static int translate_error(int ret)
{
    switch (-ret) {
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY:
    case EINVAL:
    case EBUSY:
        return -ENOTSUP;
    default:
        return ret;
    }
}

/* Call fallocate(2) unless @lack says that it is of no use. */
static int coroutine_fn try_fallocate(FileState *s, bool *lack, int mode,
                                      int64_t offset, int64_t bytes)
{
    int ret;

    if (*lack) {
        return -ENOTSUP;
    }
    ret = file_engine_co_fallocate(s->engine, &s->file, mode, offset, bytes);
    file_forget_data(s);
    /* EINVAL and EBUSY are about this range only. */
    if (ret == -EOPNOTSUPP || ret == -ENOSYS) {
        *lack = true;
    }
    return ret < 0 ? translate_error(ret) : 0;
}

typedef struct RangeIoctl {
    int fd;
    unsigned long request;
    uint64_t range[2];
} RangeIoctl;

/* In a worker thread */
static int range_ioctl(void *opaque)
{
    RangeIoctl *io = opaque;
    int ret;

    do {
        ret = ioctl(io->fd, io->request, io->range);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static int coroutine_fn try_ioctl(FileState *s, bool *lack,
                                  unsigned long request, int64_t offset,
                                  int64_t bytes)
{
    RangeIoctl io = {
        .fd = s->file.fd,
        .request = request,
        .range = { offset, bytes },
    };
    int ret;

    if (*lack) {
        return -ENOTSUP;
    }
    ret = thread_pool_submit_co(range_ioctl, &io);
    if (ret == -EOPNOTSUPP || ret == -ENOTTY || ret == -ENOSYS) {
        *lack = true;
    }
    return ret < 0 ? translate_error(ret) : 0;
}

/*
 * A device: by freeing, which the kernel refuses where it would have to
 * write; or in whatever way the kernel likes, which may mean that it writes.
 */
static int coroutine_fn zero_device(FileState *s, int64_t offset,
                                    int64_t bytes, BdrvRequestFlags flags)
{
    if (flags & (BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK)) {
        int ret = try_fallocate(s, &s->lacks.punch_hole, MODE_PUNCH_HOLE,
                                offset, bytes);

        if (ret != -ENOTSUP || (flags & BDRV_REQ_NO_FALLBACK)) {
            return ret;
        }
    }
    return try_ioctl(s, &s->lacks.blkzeroout, BLKZEROOUT, offset, bytes);
}

/* A file: a hole if that is welcome, else zeroes with space under them. */
static int coroutine_fn zero_file(FileState *s, int64_t offset, int64_t bytes,
                                  BdrvRequestFlags flags)
{
    int ret;

    if (flags & BDRV_REQ_MAY_UNMAP) {
        ret = try_fallocate(s, &s->lacks.punch_hole, MODE_PUNCH_HOLE, offset,
                            bytes);
        if (ret != -ENOTSUP) {
            return ret;
        }
    }
    ret = try_fallocate(s, &s->lacks.zero_range,
                        FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset,
                        bytes);
    if (ret != -ENOTSUP || s->lacks.fallocate) {
        return ret;
    }
    ret = try_fallocate(s, &s->lacks.punch_hole, MODE_PUNCH_HOLE, offset,
                        bytes);
    if (ret < 0) {
        return ret;
    }
    return try_fallocate(s, &s->lacks.fallocate, FALLOC_FL_KEEP_SIZE, offset,
                         bytes);
}

int coroutine_fn file_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, BdrvRequestFlags flags)
{
    FileState *s = bs->opaque;
    int ret;

    /* None of the ways here makes a file longer. */
    if (offset + bytes > bdrv_getlength(bs)) {
        return -ENOTSUP;
    }
    ret = s->is_device ? zero_device(s, offset, bytes, flags)
                       : zero_file(s, offset, bytes, flags);
    if (ret == 0 && (flags & BDRV_REQ_FUA) && !bs->cache_no_flush) {
        ret = file_engine_co_fdatasync(s->engine, &s->file);
    }
    return ret;
}

int coroutine_fn file_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                  int64_t bytes)
{
    FileState *s = bs->opaque;

    if (s->is_device) {
        return try_ioctl(s, &s->lacks.blkdiscard, BLKDISCARD, offset, bytes);
    }
    return try_fallocate(s, &s->lacks.punch_hole, MODE_PUNCH_HOLE, offset,
                         bytes);
}
