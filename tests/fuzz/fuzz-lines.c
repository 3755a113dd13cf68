/*
 * Fuzz target: lines of the human monitor, and qemu-io's command lines
 *
 * Lines of the monitor run if they cannot reach outside of the process;
 * others are only split into words.  A qemu-io line is taken apart as far as
 * one can without a disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "../../block/io-cmds/io-cmds-int.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"

static const char *const harmless[] = {
    "?", "block_resize", "c", "cont", "drive_del", "help", "info",
    "nbd_server_add", "nbd_server_remove", "object_del", "qemu-io", "s",
    "stop",
};

typedef struct Line {
    const char *text;
    bool done;
} Line;

static void coroutine_fn run_line(void *opaque)
{
    Line *line = opaque;
    g_autofree char *said = hmp_run(line->text);

    g_assert_nonnull(said);
    line->done = true;
}

static bool is_busy(void *opaque)
{
    return !((Line *)opaque)->done;
}

static bool is_harmless(const char *text)
{
    g_autofree char *first = hmp_word(&text);
    size_t i;

    for (i = 0; first && i < ARRAY_SIZE(harmless); i++) {
        if (g_str_equal(first, harmless[i])) {
            return true;
        }
    }
    /* What is no word is no command. */
    return !first;
}

/* Each word uses up some of the line. */
static void split(const char *text)
{
    const char *p = text;
    char *word;

    while ((word = hmp_word(&p))) {
        g_assert_cmpuint(p - text, >, 0);
        text = p;
        g_free(word);
    }
    /* A quote without end may be left. */
    g_assert_true(*p == '\0' || *p == '"');
}

static void fuzz_monitor(const char *text)
{
    Line line = { .text = text };

    split(text);
    if (is_harmless(text)) {
        fuzz_loop(run_line, is_busy, &line, -1);
    }
}

static void fuzz_args(const IoCmd *cmd, char **words)
{
    g_autoptr(GString) out = g_string_new(NULL);
    IoArgs args;
    int64_t bytes;
    int pattern, i;

    if (io_args_parse(cmd, words, &args, out)) {
        g_assert_cmpint(args.n_pos, >=, cmd->min_args);
        g_assert_cmpuint(out->len, ==, 0);
        for (i = 0; i < args.n_pos; i++) {
            io_parse_size(args.pos[i], &bytes, out);
            io_parse_pattern(args.pos[i], &pattern, out);
        }
    } else {
        g_assert_cmpuint(out->len, >, 0);
    }
    io_args_clear(&args);
}

static void fuzz_qemu_io(const char *text)
{
    g_auto(GStrv) words = io_split_words(text);
    const IoCmd *cmd = words[0] ? io_cmd_find(words[0]) : NULL;

    if (cmd) {
        fuzz_args(cmd, words);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_text(data, size, fuzz_monitor, fuzz_qemu_io);
    return 0;
}
