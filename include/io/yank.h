/*
 * The registry of what can be yanked
 *
 * Whoever talks to a peer registers how to cut that connection at once; the
 * yank command does so without knowing whom it deals with.  One registry per
 * AioContext.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_YANK_H
#define IO_YANK_H

#include "qapi/qapi-types-yank.h"
#include "util/queue.h"

/*
 * An entry, embedded in whatever it cuts.  @func must not sleep; it is called
 * at any moment while the entry is registered and may be called again.
 */
typedef struct YankEntry {
    YankInstanceType type;
    const char *id;             /* node-name or chardev id; outlives the entry */
    void (*func)(void *opaque);
    void *opaque;
    TAILQ_ENTRY(YankEntry) next;
} YankEntry;

/* Several entries may bear one name: they are yanked together. */
void yank_register(YankEntry *entry);
/* Harmless for an entry that is zeroed or was unregistered already. */
void yank_unregister(YankEntry *entry);

/* What is registered, each name once. */
YankInstanceList *yank_query(void);

/*
 * Yank @instances: all of them, or none and an error of class DeviceNotFound
 * if one does not exist.
 */
bool yank_instances(const YankInstanceList *instances, GError **errp);

#endif
