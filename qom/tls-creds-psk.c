/*
 * tls-creds-psk: TLS by pre-shared keys
 *
 * The file keys.psk has lines "username:hexadecimal key".  A server knows all
 * of them, a client takes the one of its user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/tls-creds.h"

#include "qom/file.h"

#define PSK_FILE "keys.psk"
#define PSK_USERNAME_DEFAULT "qemu"

#ifdef CONFIG_GNUTLS

/* The key in hexadecimal of @username; NULL if the file does not know it. */
static char *psk_find_key(const char *path, const char *username,
                          GError **errp)
{
    g_autofree char *prefix = g_strconcat(username, ":", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    char *key = NULL;
    size_t len;

    text = qom_read_file(path, &len, errp);
    if (!text) {
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    explicit_bzero(text, len);
    for (char **line = lines; *line; line++) {
        if (!key && g_str_has_prefix(*line, prefix)) {
            key = g_strdup(g_strchomp(*line) + strlen(prefix));
        }
        explicit_bzero(*line, strlen(*line));
    }
    if (!key) {
        error_setg(errp, "Username %s not found in PSK file %s", username,
                   path);
    }
    return key;
}

static bool psk_init_client(TLSCreds *creds, const char *path,
                            const char *username, GError **errp)
{
    char *key = psk_find_key(path, username, errp);
    gnutls_datum_t datum;
    int ret;

    if (!key) {
        return false;
    }
    datum.data = (unsigned char *)key;
    datum.size = strlen(key);
    ret = gnutls_psk_allocate_client_credentials(&creds->psk_client);
    if (ret == 0) {
        ret = gnutls_psk_set_client_credentials(creds->psk_client, username,
                                                &datum, GNUTLS_PSK_KEY_HEX);
    }
    explicit_bzero(key, datum.size);
    g_free(key);
    if (ret < 0) {
        error_setg(errp, "Cannot set client credentials of user '%s' in %s: "
                   "%s", username, path, gnutls_strerror(ret));
    }
    return ret == 0;
}

static bool psk_init_server(TLSCreds *creds, const char *path, GError **errp)
{
    int ret = gnutls_psk_allocate_server_credentials(&creds->psk_server);

    if (ret == 0) {
        ret = gnutls_psk_set_server_credentials_file(creds->psk_server, path);
    }
    if (ret == 0) {
        ret = gnutls_psk_set_server_known_dh_params(creds->psk_server,
                                                    GNUTLS_SEC_PARAM_MEDIUM);
    }
    if (ret < 0) {
        error_setg(errp, "Cannot set server credentials of %s: %s", path,
                   gnutls_strerror(ret));
    }
    return ret == 0;
}

static bool psk_load(TLSCreds *creds, const TlsCredsPskProperties *props,
                     GError **errp)
{
    g_autofree char *path = NULL;

    if (!tls_creds_path(creds, PSK_FILE, true, &path, errp)) {
        return false;
    }
    if (!creds->server) {
        return psk_init_client(creds, path,
                               props->username ?: PSK_USERNAME_DEFAULT, errp);
    }
    if (props->username) {
        error_setg(errp, "username should not be set when endpoint=server");
        return false;
    }
    return psk_init_server(creds, path, errp);
}

static void psk_unload(TLSCreds *creds)
{
    if (creds->psk_server) {
        gnutls_psk_free_server_credentials(creds->psk_server);
    }
    if (creds->psk_client) {
        gnutls_psk_free_client_credentials(creds->psk_client);
    }
}

#else

static bool psk_load(TLSCreds *creds, const TlsCredsPskProperties *props,
                     GError **errp)
{
    g_assert_not_reached();
}

static void psk_unload(TLSCreds *creds)
{
}

#endif

static bool psk_init(Object *obj, const ObjectOptions *options, GError **errp)
{
    TLSCreds *creds = container_of(obj, TLSCreds, obj);
    const TlsCredsPskProperties *props = &options->u.tls_creds_psk;

    creds->psk = true;
    /* The members of the base come first in @props. */
    return tls_creds_init_common(creds,
                                 (const TlsCredsProperties *)props,
                                 ":+ECDHE-PSK:+DHE-PSK:+PSK", errp) &&
           psk_load(creds, props, errp);
}

static void psk_finalize(Object *obj)
{
    TLSCreds *creds = container_of(obj, TLSCreds, obj);

    psk_unload(creds);
    tls_creds_finalize_common(creds);
}

const ObjectTypeInfo tls_creds_psk_type = {
    .type           = OBJECT_TYPE_TLS_CREDS_PSK,
    .instance_size  = sizeof(TLSCreds),
    .init           = psk_init,
    .finalize       = psk_finalize,
};
