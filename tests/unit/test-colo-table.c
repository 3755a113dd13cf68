/*
 * colo-buffer: its hash table and its layers against plain models
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/stat.h>

#include "block/drivers/colo-buffer/layer.h"
#include "util/aio.h"

/* Table */

static void test_table_finds_what_was_inserted(void)
{
    g_autoptr(GHashTable) model = g_hash_table_new(NULL, NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    Table table = { 0 };

    for (int i = 0; i < 20000; i++) {
        uint64_t block = g_rand_int_range(rand, 1, 30000);
        bool is_new;
        TableEntry *entry = table_insert(&table, block, &is_new);

        g_assert_true(is_new ==
                      !g_hash_table_contains(model, GSIZE_TO_POINTER(block)));
        if (is_new) {
            entry->slot = block + 5;
            g_hash_table_add(model, GSIZE_TO_POINTER(block));
        }
        g_assert_cmpuint(entry->slot, ==, block + 5);
    }
    for (uint64_t block = 1; block < 30000; block++) {
        TableEntry *entry = table_find(&table, block);

        g_assert_true((entry != NULL) ==
                      g_hash_table_contains(model, GSIZE_TO_POINTER(block)));
    }
    table_destroy(&table);
}

static void test_table_walk_sees_each_entry_once(void)
{
    Table table = { 0 };

    /* At every size, in the middle of growing too. */
    for (uint64_t n = 1; n <= 500; n++) {
        g_autofree bool *seen = g_new0(bool, n + 1);
        size_t pos = 0;
        TableEntry *entry;
        uint64_t count = 0;
        bool is_new;

        table_insert(&table, n, &is_new);
        while ((entry = table_next(&table, &pos))) {
            g_assert_false(seen[entry->block]);
            seen[entry->block] = true;
            count++;
        }
        g_assert_cmpuint(count, ==, n);
    }
    table_destroy(&table);
}

/* Layers */

#define DISK_SECTORS 2000

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    Storage storage;
    Layer *layer;
    bool closed;
    char *dir;
} Fixture;

static void setup(Fixture *f, gconstpointer spill)
{
    g_autofree char *file = NULL;

    f->ctx = aio_context_new(&f->clock, NULL);
    f->dir = g_dir_make_tmp("colo-table-XXXXXX", NULL);
    file = g_build_filename(f->dir, "spill", NULL);
    g_assert_true(storage_open(&f->storage, f->ctx,
                               spill ? ARENA_CHUNK_SIZE : 16 * MiB,
                               spill ? file : NULL, 16 * MiB, NULL));
    f->layer = layer_new(0);
}

static void coroutine_fn close_entry(void *opaque)
{
    Fixture *f = opaque;

    storage_co_close(&f->storage);
    f->closed = true;
}

static void teardown(Fixture *f, gconstpointer spill)
{
    layer_free(f->layer, &f->storage);
    coroutine_start(close_entry, f);
    while (!f->closed) {
        aio_poll(f->ctx, true);
    }
    rmdir(f->dir);
    g_free(f->dir);
    aio_context_free(f->ctx);
}

typedef struct RwCall {
    Fixture *f;
    int64_t offset, bytes;
    uint8_t *buf;
    bool is_write, done;
} RwCall;

static void coroutine_fn rw_entry(void *opaque)
{
    RwCall *call = opaque;
    IOVector qiov;

    iov_init_buf(&qiov, call->buf, call->bytes);
    g_assert_cmpint(layer_co_rw(call->f->layer, &call->f->storage,
                                call->offset, call->bytes, &qiov, 0,
                                call->is_write), ==, 0);
    call->done = true;
}

static void rw_finish(RwCall *call)
{
    while (!call->done) {
        aio_poll(call->f->ctx, true);
    }
}

static void rw(Fixture *f, int64_t offset, int64_t bytes, uint8_t *buf,
               bool is_write)
{
    RwCall call = { f, offset, bytes, buf, is_write, false };

    coroutine_start(rw_entry, &call);
    rw_finish(&call);
}

static void check_runs(Fixture *f, const bool *model)
{
    int64_t pos = 0, held_sectors = 0;

    while (pos < DISK_SECTORS) {
        bool held;
        int64_t n = layer_run(f->layer, pos * 512,
                              (DISK_SECTORS - pos) * 512, &held) / 512;

        g_assert_cmpint(n, >, 0);
        for (int64_t i = 0; i < n; i++) {
            g_assert_true(model[pos + i] == held);
            held_sectors += held;
        }
        pos += n;
    }
    g_assert_cmpint(f->layer->bytes, ==, held_sectors * 512);
}

static void test_layer_equals_model(Fixture *f, gconstpointer spill)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    g_autofree bool *model = g_new0(bool, DISK_SECTORS);
    g_autofree uint8_t *data = g_malloc0(DISK_SECTORS);
    g_autofree uint8_t *buf = g_malloc(200 * 512);

    for (int i = 0; i < 2000; i++) {
        int64_t start = g_rand_int_range(rand, 0, DISK_SECTORS);
        int64_t n = g_rand_int_range(rand, 1, 200);

        n = MIN(n, DISK_SECTORS - start);
        if (g_rand_int_range(rand, 0, 4) == 0) {
            layer_unmark(f->layer, start * 512, n * 512);
            memset(model + start, false, n);
        } else {
            memset(buf, i, n * 512);
            g_assert_cmpint(layer_reserve(f->layer, &f->storage, start * 512,
                                          n * 512), ==, 0);
            rw(f, start * 512, n * 512, buf, true);
            layer_mark(f->layer, start * 512, n * 512);
            memset(model + start, true, n);
            memset(data + start, i, n);
        }
        if (i % 100 == 0) {
            check_runs(f, model);
        }
    }
    for (int64_t i = 0; i < DISK_SECTORS; i++) {
        if (model[i]) {
            rw(f, i * 512, 512, buf, false);
            g_assert_cmphex(buf[0], ==, data[i]);
            g_assert_cmphex(buf[511], ==, data[i]);
        }
    }
}

static void test_layer_is_full(Fixture *f, gconstpointer spill)
{
    g_assert_cmpint(layer_reserve(f->layer, &f->storage, 0, 16 * MiB), ==, 0);
    g_assert_cmpint(layer_reserve(f->layer, &f->storage, 16 * MiB, 512),
                    ==, -ENOSPC);
    g_assert_true(layer_is_empty(f->layer));
}

static void test_memory_is_returned(Fixture *f, gconstpointer spill)
{
    layer_reserve(f->layer, &f->storage, 0, 8 * MiB);
    g_assert_cmpuint(f->storage.memory_chunks, ==, 8);
    layer_free(f->layer, &f->storage);
    f->layer = layer_new(0);
    g_assert_cmpuint(f->storage.memory_chunks, ==, 0);
    g_assert_cmpuint(f->storage.arena.free->len, ==, 8);

    /* Three of them are needed again and again, the others go. */
    for (int i = 0; i < 40; i++) {
        layer_reserve(f->layer, &f->storage, 0, 3 * MiB);
        layer_free(f->layer, &f->storage);
        f->layer = layer_new(0);
        f->clock.now_ns += 100 * SCALE_MS;
        aio_poll(f->ctx, false);
    }
    g_assert_cmpuint(f->storage.arena.free->len, ==, 3);

    /* Unused for a while: all of it goes, and the timer with it. */
    for (int i = 0; i < 10 && aio_next_deadline_ns(f->ctx) >= 0; i++) {
        f->clock.now_ns = aio_next_deadline_ns(f->ctx);
        aio_poll(f->ctx, false);
    }
    g_assert_cmpuint(f->storage.arena.free->len, ==, 0);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

/* The file is emptied in a thread; what is written next comes after that. */
static void test_spill_file_is_emptied(Fixture *f, gconstpointer spill)
{
    const int64_t spilled = ARENA_CHUNK_SIZE;
    uint8_t data[COLO_SECTOR_SIZE], back[COLO_SECTOR_SIZE];
    RwCall call = { f, spilled, sizeof(data), data, true, false };
    struct stat st;

    memset(data, 0x22, sizeof(data));
    g_assert_cmpint(layer_reserve(f->layer, &f->storage, 0, 4 * spilled),
                    ==, 0);
    rw(f, 3 * spilled, sizeof(data), data, true);
    layer_free(f->layer, &f->storage);
    f->layer = layer_new(0);
    g_assert_true(f->storage.truncating);

    memset(data, 0x33, sizeof(data));
    g_assert_cmpint(layer_reserve(f->layer, &f->storage, 0, 2 * spilled),
                    ==, 0);
    coroutine_start(rw_entry, &call);
    g_assert_false(call.done);
    rw_finish(&call);
    g_assert_false(f->storage.truncating);
    rw(f, spilled, sizeof(back), back, false);
    g_assert_cmpmem(back, sizeof(back), data, sizeof(data));
    g_assert_cmpint(fstat(f->storage.fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, sizeof(data));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/colo-table/find", test_table_finds_what_was_inserted);
    g_test_add_func("/colo-table/walk",
                    test_table_walk_sees_each_entry_once);
    g_test_add("/colo-layer/model", Fixture, NULL, setup,
               test_layer_equals_model, teardown);
    g_test_add("/colo-layer/model-spilled", Fixture, "spill", setup,
               test_layer_equals_model, teardown);
    g_test_add("/colo-layer/full", Fixture, NULL, setup, test_layer_is_full,
               teardown);
    g_test_add("/colo-layer/returned", Fixture, NULL, setup,
               test_memory_is_returned, teardown);
    g_test_add("/colo-layer/emptied", Fixture, "spill", setup,
               test_spill_file_is_emptied, teardown);
    return g_test_run();
}
