/*
 * JSON values from a stream of bytes
 *
 * A parser with a stack of its own: each frame is an object or array that is
 * open.  Containers are linked into their parents when they open, so the root
 * owns all that has been read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/json-stream.h"

#include "json-lexer.h"
#include "json-string.h"

/* What may come next in the innermost container */
typedef enum Expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,        /* behind [ */
    EXPECT_KEY,
    EXPECT_KEY_OR_END,          /* behind { */
    EXPECT_COLON,
    EXPECT_NEXT,                /* comma or end */
} Expect;

typedef struct Frame {
    json_t *json;               /* borrowed: the root owns it */
    char *key;                  /* whose value comes next */
} Frame;

/* What becomes of the value that is being read */
typedef enum Mode {
    MODE_BUILD,
    MODE_BAD,                   /* @error is reported at its end */
    MODE_SKIP,                  /* its error has been reported */
} Mode;

struct JsonStream {
    JsonLexer lexer;

    /* Of the value that is being read */
    Mode mode;
    Expect expect;
    GArray *frames;             /* of Frame; empty outside of MODE_BUILD */
    json_t *root;
    GError *error;
    uint64_t bytes;
    unsigned tokens;
    int64_t braces, brackets;   /* open ones, in every mode */

    json_t *done;               /* complete, not handed out yet */
    GError *report;             /* the same for an error */
};

static void frame_clear(void *frame)
{
    g_free(((Frame *)frame)->key);
}

static Frame *top_frame(JsonStream *js)
{
    if (!js->frames->len) {
        return NULL;
    }
    return &g_array_index(js->frames, Frame, js->frames->len - 1);
}

/* Forget the value that is being read. */
static void drop_value(JsonStream *js)
{
    g_array_set_size(js->frames, 0);
    json_decref(js->root);
    js->root = NULL;
}

/* Ready for the next value. */
static void next_value(JsonStream *js)
{
    drop_value(js);
    g_clear_error(&js->error);
    js->mode = MODE_BUILD;
    js->expect = EXPECT_VALUE;
    js->bytes = 0;
    js->tokens = 0;
    js->braces = 0;
    js->brackets = 0;
    js->lexer.discard = false;
}

/* The rest of the value is read only to find its end. */
static void leave_build(JsonStream *js, Mode mode)
{
    drop_value(js);
    js->mode = mode;
    js->lexer.discard = true;
    g_string_truncate(js->lexer.text, 0);
}

static void G_GNUC_PRINTF(2, 3)
syntax_error(JsonStream *js, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(&js->error, "JSON parse error, %s", text);
    leave_build(js, MODE_BAD);
}

static void G_GNUC_PRINTF(2, 3)
limit_error(JsonStream *js, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(&js->report, "%s", text);
    leave_build(js, MODE_SKIP);
}

/* At most a few characters of the token, fit for a message. */
static char *token_excerpt(JsonStream *js)
{
    g_autofree char *start = g_strndup(js->lexer.text->str,
                                       MIN(js->lexer.text->len, 40));

    if (!*start && js->lexer.text->len) {
        return g_strdup("\\000");
    }
    return g_strescape(start, "\"'");
}

/* What cannot be a token ends whatever was being read. */
static void lexical_error(JsonStream *js)
{
    g_autofree char *text = token_excerpt(js);

    if (js->mode == MODE_BAD) {
        js->report = g_steal_pointer(&js->error);
    } else if (js->mode == MODE_BUILD) {
        error_setg(&js->report, "JSON parse error, stray '%s'", text);
    }
    next_value(js);
}

/* Put the reference @json where it belongs. */
static void place(JsonStream *js, json_t *json)
{
    Frame *f = top_frame(js);

    if (!f) {
        js->root = json;
    } else if (json_is_array(f->json)) {
        json_array_append_new(f->json, json);
    } else {
        json_object_set_new_nocheck(f->json, f->key, json);
        g_clear_pointer(&f->key, g_free);
    }
    js->expect = EXPECT_NEXT;
}

static void open_container(JsonStream *js, json_t *json, Expect expect)
{
    Frame f = { .json = json };

    if (js->frames->len == JSON_STREAM_MAX_DEPTH) {
        json_decref(json);
        limit_error(js, "JSON nesting depth limit exceeded (%d levels)",
                    JSON_STREAM_MAX_DEPTH);
        return;
    }
    place(js, json);
    g_array_append_val(js->frames, f);
    js->expect = expect;
}

static void close_container(JsonStream *js)
{
    g_array_set_size(js->frames, js->frames->len - 1);
    js->expect = EXPECT_NEXT;
}

static json_t *number_value(JsonStream *js)
{
    const char *text = js->lexer.text->str;
    long long val;

    if (!strpbrk(text, ".eE")) {
        errno = 0;
        val = strtoll(text, NULL, 10);
        if (!errno) {
            return json_integer(val);
        }
    }
    return json_real(g_ascii_strtod(text, NULL));
}

static json_t *word_value(JsonStream *js)
{
    const char *text = js->lexer.text->str;

    if (!strcmp(text, "true")) {
        return json_true();
    }
    if (!strcmp(text, "false")) {
        return json_false();
    }
    return strcmp(text, "null") ? NULL : json_null();
}

static void read_scalar(JsonStream *js, JsonToken token)
{
    g_autofree char *text = NULL;
    json_t *json = NULL;

    switch (token) {
    case JSON_TOKEN_STRING:
        if (!json_unescape(js->lexer.text, &js->error)) {
            leave_build(js, MODE_BAD);
            return;
        }
        json = json_stringn_nocheck(js->lexer.text->str,
                                    js->lexer.text->len);
        break;
    case JSON_TOKEN_NUMBER:
        json = number_value(js);
        break;
    case JSON_TOKEN_WORD:
        json = word_value(js);
        break;
    default:
        syntax_error(js, "expecting value");
        return;
    }
    if (json) {
        place(js, json);
        return;
    }
    text = token_excerpt(js);
    syntax_error(js, token == JSON_TOKEN_WORD ? "invalid keyword '%s'"
                     : "number '%s' is out of range", text);
}

static void read_value(JsonStream *js, JsonToken token)
{
    switch ((int)token) {
    case '{':
        open_container(js, json_object(), EXPECT_KEY_OR_END);
        break;
    case '[':
        open_container(js, json_array(), EXPECT_VALUE_OR_END);
        break;
    default:
        read_scalar(js, token);
        break;
    }
}

static void read_key(JsonStream *js, JsonToken token)
{
    Frame *f = top_frame(js);

    if (token != JSON_TOKEN_STRING) {
        syntax_error(js, "key is not a string in object");
        return;
    }
    if (!json_unescape(js->lexer.text, &js->error)) {
        leave_build(js, MODE_BAD);
        return;
    }
    if (json_object_get(f->json, js->lexer.text->str)) {
        g_autofree char *text = token_excerpt(js);

        syntax_error(js, "duplicate key '%s'", text);
        return;
    }
    f->key = g_strdup(js->lexer.text->str);
    js->expect = EXPECT_COLON;
}

static void read_next(JsonStream *js, JsonToken token)
{
    bool object = json_is_object(top_frame(js)->json);

    if ((int)token == (object ? '}' : ']')) {
        close_container(js);
    } else if ((int)token == ',') {
        js->expect = object ? EXPECT_KEY : EXPECT_VALUE;
    } else {
        syntax_error(js, "expected separator in %s", object ? "dict"
                                                            : "list");
    }
}

static void build(JsonStream *js, JsonToken token)
{
    switch (js->expect) {
    case EXPECT_VALUE:
        read_value(js, token);
        break;
    case EXPECT_VALUE_OR_END:
        if ((int)token == ']') {
            close_container(js);
        } else {
            read_value(js, token);
        }
        break;
    case EXPECT_KEY:
        read_key(js, token);
        break;
    case EXPECT_KEY_OR_END:
        if ((int)token == '}') {
            close_container(js);
        } else {
            read_key(js, token);
        }
        break;
    case EXPECT_COLON:
        if ((int)token == ':') {
            js->expect = EXPECT_VALUE;
        } else {
            syntax_error(js, "missing : in object pair");
        }
        break;
    case EXPECT_NEXT:
        read_next(js, token);
        break;
    }
}

static void count_brackets(JsonStream *js, JsonToken token)
{
    js->braces += (int)token == '{';
    js->braces -= (int)token == '}';
    js->brackets += (int)token == '[';
    js->brackets -= (int)token == ']';
}

/* The value ends when all is closed, or more than was open. */
static bool at_end(const JsonStream *js)
{
    return js->braces < 0 || js->brackets < 0 ||
           (!js->braces && !js->brackets);
}

static void take_token(JsonStream *js, JsonToken token)
{
    if (token == JSON_TOKEN_ERROR) {
        lexical_error(js);
        return;
    }
    count_brackets(js, token);
    if (js->mode == MODE_BUILD) {
        if (++js->tokens > JSON_STREAM_MAX_TOKENS) {
            limit_error(js, "JSON token count limit exceeded (%d tokens)",
                        (int)JSON_STREAM_MAX_TOKENS);
        } else {
            build(js, token);
        }
    }
    if (at_end(js)) {
        if (js->mode == MODE_BUILD) {
            js->done = g_steal_pointer(&js->root);
        } else if (js->mode == MODE_BAD) {
            js->report = g_steal_pointer(&js->error);
        }
        next_value(js);
    }
}

bool json_stream_in_value(const JsonStream *js)
{
    return js->frames->len || js->mode != MODE_BUILD ||
           (js->lexer.state != JSON_LEXER_START &&
            js->lexer.state != JSON_LEXER_RECOVERY);
}

static void check_size(JsonStream *js, size_t used)
{
    if (!json_stream_in_value(js)) {
        js->bytes = 0;
        return;
    }
    js->bytes += used;
    if (js->mode == MODE_BUILD && js->bytes > JSON_STREAM_MAX_SIZE) {
        limit_error(js, "JSON request size limit exceeded (%d MiB)",
                    (int)(JSON_STREAM_MAX_SIZE / MiB));
    }
}

static bool hand_out(JsonStream *js, json_t **value, GError **err)
{
    *value = g_steal_pointer(&js->done);
    *err = g_steal_pointer(&js->report);
    return *value || *err;
}

size_t json_stream_feed(JsonStream *js, const char *buf, size_t len,
                        json_t **value, GError **err)
{
    size_t used = 0;

    *value = NULL;
    *err = NULL;
    while (used < len) {
        /* Small bites, so that no limit is exceeded by much */
        size_t bite = MIN(len - used, 64 * KiB);
        JsonToken token;

        bite = json_lexer_feed(&js->lexer, buf + used, bite, &token);
        used += bite;
        if (token != JSON_TOKEN_NONE) {
            take_token(js, token);
        }
        if (!js->done && !js->report) {
            check_size(js, bite);
        }
        if (hand_out(js, value, err)) {
            break;
        }
    }
    return used;
}

void json_stream_finish(JsonStream *js, json_t **value, GError **err)
{
    JsonToken token = json_lexer_finish(&js->lexer);

    if (token != JSON_TOKEN_NONE) {
        take_token(js, token);
    }
    if (!js->done && !js->report && json_stream_in_value(js)) {
        if (js->mode == MODE_BAD) {
            js->report = g_steal_pointer(&js->error);
        } else if (js->mode == MODE_BUILD) {
            error_setg(&js->report, "JSON parse error, premature EOI");
        }
    }
    next_value(js);
    json_lexer_reset(&js->lexer);
    hand_out(js, value, err);
}

JsonStream *json_stream_new(void)
{
    JsonStream *js = g_new0(JsonStream, 1);

    json_lexer_init(&js->lexer);
    js->frames = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_array_set_clear_func(js->frames, frame_clear);
    next_value(js);
    return js;
}

void json_stream_free(JsonStream *js)
{
    if (!js) {
        return;
    }
    next_value(js);
    g_array_free(js->frames, TRUE);
    json_lexer_destroy(&js->lexer);
    g_free(js);
}

/* After its value @text may have white space only. */
static bool only_space(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!g_ascii_isspace(text[i])) {
            return false;
        }
    }
    return true;
}

json_t *json_parse(const char *text, size_t len, GError **errp)
{
    g_autoptr(JsonStream) js = json_stream_new();
    GError *err = NULL;
    json_t *value;
    size_t used;

    used = json_stream_feed(js, text, len, &value, &err);
    if (!value && !err) {
        json_stream_finish(js, &value, &err);
    }
    if (!value && !err) {
        error_setg(&err, "JSON parse error, expecting value");
    }
    if (value && !only_space(text + used, len - used)) {
        error_setg(&err, "JSON parse error, expecting end of input");
        json_decref(value);
        value = NULL;
    }
    if (err) {
        g_propagate_error(errp, err);
    }
    return value;
}
