/*
 * QMP: names, descriptors, the human monitor, iothreads
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor.h"

#include "qapi/qapi-commands-misc.h"
#include "qom/object.h"
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

void coroutine_fn qmp_getfd(const char *fdname, GError **errp)
{
    Monitor *mon = monitor_current();
    int fd;

    if (g_ascii_isdigit(fdname[0])) {
        error_setg(errp, "Parameter 'fdname' expects a name not starting "
                   "with a digit");
        return;
    }
    fd = mon ? monitor_take_fd(mon) : -1;
    if (fd < 0) {
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
        return;
    }
    monitor_add_fd(fdname, fd);
}

void coroutine_fn qmp_closefd(const char *fdname, GError **errp)
{
    monitor_close_fd(fdname, errp);
}

char *coroutine_fn qmp_human_monitor_command(const char *command_line,
                                             bool has_cpu_index,
                                             int64_t cpu_index, GError **errp)
{
    return hmp_run(command_line);
}

static void add_iothread(Object *obj, void *opaque)
{
    IOThreadInfoList **list = opaque;
    IOThreadInfo *info;

    if (obj->info->type != OBJECT_TYPE_IOTHREAD) {
        return;
    }
    info = g_new0(IOThreadInfo, 1);
    info->id = g_strdup(obj->id);
    info->thread_id = getpid();
    QAPI_LIST_PREPEND(*list, info);
}

/* An iothread object is a name only: everything runs in the one thread. */
IOThreadInfoList *coroutine_fn qmp_query_iothreads(GError **errp)
{
    IOThreadInfoList *list = NULL;

    object_foreach(add_iothread, &list);
    return list;
}
