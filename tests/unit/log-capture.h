/*
 * For tests of what is logged: warnings, messages, traces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_LOG_CAPTURE_H
#define TESTS_UNIT_LOG_CAPTURE_H

#include "util/log.h"

/* Where the log goes between begin and end. */
static char *captured_log;

static inline void log_capture_begin(void)
{
    int fd = g_file_open_tmp("test-log-XXXXXX", &captured_log, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(log_set_file(captured_log, NULL));
}

/* Assert that @text was logged since begin. */
static inline void log_capture_end(const char *text)
{
    g_autofree char *log = NULL;

    g_assert_true(log_set_file(NULL, NULL));
    g_assert_true(g_file_get_contents(captured_log, &log, NULL, NULL));
    unlink(captured_log);
    g_clear_pointer(&captured_log, g_free);
    if (!strstr(log, text)) {
        g_error("'%s' is not in the log: %s", text, log);
    }
}

#endif
