/*
 * null-co driver
 *
 * A disk that takes everything and keeps nothing: for measuring what lies
 * above it, and as the smallest driver there is.  It is the template that
 * docs/devel/adding-a-driver.md walks through.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/driver.h"
#include "block/drivers.h"
#include "util/aio.h"

#define NULL_DEFAULT_SIZE (1 * GiB)

typedef struct NullState {
    /* Set by open, constant afterwards */
    int64_t length;
    int64_t latency_ns;         /* of every request */
    bool read_zeroes;           /* else reads leave the buffer alone */
} NullState;

/* Requests */

/* What every request does: take its time. */
static int coroutine_fn null_co_wait(BlockDriverState *bs)
{
    NullState *s = bs->opaque;

    if (s->latency_ns) {
        co_sleep_ns(s->latency_ns);
    }
    return 0;
}

static int coroutine_fn null_co_preadv(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    NullState *s = bs->opaque;

    if (s->read_zeroes) {
        iov_memset(qiov, 0, 0, bytes);
    }
    return null_co_wait(bs);
}

static int coroutine_fn null_co_pwritev(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes, IOVector *qiov,
                                        BdrvRequestFlags flags)
{
    return null_co_wait(bs);
}

static int coroutine_fn null_co_pwrite_zeroes(BlockDriverState *bs,
                                              int64_t offset, int64_t bytes,
                                              BdrvRequestFlags flags)
{
    return null_co_wait(bs);
}

static int coroutine_fn null_co_flush(BlockDriverState *bs)
{
    return null_co_wait(bs);
}

static int coroutine_fn null_co_block_status(BlockDriverState *bs,
                                             bool want_zero, int64_t offset,
                                             int64_t bytes, int64_t *pnum,
                                             int64_t *map,
                                             BlockDriverState **file)
{
    NullState *s = bs->opaque;

    *pnum = bytes;
    *map = offset;
    *file = bs;
    return BDRV_BLOCK_OFFSET_VALID | (s->read_zeroes ? BDRV_BLOCK_ZERO : 0);
}

/* Life */

static int64_t coroutine_fn null_co_getlength(BlockDriverState *bs)
{
    NullState *s = bs->opaque;

    return s->length;
}

static int64_t coroutine_fn null_co_allocated_size(BlockDriverState *bs)
{
    return 0;
}

static char *null_filename(BlockDriverState *bs)
{
    return g_strdup("null-co://");
}

static bool coroutine_fn null_co_open(BlockDriverState *bs,
                                      const BlockdevOptions *options,
                                      GError **errp)
{
    const BlockdevOptionsNull *opts = &options->u.null_co;
    NullState *s = bs->opaque;

    s->length = opts->has_size ? opts->size : NULL_DEFAULT_SIZE;
    if (s->length < 0 || s->length > BDRV_MAX_LENGTH) {
        error_setg(errp, "Parameter 'size' must be between 0 and %" PRId64,
                   BDRV_MAX_LENGTH);
        return false;
    }
    if (opts->has_latency_ns && opts->latency_ns > INT64_MAX / 2) {
        error_setg(errp, "latency-ns is invalid");
        return false;
    }
    s->latency_ns = opts->has_latency_ns ? opts->latency_ns : 0;
    s->read_zeroes = opts->has_read_zeroes && opts->read_zeroes;

    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return true;
}

const BlockDriver bdrv_null_co = {
    .format_name = "null-co",
    .type = BLOCKDEV_DRIVER_NULL_CO,
    .instance_size = sizeof(NullState),
    .is_protocol = true,

    .bdrv_co_open = null_co_open,
    .bdrv_co_getlength = null_co_getlength,

    .bdrv_co_preadv = null_co_preadv,
    .bdrv_co_pwritev = null_co_pwritev,
    .bdrv_co_pwrite_zeroes = null_co_pwrite_zeroes,
    .bdrv_co_flush = null_co_flush,
    .bdrv_co_block_status = null_co_block_status,

    .bdrv_co_allocated_size = null_co_allocated_size,
    .bdrv_filename = null_filename,
};
