/*
 * Whether the guest runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/run-state.h"

#include "block/export.h"
#include "block/graph.h"
#include "block/io.h"
#include "qapi/qapi-events-run-state.h"
#include "util/aio.h"
#include "util/trace.h"

typedef struct RunStateLocal {
    RunState state;
    ShutdownCause shutdown;
} RunStateLocal;

static void run_state_init(AioContext *ctx, void *data)
{
    RunStateLocal *local = data;

    local->state = RUN_STATE_PRELAUNCH;
    local->shutdown = SHUTDOWN_CAUSE_NONE;
}

static const AioLocal run_state_key = {
    .size = sizeof(RunStateLocal),
    .init = run_state_init,
};

static RunStateLocal *run_state_local(void)
{
    return aio_local_get(aio_get_current(), &run_state_key);
}

RunState run_state_get(void)
{
    return run_state_local()->state;
}

void run_state_set(RunState state)
{
    RunStateLocal *local = run_state_local();
    bool was_running = local->state == RUN_STATE_RUNNING;
    bool running = state == RUN_STATE_RUNNING;

    trace_event(run_state_set, "%s -> %s", RunState_str(local->state),
                RunState_str(state));
    local->state = state;
    block_export_set_guests_running(running);
    if (running && !was_running) {
        qapi_event_send_resume();
    } else if (!running && was_running) {
        qapi_event_send_stop();
    }
}

static void collect_node(BlockDriverState *bs, void *opaque)
{
    GPtrArray *nodes = opaque;

    bdrv_ref(bs);
    g_ptr_array_add(nodes, bs);
}

/* Flush all, report the first failure. */
static bool coroutine_fn flush_all_nodes(GError **errp)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    bool ok = true;
    guint i;

    bdrv_foreach_node(collect_node, nodes);
    for (i = 0; i < nodes->len; i++) {
        BlockDriverState *bs = g_ptr_array_index(nodes, i);
        int ret = bdrv_co_flush(bs);

        if (ret < 0 && ok) {
            error_setg_errno(errp, -ret, "Cannot flush node '%s'",
                             bdrv_node_name(bs));
            ok = false;
        }
        bdrv_co_unref(bs);
    }
    return ok;
}

bool coroutine_fn run_state_co_stop(RunState state, GError **errp)
{
    RunStateLocal *local = run_state_local();

    run_state_set(state);
    block_export_co_wait_guests_idle();
    if (local->state == RUN_STATE_RUNNING) {
        return true;
    }
    return flush_all_nodes(errp);
}

void run_state_request_shutdown(ShutdownCause cause)
{
    RunStateLocal *local = run_state_local();

    if (local->shutdown == SHUTDOWN_CAUSE_NONE) {
        local->shutdown = cause;
        aio_notify(aio_get_current());
    }
}

ShutdownCause run_state_shutdown_cause(void)
{
    return run_state_local()->shutdown;
}
