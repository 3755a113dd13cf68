/*
 * A file in memory, mapped: requests without system calls
 *
 * One byte per chunk says what is known: CHUNK_MAPPED, or how many requests
 * went by system call since the chunk was last looked at.  Looking costs a
 * system call of its own, so a chunk that has holes is looked at again only
 * now and then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-map.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/stream-copy.h"

#define CHUNK_SIZE (64 * KiB)
#define CHUNK_MAPPED 0xff
#define PAGE_SIZE_MIN (4 * KiB)
#define CACHE_LINE 64

/* Look at a chunk, or at the file's length, every so many requests. */
#define LOOK_INTERVAL 16

struct FileMap {
    int fd;
    bool writable;
    char *base;                 /* NULL: not mapped */
    int64_t length;             /* bytes mapped; whole chunks */
    uint8_t *chunks;
    unsigned beyond;            /* requests beyond @length since last look */
};

/* Faults */

/* Where to go on when the copy of this thread faults. */
static __thread sigjmp_buf *copy_fault;

/* What SIGBUS did before. */
static struct sigaction sigbus_before;

static void sigbus_handler(int signum)
{
    if (copy_fault) {
        siglongjmp(*copy_fault, 1);
    }
    /* Not ours: the instruction faults once more, now as it used to. */
    sigaction(signum, &sigbus_before, NULL);
}

static void catch_sigbus(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        /* SA_NODEFER: the handler does not return to unblock the signal. */
        struct sigaction sa = {
            .sa_handler = sigbus_handler,
            .sa_flags = SA_NODEFER,
        };

        sigaction(SIGBUS, &sa, &sigbus_before);
        g_once_init_leave(&done, 1);
    }
}

/* Not inline: siglongjmp() may lose what its caller keeps in registers. */
static G_NO_INLINE void copy(char *mapped, const FileRequest *req)
{
    for (int i = 0; i < req->niov; i++) {
        const struct iovec *iov = &req->iov[i];

        if (req->op == FILE_OP_READ) {
            memcpy(iov->iov_base, mapped, iov->iov_len);
        } else {
            stream_copy(mapped, iov->iov_base, iov->iov_len);
        }
        mapped += iov->iov_len;
    }
}

/* False: some page was not there; how far the copy came is not known. */
static bool try_copy(char *mapped, const FileRequest *req)
{
    sigjmp_buf fault;
    bool done = false;

    if (sigsetjmp(fault, 0) == 0) {
        copy_fault = &fault;
        copy(mapped, req);
        done = true;
    }
    copy_fault = NULL;
    return done;
}

/* Mapping */

FileMap *file_map_new(int fd)
{
    FileMap *map = g_new0(FileMap, 1);

    catch_sigbus();
    map->fd = fd;
    map->writable = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    map->beyond = LOOK_INTERVAL - 1;
    return map;
}

void file_map_free(FileMap *map)
{
    if (!map) {
        return;
    }
    if (map->base) {
        munmap(map->base, map->length);
    }
    g_free(map->chunks);
    g_free(map);
}

static void *map_more(const FileMap *map, int64_t length)
{
    if (map->base) {
        return mremap(map->base, map->length, length, MREMAP_MAYMOVE);
    }
    return mmap(NULL, length, PROT_READ | (map->writable ? PROT_WRITE : 0),
                MAP_SHARED | MAP_NORESERVE, map->fd, 0);
}

/* To others mincore() says that all pages are there. */
static bool may_ask_for_pages(const FileMap *map, const struct stat *st)
{
    return map->writable || st->st_uid == geteuid();
}

/* Map what the file has grown to.  A failure leaves it to system calls. */
static void follow_growth(FileMap *map)
{
    struct stat st;
    int64_t length;
    void *base;

    if (fstat(map->fd, &st) < 0 || !may_ask_for_pages(map, &st)) {
        return;
    }
    length = ROUND_DOWN(st.st_size, CHUNK_SIZE);
    if (length <= map->length) {
        return;
    }
    base = map_more(map, length);
    if (base == MAP_FAILED) {
        return;
    }
    /* A core dump is about the program, not about the guest's disk. */
    madvise(base, length, MADV_DONTDUMP);
    map->chunks = g_realloc(map->chunks, length / CHUNK_SIZE);
    memset(map->chunks + map->length / CHUNK_SIZE, 0,
           (length - map->length) / CHUNK_SIZE);
    map->base = base;
    map->length = length;
}

/* Chunks */

bool file_map_covers(const FileMap *map, int64_t offset, int64_t bytes)
{
    int64_t last = (offset + bytes - 1) / CHUNK_SIZE;

    if (bytes == 0 || bytes > map->length - offset) {
        return false;
    }
    for (int64_t i = offset / CHUNK_SIZE; i <= last; i++) {
        if (map->chunks[i] != CHUNK_MAPPED) {
            return false;
        }
    }
    return true;
}

void file_map_prefetch(const FileMap *map, int64_t offset, int64_t bytes)
{
    const char *mapped = map->base + offset;

    for (int64_t i = 0; i < bytes; i += CACHE_LINE) {
        __builtin_prefetch(mapped + i, 0, 2);
    }
}

bool file_map_transfer(FileMap *map, const FileRequest *req, ssize_t *ret)
{
    int64_t bytes = 0;

    for (int i = 0; i < req->niov; i++) {
        bytes += (int64_t)req->iov[i].iov_len;
    }
    if (!file_map_covers(map, req->offset, bytes)) {
        return false;
    }
    if (G_LIKELY(try_copy(map->base + req->offset, req))) {
        *ret = bytes;
        return true;
    }
    file_map_forget(map, req->offset, bytes);
    return false;
}

/* Not by SEEK_HOLE, which goes through the whole of a file without holes. */
static bool is_data(char *chunk)
{
    unsigned char present[CHUNK_SIZE / PAGE_SIZE_MIN];
    long pages = CHUNK_SIZE / sysconf(_SC_PAGESIZE);

    if (mincore(chunk, CHUNK_SIZE, present) < 0) {
        return false;
    }
    for (long i = 0; i < pages; i++) {
        if (!(present[i] & 1)) {
            return false;
        }
    }
    return true;
}

/* Enter all pages of a chunk at once: a fault for each costs far more. */
static void look_at_chunk(FileMap *map, int64_t index)
{
    char *chunk = map->base + index * CHUNK_SIZE;

    if (map->chunks[index] == 0 && is_data(chunk)) {
        madvise(chunk, CHUNK_SIZE, MADV_POPULATE_READ);
        map->chunks[index] = CHUNK_MAPPED;
        return;
    }
    map->chunks[index] = (map->chunks[index] + 1) % LOOK_INTERVAL;
}

void file_map_learn(FileMap *map, const FileRequest *req, int64_t bytes)
{
    int64_t offset = req->offset;
    int64_t end = offset + bytes;

    if (end > map->length && ++map->beyond >= LOOK_INTERVAL) {
        map->beyond = 0;
        follow_growth(map);
    }
    end = MIN(end, map->length);
    for (int64_t i = offset / CHUNK_SIZE; i * CHUNK_SIZE < end; i++) {
        if (map->chunks[i] == CHUNK_MAPPED) {
            continue;
        }
        if (req->op == FILE_OP_WRITE && offset <= i * CHUNK_SIZE &&
            end >= (i + 1) * CHUNK_SIZE) {
            /* Whatever was seen there: it is full now. */
            map->chunks[i] = 0;
        }
        look_at_chunk(map, i);
    }
}

void file_map_forget(FileMap *map, int64_t offset, int64_t bytes)
{
    int64_t end = MIN(offset + bytes, map->length);
    int64_t first = offset / CHUNK_SIZE;

    if (offset < end) {
        memset(&map->chunks[first], 0,
               DIV_ROUND_UP(end, CHUNK_SIZE) - first);
    }
}
