/*
 * colo-storage-daemon: disk images over NBD, driven by QMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/drivers.h"
#include "block/export.h"
#include "block/run-state.h"
#include "block/throttle-group.h"
#include "io/socket.h"
#include "monitor/monitor.h"
#include "qapi/event.h"
#include "qom/object.h"
#include "util/log.h"

/* Types of the block layer join those that qom itself has. */
#define OBJECT_TYPES_MAX 32

/* Tables that are the same for every daemon in the process. */
static void register_all(void)
{
    static const ObjectTypeInfo *types[OBJECT_TYPES_MAX];
    size_t n;

    for (n = 0; qom_types[n]; n++) {
        g_assert(n + 2 < ARRAY_SIZE(types));
        types[n] = qom_types[n];
    }
    types[n] = &throttle_group_type;
    bdrv_register_drivers(bdrv_drivers);
    block_export_register(block_export_drivers);
    object_register_types(types);
    qapi_event_set_sink(monitor_event_sink);
    socket_set_fd_lookup(monitor_get_fd);
}

/* What is to be printed instead of doing anything; NULL: nothing. */
static char *text_only(const CommandLine *cl)
{
    if (command_line_has(cl, OPT_HELP)) {
        return command_line_help(g_get_prgname());
    }
    if (command_line_has(cl, OPT_VERSION)) {
        return g_strdup("colo-storage-daemon (colo-block) " COLO_VERSION
                        "\n");
    }
    return option_help(cl);
}

/* What comes before threads and the loop: the process itself. */
static bool prepare_process(const CommandLine *cl, GError **errp)
{
    const char *pidfile = command_line_last(cl, OPT_PIDFILE);
    const char *sandbox = command_line_last(cl, OPT_SANDBOX);
    const char *log = command_line_last(cl, OPT_LOG);
    guint i;

    if (log && !log_set_file(log, errp)) {
        return false;
    }
    for (i = 0; i < cl->given->len; i++) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i);

        if (given->option == OPT_TRACE &&
            !trace_option_apply(given->arg, errp)) {
            error_prepend(errp, "%s %s: ", given->name, given->arg);
            return false;
        }
    }
    if (command_line_has(cl, OPT_DAEMONIZE) && !daemonize_begin(errp)) {
        return false;
    }
    if (pidfile && !pidfile_create(pidfile, errp)) {
        return false;
    }
    if (sandbox && !sandbox_apply(sandbox, errp)) {
        error_prepend(errp, "-sandbox %s: ", sandbox);
        return false;
    }
    return true;
}

static void tell_ignored(const CommandLine *cl)
{
    g_autofree char *ignored = command_line_ignored(cl);

    if (ignored) {
        info_report("there is no machine here, ignored: %s", ignored);
    }
}

typedef struct Main {
    const CommandLine *cl;
    GError *err;
    bool done;
} Main;

static void coroutine_fn start_entry(void *opaque)
{
    Main *m = opaque;

    daemon_start(m->cl, &m->err);
    m->done = true;
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    Main *m = opaque;

    daemon_shutdown();
    m->done = true;
}

/* A signal ends the start at once, whichever peer it waits for. */
static void run_start(AioContext *ctx, Main *m)
{
    bool cut = false;

    coroutine_start(start_entry, m);
    while (!m->done) {
        aio_poll(ctx, true);
        if (!cut && run_state_shutdown_cause() != SHUTDOWN_CAUSE_NONE) {
            cut = true;
            daemon_cut_connections();
        }
    }
}

static void run_shutdown(AioContext *ctx, Main *m)
{
    m->done = false;
    coroutine_start(shutdown_entry, m);
    while (!m->done) {
        aio_poll(ctx, true);
    }
}

/* Start, serve, end; false if it could not be started. */
static bool run(AioContext *ctx, const CommandLine *cl)
{
    Main m = { .cl = cl };
    bool started;

    run_start(ctx, &m);
    if (!m.err) {
        daemonize_done(&m.err);
    }
    started = !m.err;
    if (m.err) {
        error_report("%s", m.err->message);
        g_clear_error(&m.err);
    }
    while (started && run_state_shutdown_cause() == SHUTDOWN_CAUSE_NONE) {
        aio_poll(ctx, true);
    }
    run_shutdown(ctx, &m);
    return started;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *text = NULL;
    AioContext *ctx = NULL;
    CommandLine cl = { NULL };
    bool ok;

    g_set_prgname("colo-storage-daemon");
    if (!command_line_parse(argv, &cl, &err)) {
        error_report("%s", err->message);
        command_line_clear(&cl);
        return 1;
    }
    register_all();
    text = text_only(&cl);
    if (text) {
        fputs(text, stdout);
        command_line_clear(&cl);
        return 0;
    }

    ok = prepare_process(&cl, &err);
    ctx = ok ? aio_context_new(NULL, &err) : NULL;
    ok = ctx && signals_init(ctx, &err);
    if (ok) {
        tell_ignored(&cl);
        ok = run(ctx, &cl);
    } else {
        error_report("%s", err->message);
    }

    if (ctx) {
        signals_fini(ctx);
        aio_context_free(ctx);
    }
    pidfile_remove();
    command_line_clear(&cl);
    return ok ? 0 : 1;
}
