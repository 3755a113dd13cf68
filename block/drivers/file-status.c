/*
 * Where a file has data and where holes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include "util/thread-pool.h"

/* The extent that begins at @offset. */
typedef struct FindExtent {
    /* In */
    int fd;
    off_t offset;

    /* Out */
    bool is_hole;
    off_t end;                  /* exclusive; INT64_MAX: the file's end */
} FindExtent;

/* In a worker thread, unless the file lies in memory. */
static int find_extent(void *opaque)
{
    FindExtent *f = opaque;
    off_t pos = lseek(f->fd, f->offset, SEEK_DATA);

    if (pos < 0) {
        /* ENXIO: no data from here to the end. */
        f->is_hole = errno == ENXIO;
        f->end = INT64_MAX;
        return errno == ENXIO ? 0 : -errno;
    }
    if (pos > f->offset) {
        f->is_hole = true;
        f->end = pos;
        return 0;
    }
    f->is_hole = false;
    pos = lseek(f->fd, f->offset, SEEK_HOLE);
    /* ENXIO or no progress: the file changes while we look. */
    f->end = pos > f->offset ? pos : INT64_MAX;
    return 0;
}

int coroutine_fn file_co_block_status(BlockDriverState *bs, bool want_zero,
                                      int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map,
                                      BlockDriverState **file)
{
    FileState *s = bs->opaque;
    FindExtent f = { .fd = s->file.fd, .offset = offset };
    int ret;

    *pnum = bytes;
    *map = offset;
    *file = bs;
    if (!want_zero || s->is_device) {
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID;
    }

    ret = s->file.tmpfs ? find_extent(&f)
                        : thread_pool_submit_co(find_extent, &f);
    if (ret < 0) {
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID;
    }
    if (f.end - offset < bytes) {
        /* A block with both in it is data. */
        *pnum = f.is_hole ? ROUND_DOWN(f.end - offset, s->align)
                          : ROUND_UP(f.end - offset, s->align);
        if (*pnum == 0) {
            *pnum = s->align;
            f.is_hole = false;
        }
    }
    return BDRV_BLOCK_OFFSET_VALID |
           (f.is_hole ? BDRV_BLOCK_ZERO : BDRV_BLOCK_DATA);
}
