/*
 * QMP: trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/qapi-commands-trace.h"

#include "util/trace.h"

typedef struct TraceQuery {
    const char *pattern;
    TraceEventInfoList *list;
} TraceQuery;

static void add_event(const char *name, void *opaque)
{
    TraceQuery *query = opaque;
    TraceEventInfo *info;

    if (!g_pattern_match_simple(query->pattern, name)) {
        return;
    }
    info = g_new0(TraceEventInfo, 1);
    info->name = g_strdup(name);
    info->state = trace_is_enabled(name) ? TRACE_EVENT_STATE_ENABLED
                                         : TRACE_EVENT_STATE_DISABLED;
    QAPI_LIST_PREPEND(query->list, info);
}

TraceEventInfoList *coroutine_fn qmp_trace_event_get_state(const char *name,
                                                           GError **errp)
{
    TraceQuery query = { .pattern = name };

    trace_foreach(add_event, &query);
    if (!query.list) {
        error_setg(errp, "unknown event \"%s\"", name);
    }
    return query.list;
}

void coroutine_fn qmp_trace_event_set_state(const char *name, bool enable,
                                            bool has_ignore_unavailable,
                                            bool ignore_unavailable,
                                            GError **errp)
{
    trace_enable(name, enable, errp);
}
