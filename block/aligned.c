/*
 * Aligned requests: what the core does right before it calls a driver
 *
 * Splits at the driver's limits, bounces memory that the driver cannot take,
 * zero-fills reads behind the end, detects and emulates writes of zeroes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/io-int.h"

/* Bytes of zeroes written at a time when the driver knows no better way. */
#define ZERO_BOUNCE_BYTES (1 * MiB)

void *bdrv_blockalign(BlockDriverState *bs, size_t bytes)
{
    size_t align = MAX(MAX(bs->bl.min_mem_alignment, bs->bl.request_alignment),
                       64);

    return g_aligned_alloc(1, ROUND_UP(MAX(bytes, 1), align), align);
}

static int64_t max_transfer(const BlockDriverState *bs)
{
    int64_t max = bs->bl.max_transfer ? bs->bl.max_transfer
                                      : BDRV_REQUEST_MAX_BYTES;

    return MAX(ROUND_DOWN(max, bs->bl.request_alignment),
               bs->bl.request_alignment);
}

static bool needs_bounce(const BlockDriverState *bs, const IOVector *qiov)
{
    int max_iov = bs->bl.max_iov ? bs->bl.max_iov : IOV_MAX;

    return qiov->niov > max_iov ||
           (bs->bl.min_mem_alignment > 1 &&
            !iov_is_aligned(qiov, bs->bl.min_mem_alignment));
}

/* One request of at most max_transfer() bytes. */
typedef int coroutine_fn ChunkFunc(BlockDriverState *bs, int64_t offset,
                                   int64_t bytes, IOVector *qiov,
                                   BdrvRequestFlags flags);

static int coroutine_fn split(BlockDriverState *bs, int64_t offset,
                              int64_t bytes, IOVector *qiov,
                              BdrvRequestFlags flags, ChunkFunc *chunk)
{
    int64_t max = max_transfer(bs);
    int64_t done = 0;

    while (done < bytes) {
        g_auto(IOVector) part = { 0 };
        int64_t n = MIN(bytes - done, max);
        int ret;

        iov_init_slice(&part, qiov, done, n);
        ret = chunk(bs, offset + done, n, &part, flags);
        if (ret < 0) {
            return ret;
        }
        done += n;
    }
    return 0;
}

/* Reads */

static int coroutine_fn driver_preadv(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags)
{
    if (!bs->drv->bdrv_co_preadv) {
        return bs->file ? bdrv_co_preadv(bs->file, offset, bytes, qiov, 0)
                        : -ENOTSUP;
    }
    return bs->drv->bdrv_co_preadv(bs, offset, bytes, qiov,
                                   flags & bs->supported_read_flags);
}

static int coroutine_fn bounce_preadv(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags)
{
    void *buf = bdrv_blockalign(bs, bytes);
    IOVector bounce;
    int ret;

    iov_init_buf(&bounce, buf, bytes);
    ret = driver_preadv(bs, offset, bytes, &bounce, flags);
    if (ret >= 0) {
        iov_from_buf(qiov, 0, buf, bytes);
    }
    g_aligned_free(buf);
    return ret;
}

static int coroutine_fn read_chunk(BlockDriverState *bs, int64_t offset,
                                   int64_t bytes, IOVector *qiov,
                                   BdrvRequestFlags flags)
{
    if (G_UNLIKELY(needs_bounce(bs, qiov))) {
        return bounce_preadv(bs, offset, bytes, qiov, flags);
    }
    return driver_preadv(bs, offset, bytes, qiov, flags);
}

int coroutine_fn bdrv_aligned_co_preadv(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes, IOVector *qiov,
                                        BdrvRequestFlags flags)
{
    uint32_t align = bs->bl.request_alignment;
    int64_t readable = ROUND_UP(MAX(bs->total_bytes, 0), align) - offset;

    if (G_UNLIKELY(readable < bytes)) {
        readable = MAX(readable, 0);
        iov_memset(qiov, readable, 0, bytes - readable);
        return readable ? split(bs, offset, readable, qiov, flags, read_chunk)
                        : 0;
    }
    if (G_UNLIKELY(bytes > max_transfer(bs))) {
        return split(bs, offset, bytes, qiov, flags, read_chunk);
    }
    return read_chunk(bs, offset, bytes, qiov, flags);
}

/* Writes */

static int coroutine_fn driver_pwritev(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    if (!bs->drv->bdrv_co_pwritev) {
        return bs->file ? bdrv_co_pwritev(bs->file, offset, bytes, qiov, flags)
                        : -ENOTSUP;
    }
    return bs->drv->bdrv_co_pwritev(bs, offset, bytes, qiov,
                                    flags & bs->supported_write_flags);
}

static int coroutine_fn bounce_pwritev(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    void *buf = bdrv_blockalign(bs, bytes);
    IOVector bounce;
    int ret;

    iov_to_buf(qiov, 0, buf, bytes);
    iov_init_buf(&bounce, buf, bytes);
    ret = driver_pwritev(bs, offset, bytes, &bounce, flags);
    g_aligned_free(buf);
    return ret;
}

static int coroutine_fn write_chunk(BlockDriverState *bs, int64_t offset,
                                    int64_t bytes, IOVector *qiov,
                                    BdrvRequestFlags flags)
{
    if (G_UNLIKELY(needs_bounce(bs, qiov))) {
        return bounce_pwritev(bs, offset, bytes, qiov, flags);
    }
    return driver_pwritev(bs, offset, bytes, qiov, flags);
}

static BdrvRequestFlags detect_zeroes(BlockDriverState *bs, int64_t bytes,
                                      const IOVector *qiov)
{
    if (!bs->drv->bdrv_co_pwrite_zeroes && !bs->drv->is_filter) {
        return 0;
    }
    if (!iov_is_zero(qiov, 0, bytes)) {
        return 0;
    }
    return BDRV_REQ_ZERO_WRITE |
        (bs->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP ?
         BDRV_REQ_MAY_UNMAP : 0);
}

int coroutine_fn bdrv_aligned_co_pwritev(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes, IOVector *qiov,
                                         BdrvRequestFlags flags)
{
    int ret;

    if (G_UNLIKELY(bs->detect_zeroes) && !(flags & BDRV_REQ_ZERO_WRITE)) {
        flags |= detect_zeroes(bs, bytes, qiov);
    }
    if (flags & BDRV_REQ_ZERO_WRITE) {
        bdrv_co_own_event(bs, "pwritev_zero");
        ret = bdrv_aligned_co_pwrite_zeroes(bs, offset, bytes, flags);
    } else {
        bdrv_co_own_event(bs, "pwritev");
        ret = G_UNLIKELY(bytes > max_transfer(bs))
            ? split(bs, offset, bytes, qiov, flags, write_chunk)
            : write_chunk(bs, offset, bytes, qiov, flags);
    }
    bdrv_co_own_event(bs, "pwritev_done");
    return ret;
}

/* Zeroes */

static int coroutine_fn driver_pwrite_zeroes(BlockDriverState *bs,
                                             int64_t offset, int64_t bytes,
                                             BdrvRequestFlags flags)
{
    const BlockDriver *drv = bs->drv;

    if (drv->bdrv_co_pwrite_zeroes) {
        return drv->bdrv_co_pwrite_zeroes(bs, offset, bytes,
                                          flags & (bs->supported_zero_flags |
                                                   BDRV_REQ_NO_FALLBACK));
    }
    if (!drv->bdrv_co_pwritev && bs->file) {
        return bdrv_co_pwrite_zeroes(bs->file, offset, bytes, flags);
    }
    return -ENOTSUP;
}

static int coroutine_fn write_zero_buffer(BlockDriverState *bs, int64_t offset,
                                          int64_t bytes,
                                          BdrvRequestFlags flags)
{
    int64_t max = MIN(bytes, MIN(ZERO_BOUNCE_BYTES, max_transfer(bs)));
    void *buf = bdrv_blockalign(bs, max);
    int ret = 0;

    memset(buf, 0, max);
    while (bytes > 0 && ret >= 0) {
        int64_t n = MIN(bytes, max);
        IOVector qiov;

        iov_init_buf(&qiov, buf, n);
        ret = driver_pwritev(bs, offset, n, &qiov, flags);
        offset += n;
        bytes -= n;
    }
    g_aligned_free(buf);
    return ret;
}

/* The longest piece from @offset on that the driver can take at once. */
static int64_t zero_piece(const BlockDriverState *bs, int64_t offset,
                          int64_t bytes, bool *whole)
{
    int64_t align = MAX(bs->bl.pwrite_zeroes_alignment,
                        bs->bl.request_alignment);
    int64_t max = bs->bl.max_pwrite_zeroes ? bs->bl.max_pwrite_zeroes
                                           : BDRV_REQUEST_MAX_BYTES;
    int64_t head = ROUND_UP(offset, align) - offset;

    *whole = false;
    if (head) {
        return MIN(head, bytes);
    }
    if (bytes < align) {
        return bytes;
    }
    *whole = true;
    return MIN(ROUND_DOWN(bytes, align), MAX(ROUND_DOWN(max, align), align));
}

int coroutine_fn bdrv_aligned_co_pwrite_zeroes(BlockDriverState *bs,
                                               int64_t offset, int64_t bytes,
                                               BdrvRequestFlags flags)
{
    while (bytes > 0) {
        bool whole;
        int64_t n = zero_piece(bs, offset, bytes, &whole);
        int ret = whole ? driver_pwrite_zeroes(bs, offset, n, flags)
                        : -ENOTSUP;

        if (ret == -ENOTSUP && !(flags & BDRV_REQ_NO_FALLBACK)) {
            ret = write_zero_buffer(bs, offset, n, flags & BDRV_REQ_FUA);
        }
        if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
    }
    return 0;
}
