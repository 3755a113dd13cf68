/*
 * The list of drivers
 *
 * The only place that names them all, in alphabetical order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/drivers.h"

const BlockDriver *const bdrv_drivers[] = {
    &bdrv_blkdebug,
    &bdrv_colo_buffer,
    &bdrv_file,
    &bdrv_host_device,
    &bdrv_nbd,
    &bdrv_null_co,
    &bdrv_quorum,
    &bdrv_raw,
    &bdrv_replication,
    &bdrv_throttle,
    NULL
};
