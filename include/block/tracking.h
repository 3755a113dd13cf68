/*
 * Private to block/: requests in flight on a node
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_TRACKING_H
#define BLOCK_TRACKING_H

#include "block/driver.h"

/*
 * Track a request over [@offset, @offset + @bytes), @bytes > 0, rounded to
 * @align.  Waits for overlapping serialising requests, and if @serialising
 * for every overlapping one.  @req lives on the caller's stack.
 */
void coroutine_fn tracked_request_begin(BdrvTrackedRequest *req,
                                        BlockDriverState *bs, int type,
                                        int64_t offset, int64_t bytes,
                                        uint32_t align, bool serialising);
void tracked_request_end(BdrvTrackedRequest *req);

#endif
