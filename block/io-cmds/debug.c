/*
 * qemu-io's commands that suspend requests, and sleep
 *
 * They reach the first blkdebug node below the backend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

#include "block/blkdebug.h"
#include "block/graph.h"
#include "util/aio.h"
#include "util/size.h"

static BlockDriverState *debug_bs(BlockBackend *blk, int *ret)
{
    BlockDriverState *bs = blk_bs(blk);

    *ret = bs ? 0 : -ENOMEDIUM;
    return bs;
}

static void coroutine_fn break_run(const IoCmd *cmd, BlockBackend *blk,
                                   const IoArgs *args, GString *out)
{
    int ret;
    BlockDriverState *bs = debug_bs(blk, &ret);

    if (bs) {
        ret = blkdebug_breakpoint(bs, args->pos[0], args->pos[1]);
    }
    if (ret < 0) {
        g_string_append_printf(out, "Could not set breakpoint: %s\n",
                               g_strerror(-ret));
    }
}

static void coroutine_fn remove_break_run(const IoCmd *cmd, BlockBackend *blk,
                                          const IoArgs *args, GString *out)
{
    int ret;
    BlockDriverState *bs = debug_bs(blk, &ret);

    if (bs) {
        ret = blkdebug_remove_breakpoint(bs, args->pos[0]);
    }
    if (ret < 0) {
        g_string_append_printf(out, "Could not remove breakpoint %s: %s\n",
                               args->pos[0], g_strerror(-ret));
    }
}

static void coroutine_fn resume_run(const IoCmd *cmd, BlockBackend *blk,
                                    const IoArgs *args, GString *out)
{
    int ret;
    BlockDriverState *bs = debug_bs(blk, &ret);

    if (bs) {
        ret = blkdebug_resume(bs, args->pos[0]);
    }
    if (ret < 0) {
        g_string_append_printf(out, "Could not resume request: %s\n",
                               g_strerror(-ret));
    }
}

static void coroutine_fn wait_break_run(const IoCmd *cmd, BlockBackend *blk,
                                        const IoArgs *args, GString *out)
{
    int ret;
    BlockDriverState *bs = debug_bs(blk, &ret);

    if (bs) {
        bdrv_ref(bs);
        ret = blkdebug_co_wait_break(bs, args->pos[0]);
        bdrv_co_unref(bs);
    }
    if (ret < 0) {
        g_string_append_printf(out, "Could not wait for the request: %s\n",
                               g_strerror(-ret));
    }
}

static void coroutine_fn sleep_run(const IoCmd *cmd, BlockBackend *blk,
                                   const IoArgs *args, GString *out)
{
    uint64_t ms;

    if (!uint64_parse(args->pos[0], &ms) || ms > INT32_MAX) {
        g_string_append_printf(out, "%s is not a valid argument\n",
                               args->pos[0]);
        return;
    }
    co_sleep_ns((int64_t)ms * SCALE_MS);
}

const IoCmd io_cmds_debug[] = {
    { "break", "", 2, 2, "event tag", "sets a breakpoint on event and tags "
      "the stopped request as tag", break_run },
    { "remove_break", "", 1, 1, "tag", "remove a breakpoint by tag",
      remove_break_run },
    { "resume", "", 1, 1, "tag", "resumes the request tagged as tag",
      resume_run },
    { "sleep", "", 1, 1, "ms", "waits for the given value in milliseconds",
      sleep_run },
    { "wait_break", "", 1, 1, "tag", "waits for the suspension of a request",
      wait_break_run },
    { NULL },
};
