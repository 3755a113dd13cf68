/*
 * A client's host, a link, and a server's host with an export over a disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_NBD_WORLD_H
#define TESTS_NBD_WORLD_H

#include "block-helpers.h"
#include "sim.h"

/* The disk's contents at the beginning */
#define NBD_WORLD_PATTERN 0x5a

enum { CLIENT, SERVER, LINK, HOSTS };

/* How the client is set up. */
typedef enum Way {
    WAY_ONCE,                   /* a lost connection is lost */
    WAY_RECONNECT,              /* requests wait for another one */
    WAY_LAYERED,                /* as once, and a filter above the nbd node */
    WAY__MAX,
} Way;

typedef struct NbdWorld {
    /* Set before it begins */
    bool tls;                   /* with a key that both have */
    const char *aio;            /* the disk is a file, by this engine */

    Sim sim;
    char *dir;                  /* "link" and "server" are sockets in it */
    SimLink *link;
    SimLinkConditions conditions;
    BlockDriverState *disk;     /* on the server, with the export "export" */
    int fd;                     /* of the file, or -1 */

    uint8_t *last;              /* of a disk in memory that is gone */

    /* Of nbd_world_look() */
    bool has_client, has_export;
} NbdWorld;

void nbd_world_begin(NbdWorld *w, SimLinkConditions conditions);
/* The client's host has nothing left by then; nor has anybody afterwards. */
void nbd_world_end(NbdWorld *w);

/*
 * The disk in memory keeps requests until it is told to release them; a file
 * cannot.
 */
void nbd_world_hold(NbdWorld *w);
void nbd_world_release(NbdWorld *w);
bool nbd_world_is_holding(const NbdWorld *w);
/* What is on the disk, whether or not there is a node; g_free. */
uint8_t *nbd_world_read_disk(const NbdWorld *w);
/* In a coroutine of the server: the node goes.  Nobody uses it any more. */
void coroutine_fn nbd_world_co_drop_disk(NbdWorld *w);

/* What the server has. */
void nbd_world_look(NbdWorld *w);

/* The root is "node", the connection "conn" if that is another one. */
BlockdevOptions *nbd_world_node(const NbdWorld *w, Way way,
                                bool detect_zeroes);

#endif
