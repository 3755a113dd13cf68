/*
 * Trace events by name
 *
 * An event is declared where it is raised and costs one predicted branch
 * while it is off.  -trace NAME-OR-PATTERN turns events on; each is a line
 * "NAME time text" in the log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_TRACE_H
#define UTIL_TRACE_H

typedef struct TraceEvent {
    const char *name;
    bool enabled;
} TraceEvent;

/* trace_event(name_without_quotes, "format", ...) */
#define trace_event(event_name, ...)                                    \
    do {                                                                \
        static TraceEvent event_                                        \
            __attribute__((section("trace_events"), used)) = {          \
            .name = #event_name,                                        \
        };                                                              \
        if (G_UNLIKELY(event_.enabled)) {                               \
            trace_event_emit(&event_, __VA_ARGS__);                     \
        }                                                               \
    } while (0)

void trace_event_emit(const TraceEvent *event, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/*
 * Turn on (or off) the events whose name matches the shell pattern.  False
 * and an error if none does.
 */
bool trace_enable(const char *pattern, bool enable, GError **errp);

/* Whether the event @name is on. */
bool trace_is_enabled(const char *name);

/* Call @cb for each event name, each name once. */
void trace_foreach(void (*cb)(const char *name, void *opaque), void *opaque);

#endif
