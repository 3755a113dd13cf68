/*
 * -daemonize and -pidfile
 *
 * The parent stays until the child has started everything, so that a script
 * that goes on after us finds the sockets there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "util/log.h"

static int report_fd = -1;      /* child: where the parent waits */
static char *pidfile_path;      /* absolute: daemonize changes the folder */

/* The parent: wait for the child's word. */
static G_GNUC_NORETURN void wait_for_child(pid_t pid, int fd)
{
    char status = 1;
    ssize_t n;

    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1 && status == 0) {
        _exit(0);
    }
    /* No word: the child has said why and ends. */
    waitpid(pid, NULL, 0);
    _exit(1);
}

bool daemonize_begin(GError **errp)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot create a pipe");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_setg_errno(errp, errno, "cannot fork");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_child(pid, fds[0]);
    }
    close(fds[0]);
    report_fd = fds[1];
    setsid();
    return true;
}

bool daemonize_pending(void)
{
    return report_fd >= 0;
}

bool daemonize_done(GError **errp)
{
    const char ok = 0;
    int log = log_get_fd();
    int fd;

    if (report_fd < 0) {
        return true;
    }
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || chdir("/") < 0) {
        error_setg_errno(errp, errno, "cannot leave the terminal");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    /* What libraries say before they abort belongs into the log, too. */
    dup2(log == STDERR_FILENO ? fd : log, STDERR_FILENO);
    close(fd);
    /* A parent that was killed meanwhile is nobody's concern. */
    if (write(report_fd, &ok, 1) < 0) {
        warn_report("cannot tell the parent that we have started");
    }
    close(report_fd);
    report_fd = -1;
    return true;
}

/* Open and lock @path; -1 if it cannot be, or vanished in between. */
static int open_locked(const char *path, bool *again, GError **errp)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat ours, theirs;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    *again = false;
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot create PID file '%s'", path);
        return -1;
    }
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        error_setg_errno(errp, errno, "cannot lock PID file '%s', is another "
                         "one running?", path);
        close(fd);
        return -1;
    }
    /* The one before us may have removed it while we waited. */
    if (fstat(fd, &ours) < 0 || stat(path, &theirs) < 0 ||
        ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino) {
        close(fd);
        *again = true;
        return -1;
    }
    return fd;
}

bool pidfile_create(const char *path, GError **errp)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    bool again;
    int fd;

    do {
        fd = open_locked(path, &again, errp);
    } while (again);
    if (fd < 0) {
        return false;
    }
    if (ftruncate(fd, 0) < 0 ||
        write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_setg_errno(errp, errno, "cannot write PID file '%s'", path);
        close(fd);
        return false;
    }
    /* The descriptor stays open: it is the lock. */
    pidfile_path = g_canonicalize_filename(path, NULL);
    return true;
}

void pidfile_remove(void)
{
    if (pidfile_path) {
        unlink(pidfile_path);
        g_clear_pointer(&pidfile_path, g_free);
    }
}
