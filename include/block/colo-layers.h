/*
 * The two layers of a COLO secondary: what a driver that has them offers
 *
 * The secondary's guest sees `active` (its own writes since the checkpoint)
 * over `hidden` (before-images of what the primary overwrote) over the
 * secondary disk.  colo-buffer keeps both in memory; another form may keep
 * them in images.  The replication driver and the filter on the secondary
 * disk use them through this table and know nothing of the form.
 *
 * Everything runs in the thread of the node's AioContext.  @bs is the node
 * that has the layers, its backing is the secondary disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_COLO_LAYERS_H
#define BLOCK_COLO_LAYERS_H

#include "block/block-common.h"
#include "block/range-lock.h"

/* Bytes per layer: what is held, and what it costs in memory and in files. */
typedef struct ColoLayersUsage {
    int64_t active_bytes, hidden_bytes;
    int64_t memory_bytes, spill_bytes;
    int64_t max_bytes;          /* what both may take together */
    int64_t used_bytes;         /* and what they take of it */
    bool high;                  /* above the high mark: a checkpoint is due */
} ColoLayersUsage;

typedef struct ColoMergeProgress {
    int64_t done, total;        /* bytes; total grows while the guest writes */
} ColoMergeProgress;

/* What the owner (replication) wants to know. */
typedef struct ColoLayersObserver {
    /* The high mark was passed: ask for a checkpoint.  Once per epoch. */
    void (*high_mark)(void *opaque);
    /* An error of one layer or the disk.  @what: "active", "hidden", "disk". */
    void (*error)(void *opaque, const char *what, int64_t offset, int ret);
    void *opaque;
} ColoLayersObserver;

typedef struct ColoLayersOps {
    /*
     * Empty both layers and buffer from now on (until then @bs is a plain
     * overlay).  Fails, with nothing changed, if space for the first epoch
     * cannot be had.  Nothing is in flight.
     */
    bool coroutine_fn (*start)(BlockDriverState *bs,
                               const ColoLayersObserver *observer,
                               GError **errp);

    /*
     * A write of the primary to [@offset, @offset + @bytes) of the disk is
     * about to be done: hold the before-image of all of it that this epoch
     * does not hold.  The caller has the range of disk_lock() exclusively,
     * rounded outward to copy_unit(), until its disk write is done.  0, or
     * -errno with the disk untouched and the view intact.
     */
    int coroutine_fn (*before_write)(BlockDriverState *bs, int64_t offset,
                                     int64_t bytes);
    RangeLock *(*disk_lock)(BlockDriverState *bs);
    int64_t (*copy_unit)(BlockDriverState *bs);

    /*
     * Checkpoint.  prepare does all that can fail (empty layers for the next
     * epoch); then do, which cannot fail and does neither yield nor I/O, or
     * abort, which leaves the layers as they are.  Nothing is in flight.
     * Memory of the old layers is returned in the background.
     */
    bool coroutine_fn (*prepare_checkpoint)(BlockDriverState *bs,
                                            GError **errp);
    void (*do_checkpoint)(BlockDriverState *bs);
    void (*abort_checkpoint)(BlockDriverState *bs);

    /* Drop both layers: @bs then shows the disk.  Nothing is in flight. */
    void (*drop)(BlockDriverState *bs);

    /*
     * Failover.  Switches @bs to merging, at once: reads show the same as
     * before, writes of the guest go on meanwhile.  merge then writes active
     * and hidden into the disk, own writes first, and returns when both are
     * empty and the disk is flushed (0; @bs passes everything to the disk from
     * then on) or -errno: what is not merged is still held and shown, the
     * call may be repeated.  @speed: bytes per second, 0 unlimited, may be
     * changed by set_speed; a flush of @bs lifts the limit until own writes
     * are stable.
     */
    void (*begin_merge)(BlockDriverState *bs);
    int coroutine_fn (*merge)(BlockDriverState *bs, int64_t speed);
    /* Make a merge that runs return -ECANCELED soon. */
    void (*cancel_merge)(BlockDriverState *bs);
    void (*set_merge_speed)(BlockDriverState *bs, int64_t speed);
    void (*merge_progress)(BlockDriverState *bs, ColoMergeProgress *progress);

    void (*usage)(BlockDriverState *bs, ColoLayersUsage *usage);
} ColoLayersOps;

#endif
