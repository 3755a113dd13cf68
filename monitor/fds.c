/*
 * Descriptors by name: getfd and closefd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

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

void monitor_add_fd(const char *name, int fd)
{
    g_hash_table_replace(monitor_hub()->fds, g_strdup(name),
                         GINT_TO_POINTER(fd));
}

bool monitor_close_fd(const char *name, GError **errp)
{
    if (!g_hash_table_remove(monitor_hub()->fds, name)) {
        error_setg(errp, "File descriptor named '%s' not found", name);
        return false;
    }
    return true;
}
