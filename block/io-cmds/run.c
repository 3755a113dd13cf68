/*
 * Running qemu-io's commands: the table, permissions, background requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

#include "util/aio.h"
#include "util/co-lock.h"

/* What is lent to backends, and the requests that run in the background. */
typedef struct IoCmdLocal {
    GHashTable *lent;           /* BlockBackend to LentPerm */
    unsigned background;
    CoQueue wait_background;
    GString *said;
} IoCmdLocal;

typedef struct LentPerm {
    unsigned users;
    uint64_t perm, shared;      /* to go back to */
    uint64_t granted;           /* unless somebody else has changed this */
} LentPerm;

static void io_cmd_init(AioContext *ctx, void *data)
{
    IoCmdLocal *local = data;

    local->lent = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    local->said = g_string_new(NULL);
    co_queue_init(&local->wait_background);
}

static void io_cmd_fini(AioContext *ctx, void *data)
{
    IoCmdLocal *local = data;

    g_hash_table_unref(local->lent);
    g_string_free(local->said, TRUE);
}

static const AioLocal io_cmd_key = {
    .size = sizeof(IoCmdLocal),
    .init = io_cmd_init,
    .fini = io_cmd_fini,
};

static IoCmdLocal *io_cmd_local(void)
{
    return aio_local_get(aio_get_current(), &io_cmd_key);
}

bool coroutine_fn io_cmd_acquire(BlockBackend *blk, uint64_t perm,
                                 GString *out)
{
    GHashTable *lent = io_cmd_local()->lent;
    LentPerm *entry = g_hash_table_lookup(lent, blk);
    g_autoptr(GError) err = NULL;
    uint64_t now, shared;

    blk_get_perm(blk, &now, &shared);
    if ((now & perm) != perm &&
        !blk_set_perm(blk, now | perm, shared, &err)) {
        g_string_append_printf(out, "%s\n", err->message);
        return false;
    }
    if (!entry) {
        entry = g_new0(LentPerm, 1);
        entry->perm = now;
        entry->shared = shared;
        g_hash_table_insert(lent, blk, entry);
    }
    entry->granted = now | perm;
    entry->users++;
    blk_ref(blk);
    return true;
}

void coroutine_fn io_cmd_release(BlockBackend *blk)
{
    GHashTable *lent = io_cmd_local()->lent;
    LentPerm *entry = g_hash_table_lookup(lent, blk);
    uint64_t now, shared;

    if (--entry->users == 0) {
        blk_get_perm(blk, &now, &shared);
        /*
         * An export of the drive that came or went meanwhile has set what
         * it needs.  Taking less cannot conflict with anybody.
         */
        if (now == entry->granted) {
            blk_set_perm(blk, entry->perm, entry->shared, NULL);
        }
        g_hash_table_remove(lent, blk);
    }
    blk_co_unref(blk);
}

void io_background_begin(void)
{
    io_cmd_local()->background++;
}

void io_background_end(const char *text)
{
    IoCmdLocal *local = io_cmd_local();

    g_string_append(local->said, text);
    if (--local->background == 0) {
        co_queue_restart_all(&local->wait_background);
    }
}

void coroutine_fn io_background_co_wait(void)
{
    IoCmdLocal *local = io_cmd_local();

    while (local->background) {
        co_queue_wait(&local->wait_background);
    }
}

void io_background_take(GString *out)
{
    GString *said = io_cmd_local()->said;

    g_string_append_len(out, said->str, said->len);
    g_string_truncate(said, 0);
}

static const IoCmd *const tables[] = {
    io_cmds_rw, io_cmds_info, io_cmds_debug,
};

const IoCmd *io_cmd_nth(size_t n)
{
    size_t i;
    const IoCmd *cmd;

    for (i = 0; i < ARRAY_SIZE(tables); i++) {
        for (cmd = tables[i]; cmd->name; cmd++) {
            if (n-- == 0) {
                return cmd;
            }
        }
    }
    return NULL;
}

const IoCmd *io_cmd_find(const char *name)
{
    const IoCmd *cmd;
    size_t i;

    for (i = 0; (cmd = io_cmd_nth(i)); i++) {
        if (g_str_equal(cmd->name, name)) {
            return cmd;
        }
    }
    return NULL;
}

void coroutine_fn io_cmd_run(BlockBackend *blk, const char *line,
                             GString *out)
{
    g_auto(GStrv) words = io_split_words(line);
    const IoCmd *cmd;
    IoArgs args;

    if (words[0]) {
        cmd = io_cmd_find(words[0]);
        if (!cmd) {
            g_string_append_printf(out, "command \"%s\" not found\n",
                                   words[0]);
        } else {
            if (io_args_parse(cmd, words, &args, out)) {
                cmd->run(cmd, blk, &args, out);
            }
            io_args_clear(&args);
        }
    }
    io_background_take(out);
}
