/*
 * Creating files
 *
 * All of it runs in a worker thread, under the locks of whoever writes and
 * resizes: an image that is in use is not touched.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include "util/thread-pool.h"

typedef struct FileCreate {
    const BlockdevCreateOptionsFile *opts;
    const int *cancel;
    GError **errp;
} FileCreate;

static bool resize(FileTruncate *t, GError **errp)
{
    int ret;

    if (t->new < 0) {
        error_setg_errno(errp, EINVAL, "Could not resize file");
        return false;
    }
    ret = file_truncate(t);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s", t->failed);
    }
    return ret == 0;
}

/* The locks go with @fd. */
static bool fill(const FileCreate *c, int fd)
{
    FileLock lock = { .enabled = true, .optional = true };
    FileTruncate empty = { .fd = fd, .prealloc = PREALLOC_MODE_OFF };
    FileTruncate grow = {
        .fd = fd,
        .new = (int64_t)c->opts->size,
        .prealloc = c->opts->preallocation,
        .cancel = c->cancel,
    };

    return file_lock_check(&lock, fd, c->opts->filename,
                           BLK_PERM_WRITE | BLK_PERM_RESIZE,
                           BLK_PERM_ALL & ~(uint64_t)BLK_PERM_RESIZE,
                           c->errp) &&
           resize(&empty, c->errp) && resize(&grow, c->errp);
}

/* In a worker thread */
static int create(void *opaque)
{
    FileCreate *c = opaque;
    bool ok;
    int fd;

    do {
        fd = open(c->opts->filename, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        error_setg_errno(c->errp, errno, "Could not create '%s'",
                         c->opts->filename);
        return false;
    }
    ok = fill(c, fd);
    if (close(fd) < 0 && ok) {
        error_setg_errno(c->errp, errno, "Could not close the new file");
        return false;
    }
    return ok;
}

bool coroutine_fn file_co_create(const BlockdevCreateOptions *options,
                                 const int *cancel, GError **errp)
{
    FileCreate c = {
        .opts = &options->u.file, .cancel = cancel, .errp = errp,
    };

    return file_check_prealloc(c.opts->preallocation, errp) &&
           thread_pool_submit_co(create, &c);
}
