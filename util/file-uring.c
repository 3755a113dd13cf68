/*
 * File engine `io_uring`
 *
 * Submissions of one turn of the loop go to the kernel together at its end,
 * by one system call, which often brings results back at once.  Later ones
 * make the ring's descriptor readable.
 *
 * Not more than the ring holds is in flight, so that completions never
 * overflow; what comes on top waits in a list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine-int.h"

#include <liburing.h>
#ifdef CONFIG_VALGRIND_H
#include <valgrind/memcheck.h>
#endif

#define RING_ENTRIES 256

typedef struct UringRequest {
    FileRequest *req;
    Coroutine *co;
    int ret;
    STAILQ_ENTRY(UringRequest) link;
} UringRequest;

typedef struct UringEngine {
    FileEngine base;
    struct io_uring ring;
    AioTurnEnd turn_end;
    unsigned in_flight;         /* in the ring, submitted or not */
    STAILQ_HEAD(, UringRequest) waiting;
} UringEngine;

/* Submission */

static void prepare_transfer(struct io_uring_sqe *sqe, const FileRequest *req)
{
    bool write = req->op == FILE_OP_WRITE;
    const struct iovec *iov = req->iov;

    if (req->niov == 1) {
        io_uring_prep_rw(write ? IORING_OP_WRITE : IORING_OP_READ, sqe,
                         req->fd, iov->iov_base, iov->iov_len, req->offset);
    } else {
        io_uring_prep_rw(write ? IORING_OP_WRITEV : IORING_OP_READV, sqe,
                         req->fd, iov, req->niov, req->offset);
    }
    sqe->rw_flags = req->rw_flags;
}

static void prepare(struct io_uring_sqe *sqe, UringRequest *ur)
{
    const FileRequest *req = ur->req;

    switch (req->op) {
    case FILE_OP_READ:
    case FILE_OP_WRITE:
        prepare_transfer(sqe, req);
        break;
    case FILE_OP_FDATASYNC:
        io_uring_prep_fsync(sqe, req->fd, IORING_FSYNC_DATASYNC);
        break;
    case FILE_OP_FALLOCATE:
        io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, req->fd,
                         (const void *)(uintptr_t)req->bytes,
                         (unsigned)req->mode, req->offset);
        break;
    }
    io_uring_sqe_set_data(sqe, ur);
}

/* Put what waits into the ring as long as there is room. */
static void fill_ring(UringEngine *ue)
{
    UringRequest *ur;

    while (ue->in_flight < RING_ENTRIES && (ur = STAILQ_FIRST(&ue->waiting))) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ue->ring);

        if (!sqe) {
            return;
        }
        STAILQ_REMOVE_HEAD(&ue->waiting, link);
        prepare(sqe, ur);
        ue->in_flight++;
    }
}

/* Completion */

static void complete_all(UringEngine *ue)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&ue->ring, &cqe) == 0) {
        UringRequest *ur = io_uring_cqe_get_data(cqe);

        ur->ret = cqe->res;
        io_uring_cqe_seen(&ue->ring, cqe);
        ue->in_flight--;
        aio_co_wake(ur->co);
    }
    if (!STAILQ_EMPTY(&ue->waiting) && ue->in_flight < RING_ENTRIES) {
        aio_turn_end_arm(&ue->turn_end);
    }
}

static void ring_readable(void *opaque)
{
    complete_all(opaque);
}

static void submit_all(void *opaque)
{
    UringEngine *ue = opaque;
    int ret;

    fill_ring(ue);
    if (io_uring_sq_ready(&ue->ring) > 0) {
        ret = io_uring_submit(&ue->ring);
        if (ret < 0 && ret != -EAGAIN && ret != -EBUSY && ret != -EINTR) {
            g_error("io_uring_enter failed: %s", g_strerror(-ret));
        }
        if (io_uring_sq_ready(&ue->ring) > 0) {
            /* Out of memory for a moment: again in the next turn. */
            aio_turn_end_arm(&ue->turn_end);
        }
    }
    complete_all(ue);
}

/* valgrind does not see the kernel write into our memory. */
static void tell_valgrind(const FileRequest *req, ssize_t bytes)
{
#ifdef CONFIG_VALGRIND_H
    if (!RUNNING_ON_VALGRIND || req->op != FILE_OP_READ) {
        return;
    }
    for (int i = 0; i < req->niov && bytes > 0; i++) {
        VALGRIND_MAKE_MEM_DEFINED(req->iov[i].iov_base,
                                  MIN((size_t)bytes, req->iov[i].iov_len));
        bytes -= req->iov[i].iov_len;
    }
#endif
}

static ssize_t coroutine_fn uring_co_run(FileEngine *engine, FileRequest *req)
{
    UringEngine *ue = container_of(engine, UringEngine, base);
    UringRequest ur = { .req = req, .co = coroutine_self() };

    STAILQ_INSERT_TAIL(&ue->waiting, &ur, link);
    aio_turn_end_arm(&ue->turn_end);
    aio_expect_begin(engine->ctx);
    coroutine_yield();
    aio_expect_end(engine->ctx);

    /* The kernel could not go on without blocking, or was interrupted. */
    if (ur.ret == -EAGAIN || ur.ret == -EINTR) {
        return file_request_run_in_thread(req);
    }
    tell_valgrind(req, ur.ret);
    return ur.ret;
}

/* Life */

static int ring_init(struct io_uring *ring)
{
    struct io_uring_params params = { .flags = 0 };
    int ret;

    /* Do not interrupt the loop for each completion, if the kernel can. */
#ifdef IORING_SETUP_COOP_TASKRUN
    params.flags = IORING_SETUP_COOP_TASKRUN;
#endif
    ret = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
    if (ret == -EINVAL) {
        params = (struct io_uring_params) { .flags = 0 };
        ret = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
    }
    return ret;
}

static FileEngine *uring_create(AioContext *ctx, GError **errp)
{
    UringEngine *ue = g_new0(UringEngine, 1);
    int ret = ring_init(&ue->ring);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot use aio=io_uring: the kernel "
                         "refuses to create a ring");
        g_free(ue);
        return NULL;
    }
    STAILQ_INIT(&ue->waiting);
    aio_turn_end_init(&ue->turn_end, ctx, submit_all, ue);
    aio_set_fd_handler(ctx, ue->ring.ring_fd, ring_readable, NULL, ue);
    return &ue->base;
}

static void uring_destroy(FileEngine *engine)
{
    UringEngine *ue = container_of(engine, UringEngine, base);

    g_assert(ue->in_flight == 0 && STAILQ_EMPTY(&ue->waiting));
    aio_turn_end_disarm(&ue->turn_end);
    aio_set_fd_handler(engine->ctx, ue->ring.ring_fd, NULL, NULL, NULL);
    io_uring_queue_exit(&ue->ring);
    g_free(ue);
}

static bool uring_takes(const FileHandle *file, const FileRequest *req)
{
    return true;
}

const FileEngineOps file_engine_io_uring = {
    .kind = FILE_ENGINE_IO_URING,
    .create = uring_create,
    .destroy = uring_destroy,
    .takes = uring_takes,
    .co_run = uring_co_run,
};
