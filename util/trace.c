/*
 * Trace events by name
 *
 * The linker gathers the events of all files in one section and marks its
 * ends.  An event that several places raise is in there several times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/trace.h"

#include "util/log.h"

/* Weak: a program without any event has no such section. */
extern TraceEvent __start_trace_events[]
    __attribute__((weak, visibility("hidden")));
extern TraceEvent __stop_trace_events[]
    __attribute__((weak, visibility("hidden")));

void trace_event_emit(const TraceEvent *event, const char *fmt, ...)
{
    int64_t us = g_get_real_time();
    g_autofree char *prefix = NULL;
    va_list ap;

    prefix = g_strdup_printf("%s %" PRId64 ".%06" PRId64 " ", event->name,
                             us / 1000000, us % 1000000);
    va_start(ap, fmt);
    log_vline(prefix, fmt, ap);
    va_end(ap);
}

bool trace_enable(const char *pattern, bool enable, GError **errp)
{
    g_autoptr(GPatternSpec) spec = g_pattern_spec_new(pattern);
    bool found = false;

    for (TraceEvent *event = __start_trace_events;
         event < __stop_trace_events; event++) {
        if (g_pattern_spec_match_string(spec, event->name)) {
            event->enabled = enable;
            found = true;
        }
    }
    if (!found) {
        error_setg(errp, "No trace event matches '%s'", pattern);
    }
    return found;
}

void trace_foreach(void (*cb)(const char *name, void *opaque), void *opaque)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (TraceEvent *event = __start_trace_events;
         event < __stop_trace_events; event++) {
        if (g_hash_table_add(seen, (char *)event->name)) {
            cb(event->name, opaque);
        }
    }
}

bool trace_is_enabled(const char *name)
{
    for (TraceEvent *event = __start_trace_events;
         event < __stop_trace_events; event++) {
        if (event->enabled && !strcmp(event->name, name)) {
            return true;
        }
    }
    return false;
}
