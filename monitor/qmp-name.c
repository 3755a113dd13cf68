/*
 * QMP: the guest's name
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor.h"

#include "qapi/qapi-commands-misc.h"
#include "util/aio.h"

typedef struct GuestName {
    char *name;
} GuestName;

static void guest_name_fini(AioContext *ctx, void *data)
{
    GuestName *guest = data;

    g_free(guest->name);
}

static const AioLocal guest_name_key = {
    .size = sizeof(GuestName),
    .fini = guest_name_fini,
};

void monitor_set_guest_name(const char *name)
{
    GuestName *guest = aio_local_get(aio_get_current(), &guest_name_key);

    g_free(guest->name);
    guest->name = g_strdup(name);
}

NameInfo *coroutine_fn qmp_query_name(GError **errp)
{
    GuestName *guest = aio_local_get(aio_get_current(), &guest_name_key);
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(guest->name);
    return info;
}
