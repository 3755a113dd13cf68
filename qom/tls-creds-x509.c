/*
 * tls-creds-x509: TLS by certificates
 *
 * The folder holds ca-cert.pem, the certificate and key of this end, and
 * optionally ca-crl.pem and dh-params.pem: the same files as for QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/tls-creds.h"

#ifdef CONFIG_GNUTLS

typedef struct X509Files {
    char *ca;
    char *crl;
    char *cert;
    char *key;
    char *dh;
} X509Files;

static void x509_files_clear(X509Files *f)
{
    g_free(f->ca);
    g_free(f->crl);
    g_free(f->cert);
    g_free(f->key);
    g_free(f->dh);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(X509Files, x509_files_clear)

/* A server needs its own certificate, a client only if it has one. */
static bool x509_find_files(TLSCreds *creds, X509Files *f, GError **errp)
{
    bool srv = creds->server;

    return tls_creds_path(creds, "ca-cert.pem", true, &f->ca, errp) &&
           tls_creds_path(creds, "ca-crl.pem", false, &f->crl, errp) &&
           tls_creds_path(creds, srv ? "server-cert.pem" : "client-cert.pem",
                          srv, &f->cert, errp) &&
           tls_creds_path(creds, srv ? "server-key.pem" : "client-key.pem",
                          srv || f->cert, &f->key, errp) &&
           tls_creds_path(creds, "dh-params.pem", false, &f->dh, errp);
}

static bool x509_load_own(TLSCreds *creds, const X509Files *f,
                          const char *passwordid, GError **errp)
{
    g_autofree char *password = NULL;
    int ret;

    if (!f->cert || !f->key) {
        return true;
    }
    if (passwordid) {
        password = secret_lookup_utf8(passwordid, errp);
        if (!password) {
            return false;
        }
    }
    ret = gnutls_certificate_set_x509_key_file2(creds->x509, f->cert, f->key,
                                                GNUTLS_X509_FMT_PEM, password,
                                                0);
    if (password) {
        explicit_bzero(password, strlen(password));
    }
    if (ret < 0) {
        error_setg(errp, "Cannot load certificate '%s' & key '%s': %s",
                   f->cert, f->key, gnutls_strerror(ret));
        return false;
    }
    return true;
}

static bool x509_load_dh(TLSCreds *creds, const char *path, GError **errp)
{
    g_autofree char *text = NULL;
    gnutls_datum_t datum;
    int ret;

    text = tls_creds_read(path, &datum, errp);
    if (!text) {
        return false;
    }
    ret = gnutls_dh_params_init(&creds->dh_params);
    if (ret == 0) {
        ret = gnutls_dh_params_import_pkcs3(creds->dh_params, &datum,
                                            GNUTLS_X509_FMT_PEM);
    }
    if (ret < 0) {
        error_setg(errp, "Unable to load DH parameters from %s: %s", path,
                   gnutls_strerror(ret));
        return false;
    }
    gnutls_certificate_set_dh_params(creds->x509, creds->dh_params);
    return true;
}

static bool x509_load_files(TLSCreds *creds, const X509Files *f,
                            const char *passwordid, GError **errp)
{
    int ret = gnutls_certificate_allocate_credentials(&creds->x509);

    if (ret < 0) {
        error_setg(errp, "Cannot allocate credentials: %s",
                   gnutls_strerror(ret));
        return false;
    }
    ret = gnutls_certificate_set_x509_trust_file(creds->x509, f->ca,
                                                 GNUTLS_X509_FMT_PEM);
    if (ret <= 0) {
        error_setg(errp, "Cannot load CA certificate '%s': %s", f->ca,
                   ret < 0 ? gnutls_strerror(ret) : "no certificate in it");
        return false;
    }
    if (!x509_load_own(creds, f, passwordid, errp)) {
        return false;
    }
    if (f->crl) {
        ret = gnutls_certificate_set_x509_crl_file(creds->x509, f->crl,
                                                   GNUTLS_X509_FMT_PEM);
        if (ret < 0) {
            error_setg(errp, "Cannot load CRL '%s': %s", f->crl,
                       gnutls_strerror(ret));
            return false;
        }
    }
    if (creds->server && f->dh) {
        return x509_load_dh(creds, f->dh, errp);
    }
    return true;
}

static bool x509_load(TLSCreds *creds, const TlsCredsX509Properties *props,
                      GError **errp)
{
    g_auto(X509Files) files = { 0 };

    if (!x509_find_files(creds, &files, errp)) {
        return false;
    }
    if ((!props->has_sanity_check || props->sanity_check) &&
        !tls_x509_sanity_check(creds->server, files.ca, files.cert, errp)) {
        return false;
    }
    return x509_load_files(creds, &files, props->passwordid, errp);
}

static void x509_unload(TLSCreds *creds)
{
    if (creds->x509) {
        gnutls_certificate_free_credentials(creds->x509);
    }
    if (creds->dh_params) {
        gnutls_dh_params_deinit(creds->dh_params);
    }
}

#else

static bool x509_load(TLSCreds *creds, const TlsCredsX509Properties *props,
                      GError **errp)
{
    g_assert_not_reached();
}

static void x509_unload(TLSCreds *creds)
{
}

#endif

static bool x509_init(Object *obj, const ObjectOptions *options,
                      GError **errp)
{
    TLSCreds *creds = container_of(obj, TLSCreds, obj);
    const TlsCredsX509Properties *props = &options->u.tls_creds_x509;

    /* The members of the base come first in @props. */
    return tls_creds_init_common(creds,
                                 (const TlsCredsProperties *)props,
                                 "", errp) &&
           x509_load(creds, props, errp);
}

static void x509_finalize(Object *obj)
{
    TLSCreds *creds = container_of(obj, TLSCreds, obj);

    x509_unload(creds);
    tls_creds_finalize_common(creds);
}

const ObjectTypeInfo tls_creds_x509_type = {
    .type           = OBJECT_TYPE_TLS_CREDS_X509,
    .instance_size  = sizeof(TLSCreds),
    .init           = x509_init,
    .finalize       = x509_finalize,
};
