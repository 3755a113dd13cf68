/*
 * The nbd driver: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVERS_NBD_INT_H
#define BLOCK_DRIVERS_NBD_INT_H

#include "block/driver.h"
#include "io/socket.h"
#include "io/tls.h"
#include "io/yank.h"
#include "nbd/client.h"
#include "util/co-lock.h"

/*
 * connecting --> connected <--> reconnect-wait --> reconnect-nowait
 *                    ^                                    |
 *                    +------------------------------------+
 * and from each to quit, which is final.
 */
typedef enum NBDState {
    /* The node is being opened: the first connection. */
    NBD_STATE_CONNECTING,
    /* @client takes requests. */
    NBD_STATE_CONNECTED,
    /* Requests wait for the next connection, until reconnect-delay is over. */
    NBD_STATE_RECONNECT_WAIT,
    /* Requests fail; we go on trying to connect. */
    NBD_STATE_RECONNECT_NOWAIT,
    /* Yanked, being closed, or no way back: requests fail, for good. */
    NBD_STATE_QUIT,
    NBD_STATE__MAX,
} NBDState;

typedef struct BDRVNBDState {
    /* Constant after open */
    BlockDriverState *bs;
    BlockdevOptionsNbd *opts;
    TLSCreds *tls_creds;
    int64_t reconnect_delay_ns;
    NBDExportInfo info;         /* of the first connection: what we promise */

    NBDState state;             /* nbd_set_state() */
    NBDClient *client;          /* usable while connected */
    NBDExportInfo current;      /* of @client's connection */
    CoQueue waiting;            /* requests, while reconnect-wait */
    YankEntry yank;

    /* One attempt to connect */
    SocketConnect *connect;
    IOChannel *handshake;       /* the channel that shakes hands, borrowed */
    AioTimer attempt_timer;
    bool attempt_timed_out;

    /* Between attempts */
    AioTimer delay_timer;       /* the end of reconnect-wait */
    int64_t connected_ns;       /* when the last connection was made */
    int64_t next_attempt_ns;    /* not before */
    int64_t backoff_ns;         /* from that attempt to the one after it */
    bool pinned;                /* none at all */
    CoSleep sleep;
    bool reconnecting;          /* the coroutine exists */
    CoQueue reconnect_end;
} BDRVNBDState;

/* nbd-connection.c */

void nbd_connection_init(BDRVNBDState *s);
/* The first connection, tried until open-timeout is over. */
bool coroutine_fn nbd_co_connect_first(BDRVNBDState *s, GError **errp);
/* Cut everything, for good. */
void nbd_quit(void *opaque);
/* Let nothing wait for the peer; go on trying to connect. */
void nbd_cancel_in_flight(BDRVNBDState *s);
void coroutine_fn nbd_co_disconnect(BDRVNBDState *s);
/* While pinned, a lost connection is not replaced; -ENOTCONN: none to pin. */
int nbd_pin_connection(BDRVNBDState *s, bool pin);
/* 0 when connected, maybe after waiting, else -EIO. */
int coroutine_fn nbd_co_wait_connected(BDRVNBDState *s);

/* nbd-request.c */

int coroutine_fn nbd_co_preadv(BlockDriverState *bs, int64_t offset,
                               int64_t bytes, IOVector *qiov,
                               BdrvRequestFlags flags);
int coroutine_fn nbd_co_pwritev(BlockDriverState *bs, int64_t offset,
                                int64_t bytes, IOVector *qiov,
                                BdrvRequestFlags flags);
int coroutine_fn nbd_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                      int64_t bytes, BdrvRequestFlags flags);
int coroutine_fn nbd_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                 int64_t bytes);
int coroutine_fn nbd_co_flush(BlockDriverState *bs);
int coroutine_fn nbd_co_block_status(BlockDriverState *bs, bool want_zero,
                                     int64_t offset, int64_t bytes,
                                     int64_t *pnum, int64_t *map,
                                     BlockDriverState **file);

#endif
