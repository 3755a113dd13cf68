/*
 * Cancel at every turn: the steps, the blow, and what must be true then
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "cancel.h"
#include "descriptors.h"

#define MINUTE (60 * SECOND)
#define MAX_STEPS 2000

static const char *const ways[] = { "once", "reconnect", "layered" };

void cancel_fail(const World *w, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_error("%s/%s/%s, step %d: %s", w->scenario->name, w->blow->name,
            ways[w->way], w->steps, text);
}

/* The world */

static void coroutine_fn client_end_entry(void *opaque)
{
    World *w = opaque;

    cancel_co_close();
    blk_co_unref(w->blk);
}

static void world_begin(World *w)
{
    Op open = { .type = OP_OPEN, .world = w };

    nbd_world_begin(&w->nbd, (SimLinkConditions) {
        .chunk = w->scenario->chunk,
    });
    if (!w->scenario->closed) {
        sim_run(&w->nbd.sim, CLIENT, cancel_op_entry, &open);
        g_assert_cmpint(open.ret, ==, 0);
    }
    if (w->scenario->held) {
        nbd_world_hold(&w->nbd);
    }
}

static void world_end(World *w)
{
    sim_run(&w->nbd.sim, CLIENT, client_end_entry, w);
    sim_pass(&w->nbd.sim, SECOND);
    nbd_world_look(&w->nbd);
    if (w->nbd.has_client) {
        cancel_fail(w, "the server still has a client");
    }
    nbd_world_end(&w->nbd);
}

static void check_removed(World *w)
{
    nbd_world_look(&w->nbd);
    if (w->nbd.has_export) {
        cancel_fail(w, "the export is still there");
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
            sim_spawn(&w->nbd.sim, CLIENT, cancel_op_entry, &w->ops[i]);
        }
    }
}

/* One step; waiting for the disk and for time to pass are steps too. */
static void step(World *w)
{
    if (sim_step(&w->nbd.sim)) {
        return;
    }
    if (nbd_world_is_holding(&w->nbd)) {
        nbd_world_release(&w->nbd);
    } else if (!sim_skip_time(&w->nbd.sim)) {
        cancel_fail(w, "stuck before anything happened");
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
            cancel_fail(w, "operation %d does not end", i);
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
        may_fail |= op->type == OP_RESIZE;
        if (op->type && op->ret < 0 && !may_fail) {
            cancel_fail(w, "operation %d: %s", i, g_strerror(-op->ret));
        }
    }
}

/* What was acknowledged is on the disk, and nothing else was touched. */
static void check_disk(World *w)
{
    g_autofree uint8_t *data = nbd_world_read_disk(&w->nbd);

    for (int64_t i = 0; i < TEST_DISK_SIZE; i++) {
        bool old = data[i] == PATTERN, good = old;

        for (int j = 0; j < MAX_OPS; j++) {
            const Op *op = &w->ops[j];
            uint8_t new = op->type == OP_WRITE ? (uint8_t)~PATTERN : 0;
            bool covers = i >= op->offset && i < op->offset + op->bytes;

            if ((op->type == OP_WRITE || op->type == OP_ZEROES) && covers) {
                good = data[i] == new || (old && op->ret < 0);
            } else if (op->type == OP_DISCARD && covers) {
                good |= data[i] == 0;
            }
        }
        if (!good) {
            cancel_fail(w, "0x%02x on the disk at %" PRId64, data[i], i);
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
    sim_run(&w->nbd.sim, CLIENT, cancel_op_entry, &op);
    if (op.ret < 0 && op.ret != -ENOMEDIUM && usable) {
        cancel_fail(w, "unusable afterwards: %s", g_strerror(-op.ret));
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
        cancel_fail(w, "the command has no answer");
    }
    if (w->blow->removes) {
        check_removed(w);
    }

    /* Nothing is in the way any more. */
    nbd_world_release(&w->nbd);
    sim_link_set(&w->nbd.sim, w->nbd.link, w->nbd.conditions);
    sim_pass(&w->nbd.sim, MINUTE);
    check_ended(w);
    if (!w->blow_done) {
        cancel_fail(w, "the command has no answer in the end");
    }
    check_results(w);
    check_disk(w);
    check_usable(w);
    world_end(w);
    return finished;
}

void cancel_at_every_step(const World *setup)
{
    unsigned descriptors = count_descriptors();
    bool finished = false;
    int steps;

    for (steps = 0; !finished; steps++) {
        World w = *setup;

        w.steps = steps;
        g_assert_cmpint(steps, <, MAX_STEPS);
        finished = run_once(&w);
    }
    g_test_message("%d steps", steps);
    g_assert_cmpint(steps, >, 3);
    g_assert_cmpuint(count_descriptors(), ==, descriptors);
}
