/*
 * Character devices by id: what monitors talk over
 *
 * A character device opens streams, one after the other: a server one for
 * each client, standard I/O a single one.  One front end takes the device; it
 * is told when a stream opens and tells when it has done with it.  One table
 * of devices per AioContext.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_CHARDEV_H
#define IO_CHARDEV_H

#include "io/channel.h"
#include "qapi/qapi-types-char.h"

typedef struct Chardev Chardev;

/*
 * A stream is open.  @ioc is the callee's, who reads until its end and then
 * calls chardev_disconnect().
 */
typedef void ChardevOpened(IOChannel *ioc, void *opaque);

/*
 * chardev-add.  A server with wait=on waits here for its first client, a
 * client for its connection unless it has a reconnect time.  On failure
 * nothing has changed.
 */
bool coroutine_fn chardev_co_add(const char *id,
                                 const ChardevBackend *backend,
                                 GError **errp);

/* chardev-remove.  Fails while a front end has it. */
bool chardev_remove(const char *id, GError **errp);

/* The device, borrowed; NULL if there is none. */
Chardev *chardev_lookup(const char *id);

/* query-chardev */
ChardevInfoList *chardev_query(void);

/*
 * Take the device: @opened is called for the stream that is open, if one is,
 * before this returns, and for each that opens later.
 */
bool chardev_attach(Chardev *chr, ChardevOpened *opened, void *opaque,
                    GError **errp);

/* Give the device back.  Shuts its stream down. */
void chardev_detach(Chardev *chr);

/*
 * The stream has ended, or is not wanted any more: it is shut down, and the
 * device may open the next.
 */
void chardev_disconnect(Chardev *chr);

#endif
