/*
 * What a command does in which state
 *
 * The table of docs/replication.md as data.  Its texts are those that scripts
 * know.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "group-int.h"

#define NOT_RUNNING "Block replication is not running"
#define RUNNING_OR_DONE "Block replication is running or done"
#define UNDER_WAY "A checkpoint is already under way"
#define UNMERGED \
    "The failover could not merge the layers into the disk; repeat it"

typedef struct Cell {
    ReplicationAction action;
    const char *text;
} Cell;

#define ACT { REPLICATION_ACT, NULL }
#define IGNORE { REPLICATION_IGNORE, NULL }
#define REFUSE(text) { REPLICATION_REFUSE, text }

/* By state and mode: primary, secondary. */
typedef Cell Row[BLOCK_REPLICATION_STATE__MAX][REPLICATION_MODE__MAX];

static const Row table[] = {
    [REPLICATION_COMMAND_START] = {
        [BLOCK_REPLICATION_STATE_NONE] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_RUNNING] = {
            REFUSE(RUNNING_OR_DONE), REFUSE(RUNNING_OR_DONE)
        },
        [BLOCK_REPLICATION_STATE_PREPARED] = {
            REFUSE(RUNNING_OR_DONE), REFUSE(RUNNING_OR_DONE)
        },
        [BLOCK_REPLICATION_STATE_FAILOVER] = { IGNORE, IGNORE },
        [BLOCK_REPLICATION_STATE_FAILOVER_FAILED] = {
            REFUSE(RUNNING_OR_DONE), REFUSE(RUNNING_OR_DONE)
        },
        [BLOCK_REPLICATION_STATE_DONE] = { ACT, IGNORE },
    },
    [REPLICATION_COMMAND_CHECKPOINT] = {
        [BLOCK_REPLICATION_STATE_NONE] = { IGNORE, REFUSE(NOT_RUNNING) },
        [BLOCK_REPLICATION_STATE_RUNNING] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_PREPARED] = {
            REFUSE(UNDER_WAY), REFUSE(UNDER_WAY)
        },
        [BLOCK_REPLICATION_STATE_FAILOVER] = { IGNORE, IGNORE },
        [BLOCK_REPLICATION_STATE_FAILOVER_FAILED] = {
            REFUSE(UNMERGED), REFUSE(UNMERGED)
        },
        [BLOCK_REPLICATION_STATE_DONE] = { IGNORE, IGNORE },
    },
    [REPLICATION_COMMAND_STOP] = {
        [BLOCK_REPLICATION_STATE_NONE] = {
            REFUSE(NOT_RUNNING), REFUSE(NOT_RUNNING)
        },
        [BLOCK_REPLICATION_STATE_RUNNING] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_PREPARED] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_FAILOVER] = { IGNORE, IGNORE },
        [BLOCK_REPLICATION_STATE_FAILOVER_FAILED] = {
            REFUSE(UNMERGED), REFUSE(UNMERGED)
        },
        [BLOCK_REPLICATION_STATE_DONE] = { IGNORE, IGNORE },
    },
    [REPLICATION_COMMAND_FAILOVER] = {
        [BLOCK_REPLICATION_STATE_NONE] = { IGNORE, IGNORE },
        [BLOCK_REPLICATION_STATE_RUNNING] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_PREPARED] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_FAILOVER] = { IGNORE, IGNORE },
        [BLOCK_REPLICATION_STATE_FAILOVER_FAILED] = { ACT, ACT },
        [BLOCK_REPLICATION_STATE_DONE] = { IGNORE, IGNORE },
    },
};

ReplicationAction replication_table(ReplicationCommand command,
                                    ReplicationMode mode,
                                    BlockReplicationState state,
                                    const char **text)
{
    const Cell *cell = &table[command][state][mode];

    *text = cell->text;
    return cell->action;
}

GPtrArray *replication_choose(GPtrArray *disks, ReplicationCommand command,
                              GError **errp)
{
    GPtrArray *chosen = g_ptr_array_new();
    guint i;

    for (i = 0; i < disks->len; i++) {
        ReplicatedDisk *disk = disks->pdata[i];
        const char *text;

        switch (replication_table(command, replication_mode(disk->r),
                                  replicated_disk_state(disk), &text)) {
        case REPLICATION_ACT:
            g_ptr_array_add(chosen, disk);
            break;
        case REPLICATION_IGNORE:
            break;
        case REPLICATION_REFUSE:
            error_setg(errp, "%s", text);
            g_ptr_array_unref(chosen);
            return NULL;
        }
    }
    return chosen;
}
