/*
 * A client's host, a link, and a server's host with an export over a disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-world.h"

#include "block/drivers.h"
#include "block/nbd-server.h"
#include "qapi/qapi-visit-block-core.h"

#include <jansson.h>

BlockdevOptions *nbd_world_node(const NbdWorld *w, Way way,
                                bool detect_zeroes)
{
    g_autofree char *nbd = g_strdup_printf(
        "\"driver\":\"nbd\",\"export\":\"disk\",\"discard\":\"unmap\","
        "\"server\":{\"type\":\"unix\",\"path\":\"%s/link\"}%s", w->dir,
        way == WAY_RECONNECT ?
        ",\"reconnect-delay\":20,\"open-timeout\":20" : "");
    g_autofree char *text = g_strdup_printf(
        way == WAY_LAYERED ?
        "{\"driver\":\"raw\",\"node-name\":\"node\",\"discard\":\"unmap\","
        "\"file\":{\"node-name\":\"conn\",%s}%s}" :
        "{\"node-name\":\"node\",%s%s}", nbd,
        detect_zeroes ? ",\"detect-zeroes\":\"on\"" : "");
    json_t *json = json_loads(text, 0, NULL);
    g_autoptr(GError) err = NULL;
    BlockdevOptions *options = qapi_BlockdevOptions_from_json(json, &err);

    g_assert_no_error(err);
    json_decref(json);
    return options;
}

static void coroutine_fn serve_entry(void *opaque)
{
    NbdWorld *w = opaque;
    g_autofree char *path = g_build_filename(w->dir, "server", NULL);
    g_autoptr(GError) err = NULL;
    SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = path,
    };
    BlockdevOptions disk = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_discard = true, .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
    };
    BlockExportOptions options = {
        .type = BLOCK_EXPORT_TYPE_NBD, .id = (char *)"export",
        .node_name = (char *)"disk", .has_writable = true, .writable = true,
    };

    w->disk = bdrv_co_open(&disk, &err);
    g_assert_no_error(err);
    memset(test_disk(w->disk)->data, NBD_WORLD_PATTERN, TEST_DISK_SIZE);
    test_disk_set_limits(w->disk, (BlockLimits) { .request_alignment = 512 });

    nbd_server_co_start(&(NbdServerOptions) { .addr = &addr }, &err);
    g_assert_no_error(err);
    GRAPH_COMMAND_GUARD();
    block_export_co_add(&options, &err);
    g_assert_no_error(err);
}

static void coroutine_fn server_end_entry(void *opaque)
{
    NbdWorld *w = opaque;

    nbd_servers_co_shutdown();
    bdrv_co_unref(w->disk);
}

static void coroutine_fn look_entry(void *opaque)
{
    NbdWorld *w = opaque;
    NBDServer *server = nbd_server_for_export(false, NULL);
    BlockExport *exp = block_export_find("export");

    w->has_client = (server && nbd_server_connections(server) > 0) ||
                    (exp && exp->refcnt > 1);
    w->has_export = exp != NULL;
}

void nbd_world_look(NbdWorld *w)
{
    sim_run(&w->sim, SERVER, look_entry, w);
}

void nbd_world_begin(NbdWorld *w, SimLinkConditions conditions)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, &bdrv_nbd, NULL
    };
    g_autofree char *from = NULL, *to = NULL;

    w->dir = g_dir_make_tmp("sim-XXXXXX", NULL);
    from = g_build_filename(w->dir, "link", NULL);
    to = g_build_filename(w->dir, "server", NULL);
    sim_init(&w->sim, HOSTS);
    w->sim.clock.now_ns = NANOSECONDS_PER_SECOND;
    bdrv_register_drivers(drivers);
    block_export_register(block_export_drivers);
    w->link = sim_link_new(&w->sim, LINK, from, to);
    w->conditions = conditions;
    sim_link_set(&w->sim, w->link, conditions);
    sim_run(&w->sim, SERVER, serve_entry, w);
}

void nbd_world_end(NbdWorld *w)
{
    sim_run(&w->sim, SERVER, server_end_entry, w);
    sim_link_free(&w->sim, w->link);
    sim_destroy(&w->sim);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    rmdir(w->dir);
    g_free(w->dir);
}
