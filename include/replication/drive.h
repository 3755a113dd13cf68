/*
 * Deleting a drive that a guest uses or that replication needs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef REPLICATION_DRIVE_H
#define REPLICATION_DRIVE_H

#include "block/block-common.h"

/*
 * drive_del: the drive @id with the export that shows it to the guest, or the
 * monitor's node of that name.  Not while a secondary needs its disk: "Node
 * 'x' is busy: ...".  Do not hold the graph mutex.
 */
bool coroutine_fn guest_drive_co_del(const char *id, GError **errp);

#endif
