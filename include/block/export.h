/*
 * Exports: nodes served to somebody
 *
 * Commands only, in coroutines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_EXPORT_H
#define BLOCK_EXPORT_H

#include "block/block-backend.h"
#include "qapi/qapi-types-block-export.h"
#include "util/queue.h"

typedef struct BlockExport BlockExport;

/*
 * Who decides which client may write, where not everybody may: above, by
 * setting exp->guard.  @client is nothing but a name.
 */
typedef struct BlockExportGuard {
    bool (*may_write)(struct BlockExportGuard *guard, BlockExport *exp,
                      const void *client, GError **errp);
    /* Nothing more comes from @client.  @lost: it did not say good-bye. */
    void (*client_left)(struct BlockExportGuard *guard, const void *client,
                        bool lost);
} BlockExportGuard;

/* What is asked and told above when exports come. */
typedef struct BlockExportHooks {
    /* Whether @bs may be exported so; @guest: to a guest. */
    bool coroutine_fn (*check)(BlockDriverState *bs,
                               const BlockExportOptions *options, bool guest,
                               GError **errp);
    void coroutine_fn (*added)(BlockExport *exp,
                               const BlockExportOptions *options);
} BlockExportHooks;

typedef struct BlockExportDriver {
    BlockExportType type;
    size_t instance_size;       /* of the struct that begins with BlockExport */

    /* Take the options; exp->blk is ready. */
    bool coroutine_fn (*create)(BlockExport *exp,
                                const BlockExportOptions *options,
                                GError **errp);
    /* Disconnect everybody, soon; each drops its reference. */
    void (*request_shutdown)(BlockExport *exp);
    /* The last reference is gone. */
    void coroutine_fn (*destroy)(BlockExport *exp);
    /* The length of exp->blk has changed.  Default: nothing. */
    void (*resized)(BlockExport *exp);
} BlockExportDriver;

struct BlockExport {
    const BlockExportDriver *drv;
    char *id;
    BlockBackend *blk;
    bool guest;                 /* waits while the run state says so */
    bool gated;                 /* it does so now: its gate is closed */
    bool drive_blk;             /* @blk is a drive's own */
    bool writethrough;
    uint64_t perm;              /* what it needs of its node */
    uint64_t drive_perm, drive_shared_perm;     /* drive's without exports */
    BlockExportGuard *guard;    /* NULL: every client may write */
    bool shutting_down;
    /* The user (monitor) holds one until the export is deleted. */
    unsigned refcnt;
    bool user_owned;
    AioTimer give_up;           /* the end of what keeps it from going */
    TAILQ_ENTRY(BlockExport) next;
};

void block_export_register(const BlockExportDriver *const *drivers);
/* Set once, before exports are added; NULL: nobody is asked. */
void block_export_set_hooks(const BlockExportHooks *hooks);

/* block-export-add.  Hold the graph mutex. */
BlockExport *coroutine_fn block_export_co_add(const BlockExportOptions *options,
                                              GError **errp);
BlockExport *block_export_find(const char *id);
/* All of them in order of creation; NULL begins and ends. */
BlockExport *block_export_next(BlockExport *exp);

/* block-export-del.  "export 'x' still in use", "Export 'x' is not found" */
bool block_export_del(const char *id, BlockExportRemoveMode mode,
                      GError **errp);
/* query-block-exports */
BlockExportInfoList *block_export_query(void);

/* References may be dropped anywhere; destruction runs in a coroutine. */
void block_export_ref(BlockExport *exp);
void block_export_unref(BlockExport *exp);

/* Ask it to go; BLOCK_EXPORT_DELETED follows when it has gone. */
void block_export_request_shutdown(BlockExport *exp);

/*
 * Shut down all of @type (or every type: BLOCK_EXPORT_TYPE__MAX), wait.  Do
 * not hold the graph mutex.
 */
void coroutine_fn block_export_co_close_all(BlockExportType type);
/* Wait until all that were asked to go have gone.  The same holds. */
void coroutine_fn block_export_co_wait_deleted(void);

/*
 * The id of the export that serves a drive to the guest.  It differs from the
 * drive's, so that nbd-server-add of the drive still finds its id free.
 */
char *block_export_guest_id(const char *drive);

/*
 * Run states hold guest exports: while the guest does not run their
 * requests wait at the gate.
 */
void block_export_set_guests_running(bool running);
/* Wait until nothing that guests asked for is in flight. */
void coroutine_fn block_export_co_wait_guests_idle(void);

/* The kinds there are, to be registered by the daemon; ended by NULL. */
extern const BlockExportDriver *const block_export_drivers[];
extern const BlockExportDriver block_export_nbd;

#endif
