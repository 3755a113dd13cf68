/*
 * CRC32C (Castagnoli), as in iSCSI, ext4 and NVMe
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_CRC32C_H
#define UTIL_CRC32C_H

/*
 * The checksum of @bytes of @buf that follow data whose checksum is @crc (0
 * in front of everything).  Uses the processor's instruction if it has one.
 */
uint32_t crc32c(uint32_t crc, const void *buf, size_t bytes);

/* The two ways of doing it, for tests that compare them. */
uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t bytes);
bool crc32c_has_hardware(void);
uint32_t crc32c_hardware(uint32_t crc, const void *buf, size_t bytes);

#endif
