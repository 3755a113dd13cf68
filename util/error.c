/*
 * Errors of the control path
 *
 * The constructors of our GErrors, with QMP's error classes as codes, and the
 * three ways of telling the user something without a monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/error.h"

#include "util/log.h"

G_DEFINE_QUARK(colo-error-quark, colo_error)

const char *error_class_name(const GError *err)
{
    static const char *const names[] = {
        [ERROR_CLASS_GENERIC_ERROR] = "GenericError",
        [ERROR_CLASS_COMMAND_NOT_FOUND] = "CommandNotFound",
        [ERROR_CLASS_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [ERROR_CLASS_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [ERROR_CLASS_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    if (err->domain != COLO_ERROR || err->code < 0 ||
        err->code >= (int)ARRAY_SIZE(names)) {
        return names[ERROR_CLASS_GENERIC_ERROR];
    }
    return names[err->code];
}

static void G_GNUC_PRINTF(3, 0)
error_setv(GError **errp, ErrorClass cls, const char *fmt, va_list ap)
{
    if (errp) {
        /* A second error on top of the first is a missing check. */
        g_assert(*errp == NULL);
        *errp = g_error_new_valist(COLO_ERROR, cls, fmt, ap);
    }
}

void error_setg(GError **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_setv(errp, ERROR_CLASS_GENERIC_ERROR, fmt, ap);
    va_end(ap);
}

void error_setg_errno(GError **errp, int os_errno, const char *fmt, ...)
{
    int saved_errno = errno;
    va_list ap;

    va_start(ap, fmt);
    error_setv(errp, ERROR_CLASS_GENERIC_ERROR, fmt, ap);
    va_end(ap);

    if (errp && os_errno != 0) {
        char *text = g_strdup_printf("%s: %s", (*errp)->message,
                                     g_strerror(os_errno));

        g_free((*errp)->message);
        (*errp)->message = text;
    }
    errno = saved_errno;
}

void error_set_class(GError **errp, ErrorClass cls, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_setv(errp, cls, fmt, ap);
    va_end(ap);
}

static void G_GNUC_PRINTF(2, 0)
report(const char *kind, const char *fmt, va_list ap)
{
    const char *program = g_get_prgname();
    g_autofree char *prefix = NULL;

    prefix = g_strdup_printf("%s: %s", program ?: "colo-storage-daemon", kind);
    log_vline(prefix, fmt, ap);
}

void error_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("", fmt, ap);
    va_end(ap);
}

void warn_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("warning: ", fmt, ap);
    va_end(ap);
}

void info_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("info: ", fmt, ap);
    va_end(ap);
}
