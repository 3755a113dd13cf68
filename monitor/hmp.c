/*
 * Lines of the human monitor: the table and the parser
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "monitor/monitor.h"
#include "qapi/qapi-commands-misc.h"

static void coroutine_fn hmp_info(const HmpArgs *args, GString *out);

static const HmpCommand commands[] = {
    { "block_resize", "device size", "resize a block image",
      hmp_block_resize, .needs = "device and size", .n_needed = 2 },
    { "cont", "", "resume emulation", hmp_cont },
    { "c", NULL, NULL, hmp_cont },
    { "drive_add", "[-n] [[<domain>:]<bus>:]<slot> [file=file][,if=none]...",
      "add drive, or with -n a node", hmp_drive_add, .flags = "n",
      .needs = "string", .n_needed = 2 },
    { "drive_del", "device", "remove host block device", hmp_drive_del,
      .needs = "string", .n_needed = 1 },
    { "help", "[cmd]", "show the help", hmp_help, .n_words = 2 },
    { "?", NULL, NULL, hmp_help, .n_words = 2 },
    { "info", "block|blockstats|jobs|replication|status|version",
      "show information", hmp_info, .whole_rest = true },
    { "nbd_server_add", "[-w] device [name]",
      "export a block device via NBD", hmp_nbd_server_add, .flags = "w",
      .needs = "device", .n_needed = 1, .n_words = 2 },
    { "nbd_server_remove", "[-f] name",
      "remove an export previously exposed via NBD", hmp_nbd_server_remove,
      .flags = "f", .needs = "name", .n_needed = 1 },
    { "nbd_server_start", "[-a] [-w] host:port",
      "serve block devices on the given host and port",
      hmp_nbd_server_start, .flags = "aw", .needs = "address",
      .n_needed = 1 },
    { "nbd_server_stop", "", "stop serving block devices using the NBD "
      "protocol", hmp_nbd_server_stop },
    { "object_add", "qom-type,id=str,...", "create an object",
      hmp_object_add, .needs = "string", .n_needed = 1, .whole_rest = true },
    { "object_del", "id", "destroy an object", hmp_object_del,
      .needs = "id", .n_needed = 1 },
    { "qemu-io", "[-d] device \"command\"",
      "run a qemu-io command on a block device", hmp_qemu_io, .flags = "d",
      .needs = "device and command", .n_needed = 2 },
    { "quit", "", "quit the program", hmp_quit },
    { "q", NULL, NULL, hmp_quit },
    { "stop", "", "stop emulation", hmp_stop },
    { "s", NULL, NULL, hmp_stop },
};

static const HmpCommand info_commands[] = {
    { "block", "[-n] [-v] [device]", "show info of one block device or all "
      "block devices", hmp_info_block, .flags = "nv", .n_words = 1 },
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
    *p = s - quoted;
    word = g_string_new(NULL);
    while (*s && (quoted ? *s != '"' : !g_ascii_isspace(*s))) {
        if (quoted && *s == '\\' && s[1]) {
            g_string_append_c(word, unescape(s[1]));
            s += 2;
        } else {
            g_string_append_c(word, *s++);
        }
    }
    if (quoted && !*s) {
        g_string_free(word, TRUE);
        return NULL;
    }
    *p = s + quoted;
    return g_string_free(word, FALSE);
}

static const char *skip_space(const char *p)
{
    while (g_ascii_isspace(*p)) {
        p++;
    }
    return p;
}

/* The line does not fit @cmd: say what is wrong. */
static bool G_GNUC_PRINTF(4, 5)
usage(const HmpCommand *cmd, const char *prefix, GString *out,
      const char *fmt, ...)
{
    va_list ap;

    g_string_append_printf(out, "%s: ", cmd->name);
    va_start(ap, fmt);
    g_string_append_vprintf(out, fmt, ap);
    va_end(ap);
    g_string_append_printf(out, "\r\nTry \"help %s%s\" for more "
                           "information\r\n", prefix, cmd->name);
    return false;
}

/* Flags stand in front of the words; a "-" alone is a word. */
static bool take_flags(const HmpCommand *cmd, const char *prefix,
                       const char **p, HmpArgs *args, GString *out)
{
    const char *known = cmd->flags ?: "";

    for (*p = skip_space(*p); (*p)[0] == '-' && (*p)[1] &&
         !g_ascii_isspace((*p)[1]); *p = skip_space(*p)) {
        g_autofree char *word = hmp_word(p);
        const char *flag = strchr(known, word[1]);

        if (strlen(word) != 2 || !flag) {
            return usage(cmd, prefix, out, "unsupported option %s", word);
        }
        args->flag[flag - known] = true;
    }
    return true;
}

static bool take_words(const HmpCommand *cmd, const char *prefix,
                       const char *p, HmpArgs *args, GString *out)
{
    unsigned n, max = MAX(cmd->n_needed, cmd->n_words);

    for (n = 0; n < max; n++) {
        args->word[n] = hmp_word(&p);
        if (!args->word[n]) {
            break;
        }
    }
    if (n < cmd->n_needed) {
        return usage(cmd, prefix, out, "%s expected", cmd->needs);
    }
    if (*skip_space(p)) {
        return usage(cmd, prefix, out,
                     "extraneous characters at the end of line");
    }
    return true;
}

static bool take_args(const HmpCommand *cmd, const char *prefix,
                      const char *p, HmpArgs *args, GString *out)
{
    if (cmd->whole_rest) {
        p = skip_space(p);
        args->word[0] = *p ? g_strdup(p) : NULL;
        return args->word[0] || !cmd->n_needed ||
               usage(cmd, prefix, out, "%s expected", cmd->needs);
    }
    return take_flags(cmd, prefix, &p, args, out) &&
           take_words(cmd, prefix, p, args, out);
}

static void print_help(const HmpCommand *table, size_t n, const char *prefix,
                       const char *name, GString *out)
{
    size_t i;

    if (name && !find_command(table, n, name)) {
        g_string_append_printf(out, "unknown command: '%s%s'\r\n", prefix,
                               name);
    }
    for (i = 0; i < n; i++) {
        if (table[i].help && (!name || g_str_equal(name, table[i].name))) {
            g_string_append_printf(out, "%s%s %s -- %s\r\n", prefix,
                                   table[i].name, table[i].params,
                                   table[i].help);
        }
    }
}

void coroutine_fn hmp_help(const HmpArgs *args, GString *out)
{
    if (args->word[0] && g_str_equal(args->word[0], "info")) {
        print_help(info_commands, ARRAY_SIZE(info_commands), "info ",
                   args->word[1], out);
    } else {
        print_help(commands, ARRAY_SIZE(commands), "", args->word[0], out);
    }
}

static void coroutine_fn run(const HmpCommand *table, size_t n,
                             const char *prefix, const char *line,
                             GString *out)
{
    size_t len = strcspn(line, " \t\r\n\f");
    g_autofree char *name = g_strndup(line, len);
    const HmpCommand *cmd = find_command(table, n, name);
    HmpArgs args = { 0 };
    unsigned i;

    if (!cmd) {
        g_string_append_printf(out, "unknown command: '%s%s'\r\n", prefix,
                               name);
        return;
    }
    if (take_args(cmd, prefix, line + len, &args, out)) {
        cmd->handler(&args, out);
    }
    for (i = 0; i < HMP_WORDS_MAX; i++) {
        g_free(args.word[i]);
    }
}

static void coroutine_fn hmp_info(const HmpArgs *args, GString *out)
{
    if (args->word[0]) {
        run(info_commands, ARRAY_SIZE(info_commands), "info ", args->word[0],
            out);
    } else {
        print_help(info_commands, ARRAY_SIZE(info_commands), "info ", NULL,
                   out);
    }
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
