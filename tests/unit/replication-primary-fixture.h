/*
 * replication, the primary: a fixture
 *
 * colo-disk0 is a quorum of the local disk and of a replication node whose
 * peer is a disk that answers when it is told to.  Included by one file of a
 * program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_REPLICATION_PRIMARY_FIXTURE_H
#define TESTS_UNIT_REPLICATION_PRIMARY_FIXTURE_H

#include "replication-helpers.h"

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *local, *peer, *node, *quorum;
    BlockBackend *blk;
    Replication *r;
} Fixture;

static inline void coroutine_fn attach_entry(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(GError) err = NULL;

    bdrv_co_add_child(f->quorum, f->node, &err);
    g_assert_no_error(err);
}

/* @data: more options of the replication node, or NULL. */
static inline void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, &bdrv_quorum,
        &bdrv_replication, NULL
    };
    g_autoptr(GError) err = NULL;

    bdrv_register_drivers(drivers);
    f->ctx = aio_context_new(&f->clock, NULL);
    observe();
    f->local = test_open_disk(f->ctx, "local");
    f->peer = test_open_disk(f->ctx, "peer");
    f->quorum = open_node(f->ctx, &err, "{'driver': 'quorum', "
                          "'node-name': 'colo-disk0', 'discard': 'unmap', "
                          "'read-pattern': 'fifo', 'vote-threshold': 1, "
                          "'children': ['local']}");
    g_assert_no_error(err);
    f->blk = test_backend(f->ctx, f->quorum);
    blk_set_perm(f->blk, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                 BLK_PERM_ALL, NULL);
    f->node = open_node(f->ctx, &err, "{'driver': 'replication', "
                        "'node-name': 'r0', 'mode': 'primary', "
                        "'file': 'peer'%s}", data ? (const char *)data : "");
    g_assert_no_error(err);
    f->r = replication_find("r0");
    test_run(f->ctx, attach_entry, f);
}

static inline void setup_running(Fixture *f, gconstpointer data)
{
    setup(f, data);
    step_ok(f->ctx, f->r, STEP_START);
}

static inline void teardown(Fixture *f, gconstpointer data)
{
    test_disk(f->peer)->stepped = false;    /* closing flushes it */
    test_backend_free(f->ctx, f->blk);
    test_unref(f->ctx, f->quorum);
    test_unref(f->ctx, f->node);
    test_unref(f->ctx, f->local);
    test_unref(f->ctx, f->peer);
    g_assert_null(replication_next(NULL));
    observe_end();
    test_block_end(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static inline TestDisk *peer(Fixture *f)
{
    return test_disk(f->peer);
}

static inline TestDisk *local(Fixture *f)
{
    return test_disk(f->local);
}

static inline void write_ok(Fixture *f, int64_t offset, int64_t bytes,
                            uint8_t pattern)
{
    g_assert_cmpint(test_write(f->ctx, f->blk, offset, bytes, pattern),
                    ==, 0);
}

static inline TestRequest write_request(Fixture *f, int64_t offset,
                                        int64_t bytes, uint8_t pattern)
{
    return (TestRequest) {
        .blk = f->blk, .type = TEST_WRITE, .offset = offset, .bytes = bytes,
        .pattern = pattern,
    };
}

/* Let the peer be gone: what is held fails once it is cancelled. */
static inline void kill_peer(Fixture *f)
{
    peer(f)->hold = true;
    peer(f)->fail_write = peer(f)->fail_read = peer(f)->fail_flush = ENOTCONN;
}

static inline void revive_peer(Fixture *f)
{
    test_disk_release(f->peer);
    peer(f)->fail_write = peer(f)->fail_read = peer(f)->fail_flush = 0;
    test_settle(f->ctx);
}

static inline int error_of(Fixture *f)
{
    return replication_error(f->r)->ret;
}

static inline void assert_identical(Fixture *f)
{
    g_assert_cmpmem(local(f)->data, TEST_DISK_SIZE, peer(f)->data,
                    TEST_DISK_SIZE);
}

/* Options of some tests */
#define ASYNC ", 'protocol': 'async'"
#define SMALL ASYNC ", 'window-requests': 2"

/* Programs */

typedef struct PrimaryTest {
    const char *path;
    const char *options;
    bool idle;                  /* not started */
    void (*func)(Fixture *f, gconstpointer data);
} PrimaryTest;

static inline int run_primary_tests(int argc, char **argv,
                                    const PrimaryTest *tests, size_t n)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path =
            g_strdup_printf("/replication/primary/%s", tests[i].path);

        g_test_add(path, Fixture, tests[i].options,
                   tests[i].idle ? setup : setup_running, tests[i].func,
                   teardown);
    }
    return g_test_run();
}

#endif
