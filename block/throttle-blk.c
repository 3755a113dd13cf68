/*
 * Rate limits of a BlockBackend
 *
 * What block_set_io_throttle and throttling.* of -drive set: the backend is a
 * member of a throttle group, and asks it before each request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/block-backend.h"
#include "block/throttle-group.h"
#include "block/throttle-group-int.h"

struct BlkThrottle {
    ThrottleMember *tgm;
};

static void coroutine_fn blk_throttle_co_wait(BlkThrottle *throttle,
                                              int64_t bytes, bool is_write)
{
    throttle_member_co_wait(throttle->tgm, bytes, is_write);
}

static void blk_throttle_set_bypass(BlkThrottle *throttle, bool bypass)
{
    throttle_member_set_bypass(throttle->tgm, bypass);
}

static void blk_throttle_release(BlkThrottle *throttle)
{
    throttle_member_free(throttle->tgm);
    g_free(throttle);
}

static const BlkThrottleOps blk_throttle_ops = {
    .co_wait = blk_throttle_co_wait,
    .set_bypass = blk_throttle_set_bypass,
    .release = blk_throttle_release,
};

static void blk_throttle_leave(BlockBackend *blk)
{
    BlkThrottle *throttle = blk_get_throttle(blk);

    if (throttle) {
        blk_set_throttle(blk, NULL, NULL);
        blk_throttle_release(throttle);
    }
}

/* Make @blk a member of @tg instead of what it is now. */
static void blk_throttle_join(BlockBackend *blk, ThrottleGroup *tg)
{
    BlkThrottle *throttle = g_new0(BlkThrottle, 1);

    throttle->tgm = throttle_member_join(tg);
    blk_throttle_leave(blk);
    blk_set_throttle(blk, throttle, &blk_throttle_ops);
}

bool blk_throttle_set(BlockBackend *blk, const char *group,
                      const ThrottleConfig *cfg, GError **errp)
{
    ThrottleGroup *tg;

    if (!throttle_config_check(cfg, errp)) {
        return false;
    }
    if (!throttle_config_enabled(cfg)) {
        blk_throttle_leave(blk);
        return true;
    }

    tg = throttle_group_find(group);
    if (tg) {
        throttle_group_ref(tg);
        throttle_group_set_config(tg, cfg);
    } else {
        tg = throttle_group_new(group, NULL, cfg);
    }
    blk_throttle_join(blk, tg);
    throttle_group_unref(tg);
    return true;
}

const char *blk_throttle_get(BlockBackend *blk, ThrottleConfig *cfg)
{
    BlkThrottle *throttle = blk_get_throttle(blk);

    if (!throttle) {
        return NULL;
    }
    *cfg = *throttle_group_config(throttle_member_group(throttle->tgm));
    return throttle_member_group_name(throttle->tgm);
}
