/*
 * The human monitor: drives, qemu-io
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "block/block-backend.h"
#include "block/driver.h"
#include "block/graph.h"
#include "block/io-cmds.h"
#include "block/options.h"
#include "qapi/qapi-commands-block-core.h"
#include "replication/drive.h"
#include "util/size.h"

/* Of these two commands QEMU prints errors as they are: scripts know that. */
static void print_bare_error(GString *out, GError *err)
{
    if (err) {
        g_string_append_printf(out, "%s\r\n", err->message);
        g_error_free(err);
    }
}

void coroutine_fn hmp_drive_add(const char *args, GString *out)
{
    char flags[2] = "";
    g_autofree char *place = NULL;
    g_autofree char *optstr = NULL;
    GError *err = NULL;

    if (!hmp_take_flags("drive_add", &args, "n", flags, out)) {
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
    GError *err = NULL;

    if (!id) {
        hmp_usage(out, "drive_del", "string expected");
        return;
    }
    guest_drive_co_del(id, &err);
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
    if (!hmp_take_flags("qemu-io", &args, "d", flags, out)) {
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
