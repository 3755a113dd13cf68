/*
 * JSON values from a stream of bytes
 *
 * What QMP needs beyond a JSON parser: values arrive in pieces, back to back
 * or over several lines, strings may be in single quotes, and sizes are
 * limited while reading.  Neither reading nor printing recurses: any depth that
 * passes is safe on a coroutine's stack (json_dumps() is not, json_decref()
 * is).
 *
 * After an error reading goes on as in QEMU: a value with a syntax error is
 * thrown away up to its closing bracket; characters that cannot be in JSON
 * throw away everything up to the next structural or control character.  The
 * byte 0xFF is such an error anywhere, and what follows it is read afresh: a
 * client sends it to be sure to be in step.  A value that is refused for its
 * size is skipped up to its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_JSON_STREAM_H
#define QAPI_JSON_STREAM_H

#include <jansson.h>

#include "osdep.h"

#define JSON_STREAM_MAX_SIZE    (64 * MiB)      /* of one value as text */
#define JSON_STREAM_MAX_DEPTH   1024
#define JSON_STREAM_MAX_TOKENS  (2 * MiB)       /* of one value */

typedef struct JsonStream JsonStream;

JsonStream *json_stream_new(void);
void json_stream_free(JsonStream *js);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonStream, json_stream_free)

/*
 * Read from @buf until a value is complete or something is wrong.  Returns
 * how many bytes were used; call again with the rest.  *@value is a new
 * reference or NULL; *@err (never NULL) an error or NULL; if neither is set,
 * all bytes were used and more are needed.
 */
size_t json_stream_feed(JsonStream *js, const char *buf, size_t len,
                        json_t **value, GError **err);

/*
 * No more bytes will come: a number at the very end is complete now, and an
 * unfinished value is an error.  The stream is as new afterwards.
 */
void json_stream_finish(JsonStream *js, json_t **value, GError **err);

/* Whether a value has begun that is not complete. */
bool json_stream_in_value(const JsonStream *js);

/* @text holds exactly one value.  NULL and an error otherwise. */
json_t *json_parse(const char *text, size_t len, GError **errp);

/* @json as text in one line, as QEMU spaces it.  Free with g_free. */
char *json_print(const json_t *json, size_t *len);

#endif
