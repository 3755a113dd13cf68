/*
 * Rate limits: leaky buckets
 *
 * Six buckets: requests and bytes, of reads, of writes and of both.  Every
 * request pours its size into those that it concerns; they leak at the rate
 * that is allowed.  A request must wait while one of its buckets is too full.
 * Pure arithmetic: the caller brings the time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include "qapi/qapi-types-block-core.h"

typedef enum ThrottleBucketType {
    THROTTLE_BPS_TOTAL,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_OPS_TOTAL,
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    THROTTLE_BUCKETS,
} ThrottleBucketType;

/* Largest value of a limit. */
#define THROTTLE_VALUE_MAX INT64_C(1000000000000000)

typedef struct ThrottleLimit {
    int64_t avg;                /* units per second; 0: no limit */
    int64_t max;                /* units per second in a burst; 0: none */
    int64_t burst_length;       /* of a burst, in seconds; at least 1 */
} ThrottleLimit;

typedef struct ThrottleConfig {
    ThrottleLimit limit[THROTTLE_BUCKETS];
    int64_t op_size;            /* longer requests count as several; 0: not */
} ThrottleConfig;

typedef struct ThrottleState {
    ThrottleConfig cfg;
    double level[THROTTLE_BUCKETS];
    double burst_level[THROTTLE_BUCKETS];
    int64_t last_leak_ns;
} ThrottleState;

/* No limits at all. */
void throttle_config_init(ThrottleConfig *cfg);

/* Whether the limits make sense together; texts are QEMU's. */
bool throttle_config_check(const ThrottleConfig *cfg, GError **errp);

/* Whether there is any limit. */
bool throttle_config_enabled(const ThrottleConfig *cfg);

/* Change what @limits gives; cfg is unchecked afterwards. */
void throttle_config_apply(ThrottleConfig *cfg, const ThrottleLimits *limits);

/* The limits, all members given; free with qapi_free_ThrottleLimits. */
ThrottleLimits *throttle_config_limits(const ThrottleConfig *cfg);

/* From block_set_io_throttle's arguments. */
void throttle_config_from_io_throttle(ThrottleConfig *cfg,
                                      const BlockIOThrottle *arg);

/* Start anew under @cfg with empty buckets. */
void throttle_init(ThrottleState *ts, const ThrottleConfig *cfg,
                   int64_t now_ns);

/* How long a read or write that comes @now_ns must wait, in ns; 0: not. */
int64_t throttle_wait_ns(ThrottleState *ts, bool is_write, int64_t now_ns);

/* A request of @bytes goes on. */
void throttle_account(ThrottleState *ts, bool is_write, int64_t bytes);

#endif
