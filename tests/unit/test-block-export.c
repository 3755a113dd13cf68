/*
 * Exports: adding, removing, guests, the two NBD servers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "block-helpers.h"
#include "block/nbd-server.h"
#include "nbd/protocol.h"
#include "qapi/event.h"

typedef struct Fixture {
    AioContext *ctx;
    char *dir;
    BlockDriverState *bs;
    GError *err;
    bool ok;

    /* Arguments of the entries below */
    BlockExportOptions options;
    NbdServerAddOptions add;
    const char *socket;         /* "nbd" or "guest" */

    BlockBackend *drive;
} Fixture;

static unsigned deleted_events;

static void sink(int event, const char *name, json_t *data)
{
    g_assert_cmpstr(name, ==, "BLOCK_EXPORT_DELETED");
    deleted_events++;
}

/* Commands */

static char *socket_path(Fixture *f, const char *name)
{
    return g_build_filename(f->dir, name, NULL);
}

static void coroutine_fn start_entry(void *opaque)
{
    Fixture *f = opaque;
    g_autofree char *path = socket_path(f, f->socket);
    SocketAddress addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX,
        .u.q_unix.path = path,
    };
    NbdServerOptions options = { .addr = &addr };

    if (strcmp(f->socket, "guest") == 0) {
        f->ok = nbd_guest_server_co_start(&addr, &f->err);
    } else {
        f->ok = nbd_server_co_start(&options, &f->err);
    }
}

static void coroutine_fn stop_entry(void *opaque)
{
    Fixture *f = opaque;

    f->ok = nbd_server_co_stop(&f->err);
}

static void coroutine_fn export_entry(void *opaque)
{
    Fixture *f = opaque;
    GRAPH_COMMAND_GUARD();

    f->ok = block_export_co_add(&f->options, &f->err) != NULL;
}

static void coroutine_fn add_entry(void *opaque)
{
    Fixture *f = opaque;
    GRAPH_COMMAND_GUARD();

    f->ok = nbd_server_co_add(&f->add, &f->err);
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    nbd_servers_co_shutdown();
}

static void start_server(Fixture *f, const char *socket)
{
    f->socket = socket;
    test_run(f->ctx, start_entry, f);
    g_assert_no_error(f->err);
    g_assert_true(f->ok);
}

static bool add_export(Fixture *f, const char *id, bool writable, bool guest)
{
    f->options = (BlockExportOptions) {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .id = (char *)id,
        .node_name = (char *)"disk",
        .has_writable = true,
        .writable = writable,
        .has_guest = guest,
        .guest = guest,
        .u.nbd.name = (char *)id,
    };
    g_clear_error(&f->err);
    test_run(f->ctx, export_entry, f);
    return f->ok;
}

/* Clients.  They speak the shortest dialect there is. */

static int client_connect(Fixture *f, const char *socket_name)
{
    g_autofree char *path = socket_path(f, socket_name);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    test_settle(f->ctx);
    return fd;
}

static bool recv_all(Fixture *f, int fd, void *buf, size_t bytes)
{
    test_settle(f->ctx);
    return recv(fd, buf, bytes, 0) == (ssize_t)bytes;
}

static int client_open(Fixture *f, const char *socket_name, const char *name)
{
    uint8_t greeting[NBD_GREETING_SIZE], option[4 + NBD_OPTION_SIZE];
    uint8_t reply[NBD_EXPORT_NAME_REPLY_SIZE];
    int fd = client_connect(f, socket_name);

    g_assert_cmpint(fd, >=, 0);
    g_assert_true(recv_all(f, fd, greeting, sizeof(greeting)));
    nbd_put32(option, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    nbd_option_encode(option + 4, NBD_OPT_EXPORT_NAME, strlen(name));
    send(fd, option, sizeof(option), 0);
    send(fd, name, strlen(name), 0);
    g_assert_true(recv_all(f, fd, reply, sizeof(reply)));
    g_assert_cmpint(nbd_get64(reply), ==, TEST_DISK_SIZE);
    return fd;
}

static void client_send(int fd, uint16_t type, uint64_t cookie)
{
    uint8_t request[NBD_REQUEST_SIZE + 512] = { 0 };
    size_t payload = type == NBD_CMD_WRITE ? 512 : 0;

    memset(request + NBD_REQUEST_SIZE, 0x5a, 512);
    nbd_request_encode(request, 0, type, cookie, 0,
                       type == NBD_CMD_FLUSH ? 0 : 512);
    send(fd, request, NBD_REQUEST_SIZE + payload, 0);
}

/* The error of the reply, or -1 while there is none. */
static int client_reply(Fixture *f, int fd, uint64_t cookie)
{
    uint8_t reply[NBD_SIMPLE_REPLY_SIZE];

    if (!recv_all(f, fd, reply, sizeof(reply))) {
        return -1;
    }
    g_assert_cmpint(nbd_simple_reply_decode(reply).cookie, ==, cookie);
    return nbd_simple_reply_decode(reply).error;
}

static bool client_is_closed(Fixture *f, int fd)
{
    uint8_t byte;

    test_settle(f->ctx);
    return recv(fd, &byte, 1, 0) == 0;
}

/* Life */

static void setup(Fixture *f, gconstpointer data)
{
    deleted_events = 0;
    qapi_event_set_sink(sink);
    f->ctx = test_block_begin();
    f->dir = g_dir_make_tmp("colo-export-XXXXXX", NULL);
    f->bs = test_open_disk(f->ctx, "disk");
    block_export_register(block_export_drivers);
}

static void teardown(Fixture *f, gconstpointer data)
{
    test_run(f->ctx, shutdown_entry, f);
    g_assert_null(block_export_next(NULL));
    test_unref(f->ctx, f->bs);
    test_block_end(f->ctx);
    qapi_event_set_sink(NULL);
    g_clear_error(&f->err);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
}

/* Adding */

static void test_no_export_without_a_server(Fixture *f, gconstpointer d)
{
    g_assert_false(add_export(f, "x", false, false));
    g_assert_cmpstr(f->err->message, ==, "NBD server not running");
    g_assert_false(add_export(f, "x", false, true));
    g_assert_nonnull(strstr(f->err->message, "--guest-socket"));
}

static void test_ids_are_checked(Fixture *f, gconstpointer d)
{
    start_server(f, "nbd");
    g_assert_false(add_export(f, "1 x", false, false));
    g_assert_nonnull(strstr(f->err->message, "Invalid block export id"));
    g_assert_true(add_export(f, "x", false, false));
    g_assert_false(add_export(f, "x", false, false));
    g_assert_cmpstr(f->err->message, ==,
                    "Block export id 'x' is already in use");
}

static void test_names_are_checked(Fixture *f, gconstpointer d)
{
    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", false, false));
    f->options.id = (char *)"y";
    test_run(f->ctx, export_entry, f);
    g_assert_false(f->ok);
    g_assert_cmpstr(f->err->message, ==,
                    "NBD server already has export named 'x'");
}

static void test_unknown_nodes_are_named(Fixture *f, gconstpointer d)
{
    start_server(f, "nbd");
    f->add = (NbdServerAddOptions) { .device = (char *)"nope" };
    test_run(f->ctx, add_entry, f);
    g_assert_false(f->ok);
    g_assert_nonnull(strstr(f->err->message, "nope"));
}

static void test_server_add_names_the_export(Fixture *f, gconstpointer d)
{
    start_server(f, "nbd");
    f->add = (NbdServerAddOptions) { .device = (char *)"disk" };
    test_run(f->ctx, add_entry, f);
    g_assert_no_error(f->err);
    g_assert_nonnull(block_export_find("disk"));
    close(client_open(f, "nbd", "disk"));
}

static void test_second_start_is_refused(Fixture *f, gconstpointer d)
{
    start_server(f, "nbd");
    test_run(f->ctx, start_entry, f);
    g_assert_false(f->ok);
    g_assert_cmpstr(f->err->message, ==, "NBD server already running");
}

static void test_second_server_for_guests_is_refused(Fixture *f,
                                                     gconstpointer d)
{
    start_server(f, "guest");
    test_run(f->ctx, start_entry, f);
    g_assert_false(f->ok);
    g_assert_cmpstr(f->err->message, ==,
                    "The server for guests is already running");
}

static void test_client_writes_reach_the_disk(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    fd = client_open(f, "nbd", "x");
    client_send(fd, NBD_CMD_WRITE, 1);
    g_assert_cmpint(client_reply(f, fd, 1), ==, 0);
    g_assert_cmphex(test_disk(f->bs)->data[511], ==, 0x5a);
    close(fd);
}

static void test_export_is_read_only_by_default(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", false, false));
    fd = client_open(f, "nbd", "x");
    client_send(fd, NBD_CMD_WRITE, 1);
    g_assert_cmpint(client_reply(f, fd, 1), ==, NBD_EPERM);
    g_assert_cmpint(test_disk(f->bs)->writes, ==, 0);
    close(fd);
}

/* Removing */

static void test_safe_removal_spares_clients(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    fd = client_open(f, "nbd", "x");
    g_assert_false(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_SAFE,
                                    &f->err));
    g_assert_cmpstr(f->err->message, ==, "export 'x' still in use");
    g_assert_false(client_is_closed(f, fd));

    close(fd);
    test_settle(f->ctx);
    g_assert_true(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_SAFE, NULL));
    test_settle(f->ctx);
    g_assert_cmpint(deleted_events, ==, 1);
    g_assert_null(block_export_find("x"));
}

static void test_hard_removal_disconnects(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    fd = client_open(f, "nbd", "x");
    g_assert_true(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_HARD, NULL));
    g_assert_true(client_is_closed(f, fd));
    g_assert_cmpint(deleted_events, ==, 1);
    g_assert_true(add_export(f, "x", true, false));
    close(fd);
}

/* Requests in flight end before the export does. */
static void test_removal_waits_for_requests(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    fd = client_open(f, "nbd", "x");
    test_disk(f->bs)->hold = true;
    client_send(fd, NBD_CMD_READ, 1);
    test_settle(f->ctx);
    g_assert_true(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_HARD, NULL));
    test_settle(f->ctx);
    g_assert_cmpint(deleted_events, ==, 0);
    g_assert_false(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_HARD,
                                    &f->err));
    g_assert_cmpstr(f->err->message, ==,
                    "Export 'x' is already shutting down");

    test_disk_release(f->bs);
    test_settle(f->ctx);
    g_assert_cmpint(deleted_events, ==, 1);
    close(fd);
}

static void test_unknown_export_is_not_found(Fixture *f, gconstpointer d)
{
    g_assert_false(nbd_server_remove("x", BLOCK_EXPORT_REMOVE_MODE_SAFE,
                                     &f->err));
    g_assert_cmpstr(f->err->message, ==, "Export 'x' is not found");
}

/* Kinds of exports */

static bool coroutine_fn other_create(BlockExport *exp,
                                      const BlockExportOptions *options,
                                      GError **errp)
{
    return true;
}

static void other_request_shutdown(BlockExport *exp)
{
}

static void coroutine_fn other_destroy(BlockExport *exp)
{
}

static void test_unknown_kind(Fixture *f, gconstpointer d)
{
    static const BlockExportDriver *const none[] = { NULL };

    block_export_register(none);
    g_assert_false(add_export(f, "x", false, false));
    g_assert_cmpstr(f->err->message, ==, "No driver found for the requested "
                    "export type 'nbd'");
}

static void test_export_of_another_kind(Fixture *f, gconstpointer d)
{
    static const BlockExportDriver other = {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .instance_size = sizeof(BlockExport),
        .create = other_create,
        .request_shutdown = other_request_shutdown,
        .destroy = other_destroy,
    };
    static const BlockExportDriver *const others[] = { &other, NULL };

    block_export_register(others);
    g_assert_true(add_export(f, "x", false, false));
    g_assert_false(nbd_server_remove("x", BLOCK_EXPORT_REMOVE_MODE_SAFE,
                                     &f->err));
    g_assert_cmpstr(f->err->message, ==,
                    "Block export 'x' is not an NBD export");
    g_assert_true(block_export_del("x", BLOCK_EXPORT_REMOVE_MODE_SAFE, NULL));
    test_settle(f->ctx);
    g_assert_cmpint(deleted_events, ==, 1);
}

static void test_stop_takes_its_exports_along(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    g_assert_true(add_export(f, "y", false, false));
    fd = client_open(f, "nbd", "x");
    test_run(f->ctx, stop_entry, f);
    g_assert_true(f->ok);
    g_assert_true(client_is_closed(f, fd));
    g_assert_cmpint(deleted_events, ==, 2);
    g_assert_cmpint(client_connect(f, "nbd"), ==, -1);

    test_run(f->ctx, stop_entry, f);
    g_assert_false(f->ok);
    g_assert_cmpstr(f->err->message, ==, "NBD server not running");
    close(fd);
}

/* Guests */

static void test_stop_leaves_guests_alone(Fixture *f, gconstpointer d)
{
    int fd;

    start_server(f, "nbd");
    start_server(f, "guest");
    g_assert_true(add_export(f, "x", true, false));
    g_assert_true(add_export(f, "g", true, true));
    fd = client_open(f, "guest", "g");
    test_run(f->ctx, stop_entry, f);
    g_assert_cmpint(deleted_events, ==, 1);

    client_send(fd, NBD_CMD_WRITE, 1);
    g_assert_cmpint(client_reply(f, fd, 1), ==, 0);
    close(fd);
}

static void test_stopped_guest_waits(Fixture *f, gconstpointer d)
{
    int guest, other;

    start_server(f, "nbd");
    start_server(f, "guest");
    g_assert_true(add_export(f, "x", true, false));
    g_assert_true(add_export(f, "g", true, true));
    guest = client_open(f, "guest", "g");
    other = client_open(f, "nbd", "x");

    block_export_set_guests_running(false);
    client_send(guest, NBD_CMD_WRITE, 1);
    g_assert_cmpint(client_reply(f, guest, 1), ==, -1);
    client_send(other, NBD_CMD_READ, 2);
    client_send(guest, NBD_CMD_FLUSH, 3);
    g_assert_cmpint(client_reply(f, guest, 3), ==, 0);
    g_assert_cmpint(client_reply(f, other, 2), ==, 0);
    g_assert_cmpint(test_disk(f->bs)->writes, ==, 0);

    block_export_set_guests_running(true);
    g_assert_cmpint(client_reply(f, guest, 1), ==, 0);
    close(guest);
    close(other);
}

static void test_guest_that_leaves_while_stopped(Fixture *f, gconstpointer d)
{
    int fd;

    block_export_set_guests_running(false);
    start_server(f, "guest");
    g_assert_true(add_export(f, "g", true, true));
    fd = client_open(f, "guest", "g");
    client_send(fd, NBD_CMD_WRITE, 1);
    test_settle(f->ctx);
    close(fd);
    test_settle(f->ctx);
    block_export_set_guests_running(true);
    test_settle(f->ctx);
    g_assert_cmpint(test_disk(f->bs)->writes, ==, 0);
    g_assert_true(block_export_del("g", BLOCK_EXPORT_REMOVE_MODE_SAFE, NULL));
}

/* Guests of a drive */

static void coroutine_fn make_drive_entry(void *opaque)
{
    Fixture *f = opaque;

    f->drive = blk_new(BLK_PERM_CONSISTENT_READ, BLK_PERM_ALL);
    g_assert_true(blk_set_name(f->drive, "drive", NULL));
    g_assert_true(blk_co_insert_bs(f->drive, f->bs, NULL));
}

static void coroutine_fn drop_drive_entry(void *opaque)
{
    Fixture *f = opaque;

    blk_co_unref(f->drive);
}

static void assert_drive_perm(Fixture *f, uint64_t perm, uint64_t shared)
{
    uint64_t have, have_shared;

    blk_get_perm(f->drive, &have, &have_shared);
    g_assert_cmphex(have, ==, perm);
    g_assert_cmphex(have_shared, ==, shared);
}

static void delete_export(Fixture *f, const char *id)
{
    g_assert_true(block_export_del(id, BLOCK_EXPORT_REMOVE_MODE_SAFE, NULL));
    test_settle(f->ctx);
    g_assert_null(block_export_find(id));
}

/* Whoever comes and goes first: the drive has what its exports need. */
static void test_drive_is_left_as_it_was(Fixture *f, gconstpointer d)
{
    const uint64_t reads = BLK_PERM_CONSISTENT_READ;
    const uint64_t writes = BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE;
    const uint64_t unshared = BLK_PERM_ALL & ~(uint64_t)BLK_PERM_WRITE;

    start_server(f, "guest");
    test_run(f->ctx, make_drive_entry, f);
    g_assert_true(add_export(f, "a", false, true));
    g_assert_true(add_export(f, "b", true, true));
    assert_drive_perm(f, writes, unshared);
    delete_export(f, "b");
    assert_drive_perm(f, reads, unshared);
    delete_export(f, "a");
    assert_drive_perm(f, reads, BLK_PERM_ALL);

    g_assert_true(add_export(f, "a", false, true));
    g_assert_true(add_export(f, "b", true, true));
    delete_export(f, "a");
    assert_drive_perm(f, writes, unshared);
    delete_export(f, "b");
    assert_drive_perm(f, reads, BLK_PERM_ALL);
    test_run(f->ctx, drop_drive_entry, f);
}

typedef struct DriveRead {
    BlockBackend *drive;
    bool done;
} DriveRead;

static void coroutine_fn drive_read_entry(void *opaque)
{
    DriveRead *r = opaque;
    uint8_t buf[512];

    g_assert_cmpint(blk_co_pread(r->drive, 0, sizeof(buf), buf, 0), ==, 0);
    r->done = true;
}

static void coroutine_fn hold_graph_entry(void *opaque)
{
    const bool *release = opaque;
    GRAPH_COMMAND_GUARD();

    while (!*release) {
        co_reschedule_self();
    }
}

static void coroutine_fn wait_idle_entry(void *opaque)
{
    bool *idle = opaque;

    block_export_co_wait_guests_idle();
    *idle = true;
}

/* Its deletion waits for another command, and the drive is in use. */
static void test_export_that_is_going_is_no_guest(Fixture *f,
                                                  gconstpointer d)
{
    DriveRead r = { 0 };
    bool release = false, idle = false;

    start_server(f, "guest");
    test_run(f->ctx, make_drive_entry, f);
    r.drive = f->drive;
    g_assert_true(add_export(f, "a", false, true));
    test_disk(f->bs)->hold = true;
    coroutine_start(drive_read_entry, &r);
    coroutine_start(hold_graph_entry, &release);
    g_assert_true(block_export_del("a", BLOCK_EXPORT_REMOVE_MODE_SAFE, NULL));

    coroutine_start(wait_idle_entry, &idle);
    g_assert_true(idle);

    test_disk_release(f->bs);
    release = true;
    test_settle(f->ctx);
    g_assert_true(r.done);
    g_assert_null(block_export_find("a"));
    test_run(f->ctx, drop_drive_entry, f);
}

static void test_query_tells_what_there_is(Fixture *f, gconstpointer d)
{
    g_autoptr(BlockExportInfoList) list = NULL;

    start_server(f, "nbd");
    g_assert_true(add_export(f, "x", true, false));
    list = block_export_query();
    g_assert_null(list->next);
    g_assert_cmpstr(list->value->id, ==, "x");
    g_assert_cmpstr(list->value->node_name, ==, "disk");
    g_assert_cmpint(list->value->type, ==, BLOCK_EXPORT_TYPE_NBD);
    g_assert_false(list->value->shutting_down);
}

#define ADD(name, func) \
    g_test_add("/block-export/" name, Fixture, NULL, setup, func, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("no-server", test_no_export_without_a_server);
    ADD("ids", test_ids_are_checked);
    ADD("names", test_names_are_checked);
    ADD("unknown-node", test_unknown_nodes_are_named);
    ADD("server-add", test_server_add_names_the_export);
    ADD("second-start", test_second_start_is_refused);
    ADD("second-start/guest", test_second_server_for_guests_is_refused);
    ADD("write", test_client_writes_reach_the_disk);
    ADD("read-only", test_export_is_read_only_by_default);
    ADD("safe", test_safe_removal_spares_clients);
    ADD("hard", test_hard_removal_disconnects);
    ADD("in-flight", test_removal_waits_for_requests);
    ADD("not-found", test_unknown_export_is_not_found);
    ADD("kind/unknown", test_unknown_kind);
    ADD("kind/other", test_export_of_another_kind);
    ADD("stop", test_stop_takes_its_exports_along);
    ADD("stop-guests", test_stop_leaves_guests_alone);
    ADD("stopped-guest", test_stopped_guest_waits);
    ADD("guest-leaves", test_guest_that_leaves_while_stopped);
    ADD("drive/left-as-it-was", test_drive_is_left_as_it_was);
    ADD("drive/export-going", test_export_that_is_going_is_no_guest);
    ADD("query", test_query_tells_what_there_is);
    return g_test_run();
}
