/*
 * colo-buffer: what the layers hold goes to the disk, beside the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "colo-buffer-fixture.h"

#include "block/drivers/colo-buffer/colo-buffer-int.h"

static void test_merge_makes_disk_the_view(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    g_autofree uint8_t *expected = g_malloc(TEST_DISK_SIZE);

    memset(expected, 0x11, TEST_DISK_SIZE);
    forward(f, 0, 8192, 0x22);
    test_write(f->ctx, f->blk, 512, 512, 0x33);
    test_write(f->ctx, f->blk, 60000, 700, 0x34);
    memset(expected + 512, 0x33, 512);
    memset(expected + 60000, 0x34, 700);

    f->ops->begin_merge(f->bs);
    assert_view(f, expected);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpmem(f->disk->data, TEST_DISK_SIZE, expected, TEST_DISK_SIZE);
    assert_view(f, expected);
    g_assert_cmpuint(f->disk->flushes, ==, 1);

    test_write(f->ctx, f->blk, 0, 1, 0x55);
    g_assert_cmphex(f->disk->data[0], ==, 0x55);
}

/* Its write is refused by the filter, its before-image may be half-way. */
static void test_merge_waits_for_a_late_copy(Fixture *f, gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };

    forward(f, 0, 4096, 0x22);
    f->disk->hold = true;
    forward_start(&fwd);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    g_assert_cmpuint(f->disk->writes, ==, 1);
    test_disk_release(f->disk_bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpint(fwd.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    g_assert_cmpint(usage(f).memory_bytes, ==, 0);
}

/* The disk takes a forward very slowly: only who needs it there waits. */
static void test_guest_goes_on_beside_a_forward(Fixture *f,
                                                gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };
    TestRequest write = {
        .blk = f->blk, .type = TEST_WRITE, .bytes = 512, .pattern = 0x45,
    };
    TestRequest read = { .blk = f->blk, .type = TEST_READ, .bytes = 1024 };

    test_write(f->ctx, f->blk, 0, 1024, 0x44);
    f->disk->hold = true;
    forward_start(&fwd);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    test_request_start(f->ctx, &write);
    test_request_start(f->ctx, &read);
    g_assert_cmpint(write.ret, ==, 0);
    g_assert_cmpint(read.ret, ==, 0);
    g_assert_cmphex(read.buf[0], ==, 0x45);
    g_assert_cmphex(read.buf[512], ==, 0x44);
    g_assert_cmpint(fwd.ret, ==, 1);
    test_disk_release(f->disk_bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x45);
    g_assert_cmphex(f->disk->data[8192], ==, 0x11);
    test_request_finish(f->ctx, &write);
    test_request_finish(f->ctx, &read);
}

/* Wherever it writes: the disk is busy with what came before. */
static void test_writes_do_not_wait_for_forwards(Fixture *f,
                                                 gconstpointer data)
{
    Forward fwd = { .f = f, .offset = 8192, .bytes = 4096, .pattern = 0x33 };
    MergeCall merge = { .f = f };
    ColoMergeProgress progress;
    TestRequest over_forward = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 8192, .bytes = 512,
        .pattern = 0x44,
    };
    TestRequest elsewhere = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 32768, .bytes = 512,
        .pattern = 0x45,
    };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    f->disk->stepped = true;
    forward_start(&fwd);
    test_disk_step(f->disk_bs, 0);              /* it reads, and then writes */
    test_settle(f->ctx);
    g_assert_cmpuint(f->disk->writes, ==, 1);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    test_request_start(f->ctx, &over_forward);
    test_request_start(f->ctx, &elsewhere);
    g_assert_cmpint(over_forward.ret, ==, 0);
    g_assert_cmpint(elsewhere.ret, ==, 0);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(flush.ret, ==, 1);
    g_assert_cmpuint(test_disk_waiting(f->disk_bs), ==, 1);

    f->disk->stepped = false;
    test_disk_step(f->disk_bs, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    g_assert_cmphex(f->disk->data[8192], ==, 0x44);
    g_assert_cmphex(f->disk->data[8704], ==, 0x11);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    f->ops->merge_progress(f->bs, &progress);
    g_assert_cmpint(progress.done, ==, 4096 + 2 * 512);
    g_assert_cmpint(progress.total, ==, 4096 + 2 * 512);
    test_request_finish(f->ctx, &over_forward);
    test_request_finish(f->ctx, &elsewhere);
}

/* No room to hold it: it goes to the disk in its turn. */
static void test_full_layers_do_not_fail_a_failover(Fixture *f,
                                                    gconstpointer data)
{
    Storage *st = &((ColoBuffer *)f->bs->opaque)->storage;
    MergeCall merge = { .f = f };

    st->max_memory_chunks = 0;
    f->ops->begin_merge(f->bs);
    g_assert_cmpint(test_write(f->ctx, f->blk, 0, 512, 0x44), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x44);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

static void test_guest_writes_during_merge(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest over_own = {
        .blk = f->blk, .type = TEST_WRITE, .offset = 0, .bytes = 512,
        .pattern = 0x44,
    };

    forward(f, 4096, 4096, 0x22);
    test_write(f->ctx, f->blk, 0, 1024, 0x33);
    f->ops->begin_merge(f->bs);
    f->disk->hold = true;
    merge_start(&merge);
    test_request_start(f->ctx, &over_own);
    g_assert_cmpint(over_own.ret, ==, 1);
    test_disk_release(f->disk_bs);
    g_assert_cmpint(test_request_finish(f->ctx, &over_own), ==, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x44);
    g_assert_cmphex(f->disk->data[512], ==, 0x33);
    g_assert_cmphex(f->disk->data[4096], ==, 0x11);
}

static void test_zeroes_after_a_merge(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };

    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 0, 4096,
                                BDRV_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmphex(view_byte(f, 0), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x11);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmphex(f->disk->data[0], ==, 0);

    f->disk->writes = f->disk->zeroes = 0;
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_ZEROES, 8192, 4096,
                                BDRV_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmphex(f->disk->last_flags & BDRV_REQ_MAY_UNMAP, !=, 0);
    g_assert_cmpuint(f->disk->zeroes, ==, 1);
    g_assert_cmpuint(f->disk->writes, ==, 0);
    g_assert_cmphex(f->disk->data[8192], ==, 0);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_DISCARD, 8192, 4096, 0),
                    ==, 0);
    g_assert_cmpuint(f->disk->discards, ==, 1);
}

static void test_write_before_merge_reaches_it(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };

    forward(f, 4096, 4096, 0x22);
    forward(f, 32768, 4096, 0x22);
    f->ops->begin_merge(f->bs);
    test_write(f->ctx, f->blk, 4096, 512, 0x44);
    g_assert_cmphex(view_byte(f, 4096), ==, 0x44);
    g_assert_cmphex(view_byte(f, 4608), ==, 0x11);
    merge_start(&merge);
    g_assert_cmpint(merge.ret, ==, 1);          /* waits for its speed */
    /* Over a before-image: the new data goes to the disk, the rest stays. */
    test_write(f->ctx, f->blk, 32768, 512, 0x45);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    g_assert_cmphex(f->disk->data[33280], ==, 0x22);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
    g_assert_cmphex(f->disk->data[4096], ==, 0x44);
    g_assert_cmphex(f->disk->data[4608], ==, 0x11);
    g_assert_cmphex(f->disk->data[32768], ==, 0x45);
    g_assert_cmphex(f->disk->data[33280], ==, 0x11);
}

static void test_flush_lifts_the_speed_limit(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    for (int i = 0; i < 4; i++) {
        test_write(f->ctx, f->blk, i * 16384, 512, 0x33);
    }
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    g_assert_cmphex(f->disk->data[16384], ==, 0x11);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    for (int i = 0; i < 4; i++) {
        g_assert_cmphex(f->disk->data[i * 16384], ==, 0x33);
    }
    g_assert_cmpuint(f->disk->flushes, >, 0);
    merge_finish(&merge);
}

/* The guest gets a quorum below it, as it has in a pair. */
static void put_quorum_between(Fixture *f)
{
    test_backend_free(f->ctx, f->blk);
    f->blk = open_backend(f->ctx, "{'driver': 'quorum', 'children': ['buf'], "
                          "'vote-threshold': 1}");
}

/* A flush before the failover says nothing about one after it. */
static void test_flush_again_after_failover(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    TestRequest flush = { .type = TEST_FLUSH };

    put_quorum_between(f);
    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    g_assert_cmpint(test_simple(f->ctx, f->blk, TEST_FLUSH, 0, 0, 0), ==, 0);
    f->ops->begin_merge(f->bs);

    flush.blk = f->blk;
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(flush.ret, ==, 1);
    merge_start(&merge);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x33);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    g_assert_cmpuint(f->disk->flushes, >, 0);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
}

/* Drains */

typedef struct DrainCall {
    BlockDriverState *bs;
    bool drained;
} DrainCall;

static void coroutine_fn drain_entry(void *opaque)
{
    DrainCall *call = opaque;

    bdrv_co_drained_begin(call->bs);
    call->drained = true;
}

static void drain_start(Fixture *f, DrainCall *call, BlockDriverState *bs)
{
    *call = (DrainCall) { .bs = bs };
    coroutine_start(drain_entry, call);
    test_settle(f->ctx);
}

static void test_drain_does_not_wait_for_the_speed(Fixture *f,
                                                   gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };
    DrainCall drain;

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    drain_start(f, &drain, f->disk_bs);
    g_assert_true(drain.drained);

    /* Its time has come, but it keeps still. */
    f->clock.now_ns += 3600 * 24 * NANOSECONDS_PER_SECOND;
    test_settle(f->ctx);
    g_assert_cmphex(f->disk->data[32768], ==, 0x11);
    bdrv_drained_end(f->disk_bs);
    test_settle(f->ctx);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    f->ops->set_merge_speed(f->bs, 0);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

/* The drain waits for the flush, the flush for the merge. */
static void test_drain_lets_a_flush_end(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };
    DrainCall drain;

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    f->disk->hold = true;
    merge_start(&merge);
    test_request_start(f->ctx, &flush);
    drain_start(f, &drain, f->bs);
    g_assert_cmpint(flush.ret, ==, 1);
    g_assert_false(drain.drained);
    test_disk_release(f->disk_bs);
    test_settle(f->ctx);
    g_assert_cmpint(flush.ret, ==, 0);
    g_assert_true(drain.drained);
    g_assert_cmphex(f->disk->data[32768], ==, 0x33);
    bdrv_drained_end(f->bs);
    merge_finish(&merge);
    test_request_finish(f->ctx, &flush);
}

static void test_failed_merge_keeps_the_view(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f };
    TestRequest flush = { .blk = f->blk, .type = TEST_FLUSH };

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    forward(f, 8192, 512, 0x22);
    f->ops->begin_merge(f->bs);
    f->disk->fail_write = EIO;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, -EIO);
    g_assert_cmphex(view_byte(f, 0), ==, 0x33);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x11);
    test_request_start(f->ctx, &flush);
    g_assert_cmpint(test_request_finish(f->ctx, &flush), ==, -EIO);

    /* What is held takes new data, elsewhere the disk is asked. */
    g_assert_cmpint(test_write(f->ctx, f->blk, 8192, 512, 0x44), ==, 0);
    g_assert_cmphex(view_byte(f, 8192), ==, 0x44);
    g_assert_cmpint(test_write(f->ctx, f->blk, 20480, 512, 0x44), ==, -EIO);

    f->disk->fail_write = 0;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
    g_assert_cmphex(f->disk->data[0], ==, 0x33);
    g_assert_cmphex(f->disk->data[8192], ==, 0x44);
}

static void test_cancelled_merge_can_go_on(Fixture *f, gconstpointer data)
{
    MergeCall merge = { .f = f, .speed = 1 };

    test_write(f->ctx, f->blk, 0, 512, 0x33);
    test_write(f->ctx, f->blk, 32768, 512, 0x33);
    f->ops->begin_merge(f->bs);
    merge_start(&merge);
    f->ops->cancel_merge(f->bs);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, -ECANCELED);
    g_assert_cmphex(view_byte(f, 32768), ==, 0x33);
    merge.speed = 0;
    merge_start(&merge);
    merge_finish(&merge);
    g_assert_cmpint(merge.ret, ==, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/colo-buffer/merge/result", test_merge_makes_disk_the_view },
        { "/colo-buffer/merge/late-copy", test_merge_waits_for_a_late_copy },
        { "/colo-buffer/merge/beside", test_guest_goes_on_beside_a_forward },
        { "/colo-buffer/merge/first-writes",
          test_writes_do_not_wait_for_forwards },
        { "/colo-buffer/merge/no-room",
          test_full_layers_do_not_fail_a_failover },
        { "/colo-buffer/merge/guest", test_guest_writes_during_merge },
        { "/colo-buffer/merge/zeroes", test_zeroes_after_a_merge },
        { "/colo-buffer/merge/speed", test_write_before_merge_reaches_it },
        { "/colo-buffer/merge/flush", test_flush_lifts_the_speed_limit },
        { "/colo-buffer/merge/flush-again", test_flush_again_after_failover },
        { "/colo-buffer/merge/drain",
          test_drain_does_not_wait_for_the_speed },
        { "/colo-buffer/merge/drain-flush", test_drain_lets_a_flush_end },
        { "/colo-buffer/merge/failed", test_failed_merge_keeps_the_view },
        { "/colo-buffer/merge/cancel", test_cancelled_merge_can_go_on },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
