/*
 * A client's host, a link, and a server's host with an export over a disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-world.h"

#include "block/drivers.h"
#include "block/drivers/file-int.h"
#include "block/nbd-server.h"
#include "object-helpers.h"
#include "qapi/qapi-visit-block-core.h"

BlockdevOptions *nbd_world_node(const NbdWorld *w, Way way,
                                bool detect_zeroes)
{
    g_autofree char *nbd = g_strdup_printf(
        "\"driver\":\"nbd\",\"export\":\"disk\",\"discard\":\"unmap\","
        "\"server\":{\"type\":\"unix\",\"path\":\"%s/link\"}%s%s", w->dir,
        w->tls ? ",\"tls-creds\":\"tls0\"" : "",
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

/* The disk */

static void make_file(NbdWorld *w)
{
    g_autofree char *path = g_build_filename(w->dir, "disk", NULL);
    g_autofree uint8_t *data = g_malloc(TEST_DISK_SIZE);

    memset(data, NBD_WORLD_PATTERN, TEST_DISK_SIZE);
    w->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    g_assert_cmpint(w->fd, >=, 0);
    g_assert_cmpint(pwrite(w->fd, data, TEST_DISK_SIZE, 0), ==,
                    TEST_DISK_SIZE);
}

/* Past the page cache and not inline: every request is the engine's. */
static void coroutine_fn open_file(NbdWorld *w)
{
    g_autofree char *path = g_build_filename(w->dir, "disk", NULL);
    g_autoptr(GError) err = NULL;
    FileState *file;
    BlockdevCacheOptions cache = { .has_direct = true, .direct = true };
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_FILE, .node_name = (char *)"disk",
        .has_discard = true, .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
        .cache = &cache,
        .u.file = {
            .filename = path, .has_aio = true,
            .aio = BlockdevAioOptions_parse(w->aio, &err),
        },
    };

    g_assert_no_error(err);
    w->disk = bdrv_co_open(&options, &err);
    g_assert_no_error(err);
    file = w->disk->opaque;
    file->file.inline_io = file->file.tmpfs = false;
    w->sim.real_io = &w->disk->in_flight;
    w->sim.real_io_host = SERVER;
}

static void coroutine_fn open_memory(NbdWorld *w)
{
    g_autoptr(GError) err = NULL;
    BlockdevOptions options = {
        .driver = BLOCKDEV_DRIVER_NULL_CO, .node_name = (char *)"disk",
        .has_discard = true, .discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP,
    };

    w->disk = bdrv_co_open(&options, &err);
    g_assert_no_error(err);
    memset(test_disk(w->disk)->data, NBD_WORLD_PATTERN, TEST_DISK_SIZE);
    test_disk_set_limits(w->disk, (BlockLimits) { .request_alignment = 512 });
}

void nbd_world_hold(NbdWorld *w)
{
    test_disk(w->disk)->hold = true;
}

void nbd_world_release(NbdWorld *w)
{
    if (w->disk && !w->aio) {
        test_disk_release(w->disk);
    }
}

bool nbd_world_is_holding(const NbdWorld *w)
{
    return w->disk && !w->aio && test_disk(w->disk)->hold;
}

uint8_t *nbd_world_read_disk(const NbdWorld *w)
{
    uint8_t *data;

    if (!w->aio) {
        return g_memdup2(w->disk ? test_disk(w->disk)->data : w->last,
                         TEST_DISK_SIZE);
    }
    data = g_malloc(TEST_DISK_SIZE);
    g_assert_cmpint(pread(w->fd, data, TEST_DISK_SIZE, 0), ==,
                    TEST_DISK_SIZE);
    return data;
}

void coroutine_fn nbd_world_co_drop_disk(NbdWorld *w)
{
    static const unsigned closing = 1;

    if (w->aio) {
        w->sim.real_io = &closing;      /* it flushes, and is no more */
    } else {
        w->last = nbd_world_read_disk(w);
    }
    bdrv_co_unref(g_steal_pointer(&w->disk));
    w->sim.real_io = NULL;
}

/* The server */

/* The key is nobody's secret. */
static void coroutine_fn add_credentials(NbdWorld *w, const char *endpoint)
{
    must_object_add("{'qom-type': 'tls-creds-psk', 'id': 'tls0', 'dir': '%s', "
                    "'endpoint': '%s'}", w->dir, endpoint);
}

static void coroutine_fn client_entry(void *opaque)
{
    add_credentials(opaque, "client");
}

static void coroutine_fn serve_entry(void *opaque)
{
    NbdWorld *w = opaque;
    g_autofree char *path = g_build_filename(w->dir, "server", NULL);
    g_autoptr(GError) err = NULL;
    SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = path,
    };
    BlockExportOptions options = {
        .type = BLOCK_EXPORT_TYPE_NBD, .id = (char *)"export",
        .node_name = (char *)"disk", .has_writable = true, .writable = true,
    };
    NbdServerOptions server = {
        .addr = &addr, .tls_creds = w->tls ? (char *)"tls0" : NULL,
    };

    if (w->tls) {
        add_credentials(w, "server");
    }
    if (w->aio) {
        open_file(w);
    } else {
        open_memory(w);
    }
    nbd_server_co_start(&server, &err);
    g_assert_no_error(err);
    GRAPH_COMMAND_GUARD();
    block_export_co_add(&options, &err);
    g_assert_no_error(err);
}

static void coroutine_fn server_end_entry(void *opaque)
{
    NbdWorld *w = opaque;

    nbd_servers_co_shutdown();
    if (w->disk) {
        nbd_world_co_drop_disk(w);
    }
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

static void make_key(NbdWorld *w)
{
    g_autofree char *path = g_build_filename(w->dir, "keys.psk", NULL);

    g_assert_true(g_file_set_contents(path, "qemu:00112233445566778899\n", -1,
                                      NULL));
    object_register_types(qom_types);
}

void nbd_world_begin(NbdWorld *w, SimLinkConditions conditions)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &test_filter_driver, &bdrv_nbd, &bdrv_file, NULL
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
    w->fd = -1;
    if (w->aio) {
        make_file(w);
    }
    if (w->tls) {
        make_key(w);
        sim_run(&w->sim, CLIENT, client_entry, w);
    }
    sim_run(&w->sim, SERVER, serve_entry, w);
}

static void remove_file(const NbdWorld *w, const char *name)
{
    g_autofree char *path = g_build_filename(w->dir, name, NULL);

    unlink(path);
}

void nbd_world_end(NbdWorld *w)
{
    sim_run(&w->sim, SERVER, server_end_entry, w);
    sim_link_free(&w->sim, w->link);
    sim_destroy(&w->sim);
    g_assert_cmpuint(coroutine_count(), ==, 0);
    if (w->fd >= 0) {
        close(w->fd);
    }
    remove_file(w, "disk");
    remove_file(w, "keys.psk");
    rmdir(w->dir);
    g_free(w->dir);
    g_free(w->last);
}
