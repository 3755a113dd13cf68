/*
 * Cancel at every turn: a file as the server's disk, by each engine
 *
 * Requests are in the kernel's or a thread's hands when the export goes, or
 * the node, or when the file changes its size.  When they come back is not
 * ours to say, but that they do is: nobody is told of their end who has gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"

#include "qapi/qapi-commands-block-core.h"
#include "util/file-engine.h"
#include "util/log.h"

static void coroutine_fn strike_resize(void *opaque)
{
    World *w = opaque;

    qmp_block_resize(NULL, "disk", 2 * TEST_DISK_SIZE, NULL);
    w->blow_done = true;
}

static const Blow resize = {
    "resize", SERVER, strike_resize, .answers = true, .harmless = true,
};

/* The kernel takes its time to end a context of aio=native: the first few. */
#define NATIVE_BLOWS 4

static const char *const blows[] = {
    "remove-node", "remove", "stop", "close",
    "nothing", "server-drain", "gate", "remove-safe", "remove-gated", "cut",
    "stall-remove", "stall-stop",
};

static const Scenario several = {
    "several", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                 { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                 { OP_ZEROES, 16384, 4096 }, { OP_DISCARD, 20480, 4096 },
                 { OP_FLUSH }, { OP_READ, 32768, 32768 } },
};

static void test_case(gconstpointer data)
{
    cancel_at_every_step(data);
}

static void add_case(const char *aio, const Blow *blow)
{
    World *setup = g_new0(World, 1);
    g_autofree char *path = g_strdup_printf("/cancel-file/%s/%s", aio,
                                            blow->name);

    setup->nbd.aio = aio;
    setup->scenario = &several;
    setup->blow = blow;
    g_test_add_data_func_full(path, setup, test_case, g_free);
}

static bool has_direct_io(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "sim-XXXXXX", NULL);
    int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC | O_DIRECT, 0600);

    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return fd >= 0;
}

/* Not every kernel has every engine, nor every file system O_DIRECT. */
static bool is_usable(FileEngineKind kind)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    bool usable = has_direct_io(g_get_tmp_dir()) &&
                  file_engine_get(kind, NULL);

    aio_context_free(ctx);
    return usable;
}

static void skip(void)
{
    g_test_skip("no such engine, or no O_DIRECT for temporary files");
}

static void add_cases(FileEngineKind kind)
{
    const char *aio = file_engine_kind_name(kind);
    size_t n = kind == FILE_ENGINE_NATIVE ? NATIVE_BLOWS : ARRAY_SIZE(blows);

    if (!is_usable(kind)) {
        g_autofree char *path = g_strdup_printf("/cancel-file/%s", aio);

        g_test_add_func(path, skip);
        return;
    }
    add_case(aio, &resize);
    for (size_t i = 0; i < n; i++) {
        add_case(aio, cancel_blow(blows[i]));
    }
}

int main(int argc, char **argv)
{
    /* Memory is faster than a disk, and its engines the same. */
    if (has_direct_io("/dev/shm")) {
        g_setenv("TMPDIR", "/dev/shm", TRUE);
    }
    g_test_init(&argc, &argv, NULL);
    log_set_file("/dev/null", NULL);
    for (FileEngineKind kind = 0; kind < FILE_ENGINE__MAX; kind++) {
        add_cases(kind);
    }
    return g_test_run();
}
