/*
 * For tests of driver=file: a file in the folder @dir, by default the
 * temporary one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_DRIVER_FILE_FIXTURE_H
#define TESTS_UNIT_DRIVER_FILE_FIXTURE_H

#include <glib/gstdio.h>
#include <sys/stat.h>

#include "block/drivers.h"
#include "driver-helpers.h"

typedef struct Fixture {
    AioContext *ctx;
    char *path;
} Fixture;

static inline void setup(Fixture *f, gconstpointer dir)
{
    int fd;

    bdrv_register_drivers(bdrv_drivers);
    f->ctx = aio_context_new(NULL, NULL);
    f->path = g_strdup_printf("%s/test-driver-file-XXXXXX",
                              dir ? (const char *)dir : g_get_tmp_dir());
    fd = g_mkstemp(f->path);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
}

static inline void teardown(Fixture *f, gconstpointer dir)
{
    test_block_end(f->ctx);
    g_unlink(f->path);
    g_free(f->path);
}

static inline void set_length(Fixture *f, int64_t bytes)
{
    g_assert_cmpint(truncate(f->path, bytes), ==, 0);
}

static inline struct stat file_stat(Fixture *f)
{
    struct stat st;

    g_assert_cmpint(stat(f->path, &st), ==, 0);
    return st;
}

static inline BlockBackend *open_file(Fixture *f)
{
    return open_backend(f->ctx, "{'driver': 'file', 'filename': '%s', "
                        "'discard': 'unmap'}", f->path);
}

typedef struct CreateCall {
    BlockdevCreateOptions options;
    int cancel;
    bool ok;
    GError *err;
} CreateCall;

static inline void coroutine_fn create_entry(void *opaque)
{
    CreateCall *call = opaque;

    call->ok = bdrv_file.bdrv_co_create(&call->options, &call->cancel,
                                        &call->err);
}

#endif
