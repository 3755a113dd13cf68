/*
 * replication, the secondary: one, over layers that do as they are told
 *
 *   top1 (quorum) -> r0 (replication) -> layers -> disk <- export
 *
 * "The peer" in the tests is whoever writes through the export.  Included by
 * one file of a program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_REPLICATION_SECONDARY_FIXTURE_H
#define TESTS_UNIT_REPLICATION_SECONDARY_FIXTURE_H

#include "fake-layers.h"
#include "replication-helpers.h"

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *disk, *layers, *node, *quorum;
    BlockBackend *guest, *peer;
    Replication *r;
} Fixture;

static inline void coroutine_fn insert_user(void *opaque)
{
    gpointer *args = opaque;

    blk_co_insert_bs(args[0], args[1], args[2]);
}

static inline BlockBackend *new_user(Fixture *f, BlockDriverState *bs,
                                     uint64_t perm)
{
    g_autoptr(GError) err = NULL;
    BlockBackend *blk = blk_new(perm, BLK_PERM_ALL);
    gpointer args[] = { blk, bs, &err };

    test_run(f->ctx, insert_user, args);
    g_assert_no_error(err);
    return blk;
}

/* @data: the top-id, "top1" by default. */
static inline void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, &fake_layers_driver,
        &fake_overlay_driver, &bdrv_quorum, &bdrv_replication, NULL
    };
    const uint64_t perm = BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE;
    g_autoptr(GError) err = NULL;

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(&f->clock, NULL);
    observe();
    f->disk = test_open_disk(f->ctx, "disk");
    memset(test_disk(f->disk)->data, 0x11, TEST_DISK_SIZE);
    f->layers = open_node(f->ctx, &err, "{'driver': 'colo-buffer', "
                          "'node-name': 'layers', 'backing': 'disk'}");
    g_assert_no_error(err);
    f->node = open_node(f->ctx, &err, "{'driver': 'replication', "
                        "'node-name': 'r0', 'mode': 'secondary', "
                        "'discard': 'unmap', 'top-id': '%s', "
                        "'file': 'layers'}", data ? (const char *)data
                                                  : "top1");
    g_assert_no_error(err);
    f->quorum = open_node(f->ctx, &err, "{'driver': 'quorum', "
                          "'node-name': 'top1', 'read-pattern': 'fifo', "
                          "'vote-threshold': 1, 'children': ['r0'], "
                          "'discard': 'unmap'}");
    g_assert_no_error(err);
    f->guest = new_user(f, f->quorum, perm);
    f->peer = new_user(f, f->disk, perm);
    f->r = replication_find("r0");
}

static inline void setup_running(Fixture *f, gconstpointer data)
{
    setup(f, data);
    step_ok(f->ctx, f->r, STEP_START);
}

static inline void close_guest(Fixture *f)
{
    if (f->guest) {
        test_backend_free(f->ctx, f->guest);
        test_unref(f->ctx, f->quorum);
        test_unref(f->ctx, f->node);
        f->guest = NULL;
    }
}

static inline void teardown(Fixture *f, gconstpointer data)
{
    fake_release(f->layers);
    test_disk_release(f->disk);
    test_settle(f->ctx);
    close_guest(f);
    test_backend_free(f->ctx, f->peer);
    test_unref(f->ctx, f->layers);
    test_unref(f->ctx, f->disk);
    g_assert_null(replication_next(NULL));
    observe_end();
    test_block_end(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static inline TestDisk *disk(Fixture *f)
{
    return test_disk(f->disk);
}

static inline FakeLayers *layers(Fixture *f)
{
    return fake_layers(f->layers);
}

static inline void peer_writes(Fixture *f, int64_t offset, int64_t bytes,
                               uint8_t pattern)
{
    g_assert_cmpint(test_write(f->ctx, f->peer, offset, bytes, pattern),
                    ==, 0);
}

static inline void guest_writes(Fixture *f, int64_t offset, int64_t bytes,
                                uint8_t pattern)
{
    g_assert_cmpint(test_write(f->ctx, f->guest, offset, bytes, pattern),
                    ==, 0);
}

static inline bool guest_sees(Fixture *f, int64_t offset, int64_t bytes,
                              uint8_t pattern)
{
    return reads_as(f->ctx, f->guest, offset, bytes, pattern);
}

static inline TestRequest request(BlockBackend *blk, int type, int64_t offset,
                                  int64_t bytes, uint8_t pattern)
{
    return (TestRequest) {
        .blk = blk, .type = type, .offset = offset, .bytes = bytes,
        .pattern = pattern,
    };
}

static inline int error_of(Fixture *f)
{
    return replication_error(f->r)->ret;
}

static inline bool has_filter(Fixture *f)
{
    return blk_bs(f->peer) != f->disk;
}

/* Programs */

typedef struct SecondaryTest {
    const char *path;
    const char *top;
    bool idle;                  /* not started */
    void (*func)(Fixture *f, gconstpointer data);
} SecondaryTest;

static inline int run_secondary_tests(int argc, char **argv,
                                      const SecondaryTest *tests, size_t n)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path =
            g_strdup_printf("/replication/secondary/%s", tests[i].path);

        g_test_add(path, Fixture, tests[i].top,
                   tests[i].idle ? setup : setup_running, tests[i].func,
                   teardown);
    }
    return g_test_run();
}

#endif
