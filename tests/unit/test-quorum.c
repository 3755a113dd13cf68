/*
 * quorum: writes to all, reads by pattern, votes, children that come and go
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block-helpers.h"

#include "block/drivers.h"
#include "qapi/event.h"

#include <jansson.h>

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *disk[3];
    BlockDriverState *quorum;
    BlockBackend *blk;
} Fixture;

/* What a test wants of its quorum. */
typedef struct Setup {
    int n;
    BlockdevOptionsQuorum options;
} Setup;

/* A disk that plays a forwarder. */
static bool coroutine_fn forwarder_open(BlockDriverState *bs,
                                        const BlockdevOptions *options,
                                        GError **errp)
{
    bs->forward_only = true;
    return test_disk_driver.bdrv_co_open(bs, options, errp);
}

static int64_t failed_at;

static void sibling_failed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                           int ret)
{
    failed_at = offset;
}

static BlockDriverState *resized_by_close;

static void coroutine_fn forwarder_close(BlockDriverState *bs)
{
    if (resized_by_close) {
        bdrv_set_length(resized_by_close, 512);
    }
    test_disk_driver.bdrv_co_close(bs);
}

static BlockDriver forwarder_driver;
static GString *events;

static void record_event(int event, const char *name, json_t *data)
{
    char *text = json_dumps(data, JSON_SORT_KEYS | JSON_COMPACT);

    g_string_append_printf(events, "%s %s\n", name, text);
    free(text);
}

typedef struct OpenCall {
    BlockdevOptions options;
    BlockDriverState *bs;
    GError *err;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;

    call->bs = bdrv_co_open(&call->options, &call->err);
}

static BlockDriverState *open_quorum(Fixture *f,
                                     const BlockdevOptionsQuorum *options,
                                     int n, GError **errp)
{
    BlockdevRef ref[3];
    BlockdevRefList list[3];
    OpenCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_QUORUM,
            .node_name = (char *)"q",
            .has_discard = true,
            .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
        },
    };

    for (int i = 0; i < n; i++) {
        ref[i] = (BlockdevRef) {
            .type = QTYPE_QSTRING, .u.reference = f->disk[i]->node_name,
        };
        list[i] = (BlockdevRefList) {
            .value = &ref[i], .next = i + 1 < n ? &list[i + 1] : NULL,
        };
    }
    call.options.u.quorum = *options;
    call.options.u.quorum.children = n ? list : NULL;
    test_run(f->ctx, open_entry, &call);
    if (call.err) {
        g_propagate_error(errp, call.err);
    }
    return call.bs;
}

static void setup(Fixture *f, gconstpointer data)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &forwarder_driver, &bdrv_quorum, NULL
    };
    const Setup *s = data;

    forwarder_driver = test_disk_driver;
    forwarder_driver.format_name = "throttle";
    forwarder_driver.type = BLOCKDEV_DRIVER_THROTTLE;
    forwarder_driver.bdrv_co_open = forwarder_open;
    forwarder_driver.bdrv_co_close = forwarder_close;
    forwarder_driver.bdrv_sibling_failed = sibling_failed;
    failed_at = -1;
    events = g_string_new(NULL);
    qapi_event_set_sink(record_event);

    f->ctx = aio_context_new(&f->clock, NULL);
    bdrv_register_drivers(drivers);
    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("d%d", i);

        f->disk[i] = test_open_disk(f->ctx, name);
    }
    if (s) {
        f->quorum = open_quorum(f, &s->options, s->n, NULL);
        g_assert_nonnull(f->quorum);
        f->blk = test_backend(f->ctx, f->quorum);
        blk_set_perm(f->blk, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                     BLK_PERM_ALL, NULL);
    }
}

static void teardown(Fixture *f, gconstpointer data)
{
    if (f->blk) {
        test_backend_free(f->ctx, f->blk);
        test_unref(f->ctx, f->quorum);
    }
    for (int i = 0; i < 3; i++) {
        test_unref(f->ctx, f->disk[i]);
    }
    g_string_free(events, TRUE);
    qapi_event_set_sink(NULL);
    test_block_end(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static TestDisk *disk(Fixture *f, int i)
{
    return test_disk(f->disk[i]);
}

static void assert_event(const char *text)
{
    if (!strstr(events->str, text)) {
        g_error("no event '%s' in: %s", text, events->str);
    }
}

/* Writes */

static const Setup two_fifo = {
    .n = 2,
    .options = {
        .vote_threshold = 1, .has_read_pattern = true,
        .read_pattern = QUORUM_READ_PATTERN_FIFO,
    },
};

static void test_write_goes_to_all(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(test_write(f->ctx, f->blk, 7, 100, 0x5a), ==, 0);
    for (int i = 0; i < 2; i++) {
        g_assert_cmphex(disk(f, i)->data[7], ==, 0x5a);
        g_assert_cmphex(disk(f, i)->data[106], ==, 0x5a);
        g_assert_cmphex(disk(f, i)->data[107], ==, 0);
    }
}

static void test_discard_becomes_zeroes(Fixture *f, gconstpointer data)
{
    test_write(f->ctx, f->blk, 0, 4096, 0x5a);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 0, 4096, 0),
                    ==, 0);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(disk(f, i)->zeroes, ==, 1);
        g_assert_cmphex(disk(f, i)->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
        g_assert_cmphex(disk(f, i)->data[0], ==, 0);
    }
}

static void test_failed_child_is_reported(Fixture *f, gconstpointer data)
{
    disk(f, 1)->fail_write = ENOSPC;
    g_assert_cmpint(test_write(f->ctx, f->blk, 700, 100, 1), ==, 0);
    assert_event("QUORUM_REPORT_BAD {\"error\":\"No space left on device\","
                 "\"node-name\":\"d1\",\"sector-num\":1,\"sectors-count\":1,"
                 "\"type\":\"write\"}");
    g_assert_null(strstr(events->str, "QUORUM_FAILURE"));
}

static void test_all_failed_is_a_failure(Fixture *f, gconstpointer data)
{
    disk(f, 0)->fail_write = EIO;
    disk(f, 1)->fail_write = EIO;
    g_assert_cmpint(test_write(f->ctx, f->blk, 511, 2, 1), ==, -EIO);
    assert_event("QUORUM_FAILURE {\"reference\":\"q\",\"sector-num\":0,"
                 "\"sectors-count\":2}");
}

static void test_flush_failure_is_reported(Fixture *f, gconstpointer data)
{
    test_write(f->ctx, f->blk, 0, 1, 1);
    disk(f, 0)->fail_flush = EIO;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    g_assert_cmpuint(disk(f, 1)->flushes, ==, 1);
    assert_event("\"sector-num\":0,\"sectors-count\":0,\"type\":\"flush\"}");
    disk(f, 0)->fail_flush = 0;
}

static void test_overlapping_writes_have_one_order(Fixture *f,
                                                   gconstpointer data)
{
    TestRequest a = {
        .blk = f->blk, .type = TEST_WRITE, .bytes = 4096, .pattern = 0xaa,
    };
    TestRequest b = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 2048, .bytes = 4096,
        .pattern = 0xbb,
    };

    /* The first child is slow, the second is not. */
    disk(f, 0)->hold = true;
    test_request_start(f->ctx, &a);
    test_request_start(f->ctx, &b);
    g_assert_cmphex(disk(f, 1)->data[2048], ==, 0xaa);
    test_disk_release(f->disk[0]);
    g_assert_cmpint(test_request_finish(f->ctx, &a), ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &b), ==, 0);
    g_assert_cmpmem(disk(f, 0)->data, 8192, disk(f, 1)->data, 8192);
    g_assert_cmphex(disk(f, 0)->data[2048], ==, 0xbb);
}

/* Reads */

static void test_fifo_reads_the_first(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    disk(f, 0)->data[0] = 1;
    disk(f, 1)->data[0] = 2;
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, 0);
    g_assert_cmphex(byte, ==, 1);
    g_assert_cmpuint(disk(f, 1)->reads, ==, 0);
}

static void test_fifo_goes_on_to_the_next(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    disk(f, 0)->fail_read = EIO;
    disk(f, 1)->data[0] = 2;
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, 0);
    g_assert_cmphex(byte, ==, 2);
    assert_event("\"node-name\":\"d0\"");
}

static const Setup three_vote = {
    .n = 3, .options = { .vote_threshold = 2 },
};
static const Setup three_rewrite = {
    .n = 3, .options = { .vote_threshold = 2, .rewrite_corrupted = true },
};

static void test_vote_finds_the_majority(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    test_write(f->ctx, f->blk, 0, 512, 7);
    disk(f, 0)->data[0] = 99;
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, 0);
    g_assert_cmphex(byte, ==, 7);
    assert_event("QUORUM_REPORT_BAD {\"node-name\":\"d0\",\"sector-num\":0,"
                 "\"sectors-count\":1,\"type\":\"read\"}");
    g_assert_cmphex(disk(f, 0)->data[0], ==, 99);
}

static void test_rewrite_repairs_the_loser(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    test_write(f->ctx, f->blk, 0, 512, 7);
    disk(f, 2)->data[0] = 99;
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, 0);
    g_assert_cmphex(disk(f, 2)->data[0], ==, 7);
}

static void test_no_majority_is_eio(Fixture *f, gconstpointer data)
{
    uint8_t byte;

    for (int i = 0; i < 3; i++) {
        disk(f, i)->data[0] = i;
    }
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, -EIO);
    assert_event("QUORUM_FAILURE");
}

/* Children */

typedef struct ChildCall {
    BlockDriverState *quorum, *child;
    const char *name;
    bool ok, done;
    GError *err;
} ChildCall;

static void coroutine_fn add_entry(void *opaque)
{
    ChildCall *call = opaque;

    call->ok = bdrv_co_add_child(call->quorum, call->child, &call->err);
    call->done = true;
}

static void coroutine_fn del_entry(void *opaque)
{
    ChildCall *call = opaque;

    call->ok = bdrv_co_del_child(call->quorum, call->name, &call->err);
    call->done = true;
}

static bool add_child(Fixture *f, BlockDriverState *child)
{
    ChildCall call = { .quorum = f->quorum, .child = child };

    test_run(f->ctx, add_entry, &call);
    g_clear_error(&call.err);
    return call.ok;
}

static void del_child(Fixture *f, const char *name, const char *error)
{
    ChildCall call = { .quorum = f->quorum, .name = name };

    test_run(f->ctx, del_entry, &call);
    g_assert_true(call.ok == !error);
    if (error) {
        g_assert_cmpstr(call.err->message, ==, error);
        g_clear_error(&call.err);
    }
}

static void test_children_come_and_go(Fixture *f, gconstpointer data)
{
    g_assert_true(add_child(f, f->disk[2]));
    test_write(f->ctx, f->blk, 0, 1, 3);
    g_assert_cmphex(disk(f, 2)->data[0], ==, 3);

    del_child(f, "children.1", NULL);
    test_write(f->ctx, f->blk, 0, 1, 4);
    g_assert_cmphex(disk(f, 1)->data[0], ==, 3);

    /* The gap stays, the next one gets a new name. */
    g_assert_true(add_child(f, f->disk[1]));
    del_child(f, "children.1",
              "Node 'q' does not have child 'children.1'");
    del_child(f, "children.3", NULL);
    del_child(f, "children.0", NULL);
    del_child(f, "children.2", "The number of children cannot be lower than "
              "the vote threshold 1");
}

static BlockDriverState *open_forwarder(Fixture *f)
{
    OpenCall call = {
        .options = {
            .driver = BLOCKDEV_DRIVER_THROTTLE, .node_name = (char *)"fwd",
        },
    };

    test_run(f->ctx, open_entry, &call);
    g_assert_nonnull(call.bs);
    return call.bs;
}

static const Setup one_fifo = {
    .n = 1,
    .options = {
        .vote_threshold = 1, .has_read_pattern = true,
        .read_pattern = QUORUM_READ_PATTERN_FIFO,
    },
};

static void test_forwarder_has_no_vote(Fixture *f, gconstpointer data)
{
    BlockDriverState *fwd = open_forwarder(f);
    uint8_t byte;

    g_assert_true(add_child(f, fwd));
    del_child(f, "children.0", "The number of children cannot be lower than "
              "the vote threshold 1");

    disk(f, 0)->fail_write = EIO;
    g_assert_cmpint(test_write(f->ctx, f->blk, 512, 1, 3), ==, -EIO);
    g_assert_cmpint(failed_at, ==, 512);
    disk(f, 0)->fail_read = EIO;
    g_assert_cmpint(test_read(f->ctx, f->blk, 0, 1, &byte), ==, -EIO);
    g_assert_cmpuint(test_disk(fwd)->reads, ==, 0);
    del_child(f, "children.1", NULL);
    test_unref(f->ctx, fwd);
}

static void test_removal_fails_requests_of_a_dead_peer(Fixture *f,
                                                       gconstpointer data)
{
    BlockDriverState *fwd = open_forwarder(f);
    TestRequest req = { .blk = f->blk, .type = TEST_WRITE, .bytes = 512 };

    g_assert_true(add_child(f, fwd));
    test_disk(fwd)->hold = true;
    test_request_start(f->ctx, &req);
    g_assert_cmpint(req.ret, ==, 1);
    del_child(f, "children.1", NULL);
    g_assert_cmpuint(test_disk(fwd)->cancelled, ==, 1);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_unref(f->ctx, fwd);
}

static void test_removal_does_not_wait_for_a_hung_disk(Fixture *f,
                                                       gconstpointer data)
{
    ChildCall call = { .quorum = f->quorum, .name = "children.1" };
    TestRequest req = { .blk = f->blk, .type = TEST_WRITE, .bytes = 512 };

    disk(f, 1)->hold = disk(f, 1)->ignore_cancel = true;
    test_request_start(f->ctx, &req);
    coroutine_start(del_entry, &call);
    test_settle(f->ctx);
    g_assert_false(call.done);
    f->clock.now_ns = aio_next_deadline_ns(f->ctx);
    test_settle(f->ctx);
    g_assert_true(call.done && call.ok);
    del_child(f, "children.1", "Child 'children.1' of node 'q' is already "
              "being removed");

    /* New writes do not go there; the child leaves when its write ends. */
    g_assert_cmpint(test_write(f->ctx, f->blk, 4096, 512, 1), ==, 0);
    g_assert_cmpuint(disk(f, 1)->writes, ==, 1);
    g_assert_false(LIST_EMPTY(&f->disk[1]->parents));
    test_disk_release(f->disk[1]);
    g_assert_cmpint(test_request_finish(f->ctx, &req), ==, 0);
    test_settle(f->ctx);
    g_assert_true(LIST_EMPTY(&f->disk[1]->parents));
}

/* Options */

static void refused(Fixture *f, BlockdevOptionsQuorum options, int n,
                    const char *text)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(open_quorum(f, &options, n, &err));
    g_assert_cmpstr(err->message, ==, text);
}

static void test_bad_options(Fixture *f, gconstpointer data)
{
    BlockdevOptionsQuorum o = { .vote_threshold = 1 };

    refused(f, o, 0, "Number of provided children must be 1 or more");
    o.vote_threshold = 0;
    refused(f, o, 1, "Parameter 'vote-threshold' expects a value >= 1");
    o.vote_threshold = 3;
    refused(f, o, 2, "threshold may not exceed children count");
    o = (BlockdevOptionsQuorum) { .vote_threshold = 1, .blkverify = true };
    refused(f, o, 2, "blkverify=on can only be set if there are exactly two "
            "files and vote-threshold is 2");
    o.vote_threshold = 2;
    o.rewrite_corrupted = true;
    refused(f, o, 2, "rewrite-corrupted=on cannot be used with blkverify=on");
    o.rewrite_corrupted = false;
    o.has_read_pattern = true;
    o.read_pattern = QUORUM_READ_PATTERN_FIFO;
    refused(f, o, 2, "blkverify=on can only be set with read-pattern=quorum");
}

/* It is closed, its children go one by one, and the rest changes. */
static void test_resize_while_closing(Fixture *f, gconstpointer data)
{
    BlockDriverState *fwd = open_forwarder(f);

    g_assert_true(add_child(f, fwd));
    test_unref(f->ctx, fwd);
    test_backend_free(f->ctx, f->blk);
    f->blk = NULL;
    resized_by_close = f->disk[0];
    test_unref(f->ctx, f->quorum);
    resized_by_close = NULL;
    g_assert_cmpint(bdrv_getlength(f->disk[0]), ==, 512);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        const Setup *setup;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/quorum/write/all", &two_fifo, test_write_goes_to_all },
        { "/quorum/write/discard", &two_fifo, test_discard_becomes_zeroes },
        { "/quorum/write/one-fails", &two_fifo,
          test_failed_child_is_reported },
        { "/quorum/write/all-fail", &two_fifo, test_all_failed_is_a_failure },
        { "/quorum/write/order", &two_fifo,
          test_overlapping_writes_have_one_order },
        { "/quorum/flush/one-fails", &two_fifo,
          test_flush_failure_is_reported },
        { "/quorum/read/fifo", &two_fifo, test_fifo_reads_the_first },
        { "/quorum/read/fifo-next", &two_fifo,
          test_fifo_goes_on_to_the_next },
        { "/quorum/read/vote", &three_vote, test_vote_finds_the_majority },
        { "/quorum/read/rewrite", &three_rewrite,
          test_rewrite_repairs_the_loser },
        { "/quorum/read/no-majority", &three_vote, test_no_majority_is_eio },
        { "/quorum/children/come-and-go", &two_fifo,
          test_children_come_and_go },
        { "/quorum/children/forwarder", &one_fifo,
          test_forwarder_has_no_vote },
        { "/quorum/children/dead-peer", &one_fifo,
          test_removal_fails_requests_of_a_dead_peer },
        { "/quorum/children/hung-disk", &two_fifo,
          test_removal_does_not_wait_for_a_hung_disk },
        { "/quorum/children/resize", &one_fifo, test_resize_while_closing },
        { "/quorum/options", NULL, test_bad_options },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, tests[i].setup, setup,
                   tests[i].func, teardown);
    }
    return g_test_run();
}
