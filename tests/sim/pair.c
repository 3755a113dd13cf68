/*
 * A pair of hosts under random load, a slow link and faults
 *
 * Both guests have requests in flight, overlapping half of the time, while
 * checkpoints are taken, the link delays, stalls and breaks, disks fail, a
 * daemon stops or dies, and commands come at any moment.  The view of the
 * secondary must be the last checkpoint plus its own writes, byte by byte; the
 * primary's guest must notice nothing but errors of its own disk; and past
 * the timeout no request waits, every command has an answer, and no coroutine
 * is left that nothing will ever wake.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "pair.h"

#include "util/log.h"

#define ROUND 24                /* requests */

/* Without faults */

static void cut(Pair *p)
{
    if (!pair_checkpoint(p)) {
        pair_fail(p, "a checkpoint without any fault failed");
    }
}

static void run_load(Pair *p, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        pair_round(p, ROUND, g_rand_boolean(p->rand) ? cut : NULL);
    }
}

static void fail_over(Pair *p)
{
    pair_command(p, SECONDARY, COMMAND_FAILOVER);
}

static void check_merged(Pair *p)
{
    sim_pass(&p->sim, SECOND);
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];

        if (d->isolated && memcmp(test_disk(d->disk[SECONDARY])->data,
                                  d->view, TEST_DISK_SIZE)) {
            pair_fail(p, "disk %d is not what its guest has seen", i);
        }
    }
}

/* All of what was written is on both sides, and nobody speaks of errors. */
static void check_same(Pair *p)
{
    sim_pass(&p->sim, SECOND);
    for (int i = 0; i < p->options.disks; i++) {
        const PairDisk *d = &p->disks[i];

        if (memcmp(test_disk(d->disk[SECONDARY])->data, d->primary,
                   TEST_DISK_SIZE)) {
            pair_fail(p, "disk %d differs", i);
        }
    }
    g_assert_false(pair_has_error(p, PRIMARY));
    g_assert_false(pair_has_error(p, SECONDARY));
}

static void run_quiet(int seed, PairOptions options)
{
    Pair *p = pair_new(seed, options);

    run_load(p, 12);
    check_same(p);
    pair_round(p, ROUND, fail_over);
    pair_round(p, ROUND, NULL);
    check_merged(p);
    pair_free(p);
}

/* Faults */

static void change_link(Pair *p, bool stalled, bool down)
{
    SimLinkConditions c = p->conditions;

    c.stalled = stalled;
    c.down = down;
    sim_link_set(&p->sim, p->link, c);
}

static void cut_link(Pair *p)
{
    sim_link_cut(&p->sim, p->link);
}

static void stall_link(Pair *p)
{
    change_link(p, true, false);
}

static void lose(Pair *p, int host)
{
    p->sim.frozen[host] = true;
    change_link(p, false, true);
    cut_link(p);
}

static void lose_primary(Pair *p)
{
    lose(p, PRIMARY);
}

static void lose_secondary(Pair *p)
{
    lose(p, SECONDARY);
}

static void stop_primary(Pair *p)
{
    p->sim.frozen[PRIMARY] = true;
}

static void stop_secondary(Pair *p)
{
    p->sim.frozen[SECONDARY] = true;
}

static void fail_disk(Pair *p, int host)
{
    PairDisk *d = &p->disks[g_rand_int_range(p->rand, 0, p->options.disks)];
    TestDisk *disk = test_disk(d->disk[host]);

    p->disk_failed[host] = true;
    disk->fail_write = EIO;
    disk->fail_read = disk->fail_flush = g_rand_boolean(p->rand) ? EIO : 0;
}

static void fail_primary_disk(Pair *p)
{
    fail_disk(p, PRIMARY);
}

static void fail_secondary_disk(Pair *p)
{
    fail_disk(p, SECONDARY);
}

typedef struct Fault {
    const char *name;
    PairEvent *strike;
    bool peer_is_gone;          /* for the primary */
} Fault;

static const Fault faults[] = {
    { "cut", cut_link, true },
    { "stall", stall_link, true },
    { "primary-lost", lose_primary },
    { "primary-stopped", stop_primary },
    { "primary-disk", fail_primary_disk },
    { "secondary-lost", lose_secondary, true },
    { "secondary-stopped", stop_secondary, true },
    { "secondary-disk", fail_secondary_disk },
};

/* Whether nobody is there but who reads from a connection. */
static bool is_at_rest(Pair *p, int host)
{
    int readers = host == PRIMARY ? p->options.disks : pair_connections(p);

    return p->sim.coroutines[host] <= readers;
}

/* Everybody who lives comes to rest, at times: a peer is asked for a sign. */
static void check_rest(Pair *p)
{
    sim_pass(&p->sim, PAIR_TIMEOUT_NS + 10 * SECOND);
    for (int host = 0; host < LINK; host++) {
        for (int i = 0; !p->sim.frozen[host] && !is_at_rest(p, host); i++) {
            if (i > 100) {
                pair_fail(p, "host %d has %d coroutines that do not end", host,
                          p->sim.coroutines[host]);
            }
            sim_pass(&p->sim, 17 * SCALE_MS);
        }
    }
}

/* All of this is past the timeout: the guest goes on, everybody knows. */
static void check_noticed(Pair *p, const Fault *fault)
{
    if (fault->peer_is_gone) {
        sim_pass(&p->sim, PAIR_TIMEOUT_NS + 2 * SECOND);
        g_assert_true(pair_has_error(p, PRIMARY));
        if (!p->sim.frozen[SECONDARY] && pair_checkpoint(p)) {
            pair_fail(p, "a checkpoint without a peer");
        }
    }
}

static void repair(Pair *p)
{
    for (int i = 0; i < p->options.disks; i++) {
        for (int host = 0; host < LINK; host++) {
            TestDisk *disk = test_disk(p->disks[i].disk[host]);

            disk->fail_read = disk->fail_write = disk->fail_flush = 0;
        }
    }
}

/* Whoever was stopped goes on, too late. */
static void wake_up(Pair *p)
{
    memset(p->sim.frozen, 0, sizeof(p->sim.frozen));
    change_link(p, false, false);
    pair_end_round(p);
}

/* Whatever came before: the survivor has what its guest has seen. */
static void take_over(Pair *p)
{
    if (!p->sim.frozen[SECONDARY]) {
        pair_round(p, ROUND, fail_over);
        pair_round(p, ROUND, NULL);
        check_rest(p);
        check_merged(p);
    }
}

static void run_faulty(int seed, const Fault *fault, PairOptions options)
{
    Pair *p = pair_new(seed, options);

    run_load(p, 4);
    pair_round(p, ROUND, fault->strike);
    check_noticed(p, fault);
    for (int i = 0; i < 4; i++) {
        pair_round(p, ROUND, pair_random_commands);
        check_rest(p);
    }
    repair(p);
    take_over(p);
    wake_up(p);
    take_over(p);
    pair_free(p);
}

/* Special cases */

/* Both find requests that wait for the peer: the first one to end them wins. */
static void remove_and_fail_over(Pair *p)
{
    p->replicated = false;
    stall_link(p);
    sim_pass(&p->sim, 100 * SCALE_MS);
    for (int i = 0; i < p->options.disks; i++) {
        pair_command(p, PRIMARY, COMMAND_DELETE_CHILD);
    }
    pair_command(p, PRIMARY, COMMAND_FAILOVER);
}

static void test_remove_and_fail_over(void)
{
    for (int disks = 1; disks <= MAX_DISKS; disks++) {
        for (int seed = 0; seed < 20; seed++) {
            Pair *p = pair_new(seed, (PairOptions) { disks, false });

            pair_round(p, ROUND, remove_and_fail_over);
            check_rest(p);
            take_over(p);
            pair_free(p);
        }
    }
}

/* Tests */

typedef struct Case {
    const Fault *fault;
    PairOptions options;
} Case;

static int seeds(void)
{
    const char *text = g_getenv("COLO_TEST_SEEDS");

    return text ? atoi(text) : 12;
}

static void test_case(gconstpointer data)
{
    const Case *c = data;

    for (int seed = 0; seed < seeds(); seed++) {
        if (c->fault) {
            run_faulty(seed, c->fault, c->options);
        } else {
            run_quiet(seed, c->options);
        }
    }
}

static void add_case(const Fault *fault, int disks, bool async)
{
    Case *c = g_new(Case, 1);
    g_autofree char *path = g_strdup_printf(
        "/pair/%s/%d-disks/%s", async ? "async" : "sync", disks,
        fault ? fault->name : "load");

    *c = (Case) { fault, { disks, async } };
    g_test_add_data_func_full(path, c, test_case, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* Lost connections are what this is about: they need no words. */
    log_set_file("/dev/null", NULL);
    for (int disks = 1; disks <= MAX_DISKS; disks += 2) {
        for (int async = 0; async < 2; async++) {
            add_case(NULL, disks, async);
            for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                add_case(&faults[i], disks, async);
            }
        }
    }
    g_test_add_func("/pair/remove-and-fail-over", test_remove_and_fail_over);
    return g_test_run();
}
