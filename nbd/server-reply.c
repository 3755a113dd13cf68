/*
 * NBD server: requests' memory, and sending replies
 *
 * Replies are appended to one vector per connection.  It is sent at the end
 * of the loop's turn, earlier if much has come together or nothing else can
 * join it; a coroutine writes the rest when the socket is full.  A request
 * counts as in flight until its reply is sent, which bounds what a client
 * that does not read can make us keep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#include "util/trace.h"

/* Send what is queued once it is this much. */
#define NBD_TX_BATCH ((size_t)(256 * KiB))

/* Requests */

NBDServerRequest *nbd_request_new(NBDConnection *conn, const NBDRequest *r)
{
    NBDServerRequest *req = TAILQ_FIRST(&conn->free_requests);

    if (req) {
        TAILQ_REMOVE(&conn->free_requests, req, link);
    } else {
        req = g_new0(NBDServerRequest, 1);
        req->conn = conn;
    }
    req->cookie = r->cookie;
    req->offset = r->offset;
    req->length = r->length;
    req->type = r->type;
    req->flags = r->flags;
    req->error = 0;
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
 * The reader may find that the connection can be freed: it runs from the
 * loop, never inside of whoever has more to do with the connection.
 */
static void nbd_connection_wake_slot_waiter(NBDConnection *conn)
{
    if (conn->slot_waiter) {
        aio_co_schedule(g_steal_pointer(&conn->slot_waiter));
    }
}

/* The end of @req: its memory is recycled, its slot is free. */
static void nbd_request_end(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;

    if (req->chunk) {
        nbd_chunk_unref(conn, g_steal_pointer(&req->chunk));
    }
    if (req->buf) {
        nbd_buffer_free(conn->pool, g_steal_pointer(&req->buf),
                        req->buf_size);
    }
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

/* Sending */

/* @bytes of the queue are sent. */
static void nbd_tx_sent(NBDConnection *conn, size_t bytes)
{
    NBDServerRequest *req;

    conn->tx_bytes -= bytes;
    while ((req = TAILQ_FIRST(&conn->tx_queue)) && req->tx_bytes <= bytes) {
        bytes -= req->tx_bytes;
        req->tx_bytes = 0;
        TAILQ_REMOVE(&conn->tx_queue, req, link);
        nbd_request_end(req);
    }
    if (req) {
        req->tx_bytes -= bytes;
    }
}

/* The client is lost: the reader shall notice, nothing waits to be sent. */
static void nbd_tx_broken(NBDConnection *conn, int err)
{
    trace_event(nbd_client_send_failed, "peer %s: %s",
                io_channel_peer_name(conn->plain), strerror(err));
    conn->tx_first = conn->tx_niov = 0;
    nbd_tx_sent(conn, conn->tx_bytes);
    nbd_connection_shutdown(conn);
}

/* Send until all is sent (false) or the socket is full (true). */
static bool nbd_tx_step(NBDConnection *conn)
{
    while (conn->tx_first < conn->tx_niov) {
        struct iovec *iov = conn->tx_iov + conn->tx_first;
        int niov = conn->tx_niov - conn->tx_first;
        ssize_t ret = io_channel_writev(conn->ioc, iov, MIN(niov, IOV_MAX));

        if (ret == -EAGAIN) {
            return true;
        }
        if (ret < 0) {
            nbd_tx_broken(conn, -ret);
            return false;
        }
        iov_discard_front(&iov, &niov, ret);
        conn->tx_first = conn->tx_niov - niov;
        nbd_tx_sent(conn, ret);
    }
    conn->tx_first = conn->tx_niov = 0;
    return false;
}

/* Writes on while the socket is full now and then. */
static void coroutine_fn nbd_tx_writer_entry(void *opaque)
{
    NBDConnection *conn = opaque;

    do {
        io_channel_co_wait(conn->ioc, IO_CHANNEL_WRITE);
    } while (nbd_tx_step(conn));
    conn->tx_writer = false;
    nbd_connection_wake_slot_waiter(conn);
}

void nbd_connection_flush(NBDConnection *conn)
{
    if (conn->tx_writer) {
        return;
    }
    aio_turn_end_disarm(&conn->tx_turn_end);

    /* The end of the last reply wakes who frees @conn: not before we return */
    conn->in_flight++;
    if (nbd_tx_step(conn)) {
        conn->tx_writer = true;
        coroutine_start(nbd_tx_writer_entry, conn);
    }
    conn->in_flight--;
    nbd_connection_wake_slot_waiter(conn);
}

void nbd_turn_end(void *opaque)
{
    nbd_connection_flush(opaque);
}

/* Replies */

static void nbd_tx_grow(NBDConnection *conn)
{
    unsigned n = conn->tx_niov - conn->tx_first;

    if (conn->tx_first > n) {
        memmove(conn->tx_iov, conn->tx_iov + conn->tx_first,
                n * sizeof(conn->tx_iov[0]));
        conn->tx_first = 0;
        conn->tx_niov = n;
        return;
    }
    conn->tx_alloc = MAX(16u, conn->tx_alloc * 2);
    conn->tx_iov = g_renew(struct iovec, conn->tx_iov, conn->tx_alloc);
}

void nbd_reply_add(NBDServerRequest *req, void *buf, size_t bytes)
{
    NBDConnection *conn = req->conn;

    if (conn->tx_niov == conn->tx_alloc) {
        nbd_tx_grow(conn);
    }
    conn->tx_iov[conn->tx_niov++] = (struct iovec) { buf, bytes };
    conn->tx_bytes += bytes;
    req->tx_bytes += bytes;
}

void nbd_reply_queue(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;

    TAILQ_INSERT_TAIL(&conn->tx_queue, req, link);
    conn->running--;
    if (conn->tx_writer) {
        return;
    }
    if (conn->tx_bytes >= NBD_TX_BATCH ||
        (conn->running == 0 && !conn->parsing)) {
        nbd_connection_flush(conn);
    } else {
        aio_turn_end_arm(&conn->tx_turn_end);
    }
}

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
