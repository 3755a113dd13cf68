/*
 * What both guests of a pair do, and whether it is right
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "pair.h"

/* Nothing takes longer, commands that wait for each other included. */
#define ROUND_LIMIT_NS (90 * SECOND)

/* Requests */

static int coroutine_fn request_run(Request *r)
{
    BlockBackend *blk = r->disk->guest[r->host];

    switch (r->type) {
    case TEST_READ:
        return blk_co_pread(blk, r->offset, r->bytes, r->found, 0);
    case TEST_WRITE:
        memset(r->found, r->pattern, r->bytes);
        return blk_co_pwrite(blk, r->offset, r->bytes, r->found, 0);
    case TEST_ZEROES:
        return blk_co_pwrite_zeroes(blk, r->offset, r->bytes, 0);
    case TEST_DISCARD:
        return blk_co_pdiscard(blk, r->offset, r->bytes);
    default:
        return blk_co_flush(blk);
    }
}

static void coroutine_fn request_entry(void *opaque)
{
    Request *r = opaque;

    r->ret = MIN(request_run(r), 0);
}

static int random_type(Pair *p, int host)
{
    int n = g_rand_int_range(p->rand, 0, 20);

    if (n < 5) {
        return TEST_READ;
    }
    if (n < 6) {
        return TEST_FLUSH;
    }
    if (n < 9) {
        /* What else a discard leaves is anybody's guess. */
        return host == PRIMARY && n < 8 && p->replicated ? TEST_DISCARD
                                                         : TEST_ZEROES;
    }
    return TEST_WRITE;
}

static bool writes(const Request *r)
{
    return r->type != TEST_READ && r->type != TEST_FLUSH;
}

/* Half of them in a corner of the disk, so that they overlap. */
void pair_request(Pair *p, int host)
{
    int64_t limit = g_rand_boolean(p->rand) ? 8192 : TEST_DISK_SIZE;
    int64_t bytes = g_rand_int_range(p->rand, 1, 6000);
    Request *r = g_new0(Request, 1);

    *r = (Request) {
        .disk = &p->disks[g_rand_int_range(p->rand, 0, p->options.disks)],
        .host = host, .type = random_type(p, host), .ret = 1,
        .offset = g_rand_int_range(p->rand, 0, limit - 1),
        .pattern = g_rand_int(p->rand),
    };
    r->bytes = MIN(bytes, TEST_DISK_SIZE - r->offset);
    if (r->type != TEST_WRITE) {
        r->pattern = 0;
    }
    r->found = g_malloc0(r->bytes);
    if (host == PRIMARY && writes(r)) {
        memset(r->disk->primary + r->offset, r->pattern, r->bytes);
    }
    g_ptr_array_add(p->requests, r);
    sim_spawn(&p->sim, host, request_entry, r);
}

/* Checkpoints */

static bool is_of(const Request *r, const PairDisk *d, int host)
{
    return r->disk == d && r->host == host;
}

void pair_take_view(PairDisk *d)
{
    GPtrArray *requests = d->pair->requests;

    memcpy(d->view, test_disk(d->disk[SECONDARY])->data, TEST_DISK_SIZE);
    d->cuts++;
    for (guint i = 0; i < requests->len; i++) {
        Request *r = requests->pdata[i];

        if (is_of(r, d, SECONDARY) && r->ret != 1) {
            r->wiped = true;
        }
    }
}

void pair_check_cut(Pair *p)
{
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];
        g_autofree uint8_t *cut = g_memdup2(d->old_primary, TEST_DISK_SIZE);

        for (guint j = 0; j < p->requests->len; j++) {
            const Request *r = p->requests->pdata[j];

            if (is_of(r, d, PRIMARY) && writes(r) && r->ret != 1) {
                memset(cut + r->offset, r->pattern, r->bytes);
            }
        }
        if (memcmp(cut, d->view, TEST_DISK_SIZE)) {
            pair_fail(p, "a checkpoint of disk %d is not what the primary "
                      "had written", i);
        }
    }
}

/* Judging a round */

static bool may_fail(const Request *r)
{
    const PairDisk *d = r->disk;

    return d->pair->disk_failed[r->host] ||
           (r->host == SECONDARY && (!d->isolated || d->was_plain));
}

static void check_read(Pair *p, const Request *r)
{
    const PairDisk *d = r->disk;
    const uint8_t *before = r->host == PRIMARY ? d->old_primary : d->old_view;
    const uint8_t *after = r->host == PRIMARY ? d->old_primary : d->view;
    g_autofree bool *good = g_new0(bool, r->bytes);

    if (r->ret != 0 || p->disk_failed[r->host] || d->cuts > 1 ||
        (r->host == SECONDARY && (!d->isolated || d->was_plain))) {
        return;
    }
    for (int64_t i = 0; i < r->bytes; i++) {
        good[i] = r->found[i] == before[r->offset + i] ||
                  r->found[i] == after[r->offset + i];
    }
    for (guint j = 0; j < p->requests->len; j++) {
        const Request *w = p->requests->pdata[j];
        int64_t end = MIN(r->offset + r->bytes, w->offset + w->bytes);

        for (int64_t i = MAX(r->offset, w->offset);
             is_of(w, d, r->host) && writes(w) && i < end; i++) {
            good[i - r->offset] |= r->found[i - r->offset] == w->pattern;
        }
    }
    for (int64_t i = 0; i < r->bytes; i++) {
        if (!good[i]) {
            pair_fail(p, "read 0x%02x at %" PRId64 " of disk %d, host %d",
                      r->found[i], r->offset + i, d->number, r->host);
        }
    }
}

static bool all_ended(Pair *p)
{
    for (guint i = 0; i < p->requests->len; i++) {
        const Request *r = p->requests->pdata[i];

        if (r->ret == 1 && !p->sim.frozen[r->host]) {
            return false;
        }
    }
    for (guint i = 0; i < p->commands->len; i++) {
        const Command *c = p->commands->pdata[i];

        if (!c->done && !p->sim.frozen[c->host]) {
            return false;
        }
    }
    return true;
}

static void check_requests(Pair *p)
{
    for (guint i = 0; i < p->requests->len; i++) {
        const Request *r = p->requests->pdata[i];

        if (r->ret < 0 && !may_fail(r)) {
            pair_fail(p, "request %u, type %d of host %d: %s", i, r->type,
                      r->host, g_strerror(-r->ret));
        }
        if (r->type == TEST_READ) {
            check_read(p, r);
        }
    }
}

typedef struct ViewCall {
    PairDisk *disk;
    uint8_t found[TEST_DISK_SIZE];
    int ret;
} ViewCall;

static void coroutine_fn view_entry(void *opaque)
{
    ViewCall *call = opaque;

    call->ret = blk_co_pread(call->disk->guest[SECONDARY], 0, TEST_DISK_SIZE,
                             call->found, 0);
}

/* A write that has ended well is there, unless another one is. */
static void check_view_is(PairDisk *d, const uint8_t *found)
{
    enum { UNTOUCHED, MISSING, THERE };
    Pair *p = d->pair;
    g_autofree uint8_t *state = g_malloc0(TEST_DISK_SIZE);

    for (guint j = 0; j < p->requests->len; j++) {
        const Request *w = p->requests->pdata[j];

        for (int64_t i = w->offset; is_of(w, d, SECONDARY) && writes(w) &&
                                    !w->wiped && i < w->offset + w->bytes;
             i++) {
            if (found[i] == w->pattern) {
                state[i] = THERE;
            } else if (state[i] == UNTOUCHED && w->ret == 0) {
                state[i] = MISSING;
            }
        }
    }
    for (int64_t i = 0; i < TEST_DISK_SIZE; i++) {
        if (state[i] == MISSING ||
            (state[i] == UNTOUCHED && found[i] != d->view[i])) {
            pair_fail(p, "0x%02x at %" PRId64 " of the view of disk %d",
                      found[i], i, d->number);
        }
    }
}

static void check_view(PairDisk *d)
{
    Pair *p = d->pair;
    TestDisk *disk = test_disk(d->disk[SECONDARY]);
    int fault = disk->fail_read;
    g_autofree ViewCall *call = g_new0(ViewCall, 1);

    if (!d->isolated || p->sim.frozen[SECONDARY]) {
        return;
    }
    call->disk = d;
    /* What failed writes have left must be seen, too. */
    disk->fail_read = 0;
    sim_run(&p->sim, SECONDARY, view_entry, call);
    disk->fail_read = fault;
    if (call->ret < 0) {
        pair_fail(p, "the view of disk %d: %s", d->number,
                  g_strerror(-call->ret));
    }
    check_view_is(d, call->found);
    memcpy(d->view, call->found, TEST_DISK_SIZE);
}

static void check_primary(PairDisk *d)
{
    Pair *p = d->pair;

    if (!p->disk_failed[PRIMARY] && !p->sim.frozen[PRIMARY] &&
        memcmp(test_disk(d->disk[PRIMARY])->data, d->primary,
               TEST_DISK_SIZE)) {
        pair_fail(p, "the primary's disk %d is not what its guest wrote",
                  d->number);
    }
}

/* A round */

/* A round lasts as long as a host is frozen that took part in it. */
static void begin_round(Pair *p)
{
    for (guint i = p->requests->len; i-- > 0;) {
        const Request *r = p->requests->pdata[i];

        if (!p->sim.frozen[r->host]) {
            g_ptr_array_remove_index(p->requests, i);
        }
    }
    for (int i = 0; i < p->options.disks; i++) {
        PairDisk *d = &p->disks[i];

        if (!p->sim.frozen[PRIMARY]) {
            memcpy(d->old_primary, d->primary, TEST_DISK_SIZE);
        }
        if (!p->sim.frozen[SECONDARY]) {
            memcpy(d->old_view, d->view, TEST_DISK_SIZE);
            d->cuts = 0;
            d->was_plain = !d->isolated;
        }
    }
}

void pair_end_round(Pair *p)
{
    int64_t end = p->sim.clock.now_ns + ROUND_LIMIT_NS;

    sim_settle(&p->sim);
    while (!all_ended(p)) {
        if (p->sim.clock.now_ns >= end) {
            pair_fail(p, "a request or a command has no end");
        }
        sim_pass(&p->sim, 100 * SCALE_MS);
    }
    pair_forget_commands(p);
    check_requests(p);
    for (int i = 0; i < p->options.disks; i++) {
        check_view(&p->disks[i]);
        check_primary(&p->disks[i]);
    }
}

void pair_round(Pair *p, int requests, PairEvent *event)
{
    int moment = g_rand_int_range(p->rand, 0, requests);

    begin_round(p);
    for (int i = 0; i < requests; i++) {
        int host = g_rand_int_range(p->rand, 0, 3) ? PRIMARY : SECONDARY;

        if (i == moment && event) {
            event(p);
        }
        if (!p->sim.frozen[host]) {
            pair_request(p, host);
        }
        if (g_rand_boolean(p->rand)) {
            sim_pass(&p->sim, g_rand_int_range(p->rand, 0, 300) * SCALE_US);
        }
    }
    pair_end_round(p);
}
