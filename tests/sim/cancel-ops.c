/*
 * Cancel at every turn: what the client's host does
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"

#include "qapi/qapi-commands-block-core.h"

static int coroutine_fn do_open(World *w)
{
    g_autoptr(BlockdevOptions) options = nbd_world_node(&w->nbd, w->way, false);
    BlockBackend *blk;

    if (!bdrv_co_monitor_add(options, NULL)) {
        return -EIO;
    }
    blk = blk_new(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE, BLK_PERM_ALL);
    if (!blk_co_insert_bs(blk, bdrv_find_node("node"), NULL) ||
        !blk_set_name(blk, "drive", NULL)) {
        cancel_fail(w, "the node that was just opened is of no use");
    }
    blk_ref(blk);
    w->blk = blk;
    return 0;
}

int coroutine_fn cancel_co_close(void)
{
    BlockBackend *blk = blk_by_name("drive");

    if (blk) {
        blk_co_delete_named(blk);
    }
    return bdrv_co_monitor_del("node", NULL) ? 0 : -EIO;
}

int coroutine_fn cancel_co_reopen(World *w)
{
    g_autoptr(BlockdevOptions) options = nbd_world_node(&w->nbd, w->way, true);
    BlockdevOptionsList list = { .value = options };

    GRAPH_COMMAND_GUARD();
    return bdrv_co_reopen_multiple(&list, NULL) ? 0 : -EIO;
}

static int coroutine_fn do_read(const Op *op)
{
    g_autofree uint8_t *buf = g_malloc0(op->bytes);
    int ret = blk_co_pread(op->world->blk, op->offset, op->bytes, buf, 0);

    for (int64_t i = 0; ret == 0 && i < op->bytes; i++) {
        if (buf[i] != PATTERN) {
            cancel_fail(op->world, "read 0x%02x at %" PRId64, buf[i],
                 op->offset + i);
        }
    }
    return ret;
}

static int coroutine_fn do_write(const Op *op)
{
    g_autofree uint8_t *buf = g_malloc(op->bytes);

    memset(buf, ~PATTERN, op->bytes);
    return blk_co_pwrite(op->world->blk, op->offset, op->bytes, buf, 0);
}

static int coroutine_fn do_status(const Op *op)
{
    int64_t pnum;
    int ret = blk_co_block_status(op->world->blk, true, op->offset, op->bytes,
                                  &pnum);

    return MIN(ret, 0);
}

/* Nobody's export changes its size for a client: "no" is an answer. */
static int coroutine_fn do_resize(const Op *op)
{
    g_autoptr(GError) err = NULL;

    qmp_block_resize(NULL, "node", op->bytes, &err);
    return err ? -EIO : 0;
}

static int coroutine_fn op_run(Op *op)
{
    World *w = op->world;

    switch (op->type) {
    case OP_READ:
        return do_read(op);
    case OP_WRITE:
        return do_write(op);
    case OP_ZEROES:
        return blk_co_pwrite_zeroes(w->blk, op->offset, op->bytes, 0);
    case OP_DISCARD:
        return blk_co_pdiscard(w->blk, op->offset, op->bytes);
    case OP_FLUSH:
        return blk_co_flush(w->blk);
    case OP_STATUS:
        return do_status(op);
    case OP_OPEN:
        return do_open(w);
    case OP_REOPEN:
        return cancel_co_reopen(w);
    case OP_CLOSE:
        return cancel_co_close();
    case OP_RESIZE:
        return do_resize(op);
    default:
        g_assert_not_reached();
    }
}

void coroutine_fn cancel_op_entry(void *opaque)
{
    Op *op = opaque;

    op->ret = op_run(op);
    op->done = true;
}
