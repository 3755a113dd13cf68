/*
 * Locks that keep programs from using one image in conflicting ways
 *
 * Byte-compatible with QEMU: for each permission that is taken a shared lock
 * lies on one byte, for each that is not shared with others on another one.
 * Whoever wants a permission tests that nobody denies it, and the other way
 * round.  The locks belong to the open file description and go with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVERS_FILE_LOCK_H
#define BLOCK_DRIVERS_FILE_LOCK_H

typedef struct FileLock {
    bool enabled;
    bool optional;              /* locking=auto: do without if need be */
    uint64_t perm;              /* in force */
    uint64_t unshared;          /* in force */
    uint64_t locked_perm;       /* held on @fd: more during a change */
    uint64_t locked_unshared;
} FileLock;

/*
 * Prepare to take @perm and to share @shared: afterwards both the old and the
 * new locks are held on @fd.  False and 'Failed to get "write" lock' if
 * another program is in the way; nothing has changed then.  @filename is for
 * the message.
 */
bool file_lock_check(FileLock *lock, int fd, const char *filename,
                     uint64_t perm, uint64_t shared, GError **errp);

/* The new permissions come into force; or the old ones stay so. */
void file_lock_commit(FileLock *lock, int fd, uint64_t perm, uint64_t shared);
void file_lock_abort(FileLock *lock, int fd);

/* Take the locks that are held on another descriptor on @fd as well. */
void file_lock_transfer(const FileLock *lock, int fd);

#endif
