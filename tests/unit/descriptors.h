/*
 * How many descriptors there are, and running out of them on purpose
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_DESCRIPTORS_H
#define TESTS_UNIT_DESCRIPTORS_H

#include <sys/resource.h>

#define LEAVE_MAX 3

/* Of this process; the one that is needed to count is among them. */
static inline unsigned count_descriptors(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

/* Leave @n free descriptors.  Returns the limit to set again afterwards. */
static inline struct rlimit leave_descriptors(int n)
{
    struct rlimit old, low;
    int fd[LEAVE_MAX + 1];

    g_assert_cmpint(n, <=, LEAVE_MAX);
    for (int i = 0; i <= n; i++) {
        fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = fd[n];
    setrlimit(RLIMIT_NOFILE, &low);
    for (int i = 0; i <= n; i++) {
        close(fd[i]);
    }
    return old;
}

#endif
