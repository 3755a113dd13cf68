/*
 * file and host_device drivers
 *
 * A regular file or a block device of the host.  Requests go to one of the
 * file engines; locks keep other programs out.
 *
 * With cache.direct requests come in whole blocks.  A file need not end at a
 * block's end: what is read behind its end is zeroes, and after its last
 * block was written it is cut to its length again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-int.h"

#include <sys/stat.h>

#include "block/drivers.h"
#include "util/thread-pool.h"

/* Requests */

static int coroutine_fn file_co_preadv(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, IOVector *qiov,
                                       BdrvRequestFlags flags)
{
    FileState *s = bs->opaque;
    g_auto(IOVector) rest = { 0 };
    size_t taken;

    taken = flags & BDRV_REQ_LEND ? file_handle_lend(&s->file, offset, qiov)
                                  : 0;
    if (taken == 0) {
        return file_engine_co_preadv(s->engine, &s->file, offset, qiov);
    }
    iov_init_slice(&rest, qiov, taken, qiov->size - taken);
    return file_engine_co_preadv(s->engine, &s->file,
                                 offset + (int64_t)taken, &rest);
}

typedef struct CutTail {
    int fd;
    int64_t length;
} CutTail;

/* In a worker thread */
static int cut_tail(void *opaque)
{
    CutTail *c = opaque;

    return ftruncate(c->fd, c->length) < 0 ? -errno : 0;
}

/*
 * A write that was padded to a whole block went past the end.  Whoever may
 * resize may have meant it; nobody else did.
 */
static int coroutine_fn file_co_cut_tail(BlockDriverState *bs)
{
    FileState *s = bs->opaque;
    CutTail c = { .fd = s->file.fd, .length = bdrv_getlength(bs) };

    if (s->perm & BLK_PERM_RESIZE) {
        return 0;
    }
    return thread_pool_submit_co(cut_tail, &c);
}

static int coroutine_fn file_co_pwritev(BlockDriverState *bs, int64_t offset,
                                        int64_t bytes, IOVector *qiov,
                                        BdrvRequestFlags flags)
{
    FileState *s = bs->opaque;
    bool fua = (flags & BDRV_REQ_FUA) && !bs->cache_no_flush;
    int ret = file_engine_co_pwritev(s->engine, &s->file, offset, qiov,
                                     fua ? FILE_IO_FUA : 0);

    if (G_UNLIKELY(offset + bytes > bdrv_getlength(bs)) && ret == 0 &&
        !s->is_device) {
        ret = file_co_cut_tail(bs);
    }
    return ret;
}

static int coroutine_fn file_co_flush(BlockDriverState *bs)
{
    FileState *s = bs->opaque;
    int ret;

    if (s->flush_error) {
        return s->flush_error;
    }
    ret = file_engine_co_fdatasync(s->engine, &s->file);
    if (ret < 0 && !s->file.direct) {
        s->flush_error = ret;
    }
    return ret;
}

/* Information */

static int64_t coroutine_fn file_co_getlength(BlockDriverState *bs)
{
    FileState *s = bs->opaque;

    return file_fd_length(s->file.fd, s->is_device);
}

static int64_t coroutine_fn file_co_allocated_size(BlockDriverState *bs)
{
    FileState *s = bs->opaque;
    struct stat st;

    if (fstat(s->file.fd, &st) < 0) {
        return -errno;
    }
    return (int64_t)st.st_blocks * 512;
}

static char *file_filename(BlockDriverState *bs)
{
    FileState *s = bs->opaque;

    return g_strdup(s->filename);
}

static void file_refresh_limits(BlockDriverState *bs)
{
    FileState *s = bs->opaque;

    bs->bl.request_alignment = s->align;
    bs->bl.min_mem_alignment = s->align;
    bs->bl.pwrite_zeroes_alignment = MAX(s->zero_align, s->align);
    bs->bl.pdiscard_alignment = MAX(s->zero_align, s->align);
}

/* Permissions */

static uint64_t file_shared(const BlockDriverState *bs, uint64_t shared)
{
    return bs->force_share ? BLK_PERM_ALL : shared;
}

static bool file_check_perm(BlockDriverState *bs, uint64_t perm,
                            uint64_t shared, GError **errp)
{
    FileState *s = bs->opaque;

    return file_lock_check(&s->lock, s->file.fd, s->filename, perm,
                           file_shared(bs, shared), errp);
}

static void file_set_perm(BlockDriverState *bs, uint64_t perm, uint64_t shared)
{
    FileState *s = bs->opaque;

    s->perm = perm;
    file_lock_commit(&s->lock, s->file.fd, perm, file_shared(bs, shared));
}

static void file_abort_perm_update(BlockDriverState *bs)
{
    FileState *s = bs->opaque;

    file_lock_abort(&s->lock, s->file.fd);
}

/* Opening */

static const BlockdevOptionsFile *
file_options(const BlockdevOptions *options)
{
    return options->driver == BLOCKDEV_DRIVER_FILE ? &options->u.file
                                                   : &options->u.host_device;
}

/*
 * The engine that aio= asks for.  One that is not there is replaced, since
 * it changes nothing but speed.
 */
static FileEngine *file_choose_engine(const BlockdevOptionsFile *opts,
                                      bool direct, GError **errp)
{
    static const FileEngineKind kinds[BLOCKDEV_AIO_OPTIONS__MAX] = {
        [BLOCKDEV_AIO_OPTIONS_THREADS] = FILE_ENGINE_THREADS,
        [BLOCKDEV_AIO_OPTIONS_NATIVE] = FILE_ENGINE_NATIVE,
        [BLOCKDEV_AIO_OPTIONS_IO_URING] = FILE_ENGINE_IO_URING,
    };
    g_autoptr(GError) err = NULL;
    FileEngineKind kind = opts->has_aio ? kinds[opts->aio]
                                        : FILE_ENGINE_THREADS;
    FileEngine *engine;

    if (kind == FILE_ENGINE_NATIVE && !direct) {
        error_setg(errp, "aio=native was specified, but it requires "
                   "cache.direct=on, which was not specified.");
        return NULL;
    }
    engine = file_engine_get(kind, &err);
    if (engine) {
        return engine;
    }
    if (kind != FILE_ENGINE_THREADS) {
        warn_report("'%s': aio=%s cannot be used (%s); using aio=threads",
                    opts->filename, file_engine_kind_name(kind),
                    err->message);
        return file_engine_get(FILE_ENGINE_THREADS, errp);
    }
    g_propagate_error(errp, g_steal_pointer(&err));
    return NULL;
}

static void file_open_error(const FileOpen *o, int ret, GError **errp)
{
    if (ret == -EINVAL && o->direct) {
        error_setg_errno(errp, EINVAL, "Could not open '%s': the file system "
                         "may not support cache.direct=on (O_DIRECT)",
                         o->filename);
        return;
    }
    error_setg_errno(errp, -ret, "Could not open '%s'", o->filename);
}

/*
 * Open, read-only if it must be and *@read_only or auto-read-only allows.
 * Sets *@read_only to what was done.
 */
static bool coroutine_fn file_co_open_auto(FileOpen *o, bool *read_only,
                                           bool auto_read_only, GError **errp)
{
    int ret;

    o->read_only = *read_only;
    ret = file_co_open_fd(o);
    if (!o->read_only && auto_read_only &&
        (ret == -EACCES || ret == -EROFS || ret == -EPERM)) {
        int ret2;

        o->read_only = true;
        ret2 = file_co_open_fd(o);
        ret = ret2 < 0 ? ret : 0;
    }
    if (ret < 0) {
        file_open_error(o, ret, errp);
        return false;
    }
    *read_only = o->read_only;
    return true;
}

/*
 * Requests go to what @o has opened from now on.
 *
 * Behind the page cache FUA is left to the core, which emulates it by a
 * flush: a write that is stable at once would be told of the loss of earlier
 * ones, which the kernel tells once only, and which flush_error has to keep.
 */
static void file_take_fd(BlockDriverState *bs, const FileOpen *o,
                         FileEngine *engine)
{
    FileState *s = bs->opaque;
    BdrvRequestFlags fua;

    file_handle_destroy(&s->file);
    file_handle_init(&s->file, o->fd, true);
    fua = s->file.direct ? BDRV_REQ_FUA : 0;
    bs->supported_read_flags = BDRV_REQ_LEND;
    bs->supported_write_flags = fua;
    bs->supported_zero_flags = fua | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    s->engine = engine;
    s->align = o->align;
    s->zero_align = o->zero_align;
    s->is_device = o->is_device;
    s->lacks = (FileLacks) { .punch_hole = false };
    s->flush_error = 0;
}

static bool file_check_type(const BlockDriverState *bs, const FileOpen *o,
                            GError **errp)
{
    if (bs->drv == &bdrv_host_device && !o->is_device) {
        error_setg(errp, "'%s' driver requires '%s' to be a block device",
                   bs->drv->format_name, o->filename);
        return false;
    }
    if (!o->is_device && !o->is_regular) {
        error_setg(errp, "'%s' driver requires '%s' to be a regular file",
                   bs->drv->format_name, o->filename);
        return false;
    }
    return true;
}

static bool coroutine_fn file_co_open(BlockDriverState *bs,
                                      const BlockdevOptions *options,
                                      GError **errp)
{
    const BlockdevOptionsFile *opts = file_options(options);
    FileState *s = bs->opaque;
    FileEngine *engine = file_choose_engine(opts, bs->cache_direct, errp);
    FileOpen o = {
        .filename = opts->filename,
        .same_as = -1,
        .direct = bs->cache_direct,
    };

    if (!engine) {
        return false;
    }
    s->filename = g_strdup(opts->filename);
    s->lock.enabled = !opts->has_locking || opts->locking != ON_OFF_AUTO_OFF;
    s->lock.optional = !opts->has_locking ||
                       opts->locking == ON_OFF_AUTO_AUTO;

    if (!file_co_open_auto(&o, &bs->read_only, bs->auto_read_only, errp)) {
        return false;
    }
    file_take_fd(bs, &o, engine);
    s->opened = true;
    return file_check_type(bs, &o, errp);
}

static void coroutine_fn file_co_close(BlockDriverState *bs)
{
    FileState *s = bs->opaque;

    if (s->opened) {
        file_handle_destroy(&s->file);
        file_co_close_fd(s->file.fd);
    }
    g_free(s->filename);
}

/* Reopening */

typedef struct FileReopen {
    FileEngine *engine;
    FileOpen o;                 /* o.fd: -1 if the old one does */
} FileReopen;

/* Whether the node must be opened once more to become what @state says. */
static bool needs_new_fd(const FileState *s, const BDRVReopenState *state)
{
    bool is_read_only = (fcntl(s->file.fd, F_GETFL) & O_ACCMODE) == O_RDONLY;

    return is_read_only != state->read_only ||
           s->file.direct != state->cache_direct;
}

static bool coroutine_fn file_co_reopen_prepare(BDRVReopenState *state,
                                                GError **errp)
{
    FileState *s = state->bs->opaque;
    g_autofree FileReopen *r = g_new0(FileReopen, 1);

    r->engine = file_choose_engine(file_options(state->options),
                                   state->cache_direct, errp);
    if (!r->engine) {
        return false;
    }
    r->o.fd = -1;
    if (needs_new_fd(s, state)) {
        r->o.filename = s->filename;
        r->o.same_as = s->file.fd;
        r->o.direct = state->cache_direct;
        if (!file_co_open_auto(&r->o, &state->read_only,
                               state->auto_read_only, errp)) {
            return false;
        }
    }
    state->opaque = g_steal_pointer(&r);
    return true;
}

static void coroutine_fn file_co_reopen_commit(BDRVReopenState *state)
{
    FileState *s = state->bs->opaque;
    g_autofree FileReopen *r = g_steal_pointer(&state->opaque);
    int old = s->file.fd;

    if (r->o.fd < 0) {
        s->engine = r->engine;
        return;
    }
    /* The locks are held at every moment, if need be twice. */
    file_lock_transfer(&s->lock, r->o.fd);
    file_take_fd(state->bs, &r->o, r->engine);
    file_co_close_fd(old);
}

static void coroutine_fn file_co_reopen_abort(BDRVReopenState *state)
{
    g_autofree FileReopen *r = g_steal_pointer(&state->opaque);

    if (r->o.fd >= 0) {
        file_co_close_fd(r->o.fd);
    }
}

static const char *const file_mutable_opts[] = { "aio", NULL };

/* The two differ in what they accept. */
#define FILE_DRIVER_CALLBACKS                                           \
    .instance_size = sizeof(FileState),                                 \
    .is_protocol = true,                                                \
                                                                        \
    .bdrv_co_open = file_co_open,                                       \
    .bdrv_co_close = file_co_close,                                     \
    .bdrv_refresh_limits = file_refresh_limits,                         \
    .bdrv_co_getlength = file_co_getlength,                             \
    .bdrv_co_truncate = file_co_truncate,                               \
                                                                        \
    .mutable_opts = file_mutable_opts,                                  \
    .bdrv_co_reopen_prepare = file_co_reopen_prepare,                   \
    .bdrv_co_reopen_commit = file_co_reopen_commit,                     \
    .bdrv_co_reopen_abort = file_co_reopen_abort,                       \
                                                                        \
    .bdrv_co_preadv = file_co_preadv,                                   \
    .bdrv_co_pwritev = file_co_pwritev,                                 \
    .bdrv_co_pwrite_zeroes = file_co_pwrite_zeroes,                     \
    .bdrv_co_pdiscard = file_co_pdiscard,                               \
    .bdrv_co_flush = file_co_flush,                                     \
    .bdrv_co_block_status = file_co_block_status,                       \
                                                                        \
    .bdrv_check_perm = file_check_perm,                                 \
    .bdrv_set_perm = file_set_perm,                                     \
    .bdrv_abort_perm_update = file_abort_perm_update,                   \
                                                                        \
    .bdrv_co_allocated_size = file_co_allocated_size,                   \
    .bdrv_filename = file_filename

const BlockDriver bdrv_file = {
    .format_name = "file",
    .type = BLOCKDEV_DRIVER_FILE,
    .bdrv_co_create = file_co_create,
    FILE_DRIVER_CALLBACKS,
};

const BlockDriver bdrv_host_device = {
    .format_name = "host_device",
    .type = BLOCKDEV_DRIVER_HOST_DEVICE,
    FILE_DRIVER_CALLBACKS,
};
