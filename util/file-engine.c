/*
 * File I/O for coroutines: what all engines have in common
 *
 * Which engine a context uses, inline before engine, and short transfers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine.h"

#include "util/file-engine-int.h"

/* Beyond an end that is not at a sector, O_DIRECT cannot read on. */
#define DIRECT_SECTOR 512

/*
 * What is done inline at a time.  In between the loop takes its turn: other
 * requests do not wait for a large one, and the rest of what a peer sends or
 * receives moves on while this is copied.
 */
#define INLINE_SLICE ((size_t)(128 * KiB))

/* Engines */

static const FileEngineOps *const engines[] = {
    [FILE_ENGINE_THREADS] = &file_engine_threads,
#ifdef CONFIG_LIBAIO
    [FILE_ENGINE_NATIVE] = &file_engine_native,
#endif
#ifdef CONFIG_LIBURING
    [FILE_ENGINE_IO_URING] = &file_engine_io_uring,
#endif
    [FILE_ENGINE__MAX] = NULL,
};

const char *file_engine_kind_name(FileEngineKind kind)
{
    static const char *const names[] = {
        [FILE_ENGINE_THREADS] = "threads",
        [FILE_ENGINE_NATIVE] = "native",
        [FILE_ENGINE_IO_URING] = "io_uring",
    };

    g_assert(kind < FILE_ENGINE__MAX);
    return names[kind];
}

/* The engines of one context. */
typedef struct ContextEngines {
    FileEngine *engine[FILE_ENGINE__MAX];
} ContextEngines;

static void context_engines_fini(AioContext *ctx, void *data)
{
    ContextEngines *ce = data;

    for (int i = 0; i < FILE_ENGINE__MAX; i++) {
        if (ce->engine[i]) {
            ce->engine[i]->ops->destroy(ce->engine[i]);
        }
    }
}

static const AioLocal context_engines = {
    .size = sizeof(ContextEngines),
    .fini = context_engines_fini,
};

FileEngine *file_engine_get(FileEngineKind kind, GError **errp)
{
    AioContext *ctx = aio_get_current();
    ContextEngines *ce = aio_local_get(ctx, &context_engines);

    g_assert(kind < FILE_ENGINE__MAX);
    if (!engines[kind]) {
        error_setg(errp, "aio=%s was not built into this program",
                   file_engine_kind_name(kind));
        return NULL;
    }
    if (!ce->engine[kind]) {
        FileEngine *engine = engines[kind]->create(ctx, errp);

        if (!engine) {
            return NULL;
        }
        engine->ops = engines[kind];
        engine->ctx = ctx;
        ce->engine[kind] = engine;
    }
    return ce->engine[kind];
}

FileEngineKind file_engine_kind(const FileEngine *engine)
{
    return engine->ops->kind;
}

/* Requests */

static ssize_t run_once(const FileRequest *req)
{
    switch (req->op) {
    case FILE_OP_READ:
        return preadv2(req->fd, req->iov, req->niov, req->offset,
                       req->rw_flags);
    case FILE_OP_WRITE:
        return pwritev2(req->fd, req->iov, req->niov, req->offset,
                        req->rw_flags);
    case FILE_OP_FDATASYNC:
        return fdatasync(req->fd);
    case FILE_OP_FALLOCATE:
        return fallocate(req->fd, req->mode, req->offset, req->bytes);
    }
    g_assert_not_reached();
}

ssize_t file_request_run_sync(FileRequest *req)
{
    ssize_t ret;

    do {
        ret = run_once(req);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static ssize_t coroutine_fn co_run(FileEngine *engine, FileHandle *file,
                                   FileRequest *req)
{
    ssize_t ret;

    if (file_request_try_inline(file, req, &ret)) {
        return ret;
    }
    if (!engine->ops->takes(file, req)) {
        return file_request_run_in_thread(req);
    }
    return engine->ops->co_run(engine, req);
}

static void zero_iov(const struct iovec *iov, int niov)
{
    for (int i = 0; i < niov; i++) {
        memset(iov[i].iov_base, 0, iov[i].iov_len);
    }
}

/*
 * Do what is left after a first attempt on @qiov transferred @done bytes, in
 * as many steps as it takes.  @req is that attempt.
 */
static int coroutine_fn co_continue(FileEngine *engine, FileHandle *file,
                                    FileRequest *req, const IOVector *qiov,
                                    ssize_t done)
{
    g_autofree struct iovec *copy = NULL;
    int niov = qiov->niov;
    int64_t end = req->offset + (int64_t)qiov->size;

    copy = g_memdup2(qiov->iov, niov * sizeof(struct iovec));
    req->iov = copy;
    for (;;) {
        req->offset += done;
        iov_discard_front(&req->iov, &niov, done);
        if (req->offset == end) {
            return 0;
        }
        if (req->op == FILE_OP_READ &&
            (done == 0 || (file->direct && req->offset % DIRECT_SECTOR))) {
            zero_iov(req->iov, niov);
            return 0;
        }
        if (done == 0) {
            return -EIO;
        }
        req->niov = MIN(niov, IOV_MAX);
        done = co_run(engine, file, req);
        if (done < 0) {
            return (int)done;
        }
    }
}

static FileRequest transfer_request(const FileHandle *file, FileOp op,
                                    int64_t offset, const IOVector *qiov,
                                    int rw_flags)
{
    return (FileRequest) {
        .op = op,
        .fd = file->fd,
        .iov = qiov->iov,
        .niov = MIN(qiov->niov, IOV_MAX),
        .rw_flags = rw_flags,
        .offset = offset,
        .bytes = (int64_t)qiov->size,
    };
}

/* Inline, as far as that goes without any trouble.  Returns how far. */
static size_t coroutine_fn co_slices(FileHandle *file, FileOp op,
                                     int64_t offset, const IOVector *qiov,
                                     int rw_flags)
{
    size_t done = 0;

    for (;;) {
        g_auto(IOVector) slice = { 0 };
        FileRequest req;
        ssize_t ret;

        iov_init_slice(&slice, qiov, done,
                       MIN(INLINE_SLICE, qiov->size - done));
        req = transfer_request(file, op, offset + (int64_t)done, &slice,
                               rw_flags);
        if (!file_request_try_inline(file, &req, &ret) ||
            ret != (ssize_t)slice.size) {
            return done;
        }
        done += slice.size;
        if (done == qiov->size) {
            return done;
        }
        co_reschedule_self();
    }
}

static int coroutine_fn co_transfer_large(FileEngine *engine,
                                          FileHandle *file, FileOp op,
                                          int64_t offset,
                                          const IOVector *qiov, int rw_flags)
{
    size_t done = co_slices(file, op, offset, qiov, rw_flags);
    g_auto(IOVector) rest = { 0 };
    FileRequest req;
    ssize_t ret;

    if (done == qiov->size) {
        return 0;
    }
    iov_init_slice(&rest, qiov, done, qiov->size - done);
    req = transfer_request(file, op, offset + (int64_t)done, &rest, rw_flags);
    ret = co_run(engine, file, &req);
    return ret < 0 ? (int)ret : co_continue(engine, file, &req, &rest, ret);
}

static int coroutine_fn co_transfer(FileEngine *engine, FileHandle *file,
                                    FileOp op, int64_t offset,
                                    const IOVector *qiov, int rw_flags)
{
    FileRequest req;
    ssize_t ret;

    if (qiov->size == 0) {
        return 0;
    }
    if (file->inline_io && qiov->size > INLINE_SLICE) {
        return co_transfer_large(engine, file, op, offset, qiov, rw_flags);
    }
    req = transfer_request(file, op, offset, qiov, rw_flags);
    ret = co_run(engine, file, &req);
    if (G_LIKELY(ret == (ssize_t)qiov->size)) {
        return 0;
    }
    return ret < 0 ? (int)ret : co_continue(engine, file, &req, qiov, ret);
}

int coroutine_fn file_engine_co_preadv(FileEngine *engine, FileHandle *file,
                                       int64_t offset, const IOVector *qiov)
{
    return co_transfer(engine, file, FILE_OP_READ, offset, qiov, 0);
}

int coroutine_fn file_engine_co_pwritev(FileEngine *engine, FileHandle *file,
                                        int64_t offset, const IOVector *qiov,
                                        unsigned flags)
{
    return co_transfer(engine, file, FILE_OP_WRITE, offset, qiov,
                       flags & FILE_IO_FUA ? RWF_DSYNC : 0);
}

int coroutine_fn file_engine_co_fdatasync(FileEngine *engine,
                                          FileHandle *file)
{
    FileRequest req = { .op = FILE_OP_FDATASYNC, .fd = file->fd };

    return (int)co_run(engine, file, &req);
}

int coroutine_fn file_engine_co_fallocate(FileEngine *engine,
                                          FileHandle *file, int mode,
                                          int64_t offset, int64_t bytes)
{
    FileRequest req = {
        .op = FILE_OP_FALLOCATE,
        .fd = file->fd,
        .mode = mode,
        .offset = offset,
        .bytes = bytes,
    };
    int ret;

    /* Twice: while a thread is at it, others look at the same pages. */
    file_handle_forget(file, offset, bytes);
    ret = (int)co_run(engine, file, &req);
    file_handle_forget(file, offset, bytes);
    return ret;
}
