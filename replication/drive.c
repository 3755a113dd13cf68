/*
 * Deleting a drive that a guest uses or that replication needs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication/drive.h"

#include "block/block-backend.h"
#include "block/driver.h"
#include "block/export.h"
#include "block/options.h"
#include "block/replication.h"

/* While it is in use, a filter is between the disk and its drive. */
static bool shows(BlockDriverState *bs, const BlockDriverState *wanted)
{
    return wanted && (bs == wanted || (bs->file && bs->file->bs == wanted));
}

/* What a secondary needs until its layers are merged cannot go. */
static bool check_not_replicated(const char *id, GError **errp)
{
    BlockBackend *blk = blk_by_name(id);
    BlockDriverState *bs = blk ? blk_bs(blk) : NULL;
    Replication *r = NULL;

    while (bs && (r = replication_next(r))) {
        BlockReplicationState state = replication_state(r);

        if (state != BLOCK_REPLICATION_STATE_NONE &&
            state != BLOCK_REPLICATION_STATE_DONE &&
            (shows(bs, replication_disk(r)) ||
             shows(bs, replication_top(r)))) {
            error_setg(errp, "Node '%s' is busy: block device is in use by "
                       "replication", id);
            return false;
        }
    }
    return true;
}

/* The guest's view of a drive goes with the drive. */
static void coroutine_fn close_guest_export(const char *id)
{
    g_autofree char *guest_id = block_export_guest_id(id);
    BlockExport *exp = block_export_find(guest_id);

    if (exp && blk_by_name(id)) {
        block_export_request_shutdown(exp);
        block_export_co_wait_deleted();
    }
}

bool coroutine_fn guest_drive_co_del(const char *id, GError **errp)
{
    if (!check_not_replicated(id, errp)) {
        return false;
    }
    close_guest_export(id);
    return drive_co_del(id, errp);
}
