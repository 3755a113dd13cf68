/*
 * The human monitor: drives, exports, qemu-io
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "block/block-backend.h"
#include "block/driver.h"
#include "block/export.h"
#include "block/graph.h"
#include "block/io-cmds.h"
#include "block/options.h"
#include "block/nbd-server.h"
#include "block/replication.h"
#include "io/socket.h"
#include "qapi/qapi-commands-block-core.h"
#include "qapi/qapi-commands-block-export.h"
#include "util/size.h"

/* Take the flags ("-n") in front of the arguments; false for an unknown one. */
static bool take_flags(const char *name, const char **args,
                       const char *known, char *found, GString *out)
{
    while (**args == '-' && (*args)[1]) {
        g_autofree char *word = hmp_word(args);

        if (strlen(word) != 2 || !strchr(known, word[1])) {
            g_autofree char *what = g_strdup_printf("unsupported option %s",
                                                    word);

            hmp_usage(out, name, what);
            return false;
        }
        found[strchr(known, word[1]) - known] = word[1];
        while (g_ascii_isspace(**args)) {
            (*args)++;
        }
    }
    return true;
}

/* Of these two commands QEMU prints errors as they are: scripts know that. */
static void print_bare_error(GString *out, GError *err)
{
    if (err) {
        g_string_append_printf(out, "%s\r\n", err->message);
        g_error_free(err);
    }
}

/* While it is in use, a filter is between the disk and its drive. */
static bool shows(BlockDriverState *bs, const BlockDriverState *wanted)
{
    return wanted && (bs == wanted || (bs->file && bs->file->bs == wanted));
}

/* What a secondary needs until its layers are merged cannot go. */
static bool check_not_replicated(const char *id, GError **errp)
{
    BlockBackend *blk = blk_by_name(id);
    BlockDriverState *bs = blk ? blk_bs(blk) : NULL;
    Replication *r = NULL;

    while (bs && (r = replication_next(r))) {
        BlockReplicationState state = replication_state(r);

        if (state != BLOCK_REPLICATION_STATE_NONE &&
            state != BLOCK_REPLICATION_STATE_DONE &&
            (shows(bs, replication_disk(r)) ||
             shows(bs, replication_top(r)))) {
            error_setg(errp, "Node '%s' is busy: block device is in use by "
                       "replication", id);
            return false;
        }
    }
    return true;
}

void coroutine_fn hmp_drive_add(const char *args, GString *out)
{
    char flags[2] = "";
    g_autofree char *place = NULL;
    g_autofree char *optstr = NULL;
    GError *err = NULL;

    if (!take_flags("drive_add", &args, "n", flags, out)) {
        return;
    }
    /* A PCI address or any other word: there is no machine to plug into. */
    place = hmp_word(&args);
    optstr = hmp_word(&args);
    if (!optstr) {
        hmp_usage(out, "drive_add", "string expected");
        return;
    }
    if (flags[0]) {
        drive_co_add_node(optstr, &err);
    } else if (drive_co_add(optstr, true, &err)) {
        g_string_append(out, "OK\r\n");
    }
    print_bare_error(out, err);
}

void coroutine_fn hmp_drive_del(const char *args, GString *out)
{
    g_autofree char *id = hmp_word(&args);
    g_autofree char *guest_id = NULL;
    BlockExport *exp;
    GError *err = NULL;

    if (!id) {
        hmp_usage(out, "drive_del", "string expected");
        return;
    }
    if (!check_not_replicated(id, &err)) {
        print_bare_error(out, err);
        return;
    }
    /* The guest's view of a drive goes with the drive. */
    guest_id = block_export_guest_id(id);
    exp = block_export_find(guest_id);
    if (exp && blk_by_name(id)) {
        block_export_request_shutdown(exp);
        block_export_co_wait_deleted();
    }
    drive_co_del(id, &err);
    print_bare_error(out, err);
}

void coroutine_fn hmp_block_resize(const char *args, GString *out)
{
    g_autofree char *device = hmp_word(&args);
    g_autofree char *size = hmp_word(&args);
    GError *err = NULL;
    uint64_t bytes;

    if (!device || !size) {
        hmp_usage(out, "block_resize", "device and size expected");
        return;
    }
    /* A bare number counts MiB, as in QEMU. */
    if (size[0] && g_ascii_isdigit(size[strlen(size) - 1])) {
        g_autofree char *in_mib = g_strconcat(size, "M", NULL);

        g_free(g_steal_pointer(&size));
        size = g_steal_pointer(&in_mib);
    }
    if (!size_parse(size, &bytes) || bytes > INT64_MAX) {
        g_string_append_printf(out, "invalid size '%s'\r\n", size);
        return;
    }
    qmp_block_resize(device, NULL, (int64_t)bytes, &err);
    hmp_error(out, err);
}

void coroutine_fn hmp_qemu_io(const char *args, GString *out)
{
    g_autofree char *device = NULL;
    g_autofree char *command = NULL;
    char flags[2] = "";
    BlockBackend *blk;
    BlockDriverState *bs;
    GError *err = NULL;

    /* -d: what follows is a device's id; there are none, so a drive's. */
    if (!take_flags("qemu-io", &args, "d", flags, out)) {
        return;
    }
    device = hmp_word(&args);
    command = hmp_word(&args);
    if (!device || !command) {
        hmp_usage(out, "qemu-io", "device and command expected");
        return;
    }

    blk = blk_by_name(device);
    if (blk) {
        blk_ref(blk);
    } else {
        bs = bdrv_lookup(device, &err);
        if (bs) {
            blk = blk_new(0, BLK_PERM_ALL);
            if (!blk_co_insert_bs(blk, bs, &err)) {
                blk_co_unref(blk);
                blk = NULL;
            }
        }
    }
    if (blk) {
        io_cmd_run(blk, command, out);
        blk_co_unref(blk);
    }
    hmp_error(out, err);
}

/* Exports */

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

    if (!take_flags("nbd_server_start", &args, "aw", flags, out)) {
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

    if (!take_flags("nbd_server_add", &args, "w", flags, out)) {
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

    if (!take_flags("nbd_server_remove", &args, "f", flags, out)) {
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
