/*
 * What every source file includes first
 *
 * Build configuration, the C library headers that everybody needs, GLib, and
 * a handful of macros that have no better home.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef COLO_OSDEP_H
#define COLO_OSDEP_H

#include "config-host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <glib.h>

#include "util/error.h"

#define KiB (INT64_C(1) << 10)
#define MiB (INT64_C(1) << 20)
#define GiB (INT64_C(1) << 30)
#define TiB (INT64_C(1) << 40)

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
#define SCALE_MS INT64_C(1000000)
#define SCALE_US INT64_C(1000)

#define ARRAY_SIZE(x) G_N_ELEMENTS(x)

/* @d need not be a power of two; both arguments are evaluated twice. */
#define ROUND_DOWN(n, d) ((n) - (n) % (d))
#define ROUND_UP(n, d) ROUND_DOWN((n) + (d) - 1, (d))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define IS_ALIGNED(n, d) ((n) % (d) == 0)

#define container_of(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/*
 * Runs in a coroutine only, and may yield.  Documentation for readers; a
 * coroutine_fn is called from another coroutine_fn.
 */
#define coroutine_fn

#endif
