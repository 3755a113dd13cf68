/*
 * TLS over a channel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IO_TLS_H
#define IO_TLS_H

#include "io/channel.h"

typedef struct TLSCreds TLSCreds;

/*
 * Look up the object @id and check that it is a tls-creds-* object for that
 * end ("server" or "client").  Holds a reference.
 */
TLSCreds *tls_creds_lookup(const char *id, bool server, GError **errp);
TLSCreds *tls_creds_ref(TLSCreds *creds);
void tls_creds_unref(TLSCreds *creds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TLSCreds, tls_creds_unref)

/*
 * Shake hands over @plain and return a channel for the data; it keeps its own
 * reference to @plain.  @hostname is the name in the server's certificate
 * (client; NULL: not checked).  @authz is the id of an authz-* object that
 * must accept the client's distinguished name (server), or NULL.  A shutdown
 * of @plain ends a handshake at once.
 */
IOChannel *coroutine_fn io_channel_tls_co_server(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *authz,
                                                 GError **errp);
IOChannel *coroutine_fn io_channel_tls_co_client(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *hostname,
                                                 GError **errp);

#endif
