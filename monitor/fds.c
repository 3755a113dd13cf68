/*
 * Descriptors by name: getfd and closefd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

#include "qapi/qapi-commands-misc.h"

int monitor_get_fd(const char *name, GError **errp)
{
    g_autofree char *key = NULL;
    gpointer value;

    if (!g_hash_table_steal_extended(monitor_hub()->fds, name,
                                     (gpointer *)&key, &value)) {
        error_setg(errp, "File descriptor named '%s' has not been found",
                   name);
        return -1;
    }
    return GPOINTER_TO_INT(value);
}

void coroutine_fn qmp_getfd(const char *fdname, GError **errp)
{
    Monitor *mon = monitor_current();
    /* Whatever comes of it: the next getfd has one of its own. */
    int fd = mon ? monitor_take_fd(mon) : -1;

    if (fd < 0) {
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
        return;
    }
    if (g_ascii_isdigit(fdname[0])) {
        error_setg(errp, "Parameter 'fdname' expects a name not starting "
                   "with a digit");
        close(fd);
        return;
    }
    g_hash_table_replace(monitor_hub()->fds, g_strdup(fdname),
                         GINT_TO_POINTER(fd));
}

void coroutine_fn qmp_closefd(const char *fdname, GError **errp)
{
    if (!g_hash_table_remove(monitor_hub()->fds, fdname)) {
        error_setg(errp, "File descriptor named '%s' not found", fdname);
    }
}
