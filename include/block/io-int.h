/*
 * Private to block/: the steps of the request path
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_IO_INT_H
#define BLOCK_IO_INT_H

#include "block/tracking.h"

/*
 * A request's unaligned ends: read, merged and written as whole blocks.
 */
typedef struct BdrvPadding {
    uint8_t *buf;               /* head block, then tail block unless merged */
    size_t buf_len;
    int64_t align;              /* at first: it may become smaller */
    int64_t head, tail;         /* bytes in front of and behind the request */
    bool merged;                /* head and tail are in one block */
    IOVector qiov;              /* head, the caller's data, tail */
} BdrvPadding;

/* Set up @pad for a request not aligned to bs->bl.request_alignment. */
void bdrv_padding_init(BdrvPadding *pad, BlockDriverState *bs, int64_t offset,
                       int64_t bytes, const IOVector *qiov);
void bdrv_padding_destroy(BdrvPadding *pad);

/* Read the blocks in @pad that the request covers in part. */
int coroutine_fn bdrv_padding_co_read(BlockDriverState *bs, BdrvPadding *pad,
                                      int64_t offset, int64_t bytes);

/*
 * Requests whose offset and length are aligned, tracked by the caller.  They
 * split at the driver's limits and bounce memory that it cannot take.
 */
int coroutine_fn bdrv_aligned_co_preadv(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes, IOVector *qiov,
                                        BdrvRequestFlags flags);
/* @qiov NULL with BDRV_REQ_ZERO_WRITE: zeroes. */
int coroutine_fn bdrv_aligned_co_pwritev(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes, IOVector *qiov,
                                         BdrvRequestFlags flags);
int coroutine_fn bdrv_aligned_co_pwrite_zeroes(BlockDriverState *bs,
                                               int64_t offset, int64_t bytes,
                                               BdrvRequestFlags flags);

/* -EINVAL unless the range is sane (it may lie behind the end). */
int bdrv_check_range(int64_t offset, int64_t bytes);

/* Call the before-write notifiers of @req's node. */
int coroutine_fn bdrv_co_notify_before_write(BdrvTrackedRequest *req);

/*
 * The request has come to a point that blkdebug can act on: at @bs itself,
 * unlike bdrv_co_debug_event(), since each layer has these points.
 */
static inline void coroutine_fn bdrv_co_own_event(BlockDriverState *bs,
                                                  const char *event)
{
    if (G_UNLIKELY(bs->drv->bdrv_co_debug_event)) {
        bs->drv->bdrv_co_debug_event(bs, event);
    }
}

/* A write, write-zeroes or discard has changed (or may have) the node. */
void bdrv_write_done(BlockDriverState *bs, int64_t offset, int64_t bytes);

#endif
