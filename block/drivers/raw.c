/*
 * raw driver
 *
 * The contents of the node below, as they are, or a part of them.  A node
 * that is raw only because nothing else was recognised does not let its user
 * write what would be recognised the next time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/driver.h"
#include "block/drivers.h"
#include "block/probe.h"
#include "util/co-lock.h"

typedef struct RawState {
    /* Changed by reopen only */
    int64_t offset;             /* where we begin in the file */
    bool has_size;
    int64_t size;               /* our length, if has_size */

    CoMutex probe_lock;         /* held while the first sector is written */
} RawState;

/* What every request can be passed on with: the child emulates the rest. */
#define RAW_WRITE_FLAGS (BDRV_REQ_FUA | BDRV_REQ_WRITE_UNCHANGED)
#define RAW_ZERO_FLAGS \
    (RAW_WRITE_FLAGS | BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK)

/* Requests */

static int coroutine_fn raw_co_preadv(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, IOVector *qiov,
                                      BdrvRequestFlags flags)
{
    RawState *s = bs->opaque;

    bdrv_co_debug_event(bs->file->bs, "read_aio");
    return bdrv_co_preadv(bs->file, s->offset + offset, bytes, qiov, flags);
}

/* Whether the write makes the first sector look like that of an image. */
static int coroutine_fn raw_co_check_header(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            IOVector *qiov)
{
    RawState *s = bs->opaque;
    uint8_t buf[BDRV_PROBE_BYTES];
    int64_t total = bdrv_getlength(bs);
    int64_t header = MIN(total, (int64_t)sizeof(buf));
    int64_t n = MIN(bytes, header - offset);
    int ret;

    if (n < header) {
        ret = bdrv_co_pread(bs->file, s->offset, header, buf, 0);
        if (ret < 0) {
            return ret;
        }
    }
    iov_to_buf(qiov, 0, buf + offset, n);
    if (strcmp(bdrv_probe_format(buf, header), "raw") != 0) {
        return -EPERM;
    }
    return 0;
}

static int coroutine_fn raw_co_write_header(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            IOVector *qiov,
                                            BdrvRequestFlags flags)
{
    RawState *s = bs->opaque;
    int ret;

    /* Two writes that are harmless one by one may not be so together. */
    CO_MUTEX_GUARD(&s->probe_lock);

    ret = raw_co_check_header(bs, offset, bytes, qiov);
    if (ret < 0) {
        return ret;
    }
    return bdrv_co_pwritev(bs->file, s->offset + offset, bytes, qiov, flags);
}

static int coroutine_fn raw_co_pwritev(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    RawState *s = bs->opaque;

    bdrv_co_debug_event(bs->file->bs, "write_aio");
    if (G_UNLIKELY(bs->probed && offset < BDRV_PROBE_BYTES)) {
        return raw_co_write_header(bs, offset, bytes, qiov, flags);
    }
    return bdrv_co_pwritev(bs->file, s->offset + offset, bytes, qiov, flags);
}

static int coroutine_fn raw_co_pwrite_zeroes(BlockDriverState *bs,
                                             int64_t offset, int64_t bytes,
                                             BdrvRequestFlags flags)
{
    RawState *s = bs->opaque;

    /*
     * Zeroes make no header, but must not slip in between the check and the
     * write of one.
     */
    if (G_UNLIKELY(bs->probed && offset < BDRV_PROBE_BYTES)) {
        CO_MUTEX_GUARD(&s->probe_lock);
        return bdrv_co_pwrite_zeroes(bs->file, s->offset + offset, bytes,
                                     flags);
    }
    return bdrv_co_pwrite_zeroes(bs->file, s->offset + offset, bytes, flags);
}

static int coroutine_fn raw_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes)
{
    RawState *s = bs->opaque;

    return bdrv_co_pdiscard(bs->file, s->offset + offset, bytes);
}

static int coroutine_fn raw_co_block_status(BlockDriverState *bs,
                                            bool want_zero, int64_t offset,
                                            int64_t bytes, int64_t *pnum,
                                            int64_t *map,
                                            BlockDriverState **file)
{
    RawState *s = bs->opaque;

    *pnum = bytes;
    *map = s->offset + offset;
    *file = bs->file->bs;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

/* Life */

static void raw_refresh_limits(BlockDriverState *bs)
{
    /* Requests are passed on as they are; what aligns them is the child. */
    bs->bl.request_alignment = 1;
}

static int64_t coroutine_fn raw_co_getlength(BlockDriverState *bs)
{
    RawState *s = bs->opaque;
    int64_t len = bdrv_getlength(bs->file->bs);

    if (len < s->offset) {
        return 0;
    }
    len -= s->offset;
    return s->has_size ? MIN(len, s->size) : len;
}

static bool coroutine_fn raw_co_truncate(BlockDriverState *bs, int64_t offset,
                                         PreallocMode prealloc, GError **errp)
{
    RawState *s = bs->opaque;

    if (s->has_size) {
        error_setg(errp, "Cannot resize fixed-size raw disks");
        return false;
    }
    if (offset > BDRV_MAX_LENGTH - s->offset) {
        error_setg(errp, "Disk size too large for the chosen offset");
        return false;
    }
    return bdrv_co_truncate(bs->file, offset + s->offset, prealloc, errp);
}

/* Check the options against the length of @file and take them into @s. */
static bool raw_apply_options(RawState *s, const BlockDriverState *file,
                              const BlockdevOptionsRaw *opts, GError **errp)
{
    int64_t len = bdrv_getlength(file);

    s->offset = opts->has_offset ? opts->offset : 0;
    s->has_size = opts->has_size;
    s->size = opts->has_size ? opts->size : 0;

    if (s->offset < 0 || s->size < 0) {
        error_setg(errp, "Parameter '%s' must not be negative",
                   s->offset < 0 ? "offset" : "size");
        return false;
    }
    if (!IS_ALIGNED(s->size, BDRV_SECTOR_SIZE)) {
        error_setg(errp, "Specified size is not multiple of %" PRId64,
                   BDRV_SECTOR_SIZE);
        return false;
    }
    if (s->offset > len) {
        error_setg(errp, "Offset (%" PRId64 ") cannot be greater than size "
                   "of the containing file (%" PRId64 ")", s->offset, len);
        return false;
    }
    if (s->has_size && s->size > len - s->offset) {
        error_setg(errp, "The sum of offset (%" PRId64 ") and size (%" PRId64
                   ") has to be smaller or equal to the actual size of the "
                   "containing file (%" PRId64 ")", s->offset, s->size, len);
        return false;
    }
    return true;
}

static bool coroutine_fn raw_co_reopen_prepare(BDRVReopenState *state,
                                               GError **errp)
{
    g_autofree RawState *s = g_new0(RawState, 1);

    if (!raw_apply_options(s, state->file, &state->options->u.raw, errp)) {
        return false;
    }
    state->opaque = g_steal_pointer(&s);
    return true;
}

static void coroutine_fn raw_co_reopen_commit(BDRVReopenState *state)
{
    RawState *s = state->bs->opaque;
    g_autofree RawState *new = g_steal_pointer(&state->opaque);

    s->offset = new->offset;
    s->has_size = new->has_size;
    s->size = new->size;
}

static void coroutine_fn raw_co_reopen_abort(BDRVReopenState *state)
{
    g_free(g_steal_pointer(&state->opaque));
}

static bool coroutine_fn raw_co_open(BlockDriverState *bs,
                                     const BlockdevOptions *options,
                                     GError **errp)
{
    const BlockdevOptionsRaw *opts = &options->u.raw;
    RawState *s = bs->opaque;
    bool whole = !opts->has_offset && !opts->has_size;

    co_mutex_init(&s->probe_lock);
    bs->supported_read_flags = BDRV_REQ_LEND;
    bs->supported_write_flags = RAW_WRITE_FLAGS;
    bs->supported_zero_flags = RAW_ZERO_FLAGS;

    /* A part of a disk is not the same disk, so no filter. */
    if (!bdrv_co_open_child(bs, opts->file, "file",
                            BDRV_CHILD_PRIMARY |
                            (whole ? BDRV_CHILD_FILTERED : BDRV_CHILD_DATA),
                            errp)) {
        return false;
    }
    return raw_apply_options(s, bs->file->bs, opts, errp);
}

static const char *const raw_mutable_opts[] = { "offset", "size", NULL };

const BlockDriver bdrv_raw = {
    .format_name = "raw",
    .type = BLOCKDEV_DRIVER_RAW,
    .instance_size = sizeof(RawState),

    .bdrv_co_open = raw_co_open,
    .bdrv_refresh_limits = raw_refresh_limits,
    .bdrv_co_getlength = raw_co_getlength,
    .bdrv_co_truncate = raw_co_truncate,

    .mutable_opts = raw_mutable_opts,
    .bdrv_co_reopen_prepare = raw_co_reopen_prepare,
    .bdrv_co_reopen_commit = raw_co_reopen_commit,
    .bdrv_co_reopen_abort = raw_co_reopen_abort,

    .bdrv_co_preadv = raw_co_preadv,
    .bdrv_co_pwritev = raw_co_pwritev,
    .bdrv_co_pwrite_zeroes = raw_co_pwrite_zeroes,
    .bdrv_co_pdiscard = raw_co_pdiscard,
    .bdrv_co_block_status = raw_co_block_status,
};
