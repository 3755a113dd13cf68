/*
 * For tests of the block layer: a disk in memory that does as it is told
 *
 * The disk is driver=null-co, a filter that passes everything on is
 * driver=raw; both stand in for the real ones, so that typed options need no
 * types of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BLOCK_HELPERS_H
#define TESTS_BLOCK_HELPERS_H

#include "block/block-backend.h"
#include "block/driver.h"

#define TEST_DISK_SIZE 65536

/* One per node of the disk driver, found by test_disk(). */
typedef struct TestDisk {
    uint8_t data[TEST_DISK_SIZE];

    /* Behaviour, set by the test */
    int fail_read;              /* 0 or the errno of every read */
    int fail_write;
    int fail_flush;
    bool ignore_cancel;
    int64_t latency_ns;         /* how long a request takes */
    bool hold;                  /* requests wait for test_disk_release() */
    CoQueue held;
    bool stepped;               /* requests wait for test_disk_step() */
    GPtrArray *steps;           /* Coroutine: those that wait, oldest first */
    BlockLimits limits;         /* request_alignment 0: default */
    bool no_zeroes;             /* write-zeroes answers -ENOTSUP */

    /* What was seen */
    unsigned reads, writes, zeroes, discards, flushes;
    int64_t max_bytes;          /* longest read or write */
    BdrvRequestFlags last_flags;
    unsigned cancelled;
    unsigned waiting;           /* requests that are being held */
} TestDisk;

extern const BlockDriver test_disk_driver;
extern const BlockDriver test_filter_driver;

/* Create a context, register the two drivers; undo it all. */
AioContext *test_block_begin(void);
void test_block_end(AioContext *ctx);

/* Run @fn(@opaque) in a coroutine and the loop until it has returned. */
void test_run(AioContext *ctx, CoroutineEntry *fn, void *opaque);
/* Let the loop do all that it can do now. */
void test_settle(AioContext *ctx);

/* Open a disk named @name; the same with @file below a filter. */
BlockDriverState *test_open_disk(AioContext *ctx, const char *name);
BlockDriverState *test_open_filter(AioContext *ctx, const char *name,
                                   const char *file, GError **errp);
void test_unref(AioContext *ctx, BlockDriverState *bs);

TestDisk *test_disk(BlockDriverState *bs);
void test_disk_release(BlockDriverState *bs);
/* With @stepped: how many requests wait; let the @i-th of them go on. */
unsigned test_disk_waiting(BlockDriverState *bs);
void test_disk_step(BlockDriverState *bs, unsigned i);
/* Take over new limits. */
void test_disk_set_limits(BlockDriverState *bs, BlockLimits limits);

/* A backend on @bs that may do everything, or just @perm. */
BlockBackend *test_backend(AioContext *ctx, BlockDriverState *bs);
BlockBackend *test_backend_perm(AioContext *ctx, BlockDriverState *bs,
                                uint64_t perm);
void test_backend_free(AioContext *ctx, BlockBackend *blk);

/* One request; the result, or 1 while it has not ended after settling. */
typedef struct TestRequest {
    BlockBackend *blk;
    enum { TEST_READ, TEST_WRITE, TEST_ZEROES, TEST_DISCARD, TEST_FLUSH } type;
    int64_t offset, bytes;
    uint8_t *buf;               /* filled with @pattern for writes */
    uint8_t pattern;
    BdrvRequestFlags flags;
    int ret;
} TestRequest;

/* Start @req; @req->buf belongs to it until test_request_finish(). */
void test_request_start(AioContext *ctx, TestRequest *req);
/* Wait for its end, free the buffer, return the result. */
int test_request_finish(AioContext *ctx, TestRequest *req);

/* Whole requests, waited for. */
int test_write(AioContext *ctx, BlockBackend *blk, int64_t offset,
               int64_t bytes, uint8_t pattern);
int test_read(AioContext *ctx, BlockBackend *blk, int64_t offset,
              int64_t bytes, uint8_t *buf);
int test_simple(AioContext *ctx, BlockBackend *blk, int type, int64_t offset,
                int64_t bytes, BdrvRequestFlags flags);

#endif
