/*
 * Types and constants of the block layer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_COMMON_H
#define BLOCK_COMMON_H

#include "util/iov.h"

typedef struct BlockDriver BlockDriver;
typedef struct BlockDriverState BlockDriverState;
typedef struct BdrvChild BdrvChild;
typedef struct BlockBackend BlockBackend;

/* Largest request that the core passes on, and longest disk. */
#define BDRV_REQUEST_MAX_BYTES (INT32_MAX & ~INT32_C(4095))
#define BDRV_MAX_LENGTH (INT64_MAX & ~INT64_C(65535))

#define BDRV_SECTOR_SIZE INT64_C(512)

/*
 * Permissions: what a user of a node does to it, and what it lets others do.
 */
enum {
    /* Reads see what the guest should see. */
    BLK_PERM_CONSISTENT_READ = 1 << 0,
    BLK_PERM_WRITE = 1 << 1,
    /* Writes that do not change what reads return (as in copy on read). */
    BLK_PERM_WRITE_UNCHANGED = 1 << 2,
    BLK_PERM_RESIZE = 1 << 3,

    BLK_PERM_ALL = 0x0f,
};

/* "consistent read, write": for messages; free with g_free. */
char *bdrv_perm_names(uint64_t perm);

/* Request flags */
typedef enum BdrvRequestFlags {
    /* The write is stable when it is done. */
    BDRV_REQ_FUA = 1 << 0,
    /* Zeroes: the driver may deallocate. */
    BDRV_REQ_MAY_UNMAP = 1 << 1,
    /* Zeroes: -ENOTSUP rather than a write of zeroes (NBD's fast zero). */
    BDRV_REQ_NO_FALLBACK = 1 << 2,
    /* Does not change what reads return; needs WRITE_UNCHANGED only. */
    BDRV_REQ_WRITE_UNCHANGED = 1 << 3,
    /* Nothing overlapping is in flight at the same time. */
    BDRV_REQ_SERIALISING = 1 << 4,
    /*
     * Read: the vector's take() may be called.  What it took is not in the
     * vector, so who looks at the data does not pass this on; nor who must
     * see to it that the data do not change any more, since the pages that are
     * taken are those that the next write changes.
     */
    BDRV_REQ_LEND = 1 << 6,
    /* Internal: a write of zeroes without a vector. */
    BDRV_REQ_ZERO_WRITE = 1 << 5,
} BdrvRequestFlags;

/* Block status: flags and meanings as in QEMU. */
enum {
    BDRV_BLOCK_DATA = 1 << 0,           /* reads are served by this node */
    BDRV_BLOCK_ZERO = 1 << 1,           /* reads as zeroes */
    BDRV_BLOCK_OFFSET_VALID = 1 << 2,   /* *map is an offset in *file */
    BDRV_BLOCK_RAW = 1 << 3,            /* ask *file for the rest */
    BDRV_BLOCK_ALLOCATED = 1 << 4,      /* held by this layer, not its backing */
    BDRV_BLOCK_EOF = 1 << 5,            /* the range ends at the node's end */
};

/* What a node's owner cannot change about the driver's requests. */
typedef struct BlockLimits {
    /* Offset and length of every request: power of two, 1 to 65536. */
    uint32_t request_alignment;
    /* Bytes a request may have at most; 0: no limit. */
    int64_t max_transfer;
    /* Preferred size of a request in bytes; 0: none. */
    uint32_t opt_transfer;
    /* Vector elements at most; 0: IOV_MAX. */
    int max_iov;
    /* Alignment of memory in bytes; 0 or 1: any. */
    uint32_t min_mem_alignment;
    int64_t max_pwrite_zeroes;
    uint32_t pwrite_zeroes_alignment;   /* 0: request_alignment */
    int64_t max_pdiscard;
    uint32_t pdiscard_alignment;        /* 0: request_alignment */
} BlockLimits;

/* Roles of a child for its parent; they choose the default permissions. */
typedef enum BdrvChildRole {
    /* What the parent stores its data in. */
    BDRV_CHILD_DATA = 1 << 0,
    /* The parent stores its own bookkeeping there. */
    BDRV_CHILD_METADATA = 1 << 1,
    /* A filter's one child. */
    BDRV_CHILD_FILTERED = 1 << 2,
    /* Read where this node has nothing. */
    BDRV_CHILD_COW = 1 << 3,
    /* Child in bs->file, or the one that matters most. */
    BDRV_CHILD_PRIMARY = 1 << 4,
} BdrvChildRole;

#endif
