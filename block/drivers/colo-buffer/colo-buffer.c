/*
 * colo-buffer: the layers of a COLO secondary in memory
 *
 * A node over the secondary disk.  What its guest writes is held in the layer
 * `active`; what the primary overwrites in the disk is first copied to the
 * layer `hidden`; the view is the one over the other over the disk, exact to
 * the sector.  A checkpoint exchanges both layers for empty ones, whatever
 * they hold.  A failover writes them into the disk while the guest goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/drivers.h"

#include "colo-buffer-int.h"
#include "util/trace.h"

#define DEFAULT_MAX_MEMORY (1 * GiB)

/*
 * Above the high mark there is room for what is on its way: a primary's
 * window by default has 8 MiB in 256 requests, each of which may touch two
 * blocks in part; and each layer may just have begun a chunk.
 */
#define MIN_RESERVE (8 * MiB + 256 * 2 * COLO_BLOCK_SIZE + \
                     2 * ARENA_CHUNK_SIZE)
#define MIN_MAX_MEMORY (16 * ARENA_CHUNK_SIZE)
#define RESERVE_CHUNKS (MIN_RESERVE / ARENA_CHUNK_SIZE)

/* State */

void colo_buffer_set_mode(ColoBuffer *s, ColoBufferMode mode)
{
    static const bool legal[4][4] = {
        /* to:                     HOLD   MERGE  FAILED PASS */
        [COLO_BUFFER_HOLD]         = { true,  true,  false, false },
        [COLO_BUFFER_MERGE]        = { false, true,  true,  true },
        [COLO_BUFFER_MERGE_FAILED] = { false, true,  true,  false },
        [COLO_BUFFER_PASS]         = { true,  false, false, true },
    };

    g_assert(legal[s->mode][mode]);
    trace_event(colo_buffer_set_mode, "node %s %d -> %d", s->bs->node_name,
                s->mode, mode);
    s->mode = mode;
}

/* In chunks, as the limit is: nobody else gets the rest of one. */
int64_t colo_buffer_used(const ColoBuffer *s)
{
    return (int64_t)ARENA_CHUNK_SIZE *
           (layer_chunks(s->active) + layer_chunks(s->hidden));
}

static void check_mark(ColoBuffer *s)
{
    if (G_UNLIKELY(!s->high_reported &&
                   colo_buffer_used(s) >= s->high_bytes)) {
        s->high_reported = true;
        if (s->observer.high_mark) {
            s->observer.high_mark(s->observer.opaque);
        }
    }
}

void colo_buffer_error(ColoBuffer *s, const char *what, int64_t offset,
                       int ret)
{
    if (s->observer.error) {
        s->observer.error(s->observer.opaque, what, offset, ret);
    }
}

int colo_buffer_reserve(ColoBuffer *s, Layer *layer, int64_t offset,
                        int64_t bytes)
{
    int ret = layer_reserve(layer, &s->storage, offset, bytes);

    check_mark(s);
    return ret;
}

/* Layers come and go */

typedef struct Retired {
    ColoBuffer *s;
    Layer *active, *hidden;
} Retired;

static void free_retired(void *opaque)
{
    Retired *old = opaque;

    layer_free(old->active, &old->s->storage);
    layer_free(old->hidden, &old->s->storage);
    bdrv_dec_in_flight(old->s->bs);
    g_free(old);
}

/* Freeing takes as long as there was much to hold: not here and now. */
static void exchange_layers(ColoBuffer *s, Layer *active, Layer *hidden)
{
    Retired *old = g_new(Retired, 1);

    *old = (Retired) { .s = s, .active = s->active, .hidden = s->hidden };
    s->active = active;
    s->hidden = hidden;
    s->high_reported = false;
    bdrv_inc_in_flight(s->bs);
    aio_bh_schedule_oneshot(s->bs->ctx, free_retired, old);
}

/* Own writes leave the reserve: a forward that finds no room is the end. */
static Layer *active_new(void)
{
    return layer_new(RESERVE_CHUNKS);
}

static Layer *hidden_new(void)
{
    return layer_new(0);
}

void colo_buffer_forget(ColoBuffer *s)
{
    exchange_layers(s, active_new(), hidden_new());
}

static bool coroutine_fn colo_buffer_start(BlockDriverState *bs,
                                           const ColoLayersObserver *observer,
                                           GError **errp)
{
    ColoBuffer *s = bs->opaque;

    s->observer = *observer;
    colo_buffer_forget(s);
    colo_buffer_set_mode(s, COLO_BUFFER_HOLD);
    return true;
}

static bool coroutine_fn colo_buffer_prepare(BlockDriverState *bs,
                                             GError **errp)
{
    ColoBuffer *s = bs->opaque;

    g_assert(!s->next_active);
    s->next_active = active_new();
    s->next_hidden = hidden_new();
    return true;
}

static void colo_buffer_do_checkpoint(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    exchange_layers(s, g_steal_pointer(&s->next_active),
                    g_steal_pointer(&s->next_hidden));
}

static void colo_buffer_abort_checkpoint(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    layer_free(g_steal_pointer(&s->next_active), &s->storage);
    layer_free(g_steal_pointer(&s->next_hidden), &s->storage);
}

static void colo_buffer_drop(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    colo_buffer_forget(s);
    s->observer = (ColoLayersObserver) { 0 };
}

static RangeLock *colo_buffer_disk_lock(BlockDriverState *bs)
{
    return &((ColoBuffer *)bs->opaque)->disk_lock;
}

static int64_t colo_buffer_copy_unit(BlockDriverState *bs)
{
    return bs->bl.request_alignment;
}

static void colo_buffer_usage(BlockDriverState *bs, ColoLayersUsage *usage)
{
    ColoBuffer *s = bs->opaque;

    *usage = (ColoLayersUsage) {
        .active_bytes = s->active->bytes,
        .hidden_bytes = s->hidden->bytes,
        .memory_bytes = layer_memory_used(s->active) +
                        layer_memory_used(s->hidden),
        .spill_bytes = (int64_t)COLO_BLOCK_SIZE * (s->active->spill_slots +
                                                   s->hidden->spill_slots),
        .max_bytes = s->max_bytes,
        .used_bytes = colo_buffer_used(s),
        .high = colo_buffer_used(s) >= s->high_bytes,
    };
}

static const ColoLayersOps layers_ops = {
    .start = colo_buffer_start,
    .before_write = colo_buffer_before_write,
    .disk_lock = colo_buffer_disk_lock,
    .copy_unit = colo_buffer_copy_unit,
    .prepare_checkpoint = colo_buffer_prepare,
    .do_checkpoint = colo_buffer_do_checkpoint,
    .abort_checkpoint = colo_buffer_abort_checkpoint,
    .drop = colo_buffer_drop,
    .begin_merge = colo_buffer_begin_merge,
    .merge = colo_buffer_merge,
    .cancel_merge = colo_buffer_cancel_merge,
    .set_merge_speed = colo_buffer_set_merge_speed,
    .merge_progress = colo_buffer_merge_progress,
    .usage = colo_buffer_usage,
};

/* Life */

static uint64_t default_max_memory(void)
{
    int64_t ram = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

    return MAX(MIN(DEFAULT_MAX_MEMORY, ram / 8), MIN_MAX_MEMORY);
}

static bool open_disk(ColoBuffer *s, const BlockdevRef *ref, GError **errp)
{
    int64_t length;

    s->disk = bdrv_co_open_child(s->bs, ref, "backing", BDRV_CHILD_DATA, errp);
    if (!s->disk) {
        return false;
    }
    s->bs->backing = s->disk;
    length = bdrv_getlength(s->disk->bs);
    if (length % COLO_SECTOR_SIZE) {
        error_setg(errp, "colo-buffer needs a disk whose length is a multiple "
                   "of %d bytes, node '%s' has %" PRId64, COLO_SECTOR_SIZE,
                   s->disk->bs->node_name, length);
        return false;
    }
    return true;
}

/* Both layers at their largest, unless told otherwise. */
static int64_t max_spill(const ColoBuffer *s,
                         const BlockdevOptionsColoBuffer *o)
{
    if (o->has_max_spill) {
        return MIN(o->max_spill, INT64_MAX);
    }
    return 2 * s->disk->bs->total_bytes;
}

static bool coroutine_fn colo_buffer_co_open(BlockDriverState *bs,
                                             const BlockdevOptions *options,
                                             GError **errp)
{
    const BlockdevOptionsColoBuffer *o = &options->u.colo_buffer;
    ColoBuffer *s = bs->opaque;
    uint64_t memory = o->has_max_memory ? o->max_memory
                                        : default_max_memory();

    s->bs = bs;
    s->mode = COLO_BUFFER_HOLD;
    bs->unmap = true;           /* the guest asks and the disk decides */
    bs->supported_zero_flags = BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK;
    range_lock_init(&s->disk_lock);
    co_queue_init(&s->merged);
    co_queue_init(&s->own_idle);
    co_queue_init(&s->drained);
    if (memory < (uint64_t)MIN_MAX_MEMORY) {
        error_setg(errp, "Parameter 'max-memory' must be at least %" PRId64
                   " bytes", MIN_MAX_MEMORY);
        return false;
    }
    if (o->has_max_spill && !o->spill_file) {
        error_setg(errp, "Parameter 'max-spill' needs 'spill-file'");
        return false;
    }
    if (!open_disk(s, o->backing, errp) ||
        !storage_open(&s->storage, bs->ctx, MIN(memory, INT64_MAX),
                      o->spill_file, max_spill(s, o), errp)) {
        return false;
    }
    s->max_bytes = ((int64_t)s->storage.max_memory_chunks +
                    s->storage.max_spill_chunks) * ARENA_CHUNK_SIZE;
    s->high_bytes = s->max_bytes - MAX(s->max_bytes / 4, MIN_RESERVE);
    s->active = active_new();
    s->hidden = hidden_new();
    return true;
}

static void coroutine_fn colo_buffer_co_close(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    layer_free(s->active, &s->storage);
    layer_free(s->hidden, &s->storage);
    storage_co_close(&s->storage);
    bs->backing = NULL;
}

static int64_t coroutine_fn colo_buffer_co_getlength(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    return bdrv_getlength(s->disk->bs);
}

static void colo_buffer_refresh_limits(BlockDriverState *bs)
{
    bs->bl.request_alignment = MAX(bs->bl.request_alignment, COLO_SECTOR_SIZE);
    /* Its own memory takes any request; the disk is asked through the core. */
    bs->bl.max_transfer = 0;
    bs->bl.max_iov = 0;
    bs->bl.min_mem_alignment = 0;
}

static void colo_buffer_drain_end(BlockDriverState *bs)
{
    ColoBuffer *s = bs->opaque;

    co_queue_restart_all(&s->drained);
}

/*
 * The primary writes to the disk too, so others may write; the merge must be
 * able to, and a size that changes under the layers would be the end of them.
 */
static void colo_buffer_child_perm(BlockDriverState *bs, BdrvChild *child,
                                   BdrvChildRole role, uint64_t perm,
                                   uint64_t shared, uint64_t *nperm,
                                   uint64_t *nshared)
{
    *nperm = BLK_PERM_CONSISTENT_READ;
    if (!bs->read_only) {
        *nperm |= BLK_PERM_WRITE;
    }
    *nshared = BLK_PERM_ALL & ~(uint64_t)BLK_PERM_RESIZE;
}

const BlockDriver bdrv_colo_buffer = {
    .format_name = "colo-buffer",
    .type = BLOCKDEV_DRIVER_COLO_BUFFER,
    .instance_size = sizeof(ColoBuffer),

    .bdrv_co_open = colo_buffer_co_open,
    .bdrv_co_close = colo_buffer_co_close,
    .bdrv_co_getlength = colo_buffer_co_getlength,
    .bdrv_refresh_limits = colo_buffer_refresh_limits,

    .bdrv_co_preadv = colo_view_co_preadv,
    .bdrv_co_pwritev = colo_view_co_pwritev,
    .bdrv_co_pwrite_zeroes = colo_view_co_pwrite_zeroes,
    .bdrv_co_pdiscard = colo_view_co_pdiscard,
    .bdrv_co_flush = colo_view_co_flush,
    .bdrv_co_block_status = colo_view_co_block_status,

    .bdrv_drain_end = colo_buffer_drain_end,
    .bdrv_child_perm = colo_buffer_child_perm,
    .colo_layers = &layers_ops,
};
