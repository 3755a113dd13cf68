/*
 * NBD server: receiving requests
 *
 * One call receives as much as there is; all requests in it are started
 * before the next one.  The payload of a small WRITE is used where it was
 * received.  That of a large one goes straight into a buffer of its own,
 * with nothing but the next header behind it in the same call, so that a
 * stream of large writes is never copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#include "util/trace.h"

/* Fits the second-level cache, and more than 60 writes of 4 KiB */
#define NBD_RX_SIZE ((size_t)(256 * KiB))
/* The struct in front keeps the first payload on a cache line's start. */
#define NBD_RX_DATA_OFFSET 100
#define NBD_RX_CAPACITY (NBD_RX_SIZE - NBD_RX_DATA_OFFSET)

/* A WRITE of this many bytes gets a buffer of its own. */
#define NBD_RX_LARGE ((size_t)(32 * KiB))

/* Less room than this is not worth a system call. */
#define NBD_RX_MIN_ROOM ((size_t)(16 * KiB))

/* So little is moved rather than worked around. */
#define NBD_RX_MOVE_MAX ((size_t)(8 * KiB))

/* Wait before a request while this much is queued for sending. */
#define NBD_TX_HIGH ((size_t)(1 * MiB))

/* A WRITE that is too long is swallowed up to here; then the client is mad. */
#define NBD_RX_SKIP_MAX (2 * (uint32_t)NBD_MAX_BUFFER_SIZE)

/* With so few requests at a time a client may go to sleep until a reply. */
#define NBD_RX_FEW 4

/* The chunk */

static NBDChunkBuf *nbd_chunk_new(NBDConnection *conn)
{
    NBDChunkBuf *chunk = nbd_buffer_new(conn->pool, NBD_RX_SIZE);

    chunk->refs = 1;
    chunk->data = (uint8_t *)chunk + NBD_RX_DATA_OFFSET;
    nbd_pool_warm(conn->pool);
    return chunk;
}

void nbd_chunk_unref(NBDConnection *conn, NBDChunkBuf *chunk)
{
    if (--chunk->refs == 0) {
        nbd_buffer_free(conn->pool, chunk, NBD_RX_SIZE);
    }
}

/*
 * Room for at least @need bytes from rx_pos on.  Where no request holds the
 * chunk it is used from the start again; else it is left to them once full.
 */
static void nbd_rx_make_room(NBDConnection *conn, size_t need)
{
    size_t have = conn->rx_end - conn->rx_pos;
    NBDChunkBuf *old = conn->rx;

    if (!old) {
        conn->rx = nbd_chunk_new(conn);
        conn->rx_pos = conn->rx_end = 0;
        return;
    }
    if (old->refs == 1) {
        if (have <= NBD_RX_MOVE_MAX || NBD_RX_CAPACITY - conn->rx_pos < need) {
            memmove(old->data, old->data + conn->rx_pos, have);
            conn->rx_pos = 0;
            conn->rx_end = have;
        }
        return;
    }
    if (NBD_RX_CAPACITY - conn->rx_pos < need ||
        NBD_RX_CAPACITY - conn->rx_end < NBD_RX_MIN_ROOM) {
        conn->rx = nbd_chunk_new(conn);
        memcpy(conn->rx->data, old->data + conn->rx_pos, have);
        nbd_chunk_unref(conn, old);
        conn->rx_pos = 0;
        conn->rx_end = have;
    }
}

bool nbd_connection_trim(NBDPoolUser *user)
{
    NBDConnection *conn = container_of(user, NBDConnection, pool_user);

    if (conn->activity != conn->trim_activity || conn->in_flight > 0) {
        conn->trim_activity = conn->activity;
        return true;
    }
    if (conn->rx && conn->rx_pos == conn->rx_end) {
        nbd_chunk_unref(conn, g_steal_pointer(&conn->rx));
    }
    nbd_connection_free_requests(conn);
    return conn->rx != NULL;
}

/* Receiving */

/* Sleep until there is something to read; replies do not wait for that. */
static void coroutine_fn nbd_rx_co_wait(NBDConnection *conn)
{
    conn->parsing = false;
    if (conn->running == 0) {
        nbd_connection_flush(conn);
    }
    io_channel_co_wait(conn->ioc, IO_CHANNEL_READ);
    conn->parsing = true;
    conn->rx_drained = false;
}

/*
 * Whether the first reply should not wait for the others: waking somebody up
 * costs more than sending once more, and the sooner it is sent the more often
 * nobody sleeps.  Not so over a unix socket, which is fast enough without.
 */
static bool nbd_rx_client_may_sleep(const NBDConnection *conn)
{
    const NBDExportOps *ops = conn->exp->ops;

    return conn->rx_batch <= NBD_RX_FEW && !conn->rx_large &&
           !conn->is_unix &&
           !(ops->has_polling_clients && ops->has_polling_clients(conn->exp));
}

/*
 * Receive up to @bytes into @buf and then more into the chunk, of which at
 * least @need bytes from rx_pos on are wanted.  Returns the bytes of both
 * together, 0 at the end of the stream, or -errno.
 */
static ssize_t coroutine_fn nbd_rx_co_recv(NBDConnection *conn, void *buf,
                                           size_t bytes, size_t need)
{
    struct iovec iov[2];
    size_t room;
    ssize_t ret;

    for (;;) {
        if (conn->rx_drained) {
            nbd_rx_co_wait(conn);
        }
        nbd_rx_make_room(conn, need);
        room = NBD_RX_CAPACITY - conn->rx_end;
        if (conn->rx_large) {
            room = MIN(room, MAX((size_t)NBD_REQUEST_SIZE,
                                 need - (conn->rx_end - conn->rx_pos)));
        }
        iov[0] = (struct iovec) { buf, bytes };
        iov[1] = (struct iovec) { conn->rx->data + conn->rx_end, room };
        ret = io_channel_readv(conn->ioc, bytes ? iov : iov + 1,
                               bytes ? 2 : 1);
        if (ret != -EAGAIN) {
            break;
        }
        conn->rx_drained = true;
    }
    conn->tx_hurry = nbd_rx_client_may_sleep(conn);
    conn->rx_batch = 0;
    /* TLS gives one record at a time: there may well be more. */
    conn->rx_drained = !conn->tls && ret > 0 && (size_t)ret < bytes + room;
    return ret;
}

/* Have @need bytes at rx_pos, in one piece.  1, 0 at the end, or -errno. */
static int coroutine_fn nbd_rx_co_need(NBDConnection *conn, size_t need)
{
    ssize_t ret;

    while (conn->rx_end - conn->rx_pos < need) {
        ret = nbd_rx_co_recv(conn, NULL, 0, need);
        if (ret <= 0) {
            return ret;
        }
        conn->rx_end += ret;
    }
    return 1;
}

/* Payload */

static int coroutine_fn nbd_rx_co_payload_in_place(NBDConnection *conn,
                                                   NBDServerRequest *req)
{
    int ret = nbd_rx_co_need(conn, req->length);

    if (ret <= 0) {
        return ret;
    }
    iov_init_buf(&req->qiov, conn->rx->data + conn->rx_pos, req->length);
    conn->rx_pos += req->length;
    req->chunk = conn->rx;
    req->chunk->refs++;
    return 1;
}

static int coroutine_fn nbd_rx_co_payload_own(NBDConnection *conn,
                                              NBDServerRequest *req)
{
    size_t have = MIN(conn->rx_end - conn->rx_pos, req->length);
    size_t take;
    ssize_t ret;

    req->buf = nbd_buffer_new(conn->pool, req->length);
    req->buf_size = req->length;
    iov_init_buf(&req->qiov, req->buf, req->length);
    if (have > 0) {
        memcpy(req->buf, conn->rx->data + conn->rx_pos, have);
        conn->rx_pos += have;
    }
    while (have < req->length) {
        ret = nbd_rx_co_recv(conn, (uint8_t *)req->buf + have,
                             req->length - have, NBD_REQUEST_SIZE);
        if (ret <= 0) {
            return ret;
        }
        take = MIN((size_t)ret, req->length - have);
        have += take;
        conn->rx_end += ret - take;
    }
    return 1;
}

/* Payload that nobody wants. */
static int coroutine_fn nbd_rx_co_skip(NBDConnection *conn, uint32_t bytes)
{
    int ret;

    while (bytes > 0) {
        size_t step;

        ret = nbd_rx_co_need(conn, 1);
        if (ret <= 0) {
            return ret;
        }
        step = MIN(bytes, conn->rx_end - conn->rx_pos);
        conn->rx_pos += step;
        bytes -= step;
    }
    return 1;
}

static int coroutine_fn nbd_rx_co_payload(NBDConnection *conn,
                                          NBDServerRequest *req)
{
    int ret;

    conn->rx_large = req->length >= NBD_RX_LARGE;
    if (req->length > NBD_MAX_BUFFER_SIZE) {
        req->error = -EINVAL;
        return nbd_rx_co_skip(conn, req->length);
    }
    /* The client is sending it: a nap would only let the socket run full. */
    aio_expect_begin(aio_get_current());
    ret = conn->rx_large ? nbd_rx_co_payload_own(conn, req) :
                           nbd_rx_co_payload_in_place(conn, req);
    aio_expect_end(aio_get_current());
    return ret;
}

/* Requests */

static bool nbd_rx_has_slot(const NBDConnection *conn, uint32_t bytes)
{
    return conn->in_flight == 0 ||
           (conn->in_flight < NBD_MAX_REQUESTS &&
            conn->in_flight_bytes + bytes <= NBD_MAX_IN_FLIGHT_BYTES &&
            conn->tx_bytes < NBD_TX_HIGH);
}

/*
 * The client has gone: what has not begun never shall.  Where the gate is
 * open nothing has waited, and what the client asked for before it went is
 * read on and done.
 */
static void nbd_rx_hangup(void *opaque)
{
    NBDConnection *conn = opaque;

    conn->exp->ops->cancel_waiting(conn->exp, conn);
}

static void coroutine_fn nbd_rx_co_wait_slot(NBDConnection *conn,
                                             const NBDRequest *r)
{
    uint32_t bytes = r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE ?
                     r->length : 0;

    if (nbd_rx_has_slot(conn, bytes)) {
        return;
    }
    io_channel_set_hangup_handler(conn->plain, nbd_rx_hangup, conn);
    do {
        conn->parsing = false;
        nbd_connection_co_wait_slot(conn);
        conn->parsing = true;
    } while (!nbd_rx_has_slot(conn, bytes));
    io_channel_set_hangup_handler(conn->plain, NULL, NULL);
}

/* The next header is at rx_pos: false if it makes no sense. */
static bool nbd_rx_check_header(NBDConnection *conn, const NBDRequest *r)
{
    if (r->magic != NBD_REQUEST_MAGIC) {
        nbd_connection_fail(conn, "bad magic 0x%" PRIx32 " of a request",
                            r->magic);
        return false;
    }
    if (r->type == NBD_CMD_WRITE && r->length > NBD_RX_SKIP_MAX) {
        nbd_connection_fail(conn, "a write of %" PRIu32 " bytes at offset %"
                            PRIu64 " is more than %d", r->length, r->offset,
                            NBD_MAX_BUFFER_SIZE);
        return false;
    }
    return true;
}

/* One request; false at the end of them all. */
static bool coroutine_fn nbd_rx_co_request(NBDConnection *conn)
{
    NBDServerRequest *req;
    NBDRequest r;

    if (nbd_rx_co_need(conn, NBD_REQUEST_SIZE) <= 0) {
        return false;
    }
    r = nbd_request_decode(conn->rx->data + conn->rx_pos);
    if (!nbd_rx_check_header(conn, &r)) {
        return false;
    }
    if (r.type == NBD_CMD_DISC) {
        conn->said_goodbye = true;
        return false;
    }
    conn->rx_pos += NBD_REQUEST_SIZE;
    if (!nbd_rx_has_slot(conn, NBD_MAX_BUFFER_SIZE)) {
        nbd_rx_co_wait_slot(conn, &r);
    }

    conn->activity++;
    conn->rx_batch++;
    req = nbd_request_new(conn, &r);
    if (r.type == NBD_CMD_WRITE && nbd_rx_co_payload(conn, req) <= 0) {
        trace_event(nbd_client_lost_payload, "peer %s: gone within a write",
                    io_channel_peer_name(conn->plain));
        nbd_request_drop(req);
        return false;
    }
    if (r.type != NBD_CMD_WRITE) {
        conn->rx_large = false;
    }
    coroutine_start(nbd_request_entry, req);
    return true;
}

void coroutine_fn nbd_connection_co_receive(NBDConnection *conn)
{
    conn->parsing = true;
    while (!conn->closing && nbd_rx_co_request(conn)) {
        /* the next one */
    }
    conn->parsing = false;
    nbd_connection_flush(conn);
}
