/*
 * Unit tests of channels over descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/channel.h"

#include <signal.h>
#include <sys/socket.h>

#include "co-run.h"

typedef struct Fixture {
    AioContext *ctx;
    IOChannel *ioc;
    int peer;                   /* the other end, plain and blocking */

    /* What the coroutine under test has found */
    char buf[64];
    ssize_t ret;
    bool done;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    int fd[2];

    memset(f, 0, sizeof(*f));
    f->ctx = aio_context_new(NULL, NULL);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    f->ioc = io_channel_new_fd(fd[0]);
    f->peer = fd[1];
}

static void teardown(Fixture *f, gconstpointer data)
{
    io_channel_unref(f->ioc);
    if (f->peer >= 0) {
        close(f->peer);
    }
    aio_context_free(f->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

static void peer_says(Fixture *f, const char *text)
{
    g_assert_cmpint(write(f->peer, text, strlen(text)), ==, strlen(text));
}

static void coroutine_fn read_some(void *opaque)
{
    Fixture *f = opaque;

    f->ret = io_channel_co_read(f->ioc, f->buf, sizeof(f->buf));
    f->done = true;
}

static void coroutine_fn read_ten(void *opaque)
{
    Fixture *f = opaque;

    f->ret = io_channel_co_read_full(f->ioc, f->buf, 10);
    f->done = true;
}

static void test_read_would_block(Fixture *f, gconstpointer data)
{
    struct iovec iov = { .iov_base = f->buf, .iov_len = sizeof(f->buf) };

    g_assert_cmpint(io_channel_readv(f->ioc, &iov, 1), ==, -EAGAIN);
    peer_says(f, "x");
    g_assert_cmpint(io_channel_readv(f->ioc, &iov, 1), ==, 1);
}

static void test_read_waits_for_data(Fixture *f, gconstpointer data)
{
    coroutine_start(read_some, f);
    poll_idle();
    g_assert_false(f->done);
    peer_says(f, "abc");
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 3);
    g_assert_cmpmem(f->buf, 3, "abc", 3);
}

static void test_read_full_joins_pieces(Fixture *f, gconstpointer data)
{
    coroutine_start(read_ten, f);
    peer_says(f, "abc");
    poll_idle();
    g_assert_false(f->done);
    peer_says(f, "defghij");
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 0);
    g_assert_cmpmem(f->buf, 10, "abcdefghij", 10);
}

static void test_end_before_first_byte(Fixture *f, gconstpointer data)
{
    close(f->peer);
    f->peer = -1;
    coroutine_start(read_ten, f);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, -ENODATA);
}

static void test_end_within(Fixture *f, gconstpointer data)
{
    peer_says(f, "abc");
    close(f->peer);
    f->peer = -1;
    coroutine_start(read_ten, f);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, -EPIPE);
}

static void test_shutdown_wakes_reader(Fixture *f, gconstpointer data)
{
    coroutine_start(read_some, f);
    poll_idle();
    g_assert_false(f->done);
    io_channel_shutdown(f->ioc);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 0);
}

#define BIG (4 * 1024 * 1024)

static void coroutine_fn write_big(void *opaque)
{
    Fixture *f = opaque;
    g_autofree char *data = g_malloc0(BIG);
    struct iovec iov[] = {
        { data, 3 }, { data, 0 }, { data + 3, BIG - 3 },
    };

    f->ret = io_channel_co_writev_full(f->ioc, iov, ARRAY_SIZE(iov));
    f->done = true;
}

static void test_shutdown_wakes_writer(Fixture *f, gconstpointer data)
{
    coroutine_start(write_big, f);
    poll_idle();
    g_assert_false(f->done);
    io_channel_shutdown(f->ioc);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, -EPIPE);
}

static void test_write_full_waits_for_room(Fixture *f, gconstpointer data)
{
    g_autofree char *buf = g_malloc(BIG);
    size_t got = 0;

    coroutine_start(write_big, f);
    g_assert_false(f->done);
    while (got < BIG) {
        ssize_t n = recv(f->peer, buf, BIG, MSG_DONTWAIT);

        if (n > 0) {
            got += n;
        } else {
            g_assert_cmpint(errno, ==, EAGAIN);
            aio_poll(f->ctx, true);
        }
    }
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 0);
    g_assert_cmpuint(got, ==, BIG);
}

static void test_after_shutdown(Fixture *f, gconstpointer data)
{
    struct iovec iov = { .iov_base = f->buf, .iov_len = sizeof(f->buf) };

    peer_says(f, "abc");
    io_channel_shutdown(f->ioc);
    io_channel_shutdown(f->ioc);
    g_assert_cmpint(io_channel_readv(f->ioc, &iov, 1), ==, 0);
    g_assert_cmpint(io_channel_writev(f->ioc, &iov, 1), ==, -EPIPE);
}

static void test_write_to_closed_peer(Fixture *f, gconstpointer data)
{
    struct iovec iov = { .iov_base = f->buf, .iov_len = 1 };

    close(f->peer);
    f->peer = -1;
    g_assert_cmpint(io_channel_writev(f->ioc, &iov, 1), ==, -EPIPE);
}

/* Data that nobody waits for must not make the loop spin. */
static void test_unread_data_leaves_loop_idle(Fixture *f, gconstpointer data)
{
    coroutine_start(read_some, f);
    peer_says(f, "a");
    poll_until(&f->done);
    peer_says(f, "b");
    poll_idle();
    g_assert_false(aio_poll(f->ctx, false));

    f->done = false;
    coroutine_start(read_some, f);
    poll_until(&f->done);
    g_assert_cmpint(f->buf[0], ==, 'b');
}

static void peer_sends_fd(Fixture *f, int fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char byte = 'f';
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.buf,
        .msg_controllen = sizeof(control.buf),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    g_assert_cmpint(sendmsg(f->peer, &msg, 0), ==, 1);
}

static void hung_up(void *opaque)
{
    Fixture *f = opaque;

    f->done = true;
}

static void test_hang_up_behind_unread_data(Fixture *f, gconstpointer data)
{
    io_channel_set_hangup_handler(f->ioc, hung_up, f);
    peer_says(f, "abc");
    poll_idle();
    g_assert_false(f->done);
    shutdown(f->peer, SHUT_WR);
    poll_until(&f->done);

    /* Once, and nothing keeps the loop busy. */
    f->done = false;
    poll_idle();
    g_assert_false(f->done);
    f->done = false;
    coroutine_start(read_some, f);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 3);
}

static void test_hang_up_nobody_asks_for_any_more(Fixture *f,
                                                  gconstpointer data)
{
    io_channel_set_hangup_handler(f->ioc, hung_up, f);
    io_channel_set_hangup_handler(f->ioc, NULL, NULL);
    shutdown(f->peer, SHUT_WR);
    poll_idle();
    g_assert_false(f->done);
}

static void test_descriptor_comes_along(Fixture *f, gconstpointer data)
{
    int fd;

    g_assert_cmpint(io_channel_take_fd(f->ioc), ==, -1);
    peer_sends_fd(f, f->peer);
    coroutine_start(read_some, f);
    poll_until(&f->done);
    fd = io_channel_take_fd(f->ioc);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(io_channel_take_fd(f->ioc), ==, -1);
    close(fd);
}

static void test_unix_peer(Fixture *f, gconstpointer data)
{
    g_assert_true(io_channel_is_unix(f->ioc));
    g_assert_cmpstr(io_channel_peer_name(f->ioc), ==, "unix:");
}

static void test_pipe_in_two_directions(Fixture *f, gconstpointer data)
{
    int in[2], out[2];
    char byte;

    g_assert_cmpint(pipe(in), ==, 0);
    g_assert_cmpint(pipe(out), ==, 0);
    io_channel_unref(f->ioc);
    f->ioc = io_channel_new_fd_pair(in[0], out[1]);

    coroutine_start(read_some, f);
    poll_idle();
    g_assert_false(f->done);
    g_assert_cmpint(write(in[1], "q", 1), ==, 1);
    poll_until(&f->done);
    g_assert_cmpint(f->buf[0], ==, 'q');

    g_assert_cmpint(io_channel_writev(f->ioc, &(struct iovec){ f->buf, 1 }, 1),
                    ==, 1);
    g_assert_cmpint(read(out[0], &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, 'q');
    close(in[1]);
    close(out[0]);
}

static void test_dev_null_needs_no_epoll(Fixture *f, gconstpointer data)
{
    io_channel_unref(f->ioc);
    f->ioc = io_channel_new_fd(open("/dev/null", O_RDWR));
    coroutine_start(read_some, f);
    poll_until(&f->done);
    g_assert_cmpint(f->ret, ==, 0);
}

/* Data of a pipe, behind some of memory */

static void make_pipe(int fd[2], size_t bytes)
{
    g_autofree char *data = g_malloc(bytes);

    memset(data, 'p', bytes);
    g_assert_cmpint(pipe2(fd, O_CLOEXEC | O_NONBLOCK), ==, 0);
    g_assert_cmpint(fcntl(fd[1], F_SETPIPE_SZ, bytes), >=, bytes);
    g_assert_cmpint(write(fd[1], data, bytes), ==, bytes);
}

static void close_pipe(int fd[2])
{
    close(fd[0]);
    close(fd[1]);
}

static void test_pipe_follows_memory(Fixture *f, gconstpointer data)
{
    struct iovec iov[2] = { { (char *)"abc", 3 }, { (char *)"de", 2 } };
    char buf[16];
    int fd[2];

    make_pipe(fd, 4096);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, iov, 2, fd[0], 4), ==, 9);
    g_assert_cmpint(read(f->peer, buf, sizeof(buf)), ==, 9);
    g_assert_cmpmem(buf, 9, "abcdepppp", 9);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, fd[0], 2), ==, 2);
    g_assert_cmpint(read(f->peer, buf, sizeof(buf)), ==, 2);
    close_pipe(fd);
}

static void test_pipe_to_full_socket(Fixture *f, gconstpointer data)
{
    struct iovec iov = { (char *)"abc", 3 };
    g_autofree char *buf = g_malloc(1 * MiB);
    ssize_t sent, received = 0, n;
    int fd[2];

    make_pipe(fd, 1 * MiB);
    sent = io_channel_writev_pipe(f->ioc, &iov, 1, fd[0], 1 * MiB);
    g_assert_cmpint(sent, >, 3);
    g_assert_cmpint(sent, <, 1 * MiB);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, &iov, 1, fd[0], 1), ==,
                    -EAGAIN);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, fd[0], 1), ==,
                    -EAGAIN);
    while (received < sent) {
        n = read(f->peer, buf, 1 * MiB);
        g_assert_cmpint(n, >, 0);
        received += n;
    }
    g_assert_cmpint(received, ==, sent);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, fd[0], 1), ==, 1);
    close_pipe(fd);
}

/* What was sent before a failure is told first. */
static void test_memory_before_a_bad_pipe(Fixture *f, gconstpointer data)
{
    struct iovec iov = { (char *)"abc", 3 };
    char buf[16];

    g_assert_cmpint(io_channel_writev_pipe(f->ioc, &iov, 1, -1, 1), ==, 3);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, -1, 1), ==,
                    -EBADF);
    g_assert_cmpint(read(f->peer, buf, sizeof(buf)), ==, 3);
}

static void test_pipe_to_closed_peer(Fixture *f, gconstpointer data)
{
    struct iovec iov = { (char *)"abc", 3 };
    int fd[2];

    make_pipe(fd, 4096);
    close(f->peer);
    f->peer = -1;
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, &iov, 1, fd[0], 1), ==,
                    -EPIPE);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, fd[0], 1), ==,
                    -EPIPE);
    io_channel_shutdown(f->ioc);
    g_assert_cmpint(io_channel_writev_pipe(f->ioc, NULL, 0, fd[0], 1), ==,
                    -EPIPE);
    close_pipe(fd);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        { "/channel/read-would-block", test_read_would_block },
        { "/channel/read-waits-for-data", test_read_waits_for_data },
        { "/channel/read-full-joins-pieces", test_read_full_joins_pieces },
        { "/channel/end/before-first-byte", test_end_before_first_byte },
        { "/channel/end/within", test_end_within },
        { "/channel/shutdown/wakes-reader", test_shutdown_wakes_reader },
        { "/channel/shutdown/wakes-writer", test_shutdown_wakes_writer },
        { "/channel/shutdown/after", test_after_shutdown },
        { "/channel/write-full-waits-for-room",
          test_write_full_waits_for_room },
        { "/channel/write-to-closed-peer", test_write_to_closed_peer },
        { "/channel/pipe/follows-memory", test_pipe_follows_memory },
        { "/channel/pipe/full-socket", test_pipe_to_full_socket },
        { "/channel/pipe/bad", test_memory_before_a_bad_pipe },
        { "/channel/pipe/closed-peer", test_pipe_to_closed_peer },
        { "/channel/unread-data-leaves-loop-idle",
          test_unread_data_leaves_loop_idle },
        { "/channel/hang-up/behind-unread-data",
          test_hang_up_behind_unread_data },
        { "/channel/hang-up/nobody-asks-any-more",
          test_hang_up_nobody_asks_for_any_more },
        { "/channel/descriptor-comes-along", test_descriptor_comes_along },
        { "/channel/unix-peer", test_unix_peer },
        { "/channel/pipe-in-two-directions", test_pipe_in_two_directions },
        { "/channel/dev-null-needs-no-epoll", test_dev_null_needs_no_epoll },
    };

    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
