/*
 * Character devices over descriptors: standard I/O, files, nothing
 *
 * They have one stream, open from the start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/chardev.h"

#include <termios.h>

#include "io/chardev-int.h"

/* Nothing: there never is a stream */

static bool coroutine_fn null_co_open(Chardev *chr, GError **errp)
{
    return true;
}

static char *null_filename(Chardev *chr)
{
    return g_strdup("null");
}

const ChardevOps chardev_null_ops = {
    .instance_size  = sizeof(Chardev),
    .co_open        = null_co_open,
    .filename       = null_filename,
};

/* Files */

typedef struct FileChardev {
    Chardev base;
    int silent_fd;              /* other end of an input that never comes */
} FileChardev;

/* What to read from; without a file it stays silent and does not end. */
static int file_open_input(FileChardev *f, const char *path, GError **errp)
{
    int fd[2];

    if (path) {
        fd[0] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd[0] < 0) {
            error_setg_errno(errp, errno, "Could not open '%s'", path);
        }
        return fd[0];
    }
    if (pipe2(fd, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "Could not create a pipe");
        return -1;
    }
    f->silent_fd = fd[1];
    return fd[0];
}

static bool coroutine_fn file_co_open(Chardev *chr, GError **errp)
{
    FileChardev *f = container_of(chr, FileChardev, base);
    const ChardevFile *opts = chr->backend->u.file.data;
    bool append = opts->has_append && opts->append;
    int in, out;

    f->silent_fd = -1;
    /* Not blocking: a FIFO that nobody reads is an error. */
    out = open(opts->out, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK |
               (append ? O_APPEND : O_TRUNC), 0666);
    if (out < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", opts->out);
        return false;
    }
    in = file_open_input(f, opts->in, errp);
    if (in < 0) {
        close(out);
        return false;
    }
    chardev_opened(chr, io_channel_new_fd_pair(in, out));
    return true;
}

static void file_finalize(Chardev *chr)
{
    FileChardev *f = container_of(chr, FileChardev, base);

    if (f->silent_fd >= 0) {
        close(f->silent_fd);
    }
}

static char *file_filename(Chardev *chr)
{
    return g_strdup("file");
}

const ChardevOps chardev_file_ops = {
    .instance_size  = sizeof(FileChardev),
    .co_open        = file_co_open,
    .finalize       = file_finalize,
    .filename       = file_filename,
};

/* Standard I/O */

typedef struct StdioChardev {
    Chardev base;
    bool owner;
    int old_flags[2];           /* of descriptors 0 and 1 */
    bool has_old_tty;
    struct termios old_tty;
} StdioChardev;

/* There is one standard input, however many contexts there are. */
static bool stdio_in_use;

static void stdio_no_signals(StdioChardev *s)
{
    struct termios tty;

    if (tcgetattr(STDIN_FILENO, &tty) == 0) {
        s->old_tty = tty;
        s->has_old_tty = true;
        tty.c_lflag &= ~ISIG;
        tcsetattr(STDIN_FILENO, TCSANOW, &tty);
    }
}

static bool coroutine_fn stdio_co_open(Chardev *chr, GError **errp)
{
    StdioChardev *s = container_of(chr, StdioChardev, base);
    const ChardevStdio *opts = chr->backend->u.stdio.data;
    int in, out;

    if (stdio_in_use) {
        error_setg(errp, "cannot use stdio by multiple character devices");
        return false;
    }
    in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (in < 0 || out < 0) {
        error_setg_errno(errp, errno, "Could not use standard I/O");
        if (in >= 0) {
            close(in);
        }
        if (out >= 0) {
            close(out);
        }
        return false;
    }
    stdio_in_use = s->owner = true;
    s->old_flags[0] = fcntl(STDIN_FILENO, F_GETFL);
    s->old_flags[1] = fcntl(STDOUT_FILENO, F_GETFL);
    if (opts->has_signal && !opts->signal) {
        stdio_no_signals(s);
    }
    chardev_opened(chr, io_channel_new_fd_pair(in, out));
    return true;
}

/* The shell that started us shares the terminal: leave it as it was. */
static void stdio_close(Chardev *chr)
{
    StdioChardev *s = container_of(chr, StdioChardev, base);

    if (!s->owner) {
        return;
    }
    fcntl(STDIN_FILENO, F_SETFL, s->old_flags[0]);
    fcntl(STDOUT_FILENO, F_SETFL, s->old_flags[1]);
    if (s->has_old_tty) {
        tcsetattr(STDIN_FILENO, TCSANOW, &s->old_tty);
    }
    stdio_in_use = s->owner = false;
}

static char *stdio_filename(Chardev *chr)
{
    return g_strdup("stdio");
}

const ChardevOps chardev_stdio_ops = {
    .instance_size  = sizeof(StdioChardev),
    .co_open        = stdio_co_open,
    .close          = stdio_close,
    .filename       = stdio_filename,
};
