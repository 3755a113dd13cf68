/*
 * Cancel at every turn: what may strike
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"

#include "block/nbd-server.h"
#include "io/yank.h"

static void coroutine_fn strike_nothing(void *opaque)
{
    ((World *)opaque)->blow_done = true;
}

static void yank(const World *w)
{
    YankInstance instance = {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
        .u.block_node.node_name =
            (char *)(w->way == WAY_LAYERED ? "conn" : "node"),
    };

    yank_instances(&(YankInstanceList) { .value = &instance }, NULL);
}

static void coroutine_fn strike_yank(void *opaque)
{
    World *w = opaque;

    yank(w);
    w->blow_done = true;
}

static void coroutine_fn strike_close(void *opaque)
{
    World *w = opaque;

    cancel_co_close();
    w->blow_done = true;
}

static void coroutine_fn strike_yank_close(void *opaque)
{
    yank(opaque);
    strike_close(opaque);
}

static void coroutine_fn strike_cancel(void *opaque)
{
    World *w = opaque;

    if (w->blk && blk_bs(w->blk)) {
        bdrv_cancel_in_flight(blk_bs(w->blk));
    }
    w->blow_done = true;
}

static void coroutine_fn drain_for_a_second(const char *node)
{
    BlockDriverState *bs = bdrv_find_node(node);

    if (bs) {
        bdrv_ref(bs);
        bdrv_co_drained_begin(bs);
        co_sleep_ns(SECOND);
        bdrv_drained_end(bs);
        bdrv_co_unref(bs);
    }
}

static void coroutine_fn strike_drain(void *opaque)
{
    World *w = opaque;

    GRAPH_COMMAND_GUARD();
    drain_for_a_second("node");
    w->blow_done = true;
}

static void coroutine_fn strike_reopen(void *opaque)
{
    World *w = opaque;

    cancel_co_reopen(w);
    w->blow_done = true;
}

static void coroutine_fn strike_close_all(void *opaque)
{
    World *w = opaque;

    bdrv_co_close_all();
    w->blow_done = true;
}

static void coroutine_fn strike_server_drain(void *opaque)
{
    World *w = opaque;

    GRAPH_COMMAND_GUARD();
    drain_for_a_second("disk");
    w->blow_done = true;
}

static void coroutine_fn strike_gate(void *opaque)
{
    World *w = opaque;
    BlockExport *exp = block_export_find("export");

    block_export_ref(exp);
    blk_gate_close(exp->blk);
    co_sleep_ns(SECOND);
    blk_gate_open(exp->blk);
    block_export_unref(exp);
    w->blow_done = true;
}

static void coroutine_fn strike_remove(void *opaque)
{
    World *w = opaque;

    if (!block_export_del("export", BLOCK_EXPORT_REMOVE_MODE_HARD, NULL)) {
        cancel_fail(w, "the export cannot be removed");
    }
    w->blow_done = true;
}

/* As long as there is a client it is refused, at once. */
static void coroutine_fn strike_remove_safe(void *opaque)
{
    World *w = opaque;
    BlockExport *exp = block_export_find("export");
    bool in_use = exp->refcnt > 1;

    if (block_export_del("export", BLOCK_EXPORT_REMOVE_MODE_SAFE,
                         NULL) == in_use) {
        cancel_fail(w, "a safe removal %s", in_use ? "of an export in use" :
                    "that was refused");
    }
    w->blow_done = true;
}

static void coroutine_fn strike_remove_gated(void *opaque)
{
    BlockExport *exp = block_export_find("export");

    blk_gate_close(exp->blk);
    co_sleep_ns(SECOND);
    strike_remove(opaque);
    blk_gate_open(exp->blk);
}

/* The export goes, and at once the node that it was of. */
static void coroutine_fn strike_remove_node(void *opaque)
{
    World *w = opaque;

    block_export_del("export", BLOCK_EXPORT_REMOVE_MODE_HARD, NULL);
    block_export_co_wait_deleted();
    nbd_world_co_drop_disk(&w->nbd);
    w->blow_done = true;
}

static void coroutine_fn strike_stop(void *opaque)
{
    World *w = opaque;

    if (!nbd_server_co_stop(NULL)) {
        cancel_fail(w, "the server cannot be stopped");
    }
    w->blow_done = true;
}

static void coroutine_fn strike_disk_fails(void *opaque)
{
    World *w = opaque;
    TestDisk *disk = test_disk(w->nbd.disk);

    disk->fail_read = disk->fail_write = disk->fail_flush = EIO;
    test_disk_release(w->nbd.disk);
    w->blow_done = true;
}

static void coroutine_fn strike_cut(void *opaque)
{
    World *w = opaque;

    sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    w->blow_done = true;
}

static void coroutine_fn strike_cut_twice(void *opaque)
{
    World *w = opaque;

    sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    co_sleep_ns(3 * SECOND / 2);
    strike_cut(opaque);
}

static void coroutine_fn strike_short_stall(void *opaque)
{
    World *w = opaque;
    SimLinkConditions c = w->nbd.conditions;

    c.stalled = true;
    sim_link_set_soon(&w->nbd.sim, w->nbd.link, c);
    co_sleep_ns(3 * SECOND);
    sim_link_set_soon(&w->nbd.sim, w->nbd.link, w->nbd.conditions);
    w->blow_done = true;
}

const Blow cancel_blows[] = {
    { "nothing", CLIENT, strike_nothing, .answers = true, .harmless = true },

    { "yank", CLIENT, strike_yank, .frees = true, .answers = true },
    { "close", CLIENT, strike_close, .frees = true, .answers = true },
    { "yank-close", CLIENT, strike_yank_close, .frees = true,
      .answers = true },
    { "cancel", CLIENT, strike_cancel, .answers = true },
    { "drain", CLIENT, strike_drain, .harmless = true },
    { "reopen", CLIENT, strike_reopen, .harmless = true },
    { "close-all", CLIENT, strike_close_all, .frees = true, .answers = true },

    { "server-drain", SERVER, strike_server_drain, .harmless = true },
    { "gate", SERVER, strike_gate, .answers = true, .harmless = true },
    { "remove", SERVER, strike_remove, .frees = true, .answers = true,
      .removes = true },
    { "remove-safe", SERVER, strike_remove_safe, .answers = true },
    { "remove-node", SERVER, strike_remove_node, .frees = true,
      .removes = true },
    { "remove-gated", SERVER, strike_remove_gated, .frees = true,
      .answers = true, .removes = true },
    { "stop", SERVER, strike_stop, .frees = true, .answers = true },
    { "disk-fails", SERVER, strike_disk_fails, .frees = true,
      .answers = true },

    { "cut", LINK, strike_cut, .answers = true, .spares_clients = true },
    { "cut-twice", LINK, strike_cut_twice, .answers = true,
      .spares_clients = true },
    { "short-stall", LINK, strike_short_stall, .answers = true,
      .harmless = true },

    { "stall", LINK, strike_nothing, .stall = true },
    { "stall-yank", CLIENT, strike_yank, .stall = true, .frees = true,
      .answers = true },
    { "stall-close", CLIENT, strike_close, .stall = true, .frees = true,
      .answers = true },
    { "stall-drain", CLIENT, strike_drain, .stall = true },
    { "stall-reopen", CLIENT, strike_reopen, .stall = true,
      .answers = true },
    { "stall-close-all", CLIENT, strike_close_all, .stall = true,
      .frees = true, .answers = true },
    { "stall-remove", SERVER, strike_remove, .stall = true,
      .answers = true, .removes = true },
    { "stall-stop", SERVER, strike_stop, .stall = true, .answers = true },
    { NULL }
};

const Blow *cancel_blow(const char *name)
{
    const Blow *blow = cancel_blows;

    while (strcmp(blow->name, name)) {
        blow++;
        g_assert_nonnull(blow->name);
    }
    return blow;
}
