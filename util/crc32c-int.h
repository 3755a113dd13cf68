/*
 * CRC32C: what both ways share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_CRC32C_INT_H
#define UTIL_CRC32C_INT_H

/* Bit-reversed */
#define CRC32C_POLYNOMIAL 0x82f63b78u

#endif
