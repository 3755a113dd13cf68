/*
 * NBD server: what its files share
 *
 * A connection is one coroutine that negotiates and then reads requests;
 * each request is a coroutine of its own.  Replies are queued and sent
 * together; a writer coroutine exists only while the socket is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_SERVER_INT_H
#define NBD_SERVER_INT_H

#include "nbd/protocol.h"
#include "nbd/server.h"
#include "util/co-lock.h"

/* Requests of one connection that are not answered yet, and their payload */
#define NBD_MAX_REQUESTS 128
#define NBD_MAX_IN_FLIGHT_BYTES (64 * MiB)

/*
 * Recycled memory for payload, shared by the connections of a context.  It
 * shrinks to nothing when the connections have been idle for a while.
 */
typedef struct NBDPool NBDPool;

NBDPool *nbd_pool_get(AioContext *ctx);
/* Aligned to 4096 bytes. */
void *nbd_buffer_new(NBDPool *pool, size_t bytes);
void nbd_buffer_free(NBDPool *pool, void *buf, size_t bytes);
/* Call @cb after a quiet while, again while it returns true. */
typedef struct NBDPoolUser {
    /* Give back what is not needed; false: nothing is left to give back. */
    bool (*trim)(struct NBDPoolUser *user);
    LIST_ENTRY(NBDPoolUser) next;
} NBDPoolUser;
void nbd_pool_add_user(NBDPool *pool, NBDPoolUser *user);
void nbd_pool_remove_user(NBDPoolUser *user);
/* Something was taken that can be given back. */
void nbd_pool_warm(NBDPool *pool);

/* References to a file's pages on their way to a socket: server-pipe.c */
typedef struct NBDPipe {
    int fd[2];
    size_t bytes;               /* in it */
    TAILQ_ENTRY(NBDPipe) link;
} NBDPipe;

typedef TAILQ_HEAD(, NBDPipe) NBDPipeQueue;

/* The part of an NBDPool that is about pipes */
typedef struct NBDPipePool {
    NBDPipeQueue free;
    unsigned n;                 /* pipes in all */
    unsigned n_free, low_free;  /* low: the least of it since the last trim */
    bool refused;               /* by the kernel: do not ask for a while */
} NBDPipePool;

NBDPipePool *nbd_pool_pipes(NBDPool *pool);
void nbd_pipe_pool_init(NBDPipePool *pool);
/* See NBDPoolUser. */
bool nbd_pipe_pool_trim(NBDPipePool *pool);
void nbd_pipe_pool_destroy(NBDPipePool *pool);
/* One, or all of a queue, which may hold bytes still. */
void nbd_pipe_free(NBDPool *pool, NBDPipe *pipe);
void nbd_pipes_free(NBDPool *pool, NBDPipeQueue *queue);

/* Received bytes: requests whose payload lies in them hold a reference. */
typedef struct NBDChunkBuf {
    unsigned refs;
    uint8_t *data;
} NBDChunkBuf;

typedef enum NBDMetaContext {
    NBD_META_ID_BASE_ALLOCATION,
    NBD_META_ID_ALLOCATION_DEPTH,
    NBD_META_ID__MAX,
} NBDMetaContext;

/* One request, from its header to the last byte of its reply. */
typedef struct NBDServerRequest {
    NBDConnection *conn;
    uint64_t cookie;
    int64_t offset;
    uint32_t length;
    uint16_t type;
    uint16_t flags;

    int error;                  /* refused before it ran: -errno */
    IOVector qiov;              /* payload */
    NBDChunkBuf *chunk;         /* what holds the payload, or NULL */
    void *buf;                  /* payload of either way, or NULL */
    size_t buf_size;

    /* READ: the front of the payload, not in @buf */
    NBDPipeQueue pipes;
    size_t taken;

    /* Reply */
    void *extra;                /* headers that do not fit; g_free */
    char *error_text;           /* in place of the errno's; g_free */
    size_t tx_bytes;            /* not sent yet */
    uint8_t header[64];
    TAILQ_ENTRY(NBDServerRequest) link; /* reply queue, or the free list */
} NBDServerRequest;

typedef TAILQ_HEAD(, NBDServerRequest) NBDRequestQueue;

struct NBDConnection {
    /* Constant */
    NBDServer *server;
    NBDPool *pool;
    bool is_unix;               /* the socket */
    LIST_ENTRY(NBDConnection) next_in_server;

    /* Negotiated, constant in transmission */
    IOChannel *plain;           /* the socket */
    IOChannel *ioc;             /* the socket, or TLS over it */
    bool fixed_newstyle;
    bool no_zeroes;
    bool tls;
    bool structured;
    bool meta[NBD_META_ID__MAX];
    char *meta_export;          /* the export that @meta is for */
    NBDExport *exp;             /* the chosen one; holds a reference */
    LIST_ENTRY(NBDConnection) next_in_export;
    AioTimer deadline;
    GByteArray *option_out;     /* replies to one option, sent together */

    /* Receiving: the reader's */
    NBDChunkBuf *rx;            /* NULL: none needed just now */
    size_t rx_pos, rx_end;      /* received and not looked at */
    bool rx_drained;            /* the socket was empty a moment ago */
    bool rx_large;              /* the last payload was a large one */
    unsigned rx_batch;          /* requests in what was received last */
    bool parsing;               /* more requests may follow at once */
    bool said_goodbye;          /* NBD_CMD_DISC */
    NBDPoolUser pool_user;
    unsigned activity;          /* changes with each request */
    unsigned trim_activity;

    /* Requests */
    unsigned in_flight;         /* until the reply is sent */
    unsigned running;           /* until the reply is queued */
    size_t in_flight_bytes;
    NBDRequestQueue free_requests;
    Coroutine *slot_waiter;     /* the reader, while it waits for them */
    bool gone;                  /* the client is lost: nobody waits for it */
    bool closing;               /* it was cut off */

    /* Sending */
    NBDRequestQueue tx_queue;
    struct iovec *tx_iov;       /* no base: the next one of tx_pipes */
    NBDPipeQueue tx_pipes;
    unsigned tx_niov, tx_first, tx_alloc;
    size_t tx_bytes;
    AioTurnEnd tx_turn_end;
    bool tx_hurry;              /* the next reply does not wait for others */
    bool tx_writer;             /* the writer coroutine runs */
};

/* server.c */
void nbd_connection_fail(NBDConnection *conn, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);
/*
 * Cut it off.  Outside of coroutines it may be gone when this returns.  The
 * same holds for nbd_connection_fail(), which reports a reason and does this.
 */
void nbd_connection_shutdown(NBDConnection *conn);
TLSCreds *nbd_server_creds(const NBDServer *server);
const char *nbd_server_authz(const NBDServer *server);
NBDExport *nbd_server_next_export(NBDServer *server, NBDExport *exp);

/*
 * server-handshake.c: talk until the client has an export in conn->exp.
 * False: the connection ends (a reason worth a line has been reported).
 */
bool coroutine_fn nbd_connection_co_handshake(NBDConnection *conn);

/* server-options.c: one option.  Data is complete. */
typedef enum NBDOptionResult {
    NBD_OPTION_NEXT,            /* answered, go on */
    NBD_OPTION_TRANSMIT,        /* answered, conn->exp is chosen */
    NBD_OPTION_START_TLS,       /* acknowledged, shake hands */
    NBD_OPTION_CLOSE,           /* close once the answer is sent */
} NBDOptionResult;
NBDOptionResult nbd_connection_option(NBDConnection *conn, uint32_t option,
                                      const uint8_t *data, uint32_t length);
uint16_t nbd_connection_export_flags(const NBDConnection *conn,
                                     const NBDExport *exp);
void nbd_option_reply(NBDConnection *conn, uint32_t option, uint32_t type,
                      const void *data, size_t length);
void nbd_option_reply_error(NBDConnection *conn, uint32_t option,
                            uint32_t type, const char *fmt, ...)
    G_GNUC_PRINTF(4, 5);

/* A reader of option data: takes from the front, fails for good at the end. */
typedef struct NBDParser {
    const uint8_t *p;
    size_t left;
    bool failed;
} NBDParser;
uint16_t nbd_parse_u16(NBDParser *in);
uint32_t nbd_parse_u32(NBDParser *in);
/* UTF-8 of @length bytes; NULL (failed) if it is too long or none. */
char *nbd_parse_string(NBDParser *in, uint32_t length);

/* server-meta.c */
NBDOptionResult nbd_option_meta_context(NBDConnection *conn, uint32_t option,
                                        NBDParser *in);

/* server-receive.c: read requests until the connection ends. */
void coroutine_fn nbd_connection_co_receive(NBDConnection *conn);
void nbd_chunk_unref(NBDConnection *conn, NBDChunkBuf *chunk);
bool nbd_connection_trim(NBDPoolUser *user);

/* server-request.c: the coroutine of one request. */
void coroutine_fn nbd_request_entry(void *opaque);
/*
 * Before a request begins, or goes on after it has slept: the gate may have
 * closed, the client may have left.  0 or -ECANCELED.
 */
int coroutine_fn nbd_request_co_pass(NBDServerRequest *req);

/* server-pipe.c: READ without copying, if nbd_request_may_take(). */
bool nbd_request_may_take(const NBDServerRequest *req);
/* An IOVTakeFunc, for req->qiov */
size_t nbd_request_take(const IOVector *qiov, int fd, int64_t offset);

/* server-status.c: BLOCK_STATUS, and READ as data and holes. */
int coroutine_fn nbd_request_co_block_status(NBDServerRequest *req);
int coroutine_fn nbd_request_co_read_sparse(NBDServerRequest *req);

/* server-reply.c */
NBDServerRequest *nbd_request_new(NBDConnection *conn, const NBDRequest *r);
/* The reply is sent: the memory is recycled, the slot is free. */
void nbd_request_end(NBDServerRequest *req);
/* Forget it without a reply. */
void nbd_request_drop(NBDServerRequest *req);
/* The reader sleeps until a request has ended, or the writer has. */
void coroutine_fn nbd_connection_co_wait_slot(NBDConnection *conn);
void nbd_connection_wake_slot_waiter(NBDConnection *conn);
/* A reply without data; @ret is 0 or -errno. */
void nbd_reply_status(NBDServerRequest *req, int ret);
/* An error that belongs to @offset. */
void nbd_reply_error_at(NBDServerRequest *req, int ret, int64_t offset);
void nbd_connection_free_requests(NBDConnection *conn);

/* server-send.c */
/* Add to the reply of @req; the memory lives as long as @req. */
void nbd_reply_add(NBDServerRequest *req, void *buf, size_t bytes);
/* The same for what req->pipes hold, which they do not afterwards. */
void nbd_reply_add_pipes(NBDServerRequest *req);
/* The reply is complete: send it soon, then free @req. */
void nbd_reply_queue(NBDServerRequest *req);
/* Send now what is queued, unless that is under way. */
void nbd_connection_flush(NBDConnection *conn);
void nbd_turn_end(void *opaque);

#endif
