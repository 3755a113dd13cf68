/*
 * NBD server: the negotiation as a sequence
 *
 * Greeting, flags, then one option after the other; nothing is read ahead,
 * so that what follows STARTTLS is never taken from the plain socket.  What
 * the options mean is in server-options.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

#include "util/trace.h"

/* A peer that goes away is no news; what it had sent by then does not count. */
static bool coroutine_fn nbd_handshake_co_read(NBDConnection *conn, void *buf,
                                               size_t bytes)
{
    int ret = io_channel_co_read_full(conn->ioc, buf, bytes);

    if (ret < 0) {
        trace_event(nbd_handshake_eof, "peer %s: %s",
                    io_channel_peer_name(conn->plain), strerror(-ret));
    }
    return ret == 0;
}

static bool coroutine_fn nbd_handshake_co_flush(NBDConnection *conn)
{
    GByteArray *out = conn->option_out;
    int ret = 0;

    if (out->len > 0) {
        ret = io_channel_co_write_full(conn->ioc, out->data, out->len);
        g_byte_array_set_size(out, 0);
    }
    return ret == 0;
}

static bool coroutine_fn nbd_handshake_co_greet(NBDConnection *conn)
{
    uint8_t greeting[NBD_GREETING_SIZE], answer[NBD_CLIENT_FLAGS_SIZE];
    uint32_t flags;

    nbd_put64(greeting, NBD_MAGIC);
    nbd_put64(greeting + 8, NBD_OPTS_MAGIC);
    nbd_put16(greeting + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    if (io_channel_co_write_full(conn->ioc, greeting, sizeof(greeting)) < 0 ||
        !nbd_handshake_co_read(conn, answer, sizeof(answer))) {
        return false;
    }

    flags = nbd_get32(answer);
    if (flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) {
        nbd_connection_fail(conn, "unknown client flags 0x%" PRIx32, flags);
        return false;
    }
    conn->fixed_newstyle = flags & NBD_FLAG_FIXED_NEWSTYLE;
    conn->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    return true;
}

static bool coroutine_fn nbd_handshake_co_tls(NBDConnection *conn)
{
    g_autoptr(GError) err = NULL;
    IOChannel *tls;

    tls = io_channel_tls_co_server(conn->plain,
                                   nbd_server_creds(conn->server),
                                   nbd_server_authz(conn->server), &err);
    if (!tls) {
        nbd_connection_fail(conn, "%s", err->message);
        return false;
    }
    io_channel_unref(conn->ioc);
    conn->ioc = tls;
    conn->tls = true;
    return true;
}

/* The next option; @data is freed by the caller in any case. */
static bool coroutine_fn nbd_handshake_co_read_option(NBDConnection *conn,
                                                      NBDOption *opt,
                                                      uint8_t **data)
{
    uint8_t header[NBD_OPTION_SIZE];

    if (!nbd_handshake_co_read(conn, header, sizeof(header))) {
        return false;
    }
    *opt = nbd_option_decode(header);
    if (opt->magic != NBD_OPTS_MAGIC) {
        nbd_connection_fail(conn, "bad magic 0x%" PRIx64 " of an option",
                            opt->magic);
        return false;
    }
    if (opt->length > NBD_MAX_OPTION_SIZE) {
        nbd_connection_fail(conn, "option %s with %" PRIu32
                            " bytes of data, more than %d",
                            nbd_opt_name(opt->option), opt->length,
                            NBD_MAX_OPTION_SIZE);
        return false;
    }
    *data = g_malloc(opt->length + 1);
    return opt->length == 0 ||
           nbd_handshake_co_read(conn, *data, opt->length);
}

bool coroutine_fn nbd_connection_co_handshake(NBDConnection *conn)
{
    if (!nbd_handshake_co_greet(conn)) {
        return false;
    }

    for (;;) {
        g_autofree uint8_t *data = NULL;
        NBDOption opt;
        NBDOptionResult result;

        if (!nbd_handshake_co_read_option(conn, &opt, &data)) {
            return false;
        }
        result = nbd_connection_option(conn, opt.option, data, opt.length);
        if (!nbd_handshake_co_flush(conn)) {
            return false;
        }
        switch (result) {
        case NBD_OPTION_NEXT:
            /* Who sends options without end leaves the loop to others. */
            co_reschedule_self();
            break;
        case NBD_OPTION_TRANSMIT:
            return true;
        case NBD_OPTION_START_TLS:
            if (!nbd_handshake_co_tls(conn)) {
                return false;
            }
            break;
        case NBD_OPTION_CLOSE:
            return false;
        }
    }
}
