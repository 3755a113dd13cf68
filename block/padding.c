/*
 * Unaligned requests: whole blocks around them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/io-int.h"

void bdrv_padding_init(BdrvPadding *pad, BlockDriverState *bs, int64_t offset,
                       int64_t bytes, const IOVector *qiov)
{
    int64_t align = bs->bl.request_alignment;
    int64_t end = offset + bytes;
    int64_t tail_block = ROUND_DOWN(end, align);

    pad->align = align;
    pad->head = offset % align;
    pad->tail = ROUND_UP(end, align) - end;
    pad->merged = !pad->head || !pad->tail ||
                  tail_block == ROUND_DOWN(offset, align);
    pad->buf_len = pad->merged ? align : 2 * align;
    pad->buf = bdrv_blockalign(bs, pad->buf_len);

    iov_init(&pad->qiov, qiov->niov + 2);
    if (pad->head) {
        iov_add(&pad->qiov, pad->buf, pad->head);
    }
    iov_add_slice(&pad->qiov, qiov, 0, bytes);
    if (pad->tail) {
        iov_add(&pad->qiov, pad->buf + pad->buf_len - pad->tail, pad->tail);
    }
}

void bdrv_padding_destroy(BdrvPadding *pad)
{
    iov_destroy(&pad->qiov);
    g_aligned_free(pad->buf);
}

static int coroutine_fn read_block(BlockDriverState *bs, int64_t offset,
                                   int64_t bytes, uint8_t *buf)
{
    IOVector qiov;

    iov_init_buf(&qiov, buf, bytes);
    return bdrv_aligned_co_preadv(bs, offset, bytes, &qiov, 0);
}

int coroutine_fn bdrv_padding_co_read(BlockDriverState *bs, BdrvPadding *pad,
                                      int64_t offset, int64_t bytes)
{
    int64_t align = pad->align;
    int ret;

    if (pad->head || pad->merged) {
        int64_t first = pad->head ? offset - pad->head
                                  : ROUND_DOWN(offset + bytes, align);

        bdrv_co_own_event(bs, pad->head ? "pwritev_rmw_head"
                                        : "pwritev_rmw_tail");
        ret = read_block(bs, first, align, pad->buf);
        if (ret < 0) {
            return ret;
        }
        bdrv_co_own_event(bs, pad->head ? "pwritev_rmw_after_head"
                                        : "pwritev_rmw_after_tail");
    }
    if (!pad->merged) {
        bdrv_co_own_event(bs, "pwritev_rmw_tail");
        ret = read_block(bs, ROUND_DOWN(offset + bytes, align), align,
                         pad->buf + align);
        if (ret < 0) {
            return ret;
        }
        bdrv_co_own_event(bs, "pwritev_rmw_after_tail");
    }
    return 0;
}
