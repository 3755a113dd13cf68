/*
 * NBD export: a BlockBackend behind an NBD server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/export.h"

#include "block/graph.h"
#include "block/nbd-server.h"
#include "nbd/protocol.h"

/* What clients are told to use when the node has no wish of its own */
#define NBD_EXPORT_OPT_BLOCK 4096

typedef struct BlockExportNBD {
    BlockExport common;
    NBDExport nbd;
} BlockExportNBD;

static BlockExportNBD *from_nbd(NBDExport *nbd)
{
    return container_of(nbd, BlockExportNBD, nbd);
}

static BlockBackend *nbd_blk(NBDExport *nbd)
{
    return from_nbd(nbd)->common.blk;
}

/* Requests */

static void export_nbd_ref(NBDExport *nbd)
{
    block_export_ref(&from_nbd(nbd)->common);
}

static void export_nbd_unref(NBDExport *nbd)
{
    block_export_unref(&from_nbd(nbd)->common);
}

static int coroutine_fn export_nbd_wait(NBDExport *nbd, const void *client)
{
    return blk_co_wait_gate(nbd_blk(nbd), client);
}

static void export_nbd_cancel_waiting(NBDExport *nbd, const void *client)
{
    blk_cancel_waiting(nbd_blk(nbd), client);
}

static bool export_nbd_may_write(NBDExport *nbd, const void *client,
                                 char **why)
{
    BlockExport *exp = &from_nbd(nbd)->common;
    g_autoptr(GError) err = NULL;

    if (G_LIKELY(!exp->guard) ||
        exp->guard->may_write(exp->guard, exp, client, &err)) {
        return true;
    }
    *why = g_strdup(err->message);
    return false;
}

static void export_nbd_client_left(NBDExport *nbd, const void *client,
                                   bool lost)
{
    BlockExportGuard *guard = from_nbd(nbd)->common.guard;

    if (guard) {
        guard->client_left(guard, client, lost);
    }
}

/* Replication guards what a primary writes to. */
static bool export_nbd_has_polling_clients(NBDExport *nbd)
{
    return from_nbd(nbd)->common.guard;
}

static BdrvRequestFlags export_nbd_fua(NBDExport *nbd, unsigned flags)
{
    return flags & NBD_CMD_FLAG_FUA || from_nbd(nbd)->common.writethrough ?
           BDRV_REQ_FUA : 0;
}

static int coroutine_fn export_nbd_preadv(NBDExport *nbd, int64_t offset,
                                          int64_t bytes, IOVector *qiov)
{
    return blk_co_preadv(nbd_blk(nbd), offset, bytes, qiov,
                         qiov->take ? BDRV_REQ_LEND : 0);
}

static int coroutine_fn export_nbd_pwritev(NBDExport *nbd, int64_t offset,
                                           int64_t bytes, IOVector *qiov,
                                           unsigned flags)
{
    return blk_co_pwritev(nbd_blk(nbd), offset, bytes, qiov,
                          export_nbd_fua(nbd, flags));
}

static int coroutine_fn export_nbd_pwrite_zeroes(NBDExport *nbd,
                                                 int64_t offset,
                                                 int64_t bytes,
                                                 unsigned flags)
{
    BdrvRequestFlags req_flags = export_nbd_fua(nbd, flags);

    if (!(flags & NBD_CMD_FLAG_NO_HOLE)) {
        req_flags |= BDRV_REQ_MAY_UNMAP;
    }
    if (flags & NBD_CMD_FLAG_FAST_ZERO) {
        req_flags |= BDRV_REQ_NO_FALLBACK;
    }
    return blk_co_pwrite_zeroes(nbd_blk(nbd), offset, bytes, req_flags);
}

static int coroutine_fn export_nbd_pdiscard(NBDExport *nbd, int64_t offset,
                                            int64_t bytes, unsigned flags)
{
    int ret = blk_co_pdiscard(nbd_blk(nbd), offset, bytes);

    if (ret == 0 && export_nbd_fua(nbd, flags)) {
        ret = blk_co_flush(nbd_blk(nbd));
    }
    return ret;
}

static int coroutine_fn export_nbd_flush(NBDExport *nbd)
{
    return blk_co_flush(nbd_blk(nbd));
}

static int coroutine_fn export_nbd_block_status(NBDExport *nbd,
                                                int64_t offset, int64_t bytes,
                                                int64_t *pnum)
{
    int ret = blk_co_block_status(nbd_blk(nbd), true, offset, bytes, pnum);

    if (ret < 0) {
        return ret;
    }
    return (ret & BDRV_BLOCK_DATA ? 0 : NBD_STATE_HOLE) |
           (ret & BDRV_BLOCK_ZERO ? NBD_STATE_ZERO : 0);
}

static int coroutine_fn export_nbd_allocation_depth(NBDExport *nbd,
                                                    int64_t offset,
                                                    int64_t bytes,
                                                    int64_t *pnum)
{
    return blk_co_allocation_depth(nbd_blk(nbd), offset, bytes, pnum);
}

static const NBDExportOps export_nbd_ops = {
    .ref = export_nbd_ref,
    .unref = export_nbd_unref,
    .wait = export_nbd_wait,
    .cancel_waiting = export_nbd_cancel_waiting,
    .may_write = export_nbd_may_write,
    .has_polling_clients = export_nbd_has_polling_clients,
    .client_left = export_nbd_client_left,
    .preadv = export_nbd_preadv,
    .pwritev = export_nbd_pwritev,
    .pwrite_zeroes = export_nbd_pwrite_zeroes,
    .pdiscard = export_nbd_pdiscard,
    .flush = export_nbd_flush,
    .block_status = export_nbd_block_status,
    .allocation_depth = export_nbd_allocation_depth,
};

/* Life */

/*
 * The protocol wants powers of two, the second not below the first, and a
 * size that is a multiple of the first: clients have none of any other.
 * Smaller requests than the node's are no trouble to it.
 */
static void export_nbd_set_sizes(NBDExport *nbd)
{
    const BlockLimits *bl = blk_limits(nbd_blk(nbd));
    uint32_t opt = MAX(bl->opt_transfer, NBD_EXPORT_OPT_BLOCK);

    nbd->size = blk_getlength(nbd_blk(nbd));
    nbd->min_block = MAX(bl->request_alignment, 1);
    while (nbd->size % nbd->min_block) {
        nbd->min_block /= 2;
    }
    nbd->opt_block = MIN(UINT32_C(1) << g_bit_storage(opt - 1),
                         NBD_MAX_BUFFER_SIZE);
}

static bool export_nbd_check_text(const BlockExportOptionsNbd *opts,
                                  const char *name, GError **errp)
{
    if (strlen(name) > NBD_MAX_STRING_SIZE) {
        error_setg(errp, "export name '%s' too long", name);
        return false;
    }
    if (opts->description &&
        strlen(opts->description) > NBD_MAX_STRING_SIZE) {
        error_setg(errp, "description '%s' too long", opts->description);
        return false;
    }
    return true;
}

static void export_nbd_warn_if_open(NBDExport *nbd, NBDServer *server)
{
    const char *address = nbd_server_open_address(server);

    if (address && !nbd->read_only) {
        warn_report("everybody who can reach %s can write to export '%s': "
                    "the NBD server has no tls-creds", address, nbd->name);
    }
}

static bool coroutine_fn export_nbd_create(BlockExport *exp,
                                           const BlockExportOptions *options,
                                           GError **errp)
{
    NBDExport *nbd = &container_of(exp, BlockExportNBD, common)->nbd;
    const BlockExportOptionsNbd *opts = &options->u.nbd;
    const char *name = opts->name ? opts->name : options->node_name;
    NBDServer *server;

    server = nbd_server_for_export(exp->guest, errp);
    if (!server || !export_nbd_check_text(opts, name, errp)) {
        return false;
    }
    nbd->ops = &export_nbd_ops;
    export_nbd_set_sizes(nbd);
    nbd->read_only = !(options->has_writable && options->writable);
    nbd->allocation_depth = opts->has_allocation_depth &&
                            opts->allocation_depth;
    nbd->name = g_strdup(name);
    nbd->description = g_strdup(opts->description);
    if (!nbd_server_add_export(server, nbd, errp)) {
        g_free(nbd->name);
        g_free(nbd->description);
        return false;
    }
    export_nbd_warn_if_open(nbd, server);
    return true;
}

static void export_nbd_request_shutdown(BlockExport *exp)
{
    NBDExport *nbd = &container_of(exp, BlockExportNBD, common)->nbd;

    nbd_server_remove_export(nbd);
    nbd_export_disconnect(nbd);
}

static void coroutine_fn export_nbd_destroy(BlockExport *exp)
{
    NBDExport *nbd = &container_of(exp, BlockExportNBD, common)->nbd;

    nbd_server_remove_export(nbd);
    g_free(nbd->name);
    g_free(nbd->description);
}

static void export_nbd_resized(BlockExport *exp)
{
    NBDExport *nbd = &container_of(exp, BlockExportNBD, common)->nbd;

    if (blk_bs(exp->blk)) {
        export_nbd_set_sizes(nbd);
        nbd->data_start = nbd->data_end = 0;
    }
}

NBDServer *block_export_nbd_server(BlockExport *exp)
{
    return container_of(exp, BlockExportNBD, common)->nbd.server;
}

const BlockExportDriver block_export_nbd = {
    .type = BLOCK_EXPORT_TYPE_NBD,
    .instance_size = sizeof(BlockExportNBD),
    .create = export_nbd_create,
    .request_shutdown = export_nbd_request_shutdown,
    .destroy = export_nbd_destroy,
    .resized = export_nbd_resized,
};

const BlockExportDriver *const block_export_drivers[] = {
    &block_export_nbd,
    NULL
};
