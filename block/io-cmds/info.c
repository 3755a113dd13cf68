/*
 * qemu-io's commands about the disk itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

#include "block/driver.h"
#include "block/graph.h"

static void coroutine_fn length_run(const IoCmd *cmd, BlockBackend *blk,
                                    const IoArgs *args, GString *out)
{
    int64_t size = blk_getlength(blk);
    g_autofree char *text = NULL;

    if (size < 0) {
        g_string_append_printf(out, "getlength: %s\n", g_strerror(-size));
        return;
    }
    text = io_format_size(size);
    g_string_append_printf(out, "%s\n", text);
}

static void coroutine_fn truncate_run(const IoCmd *cmd, BlockBackend *blk,
                                      const IoArgs *args, GString *out)
{
    g_autoptr(GError) err = NULL;
    int prealloc = PREALLOC_MODE_OFF;
    int64_t offset;

    if (!io_parse_size(args->pos[0], &offset, out)) {
        return;
    }
    if (io_has(args, 'm')) {
        prealloc = PreallocMode_parse(args->opts['m'], &err);
    }
    if (!err && io_cmd_acquire(blk, BLK_PERM_WRITE | BLK_PERM_RESIZE, out)) {
        blk_co_truncate(blk, offset, prealloc, &err);
        io_cmd_release(blk);
    }
    if (err) {
        g_string_append_printf(out, "%s\n", err->message);
    }
}

/* The image that is looked at, or NULL with a message. */
static BlockDriverState *need_bs(BlockBackend *blk, GString *out)
{
    BlockDriverState *bs = blk_bs(blk);

    if (!bs) {
        g_string_append(out, "no file open, try 'help open'\n");
    }
    return bs;
}

/* Whether the range at @offset is allocated in @bs itself, *@pnum alike. */
static int coroutine_fn is_allocated(BlockDriverState *bs, int64_t offset,
                                     int64_t bytes, int64_t *pnum,
                                     GString *out)
{
    int ret = bdrv_co_allocation_depth(bs, offset, bytes, pnum);

    if (ret < 0) {
        g_string_append_printf(out, "is_allocated failed: %s\n",
                               g_strerror(-ret));
        return ret;
    }
    return ret == 1;
}

static void coroutine_fn alloc_run(const IoCmd *cmd, BlockBackend *blk,
                                   const IoArgs *args, GString *out)
{
    BlockDriverState *bs = need_bs(blk, out);
    int64_t offset, count = BDRV_SECTOR_SIZE, left, pnum, sum = 0;
    g_autofree char *text = NULL;
    int ret;

    if (!bs || !io_parse_size(args->pos[0], &offset, out) ||
        (args->n_pos > 1 && !io_parse_size(args->pos[1], &count, out))) {
        return;
    }
    for (left = count; left > 0; left -= pnum) {
        ret = is_allocated(bs, offset + count - left, left, &pnum, out);
        if (ret < 0) {
            return;
        }
        if (pnum == 0) {
            break;
        }
        sum += ret ? pnum : 0;
    }
    text = io_format_size(offset);
    g_string_append_printf(out, "%" PRId64 "/%" PRId64 " bytes allocated at "
                           "offset %s\n", sum, count - MAX(left, 0), text);
}

/* How far the state at @offset goes; *@allocated is that state. */
static int64_t coroutine_fn map_extent(BlockDriverState *bs, int64_t offset,
                                       int64_t end, bool *allocated,
                                       GString *out)
{
    int64_t done = 0, pnum;

    while (offset + done < end) {
        int ret = is_allocated(bs, offset + done, end - offset - done, &pnum,
                               out);

        if (ret < 0) {
            return ret;
        }
        if (done == 0) {
            *allocated = ret;
        }
        if (*allocated != ret || pnum == 0) {
            break;
        }
        done += pnum;
    }
    return done;
}

static void coroutine_fn map_run(const IoCmd *cmd, BlockBackend *blk,
                                 const IoArgs *args, GString *out)
{
    BlockDriverState *bs = need_bs(blk, out);
    int64_t end = bs ? bdrv_getlength(bs) : 0;
    int64_t offset, bytes;
    bool allocated = false;

    for (offset = 0; offset < end; offset += bytes) {
        g_autofree char *size = NULL;
        g_autofree char *start = NULL;

        bytes = map_extent(bs, offset, end, &allocated, out);
        if (bytes <= 0) {
            return;
        }
        size = io_format_size(bytes);
        start = io_format_size(offset);
        g_string_append_printf(out, "%s (0x%" PRIx64 ") bytes %s at offset "
                               "%s (0x%" PRIx64 ")\n", size, bytes,
                               allocated ? "    allocated" : "not allocated",
                               start, offset);
    }
}

static void coroutine_fn info_run(const IoCmd *cmd, BlockBackend *blk,
                                  const IoArgs *args, GString *out)
{
    BlockDriverState *bs = need_bs(blk, out);

    if (bs) {
        g_string_append_printf(out, "format name: %s\ncluster size: 0 bytes\n"
                               "vm state offset: 0 bytes\n",
                               bs->drv->format_name);
    }
}

static void coroutine_fn help_run(const IoCmd *cmd, BlockBackend *blk,
                                  const IoArgs *args, GString *out)
{
    const IoCmd *other;
    size_t i;

    if (args->n_pos) {
        other = io_cmd_find(args->pos[0]);
        if (other) {
            io_cmd_print_usage(other, out);
        } else {
            g_string_append_printf(out, "command %s not found\n",
                                   args->pos[0]);
        }
        return;
    }
    for (i = 0; (other = io_cmd_nth(i)); i++) {
        io_cmd_print_usage(other, out);
    }
    g_string_append(out, "\nUse 'help commandname' for extended help.\n");
}

static void coroutine_fn reopen_run(const IoCmd *cmd, BlockBackend *blk,
                                    const IoArgs *args, GString *out)
{
    g_autoptr(GError) err = NULL;

    if (io_has(args, 'r') && io_has(args, 'w')) {
        g_string_append(out, "Only one -r/-w option may be given\n");
        return;
    }
    GRAPH_COMMAND_GUARD();
    if (!blk_bs(blk)) {
        g_string_append(out, "No medium inserted\n");
    } else if ((io_has(args, 'r') || io_has(args, 'w')) &&
               !bdrv_co_reopen_set_read_only(blk_bs(blk), io_has(args, 'r'),
                                             &err)) {
        g_string_append_printf(out, "%s\n", err->message);
    }
}

const IoCmd io_cmds_info[] = {
    { "alloc", "", 1, 2, "offset [count]",
      "checks if offset is allocated in the file", alloc_run },
    { "help", "", 0, 1, "[command]", "help for one or all commands",
      help_run },
    { "info", "", 0, 0, "", "prints information about the current file",
      info_run },
    { "length", "", 0, 0, "", "gets the length of the current file",
      length_run },
    { "map", "", 0, 0, "", "prints the allocated areas of a file", map_run },
    { "reopen", "rw", 0, 0, "[(-r|-w)]", "reopens an image with new options",
      reopen_run },
    { "truncate", "m:", 1, 1, "[-m prealloc_mode] off",
      "truncates the current file at the given offset", truncate_run },
    { NULL },
};
