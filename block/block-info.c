/*
 * What nodes and backends tell of themselves
 *
 * Builds the answers of query-block, query-named-block-nodes and
 * query-blockstats.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/block-info.h"

#include "block/driver.h"
#include "block/io.h"
#include "block/throttle-group.h"

/* Nodes */

static ImageInfo *coroutine_fn bdrv_image_info(BlockDriverState *bs, bool flat)
{
    ImageInfo *info = g_new0(ImageInfo, 1);
    int64_t allocated = bdrv_co_allocated_size(bs);

    info->filename = bdrv_filename(bs);
    info->format = g_strdup(bs->drv->format_name);
    info->virtual_size = MAX(bdrv_getlength(bs), 0);
    if (allocated >= 0) {
        info->has_actual_size = true;
        info->actual_size = allocated;
    }
    if (bs->backing) {
        info->backing_filename = bdrv_filename(bs->backing->bs);
        info->full_backing_filename = g_strdup(info->backing_filename);
        if (!flat) {
            info->backing_image = bdrv_image_info(bs->backing->bs, false);
        }
    }
    return info;
}

/* The three members of a limit, two of them optional. */
#define SET_LIMIT(field, type)                                          \
    do {                                                                \
        const ThrottleLimit *l = &cfg->limit[type];                     \
                                                                        \
        info->field = l->avg;                                           \
        info->has_##field##_max = l->max != 0;                          \
        info->field##_max = l->max;                                     \
        info->has_##field##_max_length = l->max != 0;                   \
        info->field##_max_length = l->burst_length;                     \
    } while (0)

static void set_limits(BlockDeviceInfo *info, const ThrottleConfig *cfg)
{
    SET_LIMIT(bps, THROTTLE_BPS_TOTAL);
    SET_LIMIT(bps_rd, THROTTLE_BPS_READ);
    SET_LIMIT(bps_wr, THROTTLE_BPS_WRITE);
    SET_LIMIT(iops, THROTTLE_OPS_TOTAL);
    SET_LIMIT(iops_rd, THROTTLE_OPS_READ);
    SET_LIMIT(iops_wr, THROTTLE_OPS_WRITE);
    info->has_iops_size = cfg->op_size != 0;
    info->iops_size = cfg->op_size;
}

static BlockdevCacheInfo *bdrv_cache_info(BlockBackend *blk,
                                          BlockDriverState *bs)
{
    BlockdevCacheInfo *info = g_new0(BlockdevCacheInfo, 1);

    info->writeback = !blk || blk_enable_write_cache(blk);
    info->direct = bs->cache_direct;
    info->no_flush = bs->cache_no_flush;
    return info;
}

static int bdrv_backing_depth(BlockDriverState *bs)
{
    int depth = 0;

    for (; bs->backing; bs = bs->backing->bs) {
        depth++;
    }
    return depth;
}

BlockDeviceInfo *coroutine_fn
bdrv_block_device_info(BlockBackend *blk, BlockDriverState *bs, bool flat)
{
    BlockDeviceInfo *info = g_new0(BlockDeviceInfo, 1);
    ThrottleConfig cfg;
    const char *group = blk ? blk_throttle_get(blk, &cfg) : NULL;

    info->file = bdrv_filename(bs);
    info->node_name = g_strdup(bdrv_node_name(bs));
    info->ro = bdrv_is_read_only(bs);
    info->drv = g_strdup(bs->drv->format_name);
    info->backing_file_depth = bdrv_backing_depth(bs);
    if (bs->backing) {
        info->backing_file = bdrv_filename(bs->backing->bs);
    }
    info->detect_zeroes = bs->detect_zeroes;
    info->cache = bdrv_cache_info(blk, bs);
    info->image = bdrv_image_info(bs, flat);
    if (group) {
        set_limits(info, &cfg);
        info->group = g_strdup(group);
    }
    return info;
}

BlockInfo *coroutine_fn blk_block_info(BlockBackend *blk)
{
    BlockInfo *info = g_new0(BlockInfo, 1);
    BlockDriverState *bs = blk_bs(blk);

    info->device = g_strdup(blk_name(blk));
    info->type = g_strdup("unknown");
    /* With any other interface it is the disk of some machine's device. */
    info->removable = g_strcmp0(blk_interface(blk), "none") == 0;
    if (bs) {
        info->inserted = bdrv_block_device_info(blk, bs, false);
    }
    return info;
}

/* Statistics */

static BlockLatencyHistogramInfo *
histogram_info(const BlockLatencyHistogram *hist)
{
    BlockLatencyHistogramInfo *info;
    uint64List **bound, **bin;

    if (hist->nbins == 0) {
        return NULL;
    }
    info = g_new0(BlockLatencyHistogramInfo, 1);
    bound = &info->boundaries;
    bin = &info->bins;
    for (int i = 0; i < hist->nbins; i++) {
        if (i < hist->nbins - 1) {
            *bound = g_new0(uint64List, 1);
            (*bound)->value = hist->boundaries[i];
            bound = &(*bound)->next;
        }
        *bin = g_new0(uint64List, 1);
        (*bin)->value = hist->bins[i];
        bin = &(*bin)->next;
    }
    return info;
}

static void set_device_stats(BlockDeviceStats *ds, const BlockAcctStats *s,
                             int64_t now)
{
    ds->rd_bytes = s->nr_bytes[BLOCK_ACCT_READ];
    ds->wr_bytes = s->nr_bytes[BLOCK_ACCT_WRITE];
    ds->unmap_bytes = s->nr_bytes[BLOCK_ACCT_UNMAP];
    ds->rd_operations = s->nr_ops[BLOCK_ACCT_READ];
    ds->wr_operations = s->nr_ops[BLOCK_ACCT_WRITE];
    ds->flush_operations = s->nr_ops[BLOCK_ACCT_FLUSH];
    ds->unmap_operations = s->nr_ops[BLOCK_ACCT_UNMAP];
    ds->rd_total_time_ns = s->total_time_ns[BLOCK_ACCT_READ];
    ds->wr_total_time_ns = s->total_time_ns[BLOCK_ACCT_WRITE];
    ds->flush_total_time_ns = s->total_time_ns[BLOCK_ACCT_FLUSH];
    ds->unmap_total_time_ns = s->total_time_ns[BLOCK_ACCT_UNMAP];
    ds->failed_rd_operations = s->failed_ops[BLOCK_ACCT_READ];
    ds->failed_wr_operations = s->failed_ops[BLOCK_ACCT_WRITE];
    ds->failed_flush_operations = s->failed_ops[BLOCK_ACCT_FLUSH];
    ds->failed_unmap_operations = s->failed_ops[BLOCK_ACCT_UNMAP];
    ds->invalid_rd_operations = s->invalid_ops[BLOCK_ACCT_READ];
    ds->invalid_wr_operations = s->invalid_ops[BLOCK_ACCT_WRITE];
    ds->invalid_flush_operations = s->invalid_ops[BLOCK_ACCT_FLUSH];
    ds->invalid_unmap_operations = s->invalid_ops[BLOCK_ACCT_UNMAP];
    ds->account_invalid = true;
    ds->account_failed = true;
    ds->has_idle_time_ns = s->last_access_ns != 0;
    ds->idle_time_ns = now - s->last_access_ns;
    ds->rd_latency_histogram = histogram_info(&s->histogram[BLOCK_ACCT_READ]);
    ds->wr_latency_histogram = histogram_info(&s->histogram[BLOCK_ACCT_WRITE]);
    ds->flush_latency_histogram =
        histogram_info(&s->histogram[BLOCK_ACCT_FLUSH]);
}

/* The node's own part; @chain: and that of the nodes below it. */
static void set_node_stats(BlockStats *stats, BlockDriverState *bs, bool chain)
{
    stats->node_name = g_strdup(bdrv_node_name(bs));
    stats->stats->wr_highest_offset = bs->wr_highest_offset;
    if (bs->file) {
        stats->parent = g_new0(BlockStats, 1);
        stats->parent->stats = g_new0(BlockDeviceStats, 1);
        set_node_stats(stats->parent, bs->file->bs, chain);
    }
    if (chain && bs->backing) {
        stats->backing = g_new0(BlockStats, 1);
        stats->backing->stats = g_new0(BlockDeviceStats, 1);
        set_node_stats(stats->backing, bs->backing->bs, chain);
    }
}

BlockStats *bdrv_block_stats(BlockDriverState *bs)
{
    BlockStats *stats = g_new0(BlockStats, 1);

    stats->stats = g_new0(BlockDeviceStats, 1);
    set_node_stats(stats, bs, false);
    return stats;
}

BlockStats *blk_block_stats(BlockBackend *blk)
{
    BlockStats *stats = g_new0(BlockStats, 1);
    BlockDriverState *bs = blk_bs(blk);

    stats->stats = g_new0(BlockDeviceStats, 1);
    stats->device = g_strdup(blk_name(blk));
    stats->qdev = g_strdup(blk_user(blk));
    set_device_stats(stats->stats, blk_stats(blk),
                     aio_clock_get_ns(blk_get_aio_context(blk)));
    if (bs) {
        set_node_stats(stats, bs, true);
    }
    return stats;
}
