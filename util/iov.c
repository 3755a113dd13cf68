/*
 * Scatter-gather vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/iov.h"

/* Vectors of their own array */

void iov_init_buf(IOVector *qiov, void *buf, size_t bytes)
{
    qiov->local.iov_base = buf;
    qiov->local.iov_len = bytes;
    qiov->iov = &qiov->local;
    qiov->niov = 1;
    qiov->nalloc = -1;
    qiov->take = NULL;
    qiov->size = bytes;
}

void iov_init_external(IOVector *qiov, struct iovec *iov, int niov)
{
    qiov->iov = iov;
    qiov->niov = niov;
    qiov->nalloc = -1;
    qiov->take = NULL;
    qiov->size = iov_bytes(iov, niov);
}

void iov_init(IOVector *qiov, int alloc_hint)
{
    qiov->iov = alloc_hint > 1 ? g_new(struct iovec, alloc_hint) : NULL;
    qiov->niov = 0;
    qiov->nalloc = alloc_hint > 1 ? alloc_hint : 0;
    qiov->take = NULL;
    qiov->size = 0;
}

/* Make room for one more; the first one lives in the vector itself. */
static void iov_grow(IOVector *qiov)
{
    g_assert(qiov->nalloc >= 0);
    if (qiov->nalloc == 0 && qiov->niov == 0) {
        qiov->iov = &qiov->local;
        return;
    }
    if (qiov->niov < qiov->nalloc) {
        return;
    }
    qiov->nalloc = MAX(2 * qiov->nalloc, 4);
    if (qiov->iov == &qiov->local) {
        qiov->iov = g_new(struct iovec, qiov->nalloc);
        qiov->iov[0] = qiov->local;
    } else {
        qiov->iov = g_renew(struct iovec, qiov->iov, qiov->nalloc);
    }
}

void iov_add(IOVector *qiov, void *base, size_t bytes)
{
    iov_grow(qiov);
    qiov->iov[qiov->niov].iov_base = base;
    qiov->iov[qiov->niov].iov_len = bytes;
    qiov->niov++;
    qiov->size += bytes;
}

void iov_destroy(IOVector *qiov)
{
    if (qiov->nalloc > 0) {
        g_free(qiov->iov);
    }
    memset(qiov, 0, sizeof(*qiov));
}

/* Walking over a part of a vector */

typedef struct IOVWalk {
    const struct iovec *iov;
    size_t skip;                /* of the first area */
    size_t left;
} IOVWalk;

static IOVWalk iov_walk(const IOVector *qiov, size_t offset, size_t bytes)
{
    IOVWalk w = { .iov = qiov->iov, .skip = offset, .left = bytes };

    g_assert(offset <= qiov->size && bytes <= qiov->size - offset);
    while (w.left > 0 && w.skip >= w.iov->iov_len) {
        w.skip -= w.iov->iov_len;
        w.iov++;
    }
    return w;
}

/* The next piece in *@base, or 0 at the end. */
static size_t iov_walk_next(IOVWalk *w, char **base)
{
    size_t n;

    while (w->left > 0 && w->iov->iov_len == w->skip) {
        w->iov++;
        w->skip = 0;
    }
    if (w->left == 0) {
        return 0;
    }
    n = MIN(w->iov->iov_len - w->skip, w->left);
    *base = (char *)w->iov->iov_base + w->skip;
    w->skip += n;
    w->left -= n;
    return n;
}

void iov_add_slice(IOVector *qiov, const IOVector *src, size_t offset,
                   size_t bytes)
{
    IOVWalk w = iov_walk(src, offset, bytes);
    char *base;
    size_t n;

    while ((n = iov_walk_next(&w, &base)) > 0) {
        iov_add(qiov, base, n);
    }
}

void iov_init_slice(IOVector *qiov, const IOVector *src, size_t offset,
                    size_t bytes)
{
    iov_init(qiov, 0);
    iov_add_slice(qiov, src, offset, bytes);
}

void iov_to_buf(const IOVector *qiov, size_t offset, void *buf, size_t bytes)
{
    IOVWalk w = iov_walk(qiov, offset, bytes);
    char *to = buf;
    char *base;
    size_t n;

    while ((n = iov_walk_next(&w, &base)) > 0) {
        memcpy(to, base, n);
        to += n;
    }
}

void iov_from_buf(const IOVector *qiov, size_t offset, const void *buf,
                  size_t bytes)
{
    IOVWalk w = iov_walk(qiov, offset, bytes);
    const char *from = buf;
    char *base;
    size_t n;

    while ((n = iov_walk_next(&w, &base)) > 0) {
        memcpy(base, from, n);
        from += n;
    }
}

void iov_memset(const IOVector *qiov, size_t offset, int c, size_t bytes)
{
    IOVWalk w = iov_walk(qiov, offset, bytes);
    char *base;
    size_t n;

    while ((n = iov_walk_next(&w, &base)) > 0) {
        memset(base, c, n);
    }
}

bool iov_is_zero(const IOVector *qiov, size_t offset, size_t bytes)
{
    IOVWalk w = iov_walk(qiov, offset, bytes);
    char *base;
    size_t n;

    while ((n = iov_walk_next(&w, &base)) > 0) {
        if (!buffer_is_zero(base, n)) {
            return false;
        }
    }
    return true;
}

bool iov_is_aligned(const IOVector *qiov, size_t align)
{
    for (int i = 0; i < qiov->niov; i++) {
        if ((uintptr_t)qiov->iov[i].iov_base % align ||
            qiov->iov[i].iov_len % align) {
            return false;
        }
    }
    return true;
}

/* Plain arrays and memory */

size_t iov_bytes(const struct iovec *iov, int niov)
{
    size_t bytes = 0;

    for (int i = 0; i < niov; i++) {
        bytes += iov[i].iov_len;
    }
    return bytes;
}

void iov_discard_front(struct iovec **iov, int *niov, size_t bytes)
{
    while (*niov > 0 && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*niov)--;
    }
    if (bytes > 0) {
        g_assert(*niov > 0);
        (*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}

bool buffer_is_zero(const void *buf, size_t bytes)
{
    const uint8_t *p = buf;
    uint64_t head[4];

    if (bytes < sizeof(head)) {
        uint8_t any = 0;

        for (size_t i = 0; i < bytes; i++) {
            any |= p[i];
        }
        return any == 0;
    }

    /*
     * Real data mostly shows itself at once.  Else a buffer whose first bytes
     * are zero and that equals itself shifted by as many is zero all over;
     * memcmp() is the fastest loop that the machine's C library has.
     */
    if (p[bytes - 1] | p[bytes / 2]) {
        return false;
    }
    memcpy(head, p, sizeof(head));
    if (head[0] | head[1] | head[2] | head[3]) {
        return false;
    }
    return memcmp(p, p + sizeof(head), bytes - sizeof(head)) == 0;
}
