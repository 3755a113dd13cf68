/*
 * Where the data of the layers is: memory first, then a spill file
 *
 * Both are given out in chunks of 1 MiB.  A layer owns chunks; when it goes
 * its chunks come back as a whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_BUFFER_STORAGE_H
#define COLO_BUFFER_STORAGE_H

#include "arena.h"
#include "util/co-lock.h"
#include "util/file-engine.h"

typedef struct Storage {
    /* Constant after storage_open() */
    unsigned max_memory_chunks;
    unsigned max_spill_chunks;

    Arena arena;
    unsigned memory_chunks;     /* in use by layers */

    /* The spill file; fd -1 without one */
    int fd;
    FileHandle handle;
    FileEngine *engine;
    GArray *free_spill;         /* uint32_t: chunks of the file not in use */
    unsigned spill_end;         /* chunks that the file has */
    unsigned spill_chunks;      /* in use by layers */
    bool truncating;            /* nothing was in use: requests wait */
    CoQueue truncated;
} Storage;

/*
 * @spill_file NULL: none.  The file is created, must not exist, and is
 * removed at once: it vanishes with the process.
 */
bool storage_open(Storage *st, AioContext *ctx, int64_t max_memory,
                  const char *spill_file, int64_t max_spill, GError **errp);
/* Also what storage_open() left half-way. */
void coroutine_fn storage_co_close(Storage *st);

/* Those that nobody has, of both kinds. */
int64_t storage_free_chunks(const Storage *st);
/* A chunk of memory or NULL; the number of a chunk of the file or -1. */
void *storage_get_memory(Storage *st);
int64_t storage_get_spill(Storage *st);

/* Take back and empty.  A file that nobody uses any more shrinks to nothing. */
void storage_put(Storage *st, GPtrArray *memory, GArray *spill);

int coroutine_fn storage_co_spill_rw(Storage *st, int64_t offset,
                                     IOVector *qiov, bool is_write);

#endif
