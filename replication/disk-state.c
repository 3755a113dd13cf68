/*
 * What is on record of a disk: found, checked, kept up to date
 *
 * A secondary's disk is the one below its layers; a primary's is the first
 * of its siblings that stores data in a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/driver.h"
#include "block/graph.h"

/* Where */

static BlockDriverState *sibling_of(BlockDriverState *bs)
{
    BdrvChild *edge, *child;

    LIST_FOREACH(edge, &bs->parents, next_parent) {
        /* Backends have no children: only nodes are looked at. */
        if (edge->role) {
            BlockDriverState *parent = edge->opaque;

            LIST_FOREACH(child, &parent->children, next) {
                if (!child->bs->forward_only) {
                    return child->bs;
                }
            }
        }
    }
    return NULL;
}

static BlockDriverState *local_disk(ReplicatedDisk *disk)
{
    return replicated_disk_is_secondary(disk)
        ? replication_disk(disk->r) : sibling_of(replication_bs(disk->r));
}

static char *disk_image(ReplicatedDisk *disk)
{
    BlockDriverState *bs = local_disk(disk);

    return bs ? state_file_image(bs, replication_group()->cwd) : NULL;
}

/* The option of @bs, a replication node, or what @image gives. */
static char *choose_path(BlockDriverState *bs, const char *image)
{
    const BlockdevOptions *options = bs->options;
    const char *option =
        options && options->driver == BLOCKDEV_DRIVER_REPLICATION
        ? options->u.replication.state_file : NULL;

    if (!option) {
        return image ? state_file_default_path(image) : NULL;
    }
    return g_str_equal(option, "off") ? NULL
           : g_canonicalize_filename(option, replication_group()->cwd);
}

/* Whether what was written about @id is about @image as it is now. */
static bool is_about(const ReplicationStateFile *state, const char *image)
{
    ReplicationImageId id = { 0 };

    if (image) {
        state_file_identify(image, &id);
    }
    return id.inode == state->image->inode && id.birth == state->image->birth;
}

/* Read what is on record of @image; NULL if nothing is. */
static bool coroutine_fn read_record(const char *path, const char *image,
                                     ReplicationStateFile **state,
                                     GError **errp)
{
    if (!state_file_co_read(path, state, errp)) {
        return false;
    }
    if (*state && !is_about(*state, image)) {
        warn_report("state file '%s' is about another image than '%s', it is "
                    "not used", path, image ? image : "none");
        g_clear_pointer(state, qapi_free_ReplicationStateFile);
    }
    return true;
}

/* A disk of the group */

bool coroutine_fn replicated_disk_co_load_state(ReplicatedDisk *disk,
                                                GError **errp)
{
    g_autofree char *image = disk_image(disk);
    ReplicationStateFile *state = NULL;

    g_free(disk->state_path);
    disk->state_path = choose_path(replication_bs(disk->r), image);
    g_clear_pointer(&disk->state, qapi_free_ReplicationStateFile);
    if (disk->state_path &&
        !read_record(disk->state_path, image, &state, errp)) {
        return false;
    }
    disk->state = state;
    if (state) {
        disk->generation = MAX(disk->generation, state->generation);
    }
    if (state && state->state != REPLICATION_DISK_STATE_CONSISTENT) {
        info_report("disk '%s' was left %s; that it is started now is taken "
                    "as the word that both sides are equal",
                    replicated_disk_name(disk),
                    ReplicationDiskState_str(state->state));
    }
    return true;
}

static ReplicationStateFile *new_record(void)
{
    ReplicationStateFile *state = g_new0(ReplicationStateFile, 1);
    char *pair = g_uuid_string_random();

    state->version = 1;
    state->pair = pair;
    state->image = g_new0(ReplicationImageId, 1);
    return state;
}

static int64_t epoch_of(ReplicatedDisk *disk)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);

    replication_get_info(disk->r, info);
    return info->epoch;
}

bool coroutine_fn replicated_disk_co_save_state(ReplicatedDisk *disk,
                                                ReplicationDiskState state,
                                                GError **errp)
{
    g_autofree char *image = disk_image(disk);
    ReplicationStateFile *record;

    if (!disk->state_path) {
        return true;
    }
    if (!disk->state) {
        disk->state = new_record();
    }
    record = disk->state;
    if (state == REPLICATION_DISK_STATE_REPLICATING) {
        record->epoch = 0;
    } else {
        record->epoch = epoch_of(disk);
    }
    record->generation = disk->generation;
    record->role = replication_mode(disk->r);
    record->state = state;
    if (image) {
        state_file_identify(image, record->image);
    }
    return state_file_co_write(disk->state_path, record, errp);
}

void coroutine_fn replicated_disk_co_note_state(ReplicatedDisk *disk,
                                                ReplicationDiskState state)
{
    g_autoptr(GError) err = NULL;

    if (!replicated_disk_co_save_state(disk, state, &err)) {
        warn_report("disk '%s' is %s, but this cannot be noted: %s",
                    replicated_disk_name(disk),
                    ReplicationDiskState_str(state), err->message);
    }
}

bool replicated_disk_ended_well(const ReplicatedDisk *disk)
{
    return !replicated_disk_is_secondary(disk) ||
           replication_error(disk->r)->ret == 0;
}

/* Any disk below a node */

typedef struct Record {
    char *path;
    char *image;
} Record;

static void record_free(void *opaque)
{
    Record *record = opaque;

    g_free(record->path);
    g_free(record->image);
    g_free(record);
}

/*
 * The images below @bs that have a record.  A secondary is passed over: it
 * serves nothing before its start, and what it serves then is good.
 */
static void collect_records(BlockDriverState *bs, GPtrArray *records)
{
    Replication *r = replication_find(bdrv_node_name(bs));
    BdrvChild *child;
    Record *record;

    if (r && replication_mode(r) == REPLICATION_MODE_SECONDARY) {
        return;
    }
    LIST_FOREACH(child, &bs->children, next) {
        collect_records(child->bs, records);
    }
    if (r || LIST_EMPTY(&bs->children)) {
        record = g_new0(Record, 1);
        record->image = r ? disk_image(replicated_disk(r))
                          : state_file_image(bs, replication_group()->cwd);
        record->path = r ? choose_path(bs, record->image)
                       : record->image ? state_file_default_path(record->image)
                       : NULL;
        if (record->path) {
            g_ptr_array_add(records, record);
        } else {
            record_free(record);
        }
    }
}

static const char *what_happened(const ReplicationStateFile *state)
{
    if (state->state == REPLICATION_DISK_STATE_MERGING) {
        return "its daemon ended before a failover had been merged into it, "
               "and writes of its guest are lost";
    }
    return state->role == REPLICATION_MODE_PRIMARY
        ? "it was the primary of a pair when its daemon ended, and the other "
          "side may have taken over and gone on"
        : "it was the secondary of a pair when its daemon ended, and may hold "
          "writes of the primary in part";
}

/* Whether it is this process that the record speaks of. */
static bool is_running_here(const char *path)
{
    ReplicatedDisk *disk;

    TAILQ_FOREACH(disk, &replication_group()->disks, link) {
        if (g_strcmp0(disk->state_path, path) == 0 &&
            replicated_disk_state(disk) != BLOCK_REPLICATION_STATE_NONE) {
            return true;
        }
    }
    return false;
}

bool coroutine_fn replication_co_check_guest(BlockDriverState *bs,
                                             GError **errp)
{
    g_autoptr(GPtrArray) records =
        g_ptr_array_new_with_free_func(record_free);
    guint i;

    collect_records(bs, records);
    for (i = 0; i < records->len; i++) {
        Record *record = records->pdata[i];
        g_autoptr(ReplicationStateFile) state = NULL;

        if (is_running_here(record->path)) {
            continue;
        }
        if (!read_record(record->path, record->image, &state, errp)) {
            return false;
        }
        if (state && state->state != REPLICATION_DISK_STATE_CONSISTENT) {
            error_setg(errp, "Disk '%s' is not served to a guest: %s "
                       "(state file '%s').  Resynchronize it, or, if its "
                       "contents are known to be good, export it with force",
                       record->image, what_happened(state), record->path);
            return false;
        }
    }
    return true;
}

void coroutine_fn replication_co_accept_disks(BlockDriverState *bs)
{
    g_autoptr(GPtrArray) records =
        g_ptr_array_new_with_free_func(record_free);
    guint i;

    collect_records(bs, records);
    for (i = 0; i < records->len; i++) {
        Record *record = records->pdata[i];
        g_autoptr(ReplicationStateFile) state = NULL;
        g_autoptr(GError) err = NULL;

        if (is_running_here(record->path) ||
            !state_file_co_read(record->path, &state, &err) || !state ||
            state->state == REPLICATION_DISK_STATE_CONSISTENT) {
            continue;
        }
        info_report("disk '%s' was left %s and is taken as good by force",
                    record->image, ReplicationDiskState_str(state->state));
        state->state = REPLICATION_DISK_STATE_CONSISTENT;
        if (!state_file_co_write(record->path, state, &err)) {
            warn_report("%s", err->message);
        }
    }
}
