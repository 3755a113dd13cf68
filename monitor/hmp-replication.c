/*
 * The human monitor: replication
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "qapi/qapi-commands-replication.h"
#include "util/size.h"

static void print_primary(const BlockReplicationPrimaryInfo *info,
                          GString *out)
{
    g_autofree char *forwarded = size_format(info->forwarded_bytes);
    g_autofree char *in_flight = size_format(info->in_flight_bytes);

    g_string_append_printf(out, "    Forwarded:        %s in %" PRId64
                           " requests, %s\r\n", forwarded,
                           info->forwarded_requests,
                           ReplicationProtocol_str(info->protocol));
    g_string_append_printf(out, "    On the way:       %s in %" PRId64
                           " requests\r\n", in_flight,
                           info->in_flight_requests);
    if (info->unforwarded_bytes) {
        g_autofree char *missing = size_format(info->unforwarded_bytes);

        g_string_append_printf(out, "    Not forwarded:    %s, the other "
                               "side is no copy\r\n", missing);
    }
}

static void print_secondary(const BlockReplicationSecondaryInfo *info,
                            GString *out)
{
    g_autofree char *received = size_format(info->received_bytes);
    g_autofree char *active = size_format(info->active_bytes);
    g_autofree char *hidden = size_format(info->hidden_bytes);

    g_string_append_printf(out, "    Disk:             %s, seen by %s\r\n",
                           info->disk, info->top);
    g_string_append_printf(out, "    Received:         %s in %" PRId64
                           " requests, writer %s\r\n", received,
                           info->received_requests,
                           BlockReplicationWriter_str(info->writer));
    g_string_append_printf(out, "    Held:             %s written here, %s "
                           "overwritten there%s\r\n", active, hidden,
                           info->high_mark ? ", a checkpoint is due" : "");
    if (info->has_merge_total) {
        g_string_append_printf(out, "    Merged:           %" PRId64 " of %"
                               PRId64 " bytes\r\n", info->merge_done,
                               info->merge_total);
    }
}

static const char *state_text(const BlockReplicationInfo *info)
{
    if (info->state == BLOCK_REPLICATION_STATE_NONE) {
        return info->attached ? "attached, not started" : "not attached";
    }
    return BlockReplicationState_str(info->state);
}

static void print_error(const BlockReplicationError *error, GString *out)
{
    g_string_append_printf(out, "    Error:            %s on %s", error->what,
                           error->node_name);
    if (error->has_offset) {
        g_string_append_printf(out, " at offset %" PRId64, error->offset);
    }
    g_string_append_printf(out, ": %s, %" PRId64 " ms ago\r\n", error->desc,
                           error->age);
}

static void print_disk(const BlockReplicationInfo *info, GString *out)
{
    g_string_append_printf(out, "%s: %s, %s, epoch %" PRId64 "\r\n",
                           info->node_name, ReplicationMode_str(info->mode),
                           state_text(info), info->epoch);
    if (info->peer) {
        g_string_append_printf(out, "    Peer:             %s\r\n",
                               info->peer);
    }
    if (info->has_last_checkpoint) {
        g_string_append_printf(out, "    Last checkpoint:  %" PRId64
                               " ms ago, pause %" PRId64 " us\r\n",
                               info->last_checkpoint, info->last_pause);
    }
    if (info->primary) {
        print_primary(info->primary, out);
    }
    if (info->secondary) {
        print_secondary(info->secondary, out);
    }
    if (info->state_file) {
        g_string_append_printf(out, "    State file:       %s says %s\r\n",
                               info->state_file, info->has_disk_state ?
                               ReplicationDiskState_str(info->disk_state) :
                               "nothing");
    }
    if (info->error) {
        print_error(info->error, out);
    }
}

void coroutine_fn hmp_info_replication(const HmpArgs *args, GString *out)
{
    g_autoptr(BlockReplicationInfoList) list =
        qmp_query_block_replication(NULL);
    BlockReplicationInfoList *item;

    if (!list) {
        g_string_append(out, "No replicated disks\r\n");
    }
    for (item = list; item; item = item->next) {
        print_disk(item->value, out);
    }
}
