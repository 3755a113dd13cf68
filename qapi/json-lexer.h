/*
 * Bytes to JSON tokens
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_JSON_LEXER_H
#define QAPI_JSON_LEXER_H

#include "osdep.h"

/* Structural characters are tokens of their own value. */
typedef enum JsonToken {
    JSON_TOKEN_NONE = 0,        /* all bytes used, no token yet */
    JSON_TOKEN_ERROR = 256,     /* characters that cannot be; in @text */
    JSON_TOKEN_STRING,          /* what is between the quotes, in @text */
    JSON_TOKEN_NUMBER,
    JSON_TOKEN_WORD,
} JsonToken;

typedef enum JsonLexerState {
    JSON_LEXER_START,           /* between tokens */
    JSON_LEXER_STRING,
    JSON_LEXER_NUMBER,
    JSON_LEXER_WORD,
    JSON_LEXER_RECOVERY,        /* after JSON_TOKEN_ERROR */
} JsonLexerState;

typedef struct JsonLexer {
    JsonLexerState state;
    GString *text;              /* of the token being read, or just read */
    char quote;                 /* which ends the string */
    bool escape;                /* the last byte was a backslash */
    bool discard;               /* do not collect text */
} JsonLexer;

void json_lexer_init(JsonLexer *lx);
void json_lexer_destroy(JsonLexer *lx);
void json_lexer_reset(JsonLexer *lx);

/* Use bytes of @buf until a token is complete; returns how many. */
size_t json_lexer_feed(JsonLexer *lx, const char *buf, size_t len,
                       JsonToken *token);

/* The token that only the end of input completes, if any. */
JsonToken json_lexer_finish(JsonLexer *lx);

#endif
