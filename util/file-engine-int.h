/*
 * Inside of the file engines: a request, and what an engine does with it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_FILE_ENGINE_INT_H
#define UTIL_FILE_ENGINE_INT_H

#include "util/file-engine.h"

typedef enum FileOp {
    FILE_OP_READ,
    FILE_OP_WRITE,
    FILE_OP_FDATASYNC,
    FILE_OP_FALLOCATE,
} FileOp;

/* One system call's worth; on the stack of the coroutine that waits for it. */
typedef struct FileRequest {
    FileOp op;
    int fd;
    struct iovec *iov;          /* read, write */
    int niov;
    int rw_flags;               /* read, write: RWF_* */
    int mode;                   /* fallocate */
    int64_t offset;
    int64_t bytes;
} FileRequest;

/* What the system call returned, or -errno. */
ssize_t file_request_run_sync(FileRequest *req);

typedef struct FileEngineOps {
    FileEngineKind kind;
    FileEngine *(*create)(AioContext *ctx, GError **errp);
    /* No request is in flight. */
    void (*destroy)(FileEngine *engine);
    /* Whether it can do @req on @file; if not, the worker pool does. */
    bool (*takes)(const FileHandle *file, const FileRequest *req);
    /* As file_request_run_sync(), without blocking the thread. */
    ssize_t coroutine_fn (*co_run)(FileEngine *engine, FileRequest *req);
} FileEngineOps;

/* First member of every engine. */
struct FileEngine {
    const FileEngineOps *ops;
    AioContext *ctx;
};

extern const FileEngineOps file_engine_threads;
extern const FileEngineOps file_engine_native;
extern const FileEngineOps file_engine_io_uring;

/* Worker threads, whatever the engine. */
ssize_t coroutine_fn file_request_run_in_thread(FileRequest *req);

/*
 * Try to run @req inline, if it is not likely to block.  False: it was not
 * tried or would block, so that the engine has to do it.
 */
bool file_request_try_inline(FileHandle *file, FileRequest *req, ssize_t *ret);

#endif
