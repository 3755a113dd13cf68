/*
 * NBD client: the handshake and one connection's requests
 *
 * An NBDClient is one negotiated connection with any number of requests in
 * flight.  It never connects by itself and never comes back once it is lost;
 * that is the business of whoever owns it (the nbd driver).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include "io/channel.h"
#include "io/tls.h"
#include "util/iov.h"

/* Requests in flight on one connection; more wait their turn. */
#define NBD_CLIENT_MAX_REQUESTS 256

/* What to ask for.  All strings may be NULL. */
typedef struct NBDClientParams {
    const char *export;         /* NULL: the default export, "" */
    const char *meta_context;   /* NULL: base:allocation */
    TLSCreds *tls_creds;        /* NULL: no TLS */
    const char *tls_hostname;
} NBDClientParams;

/* What the server answered. */
typedef struct NBDExportInfo {
    uint64_t size;
    uint16_t flags;             /* NBD_FLAG_* */
    bool structured_reply;
    bool has_context;
    uint32_t context_id;        /* valid with has_context */
    /* Block sizes; 0 where the server said nothing */
    uint32_t min_block;
    uint32_t opt_block;
    uint32_t max_block;
    bool tls;                   /* the connection is encrypted */
} NBDExportInfo;

/*
 * Negotiate over the connected channel @plain.  Returns the channel for the
 * requests (a new reference; TLS over @plain when there are credentials).  On
 * failure NULL and an error, with what the server reported.  A shutdown of
 * @plain ends it at once; there is no other deadline.
 */
IOChannel *coroutine_fn
nbd_client_co_negotiate(IOChannel *plain, const NBDClientParams *params,
                        NBDExportInfo *info, GError **errp);

typedef struct NBDClient NBDClient;

/*
 * The connection is gone: called once, not from within nbd_client_new(), and
 * before any request in flight is told.  @reason says why.
 */
typedef void NBDClientLostFunc(void *opaque, const GError *reason);

/*
 * Take the negotiated channel (a reference of its own) into use.  @ioc is
 * read from by the client alone from now on.
 */
NBDClient *nbd_client_new(IOChannel *ioc, const NBDExportInfo *info,
                          NBDClientLostFunc *lost, void *opaque);

/*
 * Cut the connection: whatever is in flight fails.  Any coroutine or
 * callback; may be repeated.
 */
void nbd_client_shutdown(NBDClient *client, const char *reason);

/*
 * Say goodbye if that is possible without waiting, cut the connection, wait
 * until the requests in flight have failed, and free the client.
 */
void coroutine_fn nbd_client_co_close(NBDClient *client);

/*
 * Requests.  Each returns 0, the server's -errno, or -ENOTCONN when the
 * connection was lost before the reply (a server cannot send that one).  The
 * caller has checked that the server supports it and that the range fits.
 */
int coroutine_fn nbd_client_co_read(NBDClient *client, uint64_t offset,
                                    uint32_t bytes, IOVector *qiov);
int coroutine_fn nbd_client_co_write(NBDClient *client, uint64_t offset,
                                     uint32_t bytes, IOVector *qiov,
                                     uint16_t flags);
/* The ones without payload: flush, trim, write-zeroes. */
int coroutine_fn nbd_client_co_command(NBDClient *client, uint16_t type,
                                       uint16_t flags, uint64_t offset,
                                       uint32_t bytes);
/*
 * The first extent of the range in the negotiated context, *length at most
 * @bytes.  Needs has_context.
 */
int coroutine_fn nbd_client_co_block_status(NBDClient *client,
                                            uint64_t offset, uint32_t bytes,
                                            uint32_t *length,
                                            uint32_t *state);

#endif
