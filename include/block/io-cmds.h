/*
 * qemu-io's commands, for the human monitor
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_IO_CMDS_H
#define BLOCK_IO_CMDS_H

#include "block/block-backend.h"

/*
 * Run @line ("write -P 0xa 0 64k") on @blk and append what it prints to @out.
 * @blk gets the permissions that it lacks for as long as the request takes.
 * A background request (aio_read, aio_write) that ends later leaves its text
 * for the next call.
 */
void coroutine_fn io_cmd_run(BlockBackend *blk, const char *line,
                             GString *out);

#endif
