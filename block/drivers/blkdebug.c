/*
 * blkdebug driver
 *
 * A filter that fails and suspends requests by rules and imposes limits on
 * them: faults for tests, without a faulty disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/blkdebug.h"

#include "block/drivers.h"
#include "blkdebug-rules.h"
#include "util/aio.h"
#include "util/thread-pool.h"
#include "util/trace.h"

/* What the core can bounce requests for. */
#define BLKDEBUG_ALIGN_MAX 4096

typedef struct SuspendedRequest {
    Coroutine *co;
    char *tag;
    TAILQ_ENTRY(SuspendedRequest) next;
} SuspendedRequest;

typedef struct BlkdebugState {
    /* Set by open, constant afterwards; 0: not given */
    int64_t align;
    int64_t max_transfer;
    int64_t opt_write_zero, max_write_zero;
    int64_t opt_discard, max_discard;
    uint64_t take_perms, unshare_perms;

    BlkdebugRules rules;
    TAILQ_HEAD(, SuspendedRequest) suspended;
    CoQueue suspension;         /* who waits for a request to be suspended */
} BlkdebugState;

/* Errors */

static int coroutine_fn blkdebug_co_check(BlockDriverState *bs,
                                          BlkdebugIOType iotype,
                                          int64_t offset, int64_t bytes)
{
    BlkdebugState *s = bs->opaque;
    bool immediately = true;
    int ret = blkdebug_rules_error(&s->rules, iotype, offset, bytes,
                                   &immediately);

    if (ret < 0) {
        trace_event(blkdebug_inject_error, "node '%s' %s offset %" PRId64
                    " bytes %" PRId64 " error %d", bdrv_node_name(bs),
                    BlkdebugIOType_str(iotype), offset, bytes, -ret);
        if (!immediately) {
            co_reschedule_self();
        }
    }
    return ret;
}

/* Requests */

static int coroutine_fn blkdebug_co_preadv(BlockDriverState *bs,
                                           int64_t offset, int64_t bytes,
                                           IOVector *qiov,
                                           BdrvRequestFlags flags)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_READ, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return bdrv_co_preadv(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn blkdebug_co_pwritev(BlockDriverState *bs,
                                            int64_t offset, int64_t bytes,
                                            IOVector *qiov,
                                            BdrvRequestFlags flags)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_WRITE, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return bdrv_co_pwritev(bs->file, offset, bytes, qiov, flags);
}

static int coroutine_fn blkdebug_co_pwrite_zeroes(BlockDriverState *bs,
                                                  int64_t offset,
                                                  int64_t bytes,
                                                  BdrvRequestFlags flags)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_WRITE_ZEROES, offset,
                                bytes);

    if (ret < 0) {
        return ret;
    }
    return bdrv_co_pwrite_zeroes(bs->file, offset, bytes, flags);
}

static int coroutine_fn blkdebug_co_pdiscard(BlockDriverState *bs,
                                             int64_t offset, int64_t bytes)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_DISCARD, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    return bdrv_co_pdiscard(bs->file, offset, bytes);
}

static int coroutine_fn blkdebug_co_flush(BlockDriverState *bs)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_FLUSH, 0, 0);

    if (ret < 0) {
        return ret;
    }
    return bdrv_co_flush(bs->file->bs);
}

static int coroutine_fn blkdebug_co_block_status(BlockDriverState *bs,
                                                 bool want_zero,
                                                 int64_t offset, int64_t bytes,
                                                 int64_t *pnum, int64_t *map,
                                                 BlockDriverState **file)
{
    int ret = blkdebug_co_check(bs, BLKDEBUG_IO_TYPE_BLOCK_STATUS, offset,
                                bytes);

    if (ret < 0) {
        return ret;
    }
    *pnum = bytes;
    *map = offset;
    *file = bs->file->bs;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

/* Suspending and resuming */

static SuspendedRequest *find_suspended(BlkdebugState *s, const char *tag)
{
    SuspendedRequest *req;

    TAILQ_FOREACH(req, &s->suspended, next) {
        if (strcmp(req->tag, tag) == 0) {
            return req;
        }
    }
    return NULL;
}

static void blkdebug_resume_request(BlkdebugState *s, SuspendedRequest *req)
{
    trace_event(blkdebug_resume, "tag '%s'", req->tag);
    TAILQ_REMOVE(&s->suspended, req, next);
    aio_co_schedule(req->co);
}

static void coroutine_fn blkdebug_co_suspend(BlkdebugState *s,
                                             const char *tag)
{
    g_autofree char *own_tag = g_strdup(tag);
    SuspendedRequest req = { .co = coroutine_self(), .tag = own_tag };

    trace_event(blkdebug_suspend, "tag '%s'", tag);
    TAILQ_INSERT_TAIL(&s->suspended, &req, next);
    co_queue_restart_all(&s->suspension);
    coroutine_yield();
}

static void coroutine_fn blkdebug_co_debug_event(BlockDriverState *bs,
                                                 const char *event)
{
    BlkdebugState *s = bs->opaque;
    int type = BlkdebugEvent_parse(event, NULL);
    g_autofree char *tag = NULL;

    if (type < 0) {
        return;
    }
    tag = blkdebug_rules_event(&s->rules, type);
    if (tag) {
        blkdebug_co_suspend(s, tag);
    }
}

static BlkdebugState *find_blkdebug(BlockDriverState *bs)
{
    while (bs && bs->drv != &bdrv_blkdebug) {
        bs = bs->file ? bs->file->bs : NULL;
    }
    return bs ? bs->opaque : NULL;
}

int blkdebug_breakpoint(BlockDriverState *bs, const char *event,
                        const char *tag)
{
    BlkdebugState *s = find_blkdebug(bs);
    int type = BlkdebugEvent_parse(event, NULL);

    if (!s) {
        return -ENOTSUP;
    }
    if (type < 0) {
        return -ENOENT;
    }
    blkdebug_rules_add_suspend(&s->rules, type, tag);
    return 0;
}

int blkdebug_resume(BlockDriverState *bs, const char *tag)
{
    BlkdebugState *s = find_blkdebug(bs);
    SuspendedRequest *req;

    if (!s) {
        return -ENOTSUP;
    }
    req = find_suspended(s, tag);
    if (!req) {
        return -ENOENT;
    }
    blkdebug_resume_request(s, req);
    return 0;
}

int blkdebug_remove_breakpoint(BlockDriverState *bs, const char *tag)
{
    BlkdebugState *s = find_blkdebug(bs);
    SuspendedRequest *req;

    if (!s) {
        return -ENOTSUP;
    }
    blkdebug_rules_remove_suspend(&s->rules, tag);
    while ((req = find_suspended(s, tag))) {
        blkdebug_resume_request(s, req);
    }
    return 0;
}

bool blkdebug_is_suspended(BlockDriverState *bs, const char *tag)
{
    BlkdebugState *s = find_blkdebug(bs);

    return s && find_suspended(s, tag);
}

int coroutine_fn blkdebug_co_wait_break(BlockDriverState *bs, const char *tag)
{
    BlkdebugState *s;

    /* The graph may be another one when we wake. */
    while (!blkdebug_is_suspended(bs, tag)) {
        s = find_blkdebug(bs);
        if (!s) {
            return -ENOTSUP;
        }
        co_queue_wait(&s->suspension);
    }
    return 0;
}

/* What is suspended may never be resumed: let go of it. */
static void blkdebug_cancel_in_flight(BlockDriverState *bs)
{
    BlkdebugState *s = bs->opaque;

    while (!TAILQ_EMPTY(&s->suspended)) {
        blkdebug_resume_request(s, TAILQ_FIRST(&s->suspended));
    }
    if (bs->file) {
        bdrv_cancel_in_flight(bs->file->bs);
    }
}

/* Graph */

static void blkdebug_child_perm(BlockDriverState *bs, BdrvChild *child,
                                BdrvChildRole role, uint64_t perm,
                                uint64_t shared, uint64_t *nperm,
                                uint64_t *nshared)
{
    BlkdebugState *s = bs->opaque;

    bdrv_default_perms(bs, child, role, perm, shared, nperm, nshared);
    *nperm |= s->take_perms;
    *nshared &= ~s->unshare_perms;
}

static uint64_t parse_perms(const BlockPermissionList *list)
{
    static const uint64_t perm_of[BLOCK_PERMISSION__MAX] = {
        [BLOCK_PERMISSION_CONSISTENT_READ] = BLK_PERM_CONSISTENT_READ,
        [BLOCK_PERMISSION_WRITE] = BLK_PERM_WRITE,
        [BLOCK_PERMISSION_WRITE_UNCHANGED] = BLK_PERM_WRITE_UNCHANGED,
        [BLOCK_PERMISSION_RESIZE] = BLK_PERM_RESIZE,
    };
    uint64_t perms = 0;

    for (; list; list = list->next) {
        perms |= perm_of[list->value];
    }
    return perms;
}

/* Life */

/* An option that must be a multiple of @unit (of @unit2 as well). */
static bool take_limit(int64_t *limit, const char *name, bool given,
                       int64_t value, int64_t unit, int64_t unit2,
                       GError **errp)
{
    *limit = given ? value : 0;
    if (*limit < 0 || *limit >= INT_MAX || *limit % MAX(unit, 1) ||
        *limit % MAX(unit2, 1)) {
        error_setg(errp, "Cannot meet constraints with %s %" PRId64, name,
                   *limit);
        return false;
    }
    return true;
}

static bool blkdebug_take_limits(BlkdebugState *s,
                                 const BlockdevOptionsBlkdebug *o,
                                 GError **errp)
{
    s->align = o->has_align ? o->align : 0;
    if (s->align < 0 || s->align > BLKDEBUG_ALIGN_MAX ||
        (s->align & (s->align - 1))) {
        error_setg(errp, "Cannot meet constraints with align %" PRId64,
                   s->align);
        return false;
    }
    return take_limit(&s->max_transfer, "max-transfer", o->has_max_transfer,
                      o->max_transfer, s->align, 1, errp) &&
           take_limit(&s->opt_write_zero, "opt-write-zero",
                      o->has_opt_write_zero, o->opt_write_zero, s->align, 1,
                      errp) &&
           take_limit(&s->max_write_zero, "max-write-zero",
                      o->has_max_write_zero, o->max_write_zero, s->align,
                      s->opt_write_zero, errp) &&
           take_limit(&s->opt_discard, "opt-discard", o->has_opt_discard,
                      o->opt_discard, s->align, 1, errp) &&
           take_limit(&s->max_discard, "max-discard", o->has_max_discard,
                      o->max_discard, s->align, s->opt_discard, errp);
}

static void blkdebug_refresh_limits(BlockDriverState *bs)
{
    BlkdebugState *s = bs->opaque;

    bs->bl.request_alignment = MAX(s->align, 1);
    if (s->max_transfer) {
        bs->bl.max_transfer = s->max_transfer;
    }
    if (s->opt_write_zero) {
        bs->bl.pwrite_zeroes_alignment = s->opt_write_zero;
    }
    if (s->max_write_zero) {
        bs->bl.max_pwrite_zeroes = s->max_write_zero;
    }
    if (s->opt_discard) {
        bs->bl.pdiscard_alignment = s->opt_discard;
    }
    if (s->max_discard) {
        bs->bl.max_pdiscard = s->max_discard;
    }
}

typedef struct ConfigFile {
    const char *path;
    char *text;
    GError *err;
} ConfigFile;

/* In a worker thread */
static int config_file_read(void *opaque)
{
    ConfigFile *f = opaque;

    return g_file_get_contents(f->path, &f->text, NULL, &f->err) ? 0 : -1;
}

static bool coroutine_fn blkdebug_co_read_config(BlkdebugState *s,
                                                 const char *path,
                                                 GError **errp)
{
    ConfigFile f = { .path = path };
    bool ok;

    if (thread_pool_submit_co(config_file_read, &f) < 0) {
        error_setg(errp, "Could not open blkdebug config file: %s",
                   f.err->message);
        g_error_free(f.err);
        return false;
    }
    ok = blkdebug_rules_parse(&s->rules, f.text, path, errp);
    if (!ok) {
        error_prepend(errp, "Could not parse blkdebug config file: ");
    }
    g_free(f.text);
    return ok;
}

static bool blkdebug_take_rules(BlkdebugState *s,
                                const BlockdevOptionsBlkdebug *o,
                                GError **errp)
{
    for (BlkdebugInjectErrorOptionsList *e = o->inject_error; e;
         e = e->next) {
        if (!blkdebug_rules_add_inject_error(&s->rules, e->value, errp)) {
            return false;
        }
    }
    for (BlkdebugSetStateOptionsList *e = o->set_state; e; e = e->next) {
        if (!blkdebug_rules_add_set_state(&s->rules, e->value, errp)) {
            return false;
        }
    }
    return true;
}

static bool coroutine_fn blkdebug_co_open(BlockDriverState *bs,
                                          const BlockdevOptions *options,
                                          GError **errp)
{
    const BlockdevOptionsBlkdebug *o = &options->u.blkdebug;
    BlkdebugState *s = bs->opaque;

    blkdebug_rules_init(&s->rules);
    TAILQ_INIT(&s->suspended);
    co_queue_init(&s->suspension);

    bs->supported_write_flags = BDRV_REQ_FUA | BDRV_REQ_WRITE_UNCHANGED;
    bs->supported_zero_flags = bs->supported_write_flags |
                               BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK;

    s->take_perms = parse_perms(o->take_child_perms);
    s->unshare_perms = parse_perms(o->unshare_child_perms);
    if (!blkdebug_take_limits(s, o, errp) ||
        (o->config && !blkdebug_co_read_config(s, o->config, errp)) ||
        !blkdebug_take_rules(s, o, errp)) {
        return false;
    }
    return bdrv_co_open_child(bs, o->image, "image",
                              BDRV_CHILD_FILTERED | BDRV_CHILD_PRIMARY, errp);
}

static void coroutine_fn blkdebug_co_close(BlockDriverState *bs)
{
    BlkdebugState *s = bs->opaque;

    blkdebug_rules_clear(&s->rules);
}

const BlockDriver bdrv_blkdebug = {
    .format_name = "blkdebug",
    .type = BLOCKDEV_DRIVER_BLKDEBUG,
    .instance_size = sizeof(BlkdebugState),
    .is_filter = true,

    .bdrv_co_open = blkdebug_co_open,
    .bdrv_co_close = blkdebug_co_close,
    .bdrv_refresh_limits = blkdebug_refresh_limits,

    .bdrv_co_preadv = blkdebug_co_preadv,
    .bdrv_co_pwritev = blkdebug_co_pwritev,
    .bdrv_co_pwrite_zeroes = blkdebug_co_pwrite_zeroes,
    .bdrv_co_pdiscard = blkdebug_co_pdiscard,
    .bdrv_co_flush = blkdebug_co_flush,
    .bdrv_co_block_status = blkdebug_co_block_status,
    .bdrv_cancel_in_flight = blkdebug_cancel_in_flight,

    .bdrv_child_perm = blkdebug_child_perm,
    .bdrv_co_debug_event = blkdebug_co_debug_event,
};
