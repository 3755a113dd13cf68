/*
 * The human monitor: info
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "qapi/qapi-commands-block-core.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-commands-job.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-run-state.h"
#include "util/size.h"

void coroutine_fn hmp_info_status(const HmpArgs *args, GString *out)
{
    g_autoptr(StatusInfo) info = qmp_query_status(NULL);

    g_string_append_printf(out, "VM status: %s",
                           info->running ? "running" : "paused");
    if (!info->running && info->status != RUN_STATE_PAUSED) {
        g_string_append_printf(out, " (%s)", RunState_str(info->status));
    }
    g_string_append(out, "\r\n");
}

void coroutine_fn hmp_info_version(const HmpArgs *args, GString *out)
{
    g_autoptr(VersionInfo) info = qmp_query_version(NULL);

    g_string_append_printf(out, "%" PRId64 ".%" PRId64 ".%" PRId64 "%s\r\n",
                           info->qemu->major, info->qemu->minor,
                           info->qemu->micro, info->package);
}

void coroutine_fn hmp_info_jobs(const HmpArgs *args, GString *out)
{
    g_autoptr(BlockJobInfoList) list = qmp_query_block_jobs(NULL);
    BlockJobInfoList *item;

    if (!list) {
        g_string_append(out, "No active jobs\r\n");
    }
    for (item = list; item; item = item->next) {
        const BlockJobInfo *job = item->value;

        g_string_append_printf(out, "Type %s, device %s: Completed %" PRId64
                               " of %" PRId64 " bytes, speed limit %" PRId64
                               " bytes/s\r\n", JobType_str(job->type),
                               job->device, job->offset, job->len,
                               job->speed);
    }
}

/* The lines that a node and a drive have in common. */
static void print_inserted(const BlockDeviceInfo *info, bool verbose,
                           GString *out)
{
    if (info->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        g_string_append_printf(out, "    Detect zeroes:    %s\r\n",
                               BlockdevDetectZeroesOptions_str(
                                   info->detect_zeroes));
    }
    if (info->backing_file) {
        g_string_append_printf(out, "    Backing file:     %s (chain depth: "
                               "%" PRId64 ")\r\n", info->backing_file,
                               info->backing_file_depth);
    }
    if (info->bps || info->bps_rd || info->bps_wr || info->iops ||
        info->iops_rd || info->iops_wr) {
        g_string_append_printf(out, "    I/O throttling:   bps=%" PRId64
                               " bps_rd=%" PRId64 " bps_wr=%" PRId64
                               " iops=%" PRId64 " iops_rd=%" PRId64
                               " iops_wr=%" PRId64 " group=%s\r\n",
                               info->bps, info->bps_rd, info->bps_wr,
                               info->iops, info->iops_rd, info->iops_wr,
                               info->group ?: "");
    }
    if (verbose) {
        g_autofree char *size = size_format(
            info->image->virtual_size);

        g_string_append_printf(out, "\r\nImages:\r\nimage: %s\r\n"
                               "file format: %s\r\nvirtual size: %s (%" PRId64
                               " bytes)\r\n", info->image->filename,
                               info->image->format, size,
                               info->image->virtual_size);
    }
}

static void print_cache(const BlockDeviceInfo *info, GString *out)
{
    g_string_append_printf(out, "    Cache mode:       %s%s%s\r\n",
                           info->cache->writeback ? "writeback"
                                                  : "writethrough",
                           info->cache->direct ? ", direct" : "",
                           info->cache->no_flush ? ", ignore flushes" : "");
}

static void print_image_line(const BlockDeviceInfo *info, GString *out)
{
    g_string_append_printf(out, ": %s (%s%s)\r\n", info->file, info->drv,
                           info->ro ? ", read-only" : "");
}

static void print_drive(const BlockInfo *info, bool verbose, GString *out)
{
    const BlockDeviceInfo *inserted = info->inserted;

    g_string_append(out, info->device);
    if (inserted && inserted->node_name) {
        g_string_append_printf(out, " (%s)", inserted->node_name);
    }
    if (inserted) {
        print_image_line(inserted, out);
    } else {
        g_string_append(out, ": [not inserted]\r\n");
    }
    if (info->removable) {
        g_string_append(out,
                        "    Removable device: not locked, tray closed\r\n");
    }
    if (inserted) {
        print_cache(inserted, out);
        print_inserted(inserted, verbose, out);
    }
}

static bool coroutine_fn info_drives(const char *device, bool verbose,
                                     GString *out)
{
    g_autoptr(BlockInfoList) list = qmp_query_block(NULL);
    BlockInfoList *item;
    bool found = false;

    for (item = list; item; item = item->next) {
        if (device && !g_str_equal(device, item->value->device)) {
            continue;
        }
        if (found) {
            g_string_append(out, "\r\n");
        }
        found = true;
        print_drive(item->value, verbose, out);
    }
    return found;
}

static void coroutine_fn info_nodes(const char *device, bool verbose,
                                    GString *out)
{
    g_autoptr(BlockDeviceInfoList) list =
        qmp_query_named_block_nodes(false, false, NULL);
    BlockDeviceInfoList *item;
    bool found = false;

    for (item = list; item; item = item->next) {
        if (device && g_strcmp0(device, item->value->node_name) != 0) {
            continue;
        }
        if (found) {
            g_string_append(out, "\r\n");
        }
        found = true;
        g_string_append(out, item->value->node_name ?: "unnamed");
        print_image_line(item->value, out);
        print_cache(item->value, out);
        print_inserted(item->value, verbose, out);
    }
}

void coroutine_fn hmp_info_block(const HmpArgs *args, GString *out)
{
    bool nodes = args->flag[0], verbose = args->flag[1];
    const char *device = args->word[0];
    bool found = !nodes && info_drives(device, verbose, out);

    if (nodes || (device && !found)) {
        info_nodes(device, verbose, out);
    }
    /* As in QEMU: of a name that nobody has, nothing is said. */
}

static void print_stats(const BlockStats *info, GString *out)
{
    const BlockDeviceStats *s = info->stats;

    g_string_append_printf(out, "%s: rd_bytes=%" PRId64 " wr_bytes=%" PRId64
                           " rd_operations=%" PRId64 " wr_operations=%" PRId64
                           " flush_operations=%" PRId64
                           " wr_total_time_ns=%" PRId64
                           " rd_total_time_ns=%" PRId64
                           " flush_total_time_ns=%" PRId64
                           " rd_merged=%" PRId64 " wr_merged=%" PRId64
                           " idle_time_ns=%" PRId64 "\r\n", info->device,
                           s->rd_bytes, s->wr_bytes, s->rd_operations,
                           s->wr_operations, s->flush_operations,
                           s->wr_total_time_ns, s->rd_total_time_ns,
                           s->flush_total_time_ns, s->rd_merged,
                           s->wr_merged, s->idle_time_ns);
}

void coroutine_fn hmp_info_blockstats(const HmpArgs *args, GString *out)
{
    g_autoptr(BlockStatsList) list = qmp_query_blockstats(false, false, NULL);
    BlockStatsList *item;

    for (item = list; item; item = item->next) {
        if (item->value->device) {
            print_stats(item->value, out);
        }
    }
}
