/*
 * colo-buffer: before-images of what the primary overwrites
 *
 * Exactly what is about to be overwritten and not yet held is copied, and it
 * is read from the disk straight into its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "colo-buffer-int.h"

static int coroutine_fn copy_spilled(ColoBuffer *s, int64_t offset,
                                     int64_t bytes)
{
    void *buf = bdrv_blockalign(s->disk->bs, bytes);
    IOVector qiov;
    int ret;

    iov_init_buf(&qiov, buf, bytes);
    ret = bdrv_co_preadv(s->disk, offset, bytes, &qiov, 0);
    if (ret < 0) {
        colo_buffer_error(s, "disk", offset, ret);
    } else {
        ret = layer_co_rw(s->hidden, &s->storage, offset, bytes, &qiov, 0,
                          true);
        if (ret < 0) {
            colo_buffer_error(s, "hidden", offset, ret);
        }
    }
    g_aligned_free(buf);
    return ret;
}

static int coroutine_fn copy(ColoBuffer *s, int64_t offset, int64_t bytes)
{
    g_auto(IOVector) qiov = { 0 };
    int ret = colo_buffer_reserve(s, s->hidden, offset, bytes);

    if (ret < 0) {
        colo_buffer_error(s, "hidden", offset, ret);
        return ret;
    }
    iov_init(&qiov, bytes / COLO_BLOCK_SIZE + 2);
    if (layer_map(s->hidden, offset, bytes, &qiov)) {
        ret = bdrv_co_preadv(s->disk, offset, bytes, &qiov, 0);
        if (ret < 0) {
            colo_buffer_error(s, "disk", offset, ret);
        }
    } else {
        ret = copy_spilled(s, offset, bytes);
    }
    if (ret >= 0) {
        layer_mark(s->hidden, offset, bytes);
    }
    return ret;
}

int coroutine_fn colo_buffer_before_write(BlockDriverState *bs,
                                          int64_t offset, int64_t bytes)
{
    ColoBuffer *s = bs->opaque;
    int64_t start = ROUND_DOWN(offset, COLO_SECTOR_SIZE);
    int64_t end = MIN(ROUND_UP(offset + bytes, COLO_SECTOR_SIZE),
                      ROUND_UP(bs->total_bytes, COLO_SECTOR_SIZE));

    while (start < end) {
        bool held;
        int64_t n = layer_run(s->hidden, start, end - start, &held);
        int ret = held ? 0 : copy(s, start, n);

        if (ret < 0) {
            return ret;
        }
        start += n;
    }
    return 0;
}
