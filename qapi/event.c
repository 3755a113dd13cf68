/*
 * The way of QMP events from who raises them to who sends them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/event.h"

static QapiEventSink *event_sink;

void qapi_event_set_sink(QapiEventSink *sink)
{
    event_sink = sink;
}

void qapi_event_emit(int event, const char *name, json_t *data)
{
    if (event_sink) {
        event_sink(event, name, data);
    }
    json_decref(data);
}
