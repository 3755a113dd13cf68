/*
 * Reads and writes: from a caller's request to aligned ones
 *
 * A request is checked, counted as in flight, tracked, padded to whole blocks
 * where it has to be (aligned.c does the rest) and ended in reverse order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/io.h"

#include "block/graph-int.h"
#include "block/io-int.h"

int bdrv_check_range(int64_t offset, int64_t bytes)
{
    if (offset < 0 || bytes < 0 || bytes > BDRV_MAX_LENGTH ||
        offset > BDRV_MAX_LENGTH - bytes) {
        return -EINVAL;
    }
    return 0;
}

static inline bool is_aligned(const BlockDriverState *bs, int64_t offset,
                              int64_t bytes)
{
    return ((offset | bytes) & (bs->bl.request_alignment - 1)) == 0;
}

/* Reads */

static int coroutine_fn padded_preadv(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags)
{
    BdrvPadding pad;
    int ret;

    bdrv_padding_init(&pad, bs, offset, bytes, qiov);
    ret = bdrv_aligned_co_preadv(bs, offset - pad.head,
                                 bytes + pad.head + pad.tail, &pad.qiov,
                                 flags);
    bdrv_padding_destroy(&pad);
    return ret;
}

int coroutine_fn bdrv_co_preadv(BdrvChild *child, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags)
{
    BlockDriverState *bs = child->bs;
    BdrvTrackedRequest req;
    int ret = bdrv_check_range(offset, bytes);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    bdrv_inc_in_flight(bs);
    tracked_request_begin(&req, bs, BDRV_TRACKED_READ, offset, bytes,
                          bs->bl.request_alignment, false);
    if (G_LIKELY(is_aligned(bs, offset, bytes))) {
        ret = bdrv_aligned_co_preadv(bs, offset, bytes, qiov, flags);
    } else {
        ret = padded_preadv(bs, offset, bytes, qiov, flags);
    }
    tracked_request_end(&req);
    bdrv_dec_in_flight(bs);
    return ret;
}

/* Writes */

void bdrv_add_before_write_notifier(BlockDriverState *bs,
                                    BdrvBeforeWriteNotifier *notifier)
{
    LIST_INSERT_HEAD(&bs->before_write_notifiers, notifier, link);
}

void bdrv_remove_before_write_notifier(BdrvBeforeWriteNotifier *notifier)
{
    LIST_REMOVE(notifier, link);
}

int coroutine_fn bdrv_co_notify_before_write(BdrvTrackedRequest *req)
{
    BdrvBeforeWriteNotifier *notifier, *next;

    LIST_FOREACH_SAFE(notifier, &req->bs->before_write_notifiers, link, next) {
        int ret = notifier->notify(notifier, req);

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

void bdrv_write_done(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    bs->write_gen++;
    bs->wr_highest_offset = MAX(bs->wr_highest_offset, offset + bytes);
    if (offset + bytes > bs->total_bytes) {
        bdrv_set_length(bs, offset + bytes);
    }
}

/* Data with unaligned ends: their blocks are read, merged and written. */
static int coroutine_fn padded_data(BlockDriverState *bs, int64_t offset,
                                    int64_t bytes, const IOVector *qiov,
                                    BdrvRequestFlags flags)
{
    BdrvPadding pad;
    int ret;

    bdrv_padding_init(&pad, bs, offset, bytes, qiov);
    ret = bdrv_padding_co_read(bs, &pad, offset, bytes);
    if (ret >= 0) {
        ret = bdrv_aligned_co_pwritev(bs, offset - pad.head,
                                      bytes + pad.head + pad.tail, &pad.qiov,
                                      flags);
    }
    bdrv_padding_destroy(&pad);
    return ret;
}

/* Zeroes within a block are data. */
static int coroutine_fn padded_zero_edge(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes, BdrvRequestFlags flags)
{
    g_autofree void *buf = g_malloc0(bytes);
    IOVector zeroes;

    iov_init_buf(&zeroes, buf, bytes);
    return padded_data(bs, offset, bytes, &zeroes, flags & BDRV_REQ_FUA);
}

/* Zeroes with unaligned ends: the whole blocks in between go the short way. */
static int coroutine_fn padded_zeroes(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, BdrvRequestFlags flags)
{
    uint32_t align = bs->bl.request_alignment;
    int64_t behind = offset + bytes;
    int64_t start = MIN(ROUND_UP(offset, align), behind);
    int64_t end = MAX(ROUND_DOWN(behind, align), start);
    int ret = 0;

    if (flags & BDRV_REQ_NO_FALLBACK) {
        return -ENOTSUP;
    }
    if (offset < start) {
        ret = padded_zero_edge(bs, offset, start - offset, flags);
    }
    if (ret >= 0 && start < end) {
        ret = bdrv_aligned_co_pwritev(bs, start, end - start, NULL,
                                      flags | BDRV_REQ_ZERO_WRITE);
    }
    if (ret >= 0 && end < behind) {
        ret = padded_zero_edge(bs, end, behind - end, flags);
    }
    return ret;
}

static int coroutine_fn padded_pwritev(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    return flags & BDRV_REQ_ZERO_WRITE
        ? padded_zeroes(bs, offset, bytes, flags)
        : padded_data(bs, offset, bytes, qiov, flags);
}

/* Whether @child may write to its node. */
static int check_write(BdrvChild *child, int64_t offset, int64_t bytes,
                       BdrvRequestFlags flags)
{
    BlockDriverState *bs = child->bs;
    uint64_t need = flags & BDRV_REQ_WRITE_UNCHANGED ?
        BLK_PERM_WRITE | BLK_PERM_WRITE_UNCHANGED : BLK_PERM_WRITE;
    int ret = bdrv_check_range(offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return bs->read_only || !(child->perm & need) ? -EPERM : 0;
}

/* Once it is tracked: it may have waited for a resize. */
static int check_end(BdrvChild *child, int64_t offset, int64_t bytes)
{
    return offset + bytes > child->bs->total_bytes &&
           !(child->perm & BLK_PERM_RESIZE) ? -EINVAL : 0;
}

/*
 * Whether a write crosses the end only because the parent has padded it to a
 * block of its own; whoever may resize may have meant it.
 */
static bool is_padded_beyond_end(BdrvChild *child, int64_t offset,
                                 int64_t bytes)
{
    BlockDriverState *parent = bdrv_child_parent_node(child);
    int64_t end = child->bs->total_bytes;

    return offset < end && offset + bytes > end && parent &&
           offset + bytes <= ROUND_UP(end, parent->bl.request_alignment) &&
           !(child->perm & BLK_PERM_RESIZE);
}

static int coroutine_fn write_to_end(BdrvChild *child, int64_t offset,
                                     const IOVector *qiov,
                                     BdrvRequestFlags flags)
{
    int64_t bytes = child->bs->total_bytes - offset;
    g_auto(IOVector) part = { 0 };

    iov_init_slice(&part, qiov, 0, bytes);
    return bdrv_co_pwritev(child, offset, bytes, &part, flags);
}

int coroutine_fn bdrv_co_pwritev(BdrvChild *child, int64_t offset,
                                 int64_t bytes, IOVector *qiov,
                                 BdrvRequestFlags flags)
{
    BlockDriverState *bs = child->bs;
    BdrvTrackedRequest req;
    bool aligned;
    int ret = check_write(child, offset, bytes, flags);

    if (ret < 0) {
        return ret;
    }
    if (bytes == 0) {
        return flags & BDRV_REQ_FUA ? bdrv_co_flush(bs) : 0;
    }
    if (G_UNLIKELY(offset + bytes > bs->total_bytes) && qiov &&
        is_padded_beyond_end(child, offset, bytes)) {
        return write_to_end(child, offset, qiov, flags);
    }
    aligned = is_aligned(bs, offset, bytes);
    bdrv_inc_in_flight(bs);
    tracked_request_begin(&req, bs, BDRV_TRACKED_WRITE, offset, bytes,
                          bs->bl.request_alignment,
                          !aligned || (flags & BDRV_REQ_SERIALISING));
    ret = check_end(child, offset, bytes);
    if (ret >= 0) {
        ret = bdrv_co_notify_before_write(&req);
    }
    if (ret < 0) {
        /* The request ends here. */
    } else if (G_LIKELY(aligned)) {
        ret = bdrv_aligned_co_pwritev(bs, offset, bytes, qiov, flags);
    } else {
        ret = padded_pwritev(bs, offset, bytes, qiov, flags);
    }
    if (ret >= 0) {
        bdrv_write_done(bs, offset, bytes);
        if ((flags & BDRV_REQ_FUA) &&
            !(bs->supported_write_flags & BDRV_REQ_FUA)) {
            ret = bdrv_co_flush(bs);
        }
    }
    tracked_request_end(&req);
    bdrv_dec_in_flight(bs);
    return ret;
}

int coroutine_fn bdrv_co_pwrite_zeroes(BdrvChild *child, int64_t offset,
                                       int64_t bytes, BdrvRequestFlags flags)
{
    if (!child->bs->unmap) {
        flags &= ~BDRV_REQ_MAY_UNMAP;
    }
    return bdrv_co_pwritev(child, offset, bytes, NULL,
                           flags | BDRV_REQ_ZERO_WRITE);
}

/* Plain memory */

int coroutine_fn bdrv_co_pread(BdrvChild *child, int64_t offset,
                               int64_t bytes, void *buf,
                               BdrvRequestFlags flags)
{
    IOVector qiov;

    iov_init_buf(&qiov, buf, bytes);
    return bdrv_co_preadv(child, offset, bytes, &qiov, flags);
}

int coroutine_fn bdrv_co_pwrite(BdrvChild *child, int64_t offset,
                                int64_t bytes, const void *buf,
                                BdrvRequestFlags flags)
{
    IOVector qiov;

    iov_init_buf(&qiov, (void *)buf, bytes);
    return bdrv_co_pwritev(child, offset, bytes, &qiov, flags);
}

/* Debug events */

void coroutine_fn bdrv_co_debug_event(BlockDriverState *bs, const char *event)
{
    while (bs && !bs->drv->bdrv_co_debug_event) {
        bs = bs->file ? bs->file->bs : NULL;
    }
    if (bs) {
        bs->drv->bdrv_co_debug_event(bs, event);
    }
}
