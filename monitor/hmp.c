/*
 * Lines of the human monitor: the table and the parser
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "monitor/monitor.h"
#include "qapi/qapi-commands-misc.h"

static void coroutine_fn hmp_info(const char *args, GString *out);

static const HmpCommand commands[] = {
    { "block_resize", "device size", "resize a block image",
      hmp_block_resize },
    { "cont", "", "resume emulation", hmp_cont },
    { "c", NULL, NULL, hmp_cont },
    { "drive_add", "[-n] [[<domain>:]<bus>:]<slot> [file=file][,if=none]...",
      "add drive, or with -n a node", hmp_drive_add },
    { "drive_del", "device", "remove host block device", hmp_drive_del },
    { "help", "[cmd]", "show the help", hmp_help },
    { "?", NULL, NULL, hmp_help },
    { "info", "block|blockstats|jobs|replication|status|version",
      "show information", hmp_info },
    { "nbd_server_add", "[-w] device [name]",
      "export a block device via NBD", hmp_nbd_server_add },
    { "nbd_server_remove", "[-f] name",
      "remove an export previously exposed via NBD", hmp_nbd_server_remove },
    { "nbd_server_start", "[-a] [-w] host:port",
      "serve block devices on the given host and port",
      hmp_nbd_server_start },
    { "nbd_server_stop", "", "stop serving block devices using the NBD "
      "protocol", hmp_nbd_server_stop },
    { "object_add", "qom-type,id=str,...", "create an object",
      hmp_object_add },
    { "object_del", "id", "destroy an object", hmp_object_del },
    { "qemu-io", "device \"command\"",
      "run a qemu-io command on a block device", hmp_qemu_io },
    { "quit", "", "quit the program", hmp_quit },
    { "q", NULL, NULL, hmp_quit },
    { "stop", "", "stop emulation", hmp_stop },
    { "s", NULL, NULL, hmp_stop },
};

static const HmpCommand info_commands[] = {
    { "block", "[-n] [-v] [device]", "show info of one block device or all "
      "block devices", hmp_info_block },
    { "blockstats", "", "show block device statistics",
      hmp_info_blockstats },
    { "block-jobs", NULL, NULL, hmp_info_jobs },
    { "jobs", "", "show the background jobs", hmp_info_jobs },
    { "replication", "", "show the replicated disks", hmp_info_replication },
    { "status", "", "show the current VM status", hmp_info_status },
    { "version", "", "show the version", hmp_info_version },
};

static const HmpCommand *find_command(const HmpCommand *table, size_t n,
                                      const char *name)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (g_str_equal(table[i].name, name)) {
            return &table[i];
        }
    }
    return NULL;
}

void hmp_error(GString *out, GError *err)
{
    if (err) {
        g_string_append_printf(out, "Error: %s\r\n", err->message);
        g_error_free(err);
    }
}

void hmp_usage(GString *out, const char *name, const char *what)
{
    g_string_append_printf(out, "%s: %s\r\nTry \"help %s\" for more "
                           "information\r\n", name, what, name);
}

/* The character after a backslash in a quoted word. */
static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    default:
        return c;
    }
}

char *hmp_word(const char **p)
{
    const char *s = *p;
    bool quoted;
    GString *word;

    while (g_ascii_isspace(*s)) {
        s++;
    }
    if (!*s) {
        *p = s;
        return NULL;
    }
    quoted = *s == '"';
    s += quoted;
    word = g_string_new(NULL);
    while (*s && (quoted ? *s != '"' : !g_ascii_isspace(*s))) {
        if (quoted && *s == '\\' && s[1]) {
            g_string_append_c(word, unescape(s[1]));
            s += 2;
        } else {
            g_string_append_c(word, *s++);
        }
    }
    if (quoted && *s) {
        s++;
    }
    *p = s;
    return g_string_free(word, FALSE);
}

bool hmp_take_flags(const char *name, const char **args, const char *known,
                    char *found, GString *out)
{
    while (**args == '-' && (*args)[1]) {
        g_autofree char *word = hmp_word(args);

        if (strlen(word) != 2 || !strchr(known, word[1])) {
            g_autofree char *what = g_strdup_printf("unsupported option %s",
                                                    word);

            hmp_usage(out, name, what);
            return false;
        }
        found[strchr(known, word[1]) - known] = word[1];
        while (g_ascii_isspace(**args)) {
            (*args)++;
        }
    }
    return true;
}

static void print_help(const HmpCommand *cmd, const char *prefix,
                       GString *out)
{
    if (cmd->help) {
        g_string_append_printf(out, "%s%s %s -- %s\r\n", prefix, cmd->name,
                               cmd->params, cmd->help);
    }
}

void coroutine_fn hmp_help(const char *args, GString *out)
{
    g_autofree char *name = hmp_word(&args);
    size_t i;

    if (name && g_str_equal(name, "info")) {
        for (i = 0; i < ARRAY_SIZE(info_commands); i++) {
            print_help(&info_commands[i], "info ", out);
        }
        return;
    }
    for (i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!name || g_str_equal(name, commands[i].name)) {
            print_help(&commands[i], "", out);
        }
    }
}

static void coroutine_fn run(const HmpCommand *table, size_t n,
                             const char *prefix, const char *line,
                             GString *out)
{
    const char *p = line;
    g_autofree char *name = hmp_word(&p);
    g_autofree char *args = g_strstrip(g_strdup(p));
    const HmpCommand *cmd = find_command(table, n, name);

    if (!cmd) {
        g_string_append_printf(out, "unknown command: '%s%s'\r\n", prefix,
                               name);
        return;
    }
    cmd->handler(args, out);
}

static void coroutine_fn hmp_info(const char *args, GString *out)
{
    if (!args[0]) {
        hmp_help("info", out);
        return;
    }
    run(info_commands, ARRAY_SIZE(info_commands), "info ", args, out);
}

char *coroutine_fn hmp_run(const char *line)
{
    g_autofree char *stripped = g_strstrip(g_strdup(line));
    GString *out = g_string_new(NULL);

    if (stripped[0]) {
        run(commands, ARRAY_SIZE(commands), "", stripped, out);
    }
    return g_string_free(out, FALSE);
}

char *coroutine_fn qmp_human_monitor_command(const char *command_line,
                                             bool has_cpu_index,
                                             int64_t cpu_index, GError **errp)
{
    return hmp_run(command_line);
}
