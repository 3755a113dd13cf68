/*
 * Exports: the list, adding, removing
 *
 * An export lives as long as anybody holds a reference: the user until it is
 * deleted, each client until it is gone.  What kind it is does not matter
 * here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/export.h"

#include "block/graph.h"
#include "qapi/qapi-events-block-export.h"
#include "qom/object.h"
#include "util/trace.h"

typedef struct BlockExports {
    TAILQ_HEAD(, BlockExport) list;
    CoQueue deleted;            /* one has gone */
    bool guests_stopped;
} BlockExports;

/* How long an export that shall go waits for what its node's peers owe it. */
#define GIVE_UP_NS (5 * NANOSECONDS_PER_SECOND)

/* No user can take such an id for something else. */
#define GUEST_ID_PREFIX "#guest-"

static const BlockExportDriver *const *export_drivers;
static const BlockExportHooks *export_hooks;

static void block_exports_init(AioContext *ctx, void *data)
{
    BlockExports *s = data;

    TAILQ_INIT(&s->list);
    co_queue_init(&s->deleted);
}

static const AioLocal block_exports_key = {
    .size = sizeof(BlockExports),
    .init = block_exports_init,
};

static BlockExports *block_exports(void)
{
    return aio_local_get(aio_get_current(), &block_exports_key);
}

void block_export_register(const BlockExportDriver *const *drivers)
{
    export_drivers = drivers;
}

void block_export_set_hooks(const BlockExportHooks *hooks)
{
    export_hooks = hooks;
}

static const BlockExportDriver *block_export_driver(BlockExportType type)
{
    const BlockExportDriver *const *drv;

    for (drv = export_drivers; drv && *drv; drv++) {
        if ((*drv)->type == type) {
            return *drv;
        }
    }
    return NULL;
}

BlockExport *block_export_next(BlockExport *exp)
{
    return exp ? TAILQ_NEXT(exp, next) : TAILQ_FIRST(&block_exports()->list);
}

BlockExport *block_export_find(const char *id)
{
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (strcmp(exp->id, id) == 0) {
            return exp;
        }
    }
    return NULL;
}

/* The gate of guests */

static void block_export_gate(BlockExport *exp, bool close)
{
    if (close && !exp->gated) {
        blk_guest_gate_close(exp->blk);
    } else if (!close && exp->gated) {
        blk_guest_gate_open(exp->blk);
    }
    exp->gated = close;
}

void block_export_set_guests_running(bool running)
{
    BlockExport *exp = NULL;

    block_exports()->guests_stopped = !running;
    while ((exp = block_export_next(exp))) {
        if (exp->guest && !exp->shutting_down) {
            block_export_gate(exp, !running);
        }
    }
}

void coroutine_fn block_export_co_wait_guests_idle(void)
{
    BlockExport *exp;

restart:
    for (exp = block_export_next(NULL); exp; exp = block_export_next(exp)) {
        /* One without references has no clients, though its drive be busy. */
        if (exp->guest && exp->refcnt > 0 && blk_in_flight(exp->blk) > 0) {
            /* The list may be another one after the wait. */
            block_export_ref(exp);
            blk_co_wait_idle(exp->blk);
            block_export_unref(exp);
            goto restart;
        }
    }
}

/* The BlockBackend of an export */

static BlockBackend *drive_of_root(BlockDriverState *bs)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_next(blk))) {
        if (*blk_name(blk) && blk_bs(blk) == bs) {
            return blk;
        }
    }
    return NULL;
}

static void block_export_resized(void *opaque)
{
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (exp->blk == opaque && exp->drv->resized) {
            exp->drv->resized(exp);
        }
    }
}

/* The next export after @exp that has the drive's own backend. */
static BlockExport *next_of_drive(BlockBackend *drive, BlockExport *exp)
{
    while ((exp = block_export_next(exp)) && exp->blk != drive) {
        /* another one's */
    }
    return exp;
}

static bool block_export_take_drive(BlockExport *exp, BlockBackend *drive,
                                    GError **errp)
{
    BlockExport *other = next_of_drive(drive, NULL);
    uint64_t perm, shared;

    blk_get_perm(drive, &perm, &shared);
    exp->drive_perm = other ? other->drive_perm : perm;
    exp->drive_shared_perm = other ? other->drive_shared_perm : shared;
    /* A guest's disk has no other writer, as with a device in QEMU. */
    if (!blk_set_perm(drive, perm | exp->perm, shared & ~BLK_PERM_WRITE,
                      errp)) {
        return false;
    }
    blk_ref(drive);
    exp->blk = drive;
    exp->drive_blk = true;
    return true;
}

/* What the drive had before, and what its other exports need. */
static void block_export_leave_drive(BlockExport *exp)
{
    uint64_t perm = exp->drive_perm, shared = exp->drive_shared_perm;
    BlockExport *other = NULL;
    bool last = true;

    while ((other = next_of_drive(exp->blk, other))) {
        if (other != exp) {
            perm |= other->perm;
            shared &= ~BLK_PERM_WRITE;
            last = false;
        }
    }
    if (last) {
        blk_set_resize_cb(exp->blk, NULL, NULL);
    }
    blk_set_perm(exp->blk, perm, shared, NULL);
}

/*
 * A guest has its drive's own backend, so that the drive's throttling and
 * statistics are the guest's; everybody else has one per export.
 */
static bool coroutine_fn block_export_co_attach(BlockExport *exp,
                                                BlockDriverState *bs,
                                                GError **errp)
{
    BlockBackend *drive = drive_of_root(bs);

    if (exp->guest && drive) {
        if (!block_export_take_drive(exp, drive, errp)) {
            return false;
        }
    } else {
        /* Clients are told the size only once; a guest's device is asked. */
        exp->blk = blk_new(exp->perm, exp->guest ? BLK_PERM_ALL :
                           BLK_PERM_ALL & ~(uint64_t)BLK_PERM_RESIZE);
        if (!blk_co_insert_bs(exp->blk, bs, errp)) {
            return false;
        }
        blk_set_user(exp->blk, exp->id);
    }
    blk_set_resize_cb(exp->blk, block_export_resized, exp->blk);
    return true;
}

/* Adding */

char *block_export_guest_id(const char *drive)
{
    return g_strdup_printf(GUEST_ID_PREFIX "%s", drive);
}

static bool block_export_id_is_wellformed(const BlockExportOptions *options)
{
    const char *id = options->id;

    if (options->has_guest && options->guest) {
        id += g_str_has_prefix(id, GUEST_ID_PREFIX) ?
              strlen(GUEST_ID_PREFIX) : 0;
    }
    return bdrv_name_is_wellformed(id);
}

static bool is_iothread(const char *id)
{
    Object *obj = object_lookup(id);

    return obj && obj->info->type == OBJECT_TYPE_IOTHREAD;
}

static bool block_export_check_options(const BlockExportOptions *options,
                                       GError **errp)
{
    if (!block_export_id_is_wellformed(options)) {
        error_setg(errp, "Invalid block export id '%s'", options->id);
        return false;
    }
    if (block_export_find(options->id)) {
        error_setg(errp, "Block export id '%s' is already in use",
                   options->id);
        return false;
    }
    if (!block_export_driver(options->type)) {
        error_setg(errp,
                   "No driver found for the requested export type '%s'",
                   BlockExportType_str(options->type));
        return false;
    }
    if (options->iothread && !is_iothread(options->iothread)) {
        error_setg(errp, "iothread \"%s\" not found", options->iothread);
        return false;
    }
    return true;
}

/* Whether those above allow it. */
static bool coroutine_fn
block_export_co_check_allowed(BlockDriverState *bs,
                              const BlockExportOptions *options, GError **errp)
{
    bool guest = options->has_guest && options->guest;

    if (!guest && options->has_force && options->force) {
        error_setg(errp, "Parameter 'force' is only for guest exports");
        return false;
    }
    return !export_hooks || export_hooks->check(bs, options, guest, errp);
}

/* The memory and the backend of @exp, which may be half-made. */
static void coroutine_fn block_export_co_free(BlockExport *exp)
{
    if (exp->blk) {
        block_export_gate(exp, false);
        if (exp->drive_blk) {
            block_export_leave_drive(exp);
        } else {
            blk_set_resize_cb(exp->blk, NULL, NULL);
        }
        blk_co_unref(exp->blk);
    }
    g_free(exp->id);
    g_free(exp);
}

BlockExport *coroutine_fn block_export_co_add(const BlockExportOptions *options,
                                              GError **errp)
{
    bool writable = options->has_writable && options->writable;
    const BlockExportDriver *drv;
    BlockDriverState *bs;
    BlockExport *exp;

    if (!block_export_check_options(options, errp)) {
        return NULL;
    }
    bs = bdrv_lookup(options->node_name, errp);
    if (!bs) {
        return NULL;
    }
    if (writable && bdrv_is_read_only(bs)) {
        error_setg(errp, "Cannot export read-only node as writable");
        return NULL;
    }
    if (!block_export_co_check_allowed(bs, options, errp)) {
        return NULL;
    }

    drv = block_export_driver(options->type);
    g_assert(drv->instance_size >= sizeof(BlockExport));
    exp = g_malloc0(drv->instance_size);
    exp->drv = drv;
    exp->id = g_strdup(options->id);
    exp->refcnt = 1;
    exp->user_owned = true;
    exp->guest = options->has_guest && options->guest;
    exp->perm = BLK_PERM_CONSISTENT_READ | (writable ? BLK_PERM_WRITE : 0);
    exp->writethrough = options->has_writethrough && options->writethrough;
    if (!block_export_co_attach(exp, bs, errp) ||
        !drv->create(exp, options, errp)) {
        block_export_co_free(exp);
        return NULL;
    }

    TAILQ_INSERT_TAIL(&block_exports()->list, exp, next);
    if (exp->guest && block_exports()->guests_stopped) {
        block_export_gate(exp, true);
    }
    trace_event(block_export_add, "id %s node %s", exp->id,
                options->node_name);
    if (export_hooks) {
        export_hooks->added(exp, options);
    }
    return exp;
}

/* Going */

static void coroutine_fn block_export_delete_entry(void *opaque)
{
    BlockExport *exp = opaque;
    BlockExports *s = block_exports();
    g_autofree char *id = g_strdup(exp->id);

    aio_timer_del(&exp->give_up);
    {
        GRAPH_COMMAND_GUARD();

        exp->drv->destroy(exp);
        TAILQ_REMOVE(&s->list, exp, next);
        block_export_co_free(exp);
    }
    trace_event(block_export_deleted, "id %s", id);
    qapi_event_send_block_export_deleted(id);
    co_queue_restart_all(&s->deleted);
}

static void block_export_delete_bh(void *opaque)
{
    coroutine_start(block_export_delete_entry, opaque);
}

void block_export_ref(BlockExport *exp)
{
    g_assert(exp->refcnt > 0);
    exp->refcnt++;
}

void block_export_unref(BlockExport *exp)
{
    g_assert(exp->refcnt > 0);
    if (--exp->refcnt == 0) {
        aio_bh_schedule_oneshot(blk_get_aio_context(exp->blk),
                                block_export_delete_bh, exp);
    }
}

static void block_export_give_up(void *opaque)
{
    BlockExport *exp = opaque;

    blk_give_up(exp->blk);
}

void block_export_request_shutdown(BlockExport *exp)
{
    AioContext *ctx = blk_get_aio_context(exp->blk);

    if (exp->shutting_down) {
        return;
    }
    exp->shutting_down = true;
    aio_timer_init(&exp->give_up, ctx, block_export_give_up, exp);
    aio_timer_mod(&exp->give_up, aio_clock_get_ns(ctx) + GIVE_UP_NS);

    /* It may lose its last client in here. */
    block_export_ref(exp);
    exp->drv->request_shutdown(exp);
    /* Nobody waits for the answers; so neither do we for a limit in rate. */
    blk_let_pass(exp->blk);
    if (exp->user_owned) {
        exp->user_owned = false;
        block_export_unref(exp);
    }
    block_export_unref(exp);
}

bool block_export_del(const char *id, BlockExportRemoveMode mode,
                      GError **errp)
{
    BlockExport *exp = block_export_find(id);

    if (!exp) {
        error_setg(errp, "Export '%s' is not found", id);
        return false;
    }
    if (exp->shutting_down) {
        error_setg(errp, "Export '%s' is already shutting down", id);
        return false;
    }
    if (mode == BLOCK_EXPORT_REMOVE_MODE_SAFE && exp->refcnt > 1) {
        error_setg(errp, "export '%s' still in use", id);
        return false;
    }
    block_export_request_shutdown(exp);
    return true;
}

static bool block_exports_shutting_down(void)
{
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (exp->shutting_down) {
            return true;
        }
    }
    return false;
}

void coroutine_fn block_export_co_wait_deleted(void)
{
    while (block_exports_shutting_down()) {
        co_queue_wait(&block_exports()->deleted);
    }
}

void coroutine_fn block_export_co_close_all(BlockExportType type)
{
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        if (type == BLOCK_EXPORT_TYPE__MAX || exp->drv->type == type) {
            block_export_request_shutdown(exp);
        }
    }
    block_export_co_wait_deleted();
}

/* Information */

BlockExportInfoList *block_export_query(void)
{
    BlockExportInfoList *head = NULL, **tail = &head;
    BlockExport *exp = NULL;

    while ((exp = block_export_next(exp))) {
        BlockExportInfo *info = g_new0(BlockExportInfo, 1);
        BlockDriverState *bs = blk_bs(exp->blk);

        info->id = g_strdup(exp->id);
        info->type = exp->drv->type;
        info->node_name = g_strdup(bs ? bdrv_node_name(bs) : "");
        info->shutting_down = exp->shutting_down;
        *tail = g_new0(BlockExportInfoList, 1);
        (*tail)->value = info;
        tail = &(*tail)->next;
    }
    return head;
}
