/*
 * Cancel at every turn: an nbd node and an export over a disk in memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"

#include "util/log.h"

static const Scenario scenarios[] = {
    { "open", { { OP_OPEN } }, .closed = true },
    { "open-bytewise", { { OP_OPEN } }, .closed = true, .chunk = 24 },
    { "read", { { OP_READ, 4096, 4096 } } },
    { "read-held", { { OP_READ, 4096, 4096 } }, .held = true },
    { "write", { { OP_WRITE, 4096, 4096 } } },
    { "write-held", { { OP_WRITE, 4096, 4096 } }, .held = true },
    { "write-in-pieces", { { OP_WRITE, 4096, 40960 } }, .chunk = 4000 },
    { "unaligned", { { OP_WRITE, 5000, 3000 } } },
    { "unaligned-held", { { OP_WRITE, 5000, 3000 } }, .held = true },
    { "zeroes", { { OP_ZEROES, 4096, 8192 } } },
    { "discard", { { OP_DISCARD, 4096, 8192 } } },
    { "flush", { { OP_WRITE, 0, 512 }, { OP_FLUSH } } },
    { "flush-held", { { OP_WRITE, 0, 512 }, { OP_FLUSH } },
      .held = true },
    { "status", { { OP_STATUS, 0, 65536 } } },
    { "reopen", { { OP_READ, 0, 4096 }, { OP_REOPEN },
                  { OP_WRITE, 8192, 4096 } }, .held = true },
    { "close", { { OP_READ, 0, 4096 }, { OP_WRITE, 8192, 4096 },
                 { OP_CLOSE } }, .held = true },
    { "several", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                   { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                   { OP_ZEROES, 16384, 4096 }, { OP_DISCARD, 20480, 4096 },
                   { OP_FLUSH }, { OP_STATUS, 0, 65536 } } },
    { "several-held", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                        { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                        { OP_READ, 32768, 32768 }, { OP_FLUSH } },
      .held = true },
    { "resize", { { OP_READ, 0, 4096 }, { OP_RESIZE, 0, 131072 },
                  { OP_WRITE, 8192, 4096 } }, .held = true },
    { "lost", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 } },
      .lost = true },
};

typedef struct Case {
    const Scenario *scenario;
    const Blow *blow;
} Case;

static void test_case(gconstpointer data)
{
    const Case *c = data;

    for (Way way = 0; way < WAY__MAX; way++) {
        World setup = {
            .scenario = c->scenario, .blow = c->blow, .way = way,
        };

        cancel_at_every_step(&setup);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* Lost connections are what this is about: they need no words. */
    log_set_file("/dev/null", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        for (const Blow *blow = cancel_blows; blow->name; blow++) {
            Case c = { &scenarios[i], blow };
            g_autofree char *path = g_strdup_printf(
                "/cancel/%s/%s", scenarios[i].name, blow->name);

            g_test_add_data_func_full(path, g_memdup2(&c, sizeof(c)),
                                      test_case, g_free);
        }
    }
    return g_test_run();
}
