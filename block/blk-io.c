/*
 * Requests through a BlockBackend: gate, bounds, throttling, accounting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/block-backend-int.h"

#include "block/io-int.h"

/* What every request does before and after it goes to the node. */
typedef struct BlkRequest {
    BlockBackend *blk;
    BlockAcctType type;
    int64_t bytes;
    int64_t start_ns;
} BlkRequest;

static int coroutine_fn begin(BlkRequest *req, BlockBackend *blk,
                              BlockAcctType type, int64_t offset,
                              int64_t bytes)
{
    int ret = blk_co_enter(blk, type == BLOCK_ACCT_FLUSH);

    if (ret < 0) {
        return ret;
    }
    if (G_UNLIKELY(bdrv_check_range(offset, bytes) < 0 ||
                   offset + bytes > blk->root->bs->total_bytes)) {
        block_acct_invalid(&blk->stats, type, aio_clock_get_ns(blk->ctx));
        blk_leave(blk);
        return -EIO;
    }
    if (G_UNLIKELY(blk->throttle) && type != BLOCK_ACCT_FLUSH) {
        blk->throttle_ops->co_wait(blk->throttle, bytes,
                                   type != BLOCK_ACCT_READ);
    }
    *req = (BlkRequest) {
        .blk = blk, .type = type, .bytes = bytes,
        .start_ns = aio_clock_get_ns(blk->ctx),
    };
    return 0;
}

static int end(BlkRequest *req, int ret)
{
    block_acct_done(&req->blk->stats, req->type, req->bytes, req->start_ns,
                    aio_clock_get_ns(req->blk->ctx), ret);
    blk_leave(req->blk);
    return ret;
}

int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset,
                               int64_t bytes, IOVector *qiov,
                               BdrvRequestFlags flags)
{
    BlkRequest req;
    int ret = begin(&req, blk, BLOCK_ACCT_READ, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return end(&req, bdrv_co_preadv(blk->root, offset, bytes, qiov, flags));
}

int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags)
{
    BlkRequest req;
    int ret = begin(&req, blk, BLOCK_ACCT_WRITE, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return end(&req, bdrv_co_pwritev(blk->root, offset, bytes, qiov,
                                     flags | blk->write_flags));
}

int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset,
                                      int64_t bytes, BdrvRequestFlags flags)
{
    BlkRequest req;
    int ret = begin(&req, blk, BLOCK_ACCT_WRITE, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return end(&req, bdrv_co_pwrite_zeroes(blk->root, offset, bytes,
                                           flags | blk->write_flags));
}

int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset,
                                 int64_t bytes)
{
    BlkRequest req;
    int ret = begin(&req, blk, BLOCK_ACCT_UNMAP, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return end(&req, bdrv_co_pdiscard(blk->root, offset, bytes));
}

int coroutine_fn blk_co_flush(BlockBackend *blk)
{
    BlkRequest req;
    int ret = begin(&req, blk, BLOCK_ACCT_FLUSH, 0, 0);

    if (ret < 0) {
        return ret;
    }
    blk->flushes++;
    ret = bdrv_co_flush(blk->root->bs);
    blk->flushes--;
    return end(&req, ret);
}

int coroutine_fn blk_co_block_status(BlockBackend *blk, bool want_zero,
                                     int64_t offset, int64_t bytes,
                                     int64_t *pnum)
{
    int ret = blk_co_enter(blk, false);

    *pnum = 0;
    if (ret < 0) {
        return ret;
    }
    ret = bdrv_co_block_status(blk->root->bs, want_zero, offset, bytes, pnum,
                               NULL, NULL);
    blk_leave(blk);
    return ret;
}

int coroutine_fn blk_co_allocation_depth(BlockBackend *blk, int64_t offset,
                                         int64_t bytes, int64_t *pnum)
{
    int ret = blk_co_enter(blk, false);

    if (ret < 0) {
        return ret;
    }
    ret = bdrv_co_allocation_depth(blk->root->bs, offset, bytes, pnum);
    blk_leave(blk);
    return ret;
}

int coroutine_fn blk_co_pread(BlockBackend *blk, int64_t offset,
                              int64_t bytes, void *buf,
                              BdrvRequestFlags flags)
{
    IOVector qiov;

    iov_init_buf(&qiov, buf, bytes);
    return blk_co_preadv(blk, offset, bytes, &qiov, flags);
}

int coroutine_fn blk_co_pwrite(BlockBackend *blk, int64_t offset,
                               int64_t bytes, const void *buf,
                               BdrvRequestFlags flags)
{
    IOVector qiov;

    iov_init_buf(&qiov, (void *)buf, bytes);
    return blk_co_pwritev(blk, offset, bytes, &qiov, flags);
}

int64_t blk_getlength(BlockBackend *blk)
{
    return blk_bs(blk) ? bdrv_getlength(blk_bs(blk)) : -ENOMEDIUM;
}

bool coroutine_fn blk_co_truncate(BlockBackend *blk, int64_t offset,
                                  PreallocMode prealloc, GError **errp)
{
    bool ok;

    if (blk_co_enter(blk, false) < 0) {
        error_setg(errp, "No medium inserted");
        return false;
    }
    ok = bdrv_co_truncate(blk->root, offset, prealloc, errp);
    blk_leave(blk);
    return ok;
}
