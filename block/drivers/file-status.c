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

void file_forget_data(FileState *s)
{
    s->data_start = s->data_end = 0;
    s->data_generation++;
}

static void remember_data(FileState *s, int64_t start, int64_t end)
{
    if (end == s->data_end) {
        start = MIN(start, s->data_start);
    }
    s->data_start = start;
    s->data_end = end;
}

/* As find_extent(), or from memory: taking a hole for data is no error. */
static int coroutine_fn find_extent_cached(FileState *s, FindExtent *f)
{
    unsigned generation = s->data_generation;
    int ret;

    if (f->offset >= s->data_start && f->offset < s->data_end) {
        f->is_hole = false;
        f->end = s->data_end;
        return 0;
    }
    ret = s->file.tmpfs ? find_extent(f)
                        : thread_pool_submit_co(find_extent, f);
    if (ret == 0 && !f->is_hole && f->end < INT64_MAX &&
        generation == s->data_generation) {
        remember_data(s, f->offset, f->end);
    }
    return ret;
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

    ret = find_extent_cached(s, &f);
    if (ret < 0) {
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID;
    }
    *pnum = MIN(f.end - offset, bytes);
    return BDRV_BLOCK_OFFSET_VALID |
           (f.is_hole ? BDRV_BLOCK_ZERO : BDRV_BLOCK_DATA);
}
