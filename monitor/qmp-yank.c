/*
 * QMP: yank
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/yank.h"

#include "qapi/qapi-commands-yank.h"

void coroutine_fn qmp_yank(YankInstanceList *instances, GError **errp)
{
    yank_instances(instances, errp);
}

YankInstanceList *coroutine_fn qmp_query_yank(GError **errp)
{
    return yank_query();
}
