/*
 * Opening files and devices
 *
 * All of it runs in a worker thread, since opening and the first read can
 * take as long as the storage likes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "util/thread-pool.h"

/* Largest alignment that O_DIRECT asks for on any known storage. */
#define DIRECT_ALIGN_MAX 4096

int64_t file_fd_length(int fd, bool is_device)
{
    struct stat st;
    uint64_t bytes;

    if (is_device) {
        return ioctl(fd, BLKGETSIZE64, &bytes) < 0 ? -errno : (int64_t)bytes;
    }
    return fstat(fd, &st) < 0 ? -errno : st.st_size;
}

/*
 * The smallest length that can be read with O_DIRECT: by trying, since that
 * alone works for every file system.  What reads a single byte either does
 * not care or has nothing there to read: blocks of the largest size are right
 * everywhere.
 */
static uint32_t probe_alignment(int fd)
{
    void *buf = g_aligned_alloc(1, DIRECT_ALIGN_MAX, DIRECT_ALIGN_MAX);
    uint32_t align = DIRECT_ALIGN_MAX;

    if (pread(fd, buf, 1, 0) < 0) {
        align = 512;
        while (align < DIRECT_ALIGN_MAX && pread(fd, buf, align, 0) < 0) {
            align *= 2;
        }
    }
    g_aligned_free(buf);
    return align;
}

static uint32_t logical_block_size(int fd)
{
    int size;

    if (ioctl(fd, BLKSSZGET, &size) < 0 || size < 512 ||
        size > DIRECT_ALIGN_MAX) {
        return 512;
    }
    return size;
}

static int open_path(const FileOpen *o)
{
    /* O_NONBLOCK: a pipe without a writer must not catch us. */
    int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK |
                (o->direct ? O_DIRECT : 0);

    if (o->same_as >= 0) {
        /* The very same file, whatever its path leads to by now. */
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d",
                                                o->same_as);

        return open(path, flags);
    }
    return open(o->filename, flags);
}

static int inspect(FileOpen *o)
{
    struct stat st;

    if (fstat(o->fd, &st) < 0) {
        return -errno;
    }
    o->is_regular = S_ISREG(st.st_mode);
    o->is_device = S_ISBLK(st.st_mode);
    if (!o->is_regular && !o->is_device) {
        return 0;               /* the driver refuses it */
    }
    /* From here on the flag would only make io_uring give up early. */
    if (fcntl(o->fd, F_SETFL, fcntl(o->fd, F_GETFL) & ~O_NONBLOCK) < 0) {
        return -errno;
    }
    o->zero_align = o->is_device ? logical_block_size(o->fd) : 1;
    o->align = !o->direct ? 1
             : o->is_device ? logical_block_size(o->fd)
             : probe_alignment(o->fd);
    return 0;
}

/* In a worker thread */
static int open_and_inspect(void *opaque)
{
    FileOpen *o = opaque;
    int ret;

    do {
        o->fd = open_path(o);
    } while (o->fd < 0 && errno == EINTR);
    if (o->fd < 0) {
        return -errno;
    }
    ret = inspect(o);
    if (ret < 0) {
        close(o->fd);
        o->fd = -1;
    }
    return ret;
}

int coroutine_fn file_co_open_fd(FileOpen *o)
{
    return thread_pool_submit_co(open_and_inspect, o);
}

static int close_fd(void *opaque)
{
    return close(GPOINTER_TO_INT(opaque));
}

void coroutine_fn file_co_close_fd(int fd)
{
    thread_pool_submit_co(close_fd, GINT_TO_POINTER(fd));
}
