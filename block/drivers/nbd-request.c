/*
 * The nbd driver: requests
 *
 * Each is one command on the current connection.  If the connection is lost
 * before the reply, the command is sent again on the next one provided that
 * requests may wait for it (all commands are idempotent), else -EIO.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-int.h"

#include "nbd/protocol.h"

/*
 * Run @call, an expression that sends a command on s->client, until it has
 * an answer.  It is evaluated anew for each connection.
 */
#define NBD_RETRY(s, call)                                              \
    ({                                                                  \
        int ret_;                                                       \
        do {                                                            \
            ret_ = nbd_co_wait_connected(s);                            \
            if (ret_ == 0) {                                            \
                ret_ = (call);                                          \
            }                                                           \
        } while (ret_ == -ENOTCONN);                                    \
        ret_;                                                           \
    })

int coroutine_fn nbd_co_preadv(BlockDriverState *bs, int64_t offset,
                               int64_t bytes, IOVector *qiov,
                               BdrvRequestFlags flags)
{
    BDRVNBDState *s = bs->opaque;

    return NBD_RETRY(s, nbd_client_co_read(s->client, offset, bytes, qiov));
}

int coroutine_fn nbd_co_pwritev(BlockDriverState *bs, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags)
{
    BDRVNBDState *s = bs->opaque;
    uint16_t nbd_flags = flags & BDRV_REQ_FUA ? NBD_CMD_FLAG_FUA : 0;

    return NBD_RETRY(s, nbd_client_co_write(s->client, offset, bytes, qiov,
                                            nbd_flags));
}

int coroutine_fn nbd_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, BdrvRequestFlags flags)
{
    BDRVNBDState *s = bs->opaque;
    uint16_t nbd_flags = 0;

    if (!(s->info.flags & NBD_FLAG_SEND_WRITE_ZEROES)) {
        return -ENOTSUP;
    }
    if (flags & BDRV_REQ_FUA) {
        nbd_flags |= NBD_CMD_FLAG_FUA;
    }
    if (!(flags & BDRV_REQ_MAY_UNMAP)) {
        nbd_flags |= NBD_CMD_FLAG_NO_HOLE;
    }
    if (flags & BDRV_REQ_NO_FALLBACK) {
        nbd_flags |= NBD_CMD_FLAG_FAST_ZERO;
    }
    return NBD_RETRY(s, nbd_client_co_command(s->client, NBD_CMD_WRITE_ZEROES,
                                              nbd_flags, offset, bytes));
}

int coroutine_fn nbd_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                 int64_t bytes)
{
    BDRVNBDState *s = bs->opaque;

    if (!(s->info.flags & NBD_FLAG_SEND_TRIM)) {
        return 0;
    }
    return NBD_RETRY(s, nbd_client_co_command(s->client, NBD_CMD_TRIM, 0,
                                              offset, bytes));
}

int coroutine_fn nbd_co_flush(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;

    if (!(s->info.flags & NBD_FLAG_SEND_FLUSH)) {
        return 0;
    }
    return NBD_RETRY(s, nbd_client_co_command(s->client, NBD_CMD_FLUSH, 0, 0,
                                              0));
}

/*
 * Ask for no more than one reply's worth: lengths on the wire have 32 bits.
 * -EOPNOTSUPP: the server of this connection has no such context.
 */
static int coroutine_fn query_status(BDRVNBDState *s, int64_t offset,
                                     int64_t bytes, uint32_t *length,
                                     uint32_t *state)
{
    if (!s->current.has_context) {
        return -EOPNOTSUPP;
    }
    return nbd_client_co_block_status(s->client, offset, bytes, length, state);
}

/*
 * Servers have sent extents that are not multiples of the block size: believe
 * whole blocks only, and take a block that is of several kinds as data.
 */
static void align_extent(uint32_t align, int64_t bytes, uint32_t *length,
                         uint32_t *state)
{
    if (*length % align == 0 || *length == bytes) {
        return;
    }
    if (*length > align) {
        *length = ROUND_DOWN(*length, align);
    } else {
        *length = MIN(align, bytes);
        *state = 0;
    }
}

int coroutine_fn nbd_co_block_status(BlockDriverState *bs, bool want_zero,
                                     int64_t offset, int64_t bytes,
                                     int64_t *pnum, int64_t *map,
                                     BlockDriverState **file)
{
    BDRVNBDState *s = bs->opaque;
    uint32_t max = ROUND_DOWN(UINT32_MAX, bs->bl.request_alignment);
    uint32_t length = 0, state = 0;
    int ret;

    *map = offset;
    *file = bs;
    ret = NBD_RETRY(s, query_status(s, offset, MIN(bytes, max), &length,
                                    &state));
    if (ret == -EOPNOTSUPP) {
        *pnum = bytes;
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID;
    }
    if (ret < 0) {
        return ret;
    }
    align_extent(bs->bl.request_alignment, bytes, &length, &state);
    *pnum = length;
    return BDRV_BLOCK_OFFSET_VALID |
           (state & NBD_STATE_HOLE ? 0 : BDRV_BLOCK_DATA) |
           (state & NBD_STATE_ZERO ? BDRV_BLOCK_ZERO : 0);
}
