/*
 * Cancel at every turn: a blow after each step of a scenario
 *
 * A client's host with an nbd node, a link, and a server's host with an
 * export over a disk in memory.  A scenario (opening, a request, several, a
 * reopen, a new connection) is run again and again, each time one step
 * further: one event of one host's loop.  Then something strikes: a yank, a
 * close, a drain, the removal of the export, a cut.  Whatever it is and
 * whenever it comes, every request and every command ends, what was promised
 * holds, and nothing is left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "block/nbd-server.h"
#include "io/yank.h"
#include "nbd-world.h"
#include "util/log.h"

#define SECOND NANOSECONDS_PER_SECOND
#define MINUTE (60 * SECOND)
#define MAX_OPS 8
#define MAX_STEPS 2000
#define PATTERN NBD_WORLD_PATTERN

typedef enum OpType {
    OP_NONE,
    OP_READ, OP_WRITE, OP_ZEROES, OP_DISCARD, OP_FLUSH, OP_STATUS,
    OP_OPEN, OP_REOPEN, OP_CLOSE,
} OpType;

/* Something that a client does. */
typedef struct Op {
    OpType type;
    int64_t offset, bytes;

    struct World *world;
    int ret;
    bool done;
} Op;

/* What happens on one of the hosts. */
typedef struct Blow Blow;

typedef struct Scenario {
    const char *name;
    Op ops[MAX_OPS];
    bool closed;                /* no node yet */
    bool lost;                  /* the connection breaks as it begins */
    bool held;                  /* the disk answers once nobody can go on */
    size_t chunk;               /* bytes that the link passes at a time */
} Scenario;

static const char *const ways[] = { "once", "reconnect", "layered" };

typedef struct World {
    NbdWorld nbd;
    const Scenario *scenario;
    const Blow *blow;
    Way way;
    int steps;

    BlockBackend *blk;          /* ours and the monitor's */
    Op ops[MAX_OPS];
    bool blow_done;
} World;

struct Blow {
    const char *name;
    int host;
    CoroutineEntry *strike;     /* on @host; sets blow_done at its end */
    bool stall;                 /* the link, before that and for a minute */
    bool frees;                 /* requests end though nobody answers */
    bool answers;               /* so does the command */
    bool removes;               /* the export is gone soon */
    bool harmless;              /* nothing fails */
    bool spares_clients;        /* ... if they may connect again */
};

G_GNUC_PRINTF(2, 3)
static void fail(const World *w, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_error("%s/%s/%s, step %d: %s", w->scenario->name, w->blow->name,
            ways[w->way], w->steps, text);
}

/* The client's host */

/* Errors are answers too. */

static int coroutine_fn do_open(World *w)
{
    g_autoptr(BlockdevOptions) options = nbd_world_node(&w->nbd, w->way, false);
    BlockBackend *blk;

    if (!bdrv_co_monitor_add(options, NULL)) {
        return -EIO;
    }
    blk = blk_new(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE, BLK_PERM_ALL);
    if (!blk_co_insert_bs(blk, bdrv_find_node("node"), NULL) ||
        !blk_set_name(blk, "drive", NULL)) {
        fail(w, "the node that was just opened is of no use");
    }
    blk_ref(blk);
    w->blk = blk;
    return 0;
}

static int coroutine_fn do_close(void)
{
    BlockBackend *blk = blk_by_name("drive");

    if (blk) {
        blk_co_delete_named(blk);
    }
    return bdrv_co_monitor_del("node", NULL) ? 0 : -EIO;
}

static int coroutine_fn do_reopen(World *w)
{
    g_autoptr(BlockdevOptions) options = nbd_world_node(&w->nbd, w->way, true);
    BlockdevOptionsList list = { .value = options };

    GRAPH_COMMAND_GUARD();
    return bdrv_co_reopen_multiple(&list, NULL) ? 0 : -EIO;
}

static int coroutine_fn do_read(const Op *op)
{
    g_autofree uint8_t *buf = g_malloc0(op->bytes);
    int ret = blk_co_pread(op->world->blk, op->offset, op->bytes, buf, 0);

    for (int64_t i = 0; ret == 0 && i < op->bytes; i++) {
        if (buf[i] != PATTERN) {
            fail(op->world, "read 0x%02x at %" PRId64, buf[i],
                 op->offset + i);
        }
    }
    return ret;
}

static int coroutine_fn do_write(const Op *op)
{
    g_autofree uint8_t *buf = g_malloc(op->bytes);

    memset(buf, ~PATTERN, op->bytes);
    return blk_co_pwrite(op->world->blk, op->offset, op->bytes, buf, 0);
}

static int coroutine_fn do_status(const Op *op)
{
    int64_t pnum;
    int ret = blk_co_block_status(op->world->blk, true, op->offset, op->bytes,
                                  &pnum);

    return MIN(ret, 0);
}

static int coroutine_fn op_run(Op *op)
{
    World *w = op->world;

    switch (op->type) {
    case OP_READ:
        return do_read(op);
    case OP_WRITE:
        return do_write(op);
    case OP_ZEROES:
        return blk_co_pwrite_zeroes(w->blk, op->offset, op->bytes, 0);
    case OP_DISCARD:
        return blk_co_pdiscard(w->blk, op->offset, op->bytes);
    case OP_FLUSH:
        return blk_co_flush(w->blk);
    case OP_STATUS:
        return do_status(op);
    case OP_OPEN:
        return do_open(w);
    case OP_REOPEN:
        return do_reopen(w);
    case OP_CLOSE:
        return do_close();
    default:
        g_assert_not_reached();
    }
}

static void coroutine_fn op_entry(void *opaque)
{
    Op *op = opaque;

    op->ret = op_run(op);
    op->done = true;
}

static void coroutine_fn client_end_entry(void *opaque)
{
    World *w = opaque;

    do_close();
    blk_co_unref(w->blk);
}

/* Blows */

static void coroutine_fn strike_nothing(void *opaque)
{
    ((World *)opaque)->blow_done = true;
}

static void yank(const World *w)
{
    YankInstance instance = {
        .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
        .u.block_node.node_name =
            (char *)(w->way == WAY_LAYERED ? "conn" : "node"),
    };

    yank_instances(&(YankInstanceList) { .value = &instance }, NULL);
}

static void coroutine_fn strike_yank(void *opaque)
{
    World *w = opaque;

    yank(w);
    w->blow_done = true;
}

static void coroutine_fn strike_close(void *opaque)
{
    World *w = opaque;

    do_close();
    w->blow_done = true;
}

static void coroutine_fn strike_yank_close(void *opaque)
{
    yank(opaque);
    strike_close(opaque);
}

static void coroutine_fn strike_cancel(void *opaque)
{
    World *w = opaque;

    if (w->blk && blk_bs(w->blk)) {
        bdrv_cancel_in_flight(blk_bs(w->blk));
    }
    w->blow_done = true;
}

static void coroutine_fn drain_for_a_second(const char *node)
{
    BlockDriverState *bs = bdrv_find_node(node);

    if (bs) {
        bdrv_ref(bs);
        bdrv_co_drained_begin(bs);
        co_sleep_ns(SECOND);
        bdrv_drained_end(bs);
        bdrv_co_unref(bs);
    }
}

static void coroutine_fn strike_drain(void *opaque)
{
    World *w = opaque;

    GRAPH_COMMAND_GUARD();
    drain_for_a_second("node");
    w->blow_done = true;
}

static void coroutine_fn strike_reopen(void *opaque)
{
    World *w = opaque;

    do_reopen(w);
    w->blow_done = true;
}

static void coroutine_fn strike_close_all(void *opaque)
{
    World *w = opaque;

    bdrv_co_close_all();
    w->blow_done = true;
}

static void coroutine_fn strike_server_drain(void *opaque)
{
    World *w = opaque;

    GRAPH_COMMAND_GUARD();
    drain_for_a_second("disk");
    w->blow_done = true;
}

static void coroutine_fn strike_gate(void *opaque)
{
    World *w = opaque;
    BlockExport *exp = block_export_find("export");

    block_export_ref(exp);
    blk_gate_close(exp->blk);
    co_sleep_ns(SECOND);
    blk_gate_open(exp->blk);
    block_export_unref(exp);
    w->blow_done = true;
}

static void coroutine_fn strike_remove(void *opaque)
{
    World *w = opaque;

    if (!block_export_del("export", BLOCK_EXPORT_REMOVE_MODE_HARD, NULL)) {
        fail(w, "the export cannot be removed");
    }
    w->blow_done = true;
}

static void coroutine_fn strike_remove_gated(void *opaque)
{
    BlockExport *exp = block_export_find("export");

    blk_gate_close(exp->blk);
    co_sleep_ns(SECOND);
    strike_remove(opaque);
    blk_gate_open(exp->blk);
}

static void coroutine_fn strike_stop(void *opaque)
{
    World *w = opaque;

    if (!nbd_server_co_stop(NULL)) {
        fail(w, "the server cannot be stopped");
    }
    w->blow_done = true;
}

static void coroutine_fn strike_disk_fails(void *opaque)
{
    World *w = opaque;
    TestDisk *disk = test_disk(w->nbd.disk);

    disk->fail_read = disk->fail_write = disk->fail_flush = EIO;
    test_disk_release(w->nbd.disk);
    w->blow_done = true;
}

static void coroutine_fn strike_cut(void *opaque)
{
    World *w = opaque;

    sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    w->blow_done = true;
}

static void coroutine_fn strike_cut_twice(void *opaque)
{
    World *w = opaque;

    sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    co_sleep_ns(3 * SECOND / 2);
    strike_cut(opaque);
}

static void coroutine_fn strike_short_stall(void *opaque)
{
    World *w = opaque;
    SimLinkConditions c = w->nbd.conditions;

    c.stalled = true;
    sim_link_set_soon(&w->nbd.sim, w->nbd.link, c);
    co_sleep_ns(3 * SECOND);
    sim_link_set_soon(&w->nbd.sim, w->nbd.link, w->nbd.conditions);
    w->blow_done = true;
}

static const Blow blows[] = {
    { "nothing", CLIENT, strike_nothing, .answers = true, .harmless = true },

    { "yank", CLIENT, strike_yank, .frees = true, .answers = true },
    { "close", CLIENT, strike_close, .frees = true, .answers = true },
    { "yank-close", CLIENT, strike_yank_close, .frees = true,
      .answers = true },
    { "cancel", CLIENT, strike_cancel, .answers = true },
    { "drain", CLIENT, strike_drain, .harmless = true },
    { "reopen", CLIENT, strike_reopen, .harmless = true },
    { "close-all", CLIENT, strike_close_all, .frees = true, .answers = true },

    { "server-drain", SERVER, strike_server_drain, .harmless = true },
    { "gate", SERVER, strike_gate, .answers = true, .harmless = true },
    { "remove", SERVER, strike_remove, .frees = true, .answers = true,
      .removes = true },
    { "remove-gated", SERVER, strike_remove_gated, .frees = true,
      .answers = true, .removes = true },
    { "stop", SERVER, strike_stop, .frees = true, .answers = true },
    { "disk-fails", SERVER, strike_disk_fails, .frees = true,
      .answers = true },

    { "cut", LINK, strike_cut, .answers = true, .spares_clients = true },
    { "cut-twice", LINK, strike_cut_twice, .answers = true,
      .spares_clients = true },
    { "short-stall", LINK, strike_short_stall, .answers = true,
      .harmless = true },

    { "stall", LINK, strike_nothing, .stall = true },
    { "stall-yank", CLIENT, strike_yank, .stall = true, .frees = true,
      .answers = true },
    { "stall-close", CLIENT, strike_close, .stall = true, .frees = true,
      .answers = true },
    { "stall-drain", CLIENT, strike_drain, .stall = true },
    { "stall-reopen", CLIENT, strike_reopen, .stall = true,
      .answers = true },
    { "stall-close-all", CLIENT, strike_close_all, .stall = true,
      .frees = true, .answers = true },
    { "stall-remove", SERVER, strike_remove, .stall = true,
      .answers = true, .removes = true },
    { "stall-stop", SERVER, strike_stop, .stall = true, .answers = true },
};

/* Scenarios */

static const Scenario scenarios[] = {
    { "open", { { OP_OPEN } }, .closed = true },
    { "open-bytewise", { { OP_OPEN } }, .closed = true, .chunk = 24 },
    { "read", { { OP_READ, 4096, 4096 } } },
    { "read-held", { { OP_READ, 4096, 4096 } }, .held = true },
    { "write", { { OP_WRITE, 4096, 4096 } } },
    { "write-held", { { OP_WRITE, 4096, 4096 } }, .held = true },
    { "write-in-pieces", { { OP_WRITE, 4096, 40960 } }, .chunk = 4000 },
    { "unaligned", { { OP_WRITE, 5000, 3000 } } },
    { "unaligned-held", { { OP_WRITE, 5000, 3000 } }, .held = true },
    { "zeroes", { { OP_ZEROES, 4096, 8192 } } },
    { "discard", { { OP_DISCARD, 4096, 8192 } } },
    { "flush", { { OP_WRITE, 0, 512 }, { OP_FLUSH } } },
    { "flush-held", { { OP_WRITE, 0, 512 }, { OP_FLUSH } },
      .held = true },
    { "status", { { OP_STATUS, 0, 65536 } } },
    { "reopen", { { OP_READ, 0, 4096 }, { OP_REOPEN },
                  { OP_WRITE, 8192, 4096 } }, .held = true },
    { "close", { { OP_READ, 0, 4096 }, { OP_WRITE, 8192, 4096 },
                 { OP_CLOSE } }, .held = true },
    { "several", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                   { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                   { OP_ZEROES, 16384, 4096 }, { OP_DISCARD, 20480, 4096 },
                   { OP_FLUSH }, { OP_STATUS, 0, 65536 } } },
    { "several-held", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 },
                        { OP_WRITE, 9000, 100 }, { OP_WRITE, 9100, 100 },
                        { OP_READ, 32768, 32768 }, { OP_FLUSH } },
      .held = true },
    { "lost", { { OP_READ, 0, 4096 }, { OP_WRITE, 4096, 4096 } },
      .lost = true },
};

/* The world */

static void world_begin(World *w)
{
    Op open = { .type = OP_OPEN, .world = w };

    nbd_world_begin(&w->nbd, (SimLinkConditions) {
        .chunk = w->scenario->chunk,
    });
    if (!w->scenario->closed) {
        sim_run(&w->nbd.sim, CLIENT, op_entry, &open);
        g_assert_cmpint(open.ret, ==, 0);
    }
    test_disk(w->nbd.disk)->hold = w->scenario->held;
}

static void world_end(World *w)
{
    sim_run(&w->nbd.sim, CLIENT, client_end_entry, w);
    sim_pass(&w->nbd.sim, SECOND);
    nbd_world_look(&w->nbd);
    if (w->nbd.has_client) {
        fail(w, "the server still has a client");
    }
    nbd_world_end(&w->nbd);
}

static void check_removed(World *w)
{
    nbd_world_look(&w->nbd);
    if (w->nbd.has_export) {
        fail(w, "the export is still there");
    }
}

/* Up to the blow */

static bool all_done(const World *w)
{
    for (int i = 0; i < MAX_OPS; i++) {
        if (w->ops[i].type && !w->ops[i].done) {
            return false;
        }
    }
    return true;
}

static void spawn_ops(World *w)
{
    if (w->scenario->lost) {
        sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    }
    for (int i = 0; i < MAX_OPS; i++) {
        w->ops[i] = w->scenario->ops[i];
        w->ops[i].world = w;
        if (w->ops[i].type) {
            sim_spawn(&w->nbd.sim, CLIENT, op_entry, &w->ops[i]);
        }
    }
}

/* One step; waiting for the disk and for time to pass are steps too. */
static void step(World *w)
{
    if (sim_step(&w->nbd.sim)) {
        return;
    }
    if (test_disk(w->nbd.disk)->hold) {
        test_disk_release(w->nbd.disk);
    } else if (!sim_skip_time(&w->nbd.sim)) {
        fail(w, "stuck before anything happened");
    }
}

/* Whether the scenario ended before that many steps were over. */
static bool run_steps(World *w)
{
    spawn_ops(w);
    for (int i = 0; i < w->steps; i++) {
        if (all_done(w)) {
            return true;
        }
        step(w);
    }
    return false;
}

/* From the blow on */

static void strike(World *w)
{
    if (w->blow->stall) {
        SimLinkConditions c = w->nbd.conditions;

        c.stalled = true;
        sim_link_set_soon(&w->nbd.sim, w->nbd.link, c);
    }
    sim_spawn(&w->nbd.sim, w->blow->host, w->blow->strike, w);
}

static void check_ended(World *w)
{
    for (int i = 0; i < MAX_OPS; i++) {
        if (w->ops[i].type && !w->ops[i].done) {
            fail(w, "operation %d does not end", i);
        }
    }
}

static bool is_harmless(const World *w)
{
    return w->blow->harmless ||
           (w->blow->spares_clients && w->way == WAY_RECONNECT);
}

static void check_results(World *w)
{
    bool closed = false;

    for (int i = 0; i < MAX_OPS; i++) {
        closed |= w->ops[i].type == OP_CLOSE;
    }
    for (int i = 0; i < MAX_OPS; i++) {
        const Op *op = &w->ops[i];
        bool may_fail = closed || !is_harmless(w) ||
                        (w->scenario->lost && w->way != WAY_RECONNECT);

        /* Too long a wait for requests is an answer. */
        may_fail |= op->type == OP_REOPEN && w->scenario->held;
        if (op->type && op->ret < 0 && !may_fail) {
            fail(w, "operation %d: %s", i, g_strerror(-op->ret));
        }
    }
}

/* What was acknowledged is on the disk, and nothing else was touched. */
static void check_disk(World *w)
{
    const uint8_t *data = test_disk(w->nbd.disk)->data;

    for (int64_t i = 0; i < TEST_DISK_SIZE; i++) {
        bool old = data[i] == PATTERN, good = old;

        for (int j = 0; j < MAX_OPS; j++) {
            const Op *op = &w->ops[j];
            uint8_t new = op->type == OP_WRITE ? (uint8_t)~PATTERN : 0;

            if ((op->type == OP_WRITE || op->type == OP_ZEROES) &&
                i >= op->offset && i < op->offset + op->bytes) {
                good = data[i] == new || (old && op->ret < 0);
            }
        }
        if (!good) {
            fail(w, "0x%02x on the disk at %" PRId64, data[i], i);
        }
    }
}

/* Another request: it ends, and unless something broke, it works. */
static void check_usable(World *w)
{
    Op op = { .type = OP_READ, .offset = 60000, .bytes = 100, .world = w };
    bool usable = is_harmless(w) &&
                  (w->way == WAY_RECONNECT || !w->scenario->lost);

    if (!w->blk) {
        return;
    }
    sim_run(&w->nbd.sim, CLIENT, op_entry, &op);
    if (op.ret < 0 && op.ret != -ENOMEDIUM && usable) {
        fail(w, "unusable afterwards: %s", g_strerror(-op.ret));
    }
}

/* Run and strike; whether the scenario had ended before. */
static bool run_once(World *w)
{
    bool finished;

    world_begin(w);
    finished = run_steps(w);
    strike(w);
    sim_pass(&w->nbd.sim, MINUTE);
    if (w->blow->frees) {
        check_ended(w);
    }
    if (w->blow->answers && !w->blow_done) {
        fail(w, "the command has no answer");
    }
    if (w->blow->removes) {
        check_removed(w);
    }

    /* Nothing is in the way any more. */
    test_disk_release(w->nbd.disk);
    sim_link_set(&w->nbd.sim, w->nbd.link, w->nbd.conditions);
    sim_pass(&w->nbd.sim, MINUTE);
    check_ended(w);
    if (!w->blow_done) {
        fail(w, "the command has no answer in the end");
    }
    check_results(w);
    check_disk(w);
    check_usable(w);
    world_end(w);
    return finished;
}

typedef struct Case {
    const Scenario *scenario;
    const Blow *blow;
} Case;

static unsigned count_descriptors(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

static void test_case(gconstpointer data)
{
    const Case *c = data;
    unsigned descriptors = count_descriptors();

    for (Way way = 0; way < WAY__MAX; way++) {
        bool finished = false;
        int steps;

        for (steps = 0; !finished; steps++) {
            World w = {
                .scenario = c->scenario, .blow = c->blow,
                .way = way, .steps = steps,
            };

            g_assert_cmpint(steps, <, MAX_STEPS);
            finished = run_once(&w);
        }
        g_test_message("%d steps", steps);
        g_assert_cmpint(steps, >, 3);
        g_assert_cmpuint(count_descriptors(), ==, descriptors);
    }
}

int main(int argc, char **argv)
{
    static Case cases[ARRAY_SIZE(scenarios) * ARRAY_SIZE(blows)];
    Case *c = cases;

    g_test_init(&argc, &argv, NULL);
    /* Lost connections are what this is about: they need no words. */
    log_set_file("/dev/null", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(blows); j++, c++) {
            g_autofree char *path = g_strdup_printf(
                "/cancel/%s/%s", scenarios[i].name, blows[j].name);

            *c = (Case) { &scenarios[i], &blows[j] };
            g_test_add_data_func(path, c, test_case);
        }
    }
    return g_test_run();
}
