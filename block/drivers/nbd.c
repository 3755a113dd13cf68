/*
 * nbd driver: a disk served by an NBD server
 *
 * The bottom of a chain.  This file takes the options, opens, closes and says
 * what the export can do; nbd-connection.c gets and keeps a connection,
 * nbd-request.c sends requests over it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-int.h"

#include "block/drivers.h"
#include "nbd/protocol.h"
#include "qapi/qapi-visit-block-core.h"

/*
 * What a server takes that says nothing of block sizes: sectors, unless its
 * export does not consist of those.
 */
static uint32_t min_block(const NBDExportInfo *info)
{
    if (info->min_block) {
        return info->min_block;
    }
    return info->size % BDRV_SECTOR_SIZE ? 1 : BDRV_SECTOR_SIZE;
}

static void nbd_refresh_limits(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;
    uint32_t min = min_block(&s->info);
    uint32_t max = NBD_MAX_BUFFER_SIZE;

    if (s->info.max_block) {
        max = MIN(max, s->info.max_block);
    }
    max = ROUND_DOWN(max, min);
    bs->bl.request_alignment = min;
    bs->bl.max_transfer = max;
    bs->bl.max_pwrite_zeroes = max;
    bs->bl.max_pdiscard = ROUND_DOWN(INT32_MAX, min);
    bs->bl.opt_transfer = s->info.opt_block > min ? s->info.opt_block : 0;
}

static int64_t coroutine_fn nbd_co_getlength(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;

    return s->info.size;
}

static bool coroutine_fn nbd_co_truncate(BlockDriverState *bs, int64_t offset,
                                         PreallocMode prealloc, GError **errp)
{
    error_setg(errp, "Cannot resize NBD nodes");
    return false;
}

static void nbd_driver_cancel_in_flight(BlockDriverState *bs)
{
    nbd_cancel_in_flight(bs->opaque);
}

static int nbd_driver_pin_connection(BlockDriverState *bs, bool pin)
{
    return nbd_pin_connection(bs->opaque, pin);
}

/* The name */

static char *nbd_filename(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;
    const SocketAddress *addr = s->opts->server;
    g_autofree char *export =
        s->opts->export ? g_uri_escape_string(s->opts->export, "/", true)
                        : g_strdup("");

    if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
        const char *host = addr->u.inet.host;
        bool v6 = strchr(host, ':');

        return g_strdup_printf("nbd://%s%s%s:%s%s%s", v6 ? "[" : "", host,
                               v6 ? "]" : "", addr->u.inet.port,
                               *export ? "/" : "", export);
    }
    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX) {
        g_autofree char *path = g_uri_escape_string(addr->u.q_unix.path, "/",
                                                    true);

        return g_strdup_printf("nbd+unix://%s%s?socket=%s",
                               *export ? "/" : "", export, path);
    }
    return NULL;
}

/* Open and close */

static bool check_options(const BlockdevOptionsNbd *opts, GError **errp)
{
    if (opts->export && strlen(opts->export) > NBD_MAX_STRING_SIZE) {
        error_setg(errp, "export name too long to send to server");
        return false;
    }
    if (opts->x_dirty_bitmap &&
        strlen(opts->x_dirty_bitmap) > NBD_MAX_STRING_SIZE) {
        error_setg(errp, "x-dirty-bitmap query too long to send to server");
        return false;
    }
    if (opts->tls_hostname && !opts->tls_creds) {
        error_setg(errp, "Parameter 'tls-hostname' needs 'tls-creds'");
        return false;
    }
    return true;
}

/* An export that cannot be written makes the node read-only, if it may. */
static bool check_read_only(const BDRVNBDState *s, bool auto_read_only,
                            bool *read_only, GError **errp)
{
    if (*read_only || !(s->info.flags & NBD_FLAG_READ_ONLY)) {
        return true;
    }
    if (!auto_read_only) {
        error_setg(errp, "request on write denied without write permission");
        return false;
    }
    *read_only = true;
    return true;
}

static bool check_export(BlockDriverState *bs, GError **errp)
{
    BDRVNBDState *s = bs->opaque;

    if (s->opts->x_dirty_bitmap && !s->info.has_context) {
        error_setg(errp, "requested x-dirty-bitmap %s not found",
                   s->opts->x_dirty_bitmap);
        return false;
    }
    return check_read_only(s, bs->auto_read_only, &bs->read_only, errp);
}

static void apply_features(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;

    if (s->info.flags & NBD_FLAG_SEND_FUA) {
        bs->supported_write_flags = BDRV_REQ_FUA;
        bs->supported_zero_flags |= BDRV_REQ_FUA;
    }
    if (s->info.flags & NBD_FLAG_SEND_WRITE_ZEROES) {
        bs->supported_zero_flags |= BDRV_REQ_MAY_UNMAP;
        if (s->info.flags & NBD_FLAG_SEND_FAST_ZERO) {
            bs->supported_zero_flags |= BDRV_REQ_NO_FALLBACK;
        }
    }
}

static bool coroutine_fn nbd_co_open(BlockDriverState *bs,
                                     const BlockdevOptions *options,
                                     GError **errp)
{
    BDRVNBDState *s = bs->opaque;

    s->bs = bs;
    /* A copy of our own: a reopen replaces the node's. */
    s->opts = QAPI_CLONE(BlockdevOptionsNbd, &options->u.nbd);
    nbd_connection_init(s);
    if (!check_options(s->opts, errp)) {
        return false;
    }
    if (s->opts->tls_creds) {
        s->tls_creds = tls_creds_lookup(s->opts->tls_creds, false, errp);
        if (!s->tls_creds) {
            return false;
        }
    }
    if (s->opts->has_reconnect_delay) {
        s->reconnect_delay_ns = s->opts->reconnect_delay *
                                NANOSECONDS_PER_SECOND;
    }

    s->yank = (YankEntry) {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
        .id = bs->node_name,
        .func = nbd_quit,
        .opaque = s,
    };
    yank_register(&s->yank);

    if (!nbd_co_connect_first(s, errp)) {
        return false;
    }
    s->info = s->current;
    if (!check_export(bs, errp)) {
        return false;
    }
    apply_features(bs);
    return true;
}

static void coroutine_fn nbd_co_close(BlockDriverState *bs)
{
    BDRVNBDState *s = bs->opaque;

    nbd_co_disconnect(s);
    yank_unregister(&s->yank);
    if (s->tls_creds) {
        tls_creds_unref(s->tls_creds);
    }
    qapi_free_BlockdevOptionsNbd(s->opts);
}

static bool coroutine_fn nbd_co_reopen_prepare(BDRVReopenState *state,
                                               GError **errp)
{
    return check_read_only(state->bs->opaque, state->auto_read_only,
                           &state->read_only, errp);
}

const BlockDriver bdrv_nbd = {
    .format_name            = "nbd",
    .type                   = BLOCKDEV_DRIVER_NBD,
    .instance_size          = sizeof(BDRVNBDState),
    .is_protocol            = true,

    .bdrv_co_open           = nbd_co_open,
    .bdrv_co_close          = nbd_co_close,
    .bdrv_refresh_limits    = nbd_refresh_limits,
    .bdrv_co_getlength      = nbd_co_getlength,
    .bdrv_co_truncate       = nbd_co_truncate,
    .bdrv_co_reopen_prepare = nbd_co_reopen_prepare,
    .bdrv_cancel_in_flight  = nbd_driver_cancel_in_flight,
    .bdrv_pin_connection    = nbd_driver_pin_connection,

    .bdrv_co_preadv         = nbd_co_preadv,
    .bdrv_co_pwritev        = nbd_co_pwritev,
    .bdrv_co_pwrite_zeroes  = nbd_co_pwrite_zeroes,
    .bdrv_co_pdiscard       = nbd_co_pdiscard,
    .bdrv_co_flush          = nbd_co_flush,
    .bdrv_co_block_status   = nbd_co_block_status,

    .bdrv_filename          = nbd_filename,
};
