/*
 * State records: what a state file says, and who has a say in it
 *
 * A promoted secondary and the primary above it end in one image and share
 * its record.  Each of them claims something while its replication is under
 * way; what is worst counts, and without any claim what was left behind.  The
 * file is read and written by one at a time, and what is written is what is
 * true by then, so that nothing old can land over something newer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

/* Life */

StateRecord *state_record_get(const char *path)
{
    ReplicationGroup *group = replication_group();
    StateRecord *record;

    LIST_FOREACH(record, &group->records, link) {
        if (g_str_equal(record->path, path)) {
            record->refs++;
            return record;
        }
    }
    record = g_new0(StateRecord, 1);
    record->path = g_strdup(path);
    record->refs = 1;
    co_mutex_init(&record->lock);
    LIST_INSERT_HEAD(&group->records, record, link);
    return record;
}

void state_record_unref(StateRecord *record)
{
    if (!record || --record->refs > 0) {
        return;
    }
    LIST_REMOVE(record, link);
    qapi_free_ReplicationStateFile(record->left);
    g_free(record->path);
    g_free(record);
}

/* Contents */

static ReplicationStateFile *worst_claim(const StateRecord *record)
{
    ReplicationStateFile *worst = NULL;
    ReplicatedDisk *disk;

    TAILQ_FOREACH(disk, &replication_group()->disks, link) {
        if (disk->record == record && disk->claim &&
            (!worst || disk->claim->state > worst->state)) {
            worst = disk->claim;
        }
    }
    return worst;
}

const ReplicationStateFile *state_record_contents(const StateRecord *record)
{
    const ReplicationStateFile *worst = worst_claim(record);

    return worst ? worst : record->left;
}

/* The file */

/* Whether what was written about @id is about @image as it is now. */
static bool is_about(const ReplicationStateFile *state, const char *image)
{
    ReplicationImageId id;

    state_file_identify(image, &id);
    return id.inode == state->image->inode && id.birth == state->image->birth;
}

bool coroutine_fn state_record_co_load(StateRecord *record, const char *image,
                                       GError **errp)
{
    ReplicationStateFile *state;
    CO_MUTEX_GUARD(&record->lock);

    if (worst_claim(record)) {
        return true;            /* it is us who know, not the file */
    }
    if (!state_file_co_read(record->path, &state, errp)) {
        return false;
    }
    if (state && !is_about(state, image)) {
        warn_report("state file '%s' is about another image than '%s', it is "
                    "not used", record->path, image ? image : "none");
        g_clear_pointer(&state, qapi_free_ReplicationStateFile);
    }
    qapi_free_ReplicationStateFile(record->left);
    record->left = state;
    return true;
}

bool coroutine_fn state_record_co_write(StateRecord *record, GError **errp)
{
    bool ok;

    record->refs++;             /* the disk may get another one meanwhile */
    co_mutex_lock(&record->lock);
    ok = state_file_co_write(record->path, state_record_contents(record),
                             errp);
    co_mutex_unlock(&record->lock);
    state_record_unref(record);
    return ok;
}

static StateRecord *find_busy(void)
{
    StateRecord *record;

    LIST_FOREACH(record, &replication_group()->records, link) {
        if (co_mutex_is_held(&record->lock)) {
            return record;
        }
    }
    return NULL;
}

void coroutine_fn state_records_co_settle(void)
{
    StateRecord *record;

    while ((record = find_busy())) {
        record->refs++;
        co_mutex_lock(&record->lock);
        co_mutex_unlock(&record->lock);
        state_record_unref(record);
    }
}
