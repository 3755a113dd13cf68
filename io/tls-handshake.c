/*
 * TLS handshakes, and whom we accept on the other end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io/tls.h"

#ifdef CONFIG_GNUTLS

#include <arpa/inet.h>
#include <gnutls/x509.h>

#include "io/tls-int.h"
#include "qom/authz.h"
#include "util/trace.h"

static int coroutine_fn tls_co_flush(TLSChannel *t)
{
    int ret;

    while ((ret = tls_channel_flush(t)) == -EAGAIN) {
        io_channel_co_wait(t->plain, IO_CHANNEL_WRITE);
    }
    return ret;
}

static bool coroutine_fn tls_co_handshake(TLSChannel *t, GError **errp)
{
    int ret, err;

    do {
        ret = gnutls_handshake(t->session);
        if (ret < 0 && gnutls_error_is_fatal(ret)) {
            /* The peer learns why; if it is gone, that does not matter. */
            gnutls_alert_send_appropriate(t->session, ret);
            tls_channel_flush(t);
            error_setg(errp, "TLS handshake failed: %s",
                       t->plain->shut ? g_strerror(ECANCELED)
                                      : gnutls_strerror(ret));
            return false;
        }
        err = tls_co_flush(t);
        if (err < 0) {
            error_setg_errno(errp, -err, "TLS handshake failed");
            return false;
        }
        if (ret == GNUTLS_E_AGAIN) {
            io_channel_co_wait(t->plain, IO_CHANNEL_READ);
        }
    } while (ret < 0);
    return true;
}

static const char *tls_verify_reason(unsigned status)
{
    if (status & GNUTLS_CERT_REVOKED) {
        return "The certificate has been revoked";
    }
    if (status & GNUTLS_CERT_EXPIRED) {
        return "The certificate has expired";
    }
    if (status & GNUTLS_CERT_NOT_ACTIVATED) {
        return "The certificate is not yet activated";
    }
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        return "The certificate uses an insecure algorithm";
    }
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        return "The certificate hasn't got a known issuer";
    }
    return "The certificate is not trusted";
}

/* The peer's own certificate, or NULL and an error. */
static gnutls_x509_crt_t tls_peer_cert(TLSChannel *t, GError **errp)
{
    unsigned n = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(t->session, &n);
    gnutls_x509_crt_t crt;
    int ret;

    if (!certs || n == 0) {
        error_setg(errp, "No certificate was found: the peer sent none");
        return NULL;
    }
    ret = gnutls_x509_crt_init(&crt);
    if (ret == 0) {
        ret = gnutls_x509_crt_import(crt, &certs[0], GNUTLS_X509_FMT_DER);
        if (ret < 0) {
            gnutls_x509_crt_deinit(crt);
        }
    }
    if (ret < 0) {
        error_setg(errp, "Cannot import certificate: %s",
                   gnutls_strerror(ret));
        return NULL;
    }
    return crt;
}

/* The distinguished name in @crt, or NULL and an error. */
static char *tls_cert_name(gnutls_x509_crt_t crt, GError **errp)
{
    char name[1024];
    size_t size = sizeof(name);
    int ret = gnutls_x509_crt_get_dn(crt, name, &size);

    if (ret < 0) {
        error_setg(errp, "Cannot get the name in the peer's certificate: %s",
                   gnutls_strerror(ret));
        return NULL;
    }
    return g_strdup(name);
}

/* Whether the peer's certificate is good; *@name gets its name. */
static bool tls_check_x509(TLSChannel *t, const char *hostname, char **name,
                           GError **errp)
{
    gnutls_x509_crt_t crt;
    unsigned status = 0;
    bool ok = true;
    int ret;

    crt = tls_peer_cert(t, errp);
    if (!crt) {
        return false;
    }
    ret = gnutls_certificate_verify_peers2(t->session, &status);
    if (ret < 0 || status) {
        error_setg(errp, "%s", ret < 0 ? gnutls_strerror(ret)
                                       : tls_verify_reason(status));
        ok = false;
    } else if (hostname && !gnutls_x509_crt_check_hostname(crt, hostname)) {
        error_setg(errp, "Certificate does not match the hostname %s",
                   hostname);
        ok = false;
    } else {
        *name = tls_cert_name(crt, errp);
        ok = *name != NULL;
    }
    gnutls_x509_crt_deinit(crt);
    return ok;
}

static bool tls_check_authz(const char *authz, const char *name,
                            GError **errp)
{
    bool allowed;

    if (!authz_is_allowed(authz, name, &allowed, errp)) {
        return false;
    }
    if (!allowed) {
        error_setg(errp, "TLS x509 authz check for %s is denied", name);
    }
    return allowed;
}

/* Once the handshake is done: is this whom we want to talk to? */
static bool tls_check_peer(TLSChannel *t, const char *hostname,
                           const char *authz, GError **errp)
{
    g_autofree char *name = NULL;

    if (t->creds->psk) {
        if (t->creds->server) {
            name = g_strdup(gnutls_psk_server_get_username(t->session));
        }
    } else if (t->creds->verify_peer &&
               !tls_check_x509(t, hostname, &name, errp)) {
        return false;
    }
    trace_event(tls_peer, "peer %s identity '%s' %s",
                io_channel_peer_name(t->plain), name ?: "",
                gnutls_protocol_get_name(
                    gnutls_protocol_get_version(t->session)));
    if (!authz) {
        return true;
    }
    if (!name) {
        error_setg(errp, "TLS authorization needs a client that proves its "
                   "identity: set verify-peer=on");
        return false;
    }
    return tls_check_authz(authz, name, errp);
}

static bool is_ip_address(const char *name)
{
    uint8_t addr[16];

    return inet_pton(AF_INET, name, addr) == 1 ||
           inet_pton(AF_INET6, name, addr) == 1;
}

static IOChannel *coroutine_fn tls_co_establish(IOChannel *plain,
                                                TLSCreds *creds,
                                                const char *hostname,
                                                const char *authz,
                                                GError **errp)
{
    TLSChannel *t = tls_channel_new(plain, creds, errp);

    if (!t) {
        return NULL;
    }
    if (hostname && !is_ip_address(hostname)) {
        gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, hostname,
                               strlen(hostname));
    }
    if (tls_co_handshake(t, errp)) {
        t->established = true;
        if (tls_check_peer(t, hostname, authz, errp)) {
            return &t->base;
        }
    }
    io_channel_unref(&t->base);
    return NULL;
}

IOChannel *coroutine_fn io_channel_tls_co_server(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *authz,
                                                 GError **errp)
{
    return tls_co_establish(plain, creds, NULL, authz, errp);
}

IOChannel *coroutine_fn io_channel_tls_co_client(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *hostname,
                                                 GError **errp)
{
    return tls_co_establish(plain, creds, hostname, NULL, errp);
}

#else

/* There are never any credentials: making them fails, and says why. */

IOChannel *coroutine_fn io_channel_tls_co_server(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *authz,
                                                 GError **errp)
{
    g_assert_not_reached();
}

IOChannel *coroutine_fn io_channel_tls_co_client(IOChannel *plain,
                                                 TLSCreds *creds,
                                                 const char *hostname,
                                                 GError **errp)
{
    g_assert_not_reached();
}

#endif
