/*
 * Private to monitor/: what a monitor is made of
 *
 * Three kinds of coroutines work on a monitor: one reads and parses, one runs
 * commands in order, one at a time writes; out-of-band commands have one
 * each.  The monitor lives until the last of them has ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MONITOR_MONITOR_INT_H
#define MONITOR_MONITOR_INT_H

#include "monitor/monitor.h"
#include "qapi/json-stream.h"
#include "util/co-lock.h"
#include "util/queue.h"

/* Requests that may wait before we stop reading. */
#define MONITOR_QUEUE_MAX 8

/* Unread output beyond which no further command is started. */
#define MONITOR_OUT_HIGH (1024 * 1024)

/* Unread output, events mostly, beyond which a monitor is given up. */
#define MONITOR_OUT_MAX (64 * 1024 * 1024)

typedef struct MonitorRequest {
    json_t *json;               /* QMP */
    char *line;                 /* HMP */
    GError *err;                /* neither: what could not be parsed */
    TAILQ_ENTRY(MonitorRequest) link;
} MonitorRequest;

struct Monitor {
    /* Constant */
    IOChannel *ioc;
    bool hmp;
    bool pretty;
    void (*closed)(void *opaque);
    void *opaque;

    unsigned coroutines;        /* that work on this monitor */
    TAILQ_ENTRY(Monitor) link;

    /* Input */
    JsonStream *stream;         /* QMP */
    GString *line;              /* HMP: the line that is being read */
    bool eof;
    TAILQ_HEAD(, MonitorRequest) requests;
    unsigned n_requests;
    CoQueue wait_request;       /* commands: nothing to do */
    CoQueue wait_space;         /* reader: too many requests */

    /* Negotiation */
    bool negotiated;
    bool oob;

    /* The coroutine of the command that runs in order, if one does */
    Coroutine *command;

    /* Output */
    GString *out;
    bool writing;
    bool broken;                /* nobody reads any more */
    CoQueue wait_written;
};

typedef struct MonitorThrottle MonitorThrottle;

/* What all monitors of a context share. */
typedef struct MonitorHub {
    AioContext *ctx;
    TAILQ_HEAD(, Monitor) monitors;
    CoQueue wait_closed;
    bool closing;
    GHashTable *fds;            /* getfd: name to descriptor */
    GHashTable *throttled;      /* events that are held back */
} MonitorHub;

MonitorHub *monitor_hub(void);

/* Queue @bytes of @text for writing.  Never waits. */
void monitor_write(Monitor *mon, const char *text, size_t bytes);
/* As a line, or several if the monitor is to be pretty. */
void monitor_write_json(Monitor *mon, json_t *json);

/* Sleep until less than MONITOR_OUT_HIGH, or (@all) nothing, is unread. */
void coroutine_fn monitor_co_wait_written(Monitor *mon, bool all);

/* One more, one less coroutine; the last one frees @mon. */
void monitor_ref(Monitor *mon);
void monitor_unref(Monitor *mon);

/* Throttled events of @hub: made and freed with it. */
void monitor_events_init(MonitorHub *hub);
void monitor_events_fini(MonitorHub *hub);

#endif
