/*
 * What is on record of a disk: found, checked, kept up to date
 *
 * A secondary's disk is the one below its layers; a primary's is the first of
 * its siblings that stores data in a file, be it below the layers of a
 * secondary that was promoted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#include "block/driver.h"
#include "block/graph-int.h"

/* Where */

/* The image of the first child of @parent that has one. */
static char *first_image(BlockDriverState *parent)
{
    char *image = NULL;
    BdrvChild *child;

    LIST_FOREACH(child, &parent->children, next) {  /* the last one first */
        char *found = child->bs->forward_only ? NULL :
                      state_file_image(child->bs, replication_group()->cwd);

        if (found) {
            g_free(image);
            image = found;
        }
    }
    return image;
}

static char *sibling_image(BlockDriverState *bs)
{
    BdrvChild *edge;

    LIST_FOREACH(edge, &bs->parents, next_parent) {
        BlockDriverState *parent = bdrv_child_parent_node(edge);
        char *image = parent ? first_image(parent) : NULL;

        if (image) {
            return image;
        }
    }
    return NULL;
}

static char *disk_image(ReplicatedDisk *disk)
{
    BlockDriverState *bs = replication_disk(disk->r);

    if (!replicated_disk_is_secondary(disk)) {
        return sibling_image(replication_bs(disk->r));
    }
    return bs ? state_file_image(bs, replication_group()->cwd) : NULL;
}

static const char *path_option(BlockDriverState *bs)
{
    const BlockdevOptions *options = bs->options;

    return options && options->driver == BLOCKDEV_DRIVER_REPLICATION
        ? options->u.replication.state_file : NULL;
}

/* The option of @bs, a replication node, or what @image gives. */
static char *choose_path(BlockDriverState *bs, const char *image)
{
    const char *option = path_option(bs);

    if (!option) {
        return image ? state_file_default_path(image) : NULL;
    }
    return g_str_equal(option, "off") ? NULL
           : g_canonicalize_filename(option, replication_group()->cwd);
}

/* A disk of the group */

static void set_record(ReplicatedDisk *disk, const char *path)
{
    StateRecord *old = disk->record;

    disk->record = path ? state_record_get(path) : NULL;
    state_record_unref(old);
}

/* What is known of it, by whoever knows best. */
static void learn(ReplicatedDisk *disk)
{
    const ReplicationStateFile *known = state_record_contents(disk->record);

    if (!known) {
        return;
    }
    disk->generation = MAX(disk->generation, known->generation);
    if (known == disk->record->left &&
        known->state != REPLICATION_DISK_STATE_CONSISTENT) {
        info_report("disk '%s' was left %s; that it is started now is taken "
                    "as the word that both sides are equal",
                    replicated_disk_name(disk),
                    ReplicationDiskState_str(known->state));
    }
}

bool coroutine_fn replicated_disk_co_find_record(ReplicatedDisk *disk,
                                                 GError **errp)
{
    g_autofree char *image = disk_image(disk);
    g_autofree char *path = choose_path(replication_bs(disk->r), image);

    set_record(disk, path);
    state_file_identify(image, &disk->image);
    if (path) {
        if (!state_record_co_load(disk->record, image, errp)) {
            return false;
        }
        learn(disk);
    } else if (!path_option(replication_bs(disk->r))) {
        warn_report("nothing will be on record of disk '%s' if this daemon "
                    "ends abruptly: it has no image that is a regular file, "
                    "and no option state-file", replicated_disk_name(disk));
    }
    return true;
}

static int64_t epoch_of(ReplicatedDisk *disk)
{
    g_autoptr(BlockReplicationInfo) info = g_new0(BlockReplicationInfo, 1);

    replication_get_info(disk->r, info);
    return info->epoch;
}

static ReplicationStateFile *new_claim(ReplicatedDisk *disk)
{
    const ReplicationStateFile *known = state_record_contents(disk->record);
    ReplicationStateFile *claim = g_new0(ReplicationStateFile, 1);

    claim->version = 1;
    claim->role = replication_mode(disk->r);
    claim->state = REPLICATION_DISK_STATE_REPLICATING;
    claim->pair = known ? g_strdup(known->pair) : g_uuid_string_random();
    claim->generation = disk->generation;
    claim->image = g_memdup2(&disk->image, sizeof(disk->image));
    return claim;
}

/* One file cannot say what two images are worth. */
static bool check_file_is_ours(const ReplicatedDisk *disk, GError **errp)
{
    ReplicatedDisk *other;

    TAILQ_FOREACH(other, &replication_group()->disks, link) {
        if (other->claim && other->record == disk->record &&
            memcmp(&other->image, &disk->image, sizeof(disk->image))) {
            error_setg(errp, "State file '%s' of disk '%s' is in use by disk "
                       "'%s', which has another image", disk->record->path,
                       replicated_disk_name(disk),
                       replicated_disk_name(other));
            return false;
        }
    }
    return true;
}

bool coroutine_fn replicated_disk_co_claim(ReplicatedDisk *disk,
                                           GError **errp)
{
    disk->generation++;
    if (!disk->record) {
        return true;
    }
    g_assert(!disk->claim);
    if (!check_file_is_ours(disk, errp)) {
        return false;
    }
    disk->claim = new_claim(disk);
    return state_record_co_write(disk->record, errp);
}

/* Where a failure is only worth a warning. */
static void coroutine_fn note(ReplicatedDisk *disk, ReplicationDiskState state)
{
    g_autoptr(GError) err = NULL;

    if (!state_record_co_write(disk->record, &err)) {
        warn_report("disk '%s' is %s, but this cannot be noted: %s",
                    replicated_disk_name(disk),
                    ReplicationDiskState_str(state), err->message);
    }
}

void coroutine_fn replicated_disk_co_note_merging(ReplicatedDisk *disk)
{
    if (disk->claim) {
        disk->claim->state = REPLICATION_DISK_STATE_MERGING;
        disk->claim->epoch = epoch_of(disk);
        note(disk, REPLICATION_DISK_STATE_MERGING);
    }
}

/* An error of the secondary leaves the disk as no guest has ever seen it. */
static bool ended_well(const ReplicatedDisk *disk)
{
    return !replicated_disk_is_secondary(disk) ||
           replication_error(disk->r)->ret == 0;
}

/* What was claimed is what is left now. */
static void leave(ReplicatedDisk *disk)
{
    qapi_free_ReplicationStateFile(disk->record->left);
    disk->record->left = g_steal_pointer(&disk->claim);
}

void coroutine_fn replicated_disk_co_note_end(ReplicatedDisk *disk)
{
    if (!disk->claim) {
        return;
    }
    if (ended_well(disk)) {
        disk->claim->state = REPLICATION_DISK_STATE_CONSISTENT;
    }
    disk->claim->epoch = epoch_of(disk);
    leave(disk);
    note(disk, disk->record->left->state);
}

void coroutine_fn replicated_disk_co_withdraw(ReplicatedDisk *disk)
{
    if (!disk->claim) {
        return;
    }
    if (disk->record->left) {
        g_clear_pointer(&disk->claim, qapi_free_ReplicationStateFile);
    } else {
        disk->claim->state = REPLICATION_DISK_STATE_CONSISTENT;
        leave(disk);
    }
    note(disk, disk->record->left->state);
}

/* Any disk below a node */

typedef struct Found {
    StateRecord *record;
    char *image;
} Found;

static void found_free(void *opaque)
{
    Found *found = opaque;

    state_record_unref(found->record);
    g_free(found->image);
    g_free(found);
}

static void add_found(GPtrArray *array, const char *path, const char *image)
{
    Found *found = g_new0(Found, 1);

    found->record = state_record_get(path);
    found->image = g_strdup(image);
    g_ptr_array_add(array, found);
}

/*
 * The images below @bs that have a record.  A secondary is passed over: it
 * serves nothing before its start, and what it serves then is good.
 */
static void collect_records(BlockDriverState *bs, GPtrArray *records)
{
    Replication *r = replication_find(bdrv_node_name(bs));
    g_autofree char *image = NULL;
    g_autofree char *path = NULL;
    BdrvChild *child;

    if (r && replication_mode(r) == REPLICATION_MODE_SECONDARY) {
        return;
    }
    LIST_FOREACH(child, &bs->children, next) {
        collect_records(child->bs, records);
    }
    if (r) {
        image = disk_image(replicated_disk(r));
        path = choose_path(bs, image);
    } else if (LIST_EMPTY(&bs->children)) {
        image = state_file_image(bs, replication_group()->cwd);
        path = image ? state_file_default_path(image) : NULL;
    }
    if (path) {
        add_found(records, path, image);
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
static bool is_running_here(const StateRecord *record)
{
    ReplicatedDisk *disk;

    TAILQ_FOREACH(disk, &replication_group()->disks, link) {
        if (disk->record == record &&
            replicated_disk_state(disk) != BLOCK_REPLICATION_STATE_NONE) {
            return true;
        }
    }
    return false;
}

/* What was left of the image by a run that has not ended well, or NULL. */
static bool coroutine_fn find_left(const Found *found,
                                   ReplicationStateFile **left, GError **errp)
{
    *left = NULL;
    if (is_running_here(found->record)) {
        return true;
    }
    if (!state_record_co_load(found->record, found->image, errp)) {
        return false;
    }
    if (found->record->left &&
        found->record->left->state != REPLICATION_DISK_STATE_CONSISTENT) {
        *left = found->record->left;
    }
    return true;
}

bool coroutine_fn replication_co_check_guest(BlockDriverState *bs,
                                             GError **errp)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(found_free);
    guint i;

    collect_records(bs, records);
    for (i = 0; i < records->len; i++) {
        Found *found = records->pdata[i];
        ReplicationStateFile *left;

        if (!find_left(found, &left, errp)) {
            return false;
        }
        if (left) {
            error_setg(errp, "Disk '%s' is not served to a guest: %s "
                       "(state file '%s').  Resynchronize it, or, if its "
                       "contents are known to be good, export it with force",
                       found->image, what_happened(left),
                       found->record->path);
            return false;
        }
    }
    return true;
}

void coroutine_fn replication_co_accept_disks(BlockDriverState *bs)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(found_free);
    guint i;

    collect_records(bs, records);
    for (i = 0; i < records->len; i++) {
        Found *found = records->pdata[i];
        g_autoptr(GError) err = NULL;
        ReplicationStateFile *left;

        if (!find_left(found, &left, &err) || !left) {
            continue;
        }
        info_report("disk '%s' was left %s and is taken as good by force",
                    found->image, ReplicationDiskState_str(left->state));
        left->state = REPLICATION_DISK_STATE_CONSISTENT;
        if (!state_record_co_write(found->record, &err)) {
            warn_report("%s", err->message);
        }
    }
}
