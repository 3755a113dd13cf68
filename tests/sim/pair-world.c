/*
 * A pair of hosts that replicate disks over a link: nodes, exports, groups
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "pair.h"

#include "block/drivers.h"
#include "block/nbd-server.h"
#include "qapi/qapi-visit-block-core.h"
#include "replication/group.h"

#include <jansson.h>

#define DISK_LATENCY_NS (50 * SCALE_US)

void pair_fail(const Pair *p, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_error("%s, %d disks, seed %d: %s", p->options.async ? "async" : "sync",
            p->options.disks, p->seed, text);
}

/* Nodes from the text of their options */

BlockDriverState *coroutine_fn pair_co_open(const char *text, GError **errp)
{
    json_t *json = json_loads(text, 0, NULL);
    g_autoptr(GError) err = NULL;
    g_autoptr(BlockdevOptions) options = NULL;

    g_assert_nonnull(json);
    options = qapi_BlockdevOptions_from_json(json, &err);
    g_assert_no_error(err);
    json_decref(json);
    return bdrv_co_open(options, errp);
}

typedef struct OpenCall {
    const char *json;
    BlockDriverState *bs;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;
    g_autoptr(GError) err = NULL;

    call->bs = pair_co_open(call->json, &err);
    g_assert_no_error(err);
}

G_GNUC_PRINTF(3, 4)
static BlockDriverState *open_node(Pair *p, int host, const char *fmt, ...)
{
    g_autofree char *json = NULL;
    OpenCall call = { 0 };
    va_list ap;

    va_start(ap, fmt);
    call.json = json = g_strdup_vprintf(fmt, ap);
    va_end(ap);
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

static void add_guest(PairDisk *d, int host)
{
    gpointer args[] = { d->root[host], NULL };

    sim_run(&d->pair->sim, host, insert_entry, args);
    d->guest[host] = args[1];
    test_disk(d->disk[host])->latency_ns = DISK_LATENCY_NS;
}

/* The secondary */

static void coroutine_fn serve_entry(void *opaque)
{
    Pair *p = opaque;
    g_autofree char *path = g_build_filename(p->dir, "server", NULL);
    g_autoptr(GError) err = NULL;
    SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = path,
    };

    nbd_server_co_start(&(NbdServerOptions) { .addr = &addr }, &err);
    g_assert_no_error(err);
    GRAPH_COMMAND_GUARD();
    for (int i = 0; i < p->options.disks; i++) {
        g_autofree char *id = g_strdup_printf("peer%d", i);
        g_autofree char *node = g_strdup_printf("disk%d", i);
        BlockExportOptions options = {
            .type = BLOCK_EXPORT_TYPE_NBD, .id = id, .node_name = node,
            .has_writable = true, .writable = true,
        };

        block_export_co_add(&options, &err);
        g_assert_no_error(err);
    }
}

static void open_secondary(PairDisk *d)
{
    int i = d->number;

    d->disk[SECONDARY] = open_node(d->pair, SECONDARY,
        "{\"driver\":\"null-co\",\"node-name\":\"disk%d\","
        "\"discard\":\"unmap\"}", i);
    d->root[SECONDARY] = open_node(d->pair, SECONDARY,
        "{\"driver\":\"quorum\",\"node-name\":\"top%d\",\"vote-threshold\":1,"
        "\"read-pattern\":\"fifo\",\"children\":[{\"driver\":\"replication\","
        "\"mode\":\"secondary\",\"top-id\":\"top%d\",\"node-name\":\"childs%d\","
        "\"file\":{\"driver\":\"colo-buffer\",\"backing\":\"disk%d\"}}]}",
        i, i, i, i);
    add_guest(d, SECONDARY);
}

/* The primary */

char *pair_forward_options(const PairDisk *d)
{
    return g_strdup_printf(
        "{\"driver\":\"replication\",\"mode\":\"primary\","
        "\"node-name\":\"forward%d\",\"protocol\":\"%s\",\"timeout\":%d,"
        "\"window-bytes\":16384,\"window-requests\":16,"
        "\"file\":{\"driver\":\"nbd\",\"export\":\"disk%d\",\"server\":"
        "{\"type\":\"unix\",\"path\":\"%s/link\"}}}",
        d->number, d->pair->options.async ? "async" : "sync",
        (int)(PAIR_TIMEOUT_NS / SCALE_MS), d->number, d->pair->dir);
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

static void open_primary(PairDisk *d)
{
    Pair *p = d->pair;
    g_autofree char *json = pair_forward_options(d);
    BlockDriverState *args[2];

    d->disk[PRIMARY] = open_node(p, PRIMARY,
        "{\"driver\":\"null-co\",\"node-name\":\"local%d\","
        "\"discard\":\"unmap\"}", d->number);
    d->root[PRIMARY] = open_node(p, PRIMARY,
        "{\"driver\":\"quorum\",\"node-name\":\"colo-disk%d\","
        "\"discard\":\"unmap\",\"vote-threshold\":1,\"read-pattern\":\"fifo\","
        "\"children\":[\"local%d\"]}", d->number, d->number);
    add_guest(d, PRIMARY);
    args[0] = d->root[PRIMARY];
    args[1] = open_node(p, PRIMARY, "%s", json);
    sim_run(&p->sim, PRIMARY, add_child_entry, args);
}

/* Life */

static void coroutine_fn init_entry(void *opaque)
{
    replication_group_init();
}

static void coroutine_fn start_entry(void *opaque)
{
    const ReplicationMode *mode = opaque;
    g_autoptr(GError) err = NULL;

    GRAPH_COMMAND_GUARD();
    replication_group_co_start(NULL, *mode, false, &err);
    g_assert_no_error(err);
}

static void open_disks(Pair *p)
{
    ReplicationMode mode = REPLICATION_MODE_SECONDARY;

    for (int i = 0; i < p->options.disks; i++) {
        p->disks[i] = (PairDisk) { .pair = p, .number = i, .isolated = true };
        open_secondary(&p->disks[i]);
    }
    sim_run(&p->sim, SECONDARY, serve_entry, p);
    sim_run(&p->sim, SECONDARY, start_entry, &mode);
    for (int i = 0; i < p->options.disks; i++) {
        open_primary(&p->disks[i]);
    }
    mode = REPLICATION_MODE_PRIMARY;
    sim_run(&p->sim, PRIMARY, start_entry, &mode);
}

static void request_free(void *opaque)
{
    g_free(((Request *)opaque)->found);
    g_free(opaque);
}

static void set_up_link(Pair *p)
{
    g_autofree char *from = g_build_filename(p->dir, "link", NULL);
    g_autofree char *to = g_build_filename(p->dir, "server", NULL);

    p->link = sim_link_new(&p->sim, LINK, from, to);
    p->conditions.latency_ns =
        g_rand_int_range(p->rand, 0, 3) * 5 * SCALE_MS;
}

Pair *pair_new(int seed, PairOptions options)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_colo_buffer, &bdrv_nbd, &bdrv_quorum,
        &bdrv_replication, NULL
    };
    Pair *p = g_new0(Pair, 1);

    p->seed = seed;
    p->options = options;
    p->rand = g_rand_new_with_seed(seed);
    p->dir = g_dir_make_tmp("sim-XXXXXX", NULL);
    p->requests = g_ptr_array_new_with_free_func(request_free);
    p->commands = g_ptr_array_new_with_free_func(g_free);
    sim_init(&p->sim, HOSTS);
    p->sim.clock.now_ns = SECOND;
    bdrv_register_drivers(drivers);
    block_export_register(block_export_drivers);
    for (int host = 0; host < LINK; host++) {
        sim_run(&p->sim, host, init_entry, NULL);
    }
    set_up_link(p);
    open_disks(p);
    p->replicated = true;
    sim_settle(&p->sim);
    sim_link_set(&p->sim, p->link, p->conditions);
    return p;
}

static void coroutine_fn connections_entry(void *opaque)
{
    NBDServer *server = nbd_server_for_export(false, NULL);

    *(int *)opaque = server ? nbd_server_connections(server) : 0;
}

int pair_connections(Pair *p)
{
    int n;

    sim_run(&p->sim, SECONDARY, connections_entry, &n);
    return n;
}

typedef struct CloseCall {
    Pair *pair;
    int host;
} CloseCall;

static void coroutine_fn close_entry(void *opaque)
{
    const CloseCall *call = opaque;
    Pair *p = call->pair;

    replication_group_co_shutdown();
    nbd_servers_co_shutdown();
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];

        blk_co_unref(d->guest[call->host]);
        bdrv_co_unref(d->root[call->host]);
        bdrv_co_unref(d->disk[call->host]);
    }
}

void pair_free(Pair *p)
{
    for (int host = 0; host < LINK; host++) {
        CloseCall call = { p, host };

        sim_run(&p->sim, host, close_entry, &call);
    }
    sim_link_free(&p->sim, p->link);
    sim_destroy(&p->sim);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    g_ptr_array_unref(p->requests);
    g_ptr_array_unref(p->commands);
    g_rand_free(p->rand);
    rmdir(p->dir);
    g_free(p->dir);
    g_free(p);
}
