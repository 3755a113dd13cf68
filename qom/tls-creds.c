/*
 * TLS credentials: what x509 and pre-shared keys have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/tls-creds.h"

#include "qom/file.h"

#define TLS_PRIORITY_DEFAULT "NORMAL"

TLSCreds *tls_creds_lookup(const char *id, bool server, GError **errp)
{
    Object *obj = object_lookup(id);
    TLSCreds *creds;

    if (!obj) {
        error_setg(errp, "No TLS credentials with id '%s'", id);
        return NULL;
    }
    if (obj->info != &tls_creds_x509_type && obj->info != &tls_creds_psk_type) {
        error_setg(errp, "Object with id '%s' is not TLS credentials", id);
        return NULL;
    }
    creds = container_of(obj, TLSCreds, obj);
    if (creds->server != server) {
        error_setg(errp, "Expected TLS credentials for a %s endpoint",
                   server ? "server" : "client");
        return NULL;
    }
    return tls_creds_ref(creds);
}

TLSCreds *tls_creds_ref(TLSCreds *creds)
{
    object_ref(&creds->obj);
    return creds;
}

void tls_creds_unref(TLSCreds *creds)
{
    if (creds) {
        object_unref(&creds->obj);
    }
}

bool tls_creds_path(TLSCreds *creds, const char *file, bool required,
                    char **path, GError **errp)
{
    g_autofree char *name = g_build_filename(creds->dir, file, NULL);

    *path = NULL;
    if (access(name, R_OK) < 0) {
        if (errno == ENOENT && !required) {
            return true;
        }
        error_setg_errno(errp, errno, "Unable to access credentials %s", name);
        return false;
    }
    *path = g_steal_pointer(&name);
    return true;
}

#ifdef CONFIG_GNUTLS

bool tls_creds_init_common(TLSCreds *creds, const TlsCredsProperties *props,
                           const char *priority_suffix, GError **errp)
{
    gnutls_priority_t prio;
    const char *pos = NULL;
    int ret;

    if (!props->dir) {
        error_setg(errp, "Missing 'dir' property value");
        return false;
    }
    creds->server = props->has_endpoint &&
                    props->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_SERVER;
    creds->verify_peer = !props->has_verify_peer || props->verify_peer;
    creds->dir = g_strdup(props->dir);
    creds->priority = g_strconcat(props->priority ?: TLS_PRIORITY_DEFAULT,
                                  priority_suffix, NULL);

    /* A mistake in it shows now, not at the first connection. */
    ret = gnutls_priority_init(&prio, creds->priority, &pos);
    if (ret < 0) {
        error_setg(errp, "Unable to set TLS session priority %s: %s",
                   creds->priority, gnutls_strerror(ret));
        return false;
    }
    gnutls_priority_deinit(prio);
    return true;
}

void tls_creds_finalize_common(TLSCreds *creds)
{
    g_free(creds->dir);
    g_free(creds->priority);
}

char *tls_creds_read(const char *path, gnutls_datum_t *datum, GError **errp)
{
    size_t len;
    char *text = qom_read_file(path, &len, errp);

    if (text) {
        datum->data = (unsigned char *)text;
        datum->size = len;
    }
    return text;
}

static int tls_creds_attach(TLSCreds *creds, gnutls_session_t session)
{
    if (creds->psk && creds->server) {
        return gnutls_credentials_set(session, GNUTLS_CRD_PSK,
                                      creds->psk_server);
    }
    if (creds->psk) {
        return gnutls_credentials_set(session, GNUTLS_CRD_PSK,
                                      creds->psk_client);
    }
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                                  creds->x509);
}

gnutls_session_t tls_creds_new_session(TLSCreds *creds, GError **errp)
{
    gnutls_session_t session;
    int ret = gnutls_init(&session, GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                          (creds->server ? GNUTLS_SERVER : GNUTLS_CLIENT));

    if (ret < 0) {
        error_setg(errp, "Cannot create TLS session: %s",
                   gnutls_strerror(ret));
        return NULL;
    }
    ret = gnutls_priority_set_direct(session, creds->priority, NULL);
    if (ret == 0) {
        ret = tls_creds_attach(creds, session);
    }
    if (ret < 0) {
        error_setg(errp, "Cannot set TLS session credentials: %s",
                   gnutls_strerror(ret));
        gnutls_deinit(session);
        return NULL;
    }
    if (creds->server && !creds->psk && creds->verify_peer) {
        /* A missing certificate is refused after the handshake, by name. */
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    }
    return session;
}

#else

bool tls_creds_init_common(TLSCreds *creds, const TlsCredsProperties *props,
                           const char *priority_suffix, GError **errp)
{
    error_setg(errp, "TLS credentials support requires GNUTLS: this program "
               "was built without it");
    return false;
}

void tls_creds_finalize_common(TLSCreds *creds)
{
    g_free(creds->dir);
    g_free(creds->priority);
}

#endif
