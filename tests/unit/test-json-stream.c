/*
 * JSON values from a stream of bytes
 *
 * Every input is fed whole and byte by byte; both must give the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/json-stream.h"

#include "util/coroutine.h"

/* Append what came out: a value as text, an error as !text. */
static void record(GString *log, json_t *value, GError *err)
{
    if (value) {
        g_autofree char *text = json_print(value, NULL);

        g_string_append_printf(log, "%s\n", text);
        json_decref(value);
    }
    if (err) {
        g_string_append_printf(log, "!%s\n", err->message);
        g_error_free(err);
    }
}

static char *feed(const char *text, size_t len, size_t bite)
{
    g_autoptr(JsonStream) js = json_stream_new();
    GString *log = g_string_new(NULL);
    json_t *value;
    GError *err;
    size_t pos = 0;

    while (pos < len) {
        pos += json_stream_feed(js, text + pos, MIN(bite, len - pos), &value,
                                &err);
        record(log, value, err);
    }
    json_stream_finish(js, &value, &err);
    record(log, value, err);
    return g_string_free(log, FALSE);
}

static void check_len(const char *text, size_t len, const char *expected)
{
    g_autofree char *whole = feed(text, len, len);
    g_autofree char *bytes = feed(text, len, 1);

    g_assert_cmpstr(whole, ==, expected);
    g_assert_cmpstr(bytes, ==, expected);
}

static void check(const char *text, const char *expected)
{
    check_len(text, strlen(text), expected);
}

static void test_values(void)
{
    check("{}", "{}\n");
    check("[]", "[]\n");
    check("{\"a\": [1, -2, {\"b\": null}], \"c\": true}",
          "{\"a\": [1, -2, {\"b\": null}], \"c\": true}\n");
    check("true false null 7 \"x\"", "true\nfalse\nnull\n7\n\"x\"\n");
}

static void test_back_to_back(void)
{
    check("{}{}[]", "{}\n{}\n[]\n");
    check("{'a'\r\n:\n1\n}\n\n{ }", "{\"a\": 1}\n{}\n");
    check("1\n[2]3", "1\n[2]\n3\n");
}

static void test_single_quotes(void)
{
    check("{'execute': 'x', \"id\": 'it\\'s \"so\"'}",
          "{\"execute\": \"x\", \"id\": \"it's \\\"so\\\"\"}\n");
    check("\"it's\"", "\"it's\"\n");
}

static void test_escapes(void)
{
    check("'\\\"\\\\\\/\\b\\f\\n\\r\\t'", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"\n");
    check("'\\u0041\\u00e9\\u20ac'", "\"A\xc3\xa9\xe2\x82\xac\"\n");
    check("'\\ud83d\\ude00'", "\"\xf0\x9f\x98\x80\"\n");
    check("'\\u0001'", "\"\\u0001\"\n");
}

static void test_bad_escapes(void)
{
    check("'\\q'", "!JSON parse error, invalid escape sequence '\\q' in "
          "string\n");
    check("'\\\x7f'", "!JSON parse error, invalid escape sequence in "
          "string\n");
    check("'\\u12'", "!JSON parse error, invalid hex escape '\\u12' in "
          "string\n");
    check("'\\u0000'", "!JSON parse error, \\u0000 is not a valid Unicode "
          "character\n");
    check("'\\ud83d'", "!JSON parse error, \\ud83d is not a valid Unicode "
          "character\n");
    check("'\\ude00\\ud83d'", "!JSON parse error, \\ude00 is not a valid "
          "Unicode character\n");
}

static void test_numbers(void)
{
    check("[0, -0, 9223372036854775807, -9223372036854775808]",
          "[0, 0, 9223372036854775807, -9223372036854775808]\n");
    check("[1.5, -2e3, 1E-2]", "[1.5, -2000.0, 0.01]\n");
    check("18446744073709551615", "1.8446744073709552e+19\n");
    check("1e999", "!JSON parse error, number '1e999' is out of range\n");
    check("01 ", "!JSON parse error, stray '01'\n");
    check("- ", "!JSON parse error, stray '-'\n");
    check("1. ", "!JSON parse error, stray '1.'\n");
    check("1e ", "!JSON parse error, stray '1e'\n");
}

static void test_utf8(void)
{
    check("'\xc3\xa9'", "\"\xc3\xa9\"\n");
    check("'\xc3'", "!JSON parse error, invalid UTF-8 sequence in string\n");
    check("'\xed\xa0\x80'",
          "!JSON parse error, invalid UTF-8 sequence in string\n");
    check("{'\xc0\x80': 1}",
          "!JSON parse error, invalid UTF-8 sequence in string\n");
}

static void test_syntax_errors(void)
{
    check("{'a' 1}", "!JSON parse error, missing : in object pair\n");
    check("{'a': 1 'b': 2}",
          "!JSON parse error, expected separator in dict\n");
    check("[1 2]", "!JSON parse error, expected separator in list\n");
    check("{1: 2}", "!JSON parse error, key is not a string in object\n");
    check("{'a': 1,}", "!JSON parse error, key is not a string in object\n");
    check("[1,]", "!JSON parse error, expecting value\n");
    check("{'a': maybe}", "!JSON parse error, invalid keyword 'maybe'\n");
    check("{'a': 1, 'a': 2}", "!JSON parse error, duplicate key 'a'\n");
    check(",", "!JSON parse error, expecting value\n");
}

/* One error per value, and the next value is read. */
static void test_recovery_from_syntax_error(void)
{
    check("{'a': ,[{,},}], {}} {'b': 1}",
          "!JSON parse error, expecting value\n"
          "!JSON parse error, expecting value\n{}\n"
          "!JSON parse error, expecting value\n{\"b\": 1}\n");
    check("{'a': ,[{}, 2]} {'b': 1}",
          "!JSON parse error, expecting value\n{\"b\": 1}\n");
    check("{]\n{'b': 1}",
          "!JSON parse error, key is not a string in object\n{\"b\": 1}\n");
}

static void test_recovery_from_stray_characters(void)
{
    check("%%p {'b': 1}", "!JSON parse error, stray '%'\n{\"b\": 1}\n");
    check("{'a': '\n{'b': 1}", "!JSON parse error, stray '\\n'\n{\"b\": 1}\n");
    check("{\x01{'b': 1}", "!JSON parse error, stray '\\001'\n{\"b\": 1}\n");
    check_len("[\0[2]", 5, "!JSON parse error, stray '\\000'\n[2]\n");
    check("{'a': 'x\xff{'b': 1}",
          "!JSON parse error, stray 'x\\377'\n{\"b\": 1}\n");
}

static void test_reset_byte(void)
{
    check("\xff{}", "!JSON parse error, stray '\\377'\n{}\n");
    check("{'a': [[\xff{}", "!JSON parse error, stray '\\377'\n{}\n");
    /* An error in the value that is given up is not lost */
    check("{'a' 'b'\xff{}",
          "!JSON parse error, missing : in object pair\n{}\n");
}

static void test_premature_end(void)
{
    check("{'a': 1", "!JSON parse error, premature EOI\n");
    check("'abc", "!JSON parse error, premature EOI\n");
    check("  \n", "");
    check("12", "12\n");
    check("nul", "!JSON parse error, invalid keyword 'nul'\n");
}

static char *nested(int depth)
{
    GString *s = g_string_new(NULL);
    int i;

    for (i = 0; i < depth; i++) {
        g_string_append(s, i % 2 ? "{\"a\": " : "[");
    }
    g_string_append(s, "1");
    while (i--) {
        g_string_append(s, i % 2 ? "}" : "]");
    }
    return g_string_free(s, FALSE);
}

/* Runs on a coroutine's small stack. */
static void depth_entry(void *opaque)
{
    g_autofree char *text = nested(JSON_STREAM_MAX_DEPTH);
    g_autofree char *expected = g_strdup_printf("%s\n", text);
    g_autofree char *got = feed(text, strlen(text), strlen(text));

    g_assert_cmpstr(got, ==, expected);
    *(bool *)opaque = true;
}

static void test_depth(void)
{
    bool done = false;

    coroutine_start(depth_entry, &done);
    g_assert_true(done);
}

static void test_depth_limit(void)
{
    g_autofree char *text = nested(JSON_STREAM_MAX_DEPTH + 1);
    g_autofree char *two = g_strdup_printf("%s{}", text);

    check(two, "!JSON nesting depth limit exceeded (1024 levels)\n{}\n");
}

static void test_depth_bomb(void)
{
    g_autofree char *bomb = g_strnfill(1000000, '[');
    g_autofree char *log = feed(bomb, 1000000, 1000000);

    g_assert_cmpstr(log, ==, "!JSON nesting depth limit exceeded "
                    "(1024 levels)\n");
}

static void test_token_limit(void)
{
    size_t n = JSON_STREAM_MAX_TOKENS;
    g_autoptr(GString) s = g_string_new("[0");
    g_autofree char *log = NULL;
    size_t i;

    for (i = 0; i < n / 2; i++) {
        g_string_append(s, ",0");
    }
    g_string_append(s, "]{}");
    log = feed(s->str, s->len, s->len);
    g_assert_cmpstr(log, ==, "!JSON token count limit exceeded "
                    "(2097152 tokens)\n{}\n");
}

/* Feed a string of @n characters in an array without holding all of it. */
static char *feed_long_string(size_t n)
{
    g_autoptr(JsonStream) js = json_stream_new();
    g_autofree char *piece = g_strnfill(MiB, 'x');
    GString *log = g_string_new(NULL);
    json_t *value;
    GError *err;

    json_stream_feed(js, "['", 2, &value, &err);
    while (n) {
        size_t bite = MIN(n, (size_t)MiB), pos = 0;

        while (pos < bite) {
            pos += json_stream_feed(js, piece + pos, bite - pos, &value,
                                    &err);
            record(log, value, err);
        }
        n -= bite;
    }
    json_stream_feed(js, "']", 2, &value, &err);
    if (value) {
        g_string_append_printf(log, "%zu", json_string_length(
                                               json_array_get(value, 0)));
        json_decref(value);
    }
    g_clear_error(&err);
    json_stream_feed(js, "{}", 2, &value, &err);
    record(log, value, err);
    return g_string_free(log, FALSE);
}

static void test_size_limit(void)
{
    g_autofree char *fits = feed_long_string(JSON_STREAM_MAX_SIZE - 4);
    g_autofree char *over = feed_long_string(JSON_STREAM_MAX_SIZE + MiB);

    g_assert_cmpstr(fits, ==, "67108860{}\n");
    g_assert_cmpstr(over, ==, "!JSON request size limit exceeded (64 MiB)\n"
                    "{}\n");
}

static void test_parse_exactly_one(void)
{
    g_autoptr(GError) err = NULL;
    json_t *json = json_parse(" {'a': 1} \n", 11, NULL);

    g_assert_cmpint(json_integer_value(json_object_get(json, "a")), ==, 1);
    json_decref(json);
    g_assert_null(json_parse("{} {}", 5, &err));
    g_assert_cmpstr(err->message, ==,
                    "JSON parse error, expecting end of input");
    g_clear_error(&err);
    g_assert_null(json_parse(" ", 1, &err));
    g_assert_cmpstr(err->message, ==, "JSON parse error, expecting value");
}

/* Whatever comes in, it ends, and an empty object after 0xFF comes through. */
static void test_random_bytes(void)
{
    static const char alphabet[] = "{}[]:,'\"\\ \n1-.eutrnfalsx\x01\xc3\xff%";
    int round, i;

    for (round = 0; round < 3000; round++) {
        char text[64];
        g_autofree char *log = NULL;

        for (i = 0; i < 60; i++) {
            text[i] = alphabet[g_test_rand_int_range(0,
                                                     sizeof(alphabet) - 1)];
        }
        memcpy(text + 60, "\xff\n{}", 4);
        log = feed(text, 64, g_test_rand_int_range(1, 64));
        g_assert_true(g_str_has_suffix(log, "{}\n"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-stream/values", test_values);
    g_test_add_func("/json-stream/back-to-back", test_back_to_back);
    g_test_add_func("/json-stream/single-quotes", test_single_quotes);
    g_test_add_func("/json-stream/escapes", test_escapes);
    g_test_add_func("/json-stream/bad-escapes", test_bad_escapes);
    g_test_add_func("/json-stream/numbers", test_numbers);
    g_test_add_func("/json-stream/utf8", test_utf8);
    g_test_add_func("/json-stream/syntax-errors", test_syntax_errors);
    g_test_add_func("/json-stream/recovery/syntax",
                    test_recovery_from_syntax_error);
    g_test_add_func("/json-stream/recovery/stray",
                    test_recovery_from_stray_characters);
    g_test_add_func("/json-stream/recovery/reset-byte", test_reset_byte);
    g_test_add_func("/json-stream/premature-end", test_premature_end);
    g_test_add_func("/json-stream/depth", test_depth);
    g_test_add_func("/json-stream/depth-limit", test_depth_limit);
    g_test_add_func("/json-stream/depth-bomb", test_depth_bomb);
    g_test_add_func("/json-stream/token-limit", test_token_limit);
    g_test_add_func("/json-stream/size-limit", test_size_limit);
    g_test_add_func("/json-stream/parse-exactly-one", test_parse_exactly_one);
    g_test_add_func("/json-stream/random-bytes", test_random_bytes);
    return g_test_run();
}
