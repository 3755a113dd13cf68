/*
 * replication: both ends over the real layers, against a model
 *
 * The primary's peer is the secondary disk itself instead of an NBD node:
 *
 *   primary (quorum) -> local
 *                    -> p0 -> [filter] -> disk <- layers <- s0 <- secondary
 *
 * Both guests write and zero at random, between checkpoints and up
 * to a failover; the view and the disk are compared with plain arrays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-helpers.h"

#define N TEST_DISK_SIZE

static const BlockDriver *const pair_drivers[] = {
    &test_disk_driver, &test_filter_driver, &bdrv_colo_buffer, &bdrv_quorum,
    &bdrv_replication, NULL
};

typedef struct Pair {
    AioContext *ctx;
    BlockBackend *primary, *secondary;
    BlockDriverState *local, *disk;
    Replication *p, *s;

    /* The model */
    uint8_t written[N];         /* by the primary */
    uint8_t view[N];            /* of the secondary's guest */
} Pair;

static void coroutine_fn insert_entry(void *opaque)
{
    gpointer *args = opaque;

    g_assert_true(blk_co_insert_bs(args[0], args[1], NULL));
}

/* The guest of the node that @json describes. */
static BlockBackend *guest_of(Pair *pair, const char *json)
{
    g_autoptr(GError) err = NULL;
    BlockDriverState *bs = open_node(pair->ctx, &err, "%s", json);
    BlockBackend *blk = blk_new(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                                BLK_PERM_ALL);
    gpointer args[] = { blk, bs };

    g_assert_no_error(err);
    test_run(pair->ctx, insert_entry, args);
    test_unref(pair->ctx, bs);
    return blk;
}

static void pair_begin(Pair *pair, const char *protocol)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver': 'quorum', 'node-name': 'colo-disk0', "
        "'read-pattern': 'fifo', 'vote-threshold': 1, 'discard': 'unmap', "
        "'children': ['local', {'driver': 'replication', 'node-name': 'p0', "
        "'mode': 'primary', 'protocol': '%s', 'file': 'disk'}]}", protocol);

    bdrv_register_drivers(pair_drivers);
    pair->ctx = aio_context_new(NULL, NULL);
    observe();
    pair->local = test_open_disk(pair->ctx, "local");
    pair->disk = test_open_disk(pair->ctx, "disk");
    pair->secondary = guest_of(pair,
        "{'driver': 'quorum', 'node-name': 'top1', 'read-pattern': 'fifo', "
        "'vote-threshold': 1, 'discard': 'unmap', 'children': ["
        "{'driver': 'replication', 'node-name': 's0', 'mode': 'secondary', "
        "'top-id': 'top1', 'discard': 'unmap', 'file': "
        "{'driver': 'colo-buffer', 'backing': 'disk'}}]}");
    pair->primary = guest_of(pair, json);
    pair->p = replication_find("p0");
    pair->s = replication_find("s0");
    step_ok(pair->ctx, pair->s, STEP_START);
    step_ok(pair->ctx, pair->p, STEP_START);
}

static void pair_end(Pair *pair)
{
    test_backend_free(pair->ctx, pair->primary);
    test_backend_free(pair->ctx, pair->secondary);
    test_settle(pair->ctx);
    test_unref(pair->ctx, pair->local);
    test_unref(pair->ctx, pair->disk);
    observe_end();
    test_block_end(pair->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* One change by either guest, in the pair and in the model. */
static void change(Pair *pair)
{
    bool primary = g_test_rand_bit();
    BlockBackend *blk = primary ? pair->primary : pair->secondary;
    uint8_t *model = primary ? pair->written : pair->view;
    int64_t unit = g_test_rand_bit() ? 512 : 1;
    int64_t offset = g_test_rand_int_range(0, N / unit) * unit;
    int64_t most = MIN(N - offset, 8192) / unit;
    int64_t bytes = g_test_rand_int_range(1, most + 1) * unit;
    uint8_t pattern = g_test_rand_int_range(1, 256);

    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        pattern = 0;
        g_assert_cmpint(test_simple(pair->ctx, blk, TEST_ZEROES, offset,
                                    bytes, 0), ==, 0);
        break;
    default:
        g_assert_cmpint(test_write(pair->ctx, blk, offset, bytes, pattern),
                        ==, 0);
    }
    memset(model + offset, pattern, bytes);
}

static void compare(Pair *pair)
{
    static uint8_t buf[N];

    g_assert_cmpint(test_read(pair->ctx, pair->secondary, 0, N, buf), ==, 0);
    g_assert_cmpmem(buf, N, pair->view, N);
}

static void take_checkpoint(Pair *pair)
{
    step_ok(pair->ctx, pair->p, STEP_SETTLE);
    step_ok(pair->ctx, pair->p, STEP_PREPARE);
    step_ok(pair->ctx, pair->s, STEP_PREPARE);
    replication_do_checkpoint(pair->s);
    replication_do_checkpoint(pair->p);
    memcpy(pair->view, pair->written, N);
}

static void run(const char *protocol)
{
    g_autofree Pair *pair = g_new0(Pair, 1);

    pair_begin(pair, protocol);
    for (int i = 0; i < 10000; i++) {
        change(pair);
        if (i % 50 == 49) {
            take_checkpoint(pair);
            /* Nothing in flight, no error: the disks are identical. */
            g_assert_cmpmem(test_disk(pair->local)->data, N,
                            test_disk(pair->disk)->data, N);
        }
        if (i % 10 == 9) {
            compare(pair);
        }
    }
    for (int i = 0; i < 20; i++) {
        change(pair);
    }
    g_assert_cmpint(replication_error(pair->p)->ret, ==, 0);
    g_assert_cmpint(replication_error(pair->s)->ret, ==, 0);

    replication_failover(pair->s);
    compare(pair);
    step_ok(pair->ctx, pair->s, STEP_MERGE);
    compare(pair);
    g_assert_cmpmem(test_disk(pair->disk)->data, N, pair->view, N);
    pair_end(pair);
}

static void test_random_sync(void)
{
    run("sync");
}

static void test_random_async(void)
{
    run("async");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/replication/pair/sync", test_random_sync);
    g_test_add_func("/replication/pair/async", test_random_async);
    return g_test_run();
}
