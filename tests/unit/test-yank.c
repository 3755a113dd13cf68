/*
 * The yank registry
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "io/yank.h"
#include "util/aio.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

typedef struct Fixture {
    AioContext *ctx;
    int yanked[3];
    YankEntry entries[3];       /* node n0 twice, chardev n0 once */
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    static const YankInstanceType types[] = {
        YANK_INSTANCE_TYPE_BLOCK_NODE, YANK_INSTANCE_TYPE_BLOCK_NODE,
        YANK_INSTANCE_TYPE_CHARDEV,
    };

    f->ctx = aio_context_new(NULL, NULL);
    for (int i = 0; i < 3; i++) {
        f->entries[i] = (YankEntry) {
            .type = types[i], .id = "n0", .func = count,
            .opaque = &f->yanked[i],
        };
        yank_register(&f->entries[i]);
    }
}

static void teardown(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < 3; i++) {
        yank_unregister(&f->entries[i]);
    }
    aio_context_free(f->ctx);
}

static void test_query_names_each_once(Fixture *f, gconstpointer data)
{
    g_autoptr(YankInstanceList) list = yank_query();

    g_assert_cmpint(list->value->type, ==, YANK_INSTANCE_TYPE_BLOCK_NODE);
    g_assert_cmpstr(list->value->u.block_node.node_name, ==, "n0");
    g_assert_cmpint(list->next->value->type, ==, YANK_INSTANCE_TYPE_CHARDEV);
    g_assert_cmpstr(list->next->value->u.chardev.id, ==, "n0");
    g_assert_null(list->next->next);
}

static void test_yank_calls_all_of_a_name(Fixture *f, gconstpointer data)
{
    YankInstance node = {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
        .u.block_node.node_name = (char *)"n0",
    };
    const YankInstanceList list = { .value = &node };

    g_assert_true(yank_instances(&list, NULL));
    g_assert_cmpint(f->yanked[0], ==, 1);
    g_assert_cmpint(f->yanked[1], ==, 1);
    g_assert_cmpint(f->yanked[2], ==, 0);
}

static void test_unknown_instance_yanks_nothing(Fixture *f, gconstpointer data)
{
    YankInstance known = {
        .type = YANK_INSTANCE_TYPE_CHARDEV, .u.chardev.id = (char *)"n0",
    };
    YankInstance unknown = {
        .type = YANK_INSTANCE_TYPE_CHARDEV, .u.chardev.id = (char *)"n1",
    };
    YankInstanceList second = { .value = &unknown };
    YankInstanceList first = { .next = &second, .value = &known };
    g_autoptr(GError) err = NULL;

    g_assert_false(yank_instances(&first, &err));
    g_assert_cmpstr(error_class_name(err), ==, "DeviceNotFound");
    g_assert_cmpstr(err->message, ==, "Instance not found: chardev 'n1'");
    g_assert_cmpint(f->yanked[2], ==, 0);
}

static void test_unregistered_entry_is_gone(Fixture *f, gconstpointer data)
{
    g_autoptr(YankInstanceList) list = NULL;

    yank_unregister(&f->entries[2]);
    yank_unregister(&f->entries[2]);
    list = yank_query();
    g_assert_null(list->next);
}

/* Somebody waits for the peer of @first, and owns @second. */
typedef struct Owner {
    YankEntry first, *second;
    Coroutine *co;
} Owner;

static void coroutine_fn owner_entry(void *opaque)
{
    Owner *owner = opaque;

    owner->co = coroutine_self();
    coroutine_yield();
    yank_unregister(&owner->first);
    yank_unregister(owner->second);
    g_free(owner->second);
}

static void wake_owner(void *opaque)
{
    aio_co_wake(((Owner *)opaque)->co);
}

static void test_yanked_ones_may_free_others(Fixture *f, gconstpointer data)
{
    int yanked = 0;
    Owner owner = {
        .first = {
            .type = YANK_INSTANCE_TYPE_BLOCK_NODE, .id = "n1",
            .func = wake_owner, .opaque = &owner,
        },
        .second = g_new0(YankEntry, 1),
    };
    g_autoptr(YankInstanceList) list = NULL;

    *owner.second = (YankEntry) {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE, .id = "n2",
        .func = count, .opaque = &yanked,
    };
    yank_register(&owner.first);
    yank_register(owner.second);
    coroutine_start(owner_entry, &owner);

    list = yank_query();
    g_assert_true(yank_instances(list, NULL));
    g_assert_cmpint(yanked, ==, 1);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/yank/" name, Fixture, NULL, setup, func, teardown)
    ADD("query-names-each-once", test_query_names_each_once);
    ADD("yank-calls-all-of-a-name", test_yank_calls_all_of_a_name);
    ADD("unknown-instance-yanks-nothing", test_unknown_instance_yanks_nothing);
    ADD("unregistered-entry-is-gone", test_unregistered_entry_is_gone);
    ADD("yanked-ones-may-free-others", test_yanked_ones_may_free_others);
#undef ADD
    return g_test_run();
}
