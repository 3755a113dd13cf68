/*
 * TLS credentials: the objects behind io/tls.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_TLS_CREDS_H
#define QOM_TLS_CREDS_H

#ifdef CONFIG_GNUTLS
#include <gnutls/gnutls.h>
#endif

#include "io/tls.h"
#include "qom/object.h"

struct TLSCreds {
    Object obj;

    /* Set by init, constant afterwards */
    bool server;
    bool verify_peer;
    char *dir;
    char *priority;             /* complete, for GnuTLS */
    bool psk;                   /* pre-shared keys, else x509 */
#ifdef CONFIG_GNUTLS
    gnutls_certificate_credentials_t x509;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_dh_params_t dh_params;
#endif
};

extern const ObjectTypeInfo tls_creds_psk_type;
extern const ObjectTypeInfo tls_creds_x509_type;

/* For the two kinds: take over @props; @priority is the default's. */
bool tls_creds_init_common(TLSCreds *creds, const TlsCredsProperties *props,
                           const char *priority_suffix, GError **errp);
void tls_creds_finalize_common(TLSCreds *creds);

/*
 * The path of @file in the folder of @creds.  False and an error if it cannot
 * be read; but if it is missing and not @required, true and NULL.
 */
bool tls_creds_path(TLSCreds *creds, const char *file, bool required,
                    char **path, GError **errp);

#ifdef CONFIG_GNUTLS
/* The contents of @path, in @datum too; NULL, or to be freed with g_free. */
char *tls_creds_read(const char *path, gnutls_datum_t *datum, GError **errp);

/* A session of these credentials, to be freed with gnutls_deinit(). */
gnutls_session_t tls_creds_new_session(TLSCreds *creds, GError **errp);

/* Look for mistakes that would make every handshake fail.  Paths may be NULL. */
bool tls_x509_sanity_check(bool server, const char *ca_path,
                           const char *cert_path, GError **errp);
#endif

#endif
