/*
 * State files: what is known of a disk's contents when nothing runs
 *
 * Files are read and written in a worker thread: fsync blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "state-file.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <sys/stat.h>

#include "block/driver.h"
#include "qapi/qapi-visit-replication.h"
#include "util/thread-pool.h"

/* No state file of ours is longer. */
#define STATE_FILE_MAX 65536

/* Which file */

char *state_file_image(BlockDriverState *bs, const char *cwd)
{
    BdrvChild *below;

    /* What layers hold is for a while: the disk below them is what stays. */
    while ((below = bs->drv->colo_layers ? bs->backing : bs->file)) {
        bs = below->bs;
    }
    if (bs->drv->type != BLOCKDEV_DRIVER_FILE || !bs->options) {
        return NULL;
    }
    return g_canonicalize_filename(bs->options->u.file.filename, cwd);
}

char *state_file_default_path(const char *image)
{
    struct stat st;

    if (stat(image, &st) < 0 || !S_ISREG(st.st_mode)) {
        return NULL;
    }
    return g_strdup_printf("%s.colo-state", image);
}

void state_file_identify(const char *image, ReplicationImageId *id)
{
    struct statx stx;

    *id = (ReplicationImageId) { 0 };
    if (!image || statx(AT_FDCWD, image, 0, STATX_INO | STATX_BTIME, &stx) < 0) {
        return;
    }
    id->inode = stx.stx_ino;
    if (stx.stx_mask & STATX_BTIME) {
        id->birth = stx.stx_btime.tv_sec * NANOSECONDS_PER_SECOND +
                    stx.stx_btime.tv_nsec;
    }
}

/* What the worker thread does */

typedef struct FileCall {
    const char *path;
    char *text;                 /* read or to be written */
    const char *verb;           /* what failed */
} FileCall;

static int read_file(void *opaque)
{
    FileCall *call = opaque;
    g_autofree char *buf = g_malloc(STATE_FILE_MAX);
    ssize_t len;
    int fd, err;

    call->verb = "open";
    fd = open(call->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    call->verb = "read";
    len = read(fd, buf, STATE_FILE_MAX);
    err = errno;
    close(fd);
    if (len < 0) {
        return -err;
    }
    call->text = g_strndup(buf, len);
    return 0;
}

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t len = write(fd, text, left);

        if (len < 0 && errno != EINTR) {
            return -errno;
        }
        if (len > 0) {
            text += len;
            left -= len;
        }
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* The new name is stable when the folder is. */
static int sync_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret;

    if (fd < 0) {
        return -errno;
    }
    ret = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return ret;
}

static int write_file(void *opaque)
{
    FileCall *call = opaque;
    g_autofree char *temp = g_strdup_printf("%s.tmp", call->path);
    int fd, ret;

    call->verb = "create";
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    call->verb = "write";
    ret = write_all(fd, call->text);
    if (close(fd) < 0 && ret == 0) {
        ret = -errno;
    }
    if (ret == 0 && rename(temp, call->path) < 0) {
        ret = -errno;
    }
    if (ret < 0) {
        unlink(temp);
        return ret;
    }
    return sync_folder(call->path);
}

/* Reading and writing */

static ReplicationStateFile *parse_state(const char *text, GError **errp)
{
    ReplicationStateFile *state;
    json_error_t err;
    json_t *json = json_loads(text, 0, &err);

    if (!json) {
        error_setg(errp, "line %d: %s", err.line, err.text);
        return NULL;
    }
    state = qapi_ReplicationStateFile_from_json(json, errp);
    json_decref(json);
    return state;
}

bool coroutine_fn state_file_co_read(const char *path,
                                     ReplicationStateFile **state,
                                     GError **errp)
{
    FileCall call = { .path = path };
    int ret = thread_pool_submit_co(read_file, &call);
    g_autofree char *text = call.text;

    *state = NULL;
    if (ret == -ENOENT) {
        return true;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot %s state file '%s'", call.verb,
                         path);
        return false;
    }
    *state = parse_state(text, errp);
    if (!*state) {
        error_prepend(errp, "State file '%s' is damaged: ", path);
        return false;
    }
    return true;
}

bool coroutine_fn state_file_co_write(const char *path,
                                      const ReplicationStateFile *state,
                                      GError **errp)
{
    json_t *json = qapi_ReplicationStateFile_to_json(state);
    char *dump = json_dumps(json, JSON_INDENT(4));
    g_autofree char *text = g_strdup_printf("%s\n", dump);
    FileCall call = { .path = path, .text = text };
    int ret;

    free(dump);
    json_decref(json);
    ret = thread_pool_submit_co(write_file, &call);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot %s state file '%s'", call.verb,
                         path);
        return false;
    }
    return true;
}
