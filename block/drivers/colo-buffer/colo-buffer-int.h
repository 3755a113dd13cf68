/*
 * Inside of the colo-buffer driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_BUFFER_INT_H
#define COLO_BUFFER_INT_H

#include "block/colo-layers.h"
#include "block/driver.h"
#include "layer.h"
#include "util/aio.h"

typedef enum ColoBufferMode {
    /* Guest's writes go to active. */
    COLO_BUFFER_HOLD,
    /* After a failover: what is held is being written to the disk. */
    COLO_BUFFER_MERGE,
    /* A merge failed: what is held stays held, the rest goes to the disk. */
    COLO_BUFFER_MERGE_FAILED,
    /* Nothing is held, everything goes to the disk. */
    COLO_BUFFER_PASS,
} ColoBufferMode;

typedef struct ColoBuffer {
    /* Constant after open */
    BlockDriverState *bs;
    BdrvChild *disk;
    Storage storage;
    int64_t max_bytes, high_bytes;      /* limit and high mark, in bytes */

    /* One setter: colo_buffer_set_mode() */
    ColoBufferMode mode;

    /*
     * Every access to the disk that depends on a look-up in a layer, and every
     * change of the disk, holds its range.
     */
    RangeLock disk_lock;
    Layer *active, *hidden;
    Layer *next_active, *next_hidden;   /* prepared for the next epoch */
    unsigned own_writes;        /* of the guest, that are to be held */
    CoQueue own_idle;           /* a merge waits for there to be none */
    bool high_reported;
    ColoLayersObserver observer;        /* zeroed without one */

    /* Merge */
    ColoMergeProgress progress;
    int64_t speed;              /* bytes per second, 0: unlimited */
    bool settling;              /* forwards are in flight still */
    bool merging;               /* merge runs */
    bool cancel;                /* and has to end */
    CoQueue drained;            /* it waits for the end of a drain */
    unsigned flushes;           /* that wait for active: no speed limit */
    CoSleep pause;              /* of a limited merge */
    CoQueue merged;             /* flushes: woken when active is empty, or at
                                   the end of a merge */
} ColoBuffer;

void colo_buffer_set_mode(ColoBuffer *s, ColoBufferMode mode);

/* Bytes that the layers have taken of max_bytes. */
int64_t colo_buffer_used(const ColoBuffer *s);
void colo_buffer_error(ColoBuffer *s, const char *what, int64_t offset,
                       int ret);

/* Have slots in @layer, or -ENOSPC.  Says so at the high mark. */
int colo_buffer_reserve(ColoBuffer *s, Layer *layer, int64_t offset,
                        int64_t bytes);

/* Both layers are empty; what they took goes back in the background. */
void colo_buffer_forget(ColoBuffer *s);

/* view.c: the guest's requests */
int coroutine_fn colo_view_co_preadv(BlockDriverState *bs, int64_t offset,
                                     int64_t bytes, IOVector *qiov,
                                     BdrvRequestFlags flags);
int coroutine_fn colo_view_co_pwritev(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags);
int coroutine_fn colo_view_co_pwrite_zeroes(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            BdrvRequestFlags flags);
int coroutine_fn colo_view_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes);
int coroutine_fn colo_view_co_flush(BlockDriverState *bs);
int coroutine_fn colo_view_co_block_status(BlockDriverState *bs,
                                           bool want_zero, int64_t offset,
                                           int64_t bytes, int64_t *pnum,
                                           int64_t *map,
                                           BlockDriverState **file);

/* before-image.c */
int coroutine_fn colo_buffer_before_write(BlockDriverState *bs,
                                          int64_t offset, int64_t bytes);

/* merge.c */
void colo_buffer_begin_merge(BlockDriverState *bs);
int coroutine_fn colo_buffer_merge(BlockDriverState *bs, int64_t speed);
void colo_buffer_cancel_merge(BlockDriverState *bs);
void colo_buffer_set_merge_speed(BlockDriverState *bs, int64_t speed);
void colo_buffer_merge_progress(BlockDriverState *bs,
                                ColoMergeProgress *progress);
/* Whatever it waits for between two chunks: look again. */
void colo_buffer_wake_merge(ColoBuffer *s);

#endif
