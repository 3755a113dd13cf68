/*
 * Unit tests of the event loop: descriptors, bottom halves, turns, waking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/aio.h"

#include <sys/resource.h>
#include <sys/socket.h>

typedef struct Fixture {
    AioContext *ctx;
    int fd[2];
    int count;
    char text[64];
    AioTurnEnd turn_end;
    AioTimer timer;
    Coroutine *co;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->fd),
                    ==, 0);
}

static void teardown(Fixture *f, gconstpointer data)
{
    aio_set_fd_handler(f->ctx, f->fd[0], NULL, NULL, NULL);
    aio_set_fd_handler(f->ctx, f->fd[1], NULL, NULL, NULL);
    close(f->fd[0]);
    close(f->fd[1]);
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void put(Fixture *f, const char *word)
{
    g_strlcat(f->text, word, sizeof(f->text));
}

static void send_byte(int fd)
{
    g_assert_cmpint(write(fd, "x", 1), ==, 1);
}

static void count(void *opaque)
{
    Fixture *f = opaque;

    f->count++;
}

/* Descriptors */

static void read_byte(void *opaque)
{
    Fixture *f = opaque;
    char c;

    g_assert_cmpint(read(f->fd[0], &c, 1), ==, 1);
    put(f, "r");
}

static void write_ready(void *opaque)
{
    put(opaque, "w");
}

static void test_readable_descriptor_calls_its_handler(Fixture *f,
                                                       gconstpointer data)
{
    aio_set_fd_handler(f->ctx, f->fd[0], read_byte, NULL, f);
    g_assert_false(aio_poll(f->ctx, false));
    send_byte(f->fd[1]);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpstr(f->text, ==, "r");
    g_assert_false(aio_poll(f->ctx, false));
}

static void test_both_directions(Fixture *f, gconstpointer data)
{
    aio_set_fd_handler(f->ctx, f->fd[0], read_byte, write_ready, f);
    aio_poll(f->ctx, true);
    g_assert_cmpstr(f->text, ==, "w");
    send_byte(f->fd[1]);
    aio_poll(f->ctx, true);
    g_assert_cmpstr(f->text, ==, "wrw");
    aio_set_fd_handler(f->ctx, f->fd[0], read_byte, NULL, f);
    g_assert_false(aio_poll(f->ctx, false));
}

static void test_hang_up_calls_the_writer(Fixture *f, gconstpointer data)
{
    char full[4096] = "";

    while (write(f->fd[0], full, sizeof(full)) > 0) {
        continue;
    }
    aio_set_fd_handler(f->ctx, f->fd[0], NULL, count, f);
    g_assert_false(aio_poll(f->ctx, false));
    shutdown(f->fd[1], SHUT_RDWR);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpint(f->count, ==, 1);
}

/* Data does not count, and keeps nobody awake. */
static void test_hang_up_alone(Fixture *f, gconstpointer data)
{
    aio_set_fd_handlers(f->ctx, f->fd[0], NULL, NULL, count, f);
    send_byte(f->fd[1]);
    g_assert_false(aio_poll(f->ctx, false));
    shutdown(f->fd[1], SHUT_WR);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpint(f->count, ==, 1);
}

/* The kernel goes on watching for what a handler was there for. */
static void test_handler_goes_and_comes_back(Fixture *f, gconstpointer data)
{
    aio_set_fd_handlers(f->ctx, f->fd[0], read_byte, NULL, count, f);
    aio_set_fd_handlers(f->ctx, f->fd[0], NULL, NULL, count, f);
    send_byte(f->fd[1]);
    g_assert_false(aio_poll(f->ctx, false));
    g_assert_false(aio_poll(f->ctx, false));
    aio_set_fd_handlers(f->ctx, f->fd[0], read_byte, NULL, count, f);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpstr(f->text, ==, "r");
}

/* Whoever runs first removes both. */
static void remove_both(void *opaque)
{
    Fixture *f = opaque;

    f->count++;
    aio_set_fd_handler(f->ctx, f->fd[0], NULL, NULL, NULL);
    aio_set_fd_handler(f->ctx, f->fd[1], NULL, NULL, NULL);
}

static void test_removal_during_dispatch(Fixture *f, gconstpointer data)
{
    aio_set_fd_handler(f->ctx, f->fd[0], remove_both, remove_both, f);
    aio_set_fd_handler(f->ctx, f->fd[1], remove_both, remove_both, f);
    send_byte(f->fd[0]);
    send_byte(f->fd[1]);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_false(aio_poll(f->ctx, false));
    g_assert_cmpint(f->count, ==, 1);
}

static void test_descriptor_number_is_used_again(Fixture *f,
                                                 gconstpointer data)
{
    int old = f->fd[0];

    aio_set_fd_handler(f->ctx, old, count, NULL, f);
    aio_set_fd_handler(f->ctx, old, NULL, NULL, NULL);
    close(f->fd[0]);
    close(f->fd[1]);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->fd),
                    ==, 0);
    g_assert_cmpint(f->fd[0], ==, old);
    aio_set_fd_handler(f->ctx, f->fd[0], read_byte, NULL, f);
    send_byte(f->fd[1]);
    aio_poll(f->ctx, true);
    g_assert_cmpstr(f->text, ==, "r");
    g_assert_cmpint(f->count, ==, 0);
}

static void test_plain_file_is_always_ready(Fixture *f, gconstpointer data)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    aio_set_fd_handler(f->ctx, fd, count, NULL, f);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpint(f->count, ==, 2);
    aio_set_fd_handler(f->ctx, fd, NULL, NULL, NULL);
    g_assert_false(aio_poll(f->ctx, false));
    close(fd);
}

/* Bottom halves and notification */

static void bh_a(void *opaque)
{
    put(opaque, "a");
}

static void bh_b(void *opaque)
{
    Fixture *f = opaque;

    put(f, "b");
    aio_bh_schedule_oneshot(f->ctx, bh_a, f);
}

static void test_bottom_halves_run_in_order(Fixture *f, gconstpointer data)
{
    aio_bh_schedule_oneshot(f->ctx, bh_a, f);
    aio_bh_schedule_oneshot(f->ctx, bh_b, f);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpstr(f->text, ==, "ab");
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpstr(f->text, ==, "aba");
}

static void test_notify_ends_the_next_wait(Fixture *f, gconstpointer data)
{
    aio_notify(f->ctx);
    g_assert_false(aio_poll(f->ctx, true));
}

static void *schedule_from_thread(void *opaque)
{
    Fixture *f = opaque;

    for (int i = 0; i < 1000; i++) {
        aio_bh_schedule_oneshot(f->ctx, count, f);
        if (i % 100 == 0) {
            g_thread_yield();
        }
    }
    return NULL;
}

static void test_other_threads_wake_the_loop(Fixture *f, gconstpointer data)
{
    GThread *threads[4];

    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        threads[i] = g_thread_new("bh", schedule_from_thread, f);
    }
    while (f->count < 4000) {
        aio_poll(f->ctx, true);
    }
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpint(f->count, ==, 4000);
}

static void test_free_runs_what_is_pending(void)
{
    Fixture f = { .ctx = aio_context_new(NULL, NULL) };

    aio_bh_schedule_oneshot(f.ctx, bh_b, &f);
    aio_context_free(f.ctx);
    g_assert_cmpstr(f.text, ==, "ba");
}

static void test_no_descriptors(void)
{
    g_autoptr(GError) err = NULL;
    struct rlimit old, none;

    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    g_assert_null(aio_context_new(NULL, &err));
    setrlimit(RLIMIT_NOFILE, &old);
    g_assert_cmpstr(err->message, ==,
                    "Cannot create an event loop: Too many open files");
}

/* Turns */

static void turn_end_cb(void *opaque)
{
    put(opaque, "E");
}

static void arm_in_bh(void *opaque)
{
    Fixture *f = opaque;

    put(f, "b");
    aio_turn_end_arm(&f->turn_end);
    aio_turn_end_arm(&f->turn_end);
}

static void timer_cb(void *opaque)
{
    put(opaque, "t");
}

static void test_order_of_a_turn(Fixture *f, gconstpointer data)
{
    aio_turn_end_init(&f->turn_end, f->ctx, turn_end_cb, f);
    aio_timer_init(&f->timer, f->ctx, timer_cb, f);
    aio_timer_mod(&f->timer, 1);
    aio_set_fd_handler(f->ctx, f->fd[0], read_byte, NULL, f);
    send_byte(f->fd[1]);
    aio_bh_schedule_oneshot(f->ctx, arm_in_bh, f);
    aio_poll(f->ctx, true);
    g_assert_cmpstr(f->text, ==, "brtE");
}

static void test_turn_end_outside_of_a_turn(Fixture *f, gconstpointer data)
{
    aio_turn_end_init(&f->turn_end, f->ctx, turn_end_cb, f);
    aio_turn_end_arm(&f->turn_end);
    g_assert_true(aio_poll(f->ctx, true));
    g_assert_cmpstr(f->text, ==, "E");

    aio_turn_end_arm(&f->turn_end);
    aio_turn_end_disarm(&f->turn_end);
    g_assert_false(aio_poll(f->ctx, false));
}

static void rearm(void *opaque)
{
    Fixture *f = opaque;

    f->count++;
    aio_turn_end_arm(&f->turn_end);
}

static void test_turn_end_cannot_hold_the_loop(Fixture *f, gconstpointer data)
{
    int before;

    aio_turn_end_init(&f->turn_end, f->ctx, rearm, f);
    aio_turn_end_arm(&f->turn_end);
    aio_poll(f->ctx, true);
    before = f->count;
    aio_poll(f->ctx, true);
    g_assert_cmpint(f->count, >, before);
    aio_turn_end_disarm(&f->turn_end);
}

/* Coroutines */

static void coroutine_fn sleeper(void *opaque)
{
    Fixture *f = opaque;

    g_assert_true(aio_get_current() == f->ctx);
    coroutine_yield();
    g_assert_true(aio_get_current() == f->ctx);
    f->count++;
}

static void *wake_from_thread(void *opaque)
{
    Fixture *f = opaque;

    g_assert_null(aio_get_current());
    aio_co_wake(f->co);
    return NULL;
}

static void test_wake_from_another_thread(Fixture *f, gconstpointer data)
{
    GThread *thread;

    f->co = coroutine_create(sleeper, f);
    coroutine_enter(f->co);
    thread = g_thread_new("wake", wake_from_thread, f);
    while (!f->count) {
        aio_poll(f->ctx, true);
    }
    g_thread_join(thread);
}

static void test_wake_from_another_context(Fixture *f, gconstpointer data)
{
    AioContext *other = aio_context_new(NULL, NULL);
    AioContext *mine = f->ctx;

    f->ctx = other;
    aio_poll(other, false);
    aio_bh_schedule_oneshot(other, count, f);
    aio_poll(other, true);
    g_assert_cmpint(f->count, ==, 1);
    g_assert_true(aio_get_current() == mine);
    f->ctx = mine;
    aio_context_free(other);
}

static void coroutine_fn reschedule(void *opaque)
{
    Fixture *f = opaque;

    put(f, "1");
    co_reschedule_self();
    put(f, "2");
}

static void test_reschedule_lets_others_run(Fixture *f, gconstpointer data)
{
    aio_bh_schedule_oneshot(f->ctx, bh_a, f);
    coroutine_start(reschedule, f);
    aio_poll(f->ctx, true);
    g_assert_cmpstr(f->text, ==, "1a2");
}

/* Data of a context */

static Fixture *local_fixture;

static void local_init(AioContext *ctx, void *data)
{
    int *value = data;

    g_assert_cmpint(*value, ==, 0);
    *value = 5;
}

static void local_fini(AioContext *ctx, void *data)
{
    put(local_fixture, "fini");
}

static const AioLocal test_local = {
    .size = sizeof(int),
    .init = local_init,
    .fini = local_fini,
};

static void test_local_data(Fixture *f, gconstpointer data)
{
    AioContext *other = aio_context_new(NULL, NULL);
    int *value = aio_local_get(other, &test_local);

    local_fixture = f;
    g_assert_cmpint(*value, ==, 5);
    *value = 6;
    g_assert_true(aio_local_get(other, &test_local) == value);
    g_assert_true(aio_local_get(f->ctx, &test_local) != value);
    aio_context_free(other);
    g_assert_cmpstr(f->text, ==, "fini");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/aio/fd/read", test_readable_descriptor_calls_its_handler },
        { "/aio/fd/both", test_both_directions },
        { "/aio/fd/hang-up", test_hang_up_calls_the_writer },
        { "/aio/fd/hang-up-alone", test_hang_up_alone },
        { "/aio/fd/comes-back", test_handler_goes_and_comes_back },
        { "/aio/fd/removed", test_removal_during_dispatch },
        { "/aio/fd/reused", test_descriptor_number_is_used_again },
        { "/aio/fd/plain", test_plain_file_is_always_ready },
        { "/aio/bh/order", test_bottom_halves_run_in_order },
        { "/aio/bh/threads", test_other_threads_wake_the_loop },
        { "/aio/notify", test_notify_ends_the_next_wait },
        { "/aio/turn/order", test_order_of_a_turn },
        { "/aio/turn/outside", test_turn_end_outside_of_a_turn },
        { "/aio/turn/bounded", test_turn_end_cannot_hold_the_loop },
        { "/aio/co/thread", test_wake_from_another_thread },
        { "/aio/co/context", test_wake_from_another_context },
        { "/aio/co/reschedule", test_reschedule_lets_others_run },
        { "/aio/local", test_local_data },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add_func("/aio/free", test_free_runs_what_is_pending);
    g_test_add_func("/aio/no-descriptors", test_no_descriptors);
    return g_test_run();
}
