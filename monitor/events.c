/*
 * Events: to every monitor, some of them at a limited rate
 *
 * An event of the table below is sent at once if none of its kind was within
 * the interval; else it is held back, replaced by newer ones, and sent when
 * the interval is over.  Kinds are told apart by a member of the data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

#include "monitor/qmp-dispatch.h"
#include "util/aio.h"

static const struct {
    const char *event;
    const char *key;            /* member that tells kinds apart */
    int64_t interval_ns;
} event_limits[] = {
    { "QUORUM_FAILURE", "reference", NANOSECONDS_PER_SECOND },
    { "QUORUM_REPORT_BAD", "node-name", NANOSECONDS_PER_SECOND },
};

/* A kind of event whose interval runs. */
struct MonitorThrottle {
    MonitorHub *hub;
    char *kind;                 /* key of hub->throttled */
    AioTimer timer;
    int64_t interval_ns;
    json_t *held;               /* the newest event that waits, or NULL */
};

static void throttle_free(gpointer data)
{
    MonitorThrottle *throttle = data;

    aio_timer_del(&throttle->timer);
    json_decref(throttle->held);
    g_free(throttle->kind);
    g_free(throttle);
}

void monitor_events_init(MonitorHub *hub)
{
    hub->throttled = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                           throttle_free);
}

void monitor_events_fini(MonitorHub *hub)
{
    g_hash_table_unref(hub->throttled);
}

static void send_to_all(MonitorHub *hub, json_t *event)
{
    Monitor *mon, *next;

    TAILQ_FOREACH_SAFE(mon, &hub->monitors, link, next) {
        if (!mon->hmp && mon->negotiated) {
            monitor_write_json(mon, event);
        }
    }
}

static void interval_is_over(void *opaque)
{
    MonitorThrottle *throttle = opaque;
    MonitorHub *hub = throttle->hub;

    if (!throttle->held) {
        g_hash_table_remove(hub->throttled, throttle->kind);
        return;
    }
    send_to_all(hub, throttle->held);
    json_decref(throttle->held);
    throttle->held = NULL;
    aio_timer_mod(&throttle->timer,
                  aio_clock_get_ns(hub->ctx) + throttle->interval_ns);
}

static void send_limited(MonitorHub *hub, const char *kind,
                         int64_t interval_ns, json_t *event)
{
    MonitorThrottle *throttle = g_hash_table_lookup(hub->throttled, kind);

    if (throttle) {
        json_decref(throttle->held);
        throttle->held = json_incref(event);
        return;
    }
    throttle = g_new0(MonitorThrottle, 1);
    throttle->hub = hub;
    throttle->kind = g_strdup(kind);
    throttle->interval_ns = interval_ns;
    aio_timer_init(&throttle->timer, hub->ctx, interval_is_over, throttle);
    aio_timer_mod(&throttle->timer,
                  aio_clock_get_ns(hub->ctx) + interval_ns);
    g_hash_table_insert(hub->throttled, throttle->kind, throttle);
    send_to_all(hub, event);
}

void monitor_event_sink(int event, const char *name, json_t *data)
{
    MonitorHub *hub = monitor_hub();
    json_t *message = qmp_event(name, data);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(event_limits); i++) {
        if (g_str_equal(event_limits[i].event, name)) {
            const char *key = event_limits[i].key;
            const char *value = json_string_value(json_object_get(data, key));
            g_autofree char *kind = g_strdup_printf("%s %s", name,
                                                    value ?: "");

            send_limited(hub, kind, event_limits[i].interval_ns, message);
            break;
        }
    }
    if (i == ARRAY_SIZE(event_limits)) {
        send_to_all(hub, message);
    }
    json_decref(message);
}
