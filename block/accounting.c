/*
 * Statistics of a block device: operations, bytes, errors, latencies
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/accounting.h"

static void histogram_account(BlockLatencyHistogram *hist, uint64_t ns)
{
    int low = 0, high = hist->nbins - 1;

    /* The bin is the number of boundaries that are not above @ns. */
    while (low < high) {
        int mid = (low + high) / 2;

        if (hist->boundaries[mid] <= ns) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    hist->bins[low]++;
}

void block_acct_done(BlockAcctStats *stats, BlockAcctType type, int64_t bytes,
                     int64_t start_ns, int64_t now_ns, int ret)
{
    stats->last_access_ns = now_ns;
    if (ret < 0) {
        stats->failed_ops[type]++;
    } else {
        stats->nr_bytes[type] += bytes;
        stats->nr_ops[type]++;
    }
    /* A failed one took time, too: QEMU's account-failed=on. */
    stats->total_time_ns[type] += now_ns - start_ns;
    if (G_UNLIKELY(stats->histogram[type].nbins)) {
        histogram_account(&stats->histogram[type], now_ns - start_ns);
    }
}

void block_acct_invalid(BlockAcctStats *stats, BlockAcctType type,
                        int64_t now_ns)
{
    stats->last_access_ns = now_ns;
    stats->invalid_ops[type]++;
}

static void histogram_clear(BlockLatencyHistogram *hist)
{
    g_clear_pointer(&hist->boundaries, g_free);
    g_clear_pointer(&hist->bins, g_free);
    hist->nbins = 0;
}

bool block_latency_histogram_set(BlockAcctStats *stats, BlockAcctType type,
                                 const uint64_t *boundaries, int n)
{
    BlockLatencyHistogram *hist = &stats->histogram[type];

    for (int i = 0; i < n; i++) {
        if (boundaries[i] <= (i ? boundaries[i - 1] : 0)) {
            return false;
        }
    }
    histogram_clear(hist);
    hist->nbins = n + 1;
    hist->boundaries = g_memdup2(boundaries, n * sizeof(*boundaries));
    hist->bins = g_new0(uint64_t, n + 1);
    return true;
}

void block_latency_histograms_clear(BlockAcctStats *stats)
{
    for (int i = 0; i < BLOCK_ACCT_MAX; i++) {
        histogram_clear(&stats->histogram[i]);
    }
}
