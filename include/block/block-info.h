/*
 * What nodes and backends tell of themselves
 *
 * Results are freed with qapi_free_*.  The caller holds references where a
 * function is a coroutine_fn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_BLOCK_INFO_H
#define BLOCK_BLOCK_INFO_H

#include "block/block-backend.h"

/*
 * @bs, with the limits of @blk (may be NULL).  @flat leaves out what lies
 * below backing nodes.
 */
BlockDeviceInfo *coroutine_fn
bdrv_block_device_info(BlockBackend *blk, BlockDriverState *bs, bool flat);

/* A drive */
BlockInfo *coroutine_fn blk_block_info(BlockBackend *blk);

/* Statistics of a backend and the nodes below it; of a node by itself. */
BlockStats *blk_block_stats(BlockBackend *blk);
BlockStats *bdrv_block_stats(BlockDriverState *bs);

#endif
