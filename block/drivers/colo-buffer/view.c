/*
 * colo-buffer: what the guest of the secondary sees and writes
 *
 * active over hidden over the disk.  A look-up and the read of what the layers
 * lack are one operation under a shared hold of the disk's range: a forwarded
 * write, which first fills hidden and then changes the disk, cannot come
 * between the two.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "colo-buffer-int.h"

typedef enum Source {
    FROM_ACTIVE,
    FROM_HIDDEN,
    FROM_DISK,
} Source;

/* Who has @offset, and for how many of the @bytes from there on. */
static int64_t look_up(ColoBuffer *s, int64_t offset, int64_t bytes,
                       Source *source)
{
    bool held;
    int64_t n = layer_run(s->active, offset, bytes, &held);

    if (held) {
        *source = FROM_ACTIVE;
        return n;
    }
    n = layer_run(s->hidden, offset, n, &held);
    *source = held ? FROM_HIDDEN : FROM_DISK;
    return n;
}

/* Reads */

static int coroutine_fn read_disk(ColoBuffer *s, int64_t offset, int64_t bytes,
                                  IOVector *qiov, size_t qiov_offset)
{
    g_auto(IOVector) part = { 0 };
    int ret;

    iov_init_slice(&part, qiov, qiov_offset, bytes);
    ret = bdrv_co_preadv(s->disk, offset, bytes, &part, 0);
    if (ret < 0) {
        colo_buffer_error(s, "disk", offset, ret);
    }
    return ret;
}

static int coroutine_fn read_part(ColoBuffer *s, Source source, int64_t offset,
                                  int64_t bytes, IOVector *qiov,
                                  size_t qiov_offset)
{
    Layer *layer = source == FROM_ACTIVE ? s->active : s->hidden;
    int ret;

    if (source == FROM_DISK) {
        return read_disk(s, offset, bytes, qiov, qiov_offset);
    }
    ret = layer_co_rw(layer, &s->storage, offset, bytes, qiov, qiov_offset,
                      false);
    if (ret < 0) {
        colo_buffer_error(s, source == FROM_ACTIVE ? "active" : "hidden",
                          offset, ret);
    }
    return ret;
}

static int coroutine_fn read_locked(ColoBuffer *s, int64_t offset,
                                    int64_t bytes, IOVector *qiov)
{
    int64_t done = 0;

    while (done < bytes) {
        Source source;
        int64_t n = look_up(s, offset + done, bytes - done, &source);
        int ret = read_part(s, source, offset + done, n, qiov, done);

        if (ret < 0) {
            return ret;
        }
        done += n;
    }
    return 0;
}

int coroutine_fn colo_view_co_preadv(BlockDriverState *bs, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     BdrvRequestFlags flags)
{
    ColoBuffer *s = bs->opaque;
    RangeLockHold hold;
    int ret;

    if (s->mode == COLO_BUFFER_PASS) {
        return bdrv_co_preadv(s->disk, offset, bytes, qiov, flags);
    }
    range_lock_co_lock(&s->disk_lock, &hold, offset, bytes, false);
    ret = read_locked(s, offset, bytes, qiov);
    range_lock_unlock(&s->disk_lock, &hold);
    return ret;
}

/* Writes */

/*
 * A failure is the guest's, as that of any disk: nothing has diverged, and the
 * next checkpoint makes room.
 */
static int coroutine_fn write_active(ColoBuffer *s, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     size_t qiov_offset)
{
    int ret = colo_buffer_reserve(s, s->active, offset, bytes);

    if (ret >= 0) {
        ret = layer_co_rw(s->active, &s->storage, offset, bytes, qiov,
                          qiov_offset, true);
    }
    if (ret < 0) {
        return ret;
    }
    layer_mark(s->active, offset, bytes);
    return 0;
}

static int coroutine_fn write_disk(ColoBuffer *s, int64_t offset,
                                   int64_t bytes, IOVector *qiov,
                                   size_t qiov_offset)
{
    g_auto(IOVector) part = { 0 };
    int ret;

    iov_init_slice(&part, qiov, qiov_offset, bytes);
    ret = bdrv_co_pwritev(s->disk, offset, bytes, &part, 0);
    if (ret >= 0) {
        layer_unmark(s->hidden, offset, bytes);
    }
    return ret;
}

/*
 * After a failover new data goes to the disk, except where active still has
 * older data on its way there: it is replaced in place, and so the merge ends.
 * Once a merge has failed, nothing that is held goes to a disk that may not
 * take it.
 */
static int coroutine_fn write_merging(ColoBuffer *s, int64_t offset,
                                      int64_t bytes, IOVector *qiov)
{
    int64_t done = 0;
    int ret = 0;

    while (done < bytes && ret >= 0) {
        Source source;
        int64_t n = look_up(s, offset + done, bytes - done, &source);

        if (source == FROM_ACTIVE ||
            (source == FROM_HIDDEN && s->mode == COLO_BUFFER_MERGE_FAILED)) {
            ret = write_active(s, offset + done, n, qiov, done);
        } else {
            ret = write_disk(s, offset + done, n, qiov, done);
        }
        done += n;
    }
    return ret;
}

/* In mode HOLD it is held or fails. */
static bool is_to_be_held(ColoBuffer *s, int64_t offset, int64_t bytes)
{
    return s->mode == COLO_BUFFER_HOLD ||
           (s->settling &&
            colo_buffer_reserve(s, s->active, offset, bytes) >= 0);
}

static int coroutine_fn hold(ColoBuffer *s, int64_t offset, int64_t bytes,
                             IOVector *qiov)
{
    int ret;

    s->own_writes++;
    ret = write_active(s, offset, bytes, qiov, 0);
    if (--s->own_writes == 0 && s->mode != COLO_BUFFER_HOLD) {
        co_queue_restart_all(&s->own_idle);
    }
    return ret;
}

int coroutine_fn colo_view_co_pwritev(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags)
{
    ColoBuffer *s = bs->opaque;
    RangeLockHold lock;
    int ret;

    if (is_to_be_held(s, offset, bytes)) {
        return hold(s, offset, bytes, qiov);
    }
    if (s->mode == COLO_BUFFER_PASS) {
        return bdrv_co_pwritev(s->disk, offset, bytes, qiov, flags);
    }
    range_lock_co_lock(&s->disk_lock, &lock, offset, bytes, true);
    ret = write_merging(s, offset, bytes, qiov);
    range_lock_unlock(&s->disk_lock, &lock);
    return ret;
}

/* Zeroes that are held take the space of data: the core writes them. */
int coroutine_fn colo_view_co_pwrite_zeroes(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            BdrvRequestFlags flags)
{
    ColoBuffer *s = bs->opaque;

    return s->mode == COLO_BUFFER_PASS
        ? bdrv_co_pwrite_zeroes(s->disk, offset, bytes, flags) : -ENOTSUP;
}

/* Only a hint: nothing is gained by holding it. */
int coroutine_fn colo_view_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes)
{
    ColoBuffer *s = bs->opaque;

    return s->mode == COLO_BUFFER_PASS
        ? bdrv_co_pdiscard(s->disk, offset, bytes) : -ENOTSUP;
}

/* Flush */

int coroutine_fn colo_view_co_flush(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    if (s->mode == COLO_BUFFER_HOLD) {
        return 0;               /* the layers are as stable as they get */
    }
    s->flushes++;
    colo_buffer_wake_merge(s);
    while (s->mode == COLO_BUFFER_MERGE && !layer_is_empty(s->active)) {
        co_queue_wait(&s->merged);
    }
    s->flushes--;
    if (s->mode == COLO_BUFFER_MERGE_FAILED && !layer_is_empty(s->active)) {
        return -EIO;
    }
    return bdrv_co_flush(s->disk->bs);
}

/* Status */

int coroutine_fn colo_view_co_block_status(BlockDriverState *bs,
                                           bool want_zero, int64_t offset,
                                           int64_t bytes, int64_t *pnum,
                                           int64_t *map,
                                           BlockDriverState **file)
{
    ColoBuffer *s = bs->opaque;
    RangeLockHold hold;
    Source source;
    int64_t n;
    int ret = BDRV_BLOCK_DATA;

    range_lock_co_lock(&s->disk_lock, &hold, offset, bytes, false);
    n = look_up(s, offset, bytes, &source);
    *pnum = n;
    if (source == FROM_DISK) {
        ret = bdrv_co_block_status(s->disk->bs, want_zero, offset, n, pnum,
                                   NULL, NULL);
        ret = ret < 0 ? ret : ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO);
    }
    range_lock_unlock(&s->disk_lock, &hold);
    return ret;
}
