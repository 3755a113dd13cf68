/*
 * The life of a monitor: reading, running commands in order, the end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

#include "monitor/qmp-dispatch.h"
#include "util/aio.h"
#include "util/trace.h"

#define MONITOR_READ_BYTES 16384

/* Lines for people are short. */
#define MONITOR_LINE_MAX 65536

#define HMP_PROMPT "(qemu) "

/* What monitors share */

static void close_named_fd(gpointer data)
{
    close(GPOINTER_TO_INT(data));
}

static void monitor_hub_init(AioContext *ctx, void *data)
{
    MonitorHub *hub = data;

    hub->ctx = ctx;
    TAILQ_INIT(&hub->monitors);
    co_queue_init(&hub->wait_closed);
    hub->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                     close_named_fd);
    monitor_events_init(hub);
}

static void monitor_hub_fini(AioContext *ctx, void *data)
{
    MonitorHub *hub = data;

    monitor_events_fini(hub);
    g_hash_table_unref(hub->fds);
}

static const AioLocal monitor_hub_key = {
    .size = sizeof(MonitorHub),
    .init = monitor_hub_init,
    .fini = monitor_hub_fini,
};

MonitorHub *monitor_hub(void)
{
    return aio_local_get(aio_get_current(), &monitor_hub_key);
}

Monitor *monitor_current(void)
{
    Coroutine *self = coroutine_self();
    Monitor *mon;

    TAILQ_FOREACH(mon, &monitor_hub()->monitors, link) {
        if (self && mon->command == self) {
            return mon;
        }
    }
    return NULL;
}

int monitor_take_fd(Monitor *mon)
{
    return io_channel_take_fd(mon->ioc);
}

void monitor_set_negotiated(Monitor *mon, bool oob)
{
    mon->oob = oob;
    mon->negotiated = true;
}

/* Requests */

static void request_free(MonitorRequest *req)
{
    json_decref(req->json);
    g_free(req->line);
    g_clear_error(&req->err);
    g_free(req);
}

static MonitorRequest *request_pop(Monitor *mon)
{
    MonitorRequest *req = TAILQ_FIRST(&mon->requests);

    if (req) {
        TAILQ_REMOVE(&mon->requests, req, link);
        mon->n_requests--;
        co_queue_next(&mon->wait_space);
    }
    return req;
}

static void request_push(Monitor *mon, MonitorRequest *req)
{
    TAILQ_INSERT_TAIL(&mon->requests, req, link);
    mon->n_requests++;
    co_queue_next(&mon->wait_request);
}

void monitor_ref(Monitor *mon)
{
    mon->coroutines++;
}

void monitor_unref(Monitor *mon)
{
    MonitorRequest *req;

    if (--mon->coroutines) {
        return;
    }
    while ((req = request_pop(mon))) {
        request_free(req);
    }
    json_stream_free(mon->stream);
    if (mon->line) {
        g_string_free(mon->line, TRUE);
    }
    g_string_free(mon->out, TRUE);
    TAILQ_REMOVE(&monitor_hub()->monitors, mon, link);
    co_queue_restart_all(&monitor_hub()->wait_closed);
    io_channel_unref(mon->ioc);
    if (mon->closed) {
        mon->closed(mon->opaque);
    }
    g_free(mon);
}

/* Running commands */

typedef struct OobCommand {
    Monitor *mon;
    json_t *json;
} OobCommand;

static void coroutine_fn oob_entry(void *opaque)
{
    OobCommand *cmd = opaque;
    json_t *response = qmp_dispatch(cmd->json, cmd->mon->negotiated, true);

    monitor_write_json(cmd->mon, response);
    json_decref(response);
    json_decref(cmd->json);
    monitor_unref(cmd->mon);
    g_free(cmd);
}

static void start_oob(Monitor *mon, json_t *json)
{
    OobCommand *cmd = g_new0(OobCommand, 1);

    cmd->mon = mon;
    cmd->json = json;
    monitor_ref(mon);
    coroutine_start(oob_entry, cmd);
}

static void coroutine_fn run_qmp(Monitor *mon, MonitorRequest *req)
{
    json_t *response;

    if (req->err) {
        response = qmp_error_response(req->err, NULL);
    } else {
        response = qmp_dispatch(req->json, mon->negotiated, mon->oob);
    }
    monitor_write_json(mon, response);
    json_decref(response);
}

static void coroutine_fn run_hmp(Monitor *mon, MonitorRequest *req)
{
    g_autofree char *text = NULL;

    if (req->err) {
        text = g_strdup_printf("Error: %s\r\n", req->err->message);
    } else {
        text = hmp_run(req->line);
    }
    monitor_write(mon, text, strlen(text));
    monitor_write(mon, HMP_PROMPT, strlen(HMP_PROMPT));
}

static void coroutine_fn commands_entry(void *opaque)
{
    Monitor *mon = opaque;
    MonitorHub *hub = monitor_hub();
    MonitorRequest *req;

    for (;;) {
        while (!mon->n_requests && !mon->eof) {
            co_queue_wait(&mon->wait_request);
        }
        monitor_co_wait_written(mon, false);
        req = hub->closing ? NULL : request_pop(mon);
        if (!req) {
            break;
        }
        mon->command = coroutine_self();
        if (mon->hmp) {
            run_hmp(mon, req);
        } else {
            run_qmp(mon, req);
        }
        mon->command = NULL;
        request_free(req);
    }

    /* Half a connection may be open still: the last answers go there. */
    monitor_co_wait_written(mon, true);
    io_channel_shutdown(mon->ioc);
    mon->eof = true;
    co_queue_restart_all(&mon->wait_space);
    monitor_unref(mon);
}

/* Reading */

static void handle_value(Monitor *mon, json_t *json, GError *err)
{
    MonitorRequest *req;

    if (json && mon->oob && qmp_request_is_oob(json)) {
        start_oob(mon, json);
        return;
    }
    req = g_new0(MonitorRequest, 1);
    req->json = json;
    req->err = err;
    request_push(mon, req);
}

/* Wait while too many requests are waiting themselves. */
static void coroutine_fn wait_for_space(Monitor *mon)
{
    while (mon->n_requests >= MONITOR_QUEUE_MAX && !mon->eof) {
        co_queue_wait(&mon->wait_space);
    }
}

static void coroutine_fn handle_json(Monitor *mon, const char *buf,
                                     size_t bytes)
{
    while (bytes && !mon->eof) {
        json_t *value = NULL;
        GError *err = NULL;
        size_t used = json_stream_feed(mon->stream, buf, bytes, &value, &err);

        if (value || err) {
            handle_value(mon, value, err);
            wait_for_space(mon);
        }
        buf += used;
        bytes -= used;
    }
}

/* What is complete or broken only because nothing follows. */
static void handle_end(Monitor *mon)
{
    json_t *value = NULL;
    GError *err = NULL;

    json_stream_finish(mon->stream, &value, &err);
    if (value || err) {
        handle_value(mon, value, err);
    }
}

static void handle_lines(Monitor *mon, const char *buf, size_t bytes)
{
    size_t i;

    for (i = 0; i < bytes; i++) {
        MonitorRequest *req;

        if (buf[i] != '\n' && buf[i] != '\r') {
            if (mon->line->len < MONITOR_LINE_MAX) {
                g_string_append_c(mon->line, buf[i]);
            }
            continue;
        }
        if (buf[i] == '\r') {
            continue;
        }
        req = g_new0(MonitorRequest, 1);
        if (mon->line->len >= MONITOR_LINE_MAX) {
            error_setg(&req->err, "line too long");
        } else {
            req->line = g_strdup(mon->line->str);
        }
        g_string_truncate(mon->line, 0);
        request_push(mon, req);
    }
}

static void coroutine_fn reader_entry(void *opaque)
{
    Monitor *mon = opaque;
    g_autofree char *buf = g_malloc(MONITOR_READ_BYTES);
    ssize_t n;

    for (;;) {
        wait_for_space(mon);
        n = io_channel_co_read(mon->ioc, buf, MONITOR_READ_BYTES);
        if (n <= 0) {
            break;
        }
        if (mon->hmp) {
            handle_lines(mon, buf, n);
        } else {
            handle_json(mon, buf, n);
        }
        if (n == MONITOR_READ_BYTES) {
            /* Megabytes of JSON must not keep the loop from disks. */
            co_reschedule_self();
        }
    }
    if (!mon->hmp && !mon->eof) {
        handle_end(mon);
    }

    mon->eof = true;
    co_queue_restart_all(&mon->wait_request);
    monitor_unref(mon);
}

void monitor_start(IOChannel *ioc, bool hmp, bool pretty,
                   void (*closed)(void *opaque), void *opaque)
{
    Monitor *mon = g_new0(Monitor, 1);
    json_t *greeting;

    mon->ioc = ioc;
    mon->hmp = hmp;
    mon->pretty = pretty;
    mon->closed = closed;
    mon->opaque = opaque;
    mon->out = g_string_new(NULL);
    TAILQ_INIT(&mon->requests);
    co_queue_init(&mon->wait_request);
    co_queue_init(&mon->wait_space);
    co_queue_init(&mon->wait_written);
    TAILQ_INSERT_TAIL(&monitor_hub()->monitors, mon, link);
    trace_event(monitor_start, "%s", io_channel_peer_name(ioc));

    /* Held by the two coroutines, and by us until both are started. */
    mon->coroutines = 3;
    if (hmp) {
        mon->line = g_string_new(NULL);
        monitor_write(mon, HMP_PROMPT, strlen(HMP_PROMPT));
    } else {
        mon->stream = json_stream_new();
        greeting = qmp_greeting();
        monitor_write_json(mon, greeting);
        json_decref(greeting);
    }
    coroutine_start(reader_entry, mon);
    coroutine_start(commands_entry, mon);
    monitor_unref(mon);
}

/* The end */

typedef struct CloseTimer {
    AioTimer timer;
    MonitorHub *hub;
    bool expired;
} CloseTimer;

static void close_timer_cb(void *opaque)
{
    CloseTimer *ct = opaque;

    ct->expired = true;
    co_queue_restart_all(&ct->hub->wait_closed);
}

void monitor_stop_commands(void)
{
    MonitorHub *hub = monitor_hub();
    Monitor *mon;

    hub->closing = true;
    TAILQ_FOREACH(mon, &hub->monitors, link) {
        mon->eof = true;
        co_queue_restart_all(&mon->wait_request);
    }
}

void coroutine_fn monitor_co_close_all(int64_t timeout_ns)
{
    MonitorHub *hub = monitor_hub();
    CloseTimer ct = { .hub = hub };
    Monitor *mon;

    monitor_stop_commands();
    aio_timer_init(&ct.timer, hub->ctx, close_timer_cb, &ct);
    aio_timer_mod(&ct.timer, aio_clock_get_ns(hub->ctx) + timeout_ns);
    while (!TAILQ_EMPTY(&hub->monitors) && !ct.expired) {
        co_queue_wait(&hub->wait_closed);
    }

    /* Whoever has not read by now is cut off. */
    TAILQ_FOREACH(mon, &hub->monitors, link) {
        mon->broken = true;
        io_channel_shutdown(mon->ioc);
        co_queue_restart_all(&mon->wait_written);
    }
    ct.expired = false;
    aio_timer_mod(&ct.timer, aio_clock_get_ns(hub->ctx) + timeout_ns);
    while (!TAILQ_EMPTY(&hub->monitors) && !ct.expired) {
        co_queue_wait(&hub->wait_closed);
    }
    aio_timer_del(&ct.timer);
}
