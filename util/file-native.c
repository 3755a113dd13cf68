/*
 * File engine `native`: Linux AIO by libaio
 *
 * Only O_DIRECT reads and writes are asynchronous there; anything else would
 * block in io_submit(), so it goes to the worker pool.  Submissions of one
 * turn of the loop go to the kernel together at its end.  An eventfd tells
 * of completions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine-int.h"

#include <libaio.h>
#include <sys/eventfd.h>

#define QUEUE_DEPTH 256
#define BATCH 64

typedef struct NativeRequest {
    struct iocb iocb;
    Coroutine *co;
    ssize_t ret;
    STAILQ_ENTRY(NativeRequest) link;
} NativeRequest;

typedef struct NativeEngine {
    FileEngine base;
    io_context_t io;
    int event_fd;
    AioTurnEnd turn_end;
    unsigned in_flight;
    STAILQ_HEAD(, NativeRequest) waiting;
} NativeEngine;

/* Completion */

static void complete(NativeRequest *nr, ssize_t ret)
{
    nr->ret = ret;
    aio_co_wake(nr->co);
}

static void completions_ready(void *opaque)
{
    NativeEngine *ne = opaque;
    struct io_event events[BATCH];
    struct timespec no_wait = { 0 };
    uint64_t count;
    int n;

    if (read(ne->event_fd, &count, sizeof(count)) < 0) {
        /* EAGAIN: the last call collected these, too. */
    }
    do {
        n = io_getevents(ne->io, 0, BATCH, events, &no_wait);
        for (int i = 0; i < n; i++) {
            ne->in_flight--;
            complete(container_of(events[i].obj, NativeRequest, iocb),
                     (ssize_t)(long)events[i].res);
        }
    } while (n == BATCH || n == -EINTR);

    if (!STAILQ_EMPTY(&ne->waiting)) {
        aio_turn_end_arm(&ne->turn_end);
    }
}

/* Submission */

static int gather(NativeEngine *ne, struct iocb **iocbs)
{
    int room = (int)MIN(BATCH, QUEUE_DEPTH - ne->in_flight);
    NativeRequest *nr;
    int n = 0;

    STAILQ_FOREACH(nr, &ne->waiting, link) {
        if (n == room) {
            break;
        }
        iocbs[n++] = &nr->iocb;
    }
    return n;
}

static void submit_all(void *opaque)
{
    NativeEngine *ne = opaque;
    struct iocb *iocbs[BATCH];
    int n, ret;

    while ((n = gather(ne, iocbs)) > 0) {
        ret = io_submit(ne->io, n, iocbs);
        if (ret == -EINTR) {
            continue;
        }
        if (ret == -EAGAIN && ne->in_flight > 0) {
            /* A completion makes room and comes back here. */
            return;
        }
        for (int i = 0; i < ret; i++) {
            STAILQ_REMOVE_HEAD(&ne->waiting, link);
            ne->in_flight++;
        }
        if (ret <= 0) {
            /* The kernel looks at the first one only, then gives up. */
            NativeRequest *nr = STAILQ_FIRST(&ne->waiting);

            STAILQ_REMOVE_HEAD(&ne->waiting, link);
            complete(nr, ret < 0 ? ret : -EIO);
        }
    }
}

static ssize_t coroutine_fn native_co_run(FileEngine *engine,
                                          FileRequest *req)
{
    NativeEngine *ne = container_of(engine, NativeEngine, base);
    NativeRequest nr = { .co = coroutine_self() };

    if (req->op == FILE_OP_READ) {
        io_prep_preadv(&nr.iocb, req->fd, req->iov, req->niov, req->offset);
    } else {
        io_prep_pwritev(&nr.iocb, req->fd, req->iov, req->niov, req->offset);
    }
    nr.iocb.aio_rw_flags = req->rw_flags;
    io_set_eventfd(&nr.iocb, ne->event_fd);

    STAILQ_INSERT_TAIL(&ne->waiting, &nr, link);
    aio_turn_end_arm(&ne->turn_end);
    aio_expect_begin(engine->ctx);
    coroutine_yield();
    aio_expect_end(engine->ctx);

    /* The kernel had no memory for the request, or was interrupted. */
    if (nr.ret == -EAGAIN || nr.ret == -EINTR) {
        return file_request_run_in_thread(req);
    }
    return nr.ret;
}

/* Life */

static FileEngine *native_create(AioContext *ctx, GError **errp)
{
    NativeEngine *ne = g_new0(NativeEngine, 1);
    int ret = io_setup(QUEUE_DEPTH, &ne->io);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot use aio=native: the kernel "
                         "refuses to create a queue%s", ret == -EAGAIN ?
                         " (raise the sysctl fs.aio-max-nr)" : "");
        g_free(ne);
        return NULL;
    }
    ne->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ne->event_fd < 0) {
        error_setg_errno(errp, errno, "Cannot use aio=native: no descriptor "
                         "for completions");
        io_destroy(ne->io);
        g_free(ne);
        return NULL;
    }
    STAILQ_INIT(&ne->waiting);
    aio_turn_end_init(&ne->turn_end, ctx, submit_all, ne);
    aio_set_fd_handler(ctx, ne->event_fd, completions_ready, NULL, ne);
    return &ne->base;
}

static void native_destroy(FileEngine *engine)
{
    NativeEngine *ne = container_of(engine, NativeEngine, base);

    g_assert(ne->in_flight == 0 && STAILQ_EMPTY(&ne->waiting));
    aio_turn_end_disarm(&ne->turn_end);
    aio_set_fd_handler(engine->ctx, ne->event_fd, NULL, NULL, NULL);
    close(ne->event_fd);
    io_destroy(ne->io);
    g_free(ne);
}

static bool native_takes(const FileHandle *file, const FileRequest *req)
{
    return file->direct &&
           (req->op == FILE_OP_READ || req->op == FILE_OP_WRITE);
}

const FileEngineOps file_engine_native = {
    .kind = FILE_ENGINE_NATIVE,
    .create = native_create,
    .destroy = native_destroy,
    .takes = native_takes,
    .co_run = native_co_run,
};
