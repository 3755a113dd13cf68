/*
 * NBD server: data that is sent without being copied
 *
 * A large READ of a file that is in memory puts references to the file's pages
 * into pipes, from which splice(2) moves them to the socket.  Nothing is
 * copied on this side.  The pages are the file's own: a write that begins
 * before the reply has arrived may show in it, which is no wonder to a client
 * that has no reply to either.
 *
 * Pipes are few and reused.  Whoever gets none copies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

/* As much as pipe-max-size allows everybody, unless it was changed. */
#define NBD_PIPE_CAPACITY ((int)(1 * MiB))

/* As many as the kernel allows one user (pipe-user-pages-soft) */
#define NBD_PIPES_MAX 64

/*
 * Less is better copied: several replies leave by one call then, and the client
 * finds them in the cache.  64 KiB take two thirds of the CPU time uncopied, a
 * bit more of the client's.
 */
#define NBD_TAKE_MIN ((uint32_t)(64 * KiB))

/* So much is never copied where that can be avoided. */
#define NBD_TAKE_ALWAYS ((uint32_t)(512 * KiB))

static void nbd_pipe_close(NBDPipePool *pool, NBDPipe *pipe)
{
    close(pipe->fd[0]);
    close(pipe->fd[1]);
    g_free(pipe);
    pool->n--;
}

static NBDPipe *nbd_pipe_open(NBDPipePool *pool)
{
    NBDPipe *pipe;
    int fd[2];

    if (pool->refused || pool->n == NBD_PIPES_MAX) {
        return NULL;
    }
    if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0) {
        pool->refused = true;
        return NULL;
    }
    pipe = g_new0(NBDPipe, 1);
    pipe->fd[0] = fd[0];
    pipe->fd[1] = fd[1];
    pool->n++;
    if (fcntl(fd[1], F_SETPIPE_SZ, NBD_PIPE_CAPACITY) < 0) {
        pool->refused = true;
        nbd_pipe_close(pool, pipe);
        return NULL;
    }
    return pipe;
}

/* An empty one, or NULL */
static NBDPipe *nbd_pipe_new(NBDPipePool *pool)
{
    NBDPipe *pipe = TAILQ_FIRST(&pool->free);

    if (!pipe) {
        return nbd_pipe_open(pool);
    }
    TAILQ_REMOVE(&pool->free, pipe, link);
    pool->n_free--;
    pool->low_free = MIN(pool->low_free, pool->n_free);
    return pipe;
}

void nbd_pipe_free(NBDPool *p, NBDPipe *pipe)
{
    NBDPipePool *pool = nbd_pool_pipes(p);

    if (pipe->bytes > 0) {
        nbd_pipe_close(pool, pipe);
        return;
    }
    TAILQ_INSERT_HEAD(&pool->free, pipe, link);
    pool->n_free++;
    nbd_pool_warm(p);
}

void nbd_pipes_free(NBDPool *p, NBDPipeQueue *queue)
{
    NBDPipe *pipe;

    while ((pipe = TAILQ_FIRST(queue))) {
        TAILQ_REMOVE(queue, pipe, link);
        nbd_pipe_free(p, pipe);
    }
}

/* The pool */

void nbd_pipe_pool_init(NBDPipePool *pool)
{
    TAILQ_INIT(&pool->free);
}

static void nbd_pipe_pool_shrink(NBDPipePool *pool, unsigned n)
{
    while (n-- > 0) {
        NBDPipe *pipe = TAILQ_FIRST(&pool->free);

        TAILQ_REMOVE(&pool->free, pipe, link);
        pool->n_free--;
        nbd_pipe_close(pool, pipe);
    }
}

bool nbd_pipe_pool_trim(NBDPipePool *pool)
{
    nbd_pipe_pool_shrink(pool, pool->low_free);
    pool->low_free = pool->n_free;
    pool->refused = false;
    return pool->n_free > 0;
}

void nbd_pipe_pool_destroy(NBDPipePool *pool)
{
    nbd_pipe_pool_shrink(pool, pool->n_free);
    g_assert(pool->n == 0);
}

/* Taking */

/*
 * Not copying leaves it to the client to fetch the data from memory.  While it
 * is behind, and the socket full, there is time to do that for it; more than
 * a little would only go through memory once more.
 */
bool nbd_request_may_take(const NBDServerRequest *req)
{
    const NBDConnection *conn = req->conn;

    return req->length >= NBD_TAKE_MIN && !conn->tls &&
           (req->length >= NBD_TAKE_ALWAYS || !conn->tx_writer);
}

/* Fill one more pipe.  Returns the bytes in it, 0 if that was not possible. */
static size_t nbd_request_take_more(NBDServerRequest *req, int fd,
                                    int64_t offset, size_t bytes)
{
    NBDPool *pool = req->conn->pool;
    NBDPipe *pipe = nbd_pipe_new(nbd_pool_pipes(pool));
    off64_t from = offset;
    ssize_t ret;

    if (!pipe) {
        return 0;
    }
    ret = splice(fd, &from, pipe->fd[1], NULL, bytes, SPLICE_F_NONBLOCK);
    if (ret <= 0) {
        nbd_pipe_free(pool, pipe);
        return 0;
    }
    pipe->bytes = ret;
    TAILQ_INSERT_TAIL(&req->pipes, pipe, link);
    return ret;
}

size_t nbd_request_take(const IOVector *qiov, int fd, int64_t offset)
{
    NBDServerRequest *req = container_of((IOVector *)qiov, NBDServerRequest,
                                         qiov);
    size_t n;

    g_assert(req->taken == 0);
    do {
        n = nbd_request_take_more(req, fd, offset + req->taken,
                                  qiov->size - req->taken);
        req->taken += n;
    } while (n > 0 && req->taken < qiov->size);
    return req->taken;
}
