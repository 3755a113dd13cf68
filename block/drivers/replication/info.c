/*
 * What query-block-replication shows of one disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

static int64_t ms_since(const Replication *r, int64_t when_ns)
{
    return (aio_clock_get_ns(r->bs->ctx) - when_ns) / SCALE_MS;
}

static BlockReplicationError *error_info(const Replication *r)
{
    const ReplicationError *e = &r->error;
    BlockReplicationError *info;

    if (e->ret == 0) {
        return NULL;
    }
    info = g_new0(BlockReplicationError, 1);
    info->node_name = g_strdup(e->node_name);
    info->what = g_strdup(e->what);
    info->q_errno = -e->ret;
    info->desc = g_strdup(g_strerror(-e->ret));
    info->has_offset = e->offset >= 0;
    info->offset = e->offset;
    info->age = ms_since(r, e->when_ns);
    return info;
}

static BlockReplicationPrimaryInfo *primary_info(const Replication *r)
{
    const Primary *p = &r->primary;
    BlockReplicationPrimaryInfo *info = g_new0(BlockReplicationPrimaryInfo, 1);
    const Forward *f;

    info->protocol = p->protocol;
    info->forwarded_bytes = p->forwarded_bytes;
    info->forwarded_requests = p->forwarded_requests;
    info->unforwarded_bytes = p->unforwarded_bytes;
    TAILQ_FOREACH(f, &p->in_flight, link) {
        if (f->op != FORWARD_PROBE) {
            info->in_flight_bytes += f->bytes;
            info->in_flight_requests++;
        }
    }
    return info;
}

static void add_usage(const Secondary *s, BlockReplicationSecondaryInfo *info)
{
    const ColoLayersOps *ops = s->layers->drv->colo_layers;
    ColoLayersUsage usage = { 0 };

    ops->usage(s->layers, &usage);
    info->active_bytes = usage.active_bytes;
    info->hidden_bytes = usage.hidden_bytes;
    info->memory_bytes = usage.memory_bytes;
    info->spill_bytes = usage.spill_bytes;
    info->max_bytes = usage.max_bytes;
    info->high_mark = usage.high;
}

static void add_progress(Replication *r, BlockReplicationSecondaryInfo *info)
{
    ColoMergeProgress progress;

    replication_merge_progress(r, &progress);
    info->has_merge_done = info->has_merge_total = true;
    info->merge_done = progress.done;
    info->merge_total = progress.total;
}

static BlockReplicationSecondaryInfo *secondary_info(Replication *r)
{
    const Secondary *s = &r->secondary;
    BlockReplicationSecondaryInfo *info =
        g_new0(BlockReplicationSecondaryInfo, 1);
    BlockDriverState *disk = secondary_disk(r);

    info->top = g_strdup(s->top_id);
    info->disk = g_strdup(disk ? disk->node_name : "");
    info->received_bytes = s->received_bytes;
    info->received_requests = s->received_requests;
    if (s->layers) {
        add_usage(s, info);
    }
    if (s->layers && !replication_is_running(r)) {
        add_progress(r, info);
    }
    return info;
}

void replication_get_info(Replication *r, BlockReplicationInfo *info)
{
    info->node_name = g_strdup(r->bs->node_name);
    info->mode = r->mode;
    info->state = r->state;
    info->attached = r->mode == REPLICATION_MODE_PRIMARY
        ? replication_has_node_above(r->bs) : secondary_top(r) != NULL;
    info->epoch = r->epoch;
    info->generation = r->generation;
    info->error = error_info(r);
    if (r->epoch) {
        info->has_last_checkpoint = true;
        info->last_checkpoint = ms_since(r, r->last_checkpoint_ns);
    }
    if (r->mode == REPLICATION_MODE_PRIMARY) {
        info->peer = bdrv_filename(r->bs->file->bs);
        info->primary = primary_info(r);
    } else {
        info->secondary = secondary_info(r);
    }
}
