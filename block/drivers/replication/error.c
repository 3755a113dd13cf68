/*
 * The sticky error of one end of a replicated disk
 *
 * The first failure tells what happened; what follows from it does not
 * overwrite it.  It stays until the next start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#include "util/trace.h"

void replication_set_error(Replication *r, int ret, const char *node_name,
                           int64_t offset, const char *what)
{
    const ReplicationObserver *observer = replication_observer();

    trace_event(replication_error, "node '%s': %s on '%s' at %" PRId64 ": %s",
                r->bs->node_name, what, node_name, offset, g_strerror(-ret));
    g_assert(ret < 0);
    if (r->error.ret < 0) {
        return;
    }
    r->error = (ReplicationError) {
        .ret = ret,
        .node_name = g_strdup(node_name),
        .offset = offset,
        .what = g_strdup(what),
        .when_ns = aio_clock_get_ns(r->bs->ctx),
    };
    if (observer && observer->error) {
        observer->error(r, &r->error);
    }
}

void replication_clear_error(Replication *r)
{
    g_free(r->error.node_name);
    g_free(r->error.what);
    r->error = (ReplicationError) { .offset = -1 };
}

bool replication_check_error(const Replication *r, GError **errp)
{
    const ReplicationError *e = &r->error;

    if (e->ret == 0) {
        return true;
    }
    if (e->offset >= 0) {
        error_setg_errno(errp, -e->ret, "Replication of node '%s' failed: "
                         "%s at offset %" PRId64 " of node '%s'",
                         r->bs->node_name, e->what, e->offset, e->node_name);
    } else {
        error_setg_errno(errp, -e->ret, "Replication of node '%s' failed: "
                         "%s on node '%s'", r->bs->node_name, e->what,
                         e->node_name);
    }
    return false;
}

const ReplicationError *replication_error(const Replication *r)
{
    return &r->error;
}
