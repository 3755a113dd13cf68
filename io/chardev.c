/*
 * Character devices: the table, and the front end's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/chardev.h"

#include "io/chardev-int.h"
#include "io/yank.h"

static const ChardevOps *const chardev_kinds[CHARDEV_BACKEND_KIND__MAX] = {
    [CHARDEV_BACKEND_KIND_FILE]     = &chardev_file_ops,
    [CHARDEV_BACKEND_KIND_NULL]     = &chardev_null_ops,
    [CHARDEV_BACKEND_KIND_SOCKET]   = &chardev_socket_ops,
    [CHARDEV_BACKEND_KIND_STDIO]    = &chardev_stdio_ops,
};

typedef struct ChardevTable {
    GPtrArray *devices;
} ChardevTable;

void chardev_ref(Chardev *chr)
{
    chr->refcnt++;
}

void chardev_unref(Chardev *chr)
{
    if (--chr->refcnt == 0) {
        if (chr->ops->finalize) {
            chr->ops->finalize(chr);
        }
        qapi_free_ChardevBackend(chr->backend);
        g_free(chr->id);
        g_free(chr);
    }
}

static void chardev_drop_stream(Chardev *chr)
{
    IOChannel *ioc = g_steal_pointer(&chr->ioc);

    if (ioc) {
        io_channel_shutdown(ioc);
        io_channel_unref(ioc);
    }
}

/* End everything and give the table's reference up. */
static void chardev_close(Chardev *chr)
{
    chr->closed = true;
    chr->opened = NULL;
    if (chr->ops->close) {
        chr->ops->close(chr);
    }
    chardev_drop_stream(chr);
    chardev_unref(chr);
}

static void chardev_table_init(AioContext *ctx, void *data)
{
    ChardevTable *table = data;

    /* Devices leave the registry of yanks as they go: it must outlive us. */
    qapi_free_YankInstanceList(yank_query());
    table->devices = g_ptr_array_new();
}

static void chardev_table_fini(AioContext *ctx, void *data)
{
    ChardevTable *table = data;

    for (guint i = 0; i < table->devices->len; i++) {
        chardev_close(g_ptr_array_index(table->devices, i));
    }
    g_ptr_array_free(table->devices, true);
}

static GPtrArray *chardev_table(void)
{
    static const AioLocal key = {
        .size = sizeof(ChardevTable),
        .init = chardev_table_init,
        .fini = chardev_table_fini,
    };
    ChardevTable *table = aio_local_get(aio_get_current(), &key);

    return table->devices;
}

/* Those that are still being opened included */
static Chardev *chardev_find(const char *id)
{
    GPtrArray *devices = chardev_table();

    for (guint i = 0; i < devices->len; i++) {
        Chardev *chr = g_ptr_array_index(devices, i);

        if (!strcmp(chr->id, id)) {
            return chr;
        }
    }
    return NULL;
}

Chardev *chardev_lookup(const char *id)
{
    Chardev *chr = chardev_find(id);

    return chr && chr->ready ? chr : NULL;
}

static bool chardev_id_wellformed(const char *id)
{
    return g_ascii_isalpha(*id) &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789-._") == strlen(id);
}

static Chardev *chardev_new(const char *id, const ChardevBackend *backend)
{
    const ChardevOps *ops = chardev_kinds[backend->type];
    Chardev *chr = g_malloc0(ops->instance_size);

    chr->ops = ops;
    chr->ctx = aio_get_current();
    chr->id = g_strdup(id);
    chr->backend = QAPI_CLONE(ChardevBackend, backend);
    chr->refcnt = 1;
    return chr;
}

bool coroutine_fn chardev_co_add(const char *id,
                                 const ChardevBackend *backend,
                                 GError **errp)
{
    Chardev *chr;
    bool ok;

    if (!chardev_id_wellformed(id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        return false;
    }
    if (chardev_find(id)) {
        error_setg(errp, "Chardev with id '%s' already exists", id);
        return false;
    }
    chr = chardev_new(id, backend);
    g_ptr_array_add(chardev_table(), chr);

    chardev_ref(chr);
    ok = chr->ops->co_open(chr, errp);
    if (ok && chr->closed) {
        error_setg(errp, "Chardev '%s' was removed while it was opened", id);
        ok = false;
    }
    chr->ready = ok;
    if (!ok && !chr->closed) {
        g_ptr_array_remove(chardev_table(), chr);
        chardev_close(chr);
    }
    chardev_unref(chr);
    return ok;
}

bool chardev_remove(const char *id, GError **errp)
{
    Chardev *chr = chardev_find(id);

    if (!chr) {
        error_setg(errp, "Chardev '%s' not found", id);
        return false;
    }
    if (chr->opened) {
        error_setg(errp, "Chardev '%s' is busy", id);
        return false;
    }
    g_ptr_array_remove(chardev_table(), chr);
    chardev_close(chr);
    return true;
}

ChardevInfoList *chardev_query(void)
{
    GPtrArray *devices = chardev_table();
    ChardevInfoList *list = NULL, **tail = &list;

    for (guint i = 0; i < devices->len; i++) {
        Chardev *chr = g_ptr_array_index(devices, i);
        ChardevInfo *info = g_new0(ChardevInfo, 1);

        info->label = g_strdup(chr->id);
        info->filename = chr->ops->filename(chr);
        info->frontend_open = chr->opened != NULL;
        *tail = g_new0(ChardevInfoList, 1);
        (*tail)->value = info;
        tail = &(*tail)->next;
    }
    return list;
}

/* The front end */

static void chardev_tell(Chardev *chr)
{
    if (chr->ioc && chr->opened) {
        chr->opened(io_channel_ref(chr->ioc), chr->opaque);
    }
}

void chardev_opened(Chardev *chr, IOChannel *ioc)
{
    g_assert(!chr->ioc);
    chr->ioc = ioc;
    chardev_tell(chr);
}

bool chardev_attach(Chardev *chr, ChardevOpened *opened, void *opaque,
                    GError **errp)
{
    if (chr->opened) {
        error_setg(errp, "Chardev '%s' is busy", chr->id);
        return false;
    }
    chr->opened = opened;
    chr->opaque = opaque;
    chardev_tell(chr);
    return true;
}

void chardev_detach(Chardev *chr)
{
    chr->opened = NULL;
    chr->opaque = NULL;
    chardev_disconnect(chr);
}

void chardev_disconnect(Chardev *chr)
{
    if (chr->ioc) {
        chardev_drop_stream(chr);
        if (!chr->closed && chr->ops->disconnected) {
            chr->ops->disconnected(chr);
        }
    }
}
