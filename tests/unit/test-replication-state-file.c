/*
 * State files: what is written is read, damage and failures are told
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication/state-file.h"

#include <glib/gstdio.h>

#include "co-run.h"

typedef struct Fixture {
    AioContext *ctx;
    char *folder, *path;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = aio_context_new(NULL, NULL);
    f->folder = g_dir_make_tmp("colo-state-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "disk.colo-state", NULL);
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);     /* nothing is left over */
    g_free(f->path);
    g_free(f->folder);
    aio_context_free(f->ctx);
}

typedef struct Call {
    const char *path;
    const ReplicationStateFile *write;
    ReplicationStateFile *read;
    bool ok;
    GError *err;
} Call;

static void coroutine_fn call_entry(void *opaque)
{
    Call *c = opaque;

    c->ok = c->write
        ? state_file_co_write(c->path, c->write, &c->err)
        : state_file_co_read(c->path, &c->read, &c->err);
}

static ReplicationImageId image = { .inode = -1, .birth = -5 };

static ReplicationStateFile example(ReplicationDiskState state)
{
    return (ReplicationStateFile) {
        .version = 1, .role = REPLICATION_MODE_SECONDARY, .state = state,
        .pair = (char *)"p", .generation = INT64_MAX, .epoch = 77,
        .image = &image,
    };
}

static void write_state(Fixture *f, ReplicationDiskState state)
{
    ReplicationStateFile file = example(state);
    Call c = { .path = f->path, .write = &file };

    co_run(call_entry, &c);
    g_assert_no_error(c.err);
    g_assert_true(c.ok);
}

static void test_round_trip(Fixture *f, gconstpointer data)
{
    for (int state = 0; state < REPLICATION_DISK_STATE__MAX; state++) {
        g_autoptr(ReplicationStateFile) back = NULL;
        Call c = { .path = f->path };

        write_state(f, state);
        co_run(call_entry, &c);
        g_assert_true(c.ok);
        back = c.read;
        g_assert_cmpint(back->state, ==, state);
        g_assert_cmpint(back->role, ==, REPLICATION_MODE_SECONDARY);
        g_assert_cmpint(back->generation, ==, INT64_MAX);
        g_assert_cmpint(back->epoch, ==, 77);
        g_assert_cmpint(back->image->inode, ==, -1);
        g_assert_cmpint(back->image->birth, ==, -5);
    }
}

static void test_missing_file_is_no_error(Fixture *f, gconstpointer data)
{
    Call c = { .path = f->path };

    co_run(call_entry, &c);
    g_assert_no_error(c.err);
    g_assert_true(c.ok);
    g_assert_null(c.read);
}

static void assert_damaged(Fixture *f, const char *text, const char *why)
{
    g_autofree char *expected = g_strdup_printf("State file '%s' is damaged: "
                                                "%s", f->path, why);
    Call c = { .path = f->path };

    g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
    co_run(call_entry, &c);
    g_assert_false(c.ok);
    g_assert_null(c.read);
    g_test_message("%s", c.err->message);
    g_assert_true(g_str_has_prefix(c.err->message, expected));
    g_clear_error(&c.err);
}

static void test_damage_is_told(Fixture *f, gconstpointer data)
{
    assert_damaged(f, "", "line 1: '[' or '{' expected");
    assert_damaged(f, "{\n", "line 2: string or '}' expected");
    assert_damaged(f, "[]", "Invalid parameter type for ");
    assert_damaged(f, "{}", "Parameter 'version' is missing");
    assert_damaged(f, "{ \"version\": 1, \"state\": \"fine\" }",
                   "Parameter 'role' is missing");
}

static void test_failed_write_leaves_the_old_one(Fixture *f,
                                                 gconstpointer data)
{
    ReplicationStateFile file = example(REPLICATION_DISK_STATE_MERGING);
    g_autofree char *temp = g_strdup_printf("%s.tmp", f->path);
    Call c = { .path = f->path, .write = &file };
    Call back = { .path = f->path };

    write_state(f, REPLICATION_DISK_STATE_CONSISTENT);
    g_assert_cmpint(g_mkdir(temp, 0700), ==, 0);    /* cannot be written */
    co_run(call_entry, &c);
    g_assert_false(c.ok);
    g_assert_nonnull(strstr(c.err->message, "Cannot create state file '"));
    g_clear_error(&c.err);
    g_rmdir(temp);
    co_run(call_entry, &back);
    g_assert_cmpint(back.read->state, ==, REPLICATION_DISK_STATE_CONSISTENT);
    qapi_free_ReplicationStateFile(back.read);
}

static void test_folder_that_is_missing(Fixture *f, gconstpointer data)
{
    ReplicationStateFile file = example(REPLICATION_DISK_STATE_CONSISTENT);
    Call c = { .path = "/nonexistent/x", .write = &file };

    co_run(call_entry, &c);
    g_assert_false(c.ok);
    g_assert_cmpstr(c.err->message, ==, "Cannot create state file "
                    "'/nonexistent/x': No such file or directory");
    g_clear_error(&c.err);
}

static void test_default_path(Fixture *f, gconstpointer data)
{
    g_autofree char *name = NULL;

    g_assert_true(g_file_set_contents(f->path, "x", 1, NULL));
    name = state_file_default_path(f->path);
    g_assert_true(g_str_has_suffix(name, "/disk.colo-state.colo-state"));
    g_assert_null(state_file_default_path("/dev/null"));
    g_assert_null(state_file_default_path("/nonexistent/x"));
}

static void test_another_file_is_told_apart(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_strdup_printf("%s.new", f->path);
    ReplicationImageId first, second;

    g_assert_true(g_file_set_contents(f->path, "x", 1, NULL));
    state_file_identify(f->path, &first);
    g_assert_cmpint(first.inode, !=, 0);
    state_file_identify(f->path, &second);
    g_assert_cmpint(first.inode, ==, second.inode);
    g_assert_cmpint(first.birth, ==, second.birth);
    g_assert_true(g_file_set_contents(other, "x", 1, NULL));
    g_assert_cmpint(g_rename(other, f->path), ==, 0);
    state_file_identify(f->path, &second);
    g_assert_true(first.inode != second.inode || first.birth != second.birth);
    state_file_identify("/nonexistent/x", &second);
    g_assert_cmpint(second.inode, ==, 0);
}

#define ADD(name, func) \
    g_test_add("/replication/state-file/" name, Fixture, NULL, setup, func, \
               teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("round-trip", test_round_trip);
    ADD("missing", test_missing_file_is_no_error);
    ADD("damage", test_damage_is_told);
    ADD("failed-write", test_failed_write_leaves_the_old_one);
    ADD("no-folder", test_folder_that_is_missing);
    ADD("default-path", test_default_path);
    ADD("another-file", test_another_file_is_told_apart);
    return g_test_run();
}
