/*
 * Monitors: QMP and the lines for people
 *
 * A monitor is one connection.  Commands of one monitor run in order, those
 * of several side by side; events go to all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <jansson.h>

#include "io/channel.h"

typedef struct Monitor Monitor;

/*
 * Speak QMP (or lines, if @hmp) on @ioc until either side ends it.  Takes the
 * caller's reference to @ioc.  @closed (may be NULL) is called afterwards.
 */
void monitor_start(IOChannel *ioc, bool hmp, bool pretty,
                   void (*closed)(void *opaque), void *opaque);

/* The monitor whose command runs in this coroutine, NULL if it is none. */
Monitor *monitor_current(void);

/* The next descriptor that came with the current command, or -1. */
int monitor_take_fd(Monitor *mon);

/* Negotiation: turn out-of-band commands on, leave negotiation mode. */
void monitor_set_negotiated(Monitor *mon, bool oob);

/* The daemon's end begins: no further command is started. */
void monitor_stop_commands(void);

/*
 * The daemon's end: let what is written reach its reader, for @timeout_ns at
 * most, then end all monitors and wait for them.
 */
void coroutine_fn monitor_co_close_all(int64_t timeout_ns);

/* The sink of generated events: to be set once by the daemon. */
void monitor_event_sink(int event, const char *name, json_t *data);

/* Take the descriptor that getfd has named; -1 and an error if there is none. */
int monitor_get_fd(const char *name, GError **errp);

/* The name given by -name: NULL for none. */
void monitor_set_guest_name(const char *name);

/* Run a line of the human monitor and return what it prints. */
char *coroutine_fn hmp_run(const char *line);

#endif
