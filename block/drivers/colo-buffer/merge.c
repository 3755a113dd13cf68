/*
 * colo-buffer: the merge after a failover
 *
 * First the guest's own writes, then the before-images, each in the order of
 * the disk.  A range is written under an exclusive hold and then forgotten, so
 * the view is right at every moment; what fails stays held and shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "colo-buffer-int.h"

#include "util/thread-pool.h"

/* Bytes written at a time: sequential, yet the guest is never kept waiting. */
#define MERGE_CHUNK (1 * MiB)
/* Table positions looked at before others run. */
#define COLLECT_SLICE 65536
/* Blocks whose order is found faster than a thread is woken. */
#define SORT_INLINE 1024

/* Which blocks there are, in order */

typedef struct BlockList {
    uint64_t *blocks;
    size_t n;
} BlockList;

static int compare_blocks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int sort_blocks(void *opaque)
{
    BlockList *list = opaque;

    qsort(list->blocks, list->n, sizeof(list->blocks[0]), compare_blocks);
    return 0;
}

/* Nothing is inserted meanwhile: writes only replace what is held. */
static void coroutine_fn collect(Layer *layer, BlockList *list)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    size_t pos = 0, pause = COLLECT_SLICE;
    TableEntry *entry;

    while ((entry = table_next(&layer->table, &pos))) {
        if (entry->mask) {
            g_array_append_val(blocks, entry->block);
        }
        if (pos >= pause) {
            pause = pos + COLLECT_SLICE;
            co_reschedule_self();
        }
    }
    list->n = blocks->len;
    list->blocks = (uint64_t *)g_array_free(blocks, FALSE);
    if (list->n > SORT_INLINE) {
        thread_pool_submit_co(sort_blocks, list);
    } else if (list->n > 0) {
        sort_blocks(list);
    }
}

/* One range */

static int coroutine_fn write_range(ColoBuffer *s, Layer *layer,
                                    int64_t offset, int64_t bytes)
{
    g_auto(IOVector) qiov = { 0 };
    void *buf = NULL;
    int ret = 0;

    iov_init(&qiov, bytes / COLO_BLOCK_SIZE + 2);
    if (!layer_map(layer, offset, bytes, &qiov)) {
        buf = bdrv_blockalign(s->disk->bs, bytes);
        iov_add(&qiov, buf, bytes);
        ret = layer_co_rw(layer, &s->storage, offset, bytes, &qiov, 0, false);
    }
    if (ret >= 0) {
        ret = bdrv_co_pwritev(s->disk, offset, bytes, &qiov, 0);
    }
    if (ret < 0) {
        colo_buffer_error(s, "disk", offset, ret);
    }
    g_aligned_free(buf);
    return ret;
}

/*
 * Merge what @layer holds from @offset on, up to @bytes.  Sets *@done to how
 * far this got.
 */
static int coroutine_fn merge_range(ColoBuffer *s, Layer *layer,
                                    int64_t offset, int64_t bytes,
                                    int64_t *done)
{
    RangeLockHold hold;
    bool held;
    int64_t n;
    int ret = 0;

    range_lock_co_lock(&s->disk_lock, &hold, offset, bytes, true);
    n = layer_run(layer, offset, bytes, &held);
    if (held) {
        ret = write_range(s, layer, offset, n);
        if (ret >= 0) {
            /* Own writes win over before-images of the same place. */
            layer_unmark(s->hidden, offset, n);
            if (layer == s->active) {
                layer_unmark(s->active, offset, n);
            }
        }
    }
    range_lock_unlock(&s->disk_lock, &hold);
    *done = n;
    return ret;
}

/*
 * Between two chunks: cancellation, the speed limit, drains.  None of these
 * waits is in flight, for a drain must not wait for them.  While it waits for
 * a flush, which waits for us, we go on.
 */
static int coroutine_fn pause_point(ColoBuffer *s, int64_t bytes)
{
    bdrv_dec_in_flight(s->bs);
    if (s->speed > 0 && !s->flushes && !s->cancel) {
        co_sleep_ns_wakeable(&s->pause,
                             bytes * NANOSECONDS_PER_SECOND / s->speed);
    }
    while (s->bs->quiesce_counter && !s->flushes && !s->cancel) {
        co_queue_wait(&s->drained);
    }
    bdrv_inc_in_flight(s->bs);
    return s->cancel ? -ECANCELED : 0;
}

void colo_buffer_wake_merge(ColoBuffer *s)
{
    co_sleep_wake(&s->pause);
    co_queue_restart_all(&s->drained);
}

static void update_progress(ColoBuffer *s)
{
    int64_t left = s->active->bytes + s->hidden->bytes;

    s->progress.done = MAX(s->progress.total - left, 0);
}

/* From @block on as far as blocks follow each other, at most a chunk. */
static int64_t chunk_at(const BlockList *list, size_t i)
{
    int64_t bytes = COLO_BLOCK_SIZE;

    while (i + 1 < list->n && bytes < MERGE_CHUNK &&
           list->blocks[i + 1] == list->blocks[i] + 1) {
        bytes += COLO_BLOCK_SIZE;
        i++;
    }
    return bytes;
}

static int coroutine_fn merge_chunk(ColoBuffer *s, Layer *layer,
                                    int64_t offset, int64_t bytes)
{
    int64_t end = MIN(offset + bytes, ROUND_UP(s->bs->total_bytes,
                                               COLO_SECTOR_SIZE));

    while (offset < end) {
        int64_t n;
        int ret = merge_range(s, layer, offset, end - offset, &n);

        if (ret < 0) {
            return ret;
        }
        offset += n;
    }
    return 0;
}

static int coroutine_fn merge_layer(ColoBuffer *s, Layer *layer)
{
    BlockList list;
    int ret = 0;

    collect(layer, &list);
    for (size_t i = 0; i < list.n && ret >= 0;) {
        int64_t bytes = chunk_at(&list, i);

        ret = merge_chunk(s, layer,
                          (int64_t)list.blocks[i] << COLO_BLOCK_BITS, bytes);
        i += bytes / COLO_BLOCK_SIZE;
        update_progress(s);
        if (ret >= 0) {
            ret = pause_point(s, bytes);
        }
    }
    g_free(list.blocks);
    if (layer == s->active && layer_is_empty(layer)) {
        co_queue_restart_all(&s->merged);
    }
    return ret;
}

/* The whole */

void colo_buffer_begin_merge(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    s->progress = (ColoMergeProgress) {
        .total = s->active->bytes + s->hidden->bytes,
    };
    s->settling = true;
    s->active->leave = 0;       /* nothing is forwarded any more */
    colo_buffer_set_mode(s, COLO_BUFFER_MERGE);
    /* Until now a flush meant: in active, which is all there was. */
    bdrv_mark_unflushed(bs);
}

/*
 * What was being put into the layers when the failover came is there, or has
 * failed: before-images, and own writes on their way to the spill file.  The
 * disk may take long for the forwards that it is busy with: meanwhile the
 * guest's writes are still held, so that they do not have to wait for it.
 */
static void coroutine_fn settle(ColoBuffer *s)
{
    range_lock_co_settle(&s->disk_lock);
    s->settling = false;
    while (s->own_writes) {
        co_queue_wait(&s->own_idle);
    }
    s->progress.total = MAX(s->progress.total,
                            s->active->bytes + s->hidden->bytes);
}

int coroutine_fn colo_buffer_merge(BlockDriverState *bs, int64_t speed)
{
    ColoBuffer *s = bs->opaque;
    int ret;

    g_assert(!s->merging);
    s->merging = true;
    s->cancel = false;
    s->speed = speed;
    colo_buffer_set_mode(s, COLO_BUFFER_MERGE);
    bdrv_inc_in_flight(bs);
    settle(s);
    ret = merge_layer(s, s->active);
    if (ret >= 0) {
        ret = merge_layer(s, s->hidden);
    }
    if (ret >= 0) {
        g_assert(layer_is_empty(s->active) && layer_is_empty(s->hidden));
        ret = bdrv_co_flush(s->disk->bs);
    }
    s->merging = false;
    if (ret >= 0) {
        /* Nobody reads from a layer that holds nothing, or writes to it. */
        colo_buffer_forget(s);
    }
    colo_buffer_set_mode(s, ret < 0 ? COLO_BUFFER_MERGE_FAILED
                                    : COLO_BUFFER_PASS);
    co_queue_restart_all(&s->merged);
    bdrv_dec_in_flight(bs);
    return ret;
}

void colo_buffer_cancel_merge(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    s->cancel = true;
    colo_buffer_wake_merge(s);
}

void colo_buffer_set_merge_speed(BlockDriverState *bs, int64_t speed)
{
    ColoBuffer *s = bs->opaque;

    s->speed = speed;
    co_sleep_wake(&s->pause);
}

void colo_buffer_merge_progress(BlockDriverState *bs,
                                ColoMergeProgress *progress)
{
    *progress = ((ColoBuffer *)bs->opaque)->progress;
}
