/*
 * For tests of drivers: nodes from JSON, requests through a backend
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_DRIVER_HELPERS_H
#define TESTS_UNIT_DRIVER_HELPERS_H

#include <jansson.h>

#include "block-helpers.h"
#include "qapi/qapi-visit-block-core.h"

typedef struct OpenJson {
    BlockdevOptions *options;
    BlockDriverState *bs;
    GError **errp;
} OpenJson;

static inline void coroutine_fn open_json_entry(void *opaque)
{
    OpenJson *call = opaque;

    call->bs = bdrv_co_open(call->options, call->errp);
}

/* Options in JSON; @fmt takes what printf does.  Quotes may be single. */
G_GNUC_PRINTF(1, 0)
static inline BlockdevOptions *options_from_json(const char *fmt, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    g_autoptr(GError) err = NULL;
    json_error_t json_err;
    BlockdevOptions *options;
    json_t *json;

    g_strdelimit(text, "'", '"');
    json = json_loads(text, 0, &json_err);
    if (!json) {
        g_error("%s: %s", text, json_err.text);
    }
    options = qapi_BlockdevOptions_from_json(json, &err);
    g_assert_no_error(err);
    json_decref(json);
    return options;
}

/* Open a node, or NULL and an error. */
G_GNUC_PRINTF(3, 4)
static inline BlockDriverState *open_node(AioContext *ctx, GError **errp,
                                          const char *fmt, ...)
{
    OpenJson call = { .errp = errp };
    va_list ap;

    va_start(ap, fmt);
    call.options = options_from_json(fmt, ap);
    va_end(ap);
    test_run(ctx, open_json_entry, &call);
    qapi_free_BlockdevOptions(call.options);
    return call.bs;
}

/* The same, which works, and a backend that owns it. */
G_GNUC_PRINTF(2, 3)
static inline BlockBackend *open_backend(AioContext *ctx, const char *fmt, ...)
{
    g_autoptr(GError) err = NULL;
    OpenJson call = { .errp = &err };
    BlockBackend *blk;
    va_list ap;

    va_start(ap, fmt);
    call.options = options_from_json(fmt, ap);
    va_end(ap);
    test_run(ctx, open_json_entry, &call);
    g_assert_no_error(err);
    qapi_free_BlockdevOptions(call.options);
    blk = test_backend(ctx, call.bs);
    test_unref(ctx, call.bs);
    return blk;
}

/* The text of the error that opening gives; g_free. */
G_GNUC_PRINTF(2, 3)
static inline char *open_error(AioContext *ctx, const char *fmt, ...)
{
    g_autoptr(GError) err = NULL;
    OpenJson call = { .errp = &err };
    va_list ap;

    va_start(ap, fmt);
    call.options = options_from_json(fmt, ap);
    va_end(ap);
    test_run(ctx, open_json_entry, &call);
    qapi_free_BlockdevOptions(call.options);
    g_assert_null(call.bs);
    g_assert_nonnull(err);
    return g_strdup(err->message);
}

#define assert_open_error(expected, ...)                                \
    do {                                                                \
        g_autofree char *text_ = open_error(__VA_ARGS__);               \
        g_assert_cmpstr(text_, ==, expected);                           \
    } while (0)

typedef struct ReopenCall {
    BlockdevOptionsList list;
    bool ok;
    GError **errp;
} ReopenCall;

static inline void coroutine_fn reopen_entry(void *opaque)
{
    ReopenCall *call = opaque;

    call->ok = bdrv_co_reopen_multiple(&call->list, call->errp);
}

G_GNUC_PRINTF(3, 4)
static inline bool reopen_node(AioContext *ctx, GError **errp,
                               const char *fmt, ...)
{
    ReopenCall call = { .errp = errp };
    va_list ap;

    va_start(ap, fmt);
    call.list.value = options_from_json(fmt, ap);
    va_end(ap);
    test_run(ctx, reopen_entry, &call);
    qapi_free_BlockdevOptions(call.list.value);
    return call.ok;
}

typedef struct TruncateCall {
    BlockBackend *blk;
    int64_t bytes;
    PreallocMode prealloc;
    bool ok;
    GError **errp;
} TruncateCall;

static inline void coroutine_fn truncate_entry(void *opaque)
{
    TruncateCall *call = opaque;

    call->ok = blk_co_truncate(call->blk, call->bytes, call->prealloc,
                               call->errp);
}

static inline bool truncate_blk(AioContext *ctx, BlockBackend *blk,
                                int64_t bytes, PreallocMode prealloc,
                                GError **errp)
{
    TruncateCall call = {
        .blk = blk, .bytes = bytes, .prealloc = prealloc, .errp = errp,
    };

    test_run(ctx, truncate_entry, &call);
    return call.ok;
}

typedef struct StatusCall {
    BlockBackend *blk;
    int64_t offset, bytes, pnum;
    int ret;
} StatusCall;

static inline void coroutine_fn status_entry(void *opaque)
{
    StatusCall *call = opaque;

    call->ret = blk_co_block_status(call->blk, true, call->offset,
                                    call->bytes, &call->pnum);
}

/* The flags, and in *@pnum for how long they hold. */
static inline int block_status(AioContext *ctx, BlockBackend *blk,
                               int64_t offset, int64_t bytes, int64_t *pnum)
{
    StatusCall call = { .blk = blk, .offset = offset, .bytes = bytes };

    test_run(ctx, status_entry, &call);
    *pnum = call.pnum;
    return call.ret;
}

static inline int64_t length_of(BlockBackend *blk)
{
    return bdrv_getlength(blk_bs(blk));
}

/* Whether all @bytes from @offset on are @pattern. */
static inline bool reads_as(AioContext *ctx, BlockBackend *blk,
                            int64_t offset, int64_t bytes, uint8_t pattern)
{
    g_autofree uint8_t *buf = g_malloc(bytes);
    bool same = true;

    memset(buf, ~pattern, bytes);
    g_assert_cmpint(test_read(ctx, blk, offset, bytes, buf), ==, 0);
    for (int64_t i = 0; i < bytes; i++) {
        same = same && buf[i] == pattern;
    }
    return same;
}

#endif
