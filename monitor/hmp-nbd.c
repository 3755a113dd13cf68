/*
 * The human monitor: the NBD server and its exports
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "block/nbd-server.h"
#include "io/socket.h"
#include "qapi/qapi-commands-block-core.h"
#include "qapi/qapi-commands-block-export.h"

/* By name: adding an export yields, and a drive may go meanwhile. */
static bool coroutine_fn export_all(bool writable, GError **errp)
{
    g_autoptr(BlockInfoList) list = qmp_query_block(NULL);
    BlockInfoList *item;

    for (item = list; item; item = item->next) {
        NbdServerAddOptions options = {
            .device = item->value->device,
            .has_writable = true,
            .writable = writable,
        };
        GError *err = NULL;

        if (item->value->inserted) {
            qmp_nbd_server_add(&options, &err);
        }
        if (err) {
            g_propagate_error(errp, err);
            return false;
        }
    }
    return true;
}

void coroutine_fn hmp_nbd_server_start(const HmpArgs *args, GString *out)
{
    bool all = args->flag[0], writable = args->flag[1];
    g_autoptr(SocketAddress) addr = NULL;
    NbdServerOptions options = { NULL };
    GError *err = NULL;

    if (writable && !all) {
        g_string_append(out, "-w only valid together with -a\r\n");
        return;
    }
    addr = socket_parse(args->word[0], &err);
    options.addr = addr;
    if (addr && nbd_server_co_start(&options, &err) && all &&
        !export_all(writable, &err)) {
        nbd_server_co_stop(NULL);
    }
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_stop(const HmpArgs *args, GString *out)
{
    GError *err = NULL;

    qmp_nbd_server_stop(&err);
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_add(const HmpArgs *args, GString *out)
{
    NbdServerAddOptions options = {
        .device = args->word[0],
        .name = args->word[1],
        .has_writable = true,
        .writable = args->flag[0],
    };
    GError *err = NULL;

    qmp_nbd_server_add(&options, &err);
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_remove(const HmpArgs *args, GString *out)
{
    GError *err = NULL;

    qmp_nbd_server_remove(args->word[0], true, args->flag[0]
                          ? BLOCK_EXPORT_REMOVE_MODE_HARD
                          : BLOCK_EXPORT_REMOVE_MODE_SAFE, &err);
    hmp_error(out, err);
}
