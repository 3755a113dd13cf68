/*
 * blkdebug's rules: when they act, and how they are read
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "../../block/drivers/blkdebug-rules.h"

static int error_at(BlkdebugRules *r, BlkdebugIOType iotype, int64_t offset,
                    int64_t bytes)
{
    bool immediately;

    return blkdebug_rules_error(r, iotype, offset, bytes, &immediately);
}

static int read_error(BlkdebugRules *r)
{
    return error_at(r, BLKDEBUG_IO_TYPE_READ, 0, 512);
}

static void add_error(BlkdebugRules *r, BlkdebugInjectErrorOptions opts)
{
    g_assert_true(blkdebug_rules_add_inject_error(r, &opts, NULL));
}

static void event(BlkdebugRules *r, BlkdebugEvent ev)
{
    g_assert_null(blkdebug_rules_event(r, ev));
}

static void test_event_arms_an_error(void)
{
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    add_error(&r, (BlkdebugInjectErrorOptions) {
        .event = BLKDEBUG_EVENT_READ_AIO,
    });
    g_assert_cmpint(read_error(&r), ==, 0);
    event(&r, BLKDEBUG_EVENT_WRITE_AIO);
    g_assert_cmpint(read_error(&r), ==, 0);
    event(&r, BLKDEBUG_EVENT_READ_AIO);
    g_assert_cmpint(read_error(&r), ==, -EIO);
    g_assert_cmpint(read_error(&r), ==, -EIO);
    blkdebug_rules_clear(&r);
}

static void test_none_is_always_armed(void)
{
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    add_error(&r, (BlkdebugInjectErrorOptions) {
        .event = BLKDEBUG_EVENT_NONE,
        .has_errno = true, .q_errno = ENOSPC,
    });
    g_assert_cmpint(read_error(&r), ==, -ENOSPC);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_FLUSH, 0, 0), ==, -ENOSPC);
    /* Only when asked for by name */
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_BLOCK_STATUS, 0, 512), ==,
                    0);
    blkdebug_rules_clear(&r);
}

static void test_once(void)
{
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    add_error(&r, (BlkdebugInjectErrorOptions) {
        .event = BLKDEBUG_EVENT_NONE, .has_once = true, .once = true,
    });
    g_assert_cmpint(read_error(&r), ==, -EIO);
    g_assert_cmpint(read_error(&r), ==, 0);
    blkdebug_rules_clear(&r);
}

static void test_iotype_and_sector(void)
{
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    add_error(&r, (BlkdebugInjectErrorOptions) {
        .event = BLKDEBUG_EVENT_NONE,
        .has_iotype = true, .iotype = BLKDEBUG_IO_TYPE_WRITE,
        .has_sector = true, .sector = 8,
    });
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_READ, 0, 64 * KiB), ==, 0);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_WRITE, 0, 4096), ==, 0);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_WRITE, 0, 4097), ==, -EIO);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_WRITE, 4096, 1), ==, -EIO);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_WRITE, 4097, 4096), ==, 0);
    blkdebug_rules_clear(&r);
}

static void test_state_changes_after_the_event(void)
{
    BlkdebugSetStateOptions set = {
        .event = BLKDEBUG_EVENT_WRITE_AIO,
        .has_state = true, .state = 1, .new_state = 2,
    };
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    g_assert_true(blkdebug_rules_add_set_state(&r, &set, NULL));
    add_error(&r, (BlkdebugInjectErrorOptions) {
        .event = BLKDEBUG_EVENT_WRITE_AIO, .has_state = true, .state = 2,
    });
    event(&r, BLKDEBUG_EVENT_WRITE_AIO);
    g_assert_cmpint(r.state, ==, 2);
    g_assert_cmpint(read_error(&r), ==, 0);
    event(&r, BLKDEBUG_EVENT_WRITE_AIO);
    g_assert_cmpint(read_error(&r), ==, -EIO);
    blkdebug_rules_clear(&r);
}

static void test_suspend_is_used_up(void)
{
    BlkdebugRules r;
    g_autofree char *tag = NULL;

    blkdebug_rules_init(&r);
    blkdebug_rules_add_suspend(&r, BLKDEBUG_EVENT_PWRITEV, "A");
    tag = blkdebug_rules_event(&r, BLKDEBUG_EVENT_PWRITEV);
    g_assert_cmpstr(tag, ==, "A");
    event(&r, BLKDEBUG_EVENT_PWRITEV);

    blkdebug_rules_add_suspend(&r, BLKDEBUG_EVENT_PWRITEV, "B");
    blkdebug_rules_remove_suspend(&r, "B");
    event(&r, BLKDEBUG_EVENT_PWRITEV);
    blkdebug_rules_clear(&r);
}

static void test_config(void)
{
    static const char text[] =
        "# a comment\n"
        "[inject-error]\n"
        "event = \"read_aio\"\n"
        "errno = \"28\"\n"
        "once = \"on\"\n"
        "\n"
        "[inject-error]\n"
        "  event=\"none\"\n"
        "  iotype=\"flush\"\n"
        "[set-state]\n"
        "event = \"write_aio\"\n"
        "state = \"1\"\n"
        "new_state = \"5\"";
    g_autoptr(GError) err = NULL;
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    blkdebug_rules_parse(&r, text, "rules.conf", &err);
    g_assert_no_error(err);
    event(&r, BLKDEBUG_EVENT_READ_AIO);
    g_assert_cmpint(read_error(&r), ==, -ENOSPC);
    g_assert_cmpint(read_error(&r), ==, 0);
    g_assert_cmpint(error_at(&r, BLKDEBUG_IO_TYPE_FLUSH, 0, 0), ==, -EIO);
    event(&r, BLKDEBUG_EVENT_WRITE_AIO);
    g_assert_cmpint(r.state, ==, 5);
    blkdebug_rules_clear(&r);
}

static void check_bad_config(const char *text, const char *expected)
{
    g_autoptr(GError) err = NULL;
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    g_assert_false(blkdebug_rules_parse(&r, text, "f", &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, expected)) {
        g_error("'%s' is not in '%s'", expected, err->message);
    }
    blkdebug_rules_clear(&r);
}

static void test_bad_config_names_the_line(void)
{
    check_bad_config("event = \"none\"\n", "f:1: parse error");
    check_bad_config("\n[inject-error]\nnonsense\n", "f:3: parse error");
    check_bad_config("[inject-error]\n", "f:1: ");
    check_bad_config("[inject-error]\nevent = \"nope\"\n", "nope");
    check_bad_config("[inject-error]\nevent = \"none\"\nfoo = \"1\"\n", "foo");
    check_bad_config("[nope]\n", "There is no option group 'nope'");
}

static void test_bad_numbers_are_refused(void)
{
    BlkdebugInjectErrorOptions opts = {
        .event = BLKDEBUG_EVENT_NONE, .has_errno = true, .q_errno = -5,
    };
    BlkdebugRules r;

    blkdebug_rules_init(&r);
    g_assert_false(blkdebug_rules_add_inject_error(&r, &opts, NULL));
    opts.has_errno = false;
    opts.has_sector = true;
    opts.sector = INT64_MAX / 2;
    g_assert_false(blkdebug_rules_add_inject_error(&r, &opts, NULL));
    blkdebug_rules_clear(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blkdebug-rules/event", test_event_arms_an_error);
    g_test_add_func("/blkdebug-rules/none", test_none_is_always_armed);
    g_test_add_func("/blkdebug-rules/once", test_once);
    g_test_add_func("/blkdebug-rules/iotype-sector", test_iotype_and_sector);
    g_test_add_func("/blkdebug-rules/state",
                    test_state_changes_after_the_event);
    g_test_add_func("/blkdebug-rules/suspend", test_suspend_is_used_up);
    g_test_add_func("/blkdebug-rules/config/good", test_config);
    g_test_add_func("/blkdebug-rules/config/bad",
                    test_bad_config_names_the_line);
    g_test_add_func("/blkdebug-rules/bad-numbers",
                    test_bad_numbers_are_refused);
    return g_test_run();
}
