/*
 * Requests to nodes
 *
 * Any coroutine of the node's AioContext.  Offsets and lengths are bytes and
 * need not be aligned.  All return 0 or -errno; a zero-length request
 * succeeds and does nothing (but for its FUA).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_IO_H
#define BLOCK_IO_H

#include "block/block-common.h"
#include "util/coroutine.h"

/* -EINVAL outside of the node, -EROFS/-EPERM where not permitted. */
int coroutine_fn bdrv_co_preadv(BdrvChild *child, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags);
int coroutine_fn bdrv_co_pwritev(BdrvChild *child, int64_t offset,
                                 int64_t bytes, IOVector *qiov,
                                 BdrvRequestFlags flags);
int coroutine_fn bdrv_co_pwrite_zeroes(BdrvChild *child, int64_t offset,
                                       int64_t bytes, BdrvRequestFlags flags);
int coroutine_fn bdrv_co_pdiscard(BdrvChild *child, int64_t offset,
                                  int64_t bytes);
int coroutine_fn bdrv_co_flush(BlockDriverState *bs);

/* The same over plain memory. */
int coroutine_fn bdrv_co_pread(BdrvChild *child, int64_t offset,
                               int64_t bytes, void *buf,
                               BdrvRequestFlags flags);
int coroutine_fn bdrv_co_pwrite(BdrvChild *child, int64_t offset,
                                int64_t bytes, const void *buf,
                                BdrvRequestFlags flags);

/*
 * Status of a range as the reader of @bs sees it: BDRV_BLOCK_* flags,
 * *pnum bytes from @offset (0 only at or past the end).  Looks through
 * filters and RAW layers; @map and @file may be NULL.
 */
int coroutine_fn bdrv_co_block_status(BlockDriverState *bs, bool want_zero,
                                      int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map,
                                      BlockDriverState **file);

/*
 * How many layers down from @bs (1: itself) the range is allocated, *pnum
 * bytes of it alike; 0 where no layer has it.
 */
int coroutine_fn bdrv_co_allocation_depth(BlockDriverState *bs,
                                          int64_t offset, int64_t bytes,
                                          int64_t *pnum);

/* The length in bytes, as last known; any context. */
int64_t bdrv_getlength(const BlockDriverState *bs);

/* Bytes that @bs takes up in storage, or -errno. */
int64_t coroutine_fn bdrv_co_allocated_size(BlockDriverState *bs);

/* Memory that is aligned for requests to @bs; free with g_aligned_free. */
void *bdrv_blockalign(BlockDriverState *bs, size_t bytes);

#endif
