/*
 * Block status: where data is, where zeroes are, in which layer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/io.h"

#include "block/io-int.h"

/* What one layer says about an aligned range. */
typedef struct LayerStatus {
    int ret;
    int64_t pnum;
    int64_t map;
    BlockDriverState *file;
} LayerStatus;

static LayerStatus default_status(BlockDriverState *bs, int64_t offset,
                                  int64_t bytes)
{
    /* A layer that only passes on: ask the one below. */
    if (!bs->drv->bdrv_co_preadv && !bs->drv->bdrv_co_pwritev && bs->file) {
        return (LayerStatus) {
            .ret = BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID,
            .pnum = bytes, .map = offset, .file = bs->file->bs,
        };
    }
    return (LayerStatus) {
        .ret = BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED |
               (bs->drv->is_protocol ? BDRV_BLOCK_OFFSET_VALID : 0),
        .pnum = bytes, .map = offset, .file = bs,
    };
}

/* A block with both in it, and an unknown rest of a block, is data. */
static void round_to_blocks(LayerStatus *st, int64_t align)
{
    bool is_data = (st->ret & BDRV_BLOCK_DATA) && !(st->ret & BDRV_BLOCK_ZERO);

    if (IS_ALIGNED(st->pnum, align)) {
        return;
    }
    if (!is_data && st->pnum > align) {
        st->pnum = ROUND_DOWN(st->pnum, align);
        return;
    }
    st->pnum = ROUND_UP(st->pnum, align);
    st->ret = (st->ret & ~BDRV_BLOCK_ZERO) | BDRV_BLOCK_DATA;
}

static LayerStatus coroutine_fn driver_status(BlockDriverState *bs,
                                              bool want_zero, int64_t offset,
                                              int64_t bytes)
{
    int64_t align = bs->bl.request_alignment;
    int64_t start = ROUND_DOWN(offset, align);
    int64_t end = ROUND_UP(offset + bytes, align);
    LayerStatus st = { .pnum = 0 };

    if (!bs->drv->bdrv_co_block_status) {
        return default_status(bs, offset, bytes);
    }
    st.ret = bs->drv->bdrv_co_block_status(bs, want_zero, start, end - start,
                                           &st.pnum, &st.map, &st.file);
    if (st.ret < 0) {
        return st;
    }
    g_assert(st.pnum > 0);
    round_to_blocks(&st, align);
    st.pnum = MIN(st.pnum - (offset - start), bytes);
    if (st.ret & BDRV_BLOCK_OFFSET_VALID) {
        st.map += offset - start;
    }
    if (st.ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO)) {
        st.ret |= BDRV_BLOCK_ALLOCATED;
    }
    return st;
}

/* One layer, and through it where it says RAW. */
static LayerStatus coroutine_fn layer_status(BlockDriverState *bs,
                                             bool want_zero, int64_t offset,
                                             int64_t bytes)
{
    LayerStatus st;

    if (offset >= bs->total_bytes) {
        return (LayerStatus) { .ret = BDRV_BLOCK_EOF };
    }
    bytes = MIN(bytes, bs->total_bytes - offset);

    bdrv_inc_in_flight(bs);
    st = driver_status(bs, want_zero, offset, bytes);
    if (st.ret >= 0 && (st.ret & BDRV_BLOCK_RAW)) {
        g_assert(st.ret & BDRV_BLOCK_OFFSET_VALID && st.file);
        st = layer_status(st.file, want_zero, st.map, st.pnum);
        if (st.ret >= 0 && st.pnum == 0) {
            /* The file ends before the node does. */
            st = (LayerStatus) {
                .ret = BDRV_BLOCK_ZERO | BDRV_BLOCK_ALLOCATED, .pnum = bytes,
            };
        }
        st.ret = st.ret < 0 ? st.ret : st.ret & ~BDRV_BLOCK_EOF;
    }
    if (st.ret >= 0 && offset + st.pnum >= bs->total_bytes) {
        st.ret |= BDRV_BLOCK_EOF;
    }
    bdrv_dec_in_flight(bs);
    return st;
}

int coroutine_fn bdrv_co_block_status(BlockDriverState *bs, bool want_zero,
                                      int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map,
                                      BlockDriverState **file)
{
    BlockDriverState *layer = bs;
    LayerStatus st;
    int ret = bdrv_check_range(offset, bytes);

    *pnum = 0;
    if (ret < 0) {
        return ret;
    }
    for (;;) {
        st = layer_status(layer, want_zero, offset, bytes);
        if (st.ret < 0) {
            return st.ret;
        }
        if (st.pnum == 0 && layer != bs) {
            /* The backing is shorter: zeroes up to what was asked for. */
            st.ret = BDRV_BLOCK_ZERO | BDRV_BLOCK_ALLOCATED;
            st.pnum = bytes;
        }
        if ((st.ret & BDRV_BLOCK_ALLOCATED) || st.pnum == 0) {
            break;
        }
        layer = bdrv_skip_filters(layer);
        if (!layer->backing) {
            /* What a protocol does not hold need not read as zeroes. */
            st.ret |= layer->drv->is_protocol ? 0 : BDRV_BLOCK_ZERO;
            break;
        }
        bytes = st.pnum;
        layer = layer->backing->bs;
    }

    *pnum = st.pnum;
    if (offset + st.pnum < bs->total_bytes) {
        st.ret &= ~BDRV_BLOCK_EOF;
    } else {
        st.ret |= BDRV_BLOCK_EOF;
    }
    if (map) {
        *map = st.map;
    }
    if (file) {
        *file = st.file;
    }
    return st.ret;
}

int coroutine_fn bdrv_co_allocation_depth(BlockDriverState *bs,
                                          int64_t offset, int64_t bytes,
                                          int64_t *pnum)
{
    BlockDriverState *layer = bdrv_skip_filters(bs);
    int depth = 1;

    *pnum = 0;
    if (offset >= bs->total_bytes) {
        return 0;
    }
    bytes = MIN(bytes, bs->total_bytes - offset);
    for (;;) {
        LayerStatus st = layer_status(layer, false, offset, bytes);

        if (st.ret < 0) {
            return st.ret;
        }
        if (st.ret & BDRV_BLOCK_ALLOCATED) {
            *pnum = st.pnum;
            return depth;
        }
        bytes = st.pnum ? st.pnum : bytes;
        if (st.pnum == 0 || !layer->backing) {
            *pnum = bytes;
            return 0;
        }
        layer = bdrv_skip_filters(layer->backing->bs);
        depth++;
    }
}
