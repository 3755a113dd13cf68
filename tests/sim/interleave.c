/*
 * Every interleaving of a few operations on a secondary
 *
 * Each access to the secondary disk is a break point.  The explorer decides,
 * at every step, which operation starts or which access goes on, and tries
 * all decisions one after the other.  What the operations returned and what
 * is on the disk at the end must be the outcome of some order of them, one
 * after the other, on a model of a few arrays, that agrees with the order in
 * which they really began and ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block-helpers.h"
#include "block/drivers.h"
#include "replication/group.h"

#define SECTORS 6
#define MAX_OPS 4
#define MAX_STEPS 64
/* A safety net: the largest scenario has far fewer. */
#define MAX_RUNS 200000

typedef enum OpType {
    OP_FORWARD,                 /* the primary writes */
    OP_READ,                    /* the secondary's guest */
    OP_WRITE,
    OP_CUT,                     /* checkpoint */
    OP_FAILOVER,                /* and merge */
} OpType;

/* What a scenario says of an operation. */
typedef struct OpSpec {
    OpType type;
    int sector, count;
} OpSpec;

typedef struct Op {
    OpSpec spec;
    uint8_t pattern;
    struct World *world;
    int began, ended;           /* steps; -1: not yet */
    int ret;
    uint8_t result[SECTORS];    /* a byte per sector of a read */
} Op;

typedef struct World {
    AioVirtualClock clock;
    AioContext *ctx;
    BlockDriverState *disk, *layers, *secondary;
    BlockBackend *guest, *primary;
    Op ops[MAX_OPS];
    int n_ops;
    int now;                    /* step */
    bool export_closed;         /* a failover has begun */
} World;

/* Nodes */

typedef struct OpenCall {
    BlockdevOptions *options;
    BlockDriverState *bs;
} OpenCall;

static void coroutine_fn open_entry(void *opaque)
{
    OpenCall *call = opaque;
    g_autoptr(GError) err = NULL;

    call->bs = bdrv_co_open(call->options, &err);
    g_assert_no_error(err);
}

static BlockDriverState *open_node(World *w, BlockdevOptions *options)
{
    OpenCall call = { .options = options };

    test_run(w->ctx, open_entry, &call);
    return call.bs;
}

static void coroutine_fn start_entry(void *opaque)
{
    g_autoptr(GError) err = NULL;

    GRAPH_COMMAND_GUARD();
    replication_group_co_start(NULL, REPLICATION_MODE_SECONDARY, true, &err);
    g_assert_no_error(err);
}

static void world_begin(World *w, const OpSpec *specs, int n)
{
    static const BlockDriver *const drivers[] = {
        &test_disk_driver, &bdrv_colo_buffer, &bdrv_replication, NULL
    };
    BlockdevRef disk = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"disk",
    };
    BlockdevRef layers = {
        .type = QTYPE_QSTRING, .u.reference = (char *)"layers",
    };
    BlockdevOptions layers_options = {
        .driver = BLOCKDEV_DRIVER_COLO_BUFFER, .node_name = (char *)"layers",
        .u.colo_buffer.backing = &disk,
    };
    BlockdevOptions secondary_options = {
        .driver = BLOCKDEV_DRIVER_REPLICATION,
        .node_name = (char *)"secondary",
        .u.replication = {
            .file = &layers, .mode = REPLICATION_MODE_SECONDARY,
            .top_id = (char *)"secondary",
        },
    };

    *w = (World) { .n_ops = n };
    w->ctx = aio_context_new(&w->clock, NULL);
    bdrv_register_drivers(drivers);
    replication_group_init();
    w->disk = test_open_disk(w->ctx, "disk");
    w->layers = open_node(w, &layers_options);
    w->secondary = open_node(w, &secondary_options);
    w->primary = test_backend_perm(w->ctx, w->disk, BLK_PERM_WRITE);
    w->guest = test_backend_perm(w->ctx, w->secondary,
                                 BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE);
    test_run(w->ctx, start_entry, NULL);
    test_disk(w->disk)->stepped = true;

    for (int i = 0; i < n; i++) {
        w->ops[i] = (Op) {
            .spec = specs[i], .pattern = 0x10 + i, .world = w,
            .began = -1, .ended = -1,
        };
    }
}

static void coroutine_fn shutdown_entry(void *opaque)
{
    replication_group_co_shutdown();
}

static void world_end(World *w)
{
    test_disk(w->disk)->stepped = false;
    test_run(w->ctx, shutdown_entry, NULL);
    test_backend_free(w->ctx, w->guest);
    test_backend_free(w->ctx, w->primary);
    test_unref(w->ctx, w->secondary);
    test_unref(w->ctx, w->layers);
    test_unref(w->ctx, w->disk);
    test_settle(w->ctx);
    aio_context_free(w->ctx);
    g_assert_cmpuint(coroutine_count(), ==, 0);
}

/* Operations */

static int coroutine_fn do_cut(void)
{
    GRAPH_COMMAND_GUARD();
    return replication_group_co_checkpoint(NULL, NULL) ? 0 : -EIO;
}

static int coroutine_fn do_read(World *w, Op *op)
{
    uint8_t buf[SECTORS * 512];
    int ret = blk_co_pread(w->guest, op->spec.sector * 512,
                           op->spec.count * 512, buf, 0);

    for (int i = 0; i < op->spec.count; i++) {
        op->result[i] = buf[i * 512];
        for (int j = 1; j < 512; j++) {
            g_assert_cmphex(buf[i * 512 + j], ==, buf[i * 512]);
        }
    }
    return ret;
}

static int coroutine_fn do_write(BlockBackend *blk, const Op *op)
{
    uint8_t buf[SECTORS * 512];

    memset(buf, op->pattern, sizeof(buf));
    return blk_co_pwrite(blk, op->spec.sector * 512, op->spec.count * 512, buf,
                         0);
}

static void coroutine_fn op_entry(void *opaque)
{
    Op *op = opaque;
    World *w = op->world;

    switch (op->spec.type) {
    case OP_FORWARD:
        op->ret = w->export_closed ? -ESHUTDOWN : do_write(w->primary, op);
        break;
    case OP_READ:
        op->ret = do_read(w, op);
        break;
    case OP_WRITE:
        op->ret = do_write(w->guest, op);
        break;
    case OP_CUT:
        op->ret = do_cut();
        break;
    case OP_FAILOVER:
        /* The peer's export goes first: what comes later has no way in. */
        w->export_closed = true;
        op->ret = replication_group_failover(NULL, NULL) ? 0 : -EIO;
        break;
    }
    op->ended = w->now;
}

/* Exploring */

typedef struct Path {
    int choice[MAX_STEPS], options[MAX_STEPS];
    int length;
} Path;

static int next_to_start(const World *w, int skip)
{
    for (int i = 0; i < w->n_ops; i++) {
        if (w->ops[i].began < 0 && skip-- == 0) {
            return i;
        }
    }
    return -1;
}

static int count_unstarted(const World *w)
{
    int n = 0;

    while (next_to_start(w, n) >= 0) {
        n++;
    }
    return n;
}

/* One step by the @choice-th of what can be done now. */
static void take(World *w, int choice)
{
    int unstarted = count_unstarted(w);

    w->now++;
    if (choice < unstarted) {
        Op *op = &w->ops[next_to_start(w, choice)];

        op->began = w->now;
        coroutine_start(op_entry, op);
    } else {
        test_disk_step(w->disk, choice - unstarted);
    }
    test_settle(w->ctx);
}

static void run_path(World *w, Path *path)
{
    for (int step = 0;; step++) {
        int options = count_unstarted(w) + test_disk_waiting(w->disk);

        if (!options) {
            path->length = step;
            return;
        }
        g_assert_cmpint(step, <, MAX_STEPS);
        if (step >= path->length) {
            path->choice[step] = 0;
            path->length = step + 1;
        }
        path->options[step] = options;
        take(w, path->choice[step]);
    }
}

/* The next path in depth-first order; false after the last one. */
static bool advance(Path *path)
{
    while (path->length > 0) {
        int last = path->length - 1;

        if (++path->choice[last] < path->options[last]) {
            return true;
        }
        path->length--;
    }
    return false;
}

/* The model */

typedef struct Model {
    uint8_t disk[SECTORS], checkpoint[SECTORS], own[SECTORS];
    bool has_own[SECTORS];
    bool taken_over;
} Model;

static uint8_t model_view(const Model *m, int sector)
{
    return m->has_own[sector] ? m->own[sector] : m->checkpoint[sector];
}

static void model_cut(Model *m)
{
    memcpy(m->checkpoint, m->disk, SECTORS);
    memset(m->has_own, 0, sizeof(m->has_own));
}

/* Whether @op could have returned what it did, now; and its effect. */
static bool model_apply(Model *m, const Op *op)
{
    for (int i = 0; i < op->spec.count; i++) {
        int sector = op->spec.sector + i;

        switch (op->spec.type) {
        case OP_FORWARD:
            if (!m->taken_over) {
                m->disk[sector] = op->pattern;
            }
            break;
        case OP_WRITE:
            m->own[sector] = op->pattern;
            m->has_own[sector] = true;
            break;
        default:
            if (op->result[i] != model_view(m, sector)) {
                return false;
            }
        }
    }
    switch (op->spec.type) {
    case OP_FORWARD:
        return (op->ret < 0) == m->taken_over;
    case OP_CUT:
        if (!m->taken_over) {
            model_cut(m);
        }
        return true;
    case OP_FAILOVER:
        m->taken_over = true;
        return op->ret == 0;
    default:
        return op->ret == 0;
    }
}

/* A cut that a failover overtook had no effect. */
static bool model_skip(const Op *op)
{
    return op->spec.type == OP_CUT && op->ret < 0;
}

static bool model_agrees(const World *w, const Model *m)
{
    const uint8_t *data = test_disk(w->disk)->data;

    for (int i = 0; i < SECTORS; i++) {
        uint8_t expected = m->taken_over ? model_view(m, i) : m->disk[i];

        if (data[i * 512] != expected) {
            return false;
        }
    }
    return true;
}

/* Whether what is left can follow in some order. */
static bool explain(const World *w, const Model *m, unsigned done)
{
    if (done == (1u << w->n_ops) - 1) {
        return model_agrees(w, m);
    }
    for (int i = 0; i < w->n_ops; i++) {
        const Op *op = &w->ops[i];
        Model next = *m;
        bool possible = !(done & 1u << i);

        for (int j = 0; j < w->n_ops && possible; j++) {
            const Op *other = &w->ops[j];
            bool overlapping_forwards =
                op->spec.type == OP_FORWARD && other->spec.type == OP_FORWARD;

            /* Nothing goes before what ended before it began. */
            if (j != i && !(done & 1u << j) &&
                (other->ended < op->began ||
                 (overlapping_forwards && other->began < op->began))) {
                possible = false;
            }
        }
        if (possible && (model_skip(op) || model_apply(&next, op)) &&
            explain(w, &next, done | 1u << i)) {
            return true;
        }
    }
    return false;
}

static void describe(const World *w, const Path *path)
{
    static const char *const names[] = {
        "forward", "read", "write", "cut", "failover",
    };

    for (int i = 0; i < w->n_ops; i++) {
        const Op *op = &w->ops[i];

        g_printerr("%s %d+%d: steps %d..%d ret %d", names[op->spec.type],
                   op->spec.sector, op->spec.count, op->began, op->ended,
                   op->ret);
        for (int j = 0; op->spec.type == OP_READ && j < op->spec.count; j++) {
            g_printerr(" %02x", op->result[j]);
        }
        g_printerr("\n");
    }
    for (int i = 0; i < SECTORS; i++) {
        g_printerr(" %02x", test_disk(w->disk)->data[i * 512]);
    }
    g_printerr(" on the disk; path");
    for (int i = 0; i < path->length; i++) {
        g_printerr(" %d/%d", path->choice[i], path->options[i]);
    }
    g_printerr("\n");
}

static void check_run(const World *w, const Path *path)
{
    Model m = { 0 };

    for (int i = 0; i < w->n_ops; i++) {
        if (w->ops[i].ended < 0) {
            describe(w, path);
            g_error("operation %d never ended", i);
        }
    }
    if (!explain(w, &m, 0)) {
        describe(w, path);
        g_error("no order of the operations explains this");
    }
}

static int explore(const OpSpec *specs, int n)
{
    Path path = { .length = 0 };
    int runs = 0;

    do {
        World w;

        world_begin(&w, specs, n);
        run_path(&w, &path);
        check_run(&w, &path);
        world_end(&w);
        runs++;
        g_assert_cmpint(runs, <, MAX_RUNS);
    } while (advance(&path));
    return runs;
}

/* Scenarios: overlaps of every kind within six sectors */

static const OpSpec kinds[] = {
    { OP_FORWARD, 1, 3 }, { OP_FORWARD, 2, 3 }, { OP_READ, 0, 6 },
    { OP_WRITE, 2, 1 }, { OP_CUT, 0, 0 }, { OP_FAILOVER, 0, 0 },
};

static void test_pairs(void)
{
    int runs = 0;

    for (size_t a = 0; a < ARRAY_SIZE(kinds); a++) {
        for (size_t b = 0; b < ARRAY_SIZE(kinds); b++) {
            runs += explore((OpSpec[]) { kinds[a], kinds[b] }, 2);
        }
    }
    g_test_message("%d interleavings of pairs", runs);
}

static void explore_triples(OpSpec with)
{
    int runs = 0;

    for (size_t a = 0; a < ARRAY_SIZE(kinds); a++) {
        for (size_t b = a; b < ARRAY_SIZE(kinds); b++) {
            runs += explore((OpSpec[]) { kinds[a], kinds[b], with }, 3);
        }
    }
    g_test_message("%d interleavings of triples", runs);
}

static void test_triples_with_a_cut(void)
{
    explore_triples((OpSpec) { OP_CUT, 0, 0 });
}

static void test_triples_with_a_failover(void)
{
    explore_triples((OpSpec) { OP_FAILOVER, 0, 0 });
}

static void test_two_cuts_around_a_forward(void)
{
    static const OpSpec specs[] = {
        { OP_CUT, 0, 0 }, { OP_FORWARD, 1, 3 }, { OP_CUT, 0, 0 },
        { OP_READ, 0, 6 },
    };

    g_test_message("%d interleavings", explore(specs, 4));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interleave/pairs", test_pairs);
    g_test_add_func("/interleave/cut", test_triples_with_a_cut);
    g_test_add_func("/interleave/failover", test_triples_with_a_failover);
    g_test_add_func("/interleave/two-cuts", test_two_cuts_around_a_forward);
    return g_test_run();
}
