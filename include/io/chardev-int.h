/*
 * What a kind of character device provides
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_CHARDEV_INT_H
#define IO_CHARDEV_INT_H

#include "io/chardev.h"

typedef struct ChardevOps {
    size_t instance_size;       /* of the struct that begins with Chardev */

    /* Begin; streams may open (chardev_opened()) from now on. */
    bool coroutine_fn (*co_open)(Chardev *chr, GError **errp);

    /* Optional: the stream was dropped, open the next when possible. */
    void (*disconnected)(Chardev *chr);

    /*
     * Optional: stop everything.  Coroutines that are still under way hold a
     * reference and find chr->closed.  Copes with a failed co_open.
     */
    void (*close)(Chardev *chr);

    /* Optional: nobody has a reference any more. */
    void (*finalize)(Chardev *chr);

    /* What the device is made of, for people.  Free with g_free. */
    char *(*filename)(Chardev *chr);
} ChardevOps;

struct Chardev {
    /* Constant */
    const ChardevOps *ops;
    AioContext *ctx;
    char *id;
    ChardevBackend *backend;

    unsigned refcnt;            /* the table's, and one per coroutine */
    bool ready;                 /* co_open has succeeded */
    bool closed;
    IOChannel *ioc;             /* the open stream */

    ChardevOpened *opened;      /* of the front end; NULL: there is none */
    void *opaque;
};

extern const ChardevOps chardev_file_ops;
extern const ChardevOps chardev_null_ops;
extern const ChardevOps chardev_socket_ops;
extern const ChardevOps chardev_stdio_ops;

/* For the kinds: a stream is open, @ioc is the device's from now on. */
void chardev_opened(Chardev *chr, IOChannel *ioc);

void chardev_ref(Chardev *chr);
void chardev_unref(Chardev *chr);

#endif
