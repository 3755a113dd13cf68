/*
 * Numbers and sizes as text
 *
 * Strict: the whole text must be the number, without white space around it.
 * Functions return 0, -EINVAL (not a number) or -ERANGE (does not fit), and
 * leave *@result alone unless they return 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_CUTILS_H
#define UTIL_CUTILS_H

/* @base as for strtol(); 0 takes 10, 0x10 and 010. */
int parse_int64(const char *text, int base, int64_t *result);

/* No sign allowed. */
int parse_uint64(const char *text, int base, uint64_t *result);

/*
 * A size in bytes: decimal with an optional fraction and an optional suffix
 * B, K, M, G, T, P or E (powers of 1024, either case), or hexadecimal without
 * suffix.  "1.5G", "64k", "0x1000".  What is not a whole number of bytes is
 * refused if there is no suffix, else cut off.
 */
int parse_size(const char *text, uint64_t *result);

/* on, yes, true, y or off, no, false, n. */
int parse_bool(const char *text, bool *result);

/* "1.5 GiB": three digits, for people. */
char *format_size(uint64_t bytes);

#endif
