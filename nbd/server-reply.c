/*
 * NBD server: requests' memory, and replies without data
 *
 * A request counts as in flight until its reply is sent, which bounds what a
 * client that does not read can make us keep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

/* Requests */

NBDServerRequest *nbd_request_new(NBDConnection *conn, const NBDRequest *r)
{
    NBDServerRequest *req = TAILQ_FIRST(&conn->free_requests);

    if (req) {
        TAILQ_REMOVE(&conn->free_requests, req, link);
    } else {
        req = g_new0(NBDServerRequest, 1);
        req->conn = conn;
        TAILQ_INIT(&req->pipes);
    }
    req->cookie = r->cookie;
    req->offset = r->offset;
    req->length = r->length;
    req->type = r->type;
    req->flags = r->flags;
    req->error = 0;
    req->taken = 0;
    if (r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE) {
        conn->in_flight_bytes += r->length;
    }
    conn->in_flight++;
    conn->running++;
    return req;
}

void coroutine_fn nbd_connection_co_wait_slot(NBDConnection *conn)
{
    conn->slot_waiter = coroutine_self();
    coroutine_yield();
}

/*
 * It may find that the connection can be freed: it runs from the loop, never
 * inside of whoever has more to do with the connection.
 */
void nbd_connection_wake_slot_waiter(NBDConnection *conn)
{
    if (conn->slot_waiter) {
        aio_co_schedule(g_steal_pointer(&conn->slot_waiter));
    }
}

void nbd_request_end(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;

    if (req->chunk) {
        nbd_chunk_unref(conn, g_steal_pointer(&req->chunk));
    }
    if (req->buf) {
        nbd_buffer_free(conn->pool, g_steal_pointer(&req->buf),
                        req->buf_size);
    }
    nbd_pipes_free(conn->pool, &req->pipes);
    g_clear_pointer(&req->extra, g_free);
    g_clear_pointer(&req->error_text, g_free);
    if (req->type == NBD_CMD_READ || req->type == NBD_CMD_WRITE) {
        conn->in_flight_bytes -= req->length;
    }
    conn->in_flight--;
    TAILQ_INSERT_HEAD(&conn->free_requests, req, link);
    nbd_connection_wake_slot_waiter(conn);
}

void nbd_request_drop(NBDServerRequest *req)
{
    req->conn->running--;
    nbd_request_end(req);
}

void nbd_connection_free_requests(NBDConnection *conn)
{
    NBDServerRequest *req;

    while ((req = TAILQ_FIRST(&conn->free_requests))) {
        TAILQ_REMOVE(&conn->free_requests, req, link);
        g_free(req);
    }
}

/* Replies */

static void nbd_reply_error_chunk(NBDServerRequest *req, uint16_t type,
                                  int err, int64_t offset)
{
    const char *text = req->error_text ?: g_strerror(err);
    uint8_t *p = req->header + NBD_CHUNK_SIZE;
    size_t len = strlen(text), tail = 0;

    if (type == NBD_REPLY_TYPE_ERROR_OFFSET) {
        tail = NBD_ERROR_OFFSET_SIZE;
        nbd_put64(p + NBD_ERROR_CHUNK_SIZE, offset);
    }
    nbd_chunk_encode(req->header, NBD_REPLY_FLAG_DONE, type, req->cookie,
                     NBD_ERROR_CHUNK_SIZE + len + tail);
    nbd_put32(p, nbd_errno_from_system(err));
    nbd_put16(p + 4, len);
    nbd_reply_add(req, req->header, NBD_CHUNK_SIZE + NBD_ERROR_CHUNK_SIZE);
    nbd_reply_add(req, (void *)text, len);
    if (tail > 0) {
        nbd_reply_add(req, p + NBD_ERROR_CHUNK_SIZE, tail);
    }
    nbd_reply_queue(req);
}

void nbd_reply_status(NBDServerRequest *req, int ret)
{
    if (ret < 0 && req->conn->structured) {
        nbd_reply_error_chunk(req, NBD_REPLY_TYPE_ERROR, -ret, 0);
        return;
    }
    if (req->conn->structured && req->type == NBD_CMD_READ) {
        nbd_chunk_encode(req->header, NBD_REPLY_FLAG_DONE,
                         NBD_REPLY_TYPE_NONE, req->cookie, 0);
        nbd_reply_add(req, req->header, NBD_CHUNK_SIZE);
    } else {
        nbd_simple_reply_encode(req->header,
                                ret < 0 ? nbd_errno_from_system(-ret) : 0,
                                req->cookie);
        nbd_reply_add(req, req->header, NBD_SIMPLE_REPLY_SIZE);
    }
    nbd_reply_queue(req);
}

void nbd_reply_error_at(NBDServerRequest *req, int ret, int64_t offset)
{
    if (req->conn->structured) {
        nbd_reply_error_chunk(req, NBD_REPLY_TYPE_ERROR_OFFSET, -ret, offset);
    } else {
        nbd_reply_status(req, ret);
    }
}
