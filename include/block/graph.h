/*
 * The block graph: nodes, names, permissions, drain
 *
 * Commands and start-up only, in coroutines (coroutine_fn) or plain callbacks
 * of the graph's AioContext.  There is one graph per AioContext.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_GRAPH_H
#define BLOCK_GRAPH_H

#include "block/block-common.h"
#include "qapi/qapi-types-block-core.h"
#include "util/co-lock.h"

/*
 * Commands that change the graph run one at a time: hold this around them.
 * (GRAPH_COMMAND_GUARD(); for the rest of the block.)
 */
CoMutex *bdrv_graph_mutex(void);
#define GRAPH_COMMAND_GUARD() CO_MUTEX_GUARD(bdrv_graph_mutex())

/*
 * Open a node and everything below it.  @options is copied.  Returns a
 * reference; NULL and an error that names the node or driver on failure.
 */
BlockDriverState *coroutine_fn bdrv_co_open(const BlockdevOptions *options,
                                            GError **errp);

/*
 * As bdrv_co_open for a raw node on @file that is only raw if probing @file
 * finds nothing else, which is an error.  There is a warning, and writes to
 * the first sector that would look like another format fail.
 */
BlockDriverState *coroutine_fn
bdrv_co_open_probed(BlockDriverState *file, const BlockdevOptions *options,
                    GError **errp);

void bdrv_ref(BlockDriverState *bs);
/* The last one closes the node. */
void coroutine_fn bdrv_co_unref(BlockDriverState *bs);

/*
 * Names: drive ids before node names, one name space.  Borrowed or NULL.
 * A look-up is for who wants to use the node: there may be a filter before it.
 */
BlockDriverState *bdrv_find_node(const char *node_name);
BlockDriverState *bdrv_lookup(const char *id_or_node_name, GError **errp);
/* Whether neither a drive nor a node has it; nodes that are closing have. */
bool bdrv_name_is_free(const char *name, GError **errp);
bool bdrv_name_is_wellformed(const char *name);

void bdrv_foreach_node(void (*cb)(BlockDriverState *bs, void *opaque),
                       void *opaque);

/* "node-name", or for a generated one "#block123". */
const char *bdrv_node_name(const BlockDriverState *bs);
/* The id of the drive whose root is @bs, or NULL. */
const char *bdrv_device_name(const BlockDriverState *bs);
/* As shown to users in "file"; never NULL; g_free. */
char *bdrv_filename(BlockDriverState *bs);
bool bdrv_is_read_only(const BlockDriverState *bs);
/* Skip filters. */
BlockDriverState *bdrv_skip_filters(BlockDriverState *bs);
/* Whether @below is @bs or reachable from it. */
bool bdrv_is_above_or_same(BlockDriverState *bs, BlockDriverState *below);

/*
 * blockdev-add and blockdev-del: a node the monitor owns.  Both hold the
 * graph mutex themselves.
 */
bool coroutine_fn bdrv_co_monitor_add(const BlockdevOptions *options,
                                      GError **errp);
bool coroutine_fn bdrv_co_monitor_del(const char *node_name, GError **errp);

/*
 * blockdev-reopen: all of them or none.  Each option set is complete and
 * names its node.  Hold the graph mutex.
 */
bool coroutine_fn bdrv_co_reopen_multiple(BlockdevOptionsList *list,
                                          GError **errp);
/* Make @bs (and its file children) writable or read-only. */
bool coroutine_fn bdrv_co_reopen_set_read_only(BlockDriverState *bs,
                                               bool read_only, GError **errp);

/* Change the length, tell parents.  Needs RESIZE of @child. */
bool coroutine_fn bdrv_co_truncate(BdrvChild *child, int64_t offset,
                                   PreallocMode prealloc, GError **errp);

/*
 * No request to @bs or to a node above it is in flight when begin returns,
 * and none starts until the matching end: new ones wait at the backends above.
 * Nests.  begin waits for requests in flight, so a caller with an own request
 * in flight would wait for ever.
 */
void coroutine_fn bdrv_co_drained_begin(BlockDriverState *bs);
/*
 * The same for commands, which must not keep others waiting for ever: fails,
 * and all goes on, when requests stay in flight for too long.
 */
bool coroutine_fn bdrv_co_try_drained_begin(BlockDriverState *bs,
                                            GError **errp);
void bdrv_drained_end(BlockDriverState *bs);

/* Let @bs's parents use @to instead; all or nothing. */
bool coroutine_fn bdrv_co_replace_node(BlockDriverState *from,
                                       BlockDriverState *to, GError **errp);

/* x-blockdev-change; hold the graph mutex. */
bool coroutine_fn bdrv_co_add_child(BlockDriverState *parent,
                                    BlockDriverState *child, GError **errp);
bool coroutine_fn bdrv_co_del_child(BlockDriverState *parent,
                                    const char *child_name, GError **errp);

/* Let what waits in @bs or below for a limit in rate go on at once. */
void bdrv_let_pass(BlockDriverState *bs);

/* Fail what is in flight towards peers below @bs. */
void bdrv_cancel_in_flight(BlockDriverState *bs);

/* Close every node of this context that is left; the daemon's end. */
void coroutine_fn bdrv_co_close_all(void);

#endif
