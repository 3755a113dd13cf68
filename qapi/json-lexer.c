/*
 * Bytes to JSON tokens
 *
 * Strings are collected with their escapes; what they mean is looked at when
 * they are complete.  Numbers and words end with the first byte that cannot
 * belong to them, which is left for the next token.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "json-lexer.h"

#define STRUCTURAL "{}[]:,"

void json_lexer_init(JsonLexer *lx)
{
    *lx = (JsonLexer) { .text = g_string_new(NULL) };
}

void json_lexer_destroy(JsonLexer *lx)
{
    g_string_free(lx->text, TRUE);
}

void json_lexer_reset(JsonLexer *lx)
{
    lx->state = JSON_LEXER_START;
    lx->discard = false;
    lx->escape = false;
    g_string_truncate(lx->text, 0);
}

static bool is_structural(char c)
{
    return c && strchr(STRUCTURAL, c);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Bytes that UTF-8 never has; 0xFF is the agreed way to reset a reader. */
static bool is_impossible(char c)
{
    return (unsigned char)c >= 0xfe;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20;
}

static void collect(JsonLexer *lx, const char *buf, size_t len)
{
    if (!lx->discard) {
        g_string_append_len(lx->text, buf, len);
    }
}

/* The byte at @c ends the token without being part of anything. */
static JsonToken bad_byte(JsonLexer *lx, const char *c)
{
    collect(lx, c, 1);
    lx->escape = false;
    lx->state = is_control(*c) || is_impossible(*c) ? JSON_LEXER_START
                                                    : JSON_LEXER_RECOVERY;
    return JSON_TOKEN_ERROR;
}

static size_t lex_start(JsonLexer *lx, const char *buf, size_t len,
                        JsonToken *token)
{
    size_t i = 0;

    while (i < len && is_space(buf[i])) {
        i++;
    }
    if (i == len) {
        return len;
    }
    g_string_truncate(lx->text, 0);
    if (is_structural(buf[i])) {
        *token = buf[i];
        return i + 1;
    }
    if (buf[i] == '"' || buf[i] == '\'') {
        lx->quote = buf[i];
        lx->state = JSON_LEXER_STRING;
        return i + 1;
    }
    if (g_ascii_isdigit(buf[i]) || buf[i] == '-') {
        lx->state = JSON_LEXER_NUMBER;
        return i;
    }
    if (g_ascii_isalpha(buf[i])) {
        lx->state = JSON_LEXER_WORD;
        return i;
    }
    *token = bad_byte(lx, &buf[i]);
    return i + 1;
}

static size_t lex_string(JsonLexer *lx, const char *buf, size_t len,
                         JsonToken *token)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = buf[i];

        if (is_control(c) || is_impossible(c)) {
            collect(lx, buf, i);
            *token = bad_byte(lx, &buf[i]);
            return i + 1;
        }
        if (lx->escape) {
            lx->escape = false;
        } else if (c == '\\') {
            lx->escape = true;
        } else if (c == lx->quote) {
            collect(lx, buf, i);
            lx->state = JSON_LEXER_START;
            *token = JSON_TOKEN_STRING;
            return i + 1;
        }
    }
    collect(lx, buf, len);
    return len;
}

static bool in_word(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

static bool in_number(char c)
{
    return g_ascii_isalnum(c) || (c && strchr("+-._", c));
}

static const char *skip_digits(const char *p)
{
    while (g_ascii_isdigit(*p)) {
        p++;
    }
    return p;
}

/* -?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)? */
static bool is_number(const char *p)
{
    const char *digits;

    p += *p == '-';
    digits = p;
    p = skip_digits(p);
    if (p == digits || (*digits == '0' && p - digits > 1)) {
        return false;
    }
    if (*p == '.') {
        digits = ++p;
        p = skip_digits(p);
        if (p == digits) {
            return false;
        }
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        digits = p;
        p = skip_digits(p);
        if (p == digits) {
            return false;
        }
    }
    return !*p;
}

static JsonToken end_number(JsonLexer *lx)
{
    if (lx->discard || is_number(lx->text->str)) {
        lx->state = JSON_LEXER_START;
        return JSON_TOKEN_NUMBER;
    }
    lx->state = JSON_LEXER_RECOVERY;
    return JSON_TOKEN_ERROR;
}

static size_t lex_number(JsonLexer *lx, const char *buf, size_t len,
                         JsonToken *token)
{
    size_t i = 0;

    while (i < len && in_number(buf[i])) {
        i++;
    }
    collect(lx, buf, i);
    if (i < len) {
        *token = end_number(lx);
    }
    return i;
}

static size_t lex_word(JsonLexer *lx, const char *buf, size_t len,
                       JsonToken *token)
{
    size_t i = 0;

    while (i < len && in_word(buf[i])) {
        i++;
    }
    collect(lx, buf, i);
    if (i < len) {
        lx->state = JSON_LEXER_START;
        *token = JSON_TOKEN_WORD;
    }
    return i;
}

/* A structural character is good again; the others end the bad stretch. */
static size_t lex_recovery(JsonLexer *lx, const char *buf, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (is_structural(buf[i])) {
            lx->state = JSON_LEXER_START;
            return i;
        }
        if (is_impossible(buf[i]) ||
            (is_control(buf[i]) && buf[i] != '\t')) {
            lx->state = JSON_LEXER_START;
            return i + 1;
        }
    }
    return len;
}

size_t json_lexer_feed(JsonLexer *lx, const char *buf, size_t len,
                       JsonToken *token)
{
    size_t used = 0;

    *token = JSON_TOKEN_NONE;
    while (used < len && *token == JSON_TOKEN_NONE) {
        const char *p = buf + used;
        size_t left = len - used;

        switch (lx->state) {
        case JSON_LEXER_START:
            used += lex_start(lx, p, left, token);
            break;
        case JSON_LEXER_STRING:
            used += lex_string(lx, p, left, token);
            break;
        case JSON_LEXER_NUMBER:
            used += lex_number(lx, p, left, token);
            break;
        case JSON_LEXER_WORD:
            used += lex_word(lx, p, left, token);
            break;
        case JSON_LEXER_RECOVERY:
            used += lex_recovery(lx, p, left);
            break;
        }
    }
    return used;
}

JsonToken json_lexer_finish(JsonLexer *lx)
{
    switch (lx->state) {
    case JSON_LEXER_NUMBER:
        return end_number(lx);
    case JSON_LEXER_WORD:
        lx->state = JSON_LEXER_START;
        return JSON_TOKEN_WORD;
    default:
        return JSON_TOKEN_NONE;
    }
}
