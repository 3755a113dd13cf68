/*
 * The human monitor: the NBD server and its exports
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "block/block-backend.h"
#include "block/nbd-server.h"
#include "io/socket.h"
#include "qapi/qapi-commands-block-export.h"

static void coroutine_fn export_all(bool writable, GError **errp)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_next(blk)) && *errp == NULL) {
        NbdServerAddOptions options = {
            .device = (char *)blk_name(blk),
            .has_writable = true,
            .writable = writable,
        };

        if (*blk_name(blk) && blk_bs(blk)) {
            qmp_nbd_server_add(&options, errp);
        }
    }
}

void coroutine_fn hmp_nbd_server_start(const char *args, GString *out)
{
    char flags[3] = "";
    g_autofree char *uri = NULL;
    g_autoptr(SocketAddress) addr = NULL;
    NbdServerOptions options = { NULL };
    GError *err = NULL;

    if (!hmp_take_flags("nbd_server_start", &args, "aw", flags, out)) {
        return;
    }
    uri = hmp_word(&args);
    if (!uri) {
        hmp_usage(out, "nbd_server_start", "address expected");
        return;
    }
    if (flags[1] && !flags[0]) {
        g_string_append(out, "-w only valid together with -a\r\n");
        return;
    }
    addr = socket_parse(uri, &err);
    options.addr = addr;
    if (addr && nbd_server_co_start(&options, &err) && flags[0]) {
        export_all(flags[1], &err);
    }
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_stop(const char *args, GString *out)
{
    GError *err = NULL;

    qmp_nbd_server_stop(&err);
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_add(const char *args, GString *out)
{
    char flags[2] = "";
    g_autofree char *device = NULL;
    g_autofree char *name = NULL;
    NbdServerAddOptions options = { NULL };
    GError *err = NULL;

    if (!hmp_take_flags("nbd_server_add", &args, "w", flags, out)) {
        return;
    }
    device = hmp_word(&args);
    name = hmp_word(&args);
    if (!device) {
        hmp_usage(out, "nbd_server_add", "device expected");
        return;
    }
    options.device = device;
    options.name = name;
    options.has_writable = true;
    options.writable = flags[0];
    qmp_nbd_server_add(&options, &err);
    hmp_error(out, err);
}

void coroutine_fn hmp_nbd_server_remove(const char *args, GString *out)
{
    char flags[2] = "";
    g_autofree char *name = NULL;
    GError *err = NULL;

    if (!hmp_take_flags("nbd_server_remove", &args, "f", flags, out)) {
        return;
    }
    name = hmp_word(&args);
    if (!name) {
        hmp_usage(out, "nbd_server_remove", "name expected");
        return;
    }
    qmp_nbd_server_remove(name, true, flags[0]
                          ? BLOCK_EXPORT_REMOVE_MODE_HARD
                          : BLOCK_EXPORT_REMOVE_MODE_SAFE, &err);
    hmp_error(out, err);
}
