/*
 * Parts of the drivers file and host_device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVERS_FILE_INT_H
#define BLOCK_DRIVERS_FILE_INT_H

#include "block/driver.h"
#include "file-lock.h"
#include "util/file-engine.h"

/* Zeroes and discards that turned out not to work on this file. */
typedef struct FileLacks {
    bool punch_hole;
    bool zero_range;
    bool fallocate;
    bool blkzeroout;
    bool blkdiscard;
} FileLacks;

typedef struct FileState {
    /* Constant after open */
    bool opened;                /* else nothing below is valid */
    char *filename;
    bool is_device;

    /* Changed by reopen */
    FileHandle file;            /* owns the descriptor */
    FileEngine *engine;
    uint32_t align;             /* of requests and of memory */
    uint32_t zero_align;        /* of zeroes and discards */

    FileLock lock;
    uint64_t perm;              /* of all parents */
    FileLacks lacks;
    /*
     * Once the kernel has failed to write back what it had cached, it takes
     * the pages for clean: no later flush can be believed.
     */
    int flush_error;

    /*
     * The extent of data found last; start equals end: none.  To look for a
     * hole in a file without any costs milliseconds, and readers ask before
     * every read.  Whoever may have made a hole calls file_forget_data().
     */
    int64_t data_start;
    int64_t data_end;
    unsigned data_generation;
} FileState;

/* file-open.c */

/* A descriptor and what was found out about it. */
typedef struct FileOpen {
    /* In */
    const char *filename;
    int same_as;                /* descriptor to open once more; or -1 */
    bool read_only;
    bool direct;

    /* Out */
    int fd;
    bool is_device;
    bool is_regular;
    uint32_t align;
    uint32_t zero_align;
} FileOpen;

/* 0 or -errno. */
int coroutine_fn file_co_open_fd(FileOpen *o);

/* Close in a worker thread: that may take long, over a network. */
void coroutine_fn file_co_close_fd(int fd);

/* The length in bytes or -errno. */
int64_t file_fd_length(int fd, bool is_device);

/* file-create.c */

bool coroutine_fn file_co_create(const BlockdevCreateOptions *options,
                                 const int *cancel, GError **errp);

/* file-truncate.c */

typedef struct FileTruncate {
    int fd;
    int64_t old;
    int64_t new;
    PreallocMode prealloc;
    const int *cancel;          /* NULL: it goes on to its end */
    const char *failed;         /* what, when -errno is returned */
} FileTruncate;

/* For worker threads: 0, or -errno and the old length. */
int file_truncate(FileTruncate *t);

bool file_check_prealloc(PreallocMode prealloc, GError **errp);

bool coroutine_fn file_co_truncate(BlockDriverState *bs, int64_t offset,
                                   PreallocMode prealloc, GError **errp);

/* file-zero.c */

int coroutine_fn file_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                       int64_t bytes, BdrvRequestFlags flags);
int coroutine_fn file_co_pdiscard(BlockDriverState *bs, int64_t offset,
                                  int64_t bytes);

/* file-status.c */

/* There may be holes where data was seen. */
void file_forget_data(FileState *s);

int coroutine_fn file_co_block_status(BlockDriverState *bs, bool want_zero,
                                      int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map,
                                      BlockDriverState **file);

#endif
