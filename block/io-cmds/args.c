/*
 * Arguments of qemu-io's commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

#include "util/size.h"

char **io_split_words(const char *line)
{
    GPtrArray *words = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit_set(line, " \t\r\n", -1);
    guint i;

    for (i = 0; parts[i]; i++) {
        if (parts[i][0]) {
            g_ptr_array_add(words, g_strdup(parts[i]));
        }
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

void io_cmd_print_usage(const IoCmd *cmd, GString *out)
{
    g_string_append_printf(out, "%s %s -- %s\n", cmd->name, cmd->synopsis,
                           cmd->summary);
}

/* The options in the word at @words[*i]; takes the next word if needed. */
static bool parse_options(const IoCmd *cmd, char **words, int *i,
                          IoArgs *args, GString *out)
{
    const char *p;

    for (p = words[*i] + 1; *p; p++) {
        const char *spec = *p == ':' || *p < 0 ? NULL
                                               : strchr(cmd->options, *p);

        if (!spec) {
            g_string_append_printf(out, "%s: invalid option -- '%c'\n",
                                   cmd->name, g_ascii_isprint(*p) ? *p : '?');
            io_cmd_print_usage(cmd, out);
            return false;
        }
        if (spec[1] != ':') {
            args->opts[(int)*p] = "";
            continue;
        }
        if (p[1]) {
            args->opts[(int)*p] = p + 1;
        } else if (words[*i + 1]) {
            args->opts[(int)*p] = words[++*i];
        } else {
            g_string_append_printf(out, "%s: option requires an argument -- "
                                   "'%c'\n", cmd->name, *p);
            io_cmd_print_usage(cmd, out);
            return false;
        }
        return true;
    }
    return true;
}

static void print_bad_count(const IoCmd *cmd, int n, GString *out)
{
    if (cmd->max_args < 0) {
        g_string_append_printf(out, "bad argument count %d to %s, expected "
                               "at least %d arguments\n", n, cmd->name,
                               cmd->min_args);
    } else if (cmd->min_args == cmd->max_args) {
        g_string_append_printf(out, "bad argument count %d to %s, expected "
                               "%d arguments\n", n, cmd->name, cmd->min_args);
    } else {
        g_string_append_printf(out, "bad argument count %d to %s, expected "
                               "between %d and %d arguments\n", n, cmd->name,
                               cmd->min_args, cmd->max_args);
    }
}

bool io_args_parse(const IoCmd *cmd, char **words, IoArgs *args, GString *out)
{
    int n = g_strv_length(words);
    bool more_options = true;
    int i;

    *args = (IoArgs) { .words = words };
    args->pos = g_new0(char *, n + 1);
    for (i = 1; i < n; i++) {
        if (more_options && g_str_equal(words[i], "--")) {
            more_options = false;
        } else if (more_options && words[i][0] == '-' && words[i][1]) {
            if (!parse_options(cmd, words, &i, args, out)) {
                return false;
            }
        } else {
            args->pos[args->n_pos++] = words[i];
        }
    }
    if (args->n_pos < cmd->min_args ||
        (cmd->max_args >= 0 && args->n_pos > cmd->max_args)) {
        print_bad_count(cmd, args->n_pos, out);
        return false;
    }
    return true;
}

void io_args_clear(IoArgs *args)
{
    g_free(args->pos);
    args->pos = NULL;
}

bool io_parse_size(const char *text, int64_t *bytes, GString *out)
{
    uint64_t value;

    if (!size_parse(text, &value)) {
        g_string_append_printf(out, "Parsing error: non-numeric argument, or "
                               "extraneous/unrecognized suffix -- %s\n",
                               text);
        return false;
    }
    if (value > INT64_MAX) {
        g_string_append_printf(out, "Parsing error: argument too large -- "
                               "%s\n", text);
        return false;
    }
    *bytes = (int64_t)value;
    return true;
}

bool io_parse_pattern(const char *text, int *pattern, GString *out)
{
    int64_t value;

    if (!int64_parse(text, &value) || value < 0 || value > 255) {
        g_string_append_printf(out, "%s is not a valid pattern byte\n", text);
        return false;
    }
    *pattern = (int)value;
    return true;
}
