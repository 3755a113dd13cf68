/*
 * NBD server: sending replies
 *
 * Replies are appended to one vector per connection.  It is sent at the end
 * of the loop's turn, earlier if much has come together or nothing else can
 * join it; a coroutine writes the rest when the socket is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#include "util/trace.h"

/* Send what is queued once it is this much. */
#define NBD_TX_BATCH ((size_t)(256 * KiB))

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

/*
 * The client is lost: the reader shall notice, nothing waits to be sent.
 * Unless it left as it should, just without waiting for replies.
 */
static void nbd_tx_broken(NBDConnection *conn, int err)
{
    trace_event(nbd_client_send_failed, "peer %s: %s",
                io_channel_peer_name(conn->plain), strerror(err));
    conn->tx_first = conn->tx_niov = 0;
    nbd_pipes_free(conn->pool, &conn->tx_pipes);
    nbd_tx_sent(conn, conn->tx_bytes);
    if (!conn->said_goodbye) {
        nbd_connection_shutdown(conn);
    }
}

/* One call: memory up to the next pipe, and what that holds. */
static ssize_t nbd_tx_some(NBDConnection *conn)
{
    struct iovec *iov = conn->tx_iov + conn->tx_first;
    int niov = MIN(conn->tx_niov - conn->tx_first, IOV_MAX);
    NBDPipe *pipe = TAILQ_FIRST(&conn->tx_pipes);

    if (pipe) {
        for (int i = 0; i < niov; i++) {
            if (!iov[i].iov_base) {
                return io_channel_writev_pipe(conn->ioc, iov, i, pipe->fd[0],
                                              pipe->bytes);
            }
        }
    }
    return io_channel_writev(conn->ioc, iov, niov);
}

/* @bytes of the pipe that is due are sent. */
static void nbd_tx_pipe_sent(NBDConnection *conn, size_t bytes)
{
    NBDPipe *pipe = TAILQ_FIRST(&conn->tx_pipes);

    pipe->bytes -= bytes;
    if (pipe->bytes == 0) {
        TAILQ_REMOVE(&conn->tx_pipes, pipe, link);
        nbd_pipe_free(conn->pool, pipe);
    }
}

/* @bytes of the vector are sent. */
static void nbd_tx_discard(NBDConnection *conn, size_t bytes)
{
    for (; conn->tx_first < conn->tx_niov; conn->tx_first++) {
        struct iovec *iov = conn->tx_iov + conn->tx_first;
        size_t n = MIN(iov->iov_len, bytes);

        if (!iov->iov_base) {
            nbd_tx_pipe_sent(conn, n);
        } else {
            iov->iov_base = (char *)iov->iov_base + n;
        }
        bytes -= n;
        iov->iov_len -= n;
        if (iov->iov_len > 0) {
            return;
        }
    }
}

/* Send until all is sent (false) or the socket is full (true). */
static bool nbd_tx_step(NBDConnection *conn)
{
    while (conn->tx_first < conn->tx_niov) {
        ssize_t ret = nbd_tx_some(conn);

        if (ret == -EAGAIN) {
            return true;
        }
        if (ret < 0) {
            nbd_tx_broken(conn, -ret);
            return false;
        }
        nbd_tx_discard(conn, ret);
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

/* The queue */

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

void nbd_reply_add_pipes(NBDServerRequest *req)
{
    NBDPipe *pipe;

    TAILQ_FOREACH(pipe, &req->pipes, link) {
        nbd_reply_add(req, NULL, pipe->bytes);
    }
    TAILQ_CONCAT(&req->conn->tx_pipes, &req->pipes, link);
}

void nbd_reply_queue(NBDServerRequest *req)
{
    NBDConnection *conn = req->conn;

    TAILQ_INSERT_TAIL(&conn->tx_queue, req, link);
    conn->running--;
    if (conn->tx_writer) {
        return;
    }
    if (conn->tx_bytes >= NBD_TX_BATCH || conn->tx_hurry ||
        (conn->running == 0 && !conn->parsing)) {
        conn->tx_hurry = false;
        nbd_connection_flush(conn);
    } else {
        aio_turn_end_arm(&conn->tx_turn_end);
    }
}
