/*
 * Small files that objects are made from
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/file.h"

/* Far above any key or list; keeps /dev/zero out. */
#define QOM_FILE_MAX (1 * MiB)

/* Everything in @fd up to QOM_FILE_MAX + 1 bytes; 0 or -errno. */
static int read_all(int fd, GString *data)
{
    char buf[4096];
    int ret = 0;

    while (data->len <= QOM_FILE_MAX) {
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            ret = n < 0 ? -errno : 0;
            break;
        }
        g_string_append_len(data, buf, n);
    }
    explicit_bzero(buf, sizeof(buf));
    return ret;
}

char *qom_read_file(const char *path, size_t *len, GError **errp)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    GString *data;
    int ret;

    if (fd < 0) {
        error_setg_errno(errp, errno, "Unable to read %s", path);
        return NULL;
    }
    data = g_string_new(NULL);
    ret = read_all(fd, data);
    close(fd);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Unable to read %s", path);
    } else if (data->len > QOM_FILE_MAX) {
        error_setg(errp, "Unable to read %s: more than %" PRId64 " bytes",
                   path, QOM_FILE_MAX);
    } else {
        *len = data->len;
        return g_string_free(data, false);
    }
    g_string_free(data, true);
    return NULL;
}
