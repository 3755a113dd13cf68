/*
 * NBD server: one request
 *
 * Each request is a coroutine: check, wait for the gate, do it, queue the
 * reply.  What completes without waiting never leaves the reader's stack of
 * calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#include "util/trace.h"

/* A piece of the range that CACHE reads at a time */
#define NBD_CACHE_STEP INT64_C(1048576)

/* Checks */

static const struct {
    uint16_t flags;             /* beside FUA, which all commands bear */
    bool writes;
    bool limited;               /* to NBD_MAX_BUFFER_SIZE */
} nbd_commands[] = {
    [NBD_CMD_READ] = { NBD_CMD_FLAG_DF, false, true },
    [NBD_CMD_WRITE] = { 0, true, true },
    [NBD_CMD_FLUSH] = { 0, false, false },
    [NBD_CMD_TRIM] = { 0, true, false },
    [NBD_CMD_CACHE] = { 0, false, true },
    [NBD_CMD_WRITE_ZEROES] = {
        NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO, true, false
    },
    [NBD_CMD_BLOCK_STATUS] = { NBD_CMD_FLAG_REQ_ONE, false, false },
};

static int nbd_request_check_range(const NBDServerRequest *req)
{
    uint64_t size = req->conn->exp->size, offset = req->offset;

    if (offset > size || req->length > size - offset) {
        return req->type == NBD_CMD_WRITE ||
               req->type == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
    }
    return 0;
}

static int nbd_request_check(const NBDServerRequest *req)
{
    const NBDConnection *conn = req->conn;
    uint16_t flags = req->flags & ~NBD_CMD_FLAG_FUA;

    if (req->error) {
        return req->error;
    }
    if (req->type >= ARRAY_SIZE(nbd_commands) || req->type == NBD_CMD_DISC ||
        flags & ~nbd_commands[req->type].flags) {
        return -EINVAL;
    }
    if (nbd_commands[req->type].writes && conn->exp->read_only) {
        return -EPERM;
    }
    if (nbd_commands[req->type].limited &&
        req->length > NBD_MAX_BUFFER_SIZE) {
        return -EINVAL;
    }
    if (req->type == NBD_CMD_FLUSH) {
        return 0;
    }
    if ((flags & NBD_CMD_FLAG_DF) && !conn->structured) {
        return -EINVAL;
    }
    if (req->type == NBD_CMD_BLOCK_STATUS &&
        (req->length == 0 || !conn->meta_export ||
         !(conn->meta[NBD_META_ID_BASE_ALLOCATION] ||
           conn->meta[NBD_META_ID_ALLOCATION_DEPTH]))) {
        return -EINVAL;
    }
    return nbd_request_check_range(req);
}

/* What is known of the export's data may not hold after this. */
static void nbd_forget_data(NBDExport *exp, int64_t offset, int64_t bytes)
{
    if (offset < exp->data_end && offset + bytes > exp->data_start) {
        exp->data_start = exp->data_end = 0;
    }
}

/* Commands.  0 or -errno; >= 1: the reply has been queued. */

static int coroutine_fn nbd_request_co_read(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;
    NBDExport *exp = conn->exp;
    size_t header = NBD_SIMPLE_REPLY_SIZE;
    int ret;

    if (req->length == 0) {
        return 0;
    }
    req->buf = nbd_buffer_new(conn->pool, req->length);
    req->buf_size = req->length;

    if (conn->structured) {
        if (!(req->flags & NBD_CMD_FLAG_DF) &&
            (req->offset < exp->data_start ||
             req->offset + req->length > exp->data_end)) {
            ret = nbd_request_co_read_sparse(req);
            if (ret != 0) {
                return ret;
            }
        }
        header = NBD_CHUNK_SIZE + NBD_OFFSET_DATA_SIZE;
        nbd_chunk_encode(req->header, NBD_REPLY_FLAG_DONE,
                         NBD_REPLY_TYPE_OFFSET_DATA, req->cookie,
                         NBD_OFFSET_DATA_SIZE + req->length);
        nbd_put64(req->header + NBD_CHUNK_SIZE, req->offset);
    } else {
        nbd_simple_reply_encode(req->header, 0, req->cookie);
    }

    iov_init_buf(&req->qiov, req->buf, req->length);
    req->qiov.take = nbd_request_may_take(req) ? nbd_request_take : NULL;
    ret = exp->ops->preadv(exp, req->offset, req->length, &req->qiov);
    if (ret < 0) {
        return ret;
    }
    nbd_reply_add(req, req->header, header);
    nbd_reply_add_pipes(req);
    if (req->taken < req->length) {
        nbd_reply_add(req, (uint8_t *)req->buf + req->taken,
                      req->length - req->taken);
    }
    nbd_reply_queue(req);
    return 1;
}

static int coroutine_fn nbd_request_co_cache(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;
    NBDExport *exp = conn->exp;
    int64_t offset = req->offset, end = req->offset + req->length;
    int ret = 0;

    req->buf_size = MIN(req->length, NBD_CACHE_STEP);
    req->buf = nbd_buffer_new(conn->pool, req->buf_size);
    while (offset < end && ret == 0) {
        int64_t step = MIN(end - offset, NBD_CACHE_STEP);

        iov_init_buf(&req->qiov, req->buf, step);
        ret = nbd_request_co_pass(req);
        if (ret == 0) {
            ret = exp->ops->preadv(exp, offset, step, &req->qiov);
        }
        offset += step;
    }
    return ret;
}

static int coroutine_fn nbd_request_co_run(NBDServerRequest *req)
{
    NBDExport *exp = req->conn->exp;

    switch (req->type) {
    case NBD_CMD_READ:
        return nbd_request_co_read(req);
    case NBD_CMD_BLOCK_STATUS:
        return nbd_request_co_block_status(req);
    case NBD_CMD_FLUSH:
        return exp->ops->flush(exp);
    default:
        break;
    }

    if (req->length == 0) {
        return 0;
    }
    switch (req->type) {
    case NBD_CMD_WRITE:
        return exp->ops->pwritev(exp, req->offset, req->length, &req->qiov,
                                 req->flags);
    case NBD_CMD_WRITE_ZEROES:
        nbd_forget_data(exp, req->offset, req->length);
        return exp->ops->pwrite_zeroes(exp, req->offset, req->length,
                                       req->flags);
    case NBD_CMD_TRIM:
        nbd_forget_data(exp, req->offset, req->length);
        return exp->ops->pdiscard(exp, req->offset, req->length, req->flags);
    case NBD_CMD_CACHE:
        return nbd_request_co_cache(req);
    default:
        g_assert_not_reached();
    }
}

/* Whether the client may write, where the export asks. */
static int nbd_request_check_writer(NBDServerRequest *req)
{
    NBDExport *exp = req->conn->exp;

    if (!nbd_commands[req->type].writes || !exp->ops->may_write ||
        exp->ops->may_write(exp, req->conn, &req->error_text)) {
        return 0;
    }
    return -EPERM;
}

int coroutine_fn nbd_request_co_pass(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;
    int ret = conn->exp->ops->wait(conn->exp, conn->gone ? NULL : conn);

    return conn->closing ? -ECANCELED : ret;
}

void coroutine_fn nbd_request_entry(void *opaque)
{
    NBDServerRequest *req = opaque;
    int ret = nbd_request_check(req);

    if (ret == 0 && req->type != NBD_CMD_FLUSH) {
        ret = nbd_request_co_pass(req);
    }
    if (ret == -ECANCELED || req->conn->closing) {
        /* Cut off: nothing more of this client reaches the disk. */
        nbd_request_drop(req);
        return;
    }
    if (ret == 0) {
        ret = nbd_request_check_writer(req);
    }
    if (ret == 0) {
        ret = nbd_request_co_run(req);
        if (ret > 0) {
            return;
        }
    }
    if (ret < 0) {
        trace_event(nbd_request_failed, "%s offset %" PRId64 " length %"
                    PRIu32 ": %s", nbd_cmd_name(req->type), req->offset,
                    req->length, strerror(-ret));
    }
    nbd_reply_status(req, ret);
}
