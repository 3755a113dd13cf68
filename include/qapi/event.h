/*
 * The way of QMP events from who raises them to who sends them
 *
 * Generated qapi_event_send_*() functions end here.  The sink makes the
 * envelope with its timestamp and limits rates; @event is a value of QAPIEvent
 * (qapi/qapi-emit-events.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_EVENT_H
#define QAPI_EVENT_H

#include "qapi/builtin.h"

/* @data is borrowed, an object or NULL. */
typedef void QapiEventSink(int event, const char *name, json_t *data);

/* Set once, before threads; NULL drops events. */
void qapi_event_set_sink(QapiEventSink *sink);

/* Hand an event to the sink.  Takes the reference @data, which may be NULL. */
void qapi_event_emit(int event, const char *name, json_t *data);

#endif
