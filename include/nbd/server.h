/*
 * NBD server: a listener, its connections, what it exports
 *
 * Knows the wire, not the block graph: an export is a table of callbacks.
 * Everything runs in the AioContext in which the server was made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include "io/socket.h"
#include "io/tls.h"
#include "util/iov.h"
#include "util/queue.h"

typedef struct NBDServer NBDServer;
typedef struct NBDExport NBDExport;
typedef struct NBDConnection NBDConnection;

/*
 * What an export does.  @flags are NBD_CMD_FLAG_*: only those that the
 * protocol allows for the command.  Ranges lie inside of exp->size (as it was
 * when the request came) and are not empty.  0 or -errno.
 */
typedef struct NBDExportOps {
    /* A client's reference; the export may go when none is left. */
    void (*ref)(NBDExport *exp);
    void (*unref)(NBDExport *exp);

    /*
     * Called before each request but FLUSH, and before it goes on after it has
     * slept: sleep until it may.  After cancel_waiting() for the same @client:
     * -ECANCELED; for NULL, which is nobody, that instead of sleeping.
     */
    int coroutine_fn (*wait)(NBDExport *exp, const void *client);
    void (*cancel_waiting)(NBDExport *exp, const void *client);

    /*
     * Called before each request that writes, past wait(): whether @client
     * may.  If not, the request fails with EPERM and *@why (g_free) as text.
     * Default: it may.
     */
    bool (*may_write)(NBDExport *exp, const void *client, char **why);
    /*
     * Nothing more comes from @client.  @lost: it did not say so, and what it
     * sent last may be missing.  Default: nothing.
     */
    void (*client_left)(NBDExport *exp, const void *client, bool lost);

    /*
     * Whether replies had better leave together: the client polls for them.
     * Default: it does not.
     */
    bool (*has_polling_clients)(NBDExport *exp);

    int coroutine_fn (*preadv)(NBDExport *exp, int64_t offset, int64_t bytes,
                               IOVector *qiov);
    int coroutine_fn (*pwritev)(NBDExport *exp, int64_t offset, int64_t bytes,
                                IOVector *qiov, unsigned flags);
    int coroutine_fn (*pwrite_zeroes)(NBDExport *exp, int64_t offset,
                                      int64_t bytes, unsigned flags);
    int coroutine_fn (*pdiscard)(NBDExport *exp, int64_t offset,
                                 int64_t bytes, unsigned flags);
    int coroutine_fn (*flush)(NBDExport *exp);

    /*
     * NBD_STATE_* (base:allocation) of the range; *@pnum is set to 1..@bytes.
     * @bytes may reach further than the client asked.
     */
    int coroutine_fn (*block_status)(NBDExport *exp, int64_t offset,
                                     int64_t bytes, int64_t *pnum);
    /* The same for qemu:allocation-depth. */
    int coroutine_fn (*allocation_depth)(NBDExport *exp, int64_t offset,
                                         int64_t bytes, int64_t *pnum);
} NBDExportOps;

struct NBDExport {
    /* Set by the owner before nbd_server_add_export(), constant */
    const NBDExportOps *ops;
    char *name;
    char *description;          /* or NULL */
    bool read_only;
    bool allocation_depth;      /* offer qemu:allocation-depth */

    /* Kept up to date by the owner */
    int64_t size;
    uint32_t min_block;         /* sizes as in NBD_INFO_BLOCK_SIZE */
    uint32_t opt_block;

    /* Private to nbd/ */
    NBDServer *server;          /* NULL: not visible to new clients */
    TAILQ_ENTRY(NBDExport) next;
    LIST_HEAD(, NBDConnection) connections;
    int64_t data_start;         /* a range that is known to hold data */
    int64_t data_end;
};

typedef struct NBDServerConfig {
    const SocketAddress *addr;  /* NULL: connections come by accept() only */
    TLSCreds *creds;            /* NULL: no TLS */
    const char *authz;          /* or NULL */
    uint32_t max_connections;   /* 0: no limit */
    int64_t handshake_ns;       /* 0: no deadline */
} NBDServerConfig;

#define NBD_HANDSHAKE_DEFAULT_SECONDS 10

/* Listen and serve.  What @config points to is copied. */
NBDServer *coroutine_fn nbd_server_co_new(const NBDServerConfig *config,
                                          GError **errp);
/* The address it listens on; NULL without one.  Free it. */
SocketAddress *nbd_server_address(NBDServer *server);
/* Whether other hosts can reach it. */
bool nbd_server_is_network(NBDServer *server);
unsigned nbd_server_connections(const NBDServer *server);
uint32_t nbd_server_max_connections(const NBDServer *server);

/* Serve the client at the other end of @ioc; takes the reference over. */
void nbd_server_accept(NBDServer *server, IOChannel *ioc);

/*
 * Stop listening, disconnect everybody, wait until they are gone, free.
 * Exports that are still visible become invisible; they are not freed.
 */
void coroutine_fn nbd_server_co_free(NBDServer *server);

/* Let new clients find @exp.  Fails when its name is taken. */
bool nbd_server_add_export(NBDServer *server, NBDExport *exp, GError **errp);
/* New clients do not find it any more. */
void nbd_server_remove_export(NBDExport *exp);
NBDExport *nbd_server_find_export(NBDServer *server, const char *name);
/* Disconnect all clients of @exp, soon. */
void nbd_export_disconnect(NBDExport *exp);

#endif
