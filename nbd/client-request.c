/*
 * NBD client: requests and their way out
 *
 * A request takes a slot, queues its header (and payload) and sleeps until
 * the receiver has its reply.  What one turn of the loop queues goes out in
 * one system call at the turn's end; a request that finds nothing in flight
 * goes at once, because nobody would share the call.
 *
 * If the connection is lost, nbd_client_fail() tells the owner, empties slots
 * and queue, and wakes everyone: from then on nobody touches a request of
 * another coroutine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "client-int.h"

#include "util/trace.h"

/* Slots */

static uint64_t make_cookie(const NBDClient *client, unsigned slot)
{
    return (uint64_t)client->slots[slot].generation << 32 | slot;
}

NBDClientRequest *nbd_client_find(NBDClient *client, uint64_t cookie)
{
    uint32_t slot = cookie;
    NBDClientRequest *req;

    if (slot >= NBD_CLIENT_MAX_REQUESTS) {
        return NULL;
    }
    req = client->slots[slot].req;
    if (!req || req->answered || req->state == NBD_REQUEST_QUEUED ||
        make_cookie(client, slot) != cookie) {
        return NULL;
    }
    return req;
}

static void take_slot(NBDClient *client, NBDClientRequest *req)
{
    req->slot = client->free_slots[--client->n_free];
    client->slots[req->slot].req = req;
}

static void free_slot(NBDClient *client, NBDClientRequest *req)
{
    client->slots[req->slot].req = NULL;
    client->slots[req->slot].generation++;
    client->free_slots[client->n_free++] = req->slot;
    co_queue_next(&client->slot_queue);
}

/* The end of a request, the end of the connection */

void nbd_client_complete(NBDClient *client, NBDClientRequest *req)
{
    req->answered = true;
    if (req->state != NBD_REQUEST_SENT) {
        return;                 /* its memory is still needed */
    }
    free_slot(client, req);
    /*
     * Directly rather than through the loop: we are in the receiver or at
     * the turn's end, and what it does next belongs to the same turn.
     */
    coroutine_enter(req->co);
}

static void fail_all(NBDClient *client)
{
    for (unsigned i = 0; i < NBD_CLIENT_MAX_REQUESTS; i++) {
        NBDClientRequest *req = client->slots[i].req;

        if (req) {
            req->ret = -ENOTCONN;
            free_slot(client, req);
            aio_co_wake(req->co);
        }
    }
    co_queue_restart_all(&client->slot_queue);
}

void nbd_client_fail(NBDClient *client, const char *fmt, ...)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *text = NULL;
    va_list ap;

    if (client->dead) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(&reason, "%s", text);
    trace_event(nbd_client_lost, "%s: %s",
                io_channel_peer_name(client->ioc), text);

    client->dead = true;
    client->users++;            /* the waking must not free us */
    io_channel_shutdown(client->ioc);
    aio_turn_end_disarm(&client->turn_end);
    TAILQ_INIT(&client->send_queue);
    if (client->lost) {
        client->lost(client->opaque, reason);
    }
    fail_all(client);
    nbd_client_leave(client);
}

void nbd_client_shutdown(NBDClient *client, const char *reason)
{
    nbd_client_fail(client, "%s", reason);
}

void nbd_client_leave(NBDClient *client)
{
    if (--client->users == 0) {
        co_queue_restart_all(&client->last_user);
    }
}

/* Sending */

/*
 * The unsent rest of the queue as far as it fits into one call.  A channel
 * that encrypts may send part of it and still ask for the call to be made
 * again: from now on the server may know of these requests.
 */
static int gather(NBDClient *client)
{
    size_t skip = client->sent;
    NBDClientRequest *req;
    int n = 0;

    TAILQ_FOREACH(req, &client->send_queue, next) {
        int niov = req->type == NBD_CMD_WRITE ? req->qiov->niov : 0;

        if (n < NBD_CLIENT_IOV) {
            req->state = NBD_REQUEST_SENDING;
        }
        for (int i = -1; i < niov; i++) {
            struct iovec part = i < 0
                ? (struct iovec) { req->header, sizeof(req->header) }
                : req->qiov->iov[i];

            if (n == NBD_CLIENT_IOV) {
                return n;
            }
            if (skip >= part.iov_len) {
                skip -= part.iov_len;
                continue;
            }
            client->tx_iov[n++] = (struct iovec) {
                (char *)part.iov_base + skip, part.iov_len - skip,
            };
            skip = 0;
        }
    }
    return n;
}

/*
 * Completing a request enters its coroutine, which may do anything: look at
 * nothing afterwards but the queue's head and @dead.
 */
static void account_sent(NBDClient *client, size_t bytes)
{
    client->sent += bytes;
    while (!client->dead) {
        NBDClientRequest *req = TAILQ_FIRST(&client->send_queue);
        size_t total;

        if (!req || !client->sent) {
            return;
        }
        total = NBD_REQUEST_SIZE +
                (req->type == NBD_CMD_WRITE ? req->length : 0);
        if (client->sent < total) {
            return;
        }
        client->sent -= total;
        TAILQ_REMOVE(&client->send_queue, req, next);
        req->state = NBD_REQUEST_SENT;
        if (req->answered) {
            nbd_client_complete(client, req);
        }
    }
}

/* Send until nothing is left (0) or the socket is full (-EAGAIN). */
static int send_queued(NBDClient *client)
{
    while (!client->dead && !TAILQ_EMPTY(&client->send_queue)) {
        int niov = gather(client);
        ssize_t ret = io_channel_writev(client->ioc, client->tx_iov, niov);

        if (ret == -EAGAIN) {
            return ret;
        }
        if (ret < 0) {
            nbd_client_fail(client, "Failed to send request: %s",
                            g_strerror(-ret));
            return 0;
        }
        account_sent(client, ret);
    }
    return 0;
}

static void coroutine_fn nbd_client_sender(void *opaque)
{
    NBDClient *client = opaque;

    do {
        io_channel_co_wait(client->ioc, IO_CHANNEL_WRITE);
    } while (send_queued(client) == -EAGAIN);
    client->sender_waits = false;
    nbd_client_leave(client);
}

static void nbd_client_send(void *opaque)
{
    NBDClient *client = opaque;

    if (client->sender_waits) {
        return;
    }
    client->users++;
    /* Nobody else sends while account_sent() enters coroutines. */
    client->sender_waits = true;
    if (send_queued(client) == -EAGAIN) {
        coroutine_start(nbd_client_sender, client);
        return;
    }
    client->sender_waits = false;
    nbd_client_leave(client);
}

/* Requests */

static int coroutine_fn nbd_client_co_request(NBDClient *client,
                                              NBDClientRequest *req,
                                              uint16_t flags)
{
    client->users++;
    while (!client->dead && !client->n_free) {
        co_queue_wait(&client->slot_queue);
    }
    if (client->dead) {
        nbd_client_leave(client);
        return -ENOTCONN;
    }
    take_slot(client, req);
    nbd_request_encode(req->header, flags, req->type,
                       make_cookie(client, req->slot), req->offset,
                       req->length);
    req->co = coroutine_self();
    req->state = NBD_REQUEST_QUEUED;
    TAILQ_INSERT_TAIL(&client->send_queue, req, next);

    if (client->n_free == NBD_CLIENT_MAX_REQUESTS - 1) {
        nbd_client_send(client);
    } else {
        aio_turn_end_arm(&client->turn_end);
    }
    aio_expect_begin(aio_get_current());
    coroutine_yield();
    aio_expect_end(aio_get_current());
    nbd_client_leave(client);
    return req->ret;
}

static void request_init(NBDClientRequest *req, uint16_t type, uint64_t offset,
                         uint32_t bytes, IOVector *qiov)
{
    /* Field by field: the pieces and the header need no clearing. */
    req->type = type;
    req->offset = offset;
    req->length = bytes;
    req->qiov = qiov;
    req->answered = false;
    req->ret = 0;
    req->have_extent = false;
    req->n_pieces = 0;
}

int coroutine_fn nbd_client_co_read(NBDClient *client, uint64_t offset,
                                    uint32_t bytes, IOVector *qiov)
{
    NBDClientRequest req;

    request_init(&req, NBD_CMD_READ, offset, bytes, qiov);
    return nbd_client_co_request(client, &req, 0);
}

int coroutine_fn nbd_client_co_write(NBDClient *client, uint64_t offset,
                                     uint32_t bytes, IOVector *qiov,
                                     uint16_t flags)
{
    NBDClientRequest req;

    request_init(&req, NBD_CMD_WRITE, offset, bytes, qiov);
    return nbd_client_co_request(client, &req, flags);
}

int coroutine_fn nbd_client_co_command(NBDClient *client, uint16_t type,
                                       uint16_t flags, uint64_t offset,
                                       uint32_t bytes)
{
    NBDClientRequest req;

    request_init(&req, type, offset, bytes, NULL);
    return nbd_client_co_request(client, &req, flags);
}

int coroutine_fn nbd_client_co_block_status(NBDClient *client,
                                            uint64_t offset, uint32_t bytes,
                                            uint32_t *length,
                                            uint32_t *state)
{
    NBDClientRequest req;
    int ret;

    request_init(&req, NBD_CMD_BLOCK_STATUS, offset, bytes, NULL);
    ret = nbd_client_co_request(client, &req, NBD_CMD_FLAG_REQ_ONE);
    if (ret == 0) {
        *length = req.extent_length;
        *state = req.extent_state;
    }
    return ret;
}

/* Life */

NBDClient *nbd_client_new(IOChannel *ioc, const NBDExportInfo *info,
                          NBDClientLostFunc *lost, void *opaque)
{
    NBDClient *client = g_new0(NBDClient, 1);

    client->ioc = io_channel_ref(ioc);
    client->info = *info;
    client->lost = lost;
    client->opaque = opaque;
    client->rx_buf = g_malloc(NBD_CLIENT_RX_SIZE);
    client->rx_limit = NBD_CLIENT_RX_SIZE;
    co_queue_init(&client->last_user);
    co_queue_init(&client->slot_queue);
    TAILQ_INIT(&client->send_queue);
    aio_turn_end_init(&client->turn_end, aio_get_current(), nbd_client_send,
                      client);
    for (unsigned i = 0; i < NBD_CLIENT_MAX_REQUESTS; i++) {
        client->free_slots[client->n_free++] = NBD_CLIENT_MAX_REQUESTS - 1 - i;
    }

    client->users++;
    aio_co_schedule(coroutine_create(nbd_client_receiver, client));
    return client;
}

static void say_goodbye(NBDClient *client)
{
    uint8_t header[NBD_REQUEST_SIZE];
    struct iovec iov = { header, sizeof(header) };

    /* Not in the middle of a request; and if the socket is full, not at all. */
    if (!client->dead && TAILQ_EMPTY(&client->send_queue)) {
        nbd_request_encode(header, 0, NBD_CMD_DISC, 0, 0, 0);
        io_channel_writev(client->ioc, &iov, 1);
    }
}

void coroutine_fn nbd_client_co_close(NBDClient *client)
{
    client->lost = NULL;
    say_goodbye(client);
    nbd_client_fail(client, "closed");
    while (client->users) {
        co_queue_wait(&client->last_user);
    }
    io_channel_unref(client->ioc);
    g_free(client->rx_buf);
    g_free(client);
}
