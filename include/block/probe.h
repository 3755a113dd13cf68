/*
 * Which image format do the first bytes of a disk belong to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_PROBE_H
#define BLOCK_PROBE_H

/* How much of the beginning is looked at. */
#define BDRV_PROBE_BYTES 512

/*
 * The name of the format that @buf, the first @len bytes of a disk, belongs
 * to; "raw" if they look like none.  Never NULL.  A format need not have a
 * driver here.
 */
const char *bdrv_probe_format(const uint8_t *buf, size_t len);

#endif
