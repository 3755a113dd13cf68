/*
 * The graph: names, references, permissions, replacing, reopening
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block-helpers.h"
#include "log-capture.h"

typedef struct Fixture {
    AioContext *ctx;
    BlockDriverState *disk;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = test_block_begin();
    f->disk = test_open_disk(f->ctx, "disk");
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_unref(f->ctx, f->disk);
    test_settle(f->ctx);
    g_assert_null(bdrv_find_node("disk"));
    test_block_end(f->ctx);
}

static void assert_error(GError **err, const char *text)
{
    g_assert_nonnull(*err);
    g_assert_cmpstr((*err)->message, ==, text);
    g_clear_error(err);
}

static void test_names(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) err = NULL;
    BlockDriverState *filter = test_open_filter(f->ctx, NULL, "disk", NULL);

    g_assert_true(g_str_has_prefix(bdrv_node_name(filter), "#block"));
    g_assert_null(test_open_filter(f->ctx, "disk", "disk", &err));
    assert_error(&err, "Duplicate nodes with node-name='disk'");
    g_assert_null(test_open_filter(f->ctx, "1", "disk", &err));
    assert_error(&err, "Invalid node-name: '1'");
    g_assert_null(test_open_filter(f->ctx, "f", "nope", &err));
    assert_error(&err, "Cannot find device='nope' nor node-name='nope'");
    g_assert_null(test_open_filter(f->ctx,
                                   "a23456789012345678901234567890123", "disk",
                                   &err));
    assert_error(&err, "Node name too long: "
                 "'a23456789012345678901234567890123' (at most 31 characters)");
    test_unref(f->ctx, filter);
}

static void test_child_lives_as_long_as_parent(Fixture *f, gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);

    g_assert_cmpuint(f->disk->refcnt, ==, 2);
    test_unref(f->ctx, filter);
    g_assert_cmpuint(f->disk->refcnt, ==, 1);
    g_assert_null(bdrv_find_node("f"));
}

static void count_node(BlockDriverState *bs, void *opaque)
{
    ++*(int *)opaque;
}

static void coroutine_fn unref_entry(void *opaque)
{
    bdrv_co_unref(opaque);
}

/* Its last flush may take long; until then nobody shall refer to it. */
static void test_closing_node_is_not_found(Fixture *f, gconstpointer data)
{
    BlockDriverState *bs = test_open_disk(f->ctx, "d2");
    BlockBackend *blk = test_backend(f->ctx, bs);
    g_autoptr(GError) err = NULL;
    int nodes = 0;

    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);
    test_backend_free(f->ctx, blk);
    test_disk(bs)->hold = true;
    coroutine_start(unref_entry, bs);
    test_settle(f->ctx);
    g_assert_cmpuint(test_disk(bs)->flushes, ==, 1);

    g_assert_null(bdrv_find_node("d2"));
    bdrv_foreach_node(count_node, &nodes);
    g_assert_cmpint(nodes, ==, 1);
    g_assert_false(bdrv_name_is_free("d2", &err));
    test_disk_release(bs);
    test_settle(f->ctx);
    g_assert_true(bdrv_name_is_free("d2", NULL));
}

static void test_filter_passes_requests(Fixture *f, gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockBackend *blk = test_backend(f->ctx, filter);
    TestDisk *disk = test_disk(f->disk);

    test_write(f->ctx, blk, 0, 512, 0x55);
    g_assert_cmphex(disk->data[511], ==, 0x55);
    test_simple(f->ctx, blk, TEST_ZEROES, 0, 512, BDRV_REQ_MAY_UNMAP);
    g_assert_cmpuint(disk->zeroes, ==, 1);
    g_assert_cmphex(disk->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
    test_simple(f->ctx, blk, TEST_DISCARD, 0, 512, 0);
    g_assert_cmpuint(disk->discards, ==, 1);
    test_simple(f->ctx, blk, TEST_FLUSH, 0, 0, 0);
    g_assert_cmpuint(disk->flushes, ==, 1);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, filter);
}

static void test_conflict_names_both_users(Fixture *f, gconstpointer data)
{
    BlockBackend *a = test_backend(f->ctx, f->disk);
    BlockBackend *b = blk_new(0, BLK_PERM_ALL);
    g_autoptr(GError) err = NULL;

    blk_set_name(a, "a", NULL);
    g_assert_true(blk_set_perm(a, BLK_PERM_WRITE, BLK_PERM_ALL, NULL));
    blk_set_name(b, "b", NULL);
    test_backend_free(f->ctx, b);

    b = test_backend(f->ctx, f->disk);
    blk_set_name(b, "b", NULL);
    g_assert_false(blk_set_perm(b, 0, BLK_PERM_CONSISTENT_READ, &err));
    assert_error(&err, "Permission conflict on node 'disk': permissions "
                 "'write' are both required by block device 'a' (uses node "
                 "'disk' as 'root' child) and unshared by block device 'b' "
                 "(uses node 'disk' as 'root' child).");

    /* Nothing has changed: the old permissions still work. */
    g_assert_cmpint(test_write(f->ctx, a, 0, 512, 1), ==, 0);
    g_assert_cmpint(test_write(f->ctx, b, 0, 512, 1), ==, 0);
    test_backend_free(f->ctx, a);
    test_backend_free(f->ctx, b);
}

static void test_conflict_through_a_filter(Fixture *f, gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockBackend *above = test_backend(f->ctx, filter);
    BlockBackend *direct = test_backend(f->ctx, f->disk);

    g_assert_true(blk_set_perm(direct, BLK_PERM_RESIZE, BLK_PERM_ALL, NULL));
    g_assert_false(blk_set_perm(above, 0,
                                BLK_PERM_ALL & ~BLK_PERM_RESIZE, NULL));
    g_assert_true(blk_set_perm(direct, 0, BLK_PERM_ALL, NULL));
    g_assert_true(blk_set_perm(above, 0, BLK_PERM_ALL & ~BLK_PERM_RESIZE,
                               NULL));
    test_backend_free(f->ctx, above);
    test_backend_free(f->ctx, direct);
    test_unref(f->ctx, filter);
}

static void test_without_permission(Fixture *f, gconstpointer data)
{
    BlockBackend *blk = test_backend(f->ctx, f->disk);

    blk_set_perm(blk, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, -EPERM);
    g_assert_cmpint(test_simple(f->ctx, blk, TEST_DISCARD, 0, 512, 0),
                    ==, -EPERM);
    test_backend_free(f->ctx, blk);
}

typedef struct GraphCall {
    BlockDriverState *a, *b;
    bool ok;
    GError *err;
} GraphCall;

static void coroutine_fn replace_entry(void *opaque)
{
    GraphCall *call = opaque;

    call->ok = bdrv_co_replace_node(call->a, call->b, &call->err);
}

static void test_replace_moves_users(Fixture *f, gconstpointer data)
{
    BlockDriverState *other = test_open_disk(f->ctx, "other");
    BlockBackend *blk = test_backend(f->ctx, f->disk);
    GraphCall call = { .a = f->disk, .b = other };

    test_run(f->ctx, replace_entry, &call);
    g_assert_true(call.ok);
    test_write(f->ctx, blk, 0, 512, 0x77);
    g_assert_cmphex(test_disk(other)->data[0], ==, 0x77);
    g_assert_cmphex(test_disk(f->disk)->data[0], ==, 0);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, other);
}

static void coroutine_fn insert_entry(void *opaque)
{
    GraphCall *call = opaque;

    call->ok = bdrv_co_insert_filter(call->a, call->b, NULL, &call->err);
}

static void test_insert_with_requests_in_flight(Fixture *f,
                                                gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockBackend *blk = test_backend(f->ctx, f->disk);
    GraphCall call = { .a = filter, .b = f->disk };
    TestRequest running = {
        .blk = blk, .type = TEST_WRITE, .bytes = 512,
    }, late = running;

    test_disk(f->disk)->hold = true;
    test_request_start(f->ctx, &running);
    coroutine_start(insert_entry, &call);
    test_request_start(f->ctx, &late);
    g_assert_false(call.ok);
    test_disk_release(f->disk);
    g_assert_cmpint(test_request_finish(f->ctx, &running), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &late), ==, 0);
    g_assert_true(call.ok);
    g_assert_true(blk_bs(blk) == filter);
    g_assert_cmpuint(filter->quiesce_counter, ==, 0);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, filter);
}

static void test_cycle_is_refused(Fixture *f, gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    GraphCall call = { .a = f->disk, .b = filter };

    test_run(f->ctx, replace_entry, &call);
    g_assert_false(call.ok);
    assert_error(&call.err, "Cannot replace node 'disk' by 'f', which uses it");
    test_unref(f->ctx, filter);
}

/* Reopen */

typedef struct ReopenCall {
    BlockdevOptionsList *list;
    bool ok;
    GError *err;
} ReopenCall;

static void coroutine_fn reopen_entry(void *opaque)
{
    ReopenCall *call = opaque;

    call->ok = bdrv_co_reopen_multiple(call->list, &call->err);
}

static void test_reopen_read_only(Fixture *f, gconstpointer data)
{
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_read_only = true, .read_only = true,
    };
    BlockdevOptionsList list = { .value = &options };
    ReopenCall call = { .list = &list };
    BlockBackend *blk = test_backend(f->ctx, f->disk);

    /* A writer is in the way: refused, and writing still works. */
    test_run(f->ctx, reopen_entry, &call);
    g_assert_false(call.ok);
    assert_error(&call.err, "Block node 'disk' is read-only");
    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);

    blk_set_perm(blk, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    g_assert_true(bdrv_is_read_only(f->disk));
    g_assert_false(blk_set_perm(blk, BLK_PERM_WRITE, BLK_PERM_ALL, NULL));
    test_backend_free(f->ctx, blk);
}

/* A read-only node has nothing to flush any more, so it is done before. */
static void test_reopen_read_only_flushes(Fixture *f, gconstpointer data)
{
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_read_only = true, .read_only = true,
    };
    BlockdevOptionsList list = { .value = &options };
    ReopenCall call = { .list = &list };
    BlockBackend *blk = test_backend(f->ctx, f->disk);

    g_assert_cmpint(test_write(f->ctx, blk, 0, 512, 1), ==, 0);
    blk_set_perm(blk, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    g_assert_cmpuint(test_disk(f->disk)->flushes, ==, 1);
    test_backend_free(f->ctx, blk);
}

static void test_reopen_is_all_or_nothing(Fixture *f, gconstpointer data)
{
    BlockDriverState *other = test_open_disk(f->ctx, "other");
    BlockdevOptions a = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_read_only = true, .read_only = true,
    };
    BlockdevOptions b = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"other",
        .u.null_co.has_size = true, .u.null_co.size = 5,
    };
    BlockdevOptionsList second = { .value = &b };
    BlockdevOptionsList list = { .value = &a, .next = &second };
    ReopenCall call = { .list = &list };

    test_run(f->ctx, reopen_entry, &call);
    g_assert_false(call.ok);
    assert_error(&call.err, "Cannot change the option 'size'");
    g_assert_false(bdrv_is_read_only(f->disk));
    test_unref(f->ctx, other);
}

static void test_reopen_exchanges_a_child(Fixture *f, gconstpointer data)
{
    BlockDriverState *other = test_open_disk(f->ctx, "other");
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockBackend *blk = test_backend(f->ctx, filter);
    BlockdevRef ref = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"other",
    };
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_RAW, .node_name = (char *)"f",
        .u.raw.file = &ref,
    };
    BlockdevOptionsList list = { .value = &options };
    ReopenCall call = { .list = &list };

    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    test_write(f->ctx, blk, 0, 512, 0x66);
    g_assert_cmphex(test_disk(other)->data[0], ==, 0x66);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, filter);
    test_unref(f->ctx, other);
}

/* Options are inherited from a parent only as long as it is one. */
static void test_reopen_an_orphan(Fixture *f, gconstpointer data)
{
    BlockDriverState *orphan = test_open_disk(f->ctx, "orphan");
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"orphan",
    };
    BlockdevOptionsList list = { .value = &options };
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "orphan", NULL);
    GraphCall replace = { .a = orphan, .b = f->disk };
    ReopenCall call = { .list = &list };

    orphan->inherits_from = filter;
    test_run(f->ctx, replace_entry, &replace);
    g_assert_true(replace.ok);
    test_unref(f->ctx, filter);
    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    g_assert_false(bdrv_is_read_only(orphan));
    test_unref(f->ctx, orphan);
}

typedef struct SlowReopen {
    ReopenCall reopen;
    bool ended;
} SlowReopen;

static void coroutine_fn slow_reopen_entry(void *opaque)
{
    SlowReopen *slow = opaque;

    reopen_entry(&slow->reopen);
    slow->ended = true;
}

/* Until all is prepared and checked others see nodes as they were. */
static void test_reopen_shows_nothing_half_done(Fixture *f,
                                                gconstpointer data)
{
    BlockDriverState *slow = test_open_disk(f->ctx, "slow");
    BlockdevOptions a = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_read_only = true, .read_only = true,
    };
    BlockdevOptions b = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"slow",
        .has_read_only = true, .read_only = true,
    };
    BlockdevOptionsList second = { .value = &b };
    BlockdevOptionsList list = { .value = &a, .next = &second };
    SlowReopen reopen = { .reopen.list = &list };
    BlockBackend *stays = test_backend(f->ctx, f->disk);
    BlockBackend *goes = test_backend(f->ctx, f->disk);
    BlockBackend *blk = test_backend(f->ctx, slow);

    test_write(f->ctx, blk, 0, 512, 1);
    blk_set_perm(blk, BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL, NULL);
    test_disk(slow)->hold = true;
    coroutine_start(slow_reopen_entry, &reopen);
    test_settle(f->ctx);
    g_assert_false(reopen.ended);
    test_backend_free(f->ctx, goes);
    test_disk_release(slow);
    test_settle(f->ctx);
    g_assert_true(reopen.ended);
    assert_error(&reopen.reopen.err, "Block node 'disk' is read-only");
    g_assert_false(bdrv_is_read_only(f->disk));
    test_backend_free(f->ctx, blk);
    test_backend_free(f->ctx, stays);
    test_unref(f->ctx, slow);
}

static void test_reopen_leaves_frozen_children(Fixture *f, gconstpointer data)
{
    BlockDriverState *other = test_open_disk(f->ctx, "other");
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockdevRef ref = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"disk",
    };
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_RAW, .node_name = (char *)"f",
        .u.raw.file = &ref,
    };
    BlockdevOptionsList list = { .value = &options };
    ReopenCall call = { .list = &list };

    bdrv_freeze_chain(filter);
    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    ref.u.reference = (char *)"other";
    test_run(f->ctx, reopen_entry, &call);
    g_assert_false(call.ok);
    assert_error(&call.err, "Cannot change 'file' link from 'f' to 'other'");
    g_assert_true(filter->file->bs == f->disk);
    bdrv_thaw_chain(filter);
    test_run(f->ctx, reopen_entry, &call);
    g_assert_true(call.ok);
    test_unref(f->ctx, filter);
    test_unref(f->ctx, other);
}

static void coroutine_fn drain_entry(void *opaque)
{
    bdrv_co_drained_begin(opaque);
}

static void test_drain_of_the_bottom_reaches_the_top(Fixture *f,
                                                     gconstpointer data)
{
    BlockDriverState *filter = test_open_filter(f->ctx, "f", "disk", NULL);
    BlockBackend *blk = test_backend(f->ctx, filter);
    TestRequest req = { .blk = blk, .type = TEST_WRITE, .bytes = 512 };

    test_run(f->ctx, drain_entry, f->disk);
    test_request_start(f->ctx, &req);
    g_assert_cmpint(req.ret, ==, 1);
    bdrv_drained_end(f->disk);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_backend_free(f->ctx, blk);
    test_unref(f->ctx, filter);
}

static void coroutine_fn close_all_entry(void *opaque)
{
    bdrv_co_close_all();
}

static void test_node_in_use_at_exit_is_named(Fixture *f, gconstpointer data)
{
    log_capture_begin();
    test_run(f->ctx, close_all_entry, NULL);
    log_capture_end("node 'disk' is still in use at exit");
}

typedef struct MonitorDel {
    GError *err;
    bool ended;
} MonitorDel;

static void coroutine_fn monitor_del_entry(void *opaque)
{
    MonitorDel *del = opaque;

    g_assert_false(bdrv_co_monitor_del("disk", &del->err));
    del->ended = true;
}

/* The end comes while blockdev-del waits for who is about to let go. */
static void test_close_all_during_a_deletion(void)
{
    static const BlockDriver *const drivers[] = { &test_disk_driver, NULL };
    AioVirtualClock clock = { 0 };
    AioContext *ctx = aio_context_new(&clock, NULL);
    MonitorDel del = { NULL };
    BlockDriverState *bs;

    bdrv_register_drivers(drivers);
    bs = test_open_disk(ctx, "disk");
    bs->monitor_owned = true;
    bdrv_ref(bs);
    coroutine_start(monitor_del_entry, &del);
    g_assert_false(del.ended);
    log_capture_begin();
    test_run(ctx, close_all_entry, NULL);
    log_capture_end("node 'disk' is still in use at exit");
    while (!del.ended) {
        clock.now_ns = aio_next_deadline_ns(ctx);
        test_settle(ctx);
    }
    assert_error(&del.err, "Node disk is not owned by the monitor");
    g_assert_cmpuint(bs->refcnt, ==, 1);
    test_unref(ctx, bs);
    aio_context_free(ctx);
}

/*
 * Closing a node whose peer does not answer the last flush ends by the
 * deadline, on a clock that the test moves.
 */
static void test_close_gives_up_on_a_dead_peer(void)
{
    static const BlockDriver *const drivers[] = { &test_disk_driver, NULL };
    AioVirtualClock clock = { 0 };
    AioContext *ctx = aio_context_new(&clock, NULL);
    BlockDriverState *bs;
    BlockBackend *blk;

    bdrv_register_drivers(drivers);
    bs = test_open_disk(ctx, "disk");
    blk = test_backend(ctx, bs);
    test_write(ctx, blk, 0, 512, 1);
    test_backend_free(ctx, blk);
    test_disk(bs)->hold = true;
    coroutine_start(unref_entry, bs);
    test_settle(ctx);
    g_assert_false(bdrv_name_is_free("disk", NULL));
    clock.now_ns = aio_next_deadline_ns(ctx);
    test_settle(ctx);
    g_assert_true(bdrv_name_is_free("disk", NULL));
    aio_context_free(ctx);
}

typedef struct TryDrain {
    BlockDriverState *bs;
    GError *err;
    bool ended;
} TryDrain;

static void coroutine_fn try_drain_entry(void *opaque)
{
    TryDrain *drain = opaque;

    g_assert_false(bdrv_co_try_drained_begin(drain->bs, &drain->err));
    drain->ended = true;
}

/* What is in flight is not cut, and what comes later is not held up. */
static void test_drain_gives_up_in_time(void)
{
    static const BlockDriver *const drivers[] = { &test_disk_driver, NULL };
    AioVirtualClock clock = { 0 };
    AioContext *ctx = aio_context_new(&clock, NULL);
    TryDrain drain = { 0 };
    TestRequest req = { .type = TEST_WRITE, .bytes = 512 };

    bdrv_register_drivers(drivers);
    drain.bs = test_open_disk(ctx, "disk");
    req.blk = test_backend(ctx, drain.bs);
    test_disk(drain.bs)->hold = true;
    test_request_start(ctx, &req);
    coroutine_start(try_drain_entry, &drain);
    test_settle(ctx);
    g_assert_false(drain.ended);
    clock.now_ns = aio_next_deadline_ns(ctx);
    test_settle(ctx);
    g_assert_true(drain.ended);
    g_assert_cmpstr(drain.err->message, ==, "Requests to node 'disk' have "
                    "been in flight for 30 seconds, try again when they have "
                    "ended");
    g_error_free(drain.err);
    test_disk_release(drain.bs);
    g_assert_cmpint(test_request_finish(ctx, &req), ==, 0);
    g_assert_cmpint(test_write(ctx, req.blk, 0, 512, 1), ==, 0);
    test_backend_free(ctx, req.blk);
    test_unref(ctx, drain.bs);
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/graph/names", test_names },
        { "/graph/references", test_child_lives_as_long_as_parent },
        { "/graph/filter", test_filter_passes_requests },
        { "/graph/perm/conflict", test_conflict_names_both_users },
        { "/graph/perm/filter", test_conflict_through_a_filter },
        { "/graph/perm/missing", test_without_permission },
        { "/graph/replace", test_replace_moves_users },
        { "/graph/insert", test_insert_with_requests_in_flight },
        { "/graph/cycle", test_cycle_is_refused },
        { "/graph/drain", test_drain_of_the_bottom_reaches_the_top },
        { "/graph/closing", test_closing_node_is_not_found },
        { "/graph/close/in-use", test_node_in_use_at_exit_is_named },
        { "/graph/reopen/read-only", test_reopen_read_only },
        { "/graph/reopen/read-only-flushes", test_reopen_read_only_flushes },
        { "/graph/reopen/atomic", test_reopen_is_all_or_nothing },
        { "/graph/reopen/child", test_reopen_exchanges_a_child },
        { "/graph/reopen/orphan", test_reopen_an_orphan },
        { "/graph/reopen/half-done", test_reopen_shows_nothing_half_done },
        { "/graph/reopen/frozen", test_reopen_leaves_frozen_children },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add_func("/graph/close/deletion", test_close_all_during_a_deletion);
    g_test_add_func("/graph/close/dead-peer",
                    test_close_gives_up_on_a_dead_peer);
    g_test_add_func("/graph/drain-deadline", test_drain_gives_up_in_time);
    return g_test_run();
}
