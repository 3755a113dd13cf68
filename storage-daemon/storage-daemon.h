/*
 * Private to storage-daemon/: the command line and what becomes of it
 *
 * The whole command line is read before anything is done; then everything
 * happens in a fixed order in one coroutine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef STORAGE_DAEMON_H
#define STORAGE_DAEMON_H

#include "util/aio.h"

typedef enum DaemonOption {
    OPT_OBJECT,
    OPT_CHARDEV,
    OPT_BLOCKDEV,
    OPT_DRIVE,
    OPT_NBD_SERVER,
    OPT_GUEST_SOCKET,
    OPT_EXPORT,
    OPT_MON,
    OPT_QMP,
    OPT_QMP_PRETTY,
    OPT_MONITOR,
    OPT_STOPPED,
    OPT_NAME,
    OPT_PIDFILE,
    OPT_DAEMONIZE,
    OPT_LOG,
    OPT_TRACE,
    OPT_SANDBOX,
    OPT_HELP,
    OPT_VERSION,
    OPT_IGNORED,                /* about a machine */
    OPT__MAX,
} DaemonOption;

/* One option as it was given. */
typedef struct GivenOption {
    DaemonOption option;
    char *name;                 /* with its dashes */
    const char *arg;            /* NULL if it takes none */
} GivenOption;

typedef struct CommandLine {
    GArray *given;              /* of GivenOption, in order */
} CommandLine;

/* Read the command line, up to a NULL.  The arguments stay argv's. */
bool command_line_parse(char **argv, CommandLine *cl, GError **errp);
void command_line_clear(CommandLine *cl);

/* The last argument of @option, NULL if it was not given. */
const char *command_line_last(const CommandLine *cl, DaemonOption option);
bool command_line_has(const CommandLine *cl, DaemonOption option);

/* --help: a text made from the table of options.  g_free. */
char *command_line_help(const char *program);

/* What an option asks to be listed ("help"); NULL if none does.  g_free. */
char *option_help(const CommandLine *cl);

/* Options about a machine that were given: "-M, -m"; NULL if none. */
char *command_line_ignored(const CommandLine *cl);

/* Steps of start-up; the argument is that of the option. */

/* -sandbox: give up system calls for good. */
bool sandbox_apply(const char *arg, GError **errp);

/* -object; and its argument as it may be shown, without secrets.  g_free. */
bool coroutine_fn object_option_apply(const char *arg, GError **errp);
char *object_option_echo(const char *arg);

/* -name */
bool coroutine_fn name_option_apply(const char *arg, GError **errp);

/* -trace */
bool trace_option_apply(const char *arg, GError **errp);

/*
 * -daemonize: go on as a child without a terminal.  The parent waits for
 * daemonize_done() and ends with the same success.
 */
bool daemonize_begin(GError **errp);
bool daemonize_pending(void);   /* begun and not done */
bool daemonize_done(GError **errp);

/* -pidfile: write it, lock it for as long as we run. */
bool pidfile_create(const char *path, GError **errp);
void pidfile_remove(void);

/* SIGINT, SIGTERM and SIGHUP ask the loop of @ctx to end. */
bool signals_init(AioContext *ctx, GError **errp);
void signals_fini(AioContext *ctx);

/* -qmp, -monitor and -mon */
bool coroutine_fn daemon_add_monitor(DaemonOption option, const char *arg,
                                     GError **errp);
bool coroutine_fn daemon_add_chardev(const char *arg, GError **errp);
void coroutine_fn daemon_remove_monitors(void);

/* Everything that needs the loop: objects, nodes, servers, monitors. */
bool coroutine_fn daemon_start(const CommandLine *cl, GError **errp);
void coroutine_fn daemon_shutdown(void);

/* Let nothing wait for peers any more: yank them all. */
void daemon_cut_connections(void);

#endif
