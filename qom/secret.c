/*
 * Secrets: passwords and keys by id
 *
 * The data comes from the command line or a file, raw or in base64, and may
 * be encrypted with AES-256-CBC by another secret.  It is decoded once, when
 * the object is made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/secret.h"

#include <jansson.h>
#ifdef CONFIG_GNUTLS
#include <gnutls/crypto.h>
#endif

#include "qom/file.h"

#define SECRET_KEY_SIZE 32
#define SECRET_IV_SIZE 16

typedef struct Secret {
    Object obj;

    uint8_t *data;              /* a NUL follows */
    size_t len;
} Secret;

static void secret_wipe(uint8_t *data, size_t len)
{
    if (data) {
        explicit_bzero(data, len);
        g_free(data);
    }
}

/* Replace @data (base64 text) by the bytes; false leaves it as it is. */
static bool secret_decode_base64(uint8_t **data, size_t *len, GError **errp)
{
    g_autofree char *text = g_strstrip(g_strndup((char *)*data, *len));
    size_t n;
    bool ok = strlen(text) == 0 || strspn(text,
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
        "\r\n") == strlen(text);
    uint8_t *out = ok ? g_base64_decode(text, &n) : NULL;

    explicit_bzero(text, strlen(text));
    if (!out) {
        error_setg(errp, "Secret is not valid base64");
        return false;
    }
    secret_wipe(*data, *len);
    /* Room for the NUL that text users expect. */
    *data = g_realloc(out, n + 1);
    (*data)[n] = '\0';
    *len = n;
    return true;
}

#ifdef CONFIG_GNUTLS
static bool secret_run_cipher(uint8_t *data, size_t len, uint8_t *key,
                              uint8_t *iv, GError **errp)
{
    gnutls_datum_t k = { .data = key, .size = SECRET_KEY_SIZE };
    gnutls_datum_t v = { .data = iv, .size = SECRET_IV_SIZE };
    gnutls_cipher_hd_t cipher;
    int ret = gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_CBC, &k, &v);

    if (ret == 0) {
        ret = gnutls_cipher_decrypt(cipher, data, len);
        gnutls_cipher_deinit(cipher);
    }
    if (ret < 0) {
        error_setg(errp, "Unable to decrypt secret: %s", gnutls_strerror(ret));
        return false;
    }
    return true;
}
#else
static bool secret_run_cipher(uint8_t *data, size_t len, uint8_t *key,
                              uint8_t *iv, GError **errp)
{
    error_setg(errp, "Unable to decrypt secret: this program was built "
               "without GnuTLS");
    return false;
}
#endif

/* Take the padding off; every byte of it tells its length. */
static bool secret_unpad(uint8_t *data, size_t *len, GError **errp)
{
    uint8_t pad = *len ? data[*len - 1] : 0;

    if (*len % SECRET_IV_SIZE || pad == 0 || pad > SECRET_IV_SIZE ||
        pad > *len) {
        error_setg(errp, "Incorrect number of padding bytes (%d) found on "
                   "decrypted data", pad);
        return false;
    }
    *len -= pad;
    data[*len] = '\0';
    return true;
}

static bool secret_decrypt(Secret *s, const SecretProperties *props,
                           GError **errp)
{
    g_autofree uint8_t *iv = NULL;
    uint8_t *key;
    size_t key_len, iv_len;
    bool ok = false;

    if (!props->iv) {
        error_setg(errp, "IV is required to decrypt secret");
        return false;
    }
    iv = g_base64_decode(props->iv, &iv_len);
    if (iv_len != SECRET_IV_SIZE) {
        error_setg(errp, "IV should be %d bytes in length not %zu",
                   SECRET_IV_SIZE, iv_len);
        return false;
    }
    key = secret_lookup(props->keyid, &key_len, errp);
    if (!key) {
        return false;
    }
    if (key_len != SECRET_KEY_SIZE) {
        error_setg(errp, "Key should be %d bytes in length not %zu",
                   SECRET_KEY_SIZE, key_len);
    } else if (secret_decode_base64(&s->data, &s->len, errp)) {
        if (s->len % SECRET_IV_SIZE) {
            error_setg(errp, "Encrypted secret must be a multiple of %d bytes "
                       "in length, not %zu", SECRET_IV_SIZE, s->len);
        } else {
            ok = secret_run_cipher(s->data, s->len, key, iv, errp) &&
                 secret_unpad(s->data, &s->len, errp);
        }
    }
    secret_wipe(key, key_len);
    return ok;
}

static bool secret_load(Secret *s, const SecretProperties *props,
                        GError **errp)
{
    if (props->data && props->file) {
        error_setg(errp, "'file' and 'data' are mutually exclusive");
        return false;
    }
    if (!props->data && !props->file) {
        error_setg(errp, "Must provide 'file' or 'data'");
        return false;
    }
    if (props->file) {
        s->data = (uint8_t *)qom_read_file(props->file, &s->len, errp);
    } else {
        s->len = strlen(props->data);
        s->data = (uint8_t *)g_strdup(props->data);
    }
    return s->data != NULL;
}

static bool secret_init(Object *obj, const ObjectOptions *options,
                        GError **errp)
{
    Secret *s = container_of(obj, Secret, obj);
    const SecretProperties *props = &options->u.secret;
    bool base64 = props->has_format &&
                  props->format == QCRYPTO_SECRET_FORMAT_BASE64;

    if (!secret_load(s, props, errp)) {
        return false;
    }
    if (props->keyid && !secret_decrypt(s, props, errp)) {
        return false;
    }
    if (base64 && !secret_decode_base64(&s->data, &s->len, errp)) {
        return false;
    }
    return true;
}

static void secret_finalize(Object *obj)
{
    Secret *s = container_of(obj, Secret, obj);
    char *given = obj->options->u.secret.data;

    secret_wipe(s->data, s->len);
    if (given) {
        explicit_bzero(given, strlen(given));
    }
}

/* What can be told; never the data. */
static json_t *secret_get(Object *obj, const char *property, GError **errp)
{
    const SecretProperties *props = &obj->options->u.secret;
    const char *text = NULL;

    if (!strcmp(property, "data")) {
        error_setg(errp, "Property 'secret.data' is not readable");
        return NULL;
    }
    if (!strcmp(property, "format")) {
        text = QCryptoSecretFormat_str(props->format);
    } else if (!strcmp(property, "file")) {
        text = props->file;
    } else if (!strcmp(property, "keyid")) {
        text = props->keyid;
    } else if (!strcmp(property, "iv")) {
        text = props->iv;
    } else {
        object_error_no_property(obj, property, errp);
        return NULL;
    }
    return json_string(text ?: "");
}

const ObjectTypeInfo secret_type = {
    .type           = OBJECT_TYPE_SECRET,
    .instance_size  = sizeof(Secret),
    .init           = secret_init,
    .finalize       = secret_finalize,
    .get            = secret_get,
};

static Secret *secret_find(const char *id, GError **errp)
{
    Object *obj = object_lookup(id);

    if (!obj) {
        error_setg(errp, "No secret with id '%s'", id);
        return NULL;
    }
    if (obj->info != &secret_type) {
        error_setg(errp, "Object with id '%s' is not a secret", id);
        return NULL;
    }
    return container_of(obj, Secret, obj);
}

uint8_t *secret_lookup(const char *id, size_t *len, GError **errp)
{
    Secret *s = secret_find(id, errp);

    if (!s) {
        return NULL;
    }
    *len = s->len;
    return g_memdup2(s->data, s->len + 1);
}

char *secret_lookup_utf8(const char *id, GError **errp)
{
    Secret *s = secret_find(id, errp);

    if (!s) {
        return NULL;
    }
    if (!g_utf8_validate((char *)s->data, s->len, NULL)) {
        error_setg(errp, "Data from secret %s is not valid UTF-8", id);
        return NULL;
    }
    return g_strndup((char *)s->data, s->len);
}
