/*
 * A secondary whose every access to disk and layers waits to be told
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "interleave.h"

#include <sys/mman.h>

#include "block/drivers.h"
#include "block/drivers/colo-buffer/colo-buffer-int.h"
#include "replication/group.h"

#define SPILL_CHUNKS 64

/* The spill file: an engine that lets requests wait in the disk's row */

static bool spill_takes(const FileHandle *file, const FileRequest *req)
{
    return true;
}

static ssize_t coroutine_fn spill_co_run(FileEngine *engine, FileRequest *req)
{
    World *w = container_of(engine, World, spill);
    TestDisk *disk = test_disk(w->disk);

    if (disk->stepped) {
        g_ptr_array_add(disk->steps, coroutine_self());
        coroutine_yield();
    }
    return file_request_run_sync(req);
}

static const FileEngineOps spill_ops = {
    .takes = spill_takes,
    .co_run = spill_co_run,
};

/* The layers keep nothing in memory, and all goes through our engine. */
static void use_spill(World *w)
{
    Storage *st = &((ColoBuffer *)w->layers->opaque)->storage;

    w->spill = (FileEngine) { .ops = &spill_ops, .ctx = w->ctx };
    st->fd = memfd_create("spill", MFD_CLOEXEC);
    g_assert_cmpint(st->fd, >=, 0);
    file_handle_init(&st->handle, st->fd, false);
    st->engine = &w->spill;
    st->max_memory_chunks = 0;
    st->max_spill_chunks = SPILL_CHUNKS;
}

/* Nodes */

typedef struct OpenCall {
    BlockdevOptions *options;
    BlockDriverState *bs;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;
    g_autoptr(GError) err = NULL;

    call->bs = bdrv_co_open(call->options, &err);
    g_assert_no_error(err);
}

static BlockDriverState *open_node(World *w, BlockdevOptions *options)
{
    OpenCall call = { .options = options };

    test_run(w->ctx, open_entry, &call);
    return call.bs;
}

static void coroutine_fn start_entry(void *opaque)
{
    g_autoptr(GError) err = NULL;

    GRAPH_COMMAND_GUARD();
    replication_group_co_start(NULL, REPLICATION_MODE_SECONDARY, true, &err);
    g_assert_no_error(err);
}

void world_begin(World *w, Store store, const OpSpec *specs, int n)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_colo_buffer, &bdrv_replication, NULL
    };
    BlockdevRef disk = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"disk",
    };
    BlockdevRef layers = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"layers",
    };
    BlockdevOptions layers_options = {
        .driver = BLOCKDEV_DRIVER_COLO_BUFFER, .node_name = (char *)"layers",
        .u.colo_buffer.backing = &disk,
    };
    BlockdevOptions secondary_options = {
        .driver = BLOCKDEV_DRIVER_REPLICATION,
        .node_name = (char *)"secondary",
        .u.replication = {
            .file = &layers, .mode = REPLICATION_MODE_SECONDARY,
            .top_id = (char *)"secondary",
        },
    };

    *w = (World) { .n_ops = n };
    w->ctx = aio_context_new(&w->clock, NULL);
    bdrv_register_drivers(drivers);
    replication_group_init();
    w->disk = test_open_disk(w->ctx, "disk");
    w->layers = open_node(w, &layers_options);
    if (store == STORE_SPILL) {
        use_spill(w);
    }
    w->secondary = open_node(w, &secondary_options);
    w->primary = test_backend_perm(w->ctx, w->disk, BLK_PERM_WRITE);
    w->guest = test_backend_perm(w->ctx, w->secondary,
                                 BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE);
    test_run(w->ctx, start_entry, NULL);
    test_disk(w->disk)->stepped = true;

    for (int i = 0; i < n; i++) {
        w->ops[i] = (Op) {
            .spec = specs[i], .pattern = 0x10 + i, .world = w,
            .began = -1, .ended = -1,
        };
    }
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    replication_group_co_shutdown();
}

void world_end(World *w)
{
    test_disk(w->disk)->stepped = false;
    test_run(w->ctx, shutdown_entry, NULL);
    test_backend_free(w->ctx, w->guest);
    test_backend_free(w->ctx, w->primary);
    test_unref(w->ctx, w->secondary);
    test_unref(w->ctx, w->layers);
    test_unref(w->ctx, w->disk);
    test_settle(w->ctx);
    aio_context_free(w->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* Operations */

static int coroutine_fn do_cut(void)
{
    GRAPH_COMMAND_GUARD();
    return replication_group_co_checkpoint(NULL, NULL) ? 0 : -EIO;
}

static int coroutine_fn do_read(World *w, Op *op)
{
    uint8_t buf[SECTORS * 512];
    int ret = blk_co_pread(w->guest, op->spec.sector * 512,
                           op->spec.count * 512, buf, 0);

    for (int i = 0; i < op->spec.count; i++) {
        op->result[i] = buf[i * 512];
        for (int j = 1; j < 512; j++) {
            g_assert_cmphex(buf[i * 512 + j], ==, buf[i * 512]);
        }
    }
    return ret;
}

static int coroutine_fn do_write(BlockBackend *blk, const Op *op)
{
    uint8_t buf[SECTORS * 512];

    memset(buf, op->pattern, sizeof(buf));
    return blk_co_pwrite(blk, op->spec.sector * 512, op->spec.count * 512, buf,
                         0);
}

static void coroutine_fn op_entry(void *opaque)
{
    Op *op = opaque;
    World *w = op->world;

    switch (op->spec.type) {
    case OP_FORWARD:
        op->ret = w->export_closed ? -ESHUTDOWN : do_write(w->primary, op);
        break;
    case OP_READ:
        op->ret = do_read(w, op);
        break;
    case OP_WRITE:
        op->ret = do_write(w->guest, op);
        break;
    case OP_CUT:
        op->ret = do_cut();
        break;
    case OP_FAILOVER:
        /* The peer's export goes first: what comes later has no way in. */
        w->export_closed = true;
        op->ret = replication_group_failover(NULL, NULL) ? 0 : -EIO;
        break;
    }
    op->ended = w->now;
}

/* A thread that shortens the spill file is no break point: it takes no time. */
static void settle(World *w)
{
    const Storage *st = &((ColoBuffer *)w->layers->opaque)->storage;

    test_settle(w->ctx);
    while (st->truncating) {
        aio_poll(w->ctx, true);
        test_settle(w->ctx);
    }
}

void world_start(World *w, int i)
{
    Op *op = &w->ops[i];

    op->began = ++w->now;
    coroutine_start(op_entry, op);
    settle(w);
}

void world_step(World *w, int i)
{
    w->now++;
    test_disk_step(w->disk, i);
    settle(w);
}

int world_waiting(const World *w)
{
    return test_disk_waiting(w->disk);
}

/* Looking */

static uint8_t coroutine_fn look_at(World *w, int sector)
{
    ColoBuffer *s = w->layers->opaque;
    Layer *const layers[] = { s->active, s->hidden };
    uint8_t buf[512];
    IOVector qiov;

    iov_init_buf(&qiov, buf, sizeof(buf));
    for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
        bool held;

        layer_run(layers[i], sector * 512, 512, &held);
        if (held) {
            g_assert_cmpint(layer_co_rw(layers[i], &s->storage, sector * 512,
                                        512, &qiov, 0, false), ==, 0);
            return buf[0];
        }
    }
    return test_disk(w->disk)->data[sector * 512];
}

static void coroutine_fn look_entry(void *opaque)
{
    World *w = opaque;

    for (int i = 0; i < SECTORS; i++) {
        w->view[i] = look_at(w, i);
    }
}

void world_look(World *w)
{
    test_disk(w->disk)->stepped = false;
    test_run(w->ctx, look_entry, w);
    test_disk(w->disk)->stepped = true;
}

static void coroutine_fn read_view_entry(void *opaque)
{
    World *w = opaque;
    Op op = { .spec = { OP_READ, 0, SECTORS } };

    g_assert_cmpint(do_read(w, &op), ==, 0);
    memcpy(w->view, op.result, SECTORS);
}

void world_end_view(World *w)
{
    w->over = true;
    test_disk(w->disk)->stepped = false;
    test_run(w->ctx, read_view_entry, w);
    test_disk(w->disk)->stepped = true;
}
