/*
 * The log: standard error, or the file of -D
 *
 * A line is written by one system call, so that lines of several threads (or
 * processes that share the file) do not mix.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>

/* Append to @filename from now on; NULL goes back to standard error. */
bool log_set_file(const char *filename, GError **errp);

/* Where the log goes now. */
int log_get_fd(void);

/* Write @prefix, the text and a line feed. */
void log_vline(const char *prefix, const char *fmt, va_list ap)
    G_GNUC_PRINTF(2, 0);

#endif
