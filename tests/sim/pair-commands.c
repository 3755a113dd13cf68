/*
 * What whoever manages a pair says to its hosts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "pair.h"

#include "block/graph-int.h"
#include "block/replication.h"
#include "qapi/qapi-commands-block-core.h"
#include "replication/group.h"

/* What the secondary's disks are afterwards */

BlockReplicationState pair_state(const PairDisk *d)
{
    g_autofree char *name = g_strdup_printf("childs%d", d->number);

    return replication_state(replication_find(name));
}

/* In the coroutine of the command, before anything else can happen. */
static void coroutine_fn note_cut(Pair *p)
{
    for (int i = 0; i < p->options.disks; i++) {
        if (pair_state(&p->disks[i]) == BLOCK_REPLICATION_STATE_RUNNING) {
            pair_take_view(&p->disks[i]);
        }
    }
}

static void coroutine_fn note_start(Pair *p)
{
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];

        if (!d->isolated &&
            pair_state(d) == BLOCK_REPLICATION_STATE_RUNNING) {
            pair_take_view(d);
            d->isolated = true;
        }
    }
}

static void coroutine_fn note_stop(Pair *p)
{
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];

        if (pair_state(d) == BLOCK_REPLICATION_STATE_NONE) {
            d->isolated = false;
            d->was_plain = true;
        }
    }
}

/* Commands */

static bool coroutine_fn run_checkpoint(Command *c)
{
    bool ok;

    GRAPH_COMMAND_GUARD();
    ok = replication_group_co_checkpoint(NULL, NULL);
    if (ok && c->host == SECONDARY) {
        note_cut(c->pair);
    }
    return ok;
}

static bool coroutine_fn run_start(Command *c)
{
    bool ok;

    GRAPH_COMMAND_GUARD();
    ok = replication_group_co_start(NULL, c->host == PRIMARY
                                    ? REPLICATION_MODE_PRIMARY
                                    : REPLICATION_MODE_SECONDARY, false, NULL);
    if (c->host == SECONDARY) {
        note_start(c->pair);
    }
    return ok;
}

static bool coroutine_fn run_stop(Command *c)
{
    bool ok;

    GRAPH_COMMAND_GUARD();
    ok = replication_group_co_stop(NULL, NULL);
    if (c->host == SECONDARY) {
        note_stop(c->pair);
    }
    return ok;
}

static BdrvChild *last_child(BlockDriverState *bs)
{
    BdrvChild *edge, *last = NULL;

    LIST_FOREACH(edge, &bs->children, next) {
        if (!last || strcmp(edge->name, last->name) > 0) {
            last = edge;
        }
    }
    return last;
}

static bool coroutine_fn run_delete_child(Command *c)
{
    BlockDriverState *root = c->disk->root[c->host];
    g_autofree char *child = g_strdup(last_child(root)->name);
    g_autoptr(GError) err = NULL;

    qmp_x_blockdev_change(bdrv_node_name(root), child, NULL, &err);
    return !err;
}

static bool coroutine_fn run_add_child(Command *c)
{
    g_autofree char *json = pair_forward_options(c->disk);
    BlockDriverState *bs = pair_co_open(json, NULL);
    g_autoptr(GError) err = NULL;

    if (!bs) {
        return false;
    }
    qmp_x_blockdev_change(bdrv_node_name(c->disk->root[c->host]), NULL,
                          bdrv_node_name(bs), &err);
    bdrv_co_unref(bs);
    return !err;
}

static bool coroutine_fn run_query(Command *c)
{
    qapi_free_BlockReplicationInfoList(replication_group_query());
    return true;
}

static bool coroutine_fn run_failover(Command *c)
{
    return replication_group_failover(NULL, NULL);
}

static void coroutine_fn command_entry(void *opaque)
{
    static bool coroutine_fn (*const runs[])(Command *) = {
        [COMMAND_QUERY] = run_query,
        [COMMAND_CHECKPOINT] = run_checkpoint,
        [COMMAND_START] = run_start,
        [COMMAND_STOP] = run_stop,
        [COMMAND_FAILOVER] = run_failover,
        [COMMAND_DELETE_CHILD] = run_delete_child,
        [COMMAND_ADD_CHILD] = run_add_child,
    };
    Command *c = opaque;

    c->ok = runs[c->type](c);
    c->done = true;
}

void pair_command(Pair *p, int host, CommandType type)
{
    Command *c = g_new(Command, 1);

    *c = (Command) {
        .pair = p, .type = type, .host = host,
        .disk = &p->disks[g_rand_int_range(p->rand, 0, p->options.disks)],
    };
    g_ptr_array_add(p->commands, c);
    sim_spawn(&p->sim, host, command_entry, c);
}

void pair_forget_commands(Pair *p)
{
    for (guint i = p->commands->len; i-- > 0;) {
        if (((Command *)p->commands->pdata[i])->done) {
            g_ptr_array_remove_index(p->commands, i);
        }
    }
}

void pair_random_commands(Pair *p)
{
    int n = g_rand_int_range(p->rand, 1, 5);

    p->replicated = false;
    for (int i = 0; i < n; i++) {
        int host = g_rand_boolean(p->rand) ? PRIMARY : SECONDARY;
        /* A child that forwards is the primary's. */
        CommandType limit = host == PRIMARY ? COMMAND__MAX
                                            : COMMAND_ADD_CHILD;

        if (!p->sim.frozen[host]) {
            pair_command(p, host, g_rand_int_range(p->rand, 0, limit));
        }
    }
}

/* A checkpoint of both sides */

typedef struct CutCall {
    Pair *pair;
    bool ok;
} CutCall;

static void coroutine_fn prepare_entry(void *opaque)
{
    CutCall *call = opaque;

    GRAPH_COMMAND_GUARD();
    call->ok = replication_group_co_prepare(NULL);
}

static void coroutine_fn checkpoint_entry(void *opaque)
{
    CutCall *call = opaque;
    Command c = { .pair = call->pair, .host = SECONDARY };

    call->ok = run_checkpoint(&c);
}

static void coroutine_fn do_entry(void *opaque)
{
    replication_group_do(NULL);
}

static void coroutine_fn abort_entry(void *opaque)
{
    replication_group_abort();
}

bool pair_checkpoint(Pair *p)
{
    CutCall call = { p, false };

    sim_run(&p->sim, PRIMARY, prepare_entry, &call);
    if (!call.ok) {
        return false;
    }
    /* More is written, which waits and is not in it. */
    pair_request(p, PRIMARY);
    sim_run(&p->sim, SECONDARY, checkpoint_entry, &call);
    if (call.ok) {
        pair_check_cut(p);
    }
    sim_run(&p->sim, PRIMARY, call.ok ? do_entry : abort_entry, &call);
    return call.ok;
}

/* Errors */

typedef struct ErrorCall {
    bool found;
} ErrorCall;

static void coroutine_fn error_entry(void *opaque)
{
    ErrorCall *call = opaque;
    BlockReplicationInfoList *list = replication_group_query();

    for (BlockReplicationInfoList *l = list; l; l = l->next) {
        call->found |= l->value->error != NULL;
    }
    qapi_free_BlockReplicationInfoList(list);
}

bool pair_has_error(Pair *p, int host)
{
    ErrorCall call = { false };

    sim_run(&p->sim, host, error_entry, &call);
    return call.found;
}
