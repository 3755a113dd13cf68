/*
 * A pair of hosts under random load, a slow link and faults
 *
 * Both guests write, overlapping half of the time, while checkpoints are
 * taken, the link delays, stalls and breaks, and the secondary takes over.
 * The view of the secondary must be the last checkpoint plus its own writes,
 * byte by byte; the primary's guest must never notice anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block-helpers.h"
#include "block/drivers.h"
#include "block/nbd-server.h"
#include "qapi/qapi-visit-block-core.h"
#include "replication/group.h"
#include "sim.h"

#include <jansson.h>

#define SECTORS (TEST_DISK_SIZE / 512)
#define SECOND NANOSECONDS_PER_SECOND
#define TIMEOUT_NS (2 * SECOND)
#define MAX_WRITES 4000

enum { PRIMARY, SECONDARY };

typedef struct Write {
    struct Pair *pair;
    BlockBackend *blk;
    int type;                   /* TEST_WRITE, TEST_ZEROES, TEST_DISCARD */
    int64_t offset, bytes;
    uint8_t pattern;
    int ret;                    /* 1 while it has not ended */
} Write;

typedef struct Pair {
    Sim sim;
    GRand *rand;
    char *dir;
    bool async;
    SimLink *link;

    BlockDriverState *disk[2], *root[2];
    BlockBackend *guest[2];

    Write *writes;              /* of the primary's guest, as they began */
    int n_writes;
    uint8_t primary[TEST_DISK_SIZE];    /* all that have begun */
    uint8_t view[TEST_DISK_SIZE];       /* checkpoint plus own writes */
} Pair;

/* Nodes from the text of their options */

typedef struct OpenCall {
    Pair *pair;
    const char *json;
    BlockDriverState *bs;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;
    json_t *json = json_loads(call->json, 0, NULL);
    g_autoptr(GError) err = NULL;
    g_autoptr(BlockdevOptions) options = NULL;

    g_assert_nonnull(json);
    options = qapi_BlockdevOptions_from_json(json, &err);
    g_assert_no_error(err);
    json_decref(json);
    call->bs = bdrv_co_open(options, &err);
    g_assert_no_error(err);
}

static BlockDriverState *open_node(Pair *p, int host, const char *json)
{
    OpenCall call = { p, json, NULL };

    sim_run(&p->sim, host, open_entry, &call);
    return call.bs;
}

static void coroutine_fn insert_entry(void *opaque)
{
    gpointer *args = opaque;
    g_autoptr(GError) err = NULL;
    BlockBackend *blk = blk_new(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                                BLK_PERM_ALL);

    blk_co_insert_bs(blk, args[0], &err);
    g_assert_no_error(err);
    args[1] = blk;
}

static BlockBackend *new_guest(Pair *p, int host, BlockDriverState *bs)
{
    gpointer args[] = { bs, NULL };

    sim_run(&p->sim, host, insert_entry, args);
    return args[1];
}

static void coroutine_fn serve_entry(void *opaque)
{
    Pair *p = opaque;
    g_autofree char *path = g_build_filename(p->dir, "server", NULL);
    g_autoptr(GError) err = NULL;
    SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = path,
    };
    BlockExportOptions options = {
        .type = BLOCK_EXPORT_TYPE_NBD, .id = (char *)"peer",
        .node_name = (char *)"disk", .has_writable = true, .writable = true,
    };

    nbd_server_co_start(&(NbdServerOptions) { .addr = &addr }, &err);
    g_assert_no_error(err);
    GRAPH_COMMAND_GUARD();
    block_export_co_add(&options, &err);
    g_assert_no_error(err);
}

typedef struct StartCall {
    ReplicationMode mode;
} StartCall;

static void coroutine_fn init_entry(void *opaque)
{
    replication_group_init();
}

static void coroutine_fn start_entry(void *opaque)
{
    const StartCall *call = opaque;
    g_autoptr(GError) err = NULL;

    GRAPH_COMMAND_GUARD();
    replication_group_co_start(NULL, call->mode, false, &err);
    g_assert_no_error(err);
}

static void coroutine_fn add_child_entry(void *opaque)
{
    BlockDriverState **args = opaque;
    g_autoptr(GError) err = NULL;

    GRAPH_COMMAND_GUARD();
    bdrv_co_add_child(args[0], args[1], &err);
    g_assert_no_error(err);
    bdrv_co_unref(args[1]);
}

static void open_secondary(Pair *p)
{
    StartCall start = { REPLICATION_MODE_SECONDARY };

    p->disk[SECONDARY] = open_node(p, SECONDARY,
        "{\"driver\":\"null-co\",\"node-name\":\"disk\",\"discard\":\"unmap\"}");
    p->root[SECONDARY] = open_node(p, SECONDARY,
        "{\"driver\":\"quorum\",\"node-name\":\"top\",\"vote-threshold\":1,"
        "\"read-pattern\":\"fifo\",\"children\":[{\"driver\":\"replication\","
        "\"mode\":\"secondary\",\"top-id\":\"top\",\"node-name\":\"childs\","
        "\"file\":{\"driver\":\"colo-buffer\",\"backing\":\"disk\"}}]}");
    p->guest[SECONDARY] = new_guest(p, SECONDARY, p->root[SECONDARY]);
    sim_run(&p->sim, SECONDARY, serve_entry, p);
    sim_run(&p->sim, SECONDARY, start_entry, &start);
}

static void open_primary(Pair *p)
{
    StartCall start = { REPLICATION_MODE_PRIMARY };
    BlockDriverState *args[2];
    g_autofree char *json = g_strdup_printf(
        "{\"driver\":\"replication\",\"mode\":\"primary\","
        "\"node-name\":\"forward\",\"protocol\":\"%s\",\"timeout\":%d,"
        "\"window-bytes\":16384,\"window-requests\":16,"
        "\"file\":{\"driver\":\"nbd\",\"export\":\"disk\",\"server\":"
        "{\"type\":\"unix\",\"path\":\"%s/link\"}}}",
        p->async ? "async" : "sync", (int)(TIMEOUT_NS / SCALE_MS), p->dir);

    p->disk[PRIMARY] = open_node(p, PRIMARY,
        "{\"driver\":\"null-co\",\"node-name\":\"local\","
        "\"discard\":\"unmap\"}");
    p->root[PRIMARY] = open_node(p, PRIMARY,
        "{\"driver\":\"quorum\",\"node-name\":\"colo-disk0\","
        "\"discard\":\"unmap\",\"vote-threshold\":1,\"read-pattern\":\"fifo\","
        "\"children\":[\"local\"]}");
    p->guest[PRIMARY] = new_guest(p, PRIMARY, p->root[PRIMARY]);
    args[0] = p->root[PRIMARY];
    args[1] = open_node(p, PRIMARY, json);
    sim_run(&p->sim, PRIMARY, add_child_entry, args);
    sim_run(&p->sim, PRIMARY, start_entry, &start);
}

static void pair_begin(Pair *p, int seed, bool async)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_colo_buffer, &bdrv_nbd, &bdrv_quorum,
        &bdrv_replication, NULL
    };
    g_autofree char *from = NULL, *to = NULL;

    p->rand = g_rand_new_with_seed(seed);
    p->async = async;
    p->dir = g_dir_make_tmp("sim-XXXXXX", NULL);
    p->writes = g_new0(Write, MAX_WRITES);
    from = g_build_filename(p->dir, "link", NULL);
    to = g_build_filename(p->dir, "server", NULL);
    sim_init(&p->sim, 2);
    p->sim.clock.now_ns = SECOND;
    bdrv_register_drivers(drivers);
    block_export_register(block_export_drivers);
    for (int host = 0; host < 2; host++) {
        sim_run(&p->sim, host, init_entry, NULL);
    }
    p->link = sim_link_new(&p->sim, PRIMARY, from, to);
    open_secondary(p);
    open_primary(p);
}

static void coroutine_fn close_entry(void *opaque)
{
    gpointer *args = opaque;

    replication_group_co_shutdown();
    nbd_servers_co_shutdown();
    blk_co_unref(args[0]);
    bdrv_co_unref(args[1]);
    bdrv_co_unref(args[2]);
}

static void pair_end(Pair *p)
{
    for (int host = 0; host < 2; host++) {
        gpointer args[] = { p->guest[host], p->root[host], p->disk[host] };

        sim_run(&p->sim, host, close_entry, args);
    }
    sim_link_free(&p->sim, p->link);
    sim_destroy(&p->sim);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    g_rand_free(p->rand);
    g_free(p->writes);
    rmdir(p->dir);
    g_free(p->dir);
}

/* Guests */

static void coroutine_fn write_entry(void *opaque)
{
    Write *w = opaque;
    g_autofree uint8_t *buf = g_malloc(w->bytes);

    memset(buf, w->pattern, w->bytes);
    if (w->type == TEST_WRITE) {
        w->ret = blk_co_pwrite(w->blk, w->offset, w->bytes, buf, 0);
    } else if (w->type == TEST_ZEROES) {
        w->ret = blk_co_pwrite_zeroes(w->blk, w->offset, w->bytes, 0);
    } else {
        w->ret = blk_co_pdiscard(w->blk, w->offset, w->bytes);
    }
}

/* Half of them in a corner of the disk, so that they overlap. */
static Write random_write(Pair *p, int host)
{
    int64_t limit = g_rand_boolean(p->rand) ? 8192 : TEST_DISK_SIZE;
    int64_t offset = g_rand_int_range(p->rand, 0, limit - 1);
    int64_t bytes = g_rand_int_range(p->rand, 1, 6000);
    Write w = {
        .pair = p, .blk = p->guest[host], .offset = offset,
        .bytes = MIN(bytes, TEST_DISK_SIZE - offset),
        .pattern = g_rand_int(p->rand), .ret = 1,
    };

    if (host == PRIMARY && g_rand_int_range(p->rand, 0, 5) == 0) {
        w.type = g_rand_boolean(p->rand) ? TEST_ZEROES : TEST_DISCARD;
        w.pattern = 0;
    } else {
        w.type = TEST_WRITE;
    }
    return w;
}

static void primary_writes(Pair *p)
{
    Write *w = &p->writes[p->n_writes++];

    g_assert_cmpint(p->n_writes, <, MAX_WRITES);
    *w = random_write(p, PRIMARY);
    memset(p->primary + w->offset, w->pattern, w->bytes);
    sim_start(&p->sim, PRIMARY, write_entry, w);
}

static void secondary_writes(Pair *p)
{
    Write w = random_write(p, SECONDARY);

    sim_run(&p->sim, SECONDARY, write_entry, &w);
    g_assert_cmpint(w.ret, ==, 0);
    memset(p->view + w.offset, w.pattern, w.bytes);
}

static void coroutine_fn read_entry(void *opaque)
{
    Write *r = opaque;
    g_autofree uint8_t *buf = g_malloc(r->bytes);

    r->ret = blk_co_pread(r->blk, r->offset, r->bytes, buf, 0);
    g_assert_cmpint(r->ret, ==, 0);
    g_assert_cmpmem(buf, r->bytes, r->pair->view + r->offset, r->bytes);
}

static void check_view(Pair *p)
{
    Write r = {
        .pair = p, .blk = p->guest[SECONDARY], .bytes = TEST_DISK_SIZE,
    };

    sim_run(&p->sim, SECONDARY, read_entry, &r);
}

/* Nobody waits any more, and nothing failed. */
static void check_writes_ended(Pair *p)
{
    for (int i = 0; i < p->n_writes; i++) {
        if (p->writes[i].ret != 0) {
            g_error("write %d of the primary's guest: %d", i,
                    p->writes[i].ret);
        }
    }
}

/* A checkpoint as whoever manages both hosts takes it */

typedef struct CutCall {
    bool ok;
    GError *err;
} CutCall;

static void coroutine_fn prepare_entry(void *opaque)
{
    CutCall *call = opaque;

    GRAPH_COMMAND_GUARD();
    call->ok = replication_group_co_prepare(&call->err);
}

static void coroutine_fn checkpoint_entry(void *opaque)
{
    CutCall *call = opaque;

    GRAPH_COMMAND_GUARD();
    call->ok = replication_group_co_checkpoint(NULL, &call->err);
}

static void coroutine_fn do_entry(void *opaque)
{
    CutCall *call = opaque;

    call->ok = replication_group_do(&call->err);
}

static void coroutine_fn abort_entry(void *opaque)
{
    replication_group_abort();
}

/* What has passed the gate when prepare returns is in the checkpoint. */
static void expect_cut(Pair *p)
{
    memset(p->view, 0, TEST_DISK_SIZE);
    for (int i = 0; i < p->n_writes; i++) {
        const Write *w = &p->writes[i];

        if (w->ret != 1) {
            memset(p->view + w->offset, w->pattern, w->bytes);
        }
    }
}

static bool checkpoint(Pair *p)
{
    CutCall call = { 0 };
    bool ok;

    sim_run(&p->sim, PRIMARY, prepare_entry, &call);
    ok = call.ok;
    if (ok) {
        /* More is written, which waits and is not in it. */
        primary_writes(p);
        g_clear_error(&call.err);
        sim_run(&p->sim, SECONDARY, checkpoint_entry, &call);
        ok = call.ok;
        if (ok) {
            expect_cut(p);
            sim_run(&p->sim, PRIMARY, do_entry, &call);
        } else {
            sim_run(&p->sim, PRIMARY, abort_entry, &call);
        }
    }
    g_clear_error(&call.err);
    return ok;
}

/* Faults and their end */

static void coroutine_fn failover_entry(void *opaque)
{
    g_assert_true(replication_group_failover(NULL, NULL));
}

static void fail_over(Pair *p)
{
    sim_run(&p->sim, SECONDARY, failover_entry, p);
    check_view(p);
    for (int i = 0; i < 5; i++) {
        secondary_writes(p);
    }
    sim_pass(&p->sim, SECOND);
    check_view(p);
    g_assert_cmpmem(test_disk(p->disk[SECONDARY])->data, TEST_DISK_SIZE,
                    p->view, TEST_DISK_SIZE);
}

static bool has_error;

static void coroutine_fn query_entry(void *opaque)
{
    BlockReplicationInfoList *list = replication_group_query();

    has_error = false;
    for (BlockReplicationInfoList *l = list; l; l = l->next) {
        has_error |= l->value->error != NULL;
    }
    qapi_free_BlockReplicationInfoList(list);
}

static void check_error(Pair *p, bool expected)
{
    sim_run(&p->sim, PRIMARY, query_entry, p);
    g_assert_true(has_error == expected);
}

static void random_load(Pair *p, int steps)
{
    for (int i = 0; i < steps; i++) {
        switch (g_rand_int_range(p->rand, 0, 12)) {
        case 0:
            if (!checkpoint(p)) {
                g_error("a checkpoint without any fault failed");
            }
            break;
        case 1:
        case 2:
        case 3:
            secondary_writes(p);
            break;
        case 4:
            check_view(p);
            break;
        case 5:
            sim_pass(&p->sim, g_rand_int_range(p->rand, 1, 20) * SCALE_MS);
            break;
        default:
            primary_writes(p);
        }
    }
}

static void slow_down(Pair *p)
{
    SimLinkConditions c = {
        .latency_ns = g_rand_int_range(p->rand, 0, 3) * 5 * SCALE_MS,
    };

    sim_link_set(&p->sim, p->link, c);
}

/* Tests */

static void run_quiet(int seed, bool async)
{
    Pair *p = g_new0(Pair, 1);

    pair_begin(p, seed, async);
    slow_down(p);
    random_load(p, 200);
    sim_pass(&p->sim, SECOND);
    check_writes_ended(p);
    check_error(p, false);
    g_assert_cmpmem(test_disk(p->disk[PRIMARY])->data, TEST_DISK_SIZE,
                    p->primary, TEST_DISK_SIZE);
    g_assert_cmpmem(test_disk(p->disk[SECONDARY])->data, TEST_DISK_SIZE,
                    p->primary, TEST_DISK_SIZE);
    check_view(p);
    fail_over(p);
    pair_end(p);
    g_free(p);
}

static void run_faulty(int seed, bool async)
{
    Pair *p = g_new0(Pair, 1);
    SimLinkConditions stalled = { .stalled = true };

    pair_begin(p, seed, async);
    slow_down(p);
    random_load(p, 100);
    if (g_rand_boolean(p->rand)) {
        sim_link_cut(&p->sim, p->link);
    } else {
        sim_link_set(&p->sim, p->link, stalled);
    }
    for (int i = 0; i < 20; i++) {
        primary_writes(p);
        if (g_rand_int_range(p->rand, 0, 8) == 0) {
            g_assert_false(checkpoint(p));
        }
    }
    /* Past the timeout the guest goes on alone and everybody knows. */
    sim_pass(&p->sim, TIMEOUT_NS + 2 * SECOND);
    check_writes_ended(p);
    check_error(p, true);
    g_assert_cmpmem(test_disk(p->disk[PRIMARY])->data, TEST_DISK_SIZE,
                    p->primary, TEST_DISK_SIZE);
    g_assert_false(checkpoint(p));
    check_view(p);
    fail_over(p);
    pair_end(p);
    g_free(p);
}

static int seeds(void)
{
    const char *text = g_getenv("COLO_TEST_SEEDS");

    return text ? atoi(text) : 12;
}

static void test_quiet(gconstpointer async)
{
    for (int seed = 0; seed < seeds(); seed++) {
        run_quiet(seed, async != NULL);
    }
}

static void test_faulty(gconstpointer async)
{
    for (int seed = 0; seed < seeds(); seed++) {
        run_faulty(seed, async != NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/pair/sync/load", NULL, test_quiet);
    g_test_add_data_func("/pair/sync/faults", NULL, test_faulty);
    g_test_add_data_func("/pair/async/load", "", test_quiet);
    g_test_add_data_func("/pair/async/faults", "", test_faulty);
    return g_test_run();
}
