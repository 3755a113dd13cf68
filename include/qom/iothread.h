/*
 * iothread objects: accepted, listed, without a thread of their own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_IOTHREAD_H
#define QOM_IOTHREAD_H

#include "qom/object.h"

typedef struct IOThread {
    Object obj;

    int64_t poll_max_ns;
    int64_t poll_grow;
    int64_t poll_shrink;
    int64_t aio_max_batch;
    int64_t thread_pool_min;
    int64_t thread_pool_max;
} IOThread;

extern const ObjectTypeInfo iothread_type;

#endif
