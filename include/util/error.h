/*
 * Errors of the control path
 *
 * The data path returns -errno and no text.  The control path returns bool
 * or a pointer and takes `GError **errp` as its last parameter.  An error is
 * either reported or returned, never both.  @errp may be NULL everywhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <glib.h>

/* QMP's error classes; a GError's code in COLO_ERROR's domain. */
typedef enum ErrorClass {
    ERROR_CLASS_GENERIC_ERROR,
    ERROR_CLASS_COMMAND_NOT_FOUND,
    ERROR_CLASS_DEVICE_NOT_ACTIVE,
    ERROR_CLASS_DEVICE_NOT_FOUND,
    ERROR_CLASS_KVM_MISSING_CAP,
} ErrorClass;

#define COLO_ERROR colo_error_quark()
GQuark colo_error_quark(void);

/* Name of @err's class as QMP spells it; errors of other domains are generic. */
const char *error_class_name(const GError *err);

/* Set @errp to a generic error. */
void error_setg(GError **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The same, with ": " and the text of @os_errno (positive) appended. */
void error_setg_errno(GError **errp, int os_errno, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Set @errp to an error of class @cls. */
void error_set_class(GError **errp, ErrorClass cls, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Add context in front of *@errp, if it is set. */
#define error_prepend g_prefix_error

/*
 * Print to the log (standard error, or the file of -D), one line each, with
 * the program's name in front.  warn_report adds "warning: ".
 */
void error_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void warn_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

#endif
