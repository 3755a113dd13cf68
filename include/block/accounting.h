/*
 * Statistics of a block device: operations, bytes, errors, latencies
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_ACCOUNTING_H
#define BLOCK_ACCOUNTING_H

typedef enum BlockAcctType {
    BLOCK_ACCT_READ,
    BLOCK_ACCT_WRITE,
    BLOCK_ACCT_FLUSH,
    BLOCK_ACCT_UNMAP,
    BLOCK_ACCT_MAX,
} BlockAcctType;

/* A latency histogram as in block-latency-histogram-set. */
typedef struct BlockLatencyHistogram {
    int nbins;                  /* 0: off */
    uint64_t *boundaries;       /* nbins - 1 of them, in ns, ascending */
    uint64_t *bins;
} BlockLatencyHistogram;

typedef struct BlockAcctStats {
    uint64_t nr_bytes[BLOCK_ACCT_MAX];
    uint64_t nr_ops[BLOCK_ACCT_MAX];
    uint64_t total_time_ns[BLOCK_ACCT_MAX];
    uint64_t failed_ops[BLOCK_ACCT_MAX];
    uint64_t invalid_ops[BLOCK_ACCT_MAX];
    int64_t last_access_ns;     /* 0: never */
    BlockLatencyHistogram histogram[BLOCK_ACCT_MAX];
} BlockAcctStats;

/*
 * A request has ended with @ret; @start_ns and @now_ns by one clock.  Times
 * are those of failed ones, too.
 */
void block_acct_done(BlockAcctStats *stats, BlockAcctType type, int64_t bytes,
                     int64_t start_ns, int64_t now_ns, int ret);
/* A request was refused before it reached the device. */
void block_acct_invalid(BlockAcctStats *stats, BlockAcctType type,
                        int64_t now_ns);

/* @boundaries: @n ascending values in ns, all different; else false. */
bool block_latency_histogram_set(BlockAcctStats *stats, BlockAcctType type,
                                 const uint64_t *boundaries, int n);
void block_latency_histograms_clear(BlockAcctStats *stats);

#endif
