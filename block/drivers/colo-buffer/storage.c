/*
 * Where the data of the layers is: memory first, then a spill file
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage.h"

#include "util/thread-pool.h"

static bool open_spill_file(Storage *st, const char *name, GError **errp)
{
    st->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (st->fd < 0) {
        error_setg_errno(errp, errno, "Could not create spill file '%s'",
                         name);
        return false;
    }
    unlink(name);
    file_handle_init(&st->handle, st->fd, true);
    st->engine = file_engine_get(FILE_ENGINE_THREADS, errp);
    return st->engine != NULL;
}

/* Giving space back */

/* Takes as long as there was much in it: not in the loop's thread. */
static int truncate_file(void *opaque)
{
    Storage *st = opaque;

    return ftruncate(st->fd, 0) < 0 ? -errno : 0;
}

/* If it failed, what is there still is written over. */
static void truncate_done(void *opaque, int ret)
{
    Storage *st = opaque;

    file_handle_forget(&st->handle, 0, INT64_MAX);
    st->truncating = false;
    co_queue_restart_all(&st->truncated);
}

static void truncate_start(Storage *st)
{
    g_array_set_size(st->free_spill, 0);
    st->spill_end = 0;
    st->truncating = true;
    thread_pool_submit(truncate_file, st, truncate_done);
}

static void coroutine_fn wait_for_truncation(Storage *st)
{
    while (st->truncating) {
        co_queue_wait(&st->truncated);
    }
}

/* Open and close */

bool storage_open(Storage *st, AioContext *ctx, int64_t max_memory,
                  const char *spill_file, int64_t max_spill, GError **errp)
{
    *st = (Storage) {
        .max_memory_chunks = MIN(max_memory / ARENA_CHUNK_SIZE, UINT32_MAX),
        .fd = -1,
        .free_spill = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
    };
    arena_init(&st->arena, ctx);
    co_queue_init(&st->truncated);
    if (!spill_file) {
        return true;
    }
    st->max_spill_chunks = MIN(max_spill / ARENA_CHUNK_SIZE, UINT32_MAX);
    return open_spill_file(st, spill_file, errp);
}

void coroutine_fn storage_co_close(Storage *st)
{
    if (!st->free_spill) {
        return;
    }
    wait_for_truncation(st);
    arena_destroy(&st->arena);
    g_array_free(st->free_spill, TRUE);
    st->free_spill = NULL;
    if (st->fd >= 0) {
        file_handle_destroy(&st->handle);
        close(st->fd);
    }
}

/* Chunks */

int64_t storage_free_chunks(const Storage *st)
{
    return (int64_t)st->max_memory_chunks - st->memory_chunks +
           st->max_spill_chunks - st->spill_chunks;
}

void *storage_get_memory(Storage *st)
{
    void *chunk = NULL;

    if (st->memory_chunks < st->max_memory_chunks) {
        chunk = arena_get(&st->arena);
        st->memory_chunks += chunk != NULL;
    }
    return chunk;
}

int64_t storage_get_spill(Storage *st)
{
    GArray *free = st->free_spill;
    uint32_t chunk;

    if (st->spill_chunks >= st->max_spill_chunks) {
        return -1;
    }
    if (free->len > 0) {
        chunk = g_array_index(free, uint32_t, free->len - 1);
        g_array_set_size(free, free->len - 1);
    } else {
        chunk = st->spill_end++;
    }
    st->spill_chunks++;
    return chunk;
}

void storage_put(Storage *st, GPtrArray *memory, GArray *spill)
{
    st->memory_chunks -= memory->len;
    st->spill_chunks -= spill->len;
    arena_put_all(&st->arena, memory);
    g_array_append_vals(st->free_spill, spill->data, spill->len);
    g_array_set_size(spill, 0);
    if (st->spill_chunks == 0 && st->spill_end > 0 && !st->truncating) {
        truncate_start(st);
    }
}

int coroutine_fn storage_co_spill_rw(Storage *st, int64_t offset,
                                     IOVector *qiov, bool is_write)
{
    wait_for_truncation(st);
    if (is_write) {
        return file_engine_co_pwritev(st->engine, &st->handle, offset, qiov,
                                      0);
    }
    return file_engine_co_preadv(st->engine, &st->handle, offset, qiov);
}
