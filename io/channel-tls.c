/*
 * TLS channels: records over a plain channel
 *
 * GnuTLS never touches the plain channel itself: it takes complete records
 * from one buffer and puts records into another.  So a write of many records
 * is one system call, as is a read, and GnuTLS never sees half a record.
 *
 * A write that could not be sent to the end returns -EAGAIN though its bytes
 * are encrypted already; the repeated write sends the rest and then counts
 * them.  Writers repeat the same bytes (io/channel.h), so nothing is lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/tls-int.h"

/* Header, and the most that a record may carry with all its extras. */
#define TLS_HEADER_SIZE 5
#define TLS_RECORD_MAX (TLS_HEADER_SIZE + 16384 + 2048)

/* Several records a system call. */
#define TLS_IN_SIZE (64 * 1024)

/* The payload of a full record, and how much of a write is sent at once. */
#define TLS_PAYLOAD_MAX 16384
#define TLS_WRITE_BATCH (256 * 1024)

/* A larger buffer is given back when it is empty. */
#define TLS_OUT_KEEP (32 * 1024)

static TLSChannel *to_tls_channel(IOChannel *ioc)
{
    return container_of(ioc, TLSChannel, base);
}

static int tls_errno(int gnutls_err)
{
    switch (gnutls_err) {
    case GNUTLS_E_AGAIN:
        return -EAGAIN;
    case GNUTLS_E_PREMATURE_TERMINATION:
        return -ECONNABORTED;
    default:
        return -EIO;
    }
}

/* Receiving */

/*
 * The size of the record at the front of the buffer if all of it is there,
 * else 0.  What is no record is passed on as it is: GnuTLS knows the error.
 */
static size_t tls_complete_record(const TLSChannel *t)
{
    const uint8_t *p = t->in + t->in_pos;
    size_t avail = t->in_len - t->in_pos;
    size_t size;

    if (avail == 0) {
        return 0;
    }
    if (p[0] < 20 || p[0] > 24) {
        return avail;
    }
    if (avail < TLS_HEADER_SIZE) {
        return 0;
    }
    size = TLS_HEADER_SIZE + (p[3] << 8 | p[4]);
    if (size > TLS_RECORD_MAX) {
        return avail;
    }
    return avail >= size ? size : 0;
}

/* One read from the plain channel. */
static void tls_fill(TLSChannel *t)
{
    struct iovec iov;
    ssize_t ret;

    if (!t->in) {
        t->in = g_malloc(TLS_IN_SIZE);
    }
    if (t->in_pos) {
        memmove(t->in, t->in + t->in_pos, t->in_len - t->in_pos);
        t->in_len -= t->in_pos;
        t->in_pos = 0;
    }
    iov.iov_base = t->in + t->in_len;
    iov.iov_len = TLS_IN_SIZE - t->in_len;
    ret = io_channel_readv(t->plain, &iov, 1);
    t->in_err = MIN(ret, 0);
    if (ret == 0) {
        t->in_eof = true;
    } else if (ret > 0) {
        t->in_len += ret;
    }
}

/*
 * Whether GnuTLS can take something: a record, or the rest of it, or what is
 * left at the end of the stream.  If not, in_err says why (0: the end).
 */
static bool tls_have_record(TLSChannel *t)
{
    while (t->in_record == 0) {
        t->in_record = tls_complete_record(t);
        if (t->in_record) {
            break;
        }
        if (t->in_eof) {
            t->in_err = 0;
            t->in_record = t->in_len - t->in_pos;
            return t->in_record > 0;
        }
        tls_fill(t);
        if (t->in_err < 0) {
            return false;
        }
    }
    return true;
}

static ssize_t tls_pull(gnutls_transport_ptr_t ptr, void *buf, size_t len)
{
    TLSChannel *t = ptr;

    if (!tls_have_record(t)) {
        gnutls_transport_set_errno(t->session, -t->in_err);
        return t->in_err ? -1 : 0;
    }
    len = MIN(len, t->in_record);
    memcpy(buf, t->in + t->in_pos, len);
    t->in_pos += len;
    t->in_record -= len;
    return len;
}

/* One read of GnuTLS's: at most the rest of a record. */
static ssize_t tls_recv(TLSChannel *t, void *buf, size_t len)
{
    ssize_t ret;

    do {
        ret = gnutls_record_recv(t->session, buf, len);
    } while (ret == GNUTLS_E_INTERRUPTED ||
             ret == GNUTLS_E_WARNING_ALERT_RECEIVED);
    return ret < 0 ? tls_errno(ret) : ret;
}

static bool tls_has_buffered_data(TLSChannel *t)
{
    return gnutls_record_check_pending(t->session) > 0 ||
           t->in_record || tls_complete_record(t);
}

static ssize_t tls_channel_readv(IOChannel *ioc, const struct iovec *iov,
                                 int niov)
{
    TLSChannel *t = to_tls_channel(ioc);
    size_t done = 0;
    ssize_t ret = 0;

    for (int i = 0; i < niov; i++) {
        size_t pos = 0;

        while (pos < iov[i].iov_len) {
            if (done && !tls_has_buffered_data(t)) {
                goto out;
            }
            ret = tls_recv(t, (char *)iov[i].iov_base + pos,
                           iov[i].iov_len - pos);
            if (ret <= 0) {
                goto out;
            }
            pos += ret;
            done += ret;
        }
    }
out:
    /* Answers that the protocol itself asks for; a writer sends the rest. */
    if (t->out->len > t->out_pos && !t->out_plain) {
        tls_channel_flush(t);
    }
    if (t->plain->shut && !done) {
        return 0;
    }
    return done ? (ssize_t)done : ret;
}

/* Sending */

static ssize_t tls_push(gnutls_transport_ptr_t ptr, const void *buf,
                        size_t len)
{
    TLSChannel *t = ptr;

    g_byte_array_append(t->out, buf, len);
    return len;
}

int tls_channel_flush(TLSChannel *t)
{
    while (t->out_pos < t->out->len) {
        struct iovec iov = {
            .iov_base = t->out->data + t->out_pos,
            .iov_len = t->out->len - t->out_pos,
        };
        ssize_t ret = io_channel_writev(t->plain, &iov, 1);

        if (ret < 0) {
            return ret;
        }
        t->out_pos += ret;
    }
    t->out_pos = 0;
    if (t->out->len > TLS_OUT_KEEP) {
        g_byte_array_unref(t->out);
        t->out = g_byte_array_new();
    } else {
        g_byte_array_set_size(t->out, 0);
    }
    return 0;
}

static bool tls_encrypt(TLSChannel *t, const void *buf, size_t len)
{
    return gnutls_record_send(t->session, buf, len) == (ssize_t)len;
}

/*
 * Encrypt the front of @iov in full records, so that small pieces share one.
 * Returns how many bytes that were, or -EIO.
 */
static ssize_t tls_encrypt_iov(TLSChannel *t, const struct iovec *iov,
                               int niov)
{
    g_autofree uint8_t *stage = NULL;
    size_t staged = 0, done = 0;

    for (int i = 0; i < niov && done < TLS_WRITE_BATCH; i++) {
        const uint8_t *p = iov[i].iov_base;
        size_t left = MIN(iov[i].iov_len, TLS_WRITE_BATCH - done);

        done += left;
        while (left) {
            size_t n = MIN(left, TLS_PAYLOAD_MAX - staged);

            if (n == TLS_PAYLOAD_MAX) {
                if (!tls_encrypt(t, p, n)) {
                    return -EIO;
                }
            } else {
                stage = stage ?: g_malloc(TLS_PAYLOAD_MAX);
                memcpy(stage + staged, p, n);
                staged += n;
                if (staged == TLS_PAYLOAD_MAX) {
                    if (!tls_encrypt(t, stage, staged)) {
                        return -EIO;
                    }
                    staged = 0;
                }
            }
            p += n;
            left -= n;
        }
    }
    return !staged || tls_encrypt(t, stage, staged) ? (ssize_t)done : -EIO;
}

static ssize_t tls_channel_writev(IOChannel *ioc, const struct iovec *iov,
                                  int niov)
{
    TLSChannel *t = to_tls_channel(ioc);
    ssize_t ret;

    if (!t->out_plain) {
        ret = tls_encrypt_iov(t, iov, niov);
        if (ret < 0) {
            return ret;
        }
        t->out_plain = ret;
    }
    ret = tls_channel_flush(t);
    if (ret < 0) {
        return ret;
    }
    ret = t->out_plain;
    t->out_plain = 0;
    return ret;
}

/* The rest of the channel */

static void coroutine_fn tls_channel_co_wait(IOChannel *ioc,
                                             IOChannelDirection dir)
{
    TLSChannel *t = to_tls_channel(ioc);

    if (dir == IO_CHANNEL_READ && tls_has_buffered_data(t)) {
        return;
    }
    io_channel_co_wait(t->plain, dir);
}

/* Tell the peer that the end is no accident, if that needs no waiting. */
static void tls_say_goodbye(TLSChannel *t)
{
    if (t->established && !t->plain->shut && t->out->len == 0) {
        gnutls_bye(t->session, GNUTLS_SHUT_WR);
        tls_channel_flush(t);
    }
    t->established = false;
}

static void tls_channel_shutdown(IOChannel *ioc)
{
    TLSChannel *t = to_tls_channel(ioc);

    tls_say_goodbye(t);
    io_channel_shutdown(t->plain);
}

static void tls_channel_set_hangup(IOChannel *ioc, AioHandler *cb,
                                   void *opaque)
{
    io_channel_set_hangup_handler(to_tls_channel(ioc)->plain, cb, opaque);
}

static int tls_channel_take_fd(IOChannel *ioc)
{
    return io_channel_take_fd(to_tls_channel(ioc)->plain);
}

static const char *tls_channel_peer_name(IOChannel *ioc)
{
    return io_channel_peer_name(to_tls_channel(ioc)->plain);
}

static bool tls_channel_is_unix(IOChannel *ioc)
{
    return io_channel_is_unix(to_tls_channel(ioc)->plain);
}

static void tls_channel_free(IOChannel *ioc)
{
    TLSChannel *t = to_tls_channel(ioc);

    if (t->session) {
        tls_say_goodbye(t);
        gnutls_deinit(t->session);
    }
    tls_creds_unref(t->creds);
    io_channel_unref(t->plain);
    g_byte_array_unref(t->out);
    g_free(t->in);
    g_free(t);
}

static const IOChannelOps tls_channel_ops = {
    .readv      = tls_channel_readv,
    .writev     = tls_channel_writev,
    .co_wait    = tls_channel_co_wait,
    .shutdown   = tls_channel_shutdown,
    .set_hangup = tls_channel_set_hangup,
    .take_fd    = tls_channel_take_fd,
    .peer_name  = tls_channel_peer_name,
    .is_unix    = tls_channel_is_unix,
    .free       = tls_channel_free,
};

TLSChannel *tls_channel_new(IOChannel *plain, TLSCreds *creds, GError **errp)
{
    TLSChannel *t = g_new0(TLSChannel, 1);

    io_channel_init(&t->base, &tls_channel_ops);
    t->plain = io_channel_ref(plain);
    t->creds = tls_creds_ref(creds);
    t->out = g_byte_array_new();
    t->session = tls_creds_new_session(creds, errp);
    if (!t->session) {
        io_channel_unref(&t->base);
        return NULL;
    }
    gnutls_transport_set_ptr(t->session, t);
    gnutls_transport_set_push_function(t->session, tls_push);
    gnutls_transport_set_pull_function(t->session, tls_pull);
    return t;
}
