/*
 * Signals that end the program
 *
 * They are blocked in all threads and read from a descriptor in the loop.
 * The first one asks for an orderly end; a second one, when that takes too
 * long for somebody, ends at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "block/run-state.h"

static int signal_fd = -1;

static void read_signal(void *opaque)
{
    struct signalfd_siginfo info;
    ssize_t n = read(signal_fd, &info, sizeof(info));

    if (n != sizeof(info)) {
        return;
    }
    if (run_state_shutdown_cause() != SHUTDOWN_CAUSE_NONE) {
        warn_report("terminating at once on signal %d", (int)info.ssi_signo);
        pidfile_remove();
        _exit(1);
    }
    info_report("terminating on signal %d", (int)info.ssi_signo);
    run_state_request_shutdown(SHUTDOWN_CAUSE_HOST_SIGNAL);
}

bool signals_init(AioContext *ctx, GError **errp)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0) {
        error_setg_errno(errp, errno, "cannot create a signalfd");
        return false;
    }
    aio_set_fd_handler(ctx, signal_fd, read_signal, NULL, NULL);
    return true;
}

void signals_fini(AioContext *ctx)
{
    if (signal_fd >= 0) {
        aio_set_fd_handler(ctx, signal_fd, NULL, NULL, NULL);
        close(signal_fd);
        signal_fd = -1;
    }
}
