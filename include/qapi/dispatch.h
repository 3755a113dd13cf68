/*
 * The table of QMP commands
 *
 * Generated from the schema: what the monitor needs to find a command and to
 * call it.  Handlers have the C types of the schema; marshalling between them
 * and JSON is the generator's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_DISPATCH_H
#define QAPI_DISPATCH_H

#include "qapi/builtin.h"

typedef enum QapiCommandFlags {
    QAPI_COMMAND_ALLOW_OOB          = 1 << 0,
    QAPI_COMMAND_ALLOW_PRECONFIG    = 1 << 1,
    /* Answers with an error or not at all. */
    QAPI_COMMAND_NO_SUCCESS_RESP    = 1 << 2,
} QapiCommandFlags;

typedef struct QapiCommand {
    const char *name;
    unsigned flags;
    /*
     * Runs in a coroutine and may yield.  @args is an object or NULL for no
     * arguments, borrowed.  Returns a new reference ({} if the command
     * returns nothing), or NULL and an error.
     */
    json_t *coroutine_fn (*marshal)(json_t *args, GError **errp);
} QapiCommand;

/* Sorted by name */
extern const QapiCommand qapi_commands[];
extern const size_t qapi_n_commands;

/* NULL if there is no such command; the error text is the monitor's. */
const QapiCommand *qapi_command_find(const char *name);

/* The whole schema as query-qmp-schema answers it: a new reference. */
json_t *qapi_introspect(void);

#endif
