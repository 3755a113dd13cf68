/*
 * throttle driver
 *
 * A filter whose requests wait for the limits of a throttle-group object.
 * While it is drained, what waits goes on at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/driver.h"
#include "block/drivers.h"
#include "block/throttle-group.h"

typedef struct ThrottleNode {
    ThrottleMember *tgm;        /* changed by reopen only */
} ThrottleNode;

/* Passed on: the child emulates what it cannot do. */
#define THROTTLE_WRITE_FLAGS (BDRV_REQ_FUA | BDRV_REQ_WRITE_UNCHANGED)
#define THROTTLE_ZERO_FLAGS \
    (THROTTLE_WRITE_FLAGS | BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK)

/* Requests */

static int coroutine_fn throttle_co_preadv(BlockDriverState *bs,
                                           int64_t offset, int64_t bytes,
                                           IOVector *qiov,
                                           BdrvRequestFlags flags)
{
    ThrottleNode *s = bs->opaque;

    throttle_member_co_wait(s->tgm, bytes, false);
    return bdrv_co_preadv(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn throttle_co_pwritev(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            IOVector *qiov,
                                            BdrvRequestFlags flags)
{
    ThrottleNode *s = bs->opaque;

    throttle_member_co_wait(s->tgm, bytes, true);
    return bdrv_co_pwritev(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn throttle_co_pwrite_zeroes(BlockDriverState *bs,
                                                  int64_t offset,
                                                  int64_t bytes,
                                                  BdrvRequestFlags flags)
{
    ThrottleNode *s = bs->opaque;

    throttle_member_co_wait(s->tgm, bytes, true);
    return bdrv_co_pwrite_zeroes(bs->file, offset, bytes, flags);
}

static int coroutine_fn throttle_co_pdiscard(BlockDriverState *bs,
                                             int64_t offset, int64_t bytes)
{
    ThrottleNode *s = bs->opaque;

    throttle_member_co_wait(s->tgm, bytes, true);
    return bdrv_co_pdiscard(bs->file, offset, bytes);
}

static int coroutine_fn throttle_co_block_status(BlockDriverState *bs,
                                                 bool want_zero,
                                                 int64_t offset, int64_t bytes,
                                                 int64_t *pnum, int64_t *map,
                                                 BlockDriverState **file)
{
    *pnum = bytes;
    *map = offset;
    *file = bs->file->bs;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

/* Life */

static void throttle_refresh_limits(BlockDriverState *bs)
{
    bs->bl.request_alignment = 1;
}

/* A node whose open failed is drained, too. */
static void throttle_set_bypass(BlockDriverState *bs, bool bypass)
{
    ThrottleNode *s = bs->opaque;

    if (s->tgm) {
        throttle_member_set_bypass(s->tgm, bypass);
    }
}

static void throttle_let_pass(BlockDriverState *bs)
{
    throttle_set_bypass(bs, true);
    throttle_set_bypass(bs, bs->quiesce_counter > 0);
}

static void throttle_drain_begin(BlockDriverState *bs)
{
    throttle_set_bypass(bs, true);
}

static void throttle_drain_end(BlockDriverState *bs)
{
    throttle_set_bypass(bs, false);
}

static bool coroutine_fn throttle_co_reopen_prepare(BDRVReopenState *state,
                                                    GError **errp)
{
    state->opaque =
        throttle_member_new(state->options->u.throttle.throttle_group, errp);
    return state->opaque != NULL;
}

static void coroutine_fn throttle_co_reopen_commit(BDRVReopenState *state)
{
    ThrottleNode *s = state->bs->opaque;
    ThrottleMember *old = s->tgm;

    s->tgm = g_steal_pointer(&state->opaque);
    /* The node is drained now and is told when that ends. */
    throttle_member_set_bypass(s->tgm, state->bs->quiesce_counter > 0);
    throttle_member_free(old);
}

static void coroutine_fn throttle_co_reopen_abort(BDRVReopenState *state)
{
    throttle_member_free(g_steal_pointer(&state->opaque));
}

static bool coroutine_fn throttle_co_open(BlockDriverState *bs,
                                          const BlockdevOptions *options,
                                          GError **errp)
{
    const BlockdevOptionsThrottle *opts = &options->u.throttle;
    ThrottleNode *s = bs->opaque;

    bs->supported_read_flags = BDRV_REQ_LEND;
    bs->supported_write_flags = THROTTLE_WRITE_FLAGS;
    bs->supported_zero_flags = THROTTLE_ZERO_FLAGS;

    if (!bdrv_co_open_file_child(bs, opts->file, errp)) {
        return false;
    }
    s->tgm = throttle_member_new(opts->throttle_group, errp);
    return s->tgm != NULL;
}

static void coroutine_fn throttle_co_close(BlockDriverState *bs)
{
    ThrottleNode *s = bs->opaque;

    throttle_member_free(s->tgm);
}

static const char *const throttle_mutable_opts[] = { "throttle-group", NULL };

const BlockDriver bdrv_throttle = {
    .format_name = "throttle",
    .type = BLOCKDEV_DRIVER_THROTTLE,
    .instance_size = sizeof(ThrottleNode),
    .is_filter = true,

    .bdrv_co_open = throttle_co_open,
    .bdrv_co_close = throttle_co_close,
    .bdrv_refresh_limits = throttle_refresh_limits,

    .mutable_opts = throttle_mutable_opts,
    .bdrv_co_reopen_prepare = throttle_co_reopen_prepare,
    .bdrv_co_reopen_commit = throttle_co_reopen_commit,
    .bdrv_co_reopen_abort = throttle_co_reopen_abort,

    .bdrv_co_preadv = throttle_co_preadv,
    .bdrv_co_pwritev = throttle_co_pwritev,
    .bdrv_co_pwrite_zeroes = throttle_co_pwrite_zeroes,
    .bdrv_co_pdiscard = throttle_co_pdiscard,
    .bdrv_co_block_status = throttle_co_block_status,

    .bdrv_drain_begin = throttle_drain_begin,
    .bdrv_drain_end = throttle_drain_end,
    .bdrv_let_pass = throttle_let_pass,
};
