/*
 * The human monitor: run state, the end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/hmp.h"

#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-run-state.h"

void coroutine_fn hmp_stop(const HmpArgs *args, GString *out)
{
    GError *err = NULL;

    qmp_stop(&err);
    hmp_error(out, err);
}

void coroutine_fn hmp_cont(const HmpArgs *args, GString *out)
{
    qmp_cont(NULL);
}

void coroutine_fn hmp_quit(const HmpArgs *args, GString *out)
{
    qmp_quit(NULL);
}
