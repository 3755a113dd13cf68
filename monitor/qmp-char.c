/*
 * QMP: character devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/chardev.h"

#include "qapi/qapi-commands-char.h"

ChardevInfoList *coroutine_fn qmp_query_chardev(GError **errp)
{
    return chardev_query();
}

ChardevReturn *coroutine_fn qmp_chardev_add(const char *id,
                                            ChardevBackend *backend,
                                            GError **errp)
{
    if (!chardev_co_add(id, backend, errp)) {
        return NULL;
    }
    return g_new0(ChardevReturn, 1);
}

void coroutine_fn qmp_chardev_remove(const char *id, GError **errp)
{
    chardev_remove(id, errp);
}
