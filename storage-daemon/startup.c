/*
 * Start and end: everything that needs the loop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/export.h"
#include "block/graph.h"
#include "block/keyval.h"
#include "block/nbd-server.h"
#include "block/options.h"
#include "block/run-state.h"
#include "io/socket.h"
#include "io/yank.h"
#include "monitor/monitor.h"
#include "qapi/qapi-events-run-state.h"
#include "qapi/qapi-visit-block-export.h"
#include "qom/object.h"
#include "replication/group.h"

/* How long the last answers of monitors may take to be read. */
#define MONITOR_LINGER_NS (1 * NANOSECONDS_PER_SECOND)

/* How long peers may hold up the end before they are given up. */
#define SHUTDOWN_PATIENCE_NS (10 * NANOSECONDS_PER_SECOND)

/* One value of a type in JSON or keys. */
#define PARSE_ARG(Type, arg, implied, errp) ({                          \
    bool json_;                                                         \
    json_t *tree_ = keyval_or_json_parse(arg, implied, &json_, NULL,    \
                                         errp);                         \
    Type *value_ = !tree_ ? NULL                                        \
        : json_ ? qapi_##Type##_from_json(tree_, errp)                  \
        : qapi_##Type##_from_keyval(tree_, errp);                       \
    json_decref(tree_);                                                 \
    value_;                                                             \
})

static bool coroutine_fn add_blockdev(const char *arg, GError **errp)
{
    g_autoptr(BlockdevOptions) options = blockdev_options_parse(arg, errp);

    return options && bdrv_co_monitor_add(options, errp);
}

static bool coroutine_fn add_drive(const char *arg, GError **errp)
{
    return drive_co_add(arg, false, errp) != NULL;
}

static bool coroutine_fn start_nbd_server(const char *arg, GError **errp)
{
    g_autoptr(NbdServerOptions) options =
        PARSE_ARG(NbdServerOptions, arg, NULL, errp);

    return options && nbd_server_co_start(options, errp);
}

static bool coroutine_fn start_guest_server(const char *arg, GError **errp)
{
    g_autoptr(SocketAddress) addr = socket_parse(arg, errp);

    return addr && nbd_guest_server_co_start(addr, errp);
}

static bool coroutine_fn add_export(const char *arg, GError **errp)
{
    g_autoptr(BlockExportOptions) options =
        PARSE_ARG(BlockExportOptions, arg, "type", errp);

    GRAPH_COMMAND_GUARD();
    return options && block_export_co_add(options, errp);
}

/* The guest's view of a drive: what a machine would have as a disk. */
static bool coroutine_fn add_guest_export(const DriveInfo *drive,
                                          GError **errp)
{
    BlockBackend *blk = blk_by_name(drive->id);
    g_autofree char *id = block_export_guest_id(drive->id);
    g_autoptr(GError) refused = NULL;
    BlockExportOptions options = {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .id = id,
        .node_name = drive->id,
        .has_writable = true,
        .writable = !blk_is_read_only(blk),
        .has_guest = true,
        .guest = true,
    };

    if (!blk_bs(blk)) {
        return true;
    }
    GRAPH_COMMAND_GUARD();
    if (!replication_co_check_guest(blk_bs(blk), &refused)) {
        /* It must be possible to open the disk, to write it anew. */
        warn_report("drive '%s' has no guest: %s", drive->id,
                    refused->message);
        return true;
    }
    return block_export_co_add(&options, errp);
}

static bool coroutine_fn add_guest_exports(GError **errp)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_next(blk))) {
        const DriveInfo *drive = drive_info_find(blk_name(blk));

        if (drive && !g_str_equal(drive->interface, "none") &&
            !add_guest_export(drive, errp)) {
            error_prepend(errp, "drive '%s': ", drive->id);
            return false;
        }
    }
    return true;
}

static bool coroutine_fn add_monitor(const GivenOption *given, GError **errp)
{
    return daemon_add_monitor(given->option, given->arg, errp);
}

/* What is done with each option of a kind, in this order of kinds. */
static const struct {
    DaemonOption option;
    bool coroutine_fn (*apply)(const char *arg, GError **errp);
} steps[] = {
    { OPT_NAME, name_option_apply },
    { OPT_OBJECT, object_option_apply },
    { OPT_CHARDEV, daemon_add_chardev },
    { OPT_BLOCKDEV, add_blockdev },
    { OPT_DRIVE, add_drive },
    { OPT_NBD_SERVER, start_nbd_server },
    { OPT_GUEST_SOCKET, start_guest_server },
    { OPT_EXPORT, add_export },
};

static bool is_monitor(DaemonOption option)
{
    return option == OPT_QMP || option == OPT_QMP_PRETTY ||
           option == OPT_MONITOR || option == OPT_MON;
}

/* A signal may come while a step waits for a peer. */
static bool check_not_ended(GError **errp)
{
    if (run_state_shutdown_cause() != SHUTDOWN_CAUSE_NONE) {
        error_setg(errp, "told to end before everything was started");
        return false;
    }
    return true;
}

static bool coroutine_fn apply_step(const CommandLine *cl, size_t step,
                                    GError **errp)
{
    guint i;

    for (i = 0; i < cl->given->len; i++) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i);

        if (given->option == steps[step].option &&
            !steps[step].apply(given->arg, errp)) {
            g_autofree char *shown = given->option == OPT_OBJECT
                ? object_option_echo(given->arg) : g_strdup(given->arg);

            error_prepend(errp, "%s %s: ", given->name, shown);
            return false;
        }
        if (!check_not_ended(errp)) {
            return false;
        }
    }
    return true;
}

static bool coroutine_fn add_monitors(const CommandLine *cl, GError **errp)
{
    guint i;

    for (i = 0; i < cl->given->len; i++) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i);

        if (is_monitor(given->option) && !add_monitor(given, errp)) {
            error_prepend(errp, "%s %s: ", given->name, given->arg);
            return false;
        }
    }
    return true;
}

bool coroutine_fn daemon_start(const CommandLine *cl, GError **errp)
{
    size_t i;

    replication_group_init();
    /* Nothing serves a guest before everything is there. */
    run_state_set(RUN_STATE_PRELAUNCH);
    for (i = 0; i < ARRAY_SIZE(steps); i++) {
        if (!apply_step(cl, i, errp)) {
            return false;
        }
    }
    if (command_line_has(cl, OPT_GUEST_SOCKET) && !add_guest_exports(errp)) {
        return false;
    }
    if (!command_line_has(cl, OPT_STOPPED)) {
        run_state_set(RUN_STATE_RUNNING);
    }
    return add_monitors(cl, errp);
}

/* The end */

void daemon_cut_connections(void)
{
    g_autoptr(YankInstanceList) instances = yank_query();

    if (instances) {
        yank_instances(instances, NULL);
    }
}

static void patience_is_over(void *opaque)
{
    warn_report("the end takes long, connections to peers are cut");
    daemon_cut_connections();
}

static void add_object_id(Object *obj, void *opaque)
{
    GPtrArray *ids = opaque;

    g_ptr_array_add(ids, g_strdup(obj->id));
}

/* One may hold another: go on while any can be removed. */
static void remove_objects(void)
{
    bool progress = true;

    while (progress) {
        g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
        guint i;

        progress = false;
        object_foreach(add_object_id, ids);
        for (i = 0; i < ids->len; i++) {
            progress |= object_del(g_ptr_array_index(ids, i), NULL);
        }
    }
}

void coroutine_fn daemon_shutdown(void)
{
    AioContext *ctx = aio_get_current();
    ShutdownCause cause = run_state_shutdown_cause();
    AioTimer patience;

    if (cause != SHUTDOWN_CAUSE_NONE) {
        qapi_event_send_shutdown(false, cause);
    }
    aio_timer_init(&patience, ctx, patience_is_over, NULL);
    aio_timer_mod(&patience, aio_clock_get_ns(ctx) + SHUTDOWN_PATIENCE_NS);

    monitor_stop_commands();
    nbd_servers_co_shutdown();
    block_export_co_close_all(BLOCK_EXPORT_TYPE__MAX);
    replication_group_co_shutdown();
    drive_co_close_all();
    bdrv_co_close_all();
    monitor_co_close_all(MONITOR_LINGER_NS);
    daemon_remove_monitors();
    remove_objects();

    aio_timer_del(&patience);
}
