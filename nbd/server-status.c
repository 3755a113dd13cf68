/*
 * NBD server: BLOCK_STATUS, and READ as data and holes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

/* Extents in one answer to BLOCK_STATUS */
#define NBD_MAX_EXTENTS 2048

/* Chunks in one answer to READ; the rest of a very patchy range is data. */
#define NBD_MAX_READ_CHUNKS 128

/*
 * How far a look ahead for data goes, so that the reads that follow need not
 * ask again.
 */
#define NBD_LOOK_AHEAD (1 * GiB)

typedef struct NBDExtent {
    int64_t bytes;
    uint32_t flags;
} NBDExtent;

typedef int coroutine_fn NBDStatusFunc(NBDExport *exp, int64_t offset,
                                       int64_t bytes, int64_t *pnum);

/*
 * Collect the extents of a range, like ones joined.  Returns their number,
 * which cover at least one byte of it, or -errno.
 */
static int coroutine_fn nbd_co_extents(NBDServerRequest *req,
                                       NBDStatusFunc *status, int64_t offset,
                                       int64_t bytes, NBDExtent *extents,
                                       int max)
{
    int n = 0;

    while (bytes > 0) {
        int64_t pnum = 0;
        int flags = nbd_request_co_pass(req);

        if (flags == 0) {
            flags = status(req->conn->exp, offset, bytes, &pnum);
        }
        if (flags < 0) {
            return n > 0 ? n : flags;
        }
        /* The disk became shorter meanwhile */
        if (pnum <= 0) {
            return n > 0 ? n : -EINVAL;
        }
        if (n > 0 && extents[n - 1].flags == (uint32_t)flags) {
            extents[n - 1].bytes += pnum;
        } else if (n == max) {
            break;
        } else {
            extents[n++] = (NBDExtent) { pnum, flags };
        }
        offset += pnum;
        bytes -= pnum;
    }
    return n;
}

/* BLOCK_STATUS */

/* The chunk of one context: header, id and the extents behind. */
static size_t nbd_status_chunk(uint8_t *p, const NBDServerRequest *req,
                               unsigned id, bool last,
                               const NBDExtent *extents, int n)
{
    size_t payload = NBD_CONTEXT_ID_SIZE + (size_t)n * NBD_EXTENT_SIZE;
    int i;

    nbd_chunk_encode(p, last ? NBD_REPLY_FLAG_DONE : 0,
                     NBD_REPLY_TYPE_BLOCK_STATUS, req->cookie, payload);
    p += NBD_CHUNK_SIZE;
    nbd_put32(p, id);
    p += NBD_CONTEXT_ID_SIZE;
    for (i = 0; i < n; i++, p += NBD_EXTENT_SIZE) {
        nbd_put32(p, extents[i].bytes);
        nbd_put32(p + 4, extents[i].flags);
    }
    return NBD_CHUNK_SIZE + payload;
}

int coroutine_fn nbd_request_co_block_status(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;
    NBDExport *exp = conn->exp;
    NBDStatusFunc *const status[NBD_META_ID__MAX] = {
        [NBD_META_ID_BASE_ALLOCATION] = exp->ops->block_status,
        [NBD_META_ID_ALLOCATION_DEPTH] = exp->ops->allocation_depth,
    };
    int max = req->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : NBD_MAX_EXTENTS;
    g_autofree NBDExtent *extents = g_new(NBDExtent, max);
    size_t used = 0;
    unsigned id;

    for (id = 0; id < NBD_META_ID__MAX; id++) {
        bool last = id == NBD_META_ID__MAX - 1 || !conn->meta[id + 1];
        int n;

        if (!conn->meta[id]) {
            continue;
        }
        n = nbd_co_extents(req, status[id], req->offset, req->length,
                           extents, max);
        if (n < 0) {
            return n;
        }
        req->extra = g_realloc(req->extra, used + NBD_CHUNK_SIZE +
                               NBD_CONTEXT_ID_SIZE +
                               (size_t)n * NBD_EXTENT_SIZE);
        used += nbd_status_chunk((uint8_t *)req->extra + used, req, id, last,
                                 extents, n);
    }
    nbd_reply_add(req, req->extra, used);
    nbd_reply_queue(req);
    return 1;
}

/* READ */

/* Chunk headers are that far apart in req->extra. */
#define NBD_READ_HEADER_SIZE \
    (NBD_CHUNK_SIZE + MAX(NBD_OFFSET_DATA_SIZE, NBD_OFFSET_HOLE_SIZE))

/* One chunk of the reply: a hole, or data that lies in req->buf. */
static void nbd_read_add_chunk(NBDServerRequest *req, uint8_t *p,
                               int64_t offset, const NBDExtent *e, bool last)
{
    uint16_t flags = last ? NBD_REPLY_FLAG_DONE : 0;

    nbd_put64(p + NBD_CHUNK_SIZE, offset);
    if (e->flags & NBD_STATE_ZERO) {
        nbd_chunk_encode(p, flags, NBD_REPLY_TYPE_OFFSET_HOLE, req->cookie,
                         NBD_OFFSET_HOLE_SIZE);
        nbd_put32(p + NBD_CHUNK_SIZE + NBD_OFFSET_DATA_SIZE, e->bytes);
        nbd_reply_add(req, p, NBD_CHUNK_SIZE + NBD_OFFSET_HOLE_SIZE);
        return;
    }
    nbd_chunk_encode(p, flags, NBD_REPLY_TYPE_OFFSET_DATA, req->cookie,
                     NBD_OFFSET_DATA_SIZE + e->bytes);
    nbd_reply_add(req, p, NBD_CHUNK_SIZE + NBD_OFFSET_DATA_SIZE);
    nbd_reply_add(req, (uint8_t *)req->buf + (offset - req->offset),
                  e->bytes);
}

/* Read what is data and reply; -errno, or 1 with an error already queued. */
static int coroutine_fn nbd_read_co_chunks(NBDServerRequest *req,
                                           const NBDExtent *extents,
                                           unsigned n)
{
    NBDExport *exp = req->conn->exp;
    int64_t offset = req->offset;
    unsigned i;
    int ret;

    for (i = 0; i < n; offset += extents[i++].bytes) {
        if (extents[i].flags & NBD_STATE_ZERO) {
            continue;
        }
        iov_init_buf(&req->qiov, (uint8_t *)req->buf + (offset - req->offset),
                     extents[i].bytes);
        ret = nbd_request_co_pass(req);
        if (ret == 0) {
            ret = exp->ops->preadv(exp, offset, extents[i].bytes, &req->qiov);
        }
        if (ret < 0) {
            nbd_reply_error_at(req, ret, offset);
            return 1;
        }
    }

    req->extra = g_malloc_n(n, NBD_READ_HEADER_SIZE);
    offset = req->offset;
    for (i = 0; i < n; offset += extents[i++].bytes) {
        nbd_read_add_chunk(req, (uint8_t *)req->extra +
                           (size_t)i * NBD_READ_HEADER_SIZE, offset,
                           &extents[i], i == n - 1);
    }
    nbd_reply_queue(req);
    return 1;
}

/*
 * The first extent of the range.  The look goes further than the request, and
 * where it finds data the export remembers how far, for the reads that follow.
 */
static NBDExtent coroutine_fn nbd_read_co_first_extent(NBDServerRequest *req)
{
    NBDExport *exp = req->conn->exp;
    int64_t pnum = 0, ahead = MIN(exp->size - req->offset, NBD_LOOK_AHEAD);
    int flags;

    flags = exp->ops->block_status(exp, req->offset,
                                   MAX(ahead, (int64_t)req->length), &pnum);
    if (flags < 0 || pnum <= 0) {
        /* Nothing is known: it is data, the read itself will tell. */
        return (NBDExtent) { req->length, 0 };
    }
    if (!(flags & NBD_STATE_ZERO)) {
        exp->data_start = req->offset;
        exp->data_end = req->offset + pnum;
    }
    return (NBDExtent) { MIN(pnum, (int64_t)req->length), flags };
}

int coroutine_fn nbd_request_co_read_sparse(NBDServerRequest *req)
{
    NBDExport *exp = req->conn->exp;
    NBDExtent first = nbd_read_co_first_extent(req);
    g_autofree NBDExtent *extents = NULL;
    int64_t left = req->length - first.bytes;
    int i, n;

    if (left == 0) {
        return first.flags & NBD_STATE_ZERO ?
               nbd_read_co_chunks(req, &first, 1) : nbd_request_co_pass(req);
    }

    extents = g_new(NBDExtent, NBD_MAX_READ_CHUNKS + 1);
    extents[0] = first;
    n = nbd_co_extents(req, exp->ops->block_status,
                       req->offset + first.bytes, left, extents + 1,
                       NBD_MAX_READ_CHUNKS - 1);
    n = MAX(n, 0) + 1;
    for (i = 1; i < n; i++) {
        left -= extents[i].bytes;
    }
    if (left > 0) {
        extents[n++] = (NBDExtent) { left, 0 };
    }
    return nbd_read_co_chunks(req, extents, n);
}
