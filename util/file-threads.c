/*
 * File engine `threads`: blocking calls in the worker pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/file-engine-int.h"

#include "util/thread-pool.h"

typedef struct ThreadRequest {
    FileRequest *req;
    ssize_t ret;
} ThreadRequest;

static int run_in_worker(void *opaque)
{
    ThreadRequest *tr = opaque;

    tr->ret = file_request_run_sync(tr->req);
    return 0;
}

ssize_t coroutine_fn file_request_run_in_thread(FileRequest *req)
{
    ThreadRequest tr = { .req = req };

    thread_pool_submit_co(run_in_worker, &tr);
    return tr.ret;
}

static FileEngine *threads_create(AioContext *ctx, GError **errp)
{
    return g_new0(FileEngine, 1);
}

static void threads_destroy(FileEngine *engine)
{
    g_free(engine);
}

static bool threads_takes(const FileHandle *file, const FileRequest *req)
{
    return true;
}

static ssize_t coroutine_fn threads_co_run(FileEngine *engine,
                                           FileRequest *req)
{
    return file_request_run_in_thread(req);
}

const FileEngineOps file_engine_threads = {
    .kind = FILE_ENGINE_THREADS,
    .create = threads_create,
    .destroy = threads_destroy,
    .takes = threads_takes,
    .co_run = threads_co_run,
};
