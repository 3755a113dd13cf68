/*
 * "key=value,a.b=c,list.0=x" to a tree of dicts, lists and strings
 *
 * A key is put into nested dicts fragment by fragment; when all keys are in,
 * dicts whose keys are numbers become lists.  What comes in is a user's text
 * of any form: lengths and depth are bounded here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/keyval.h"

#include "qapi/json-stream.h"

/* As in QEMU: longer names are a mistake. */
#define KEYVAL_FRAGMENT_MAX 127

/* Deeper than any tree of options, well within every stack. */
#define KEYVAL_DEPTH_MAX 64

/* The length of the number that @s begins with, 0 if it is none. */
static size_t index_length(const char *s, size_t max)
{
    size_t len = 0;

    while (len < max && g_ascii_isdigit(s[len])) {
        len++;
    }
    return len;
}

/* Whether the @len bytes at @s are a name: letter, then letters, digits, -_ */
static bool fragment_is_name(const char *s, size_t len)
{
    size_t i;

    if (!len || !(g_ascii_isalpha(s[0]) || s[0] == '_')) {
        return false;
    }
    for (i = 1; i < len; i++) {
        if (!g_ascii_isalnum(s[i]) && s[i] != '-' && s[i] != '_') {
            return false;
        }
    }
    return true;
}

static bool fragment_check(const char *key, const char *frag, size_t len,
                           GError **errp)
{
    bool ok = fragment_is_name(frag, len);

    if (!ok && frag != key) {
        ok = len && index_length(frag, len) == len;
    }
    if (!ok) {
        error_setg(errp, "Invalid parameter '%s'", key);
        return false;
    }
    if (len > KEYVAL_FRAGMENT_MAX) {
        error_setg(errp, "Parameter%s '%.*s' is too long",
                   frag != key || frag[len] ? " fragment" : "",
                   (int)len, frag);
        return false;
    }
    return true;
}

/* The dict under @name in @dict, made if missing; NULL if it is a value. */
static json_t *subdict(json_t *dict, const char *name)
{
    json_t *sub = json_object_get(dict, name);

    if (!sub) {
        sub = json_object();
        json_object_set_new_nocheck(dict, name, sub);
    }
    return json_is_object(sub) ? sub : NULL;
}

bool keyval_put(json_t *root, const char *key, json_t *value, GError **errp)
{
    const char *frag = key;
    json_t *dict = root;
    json_t *old;
    int depth = 0;

    for (;;) {
        size_t len = strcspn(frag, ".");
        g_autofree char *name = g_strndup(frag, len);

        if (!fragment_check(key, frag, len, errp)) {
            break;
        }
        if (++depth > KEYVAL_DEPTH_MAX) {
            error_setg(errp, "Parameter '%.*s...' is nested too deeply", 32,
                       key);
            break;
        }
        if (frag[len]) {
            dict = subdict(dict, name);
            if (!dict) {
                error_setg(errp, "Parameters '%.*s.*' used inconsistently",
                           (int)(frag + len - key), key);
                break;
            }
            frag += len + 1;
            continue;
        }

        old = json_object_get(dict, name);
        if (old && json_is_object(old) != json_is_object(value)) {
            error_setg(errp, "Parameters '%s.*' used inconsistently", key);
            break;
        }
        json_object_set_new_nocheck(dict, name, value);
        return true;
    }

    json_decref(value);
    return false;
}

/*
 * Whether all keys of @dict are numbers; mixed ones are an error.  Leading
 * zeroes name the same index, which would then be there twice.
 */
static bool dict_is_list(json_t *dict, const char *prefix, bool *is_list,
                         GError **errp)
{
    size_t numbers = 0, names = 0;
    const char *key;
    json_t *value;

    json_object_foreach(dict, key, value) {
        if (g_ascii_isdigit(key[0])) {
            numbers++;
        } else {
            names++;
        }
    }
    *is_list = numbers > 0;
    if (numbers && names) {
        error_setg(errp, "Parameters '%s*' used inconsistently", prefix);
        return false;
    }
    return true;
}

static json_t *dict_to_list(json_t *dict, const char *prefix, GError **errp)
{
    size_t n = json_object_size(dict);
    g_autofree json_t **items = g_new0(json_t *, n);
    const char *key;
    json_t *value, *list;
    size_t i;

    json_object_foreach(dict, key, value) {
        guint64 index = g_ascii_strtoull(key, NULL, 10);

        if (index < n) {
            items[index] = value;
        }
    }
    for (i = 0; i < n; i++) {
        if (!items[i]) {
            error_setg(errp, "Parameter '%s%zu' missing", prefix, i);
            return NULL;
        }
    }
    list = json_array();
    for (i = 0; i < n; i++) {
        json_array_append(list, items[i]);
    }
    return list;
}

/* @value with lists in it; a new reference, or NULL. */
static json_t *listify(json_t *value, const char *prefix, bool is_root,
                       GError **errp)
{
    const char *key;
    json_t *member;
    void *tmp;
    bool is_list;

    if (!json_is_object(value)) {
        return json_incref(value);
    }
    json_object_foreach_safe(value, tmp, key, member) {
        g_autofree char *sub = g_strdup_printf("%s%s.", prefix, key);
        json_t *done = listify(member, sub, false, errp);

        if (!done) {
            return NULL;
        }
        json_object_set_new_nocheck(value, key, done);
    }
    if (is_root) {
        return json_incref(value);
    }
    if (!dict_is_list(value, prefix, &is_list, errp)) {
        return NULL;
    }
    return is_list ? dict_to_list(value, prefix, errp) : json_incref(value);
}

bool keyval_listify(json_t *root, GError **errp)
{
    json_t *done = listify(root, "", true, errp);

    json_decref(done);
    return done != NULL;
}

char *keyval_take_value(const char **p)
{
    const char *s = *p;
    GString *value = g_string_new(NULL);

    while (*s) {
        if (*s == ',') {
            if (s[1] != ',') {
                break;
            }
            s++;
        }
        g_string_append_c(value, *s++);
    }
    *p = s;
    return g_string_free(value, FALSE);
}

/* Parse one "key=value" (or a value for @implied_key) at *@p into @root. */
static bool parse_one(json_t *root, const char **p, const char *implied_key,
                      bool *help, GError **errp)
{
    size_t len = strcspn(*p, "=,");
    g_autofree char *key = g_strndup(*p, len);
    g_autofree char *value = NULL;
    json_t *str;

    if ((*p)[len] != '=') {
        if (g_str_equal(key, "help") || g_str_equal(key, "?")) {
            if (!help) {
                error_setg(errp, "Help is not available for this option");
                return false;
            }
            *help = true;
            *p += len;
            return true;
        }
        if (!implied_key || !len) {
            error_setg(errp, "Expected '=' after parameter '%s'", key);
            return false;
        }
        value = g_steal_pointer(&key);
        key = g_strdup(implied_key);
        *p += len;
    } else {
        *p += len + 1;
        value = keyval_take_value(p);
    }

    str = json_string(value);
    if (!str) {
        error_setg(errp, "Parameter '%s' is not valid UTF-8",
                   g_utf8_validate(key, -1, NULL) ? key : "?");
        return false;
    }
    return keyval_put(root, key, str, errp);
}

json_t *keyval_parse(const char *params, const char *implied_key, bool *help,
                     GError **errp)
{
    json_t *root = json_object();
    const char *p = params;

    while (*p) {
        if (!parse_one(root, &p, p == params ? implied_key : NULL, help,
                       errp)) {
            json_decref(root);
            return NULL;
        }
        if (*p == ',') {
            p++;
        }
    }

    if (!keyval_listify(root, errp)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static json_t *stringify(json_t *value, int depth);

/* A dict or list with its members made strings. */
static json_t *stringify_members(json_t *value, int depth)
{
    json_t *copy = json_is_array(value) ? json_array() : json_object();
    json_t *member, *done = NULL;
    const char *key;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, member) {
            done = stringify(member, depth + 1);
            if (json_array_append_new(copy, done) < 0) {
                goto too_deep;
            }
        }
        return copy;
    }
    json_object_foreach(value, key, member) {
        done = stringify(member, depth + 1);
        if (json_object_set_new_nocheck(copy, key, done) < 0) {
            goto too_deep;
        }
    }
    return copy;

too_deep:
    json_decref(copy);
    return NULL;
}

/* NULL if it is too deep. */
static json_t *stringify(json_t *value, int depth)
{
    g_autofree char *text = NULL;

    switch (json_typeof(value)) {
    case JSON_TRUE:
        return json_string("on");
    case JSON_FALSE:
        return json_string("off");
    case JSON_INTEGER:
        text = g_strdup_printf("%" JSON_INTEGER_FORMAT,
                               json_integer_value(value));
        return json_string(text);
    case JSON_REAL:
        text = g_strdup_printf("%.17g", json_real_value(value));
        return json_string(text);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return depth < KEYVAL_DEPTH_MAX ? stringify_members(value, depth)
                                        : NULL;
    default:
        return json_incref(value);
    }
}

json_t *keyval_stringify(json_t *value, GError **errp)
{
    json_t *strings = stringify(value, 0);

    if (!strings) {
        error_setg(errp, "Options are nested too deeply");
    }
    return strings;
}

json_t *keyval_or_json_parse(const char *arg, const char *implied_key,
                             bool *is_json, bool *help, GError **errp)
{
    *is_json = arg[0] == '{';
    return *is_json ? json_parse(arg, strlen(arg), errp)
                    : keyval_parse(arg, implied_key, help, errp);
}
