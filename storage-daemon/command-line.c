/*
 * The command line: a table of options
 *
 * An option begins with one or two dashes; after two, "=" may stand before
 * its argument.  What concerns a machine is accepted and ignored, so that
 * command lines made for QEMU work.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

typedef struct OptionRow {
    const char *name;
    DaemonOption option;
    const char *arg;            /* for help; NULL: takes no argument */
    const char *help;           /* NULL: another spelling, not shown */
} OptionRow;

static const OptionRow rows[] = {
    { "help", OPT_HELP, NULL, "print this text and exit" },
    { "h", OPT_HELP, NULL, NULL },
    { "version", OPT_VERSION, NULL, "print the version and exit" },
    { "V", OPT_VERSION, NULL, NULL },

    { "object", OPT_OBJECT, "TYPE,id=ID[,PROPERTY=VALUE...]",
      "create an object: secret, tls-creds-x509, tls-creds-psk, authz-simple, "
      "authz-list, authz-list-file, throttle-group, iothread" },
    { "chardev", OPT_CHARDEV, "BACKEND,id=ID[,OPTION=VALUE...]",
      "create a character device" },
    { "blockdev", OPT_BLOCKDEV, "[driver=]DRIVER,node-name=NAME[,...]",
      "add a node to the block graph; JSON is accepted too" },
    { "drive", OPT_DRIVE, "file=FILE[,if=TYPE][,id=ID][,format=FORMAT]"
      "[,readonly=on][,cache=MODE][,aio=ENGINE][,...]",
      "add a drive" },
    { "nbd-server", OPT_NBD_SERVER, "addr.type=inet,addr.host=HOST,"
      "addr.port=PORT | addr.type=unix,addr.path=PATH[,tls-creds=ID]"
      "[,tls-authz=ID][,max-connections=N][,handshake-max-seconds=N]",
      "start an NBD server" },
    { "guest-socket", OPT_GUEST_SOCKET, "unix:PATH",
      "serve drives other than if=none to a guest" },
    { "export", OPT_EXPORT, "[type=]nbd,id=ID,node-name=NAME[,name=NAME]"
      "[,writable=on][,...]",
      "export a node; JSON is accepted too" },
    { "qmp", OPT_QMP, "unix:PATH[,server=on][,wait=off] | tcp:HOST:PORT[,...]"
      " | stdio", "open a QMP monitor" },
    { "qmp-pretty", OPT_QMP_PRETTY, "DEVICE",
      "the same with indented answers" },
    { "monitor", OPT_MONITOR, "[chardev=]ID[,mode=control|readline]"
      "[,pretty=on] | DEVICE",
      "open a QMP monitor on a character device, or one for people on DEVICE" },
    { "mon", OPT_MON, "[chardev=]ID[,mode=control|readline][,pretty=on]",
      "open a monitor on a character device" },
    { "S", OPT_STOPPED, NULL,
      "do not let the guest run before the command 'cont'" },

    { "name", OPT_NAME, "[guest=]NAME[,process=NAME]",
      "a name, for query-name; the name of the process" },
    { "pidfile", OPT_PIDFILE, "PATH", "write the process id there, lock it" },
    { "daemonize", OPT_DAEMONIZE, NULL,
      "go to the background when everything is started" },
    { "D", OPT_LOG, "FILE", "append messages to a file" },
    { "trace", OPT_TRACE, "[[enable=]PATTERN][,events=FILE][,file=FILE]",
      "turn trace events on; 'help' lists them" },
    { "T", OPT_TRACE, "PATTERN", NULL },
    { "sandbox", OPT_SANDBOX, "on[,obsolete=deny|allow]"
      "[,elevateprivileges=deny|allow|children][,spawn=deny|allow]"
      "[,resourcecontrol=deny|allow]",
      "give up system calls that are not needed" },

    { "M", OPT_IGNORED, "MACHINE", NULL },
    { "machine", OPT_IGNORED, "MACHINE", NULL },
    { "accel", OPT_IGNORED, "ACCEL", NULL },
    { "enable-kvm", OPT_IGNORED, NULL, NULL },
    { "cpu", OPT_IGNORED, "MODEL", NULL },
    { "m", OPT_IGNORED, "SIZE", NULL },
    { "smp", OPT_IGNORED, "N", NULL },
    { "nodefaults", OPT_IGNORED, NULL, NULL },
    { "no-user-config", OPT_IGNORED, NULL, NULL },
    { "nographic", OPT_IGNORED, NULL, NULL },
    { "display", OPT_IGNORED, "TYPE", NULL },
    { "vga", OPT_IGNORED, "TYPE", NULL },
    { "vnc", OPT_IGNORED, "DISPLAY", NULL },
    { "no-shutdown", OPT_IGNORED, NULL, NULL },
    { "no-reboot", OPT_IGNORED, NULL, NULL },
    { "device", OPT_IGNORED, "DEVICE", NULL },
    { "netdev", OPT_IGNORED, "NETDEV", NULL },
    { "net", OPT_IGNORED, "NET", NULL },
    { "nic", OPT_IGNORED, "NIC", NULL },
    { "usb", OPT_IGNORED, NULL, NULL },
    { "rtc", OPT_IGNORED, "RTC", NULL },
    { "boot", OPT_IGNORED, "ORDER", NULL },
    { "serial", OPT_IGNORED, "DEVICE", NULL },
    { "uuid", OPT_IGNORED, "UUID", NULL },
};

static const OptionRow *find_row(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        if (g_str_equal(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Options that may be given once only; a second one is a mistake. */
static bool is_single(DaemonOption option)
{
    return option == OPT_NBD_SERVER || option == OPT_GUEST_SOCKET;
}

/* Take @given->name's argument, here or as the next word. */
static bool take_argument(GivenOption *given, const OptionRow *row,
                          char ***words, GError **errp)
{
    if (!row->arg) {
        if (given->arg) {
            error_setg(errp, "%s: takes no argument", given->name);
        }
        return !given->arg;
    }
    if (!given->arg) {
        given->arg = *++*words;
    }
    if (!given->arg) {
        error_setg(errp, "%s: requires an argument: %s", given->name,
                   row->arg);
    }
    return given->arg != NULL;
}

/* One option of those at *@words; leaves its last word there. */
static bool take_option(CommandLine *cl, GivenOption *given, char ***words,
                        GError **errp)
{
    const char *word = **words;
    size_t dashes = g_str_has_prefix(word, "--") ? 2 : 1;
    size_t len = dashes == 2 ? strcspn(word, "=") : strlen(word);
    const OptionRow *row;

    if (word[0] != '-') {
        error_setg(errp, "'%s' is not an option: an image is given by "
                   "-drive or --blockdev", word);
        return false;
    }
    given->name = g_strndup(word, len);
    given->arg = word[len] ? word + len + 1 : NULL;
    row = find_row(given->name + dashes);
    if (!row) {
        error_setg(errp, "%s: invalid option, see --help", given->name);
        return false;
    }
    if (is_single(row->option) && command_line_has(cl, row->option)) {
        error_setg(errp, "%s: may be given only once", given->name);
        return false;
    }
    given->option = row->option;
    return take_argument(given, row, words, errp);
}

static void given_clear(gpointer data)
{
    GivenOption *given = data;

    g_free(given->name);
}

bool command_line_parse(char **argv, CommandLine *cl, GError **errp)
{
    char **word;

    cl->given = g_array_new(FALSE, TRUE, sizeof(GivenOption));
    g_array_set_clear_func(cl->given, given_clear);
    for (word = argv + 1; *word; word++) {
        GivenOption given = { 0 };

        if (!take_option(cl, &given, &word, errp)) {
            given_clear(&given);
            return false;
        }
        g_array_append_val(cl->given, given);
    }
    return true;
}

void command_line_clear(CommandLine *cl)
{
    if (cl->given) {
        g_array_unref(cl->given);
        cl->given = NULL;
    }
}

const char *command_line_last(const CommandLine *cl, DaemonOption option)
{
    guint i;

    for (i = cl->given->len; i > 0; i--) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i - 1);

        if (given->option == option) {
            return given->arg ?: "";
        }
    }
    return NULL;
}

bool command_line_has(const CommandLine *cl, DaemonOption option)
{
    return command_line_last(cl, option) != NULL;
}

char *command_line_help(const char *program)
{
    GString *text = g_string_new(NULL);
    size_t i;

    g_string_printf(text, "Usage: %s [OPTION]...\n"
                    "Serve disk images over NBD, driven by QMP.\n\n"
                    "Options begin with one or two dashes; after two, \"=\" may "
                    "stand before the\nargument.\n\n", program);
    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].help) {
            g_string_append_printf(text, "  %s%s%s%s\n        %s\n",
                                   strlen(rows[i].name) > 1 ? "--" : "-",
                                   rows[i].name, rows[i].arg ? " " : "",
                                   rows[i].arg ?: "", rows[i].help);
        }
    }
    g_string_append(text, "\nAccepted and ignored, being about a machine:\n ");
    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].option == OPT_IGNORED) {
            g_string_append_printf(text, " -%s", rows[i].name);
        }
    }
    g_string_append(text, "\n");
    return g_string_free(text, FALSE);
}

char *command_line_ignored(const CommandLine *cl)
{
    GString *names = g_string_new(NULL);
    guint i;

    for (i = 0; i < cl->given->len; i++) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i);

        if (given->option == OPT_IGNORED) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                                   given->name);
        }
    }
    return g_string_free(names, names->len == 0);
}
