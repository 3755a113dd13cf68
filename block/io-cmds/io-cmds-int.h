/*
 * Private to io-cmds/: arguments, reports, permissions of the commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_CMDS_INT_H
#define IO_CMDS_INT_H

#include "block/block-backend.h"
#include "block/io-cmds.h"

typedef struct IoCmd IoCmd;

/* A command line taken apart. */
typedef struct IoArgs {
    const char *opts[128];      /* by letter: NULL, "" or the argument */
    char **words;               /* all words, the command first */
    char **pos;                 /* positional arguments, ended by NULL */
    int n_pos;
} IoArgs;

struct IoCmd {
    const char *name;
    const char *options;        /* letters, as for getopt */
    int min_args;
    int max_args;               /* -1: any number */
    const char *synopsis;       /* "" if it takes nothing */
    const char *summary;
    void coroutine_fn (*run)(const IoCmd *cmd, BlockBackend *blk,
                             const IoArgs *args, GString *out);
};

/* Finds nothing: NULL. */
const IoCmd *io_cmd_find(const char *name);
/* The n-th command of the table, NULL at its end. */
const IoCmd *io_cmd_nth(size_t n);

/* "name synopsis -- summary" */
void io_cmd_print_usage(const IoCmd *cmd, GString *out);

/*
 * Split @line and sort out options and arguments of @cmd.  False, with the
 * reason in @out, if they do not fit.
 */
bool io_args_parse(const IoCmd *cmd, char **words, IoArgs *args,
                   GString *out);
void io_args_clear(IoArgs *args);
/* The words of a line; quotes and backslashes as in qemu-io: none. */
char **io_split_words(const char *line);

static inline bool io_has(const IoArgs *args, char letter)
{
    return args->opts[(int)letter] != NULL;
}

/* "64k", "0x10": false, with the reason in @out, if it is no size. */
bool io_parse_size(const char *text, int64_t *bytes, GString *out);
/* The byte of -P. */
bool io_parse_pattern(const char *text, int *pattern, GString *out);

/* "4 KiB", "955.479 KiB", "512 bytes"; g_free. */
char *io_format_size(double value);

/* What was done by @op: @total bytes in @ns. */
void io_report(GString *out, const char *op, int64_t offset, int64_t count,
               int64_t total, int64_t ns, bool machine);

/* A hex dump as read -v prints it. */
void io_dump(GString *out, const uint8_t *buf, int64_t offset, size_t bytes);

/*
 * Keep @blk and see that it has @perm until the matching release.  Counted.
 * False, with the reason in @out, if somebody does not share it.
 */
bool coroutine_fn io_cmd_acquire(BlockBackend *blk, uint64_t perm,
                                 GString *out);
void coroutine_fn io_cmd_release(BlockBackend *blk);

/* Background requests: one more, one less (with what it has to say). */
void io_background_begin(void);
void io_background_end(const char *text);
/* Sleep until none is left. */
void coroutine_fn io_background_co_wait(void);
/* What background requests have said since. */
void io_background_take(GString *out);

extern const IoCmd io_cmds_rw[], io_cmds_info[], io_cmds_debug[];

#endif
