/*
 * Changing the length of a file
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include "util/thread-pool.h"

/* Zeroes written at a time by preallocation=full. */
#define PREALLOC_CHUNK (64 * KiB)

static int truncate_retry(int fd, int64_t bytes)
{
    int ret;

    do {
        ret = ftruncate(fd, bytes);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static int prealloc_falloc(FileTruncate *t)
{
    int ret;

    t->failed = "Could not preallocate new data";
    if (t->new == t->old) {
        return 0;
    }
    do {
        ret = posix_fallocate(t->fd, t->old, t->new - t->old);
    } while (ret == EINTR);
    return -ret;
}

static int prealloc_full(FileTruncate *t)
{
    /* With O_DIRECT only whole blocks could be written. */
    int flags = fcntl(t->fd, F_GETFL);
    g_autofree void *zeroes = g_malloc0(PREALLOC_CHUNK);
    int64_t pos = t->old;
    int ret = 0;

    t->failed = "Could not write zeros for preallocation";
    if (flags & O_DIRECT) {
        fcntl(t->fd, F_SETFL, flags & ~O_DIRECT);
    }
    while (pos < t->new && ret == 0) {
        ssize_t n = pwrite(t->fd, zeroes, MIN(t->new - pos, PREALLOC_CHUNK),
                           pos);

        if (n > 0) {
            pos += n;
        } else if (errno != EINTR) {
            ret = -errno;
        }
        if (t->cancel && g_atomic_int_get(t->cancel)) {
            ret = -ECANCELED;
        }
    }
    if (ret == 0 && fsync(t->fd) < 0) {
        t->failed = "Could not flush file to disk";
        ret = -errno;
    }
    if (flags & O_DIRECT) {
        fcntl(t->fd, F_SETFL, flags);
    }
    return ret;
}

int file_truncate(FileTruncate *t)
{
    int ret;

    switch (t->prealloc) {
    case PREALLOC_MODE_FALLOC:
        ret = prealloc_falloc(t);
        break;
    case PREALLOC_MODE_FULL:
        ret = prealloc_full(t);
        break;
    default:
        t->failed = "Could not resize file";
        return truncate_retry(t->fd, t->new);
    }
    if (ret < 0) {
        truncate_retry(t->fd, t->old);
    }
    return ret;
}

bool file_check_prealloc(PreallocMode prealloc, GError **errp)
{
    if (prealloc == PREALLOC_MODE_METADATA) {
        error_setg(errp, "Unsupported preallocation mode: %s",
                   PreallocMode_str(prealloc));
        return false;
    }
    return true;
}

static int file_truncate_in_thread(void *opaque)
{
    return file_truncate(opaque);
}

static bool check_device(int fd, int64_t offset, PreallocMode prealloc,
                         GError **errp)
{
    int64_t len = file_fd_length(fd, true);

    if (len < 0) {
        error_setg_errno(errp, -len, "Could not get the length of the device");
        return false;
    }
    if (prealloc != PREALLOC_MODE_OFF) {
        error_setg(errp, "Preallocation mode '%s' unsupported for this device",
                   PreallocMode_str(prealloc));
        return false;
    }
    if (offset != len) {
        error_setg(errp, "Cannot resize device files");
        return false;
    }
    /* The device has changed by itself; the core asks for its length. */
    return true;
}

bool coroutine_fn file_co_truncate(BlockDriverState *bs, int64_t offset,
                                   PreallocMode prealloc, GError **errp)
{
    FileState *s = bs->opaque;
    FileTruncate t = { .fd = s->file.fd, .new = offset, .prealloc = prealloc };
    int ret;

    if (s->is_device) {
        return check_device(s->file.fd, offset, prealloc, errp);
    }
    if (!file_check_prealloc(prealloc, errp)) {
        return false;
    }
    t.old = file_fd_length(s->file.fd, false);
    if (t.old < 0) {
        error_setg_errno(errp, -t.old, "Could not get the length of '%s'",
                         s->filename);
        return false;
    }
    if (prealloc != PREALLOC_MODE_OFF && offset < t.old) {
        error_setg(errp, "Preallocation can't be used for shrinking files");
        return false;
    }

    ret = thread_pool_submit_co(file_truncate_in_thread, &t);
    file_forget_data(s);
    file_handle_forget(&s->file, offset, INT64_MAX - offset);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s", t.failed);
        return false;
    }
    return true;
}
