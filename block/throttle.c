/*
 * Rate limits: leaky buckets
 *
 * A bucket without a burst holds what leaks in a tenth of a second, so that
 * requests that come in lumps are not torn apart.  With a burst it holds a
 * whole burst, and a second, small bucket that leaks at the burst's rate
 * keeps the burst itself in check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/throttle.h"

/* Part of a second's worth that may come at once. */
#define THROTTLE_SLACK 10.0

/* The buckets that a request of each direction is poured into. */
static const ThrottleBucketType buckets_of[2][4] = {
    { THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL,
      THROTTLE_BPS_READ, THROTTLE_OPS_READ },
    { THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL,
      THROTTLE_BPS_WRITE, THROTTLE_OPS_WRITE },
};

static bool is_bps(ThrottleBucketType type)
{
    return type <= THROTTLE_BPS_WRITE;
}

/* Configuration */

void throttle_config_init(ThrottleConfig *cfg)
{
    *cfg = (ThrottleConfig) { .op_size = 0 };
    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        cfg->limit[i].burst_length = 1;
    }
}

bool throttle_config_enabled(const ThrottleConfig *cfg)
{
    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        if (cfg->limit[i].avg > 0) {
            return true;
        }
    }
    return false;
}

/* Whether @total and one of @read and @write are both set, in avg or max. */
static bool total_conflicts(const ThrottleConfig *cfg,
                            ThrottleBucketType total, ThrottleBucketType read,
                            ThrottleBucketType write)
{
    const ThrottleLimit *l = cfg->limit;

    return (l[total].avg && (l[read].avg || l[write].avg)) ||
           (l[total].max && (l[read].max || l[write].max));
}

static bool throttle_limit_check(const ThrottleLimit *l, GError **errp)
{
    if (l->avg < 0 || l->max < 0 || l->avg > THROTTLE_VALUE_MAX ||
        l->max > THROTTLE_VALUE_MAX) {
        error_setg(errp, "bps/iops/max values must be within [0, %" PRId64 "]",
                   THROTTLE_VALUE_MAX);
        return false;
    }
    if (l->burst_length < 1) {
        error_setg(errp, "the burst length cannot be 0");
        return false;
    }
    if (l->burst_length > 1 && !l->max) {
        error_setg(errp, "burst length set without burst rate");
        return false;
    }
    if (l->max && l->burst_length > THROTTLE_VALUE_MAX / l->max) {
        error_setg(errp, "burst length too high for this burst rate");
        return false;
    }
    if (l->max && !l->avg) {
        error_setg(errp,
                   "bps_max/iops_max require corresponding bps/iops values");
        return false;
    }
    if (l->max && l->max < l->avg) {
        error_setg(errp, "bps_max/iops_max cannot be lower than bps/iops");
        return false;
    }
    return true;
}

bool throttle_config_check(const ThrottleConfig *cfg, GError **errp)
{
    if (total_conflicts(cfg, THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ,
                        THROTTLE_BPS_WRITE) ||
        total_conflicts(cfg, THROTTLE_OPS_TOTAL, THROTTLE_OPS_READ,
                        THROTTLE_OPS_WRITE)) {
        error_setg(errp, "bps/iops/max total values and read/write values "
                   "cannot be used at the same time");
        return false;
    }
    if (cfg->op_size < 0 || cfg->op_size > THROTTLE_VALUE_MAX) {
        error_setg(errp, "iops size must be within [0, %" PRId64 "]",
                   THROTTLE_VALUE_MAX);
        return false;
    }
    if (cfg->op_size && !cfg->limit[THROTTLE_OPS_TOTAL].avg &&
        !cfg->limit[THROTTLE_OPS_READ].avg &&
        !cfg->limit[THROTTLE_OPS_WRITE].avg) {
        error_setg(errp, "iops size requires an iops value to be set");
        return false;
    }
    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        if (!throttle_limit_check(&cfg->limit[i], errp)) {
            return false;
        }
    }
    return true;
}

/* One of the three members of a limit: taken over if it is given. */
#define APPLY(field, type, member)                                      \
    do {                                                                \
        if (limits->has_##field) {                                      \
            cfg->limit[type].member = limits->field;                    \
        }                                                               \
    } while (0)

#define APPLY_LIMIT(field, type)                                        \
    do {                                                                \
        APPLY(field, type, avg);                                        \
        APPLY(field##_max, type, max);                                  \
        APPLY(field##_max_length, type, burst_length);                  \
    } while (0)

void throttle_config_apply(ThrottleConfig *cfg, const ThrottleLimits *limits)
{
    APPLY_LIMIT(bps_total, THROTTLE_BPS_TOTAL);
    APPLY_LIMIT(bps_read, THROTTLE_BPS_READ);
    APPLY_LIMIT(bps_write, THROTTLE_BPS_WRITE);
    APPLY_LIMIT(iops_total, THROTTLE_OPS_TOTAL);
    APPLY_LIMIT(iops_read, THROTTLE_OPS_READ);
    APPLY_LIMIT(iops_write, THROTTLE_OPS_WRITE);
    if (limits->has_iops_size) {
        cfg->op_size = limits->iops_size;
    }
}

#define REPORT(field, value)                                            \
    do {                                                                \
        limits->has_##field = true;                                     \
        limits->field = (value);                                        \
    } while (0)

#define REPORT_LIMIT(field, type)                                       \
    do {                                                                \
        REPORT(field, cfg->limit[type].avg);                            \
        REPORT(field##_max, cfg->limit[type].max);                      \
        REPORT(field##_max_length, cfg->limit[type].burst_length);      \
    } while (0)

ThrottleLimits *throttle_config_limits(const ThrottleConfig *cfg)
{
    ThrottleLimits *limits = g_new0(ThrottleLimits, 1);

    REPORT_LIMIT(bps_total, THROTTLE_BPS_TOTAL);
    REPORT_LIMIT(bps_read, THROTTLE_BPS_READ);
    REPORT_LIMIT(bps_write, THROTTLE_BPS_WRITE);
    REPORT_LIMIT(iops_total, THROTTLE_OPS_TOTAL);
    REPORT_LIMIT(iops_read, THROTTLE_OPS_READ);
    REPORT_LIMIT(iops_write, THROTTLE_OPS_WRITE);
    REPORT(iops_size, cfg->op_size);
    return limits;
}

#define FROM_IO_THROTTLE(field, type)                                   \
    do {                                                                \
        cfg->limit[type].avg = arg->field;                              \
        if (arg->has_##field##_max) {                                   \
            cfg->limit[type].max = arg->field##_max;                    \
        }                                                               \
        if (arg->has_##field##_max_length) {                            \
            cfg->limit[type].burst_length = arg->field##_max_length;    \
        }                                                               \
    } while (0)

void throttle_config_from_io_throttle(ThrottleConfig *cfg,
                                      const BlockIOThrottle *arg)
{
    throttle_config_init(cfg);
    FROM_IO_THROTTLE(bps, THROTTLE_BPS_TOTAL);
    FROM_IO_THROTTLE(bps_rd, THROTTLE_BPS_READ);
    FROM_IO_THROTTLE(bps_wr, THROTTLE_BPS_WRITE);
    FROM_IO_THROTTLE(iops, THROTTLE_OPS_TOTAL);
    FROM_IO_THROTTLE(iops_rd, THROTTLE_OPS_READ);
    FROM_IO_THROTTLE(iops_wr, THROTTLE_OPS_WRITE);
    if (arg->has_iops_size) {
        cfg->op_size = arg->iops_size;
    }
}

/* Buckets */

void throttle_init(ThrottleState *ts, const ThrottleConfig *cfg,
                   int64_t now_ns)
{
    *ts = (ThrottleState) { .cfg = *cfg, .last_leak_ns = now_ns };
}

static void throttle_leak(ThrottleState *ts, int64_t now_ns)
{
    double seconds;

    if (now_ns <= ts->last_leak_ns) {
        return;
    }
    seconds = (double)(now_ns - ts->last_leak_ns) / NANOSECONDS_PER_SECOND;
    ts->last_leak_ns = now_ns;

    for (int i = 0; i < THROTTLE_BUCKETS; i++) {
        const ThrottleLimit *l = &ts->cfg.limit[i];

        ts->level[i] = MAX(ts->level[i] - l->avg * seconds, 0);
        ts->burst_level[i] = MAX(ts->burst_level[i] - l->max * seconds, 0);
    }
}

/* Until @excess has leaked at @rate; never 0, so that callers make progress. */
static int64_t leak_time_ns(double excess, double rate)
{
    return (int64_t)(excess * NANOSECONDS_PER_SECOND / rate) + 1;
}

static int64_t bucket_wait_ns(const ThrottleState *ts, ThrottleBucketType i)
{
    const ThrottleLimit *l = &ts->cfg.limit[i];
    double size = l->max ? (double)l->max * l->burst_length
                         : l->avg / THROTTLE_SLACK;

    if (!l->avg) {
        return 0;
    }
    if (ts->level[i] > size) {
        return leak_time_ns(ts->level[i] - size, l->avg);
    }
    if (l->burst_length > 1 && ts->burst_level[i] > l->max / THROTTLE_SLACK) {
        return leak_time_ns(ts->burst_level[i] - l->max / THROTTLE_SLACK,
                            l->max);
    }
    return 0;
}

int64_t throttle_wait_ns(ThrottleState *ts, bool is_write, int64_t now_ns)
{
    int64_t wait = 0;

    throttle_leak(ts, now_ns);
    for (size_t i = 0; i < ARRAY_SIZE(buckets_of[0]); i++) {
        wait = MAX(wait, bucket_wait_ns(ts, buckets_of[is_write][i]));
    }
    return wait;
}

void throttle_account(ThrottleState *ts, bool is_write, int64_t bytes)
{
    double ops = 1.0;

    if (ts->cfg.op_size && bytes > ts->cfg.op_size) {
        ops = (double)bytes / ts->cfg.op_size;
    }
    for (size_t i = 0; i < ARRAY_SIZE(buckets_of[0]); i++) {
        ThrottleBucketType type = buckets_of[is_write][i];
        double units = is_bps(type) ? bytes : ops;

        ts->level[type] += units;
        if (ts->cfg.limit[type].burst_length > 1) {
            ts->burst_level[type] += units;
        }
    }
}
