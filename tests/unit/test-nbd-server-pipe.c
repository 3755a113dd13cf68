/*
 * The NBD server's large reads of data that need not be copied
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <signal.h>
#include <sys/mman.h>

#include "descriptors.h"
#include "nbd-server-fixture.h"

#define LARGE (256 * KiB)

/* A disk of a pattern without zeroes, in memory and in a file alike */
static void setup_file(Fixture *f, gconstpointer data)
{
    setup(f, data);
    for (int i = 0; i < DISK_SIZE; i++) {
        f->disk.data[i] = 1 + (i ^ i >> 8 ^ i >> 16) % 255;
    }
    f->disk.file = memfd_create("disk", MFD_CLOEXEC);
    g_assert_cmpint(f->disk.file, >, 0);
    g_assert_cmpint(pwrite(f->disk.file, f->disk.data, DISK_SIZE, 0), ==,
                    DISK_SIZE);
}

static void teardown_file(Fixture *f, gconstpointer data)
{
    int file = f->disk.file;

    teardown(f, data);
    close(file);
}

static void expect_data(Fixture *f, uint64_t offset, uint32_t length)
{
    g_autofree uint8_t *buf = g_malloc(length);

    recv_bytes(f, buf, length);
    g_assert_cmpmem(buf, length, f->disk.data + offset, length);
}

static void send_read(Fixture *f, uint64_t cookie, uint64_t offset,
                      uint32_t length)
{
    send_request(f, NBD_CMD_READ, 0, cookie, offset, length);
}

static void expect_read(Fixture *f, uint64_t cookie, uint64_t offset,
                        uint32_t length)
{
    expect_simple(f, cookie, 0);
    expect_data(f, offset, length);
}

static void let_idle_time_pass(Fixture *f)
{
    for (int i = 0; i < 5; i++) {
        f->clock.now_ns += 3 * NANOSECONDS_PER_SECOND;
        turn(f);
    }
}

static void test_taken_reads_arrive(Fixture *f, gconstpointer d)
{
    static const struct {
        uint64_t offset;
        uint32_t length;
    } cases[] = {
        { 0, LARGE }, { 512, 64 * KiB }, { 4096, 1 * MiB },
        { 123, 1 * MiB + 777 }, { 0, DISK_SIZE }, { 1, DISK_SIZE - 1 },
    };

    client_go(f, false);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        send_read(f, i, cases[i].offset, cases[i].length);
        expect_read(f, i, cases[i].offset, cases[i].length);
        g_assert_cmpuint(f->disk.n_taken, ==, i + 1);
    }
}

static void test_structured_reply(Fixture *f, gconstpointer d)
{
    uint8_t offset[8];
    NBDChunk chunk;

    client_go(f, true);
    send_read(f, 7, 4096, LARGE);
    chunk = recv_chunk(f, 7);
    g_assert_cmpint(chunk.type, ==, NBD_REPLY_TYPE_OFFSET_DATA);
    g_assert_cmpint(chunk.flags, ==, NBD_REPLY_FLAG_DONE);
    g_assert_cmpint(chunk.length, ==, 8 + LARGE);
    recv_bytes(f, offset, 8);
    g_assert_cmpint(nbd_get64(offset), ==, 4096);
    expect_data(f, 4096, LARGE);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
}

static void test_small_reads_are_copied(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_read(f, 1, 0, 64 * KiB - 1);
    expect_read(f, 1, 0, 64 * KiB - 1);
    g_assert_cmpuint(f->disk.n_taken, ==, 0);
}

/* What cannot be taken is copied and follows. */
static void test_front_is_taken(Fixture *f, gconstpointer d)
{
    g_assert_cmpint(ftruncate(f->disk.file, 100000), ==, 0);
    client_go(f, false);
    send_read(f, 1, 1000, LARGE);
    expect_read(f, 1, 1000, LARGE);
    send_read(f, 2, 100000, LARGE);
    expect_read(f, 2, 100000, LARGE);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
}

static void test_replies_keep_their_order(Fixture *f, gconstpointer d)
{
    enum { N = 60 };

    client_go(f, false);
    for (int i = 0; i < N; i++) {
        send_read(f, i, i * 5000, i % 3 ? 4096 : LARGE);
    }
    turn(f);
    for (int i = 0; i < N; i++) {
        expect_read(f, i, i * 5000, i % 3 ? 4096 : LARGE);
    }
    g_assert_cmpuint(f->disk.n_taken, >, 0);
}

/* There is time to copy for a client that is behind. */
static void test_full_socket(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    send_read(f, 1, 0, 640 * KiB);
    turn(f);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
    send_read(f, 2, 0, 128 * KiB);
    turn(f);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
    /* But not for so much. */
    send_read(f, 3, 0, 512 * KiB);
    turn(f);
    g_assert_cmpuint(f->disk.n_taken, ==, 2);
    expect_read(f, 1, 0, 640 * KiB);
    expect_read(f, 2, 0, 128 * KiB);
    expect_read(f, 3, 0, 512 * KiB);
    send_read(f, 4, 0, 128 * KiB);
    expect_read(f, 4, 0, 128 * KiB);
    g_assert_cmpuint(f->disk.n_taken, ==, 3);
}

static void test_error_after_taking(Fixture *f, gconstpointer d)
{
    client_go(f, false);
    f->disk.fail = EIO;
    send_read(f, 1, 0, LARGE);
    expect_simple(f, 1, NBD_EIO);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
    f->disk.fail = 0;
    send_read(f, 2, 4096, LARGE);
    expect_read(f, 2, 4096, LARGE);
}

static void test_client_leaves_within_a_reply(Fixture *f, gconstpointer d)
{
    unsigned before = count_descriptors();

    for (int i = 0; i < 3; i++) {
        client_go(f, false);
        for (int j = 0; j < 5; j++) {
            send_read(f, j, 0, DISK_SIZE);
        }
        turn(f);
        g_assert_cmpuint(f->disk.n_taken, >, i);
        shutdown(f->fd, SHUT_RDWR);
        turn(f);
        g_assert_cmpint(nbd_server_connections(f->server), ==, 0);
    }
    let_idle_time_pass(f);
    g_assert_cmpuint(count_descriptors(), ==, before + 1);
}

static void test_pipes_are_given_back_when_idle(Fixture *f, gconstpointer d)
{
    unsigned before;

    client_go(f, false);
    before = count_descriptors();
    send_read(f, 1, 0, DISK_SIZE);
    expect_read(f, 1, 0, DISK_SIZE);
    g_assert_cmpuint(count_descriptors(), >, before);
    let_idle_time_pass(f);
    g_assert_cmpuint(count_descriptors(), ==, before);
    g_assert_cmpint(aio_next_deadline_ns(f->ctx), ==, -1);
}

static void test_without_pipes(Fixture *f, gconstpointer d)
{
    struct rlimit limit;

    client_go(f, false);
    limit = leave_descriptors(1);
    send_read(f, 1, 0, LARGE);
    expect_read(f, 1, 0, LARGE);
    setrlimit(RLIMIT_NOFILE, &limit);
    g_assert_cmpuint(f->disk.n_taken, ==, 0);

    /* It is tried again after a while. */
    let_idle_time_pass(f);
    send_read(f, 2, 0, LARGE);
    expect_read(f, 2, 0, LARGE);
    g_assert_cmpuint(f->disk.n_taken, ==, 1);
}

/* No more pipes than a user may have, however much is asked for. */
static void test_pipes_are_few(Fixture *f, gconstpointer d)
{
    enum { N = 100 };
    unsigned before;

    client_go(f, false);
    before = count_descriptors();
    f->disk.slow = true;
    for (int i = 0; i < N; i++) {
        send_read(f, i, i * 512, 128 * KiB);
    }
    for (int i = 0; i < N; i++) {
        aio_poll(f->ctx, false);
        g_assert_cmpuint(count_descriptors() - before, <=, 2 * 64);
    }
    for (int i = 0; i < N; i++) {
        expect_read(f, i, i * 512, 128 * KiB);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "arrive", test_taken_reads_arrive },
        { "structured", test_structured_reply },
        { "small", test_small_reads_are_copied },
        { "front", test_front_is_taken },
        { "order", test_replies_keep_their_order },
        { "full-socket", test_full_socket },
        { "error", test_error_after_taking },
        { "client-leaves", test_client_leaves_within_a_reply },
        { "idle", test_pipes_are_given_back_when_idle },
        { "refused", test_without_pipes },
        { "few", test_pipes_are_few },
    };

    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/nbd-server/pipe/%s",
                                                tests[i].path);

        g_test_add(path, Fixture, NULL, setup_file, tests[i].func,
                   teardown_file);
    }
    return g_test_run();
}
