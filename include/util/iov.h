/*
 * Scatter-gather vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_IOV_H
#define UTIL_IOV_H

#include <sys/uio.h>

typedef struct IOVector IOVector;

/*
 * Instead of copying them to @qiov: have bytes of the file @fd from @offset
 * on, as many as @qiov is long.  They are in memory; getting them by splice(2)
 * waits for nothing.  Returns how many were taken, beginning with the first;
 * the rest is to be copied.  The descriptor stays the caller's.
 */
typedef size_t IOVTakeFunc(const IOVector *qiov, int fd, int64_t offset);

/*
 * A vector of memory areas.  It owns the array (unless it points at @local or
 * at the caller's), never the memory.
 */
struct IOVector {
    struct iovec *iov;
    int niov;
    int nalloc;                 /* -1: @iov is not ours to free or grow */
    size_t size;                /* bytes in all */
    IOVTakeFunc *take;          /* NULL: everything is copied */
    struct iovec local;         /* the frequent vector of one area */
};

/* A vector over one area; needs no destroy. */
void iov_init_buf(IOVector *qiov, void *buf, size_t bytes);

/* A vector over the caller's array, which outlives it; needs no destroy. */
void iov_init_external(IOVector *qiov, struct iovec *iov, int niov);

/* An empty vector to be filled by iov_add(); @alloc_hint areas at first. */
void iov_init(IOVector *qiov, int alloc_hint);
void iov_add(IOVector *qiov, void *base, size_t bytes);

/* Append @bytes of @src from @offset on. */
void iov_add_slice(IOVector *qiov, const IOVector *src, size_t offset,
                   size_t bytes);

/* A new vector of @bytes of @src from @offset on: init and add_slice. */
void iov_init_slice(IOVector *qiov, const IOVector *src, size_t offset,
                    size_t bytes);

/* Free the array.  Harmless on every kind of initialised or zeroed vector. */
void iov_destroy(IOVector *qiov);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(IOVector, iov_destroy)

/* Copy between vector and memory; the range lies inside of the vector. */
void iov_to_buf(const IOVector *qiov, size_t offset, void *buf, size_t bytes);
void iov_from_buf(const IOVector *qiov, size_t offset, const void *buf,
                  size_t bytes);
void iov_memset(const IOVector *qiov, size_t offset, int c, size_t bytes);
bool iov_is_zero(const IOVector *qiov, size_t offset, size_t bytes);

/* Whether all areas begin and end at multiples of @align in memory. */
bool iov_is_aligned(const IOVector *qiov, size_t align);

/* The bytes of the plain array (@iov, @niov) in all */
size_t iov_bytes(const struct iovec *iov, int niov);

/*
 * Drop @bytes from the front of the plain array (*@iov, *@niov), as after a
 * short write.
 */
void iov_discard_front(struct iovec **iov, int *niov, size_t bytes);

/* Whether @bytes of memory are all zero. */
bool buffer_is_zero(const void *buf, size_t bytes);

#endif
