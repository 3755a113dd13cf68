/*
 * QMP commands on nodes and drives: what they do, what they tell
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/drivers.h"
#include "driver-helpers.h"
#include "qapi/qapi-commands-block-core.h"

typedef struct Fixture {
    AioContext *ctx;
    BlockBackend *drive;        /* "drive0", on node "disk", on "proto" */
} Fixture;

/* Commands run in coroutines: put the call into the body of one. */
#define COMMAND(name)                                                   \
    static void coroutine_fn name(void *opaque)

static void run(Fixture *f, CoroutineEntry *fn)
{
    test_run(f->ctx, fn, f);
}

static void setup(Fixture *f, gconstpointer unused)
{
    bdrv_register_drivers(bdrv_drivers);
    f->ctx = aio_context_new(NULL, NULL);
    f->drive = open_backend(f->ctx, "{'driver': 'raw', 'node-name': 'disk', "
                            "'size': 1048576, "
                            "'file': {'driver': 'null-co', "
                            "'node-name': 'proto', 'read-zeroes': true}}");
    g_assert_true(blk_set_name(f->drive, "drive0", NULL));
}

static void teardown(Fixture *f, gconstpointer unused)
{
    test_backend_free(f->ctx, f->drive);
    test_block_end(f->ctx);
}

#define assert_error(err, text)                                         \
    do {                                                                \
        g_assert_nonnull(err);                                          \
        g_assert_cmpstr((err)->message, ==, text);                      \
        g_clear_error(&(err));                                          \
    } while (0)

/* Nodes */

COMMAND(add_and_del)
{
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"n",
    };
    GError *err = NULL;

    qmp_blockdev_add(&options, &err);
    g_assert_no_error(err);
    g_assert_nonnull(bdrv_find_node("n"));
    qmp_blockdev_add(&options, &err);
    g_assert_nonnull(err);
    g_clear_error(&err);
    qmp_blockdev_del("n", &err);
    g_assert_no_error(err);
    g_assert_null(bdrv_find_node("n"));
    qmp_blockdev_del("n", &err);
    g_assert_nonnull(err);
    g_clear_error(&err);
}

static void test_add_and_del(Fixture *f, gconstpointer unused)
{
    run(f, add_and_del);
}

COMMAND(change_children)
{
    GError *err = NULL;

    qmp_x_blockdev_change("disk", NULL, NULL, &err);
    assert_error(err, "Either child or node must be specified");
    qmp_x_blockdev_change("disk", "file", "proto", &err);
    assert_error(err, "The parameters child and node are in conflict");
    qmp_x_blockdev_change("disk", NULL, "nope", &err);
    assert_error(err, "Node 'nope' not found");
    qmp_x_blockdev_change("disk", "nope", NULL, &err);
    assert_error(err, "Node 'disk' does not have child 'nope'");
}

static void test_change_children(Fixture *f, gconstpointer unused)
{
    run(f, change_children);
}

COMMAND(resize)
{
    GError *err = NULL;

    qmp_block_resize(NULL, NULL, 0, &err);
    assert_error(err, "Need exactly one of 'device' and 'node-name'");
    qmp_block_resize("drive0", NULL, -1, &err);
    assert_error(err, "Parameter 'size' expects a >0 size");
    qmp_block_resize("drive0", NULL, 4096, &err);
    assert_error(err, "Cannot resize fixed-size raw disks");
}

static void test_resize(Fixture *f, gconstpointer unused)
{
    run(f, resize);
}

/* Queries */

COMMAND(query_block)
{
    g_autoptr(BlockInfoList) list = qmp_query_block(NULL);
    BlockDeviceInfo *node;

    g_assert_nonnull(list);
    g_assert_null(list->next);
    g_assert_cmpstr(list->value->device, ==, "drive0");
    node = list->value->inserted;
    g_assert_cmpstr(node->node_name, ==, "disk");
    g_assert_cmpstr(node->drv, ==, "raw");
    g_assert_false(node->ro);
    g_assert_cmpint(node->image->virtual_size, ==, 1048576);
    g_assert_cmpint(node->image->actual_size, ==, 0);
    g_assert_cmpint(node->iops, ==, 0);
    g_assert_null(node->group);
}

static void test_query_block(Fixture *f, gconstpointer unused)
{
    run(f, query_block);
}

COMMAND(query_nodes)
{
    g_autoptr(BlockDeviceInfoList) list =
        qmp_query_named_block_nodes(false, false, NULL);
    int disk = 0, proto = 0;

    for (BlockDeviceInfoList *e = list; e; e = e->next) {
        disk += g_str_equal(e->value->node_name, "disk");
        proto += g_str_equal(e->value->node_name, "proto");
    }
    g_assert_cmpint(disk, ==, 1);
    g_assert_cmpint(proto, ==, 1);
}

static void test_query_nodes(Fixture *f, gconstpointer unused)
{
    run(f, query_nodes);
}

COMMAND(query_stats)
{
    g_autoptr(BlockStatsList) drives = qmp_query_blockstats(false, false,
                                                            NULL);
    g_autoptr(BlockStatsList) nodes = qmp_query_blockstats(true, true, NULL);
    BlockStats *s = drives->value;
    int n = 0;

    g_assert_cmpstr(s->device, ==, "drive0");
    g_assert_cmpstr(s->node_name, ==, "disk");
    g_assert_cmpint(s->stats->wr_operations, ==, 1);
    g_assert_cmpint(s->stats->wr_bytes, ==, 4096);
    g_assert_cmpint(s->stats->rd_operations, ==, 0);
    g_assert_cmpint(s->stats->failed_wr_operations, ==, 0);
    g_assert_true(s->stats->has_idle_time_ns);
    g_assert_cmpint(s->parent->stats->wr_highest_offset, ==, 12288);
    g_assert_cmpstr(s->parent->node_name, ==, "proto");

    for (BlockStatsList *e = nodes; e; e = e->next) {
        g_assert_null(e->value->device);
        n++;
    }
    g_assert_cmpint(n, ==, 2);
}

static void test_query_stats(Fixture *f, gconstpointer unused)
{
    g_assert_cmpint(test_write(f->ctx, f->drive, 8192, 4096, 1), ==, 0);
    run(f, query_stats);
}

/* Histograms */

COMMAND(histograms)
{
    uint64List high = { .value = INT64_MAX };
    uint64List low = { .value = 1, .next = &high };
    uint64List wrong = { .value = 5, .next = &low };
    g_autoptr(BlockStatsList) set = NULL, cleared = NULL;
    BlockLatencyHistogramInfo *hist;
    GError *err = NULL;

    qmp_block_latency_histogram_set("nope", &low, NULL, NULL, NULL, &err);
    assert_error(err, "Device 'nope' not found");
    qmp_block_latency_histogram_set("drive0", &low, NULL, &wrong, NULL, &err);
    assert_error(err, "Device 'drive0' set write boundaries fail");

    qmp_block_latency_histogram_set("drive0", &low, NULL, NULL, NULL, &err);
    g_assert_no_error(err);
    set = qmp_query_blockstats(false, false, NULL);
    hist = set->value->stats->rd_latency_histogram;
    g_assert_cmpint(hist->boundaries->value, ==, 1);
    g_assert_cmpint(hist->boundaries->next->value, ==, INT64_MAX);
    g_assert_nonnull(hist->bins->next->next);
    g_assert_null(hist->bins->next->next->next);

    qmp_block_latency_histogram_set("drive0", NULL, NULL, NULL, NULL, &err);
    g_assert_no_error(err);
    cleared = qmp_query_blockstats(false, false, NULL);
    g_assert_null(cleared->value->stats->rd_latency_histogram);
}

static void test_histograms(Fixture *f, gconstpointer unused)
{
    run(f, histograms);
}

/* Limits */

COMMAND(set_limits)
{
    BlockIOThrottle arg = {
        .id = (char *)"drive0", .iops = 100,
        .has_iops_max = true, .iops_max = 500,
    };
    BlockIOThrottle none = { .device = (char *)"drive0" };
    BlockIOThrottle both = { .id = (char *)"a", .device = (char *)"b" };
    BlockIOThrottle unknown = { .id = (char *)"nope" };
    g_autoptr(BlockInfoList) list = NULL, list2 = NULL;
    BlockDeviceInfo *node;
    GError *err = NULL;

    qmp_block_set_io_throttle(&both, &err);
    assert_error(err, "Need exactly one of 'device' and 'id'");
    qmp_block_set_io_throttle(&unknown, &err);
    assert_error(err, "Device 'nope' not found");

    qmp_block_set_io_throttle(&arg, &err);
    g_assert_no_error(err);
    list = qmp_query_block(NULL);
    node = list->value->inserted;
    g_assert_cmpint(node->iops, ==, 100);
    g_assert_true(node->has_iops_max);
    g_assert_cmpint(node->iops_max, ==, 500);
    g_assert_false(node->has_bps_max);
    g_assert_cmpstr(node->group, ==, "drive0");

    arg.iops_rd = 5;
    qmp_block_set_io_throttle(&arg, &err);
    assert_error(err, "bps/iops/max total values and read/write values "
                 "cannot be used at the same time");

    qmp_block_set_io_throttle(&none, &err);
    g_assert_no_error(err);
    list2 = qmp_query_block(NULL);
    g_assert_null(list2->value->inserted->group);
}

static void test_limits(Fixture *f, gconstpointer unused)
{
    run(f, set_limits);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer unused);
    } tests[] = {
        { "/qmp-block/add-del", test_add_and_del },
        { "/qmp-block/change", test_change_children },
        { "/qmp-block/resize", test_resize },
        { "/qmp-block/query/block", test_query_block },
        { "/qmp-block/query/nodes", test_query_nodes },
        { "/qmp-block/query/stats", test_query_stats },
        { "/qmp-block/histograms", test_histograms },
        { "/qmp-block/limits", test_limits },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
