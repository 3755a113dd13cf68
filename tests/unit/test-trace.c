/*
 * Unit tests of trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/trace.h"

#include <glib/gstdio.h>

#include "util/log.h"

static void raise_events(void)
{
    trace_event(test_one, "value %d", 1);
    trace_event(test_two, "value %d", 2);
    trace_event(other, "text");
}

/* The same event from another place. */
static void raise_one_again(void)
{
    trace_event(test_one, "again");
}

/* What the events that are on write. */
static char *traced(void)
{
    g_autofree char *dir = g_dir_make_tmp("test-trace-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "log", NULL);
    char *text = NULL;

    g_assert_true(log_set_file(path, NULL));
    raise_events();
    raise_one_again();
    g_assert_true(log_set_file(NULL, NULL));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    g_rmdir(dir);
    return text;
}

static void test_off_by_default(void)
{
    g_autofree char *text = traced();

    g_assert_cmpstr(text, ==, "");
}

static void test_pattern_turns_on(void)
{
    g_autofree char *text = NULL;

    g_assert_true(trace_enable("test_*", true, NULL));
    text = traced();
    g_assert_true(trace_enable("*", false, NULL));
    g_assert_true(g_regex_match_simple(
        "^test_one \\d+\\.\\d{6} value 1\n"
        "test_two \\d+\\.\\d{6} value 2\n"
        "test_one \\d+\\.\\d{6} again\n$", text, 0, 0));
}

static void test_unknown_name_is_an_error(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(trace_enable("nonsense", true, &err));
    g_assert_cmpstr(err->message, ==, "No trace event matches 'nonsense'");
}

static void count_name(const char *name, void *opaque)
{
    int *count = opaque;

    *count += !strcmp(name, "test_one");
}

static void test_each_name_once(void)
{
    int count = 0;

    trace_foreach(count_name, &count);
    g_assert_cmpint(count, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/off", test_off_by_default);
    g_test_add_func("/trace/pattern", test_pattern_turns_on);
    g_test_add_func("/trace/unknown", test_unknown_name_is_an_error);
    g_test_add_func("/trace/foreach", test_each_name_once);
    return g_test_run();
}
