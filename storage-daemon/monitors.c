/*
 * Monitors on character devices: -chardev, -mon, -qmp, -monitor
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/keyval.h"
#include "chardev-option.h"
#include "io/chardev.h"
#include "monitor/monitor.h"
#include "qapi/qapi-visit-control.h"

/* A monitor's place: each client of the device gets a session. */
typedef struct DaemonMonitor {
    Chardev *chr;
    char *chardev_id;
    bool own_chardev;           /* made for it, goes with it */
    bool hmp;
    bool pretty;
    bool closing;
} DaemonMonitor;

typedef struct DaemonMonitors {
    GPtrArray *list;
    unsigned made_up_ids;
} DaemonMonitors;

static void daemon_monitor_free(gpointer data)
{
    DaemonMonitor *dm = data;

    g_free(dm->chardev_id);
    g_free(dm);
}

static void daemon_monitors_init(AioContext *ctx, void *data)
{
    DaemonMonitors *dms = data;

    dms->list = g_ptr_array_new_with_free_func(daemon_monitor_free);
}

static void daemon_monitors_fini(AioContext *ctx, void *data)
{
    DaemonMonitors *dms = data;

    g_ptr_array_unref(dms->list);
}

static const AioLocal daemon_monitors_key = {
    .size = sizeof(DaemonMonitors),
    .init = daemon_monitors_init,
    .fini = daemon_monitors_fini,
};

static DaemonMonitors *daemon_monitors(void)
{
    return aio_local_get(aio_get_current(), &daemon_monitors_key);
}

static void session_closed(void *opaque)
{
    DaemonMonitor *dm = opaque;

    if (!dm->closing) {
        chardev_disconnect(dm->chr);
    }
}

static void stream_opened(IOChannel *ioc, void *opaque)
{
    DaemonMonitor *dm = opaque;

    monitor_start(ioc, dm->hmp, dm->pretty, session_closed, dm);
}

static bool coroutine_fn add_chardev(const char *id,
                                     const ChardevBackend *backend,
                                     GError **errp)
{
    if (backend->type == CHARDEV_BACKEND_KIND_STDIO && daemonize_pending()) {
        error_setg(errp, "cannot use stdio with -daemonize");
        return false;
    }
    return chardev_co_add(id, backend, errp);
}

bool coroutine_fn daemon_add_chardev(const char *arg, GError **errp)
{
    g_autofree char *id = NULL;
    g_autoptr(ChardevBackend) backend = chardev_option_parse(arg, &id, errp);

    return backend && add_chardev(id, backend, errp);
}

static bool attach(const char *id, bool own_chardev, bool hmp, bool pretty,
                   GError **errp)
{
    DaemonMonitor *dm = g_new0(DaemonMonitor, 1);

    dm->chr = chardev_lookup(id);
    dm->chardev_id = g_strdup(id);
    dm->own_chardev = own_chardev;
    dm->hmp = hmp;
    dm->pretty = pretty;
    if (!dm->chr) {
        error_setg(errp, "chardev \"%s\" not found", id);
        daemon_monitor_free(dm);
        return false;
    }
    if (!chardev_attach(dm->chr, stream_opened, dm, errp)) {
        daemon_monitor_free(dm);
        return false;
    }
    g_ptr_array_add(daemon_monitors()->list, dm);
    return true;
}

/* [chardev=]ID[,mode=...][,pretty=on]: of -mon and of --monitor */
static bool add_mon(const char *arg, MonitorMode default_mode, GError **errp)
{
    json_t *tree = keyval_parse(arg, "chardev", NULL, errp);
    g_autoptr(MonitorOptions) options = NULL;
    bool hmp;

    if (!tree) {
        return false;
    }
    options = qapi_MonitorOptions_from_keyval(tree, errp);
    json_decref(tree);
    if (!options) {
        return false;
    }
    hmp = (options->has_mode ? options->mode : default_mode) ==
          MONITOR_MODE_READLINE;
    if (hmp && options->has_pretty && options->pretty) {
        error_setg(errp, "'pretty' is not compatible with HMP monitors");
        return false;
    }
    return attach(options->chardev, false, hmp,
                  options->has_pretty && options->pretty, errp);
}

/*
 * Two programs have an option of this name.  QEMU's takes a device; that of
 * its storage daemon the options of -mon, for QMP.
 */
static bool is_storage_daemons(const char *arg)
{
    json_t *tree = keyval_parse(arg, "chardev", NULL, NULL);
    const char *id = json_string_value(json_object_get(tree, "chardev"));
    bool is = g_str_has_prefix(arg, "chardev=") ||
              json_object_get(tree, "mode") || (id && chardev_lookup(id));

    json_decref(tree);
    return is;
}

bool coroutine_fn daemon_add_monitor(DaemonOption option, const char *arg,
                                     GError **errp)
{
    g_autoptr(ChardevBackend) backend = NULL;
    g_autofree char *id = NULL;

    if (option == OPT_MON) {
        return add_mon(arg, MONITOR_MODE_READLINE, errp);
    }
    if (option == OPT_MONITOR && is_storage_daemons(arg)) {
        return add_mon(arg, MONITOR_MODE_CONTROL, errp);
    }
    if (option == OPT_MONITOR && g_str_equal(arg, "none")) {
        return true;
    }
    backend = chardev_compat_parse(arg, errp);
    if (!backend) {
        return false;
    }
    id = g_strdup_printf("compat_monitor%u", daemon_monitors()->made_up_ids++);
    if (!add_chardev(id, backend, errp)) {
        return false;
    }
    if (!attach(id, true, option == OPT_MONITOR, option == OPT_QMP_PRETTY,
                errp)) {
        chardev_remove(id, NULL);
        return false;
    }
    return true;
}

/* Their sessions have ended. */
void coroutine_fn daemon_remove_monitors(void)
{
    GPtrArray *list = daemon_monitors()->list;
    guint i;

    for (i = 0; i < list->len; i++) {
        DaemonMonitor *dm = g_ptr_array_index(list, i);

        dm->closing = true;
        chardev_detach(dm->chr);
        if (dm->own_chardev) {
            chardev_remove(dm->chardev_id, NULL);
        }
    }
}
