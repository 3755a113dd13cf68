/*
 * What the fuzz targets share
 *
 * The loop never blocks: the peer's end is emptied in each turn, so that a
 * server with much to say does not wait for us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>

/* Inputs fit into the socket's buffer: one write takes all of it. */
#define FUZZ_INPUT_MAX (128 * 1024)

AioContext *fuzz_context(void)
{
    static AioContext *ctx;

    if (!ctx) {
        ctx = aio_context_new(NULL, NULL);
        g_assert_nonnull(ctx);
        aio_context_set_poll_max_ns(ctx, 0);
    }
    return ctx;
}

uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
    if (*size == 0) {
        return 0;
    }
    (*size)--;
    return *(*data)++;
}

void fuzz_text(const uint8_t *data, size_t size,
               void (*even)(const char *text), void (*odd)(const char *text))
{
    bool is_odd = fuzz_byte(&data, &size) % 2;
    g_autofree char *text = g_strndup((const char *)data, size);

    fuzz_context();
    (is_odd ? odd : even)(text);
}

IOChannel *fuzz_channel(const uint8_t *data, size_t size, int *peer)
{
    int fds[2], buffer = 2 * FUZZ_INPUT_MAX;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                    ==, 0);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    g_assert_cmpint(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);

    size = MIN(size, FUZZ_INPUT_MAX);
    g_assert_cmpint(send(fds[1], data, size, MSG_NOSIGNAL), ==, size);
    shutdown(fds[1], SHUT_WR);

    *peer = fds[1];
    return io_channel_new_fd(fds[0]);
}

static void empty(int peer)
{
    static uint8_t sink[64 * 1024];

    while (peer >= 0 && read(peer, sink, sizeof(sink)) > 0) {
    }
}

void fuzz_loop(CoroutineEntry *entry, bool (*busy)(void *opaque),
               void *opaque, int peer)
{
    AioContext *ctx = fuzz_context();

    coroutine_start(entry, opaque);
    while (busy(opaque)) {
        aio_poll(ctx, false);
        empty(peer);
    }
    while (aio_poll(ctx, false)) {
    }
    if (peer >= 0) {
        close(peer);
    }
    g_assert_cmpuint(coroutine_count(), ==, 0);
}
