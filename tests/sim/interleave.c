/*
 * Every interleaving of a few operations on a secondary
 *
 * Each access to the secondary disk, and to the layers where they are in a
 * file, is a break point.  The explorer decides, at every step, which
 * operation starts or which access goes on, and tries all decisions one after
 * the other.  At every step the view, and at the end also the disk, must be
 * the outcome of some order of the operations on a model of a few arrays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "interleave.h"

#include "util/log.h"

#define MAX_STEPS 64
/* A safety net: the largest scenario has far fewer. */
#define MAX_RUNS 200000

typedef struct Path {
    int choice[MAX_STEPS], options[MAX_STEPS];
    int length;
} Path;

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
    g_printerr(" on the disk\n");
    for (int i = 0; i < SECTORS; i++) {
        g_printerr(" %02x", w->view[i]);
    }
    g_printerr(" in the view; path");
    for (int i = 0; i < path->length; i++) {
        g_printerr(" %d/%d", path->choice[i], path->options[i]);
    }
    g_printerr("\n");
}

static void check(const World *w, const Path *path)
{
    if (!model_explains(w)) {
        describe(w, path);
        g_error("no order of the operations explains this");
    }
}

/* Exploring */

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

    if (choice < unstarted) {
        world_start(w, next_to_start(w, choice));
    } else {
        world_step(w, choice - unstarted);
    }
}

/* After each step that the run before did not have: the view is right. */
static void run_path(World *w, Path *path)
{
    int known = path->length - 1;

    for (int step = 0;; step++) {
        int options = count_unstarted(w) + world_waiting(w);

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
        if (step >= known) {
            world_look(w);
            check(w, path);
        }
    }
}

/* At the end: all have ended, and the guest reads what it should. */
static void check_end(World *w, const Path *path)
{
    for (int i = 0; i < w->n_ops; i++) {
        if (w->ops[i].ended < 0) {
            describe(w, path);
            g_error("operation %d never ended", i);
        }
    }
    world_end_view(w);
    check(w, path);
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

static int explore_with(Store store, const OpSpec *specs, int n)
{
    Path path = { .length = 0 };
    int runs = 0;

    do {
        World w;

        world_begin(&w, store, specs, n);
        run_path(&w, &path);
        check_end(&w, &path);
        world_end(&w);
        runs++;
        g_assert_cmpint(runs, <, MAX_RUNS);
    } while (advance(&path));
    return runs;
}

static int explore(const OpSpec *specs, int n)
{
    int runs = 0;

    for (Store store = 0; store < STORE__MAX; store++) {
        runs += explore_with(store, specs, n);
    }
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

/* Both layers hold something when the failover comes, and are in use. */
static void test_merge_under_load(void)
{
    static const OpSpec load[] = {
        { OP_FORWARD, 1, 3 }, { OP_WRITE, 2, 2 }, { OP_FAILOVER, 0, 0 },
    };
    int runs = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        runs += explore((OpSpec[]) { load[0], load[1], load[2], kinds[i] }, 4);
    }
    g_test_message("%d interleavings", runs);
}

static void test_cut_under_load(void)
{
    static const OpSpec load[] = {
        { OP_FORWARD, 1, 3 }, { OP_WRITE, 2, 2 }, { OP_CUT, 0, 0 },
    };
    int runs = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        runs += explore((OpSpec[]) { load[0], load[1], load[2], kinds[i] }, 4);
    }
    g_test_message("%d interleavings", runs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* Disks in memory have no state file, which is worth a word each time. */
    log_set_file("/dev/null", NULL);
    g_test_add_func("/interleave/pairs", test_pairs);
    g_test_add_func("/interleave/cut", test_triples_with_a_cut);
    g_test_add_func("/interleave/failover", test_triples_with_a_failover);
    g_test_add_func("/interleave/two-cuts", test_two_cuts_around_a_forward);
    g_test_add_func("/interleave/cut-under-load", test_cut_under_load);
    g_test_add_func("/interleave/merge-under-load", test_merge_under_load);
    return g_test_run();
}
