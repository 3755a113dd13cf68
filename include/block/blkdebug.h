/*
 * Suspending requests at chosen points: blkdebug's breakpoints
 *
 * What qemu-io's break, resume, wait_break and remove_break call.  Each acts
 * on the first blkdebug node found from @bs downwards; without one it returns
 * -ENOTSUP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_BLKDEBUG_H
#define BLOCK_BLKDEBUG_H

#include "block/driver.h"

/*
 * Suspend the next request that comes by @event, under the name @tag.
 * -ENOENT: there is no such event.
 */
int blkdebug_breakpoint(BlockDriverState *bs, const char *event,
                        const char *tag);

/* Take back all breakpoints of @tag and resume what they have suspended. */
int blkdebug_remove_breakpoint(BlockDriverState *bs, const char *tag);

/* Let one request suspended as @tag go on.  -ENOENT: there is none. */
int blkdebug_resume(BlockDriverState *bs, const char *tag);

bool blkdebug_is_suspended(BlockDriverState *bs, const char *tag);

/* Wait until a request is suspended as @tag; hold a reference on @bs. */
int coroutine_fn blkdebug_co_wait_break(BlockDriverState *bs,
                                        const char *tag);

#endif
