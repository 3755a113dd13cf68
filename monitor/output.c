/*
 * What monitors send
 *
 * Answers and events are appended to a buffer and never wait; a coroutine of
 * its own carries the buffer to the client.  Who does not read is first not
 * served any further and in the end given up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

static void give_up(Monitor *mon)
{
    mon->broken = true;
    g_string_truncate(mon->out, 0);
    io_channel_shutdown(mon->ioc);
}

static void coroutine_fn writer_entry(void *opaque)
{
    Monitor *mon = opaque;

    while (mon->out->len && !mon->broken) {
        g_autoptr(GString) chunk = mon->out;

        mon->out = g_string_new(NULL);
        if (io_channel_co_write_full(mon->ioc, chunk->str, chunk->len) < 0) {
            give_up(mon);
        }
        co_queue_restart_all(&mon->wait_written);
    }
    mon->writing = false;
    co_queue_restart_all(&mon->wait_written);
    monitor_unref(mon);
}

void monitor_write(Monitor *mon, const char *text, size_t bytes)
{
    if (mon->broken) {
        return;
    }
    if (mon->out->len + bytes > MONITOR_OUT_MAX && mon->out->len) {
        warn_report("monitor client does not read its events, disconnecting");
        give_up(mon);
        return;
    }
    g_string_append_len(mon->out, text, bytes);
    if (!mon->writing) {
        mon->writing = true;
        monitor_ref(mon);
        coroutine_start(writer_entry, mon);
    }
}

/* Indented text.  json_dumps() recurses: only for what we made ourselves. */
static char *print_pretty(json_t *json, size_t *len)
{
    char *text = json_dumps(json, JSON_ENSURE_ASCII | JSON_INDENT(4));
    char *copy;

    if (!text) {
        return json_print(json, len);
    }
    copy = g_strdup(text);
    *len = strlen(copy);
    free(text);
    return copy;
}

void monitor_write_json(Monitor *mon, json_t *json)
{
    size_t len;
    g_autofree char *text = NULL;
    GString *line;

    text = mon->pretty ? print_pretty(json, &len) : json_print(json, &len);
    line = g_string_new_len(text, len);
    g_string_append(line, "\r\n");
    monitor_write(mon, line->str, line->len);
    g_string_free(line, TRUE);
}

void coroutine_fn monitor_co_wait_written(Monitor *mon, bool all)
{
    while (!mon->broken &&
           (all ? mon->writing : mon->out->len > MONITOR_OUT_HIGH)) {
        co_queue_wait(&mon->wait_written);
    }
}
