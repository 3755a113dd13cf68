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

/* The first word is a PCI address or any other: there is no machine. */
void coroutine_fn hmp_drive_add(const HmpArgs *args, GString *out)
{
    const char *optstr = args->word[1];
    GError *err = NULL;

    if (args->flag[0]) {
        drive_co_add_node(optstr, &err);
    } else if (drive_co_add(optstr, true, &err)) {
        g_string_append(out, "OK\r\n");
    }
    print_bare_error(out, err);
}

void coroutine_fn hmp_drive_del(const HmpArgs *args, GString *out)
{
    GError *err = NULL;

    guest_drive_co_del(args->word[0], &err);
    print_bare_error(out, err);
}

void coroutine_fn hmp_block_resize(const HmpArgs *args, GString *out)
{
    const char *given = args->word[1];
    /* A bare number counts MiB, as in QEMU. */
    bool bare = given[0] && g_ascii_isdigit(given[strlen(given) - 1]);
    g_autofree char *size = g_strconcat(given, bare ? "M" : "", NULL);
    GError *err = NULL;
    uint64_t bytes;

    if (!size_parse(size, &bytes) || bytes > INT64_MAX) {
        g_string_append_printf(out, "invalid size '%s'\r\n", size);
        return;
    }
    qmp_block_resize(args->word[0], NULL, (int64_t)bytes, &err);
    hmp_error(out, err);
}

/* -d: the first word is a device's id; there are none, so a drive's. */
void coroutine_fn hmp_qemu_io(const HmpArgs *args, GString *out)
{
    const char *device = args->word[0];
    BlockBackend *blk = blk_by_name(device);
    BlockDriverState *bs;
    GError *err = NULL;

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
        io_cmd_run(blk, args->word[1], out);
        blk_co_unref(blk);
    }
    hmp_error(out, err);
}
