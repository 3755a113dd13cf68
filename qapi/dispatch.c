/*
 * Finding QMP commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/dispatch.h"

static int compare_name(const void *name, const void *cmd)
{
    return strcmp(name, ((const QapiCommand *)cmd)->name);
}

const QapiCommand *qapi_command_find(const char *name)
{
    return bsearch(name, qapi_commands, qapi_n_commands,
                   sizeof(qapi_commands[0]), compare_name);
}
