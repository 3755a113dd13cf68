/*
 * Unit tests of the locks for coroutines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/co-lock.h"

typedef struct Fixture {
    CoQueue queue;
    CoMutex mutex;
    CoRwlock rwlock;
    Coroutine *parked;
    char text[64];
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof(*f));
    co_queue_init(&f->queue);
    co_mutex_init(&f->mutex);
    co_rwlock_init(&f->rwlock);
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void put(Fixture *f, const char *word)
{
    g_strlcat(f->text, word, sizeof(f->text));
}

/* Each worker puts its name; an upper case one is who holds something. */
typedef struct Worker {
    Fixture *f;
    const char *name;
} Worker;

/* CoQueue */

static void coroutine_fn wait_once(void *opaque)
{
    Worker *w = opaque;

    co_queue_wait(&w->f->queue);
    put(w->f, w->name);
}

static void coroutine_fn wait_for_ever(void *opaque)
{
    Worker *w = opaque;

    for (int i = 0; i < 2; i++) {
        co_queue_wait(&w->f->queue);
        put(w->f, w->name);
    }
}

static void coroutine_fn wake_all(void *opaque)
{
    Fixture *f = opaque;

    co_queue_restart_all(&f->queue);
    put(f, "|");
}

static void test_queue_wakes_in_order(Fixture *f, gconstpointer data)
{
    Worker a = { f, "a" }, b = { f, "b" }, c = { f, "c" };

    g_assert_false(co_queue_next(&f->queue));
    coroutine_start(wait_once, &a);
    coroutine_start(wait_once, &b);
    coroutine_start(wait_once, &c);
    g_assert_true(co_queue_next(&f->queue));
    g_assert_cmpstr(f->text, ==, "a");
    coroutine_start(wake_all, f);
    g_assert_cmpstr(f->text, ==, "a|bc");
    g_assert_true(co_queue_empty(&f->queue));
}

static void test_restart_all_wakes_the_present_only(Fixture *f,
                                                    gconstpointer data)
{
    Worker a = { f, "a" }, b = { f, "b" };

    coroutine_start(wait_for_ever, &a);
    coroutine_start(wait_for_ever, &b);
    co_queue_restart_all(&f->queue);
    g_assert_cmpstr(f->text, ==, "ab");
    co_queue_restart_all(&f->queue);
    g_assert_cmpstr(f->text, ==, "abab");
}

/* CoMutex */

static void coroutine_fn hold_until_entered(void *opaque)
{
    Fixture *f = opaque;
    CO_MUTEX_GUARD(&f->mutex);

    f->parked = coroutine_self();
    put(f, "H");
    coroutine_yield();
    put(f, "h");
}

static void coroutine_fn lock_once(void *opaque)
{
    Worker *w = opaque;
    CO_MUTEX_GUARD(&w->f->mutex);

    put(w->f, w->name);
}

static void test_mutex_is_fair(Fixture *f, gconstpointer data)
{
    Worker a = { f, "a" }, b = { f, "b" };

    coroutine_start(hold_until_entered, f);
    g_assert_true(co_mutex_is_held(&f->mutex));
    coroutine_start(lock_once, &a);
    coroutine_start(lock_once, &b);
    g_assert_cmpstr(f->text, ==, "H");
    coroutine_enter(f->parked);
    g_assert_cmpstr(f->text, ==, "Hhab");
    g_assert_false(co_mutex_is_held(&f->mutex));
}

/* Unlocks with somebody waiting, then wants the lock again at once. */
static void coroutine_fn lock_twice(void *opaque)
{
    Fixture *f = opaque;

    co_mutex_lock(&f->mutex);
    f->parked = coroutine_self();
    coroutine_yield();
    put(f, "1");
    co_mutex_unlock(&f->mutex);
    co_mutex_lock(&f->mutex);
    put(f, "2");
    co_mutex_unlock(&f->mutex);
}

static void test_mutex_is_not_stolen_from_a_waiter(Fixture *f,
                                                   gconstpointer data)
{
    Worker a = { f, "a" };

    coroutine_start(lock_twice, f);
    coroutine_start(lock_once, &a);
    coroutine_enter(f->parked);
    g_assert_cmpstr(f->text, ==, "1a2");
}

/* CoRwlock: read and write until somebody enters it. */

static void coroutine_fn reader(void *opaque)
{
    Worker *w = opaque;

    co_rwlock_rdlock(&w->f->rwlock);
    put(w->f, w->name);
    co_queue_wait(&w->f->queue);
    co_rwlock_unlock(&w->f->rwlock);
}

static void coroutine_fn writer(void *opaque)
{
    Worker *w = opaque;

    co_rwlock_wrlock(&w->f->rwlock);
    put(w->f, w->name);
    g_assert_cmpuint(w->f->rwlock.readers, ==, 0);
    co_queue_wait(&w->f->queue);
    co_rwlock_unlock(&w->f->rwlock);
}

static void test_readers_share_and_do_not_overtake(Fixture *f,
                                                   gconstpointer data)
{
    Worker r1 = { f, "a" }, r2 = { f, "b" }, w = { f, "W" };
    Worker r3 = { f, "c" }, r4 = { f, "d" };

    coroutine_start(reader, &r1);
    coroutine_start(reader, &r2);
    coroutine_start(writer, &w);
    coroutine_start(reader, &r3);
    coroutine_start(reader, &r4);
    g_assert_cmpstr(f->text, ==, "ab");
    co_queue_next(&f->queue);
    g_assert_cmpstr(f->text, ==, "ab");
    co_queue_next(&f->queue);
    g_assert_cmpstr(f->text, ==, "abW");
    co_queue_next(&f->queue);
    g_assert_cmpstr(f->text, ==, "abWcd");
    co_queue_restart_all(&f->queue);
    g_assert_cmpuint(f->rwlock.readers, ==, 0);
}

static void test_writers_exclude_each_other(Fixture *f, gconstpointer data)
{
    Worker v = { f, "V" }, w = { f, "W" };

    coroutine_start(writer, &v);
    coroutine_start(writer, &w);
    g_assert_cmpstr(f->text, ==, "V");
    co_queue_next(&f->queue);
    g_assert_cmpstr(f->text, ==, "VW");
    co_queue_next(&f->queue);
    g_assert_false(f->rwlock.writer);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/co-queue/order", test_queue_wakes_in_order },
        { "/co-queue/restart-all", test_restart_all_wakes_the_present_only },
        { "/co-mutex/fair", test_mutex_is_fair },
        { "/co-mutex/handed-over", test_mutex_is_not_stolen_from_a_waiter },
        { "/co-rwlock/readers", test_readers_share_and_do_not_overtake },
        { "/co-rwlock/writers", test_writers_exclude_each_other },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
