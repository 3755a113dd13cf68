/*
 * The drivers there are
 *
 * The core knows no driver by name: the daemon (or a test) hands it this
 * list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVERS_H
#define BLOCK_DRIVERS_H

#include "block/driver.h"

/* All drivers, ended by NULL: for bdrv_register_drivers(). */
extern const BlockDriver *const bdrv_drivers[];

extern const BlockDriver bdrv_blkdebug;
extern const BlockDriver bdrv_colo_buffer;
extern const BlockDriver bdrv_file;
extern const BlockDriver bdrv_host_device;
extern const BlockDriver bdrv_nbd;
extern const BlockDriver bdrv_null_co;
extern const BlockDriver bdrv_quorum;
extern const BlockDriver bdrv_raw;
extern const BlockDriver bdrv_replication;
extern const BlockDriver bdrv_throttle;

#endif
