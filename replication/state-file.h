/*
 * State files: what is known of a disk's contents when nothing runs
 *
 * JSON beside the image.  A change is on stable storage when the call returns,
 * and a crash leaves the old or the new contents.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef REPLICATION_STATE_FILE_H
#define REPLICATION_STATE_FILE_H

#include "block/block-common.h"
#include "qapi/qapi-types-replication.h"

/* The image that @bs stores its data in, or NULL; g_free. */
char *state_file_image(BlockDriverState *bs, const char *cwd);
/* Where the state of @image is kept, or NULL for no regular file; g_free. */
char *state_file_default_path(const char *image);

/* Which file @image is; zeroes if it cannot be told, or is NULL. */
void state_file_identify(const char *image, ReplicationImageId *id);

/*
 * false and an error if @path cannot be read or is no state file; *@state is
 * NULL if it does not exist.
 */
bool coroutine_fn state_file_co_read(const char *path,
                                     ReplicationStateFile **state,
                                     GError **errp);
bool coroutine_fn state_file_co_write(const char *path,
                                      const ReplicationStateFile *state,
                                      GError **errp);

#endif
