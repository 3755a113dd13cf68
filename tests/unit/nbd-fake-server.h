/*
 * For tests of the nbd driver: a server in the same event loop
 *
 * Serves one export of zeroes that forgets what is written.  It can be taken
 * away, stay silent at any point, hang up, and change its mind about the
 * export between connections.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_NBD_FAKE_SERVER_H
#define TESTS_NBD_FAKE_SERVER_H

#include "io/socket.h"
#include "util/queue.h"

typedef enum FakeMood {
    FAKE_SERVES,
    FAKE_SILENT,                /* accepts and says nothing */
    FAKE_SILENT_OPTIONS,        /* greets, then says nothing */
    FAKE_SILENT_REQUESTS,       /* takes requests, answers none */
    FAKE_HANGS_UP,              /* once it is connected */
} FakeMood;

typedef struct FakeServer {
    FakeMood mood;              /* of connections made from now on */
    uint64_t size;
    uint16_t flags;
    uint32_t min_block, opt_block, max_block;   /* 0: not advertised */

    /* What was seen */
    unsigned accepted;
    unsigned requests;
    uint32_t longest;

    SocketAddress addr;
    IOListener *listener;
    LIST_HEAD(, FakeConnection) connections;
} FakeServer;

/* Listen at @path; go away from there with all connections; come back. */
FakeServer *fake_server_new(AioContext *ctx, const char *path);
void fake_server_stop(FakeServer *server);
void fake_server_restart(AioContext *ctx, FakeServer *server);
void fake_server_free(AioContext *ctx, FakeServer *server);

#endif
