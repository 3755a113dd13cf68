/*
 * Cancel at every turn: connections with TLS
 *
 * The handshakes of both ends yield again and again; each of these turns is
 * one after which something strikes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"

#include "util/log.h"

static const Scenario opening = {
    "open", { { OP_OPEN } }, .closed = true,
};
static const Scenario working = {
    "several", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                 { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                 { OP_FLUSH }, { OP_STATUS, 0, 65536 } }, .held = true,
};
static const Scenario losing = {
    "lost", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 } }, .lost = true,
};

static const struct {
    const Scenario *scenario;
    Way way;
} setups[] = {
    { &opening, WAY_ONCE }, { &working, WAY_ONCE }, { &losing, WAY_RECONNECT },
};

static const char *const blows[] = {
    "nothing", "yank", "close", "drain", "close-all", "remove", "remove-safe",
    "remove-node", "stop", "cut", "short-stall", "stall-yank", "stall-close",
    "stall-remove", "stall-stop",
};

static void test_case(gconstpointer data)
{
    const World *setup = data;

    cancel_at_every_step(setup);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_file("/dev/null", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(blows); j++) {
            World *setup = g_new0(World, 1);
            g_autofree char *path = g_strdup_printf(
                "/cancel-tls/%s/%s", setups[i].scenario->name, blows[j]);

            setup->nbd.tls = true;
            setup->scenario = setups[i].scenario;
            setup->way = setups[i].way;
            setup->blow = cancel_blow(blows[j]);
            g_test_add_data_func_full(path, setup, test_case, g_free);
        }
    }
    return g_test_run();
}
