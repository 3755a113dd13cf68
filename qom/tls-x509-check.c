/*
 * Looking for mistakes in certificates when they are loaded
 *
 * What is wrong with them otherwise shows as a failed handshake with a text
 * that helps nobody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/tls-creds.h"

#include <gnutls/x509.h>
#include <time.h>

typedef struct CertList {
    gnutls_x509_crt_t *crt;
    unsigned n;
} CertList;

static void cert_list_clear(CertList *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        gnutls_x509_crt_deinit(list->crt[i]);
    }
    gnutls_free(list->crt);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CertList, cert_list_clear)

static bool cert_list_load(CertList *list, const char *path, GError **errp)
{
    g_autofree char *text = NULL;
    gnutls_datum_t datum;
    int ret;

    text = tls_creds_read(path, &datum, errp);
    if (!text) {
        return false;
    }
    ret = gnutls_x509_crt_list_import2(&list->crt, &list->n, &datum,
                                       GNUTLS_X509_FMT_PEM, 0);
    if (ret < 0) {
        error_setg(errp, "Unable to import certificate %s: %s", path,
                   gnutls_strerror(ret));
        return false;
    }
    return true;
}

static bool check_times(gnutls_x509_crt_t crt, const char *what,
                        const char *path, GError **errp)
{
    time_t now = time(NULL);

    if (gnutls_x509_crt_get_expiration_time(crt) < now) {
        error_setg(errp, "The %s certificate %s has expired", what, path);
        return false;
    }
    if (gnutls_x509_crt_get_activation_time(crt) > now) {
        error_setg(errp, "The %s certificate %s is not yet active", what,
                   path);
        return false;
    }
    return true;
}

static bool check_is_ca(gnutls_x509_crt_t crt, bool want_ca, const char *what,
                        const char *path, GError **errp)
{
    int ret = gnutls_x509_crt_get_basic_constraints(crt, NULL, NULL, NULL);

    if (ret > 0 && !want_ca) {
        error_setg(errp, "The %s certificate %s basic constraints show a CA, "
                   "but we need one for a %s", what, path, what);
        return false;
    }
    if (ret == 0 && want_ca) {
        error_setg(errp, "The CA certificate %s basic constraints do not show "
                   "a CA", path);
        return false;
    }
    return true;
}

/* A certificate with no list of purposes is good for all of them. */
static bool check_purpose(gnutls_x509_crt_t crt, bool server,
                          const char *what, const char *path, GError **errp)
{
    const char *wanted = server ? GNUTLS_KP_TLS_WWW_SERVER
                                : GNUTLS_KP_TLS_WWW_CLIENT;

    for (int i = 0; ; i++) {
        char oid[128];
        size_t size = sizeof(oid);
        int ret = gnutls_x509_crt_get_key_purpose_oid(crt, i, oid, &size,
                                                      NULL);

        if (ret == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && i == 0) {
            return true;
        }
        if (ret < 0) {
            break;
        }
        if (!strcmp(oid, wanted) || !strcmp(oid, GNUTLS_KP_ANY)) {
            return true;
        }
    }
    error_setg(errp, "Certificate %s purpose does not allow use with a TLS %s",
               path, what);
    return false;
}

static const char *verify_reason(unsigned status)
{
    if (status & GNUTLS_CERT_REVOKED) {
        return "The certificate has been revoked";
    }
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
        return "The certificate uses an insecure algorithm";
    }
    if (status & GNUTLS_CERT_SIGNER_NOT_CA) {
        return "The certificate's issuer is not a CA";
    }
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        return "The certificate hasn't got a known issuer";
    }
    return "The certificate is not trusted";
}

static bool check_signed(const CertList *cert, const CertList *ca,
                         const char *cert_path, const char *ca_path,
                         GError **errp)
{
    unsigned status = 0;
    int ret = gnutls_x509_crt_list_verify(cert->crt, cert->n, ca->crt, ca->n,
                                          NULL, 0, 0, &status);

    if (ret < 0 || status) {
        error_setg(errp, "Our own certificate %s failed validation against "
                   "%s: %s", cert_path, ca_path,
                   ret < 0 ? gnutls_strerror(ret) : verify_reason(status));
        return false;
    }
    return true;
}

bool tls_x509_sanity_check(bool server, const char *ca_path,
                           const char *cert_path, GError **errp)
{
    const char *what = server ? "server" : "client";
    g_auto(CertList) ca = { 0 };
    g_auto(CertList) cert = { 0 };

    if (!cert_list_load(&ca, ca_path, errp)) {
        return false;
    }
    for (unsigned i = 0; i < ca.n; i++) {
        if (!check_times(ca.crt[i], "CA", ca_path, errp) ||
            !check_is_ca(ca.crt[i], true, "CA", ca_path, errp)) {
            return false;
        }
    }
    if (!cert_path) {
        return true;
    }
    return cert_list_load(&cert, cert_path, errp) &&
           check_times(cert.crt[0], what, cert_path, errp) &&
           check_is_ca(cert.crt[0], false, what, cert_path, errp) &&
           check_purpose(cert.crt[0], server, what, cert_path, errp) &&
           check_signed(&cert, &ca, cert_path, ca_path, errp);
}
