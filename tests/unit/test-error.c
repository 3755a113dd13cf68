/*
 * Unit tests of the control path's errors and of the log
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/error.h"

#include <glib/gstdio.h>

#include "util/log.h"

static void test_errno_is_appended(void)
{
    g_autoptr(GError) err = NULL;

    errno = 7;
    error_setg_errno(&err, ENOENT, "Could not open '%s'", "x");
    g_assert_cmpint(errno, ==, 7);
    g_assert_cmpstr(err->message, ==,
                    "Could not open 'x': No such file or directory");
    error_prepend(&err, "node '%s': ", "n");
    g_assert_true(g_str_has_prefix(err->message, "node 'n': Could not"));
}

static void test_class_names(void)
{
    g_autoptr(GError) generic = NULL;
    g_autoptr(GError) missing = NULL;
    g_autoptr(GError) foreign = NULL;

    error_setg(&generic, "a");
    error_set_class(&missing, ERROR_CLASS_DEVICE_NOT_FOUND, "b %d", 1);
    foreign = g_error_new(G_FILE_ERROR, 3, "c");
    g_assert_cmpstr(error_class_name(generic), ==, "GenericError");
    g_assert_cmpstr(error_class_name(missing), ==, "DeviceNotFound");
    g_assert_cmpstr(missing->message, ==, "b 1");
    g_assert_cmpstr(error_class_name(foreign), ==, "GenericError");
}

static void test_null_is_ignored(void)
{
    error_setg(NULL, "nobody listens");
    error_setg_errno(NULL, EIO, "nobody listens");
    error_set_class(NULL, ERROR_CLASS_COMMAND_NOT_FOUND, "nobody listens");
}

static void test_reports_go_to_the_log_file(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *dir = g_dir_make_tmp("test-error-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "log", NULL);
    g_autofree char *text = NULL;

    g_set_prgname("prog");
    g_assert_true(log_set_file(path, &err));
    error_report("bad %d", 1);
    warn_report("odd");
    g_assert_true(log_set_file(NULL, &err));

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "prog: bad 1\nprog: warning: odd\n");
    g_unlink(path);
    g_rmdir(dir);
}

static void test_bad_log_file_is_an_error(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(log_set_file("/nonexistent/log", &err));
    g_assert_cmpstr(err->message, ==, "Could not open log file "
                    "'/nonexistent/log': No such file or directory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/errno", test_errno_is_appended);
    g_test_add_func("/error/class", test_class_names);
    g_test_add_func("/error/null", test_null_is_ignored);
    g_test_add_func("/error/log/file", test_reports_go_to_the_log_file);
    g_test_add_func("/error/log/bad-file", test_bad_log_file_is_an_error);
    return g_test_run();
}
