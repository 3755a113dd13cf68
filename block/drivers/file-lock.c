/*
 * Locks that keep programs from using one image in conflicting ways
 *
 * Only shared locks are ever taken, so taking one cannot fail because of
 * another program that plays by these rules.  First the own intentions are
 * made visible, then those of the others are looked at: of two programs that
 * come at the same time at least one sees the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "file-lock.h"

#include "block/block-common.h"

/* As QEMU has it; part of the protocol. */
#define LOCK_PERM_BASE 100
#define LOCK_SHARED_BASE 200
#define LOCK_BITS 4             /* permissions that there are */

static int lock_byte(int fd, off_t byte, short type)
{
    struct flock fl = {
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = byte,
        .l_len = 1,
    };
    int ret;

    do {
        ret = fcntl(fd, F_OFD_SETLK, &fl);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

/* Whether another program holds a lock on @byte: 0, -EAGAIN, or an error. */
static int lock_test(int fd, off_t byte)
{
    struct flock fl = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = byte,
        .l_len = 1,
    };

    if (fcntl(fd, F_OFD_GETLK, &fl) < 0) {
        return -errno;
    }
    return fl.l_type == F_UNLCK ? 0 : -EAGAIN;
}

static bool lock_unsupported(int err)
{
    return err == ENOLCK || err == EOPNOTSUPP || err == ENOSYS ||
           err == EINVAL;
}

/*
 * Hold exactly the bytes @want of the row at @base, and (unless @unlock)
 * those held before.
 */
static int lock_row(int fd, off_t base, uint64_t *held, uint64_t want,
                    bool unlock)
{
    for (int i = 0; i < LOCK_BITS; i++) {
        uint64_t bit = UINT64_C(1) << i;
        bool lock = want & bit & ~*held;
        int ret;

        if (!lock && !(unlock && (*held & bit & ~want))) {
            continue;
        }
        ret = lock_byte(fd, base + i, lock ? F_RDLCK : F_UNLCK);
        if (ret < 0 && lock) {
            return ret;
        }
        *held ^= bit;
    }
    return 0;
}

static int lock_apply(FileLock *lock, int fd, uint64_t perm,
                      uint64_t unshared, bool unlock)
{
    int ret = lock_row(fd, LOCK_PERM_BASE, &lock->locked_perm, perm, unlock);

    if (ret < 0) {
        return ret;
    }
    return lock_row(fd, LOCK_SHARED_BASE, &lock->locked_unshared, unshared,
                    unlock);
}

/* Whether others hold any of the bytes @bits of the row at @base. */
static bool lock_row_is_free(int fd, off_t base, uint64_t bits,
                             const char *format, const char *filename,
                             GError **errp)
{
    for (int i = 0; i < LOCK_BITS; i++) {
        g_autofree char *name = NULL;
        int ret;

        if (!(bits & (UINT64_C(1) << i))) {
            continue;
        }
        ret = lock_test(fd, base + i);
        if (ret == 0) {
            continue;
        }
        name = bdrv_perm_names(UINT64_C(1) << i);
        if (ret == -EAGAIN) {
            error_setg(errp, "Failed to get %s\"%s\" lock: Is another process "
                       "using the image [%s]?", format, name, filename);
        } else {
            error_setg_errno(errp, -ret, "Failed to get %s\"%s\" lock on '%s'",
                             format, name, filename);
        }
        return false;
    }
    return true;
}

bool file_lock_check(FileLock *lock, int fd, const char *filename,
                     uint64_t perm, uint64_t shared, GError **errp)
{
    uint64_t unshared = ~shared & BLK_PERM_ALL;
    int ret;

    if (!lock->enabled ||
        ((perm & ~lock->perm) == 0 && (unshared & ~lock->unshared) == 0)) {
        return true;            /* nothing new: nobody can be in the way */
    }

    ret = lock_apply(lock, fd, lock->perm | perm, lock->unshared | unshared,
                     false);
    if (ret < 0 && lock->optional && lock_unsupported(-ret)) {
        lock->enabled = false;
        return true;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to lock '%s'", filename);
        file_lock_abort(lock, fd);
        return false;
    }
    if (!lock_row_is_free(fd, LOCK_SHARED_BASE, perm, "", filename, errp) ||
        !lock_row_is_free(fd, LOCK_PERM_BASE, unshared, "shared ", filename,
                          errp)) {
        file_lock_abort(lock, fd);
        return false;
    }
    return true;
}

void file_lock_commit(FileLock *lock, int fd, uint64_t perm, uint64_t shared)
{
    lock->perm = perm;
    lock->unshared = ~shared & BLK_PERM_ALL;
    if (lock->enabled) {
        lock_apply(lock, fd, lock->perm, lock->unshared, true);
    }
}

void file_lock_abort(FileLock *lock, int fd)
{
    if (lock->enabled) {
        lock_apply(lock, fd, lock->perm, lock->unshared, true);
    }
}

void file_lock_transfer(const FileLock *lock, int fd)
{
    FileLock copy = { .enabled = lock->enabled };

    if (lock->enabled) {
        lock_apply(&copy, fd, lock->locked_perm, lock->locked_unshared,
                   false);
    }
}
