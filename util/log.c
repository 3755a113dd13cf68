/*
 * The log: standard error, or the file of -D
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/log.h"

/* Only replaced at start-up or by a monitor command; writers just read it. */
static int log_fd = STDERR_FILENO;

bool log_set_file(const char *filename, GError **errp)
{
    int fd = STDERR_FILENO;
    int old;

    if (filename) {
        fd = open(filename, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) {
            error_setg_errno(errp, errno, "Could not open log file '%s'",
                             filename);
            return false;
        }
    }
    old = __atomic_exchange_n(&log_fd, fd, __ATOMIC_ACQ_REL);
    if (old != STDERR_FILENO) {
        close(old);
    }
    return true;
}

int log_get_fd(void)
{
    return __atomic_load_n(&log_fd, __ATOMIC_ACQUIRE);
}

void log_vline(const char *prefix, const char *fmt, va_list ap)
{
    g_autoptr(GString) line = g_string_new(prefix);
    size_t done = 0;

    g_string_append_vprintf(line, fmt, ap);
    g_string_append_c(line, '\n');

    while (done < line->len) {
        ssize_t n = write(log_get_fd(), line->str + done, line->len - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            /* There is no better place to complain about the log. */
            return;
        }
        done += n;
    }
}
