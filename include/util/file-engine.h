/*
 * File I/O for coroutines
 *
 * One interface over three engines, as chosen by aio=: `threads` (the worker
 * pool), `native` (libaio, O_DIRECT only) and `io_uring`.  What cannot block
 * for long is done inline, without any engine.
 *
 * There is one instance of an engine per context; file_engine_get() creates
 * it on first use and it goes away with the context.
 *
 * All requests return 0 or -errno.  Short reads and writes are continued;
 * what is read beyond the end of the file is zeroes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_FILE_ENGINE_H
#define UTIL_FILE_ENGINE_H

#include "util/aio.h"
#include "util/iov.h"

typedef enum FileEngineKind {
    FILE_ENGINE_THREADS,
    FILE_ENGINE_NATIVE,
    FILE_ENGINE_IO_URING,
    FILE_ENGINE__MAX,
} FileEngineKind;

/* "threads", "native" or "io_uring". */
const char *file_engine_kind_name(FileEngineKind kind);

typedef struct FileEngine FileEngine;

/*
 * The engine of @kind of the current context.  NULL and an error if it was
 * not built or the kernel refuses it; the caller decides whether to fall back
 * to FILE_ENGINE_THREADS, which always works.
 */
FileEngine *file_engine_get(FileEngineKind kind, GError **errp);
FileEngineKind file_engine_kind(const FileEngine *engine);

/*
 * A file that requests go to: a descriptor, and what is known about how fast
 * it answers.  Embedded in the driver's state.
 */
typedef struct FileHandle {
    /* Constant after file_handle_init() */
    int fd;
    bool direct;                /* opened with O_DIRECT */
    bool tmpfs;                 /* memory: always inline */
    bool inline_io;             /* inline where it cannot block for long */

    /* Private: see util/file-inline.c */
    struct FileMap *map;        /* tmpfs: mapped, where it is data */
    bool no_nowait;             /* the file system refuses RWF_NOWAIT */
    int64_t write_retry_ns;     /* no inline write before */
    int64_t write_backoff_ns;   /* how long to stay away the next time */
} FileHandle;

/*
 * @fd stays the caller's.  @allow_inline is false for those that must see
 * every request in the engine (tests).
 */
void file_handle_init(FileHandle *file, int fd, bool allow_inline);

/* Nothing is in flight.  Harmless on a zeroed one; the descriptor stays. */
void file_handle_destroy(FileHandle *file);

/*
 * What was data between @offset and @offset + @bytes may be a hole now: to be
 * called after truncating.  What goes through the engine needs no call.
 */
void file_handle_forget(FileHandle *file, int64_t offset, int64_t bytes);

/*
 * Have the vector's take() take what is in memory of what a read of @qiov at
 * @offset would copy.  Returns how much it took.
 */
size_t file_handle_lend(FileHandle *file, int64_t offset,
                        const IOVector *qiov);

/* @flags: FILE_IO_* */
#define FILE_IO_FUA 1u          /* write: stable when it returns */

int coroutine_fn file_engine_co_preadv(FileEngine *engine, FileHandle *file,
                                       int64_t offset, const IOVector *qiov);
int coroutine_fn file_engine_co_pwritev(FileEngine *engine, FileHandle *file,
                                        int64_t offset, const IOVector *qiov,
                                        unsigned flags);
int coroutine_fn file_engine_co_fdatasync(FileEngine *engine,
                                          FileHandle *file);

/* @mode as of fallocate(2): FALLOC_FL_*; discard is PUNCH_HOLE | KEEP_SIZE. */
int coroutine_fn file_engine_co_fallocate(FileEngine *engine,
                                          FileHandle *file, int mode,
                                          int64_t offset, int64_t bytes);

#endif
