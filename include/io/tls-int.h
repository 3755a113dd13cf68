/*
 * The TLS channel and its handshake
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_TLS_INT_H
#define IO_TLS_INT_H

#include <gnutls/gnutls.h>

#include "io/channel-int.h"
#include "qom/tls-creds.h"

typedef struct TLSChannel {
    IOChannel base;

    /* Constant */
    IOChannel *plain;
    TLSCreds *creds;
    gnutls_session_t session;

    bool established;           /* the handshake is done */

    /* What came from @plain and GnuTLS has not taken */
    uint8_t *in;
    size_t in_pos;
    size_t in_len;
    size_t in_record;           /* rest of the record that it is taking */
    bool in_eof;
    int in_err;

    /* What GnuTLS has made and @plain has not taken */
    GByteArray *out;
    size_t out_pos;
    size_t out_plain;           /* bytes of the writer's that are in @out */
} TLSChannel;

/* A channel with a session that has not begun; NULL on failure. */
TLSChannel *tls_channel_new(IOChannel *plain, TLSCreds *creds, GError **errp);

/* Send what is in @out: 0 when all is gone, else -errno. */
int tls_channel_flush(TLSChannel *t);

#endif
