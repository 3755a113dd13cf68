/*
 * One QMP request to one response
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MONITOR_QMP_DISPATCH_H
#define MONITOR_QMP_DISPATCH_H

#include <jansson.h>

/* The QEMU whose QMP we speak: scripts look at this. */
#define QMP_QEMU_MAJOR 7
#define QMP_QEMU_MINOR 2
#define QMP_QEMU_MICRO 0

/* What a request says, before it runs. */
typedef struct QmpRequest {
    const char *command;        /* borrowed from the request */
    json_t *args;               /* borrowed, may be NULL */
    bool oob;
} QmpRequest;

/*
 * Take @json apart.  @oob_enabled: whether "exec-oob" is known.  Errors as in
 * QEMU.
 */
bool qmp_request_parse(json_t *json, bool oob_enabled, QmpRequest *req,
                       GError **errp);

/* Whether @json asks to be run out of band. */
bool qmp_request_is_oob(json_t *json);

/*
 * Run the request @json in the current coroutine and return the response,
 * with the request's id.  @negotiated: else only qmp_capabilities is known.
 */
json_t *coroutine_fn qmp_dispatch(json_t *json, bool negotiated,
                                  bool oob_enabled);

/* {"error": {"class": ..., "desc": ...}, "id": @id}; @id may be NULL. */
json_t *qmp_error_response(const GError *err, json_t *id);

/* {"QMP": {...}} */
json_t *qmp_greeting(void);

/* {"timestamp": ..., "event": @name, "data": @data}; @data may be NULL. */
json_t *qmp_event(const char *name, json_t *data);

#endif
