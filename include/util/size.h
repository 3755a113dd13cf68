/*
 * Numbers and sizes as people write them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "4096", "0x1000", "64k", "1.5G": bytes, with suffix b, k, M, G, T, P or E in
 * either case.  A fraction needs a suffix and is rounded to a byte.  False if
 * @text is anything else or does not fit.
 */
bool size_parse(const char *text, uint64_t *bytes);

/* Decimal, 0x or 0 in front as in C; the whole of @text and in range. */
bool int64_parse(const char *text, int64_t *val);
bool uint64_parse(const char *text, uint64_t *val);

/* on, yes, true, y and their opposites. */
bool bool_parse(const char *text, bool *val);

/* "1.5 GiB": three digits, for people.  To be freed. */
char *size_format(uint64_t bytes);

#endif
