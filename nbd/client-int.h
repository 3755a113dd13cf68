/*
 * NBD client: what its request and reply halves share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_CLIENT_INT_H
#define NBD_CLIENT_INT_H

#include "nbd/client.h"
#include "nbd/protocol.h"
#include "util/co-lock.h"
#include "util/queue.h"

/* Vector elements of one system call */
#define NBD_CLIENT_IOV 128

/* Received at once; many small replies, or the head of a large one */
#define NBD_CLIENT_RX_SIZE (128 * 1024)

/*
 * How much of what follows a large payload is read along with it: a header
 * and not much of the next payload, which can then go to its place directly.
 */
#define NBD_CLIENT_RX_PEEK 512

/* From which size on a payload counts as large: a copy costs more than a call */
#define NBD_CLIENT_RX_LARGE (16 * 1024)

/*
 * Pieces of a read that have arrived and do not touch: more than one only
 * when chunks come out of order.
 */
#define NBD_CLIENT_MAX_PIECES 64

typedef struct NBDPiece {
    uint32_t start;
    uint32_t end;
} NBDPiece;

typedef enum NBDRequestState {
    NBD_REQUEST_QUEUED,         /* the server cannot know of it */
    NBD_REQUEST_SENDING,        /* given to the channel, maybe partly sent */
    NBD_REQUEST_SENT,
} NBDRequestState;

/* A request in flight; lives on the stack of its coroutine. */
typedef struct NBDClientRequest {
    /* Constant */
    Coroutine *co;
    uint64_t offset;
    uint32_t length;
    uint16_t type;
    unsigned slot;
    IOVector *qiov;             /* read: filled; write: sent; else NULL */
    uint8_t header[NBD_REQUEST_SIZE];

    /* Sending */
    NBDRequestState state;
    TAILQ_ENTRY(NBDClientRequest) next;

    /* The reply so far */
    bool answered;              /* wholly; waits to be wholly sent */
    int ret;
    bool have_extent;
    uint32_t extent_length;
    uint32_t extent_state;
    unsigned n_pieces;
    NBDPiece pieces[NBD_CLIENT_MAX_PIECES];
} NBDClientRequest;

struct NBDClient {
    /* Constant */
    IOChannel *ioc;
    NBDExportInfo info;
    NBDClientLostFunc *lost;
    void *opaque;

    bool dead;
    /* Coroutines that are in our code; close waits until there are none. */
    unsigned users;
    CoQueue last_user;

    /* Requests: a cookie is a slot and how often that was used before */
    struct {
        NBDClientRequest *req;
        uint32_t generation;
    } slots[NBD_CLIENT_MAX_REQUESTS];
    uint16_t free_slots[NBD_CLIENT_MAX_REQUESTS];
    unsigned n_free;
    CoQueue slot_queue;

    /* Sending: @sent bytes of the first in the queue are gone already */
    TAILQ_HEAD(, NBDClientRequest) send_queue;
    size_t sent;
    bool sender_waits;          /* a coroutine sleeps until we can send */
    AioTurnEnd turn_end;
    struct iovec tx_iov[NBD_CLIENT_IOV];

    /* Receiving: rx_buf[rx_pos .. rx_len] is not parsed yet */
    size_t rx_pos;
    size_t rx_len;
    size_t rx_limit;            /* how much to receive ahead */
    bool rx_drained;            /* a read now would find nothing */
    struct iovec rx_iov[NBD_CLIENT_IOV];
    uint8_t *rx_buf;
};

/* The first reason counts; what is in flight fails with -ENOTCONN. */
void nbd_client_fail(NBDClient *client, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* A coroutine leaves our code. */
void nbd_client_leave(NBDClient *client);

/* The request of @cookie that the server may know of, or NULL. */
NBDClientRequest *nbd_client_find(NBDClient *client, uint64_t cookie);

/* The whole reply to @req is here: req->ret is final. */
void nbd_client_complete(NBDClient *client, NBDClientRequest *req);

/* Parse replies until the connection is gone. */
void coroutine_fn nbd_client_receiver(void *opaque);

/*
 * Note that [start, end) of a read has arrived.  False if some of it had
 * arrived before, or if there are too many pieces.
 */
bool nbd_request_add_piece(NBDClientRequest *req, uint32_t start,
                           uint32_t end);

#endif
