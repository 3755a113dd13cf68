/*
 * The driver contract
 *
 * What a block driver implements and what it may rely on.  Everything here
 * runs in the thread of the node's AioContext; all callbacks marked
 * coroutine_fn may yield, the others must not.
 *
 * The core has already checked, for every request: the node is open and has
 * the permission; 0 <= offset, offset + bytes <= length (reads that cross an
 * unaligned end excepted: the driver then zero-fills past its own end);
 * bytes > 0; both are multiples of bl.request_alignment; bytes is at most
 * the matching limit; qiov->size == bytes.  A write to the last block may so
 * pass an unaligned end: a driver that passes it on need not care, nothing is
 * written behind the end of its child.
 *
 * A missing callback means the default written beside it.  A filter (one
 * child in bs->file) that sets no request callback is passed through whole.
 * A driver that has a bdrv_co_pwritev of its own intercepts everything: its
 * missing write-zeroes is emulated by bdrv_co_pwritev, its missing discard
 * does nothing, its missing block status answers "data".
 *
 * Requests return 0 or -errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVER_H
#define BLOCK_DRIVER_H

#include "block/block-common.h"
#include "block/graph.h"
#include "block/io.h"
#include "qapi/qapi-types-block-core.h"
#include "qapi/qapi-types-job.h"
#include "util/co-lock.h"
#include "util/interval-tree.h"
#include "util/queue.h"

struct json_t;

typedef struct BDRVReopenState {
    BlockDriverState *bs;
    const BlockdevOptions *options;     /* the new ones */
    BlockDriverState *file;             /* what bs->file will point at */
    bool read_only;                     /* the new state */
    bool auto_read_only, cache_direct, cache_no_flush;
    void *opaque;                       /* the driver's, from prepare on */
} BDRVReopenState;

struct BlockDriver {
    /* The name in driver=, equal to its BlockdevDriver's. */
    const char *format_name;
    BlockdevDriver type;
    size_t instance_size;       /* of bs->opaque, allocated zeroed */

    /* One child, same length, in bs->file; block jobs look through it. */
    bool is_filter;
    /* The bottom of a chain (file, nbd, null-co): no bs->file needed. */
    bool is_protocol;

    /* Life */

    /*
     * Open bs: take the typed options (owned by the node, valid until close),
     * open children with bdrv_co_open_child(), allocate.  On failure set
     * @errp; the core then calls bdrv_co_close, so there is nothing to undo.
     */
    bool coroutine_fn (*bdrv_co_open)(BlockDriverState *bs,
                                      const BlockdevOptions *options,
                                      GError **errp);
    /*
     * Free everything that open made, also when open failed half-way.  No
     * request is in flight.  Children are detached by the core afterwards.
     */
    void coroutine_fn (*bdrv_co_close)(BlockDriverState *bs);

    /*
     * Set bs->bl, which holds the defaults and, for the alignments and
     * transfer limits, what the children demand.  Default: leave it.
     */
    void (*bdrv_refresh_limits)(BlockDriverState *bs);

    /* The length in bytes, or -errno.  Default: that of bs->file. */
    int64_t coroutine_fn (*bdrv_co_getlength)(BlockDriverState *bs);

    /*
     * Make a new image.  *@cancel is set, from another thread, when nobody
     * wants it any more.  Default: "Driver does not support blockdev-create".
     */
    bool coroutine_fn (*bdrv_co_create)(const BlockdevCreateOptions *options,
                                        const int *cancel, GError **errp);

    /* Change the length.  Default: "not supported" (filters: pass on). */
    bool coroutine_fn (*bdrv_co_truncate)(BlockDriverState *bs,
                                          int64_t offset, PreallocMode prealloc,
                                          GError **errp);

    /*
     * Reopen with other options.  After a prepare that succeeded exactly one
     * of commit and abort follows; they cannot fail.  Until commit the node
     * is what it was; after it the core asks for the length.  Default: only the
     * options that the core itself handles may change.  Of the driver's own
     * options those in @mutable_opts (ended by NULL) may; the core refuses a
     * change of any other one and replaces children named by reference.
     */
    const char *const *mutable_opts;
    bool coroutine_fn (*bdrv_co_reopen_prepare)(BDRVReopenState *state,
                                                GError **errp);
    void coroutine_fn (*bdrv_co_reopen_commit)(BDRVReopenState *state);
    void coroutine_fn (*bdrv_co_reopen_abort)(BDRVReopenState *state);

    /* Requests */

    int coroutine_fn (*bdrv_co_preadv)(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags);
    /*
     * @flags: only what is set in bs->supported_write_flags; the core
     * emulates FUA by a flush.
     */
    int coroutine_fn (*bdrv_co_pwritev)(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes, IOVector *qiov,
                                        BdrvRequestFlags flags);
    /* -ENOTSUP makes the core write zeroes, unless NO_FALLBACK is set. */
    int coroutine_fn (*bdrv_co_pwrite_zeroes)(BlockDriverState *bs,
                                              int64_t offset, int64_t bytes,
                                              BdrvRequestFlags flags);
    /* A hint: -ENOTSUP counts as success. */
    int coroutine_fn (*bdrv_co_pdiscard)(BlockDriverState *bs, int64_t offset,
                                         int64_t bytes);
    /*
     * Make everything that has completed stable.  Called after the children
     * in bs->file and backing... were NOT flushed: a driver with children
     * flushes them itself.  Default: flush every child that is written to.
     */
    int coroutine_fn (*bdrv_co_flush)(BlockDriverState *bs);

    /*
     * The status of the range from @offset on: returns BDRV_BLOCK_* and sets
     * *pnum to 1..bytes, the length with that status; the core rounds it to
     * whole blocks.  @want_zero: exact about zeroes rather than fast.  With
     * OFFSET_VALID, *map and *file are set.
     */
    int coroutine_fn (*bdrv_co_block_status)(BlockDriverState *bs,
                                             bool want_zero, int64_t offset,
                                             int64_t bytes, int64_t *pnum,
                                             int64_t *map,
                                             BlockDriverState **file);

    /* Drain: stop and go on making requests of one's own.  Default: none. */
    void (*bdrv_drain_begin)(BlockDriverState *bs);
    void (*bdrv_drain_end)(BlockDriverState *bs);

    /*
     * What waits here for a limit in rate goes on at once; does not fail
     * anything.  For when a user above is being drained or goes away.
     * Default: nothing waits.
     */
    void (*bdrv_let_pass)(BlockDriverState *bs);

    /*
     * Fail at once, with -EIO or the like, what is in flight towards a peer
     * that may never answer.  Default: pass on to all children.
     */
    void (*bdrv_cancel_in_flight)(BlockDriverState *bs);

    /*
     * While pinned, a connection that is lost is not replaced by a new one: the
     * peer that would answer then may not be the one that did before.
     * -ENOTCONN if there is none to pin.  Default: pass on to bs->file.
     */
    int (*bdrv_pin_connection)(BlockDriverState *bs, bool pin);

    /*
     * For a node that only forwards: the same write, write-zeroes or discard
     * failed on all of its sibling's disks with @ret, whatever became of the
     * forward: the peer is no longer a copy.
     */
    void (*bdrv_sibling_failed)(BlockDriverState *bs, int64_t offset,
                                int64_t bytes, int ret);

    /* Graph */

    /*
     * What this node needs of, and allows on, @child, given what its own
     * parents need and allow.  Default: by the child's role.
     */
    void (*bdrv_child_perm)(BlockDriverState *bs, BdrvChild *child,
                            BdrvChildRole role, uint64_t perm, uint64_t shared,
                            uint64_t *nperm, uint64_t *nshared);
    /*
     * The permissions that all parents together take on @bs are about to
     * change: check (and lock); then exactly one of set and abort follows.
     */
    bool (*bdrv_check_perm)(BlockDriverState *bs, uint64_t perm,
                            uint64_t shared, GError **errp);
    void (*bdrv_set_perm)(BlockDriverState *bs, uint64_t perm,
                          uint64_t shared);
    void (*bdrv_abort_perm_update)(BlockDriverState *bs);

    /* x-blockdev-change.  Default: "does not support ...". */
    bool coroutine_fn (*bdrv_co_add_child)(BlockDriverState *bs,
                                           BlockDriverState *child_bs,
                                           GError **errp);
    bool coroutine_fn (*bdrv_co_del_child)(BlockDriverState *bs,
                                           BdrvChild *child, GError **errp);

    /* The layers of a COLO secondary, where the driver has them. */
    const struct ColoLayersOps *colo_layers;

    /* Information */

    /* The name shown in "file", e.g. "nbd://host/x"; g_free.  Default: none. */
    char *(*bdrv_filename)(BlockDriverState *bs);

    /*
     * Bytes that the contents take up in storage, or -errno.
     * Default: that of bs->file, -ENOTSUP without it.
     */
    int64_t coroutine_fn (*bdrv_co_allocated_size)(BlockDriverState *bs);

    /* A point of interest passed in a request, for blkdebug. */
    void coroutine_fn (*bdrv_co_debug_event)(BlockDriverState *bs,
                                             const char *event);
};

/* A request in flight on a node. */
typedef struct BdrvTrackedRequest {
    BlockDriverState *bs;
    int64_t offset;             /* as the caller asked */
    int64_t bytes;
    enum {
        BDRV_TRACKED_READ,
        BDRV_TRACKED_WRITE,     /* write-zeroes included */
        BDRV_TRACKED_DISCARD,
        BDRV_TRACKED_TRUNCATE,
    } type;
    bool serialising;
    Coroutine *co;
    IntervalTreeNode range;     /* rounded to the node's alignment */
    CoQueue waiters;            /* requests that wait for this one */
    struct BdrvTrackedRequest *waiting_for;
} BdrvTrackedRequest;

/*
 * Called in the writer's coroutine once a write, write-zeroes or discard is
 * tracked and before the driver sees it.  A negative return fails the
 * request.
 */
typedef struct BdrvBeforeWriteNotifier {
    int coroutine_fn (*notify)(struct BdrvBeforeWriteNotifier *notifier,
                               BdrvTrackedRequest *req);
    LIST_ENTRY(BdrvBeforeWriteNotifier) link;
} BdrvBeforeWriteNotifier;

/*
 * The parent's side of an edge: what a node or a BlockBackend does when its
 * child asks.
 */
typedef struct BdrvChildClass {
    /* "node 'x'", "block device 'colo-disk0'": for messages; g_free. */
    char *(*parent_desc)(BdrvChild *child);
    /* Stop new requests; go on.  Counted. */
    void (*drained_begin)(BdrvChild *child);
    void (*drained_end)(BdrvChild *child);
    /* Whether requests of this parent are still in flight. */
    bool (*drained_poll)(BdrvChild *child);
    /* The child's length has changed. */
    void (*resized)(BdrvChild *child);
} BdrvChildClass;

/* An edge of the graph: @parent uses @bs. */
struct BdrvChild {
    BlockDriverState *bs;
    char *name;
    const BdrvChildClass *klass;
    BdrvChildRole role;
    void *opaque;               /* parent: BlockDriverState or BlockBackend */
    uint64_t perm;              /* what the parent does to bs */
    uint64_t shared_perm;       /* what it lets others do */
    LIST_ENTRY(BdrvChild) next; /* in the parent node's children */
    LIST_ENTRY(BdrvChild) next_parent;  /* in bs->parents */

    bool parent_quiesced;       /* drained_begin was called for this edge */
    unsigned frozen;            /* a reopen must not exchange bs */
};

struct BlockDriverState {
    /* Constant while open */
    const BlockDriver *drv;
    void *opaque;               /* the driver's instance */
    AioContext *ctx;
    char node_name[32];
    BlockdevOptions *options;   /* as opened; replaced by reopen */
    bool probed;                /* raw because nothing else matched */
    bool closing;               /* nobody finds it any more */
    /*
     * Only forwards writes to a peer, keeps its errors to itself and cannot be
     * read: a parent that votes does not count it.  Set by open.
     */
    bool forward_only;
    BdrvRequestFlags supported_read_flags;
    BdrvRequestFlags supported_write_flags;
    BdrvRequestFlags supported_zero_flags;

    /* Changed by reopen, drained */
    bool read_only;
    bool auto_read_only;
    bool cache_direct;
    bool cache_no_flush;
    bool force_share;
    bool unmap;                 /* discard=unmap */
    BlockdevDetectZeroesOptions detect_zeroes;
    BlockLimits bl;

    /* Graph: changed by commands only, drained */
    BdrvChild *file;
    BdrvChild *backing;
    LIST_HEAD(, BdrvChild) children;
    LIST_HEAD(, BdrvChild) parents;
    BlockDriverState *front;    /* the filter for who refers to us by name */
    BlockDriverState *inherits_from;    /* the parent that defined us inline */
    BdrvChildRole inherits_role;
    unsigned refcnt;
    bool monitor_owned;
    unsigned quiesce_counter;
    TAILQ_ENTRY(BlockDriverState) node_list;
    struct BlockGraph *graph;

    /* Requests */
    int64_t total_bytes;        /* cached length; -errno before open is done */
    unsigned in_flight;
    IntervalTree tracked;
    unsigned tracked_serialising;
    LIST_HEAD(, BdrvBeforeWriteNotifier) before_write_notifiers;
    uint64_t write_gen;         /* number of writes that completed */
    uint64_t flushed_gen;       /* those of them that are stable */
    bool flushing;
    CoQueue flush_queue;
    int64_t wr_highest_offset;
};

/*
 * The list of drivers, ended by NULL: set once by the daemon (or a test)
 * before anything is opened.
 */
void bdrv_register_drivers(const BlockDriver *const *drivers);
const BlockDriver *bdrv_find_driver(const char *name);

/*
 * For use by drivers
 */

/*
 * Open (inline definition) or look up (node name or drive id) @ref and attach
 * it to @parent as @name.  NULL and an error on failure.  Sets parent->file
 * or parent->backing when the name says so.
 */
BdrvChild *coroutine_fn bdrv_co_open_child(BlockDriverState *parent,
                                           const BlockdevRef *ref,
                                           const char *name,
                                           BdrvChildRole role, GError **errp);

/* The same as "file", for filters and formats. */
bool coroutine_fn bdrv_co_open_file_child(BlockDriverState *parent,
                                          const BlockdevRef *ref,
                                          GError **errp);

/*
 * Attach @child_bs (a reference of its own is taken) with permissions from
 * bdrv_child_perm; detach it again.
 */
BdrvChild *coroutine_fn bdrv_co_attach_child(BlockDriverState *parent,
                                             BlockDriverState *child_bs,
                                             const char *name,
                                             BdrvChildRole role,
                                             GError **errp);
void coroutine_fn bdrv_co_detach_child(BlockDriverState *parent,
                                       BdrvChild *child);

/* The default of bdrv_child_perm, for drivers that adjust it. */
void bdrv_default_perms(BlockDriverState *bs, BdrvChild *child,
                        BdrvChildRole role, uint64_t perm, uint64_t shared,
                        uint64_t *nperm, uint64_t *nshared);

/* See the callback; 0 where nothing below has a connection. */
int bdrv_pin_connection(BlockDriverState *bs, bool pin);

/*
 * While it is frozen, no reopen exchanges a node that @bs has its data in, the
 * one below it and so on.  Nests.
 */
void bdrv_freeze_chain(BlockDriverState *bs);
void bdrv_thaw_chain(BlockDriverState *bs);

/*
 * A filter that no options describe: @drv, not in the list of drivers, takes
 * the options of "raw" and opens its file child, @bs.  Then insert_filter puts
 * it between @bs and its parents, but for the edge @stay (which may be NULL),
 * and before those that refer to @bs by its name later;
 * bdrv_co_replace_node(filter, bs) takes it out.
 */
BlockDriverState *coroutine_fn bdrv_co_new_filter(const BlockDriver *drv,
                                                  BlockDriverState *bs,
                                                  GError **errp);
bool coroutine_fn bdrv_co_insert_filter(BlockDriverState *filter,
                                        BlockDriverState *bs, BdrvChild *stay,
                                        GError **errp);

void bdrv_add_before_write_notifier(BlockDriverState *bs,
                                    BdrvBeforeWriteNotifier *notifier);
void bdrv_remove_before_write_notifier(BdrvBeforeWriteNotifier *notifier);

/* Requests that a driver makes or answers on its own count as in flight. */
void bdrv_inc_in_flight(BlockDriverState *bs);
void bdrv_dec_in_flight(BlockDriverState *bs);

/* @bs has become @bytes long: tell the parents. */
void bdrv_set_length(BlockDriverState *bs, int64_t bytes);

/*
 * What has completed on @bs is not as stable as flushes have said: the next
 * flush of @bs, and of every node above it, goes all the way down again.
 */
void bdrv_mark_unflushed(BlockDriverState *bs);

/* Raise a debug event on @bs and the blkdebug nodes below it. */
void coroutine_fn bdrv_co_debug_event(BlockDriverState *bs, const char *event);

#endif
