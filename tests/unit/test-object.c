/*
 * Unit tests of objects, secrets and authorization
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/object.h"

#include <glib/gstdio.h>

#include "co-run.h"
#include "log-capture.h"
#include "object-helpers.h"
#include "qom/authz.h"

typedef struct Fixture {
    AioContext *ctx;
    char *dir;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = aio_context_new(NULL, NULL);
    f->dir = g_dir_make_tmp("test-object-XXXXXX", NULL);
}

static void teardown(Fixture *f, gconstpointer data)
{
    aio_context_free(f->ctx);
    g_rmdir(f->dir);
    g_free(f->dir);
}

#define assert_error(err, text)                                         \
    do {                                                                \
        g_assert_nonnull(err);                                          \
        g_assert_cmpstr((err)->message, ==, text);                      \
        g_clear_error(&(err));                                          \
    } while (0)

/* Objects */

static void test_add_and_del(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'x'}");
    g_assert_nonnull(object_lookup("s"));
    g_assert_true(object_del("s", NULL));
    g_assert_null(object_lookup("s"));
}

static void test_duplicate(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'x'}");
    assert_object_add_fails("attempt to add duplicate property 's' to object "
                            "(type 'container')",
                            "{'qom-type': 'iothread', 'id': 's'}");
}

static void test_bad_id(Fixture *f, gconstpointer data)
{
    static const char *const ids[] = { "", "1a", "-a", "a b", "a/b" };

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        assert_object_add_fails("Parameter 'id' expects an identifier",
                                "{'qom-type': 'iothread', 'id': '%s'}",
                                ids[i]);
    }
}

/* This program does without the types of the block layer. */
static void test_unknown_type(Fixture *f, gconstpointer data)
{
    assert_object_add_fails("object type 'throttle-group' is not supported "
                            "by this program",
                            "{'qom-type': 'throttle-group', 'id': 't'}");
}

static void test_failed_add_leaves_nothing(Fixture *f, gconstpointer data)
{
    assert_object_add_fails("Must provide 'file' or 'data'",
                            "{'qom-type': 'secret', 'id': 's'}");
    g_assert_null(object_lookup("s"));
}

static void test_del_of_unknown(Fixture *f, gconstpointer data)
{
    GError *err = NULL;

    g_assert_false(object_del("nope", &err));
    assert_error(err, "object 'nope' not found");
}

static void test_del_in_use(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    Object *obj;

    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'x'}");
    obj = object_lookup("s");
    object_ref(obj);
    g_assert_false(object_del("s", &err));
    assert_error(err, "object 's' is in use, can not be deleted");
    object_unref(obj);
    g_assert_true(object_del("s", NULL));
}

static void test_properties_are_the_options(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    Object *obj;
    json_t *value;

    must_object_add("{'qom-type': 'authz-simple', 'id': 'a', "
                    "'identity': 'joe'}");
    obj = object_resolve_path("/objects/a", &err);
    g_assert_no_error(err);
    value = object_property_get(obj, "identity", &err);
    g_assert_cmpstr(json_string_value(value), ==, "joe");
    json_decref(value);
    value = object_property_get(obj, "type", &err);
    g_assert_cmpstr(json_string_value(value), ==, "authz-simple");
    g_assert_false(object_property_set(obj, "identity", value, &err));
    assert_error(err, "Property 'authz-simple.identity' is not writable");
    json_decref(value);
    g_assert_null(object_property_get(obj, "nope", &err));
    assert_error(err, "Property 'authz-simple.nope' not found");
    g_assert_null(object_resolve_path("/objects/b", &err));
    assert_error(err, "Device '/objects/b' not found");
}

static void assert_integer(Object *obj, const char *property, int64_t expected)
{
    json_t *value = object_property_get(obj, property, NULL);

    g_assert_true(json_is_integer(value));
    g_assert_cmpint(json_integer_value(value), ==, expected);
    json_decref(value);
}

static void test_iothread_properties(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    Object *obj;
    json_t *value = json_integer(5);

    must_object_add("{'qom-type': 'iothread', 'id': 't'}");
    obj = object_lookup("t");
    g_assert_true(object_property_set(obj, "poll-max-ns", value, &err));
    json_decref(value);
    assert_integer(obj, "poll-max-ns", 5);
    value = json_integer(-1);
    g_assert_false(object_property_set(obj, "poll-max-ns", value, &err));
    assert_error(err, "poll-max-ns value must be in range "
                 "[0, 9223372036854775807]");
    g_assert_false(object_property_set(obj, "type", value, &err));
    assert_error(err, "Property 'iothread.type' is not writable");
    json_decref(value);
    assert_integer(obj, "poll-max-ns", 5);
}

static void test_iothread_pool(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    Object *obj;
    json_t *value = json_integer(65);

    must_object_add("{'qom-type': 'iothread', 'id': 't'}");
    obj = object_lookup("t");
    assert_integer(obj, "thread-pool-min", 0);
    assert_integer(obj, "thread-pool-max", 64);
    g_assert_false(object_property_set(obj, "thread-pool-min", value, &err));
    assert_error(err, "bad thread-pool-min/thread-pool-max values");
    assert_integer(obj, "thread-pool-min", 0);
    g_assert_true(object_property_set(obj, "thread-pool-max", value, &err));
    g_assert_true(object_property_set(obj, "thread-pool-min", value, &err));
    json_decref(value);

    must_object_add("{'qom-type': 'iothread', 'id': 'u', "
                    "'thread-pool-min': 2, 'thread-pool-max': 3}");
    assert_integer(object_lookup("u"), "thread-pool-min", 2);
    assert_integer(object_lookup("u"), "thread-pool-max", 3);
    assert_object_add_fails("bad thread-pool-min/thread-pool-max values",
                            "{'qom-type': 'iothread', 'id': 'v', "
                            "'thread-pool-max': 0}");
}

/* Secrets */

static void assert_secret(const char *id, const char *bytes, size_t len)
{
    size_t n;
    g_autofree uint8_t *secret = secret_lookup(id, &n, NULL);

    g_assert_cmpmem(secret, n, bytes, len);
}

static void test_secret_raw(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;

    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'letmein'}");
    assert_secret("s", "letmein", 7);
    text = secret_lookup_utf8("s", NULL);
    g_assert_cmpstr(text, ==, "letmein");
}

static void test_secret_base64(Fixture *f, gconstpointer data)
{
    GError *err = NULL;

    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': "
                    "'/wBh', 'format': 'base64'}");
    assert_secret("s", "\xff\0a", 3);
    g_assert_null(secret_lookup_utf8("s", &err));
    assert_error(err, "Data from secret s is not valid UTF-8");
    assert_object_add_fails("Secret is not valid base64",
                            "{'qom-type': 'secret', 'id': 't', 'data': "
                            "'!!', 'format': 'base64'}");
}

static void test_secret_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "pw", NULL);

    g_assert_true(g_file_set_contents(path, "fromfile", -1, NULL));
    must_object_add("{'qom-type': 'secret', 'id': 's', 'file': '%s'}", path);
    assert_secret("s", "fromfile", 8);
    g_unlink(path);
    assert_object_add_fails("Unable to read /nonexistent: No such file or "
                            "directory",
                            "{'qom-type': 'secret', 'id': 't', 'file': "
                            "'/nonexistent'}");
}

/* The key is 32 times 'k', the vector 16 times 'i'; made with openssl enc. */
static void test_secret_encrypted(Fixture *f, gconstpointer data)
{
#ifdef CONFIG_GNUTLS
    must_object_add("{'qom-type': 'secret', 'id': 'key', 'data': "
                    "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'}");
    must_object_add("{'qom-type': 'secret', 'id': 's', 'keyid': 'key', "
                    "'iv': 'aWlpaWlpaWlpaWlpaWlpaQ==', 'data': "
                    "'el5Ej1ROV0Rd+o5FvQy/Zg=='}");
    assert_secret("s", "letmein", 7);
#else
    g_test_skip("built without GnuTLS");
#endif
}

static void test_secret_encryption_errors(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'secret', 'id': 'key', 'data': 'short'}");
    assert_object_add_fails("IV is required to decrypt secret",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'key', 'data': 'AAAA'}");
    assert_object_add_fails("IV should be 16 bytes in length not 3",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'key', 'iv': 'AAAA', 'data': 'AAAA'}");
    assert_object_add_fails("Key should be 32 bytes in length not 5",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'key', 'iv': 'aWlpaWlpaWlpaWlpaWlpaQ==', "
                            "'data': 'AAAA'}");
    assert_object_add_fails("No secret with id 'nope'",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'nope', 'iv': 'aWlpaWlpaWlpaWlpaWlpaQ==', "
                            "'data': 'AAAA'}");
    must_object_add("{'qom-type': 'secret', 'id': 'long', 'data': "
                    "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'}");
    assert_object_add_fails("Encrypted secret must be a multiple of 16 bytes "
                            "in length, not 3",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'long', 'iv': 'aWlpaWlpaWlpaWlpaWlpaQ==', "
                            "'data': 'AAAA'}");
#ifdef CONFIG_GNUTLS
    /* The data of above; the last byte is the IV's, which says 0 now. */
    assert_object_add_fails("Incorrect number of padding bytes (0) found on "
                            "decrypted data",
                            "{'qom-type': 'secret', 'id': 's', 'keyid': "
                            "'long', 'iv': 'aWlpaWlpaWlpaWlpaWlpYA==', "
                            "'data': 'el5Ej1ROV0Rd+o5FvQy/Zg=='}");
#endif
}

static void test_secret_file_is_bounded(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "secret", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;

    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    g_assert_cmpint(truncate(path, 1 * MiB + 1), ==, 0);
    g_assert_false(try_object_add(&err, "{'qom-type': 'secret', 'id': 's', "
                                  "'file': '%s'}", path));
    text = g_strdup_printf("Unable to read %s: more than 1048576 bytes", path);
    g_assert_cmpstr(err->message, ==, text);
    g_unlink(path);
}

static void test_secret_is_not_told(Fixture *f, gconstpointer data)
{
    GError *err = NULL;

    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'x'}");
    g_assert_null(object_property_get(object_lookup("s"), "data", &err));
    assert_error(err, "Property 'secret.data' is not readable");
}

/* Authorization */

static bool allowed(const char *id, const char *identity)
{
    g_autoptr(GError) err = NULL;
    bool yes;

    g_assert_true(authz_is_allowed(id, identity, &yes, &err));
    return yes;
}

static void test_authz_simple(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'authz-simple', 'id': 'a', "
                    "'identity': 'joe'}");
    g_assert_true(allowed("a", "joe"));
    g_assert_false(allowed("a", "joel"));
}

static void test_authz_list(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'authz-list', 'id': 'a', 'rules': ["
                    "{'match': 'joe', 'policy': 'deny'}, "
                    "{'match': 'jo*', 'policy': 'allow', 'format': 'glob'}, "
                    "{'match': 'b*', 'policy': 'allow'}]}");
    g_assert_false(allowed("a", "joe"));
    g_assert_true(allowed("a", "john"));
    g_assert_false(allowed("a", "bob"));
    g_assert_true(allowed("a", "b*"));
}

static void test_authz_list_policy(Fixture *f, gconstpointer data)
{
    must_object_add("{'qom-type': 'authz-list', 'id': 'a', "
                    "'policy': 'allow', 'rules': ["
                    "{'match': 'joe', 'policy': 'deny'}]}");
    g_assert_false(allowed("a", "joe"));
    g_assert_true(allowed("a", "anybody"));
}

static void test_authz_list_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "acl", NULL);

    g_assert_true(g_file_set_contents(path, "{\"rules\": [{\"match\": \"joe\""
                                      ", \"policy\": \"allow\"}]}", -1, NULL));
    must_object_add("{'qom-type': 'authz-list-file', 'id': 'a', "
                    "'filename': '%s'}", path);
    must_object_add("{'qom-type': 'authz-list-file', 'id': 'once', "
                    "'filename': '%s', 'refresh': false}", path);
    g_assert_true(allowed("a", "joe"));
    g_assert_false(allowed("a", "bob"));

    g_assert_true(g_file_set_contents(path, "{\"rules\": [], \"policy\": "
                                      "\"allow\"}", -1, NULL));
    g_assert_true(allowed("a", "bob"));
    g_assert_false(allowed("once", "bob"));

    g_unlink(path);
    g_assert_false(allowed("a", "bob"));
    g_assert_true(allowed("once", "joe"));
}

static void test_authz_list_file_broken(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "acl", NULL);
    g_autofree char *wrong = g_strdup_printf(
        "File '%s': Invalid parameter type for 'rules', expected: array",
        path);
    g_autofree char *half = g_strdup_printf("File '%s' line 2: ", path);
    g_autofree char *warning = g_strdup_printf(
        "warning: object 'a' lets nobody in: %s", half);
    GError *err = NULL;

    g_assert_true(g_file_set_contents(path, "{\"rules\": 1}", -1, NULL));
    g_assert_false(try_object_add(&err, "{'qom-type': 'authz-list-file', "
                                  "'id': 'a', 'filename': '%s'}", path));
    assert_error(err, wrong);
    g_assert_true(g_file_set_contents(path, "{\n\"rules\"", -1, NULL));
    g_assert_false(try_object_add(&err, "{'qom-type': 'authz-list-file', "
                                  "'id': 'a', 'filename': '%s'}", path));
    g_assert_true(g_str_has_prefix(err->message, half));
    g_clear_error(&err);

    /* While it is used */
    g_assert_true(g_file_set_contents(path, "{\"rules\": []}", -1, NULL));
    must_object_add("{'qom-type': 'authz-list-file', 'id': 'a', "
                    "'filename': '%s'}", path);
    g_assert_true(g_file_set_contents(path, "{\n\"rules\"", -1, NULL));
    log_capture_begin();
    g_assert_false(allowed("a", "joe"));
    log_capture_end(warning);
    g_unlink(path);
}

static void test_authz_errors(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    bool yes;

    g_assert_false(authz_is_allowed("nope", "joe", &yes, &err));
    assert_error(err, "Cannot find QAuthZ object ID nope");
    must_object_add("{'qom-type': 'secret', 'id': 's', 'data': 'x'}");
    g_assert_false(authz_is_allowed("s", "joe", &yes, &err));
    assert_error(err, "Object 's' is not a QAuthZ subclass");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *, gconstpointer);
    } tests[] = {
        { "/object/add-and-del", test_add_and_del },
        { "/object/duplicate", test_duplicate },
        { "/object/bad-id", test_bad_id },
        { "/object/unknown-type", test_unknown_type },
        { "/object/failed-add-leaves-nothing",
          test_failed_add_leaves_nothing },
        { "/object/del/unknown", test_del_of_unknown },
        { "/object/del/in-use", test_del_in_use },
        { "/object/properties", test_properties_are_the_options },
        { "/object/iothread", test_iothread_properties },
        { "/object/iothread-pool", test_iothread_pool },
        { "/secret/raw", test_secret_raw },
        { "/secret/base64", test_secret_base64 },
        { "/secret/file", test_secret_file },
        { "/secret/file-is-bounded", test_secret_file_is_bounded },
        { "/secret/encrypted", test_secret_encrypted },
        { "/secret/encryption-errors", test_secret_encryption_errors },
        { "/secret/is-not-told", test_secret_is_not_told },
        { "/authz/simple", test_authz_simple },
        { "/authz/list", test_authz_list },
        { "/authz/list-policy", test_authz_list_policy },
        { "/authz/list-file/refresh", test_authz_list_file },
        { "/authz/list-file/broken", test_authz_list_file_broken },
        { "/authz/errors", test_authz_errors },
    };

    g_test_init(&argc, &argv, NULL);
    object_register_types(qom_types);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
