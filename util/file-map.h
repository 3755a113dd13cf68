/*
 * A file in memory, mapped: requests without system calls
 *
 * pread() and pwrite() on tmpfs spend most of their time finding pages one by
 * one; a copy from or to a mapping takes less than half as long.
 *
 * A mapping must never be touched where the file has no page: that would
 * allocate one, making a hole into data, and end in SIGBUS when memory is
 * out.  So the file is seen as chunks, and a chunk is used through the
 * mapping only while it is known to be data from end to end.  Everything else
 * goes by system call.  If others cut or punch the file nonetheless, SIGBUS
 * is caught and the request is done again by system call, which gives the
 * right data or the right error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_FILE_MAP_H
#define UTIL_FILE_MAP_H

#include "util/file-engine-int.h"

typedef struct FileMap FileMap;

/* For the file @fd on tmpfs, which stays the caller's. */
FileMap *file_map_new(int fd);
void file_map_free(FileMap *map);

/*
 * Do the read or write @req through the mapping; sets *@ret to its bytes.
 * False: not possible, nothing is known of what was transferred; do it by
 * system call, then tell file_map_learn().
 */
bool file_map_transfer(FileMap *map, const FileRequest *req, ssize_t *ret);

/* Whether there is data in memory from @offset to @offset + @bytes. */
bool file_map_covers(const FileMap *map, int64_t offset, int64_t bytes);

/* Have them in the cache soon, for somebody else to copy. */
void file_map_prefetch(const FileMap *map, int64_t offset, int64_t bytes);

/* A system call has done @bytes of @req: worth mapping next time? */
void file_map_learn(FileMap *map, const FileRequest *req, int64_t bytes);

/* There may be holes between @offset and @offset + @bytes. */
void file_map_forget(FileMap *map, int64_t offset, int64_t bytes);

#endif
