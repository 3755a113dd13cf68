/*
 * Ten thousand connections leave nothing behind, on either end
 *
 * The client's half of it: nodes that come and go, and one node that loses
 * its connection over and over.  Memory is what the allocator has given out,
 * to the byte, so that a few bytes per connection are found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include "nbd-world.h"
#include "util/log.h"
#include "descriptors.h"

#ifdef CONFIG_ASAN
/* Not every compiler comes with the header. */
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#include <malloc.h>
#endif

#define CYCLES 10000
#define TLS_CYCLES 1000          /* handshakes take their time */
#define WARM_UP 200
/* Tables that double, pools: not a byte for each cycle. */
#define MAX_GROWTH (CYCLES / 2)
/* The library has tables, too; no allocation for each cycle fits in there. */
#define MAX_TLS_GROWTH (TLS_CYCLES * 16)

static size_t memory(void)
{
#ifdef CONFIG_ASAN
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#endif
}

/* One node with a backend */

static BlockBackend *blk;

static void coroutine_fn open_entry(void *opaque)
{
    g_autoptr(BlockdevOptions) options =
        nbd_world_node(opaque, WAY_RECONNECT, false);
    g_autoptr(GError) err = NULL;

    bdrv_co_monitor_add(options, &err);
    g_assert_no_error(err);
    blk = blk_new(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE, BLK_PERM_ALL);
    blk_co_insert_bs(blk, bdrv_find_node("node"), &err);
    g_assert_no_error(err);
}

static void coroutine_fn use_entry(void *opaque)
{
    uint8_t buf[512];

    g_assert_cmpint(blk_co_pread(blk, 0, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(blk_co_pwrite(blk, 0, sizeof(buf), buf, 0), ==, 0);
}

static void coroutine_fn close_entry(void *opaque)
{
    g_autoptr(GError) err = NULL;

    blk_co_unref(blk);
    bdrv_co_monitor_del("node", &err);
    g_assert_no_error(err);
}

/* Cycles */

typedef void Cycle(NbdWorld *w);

static void come_and_go(NbdWorld *w)
{
    sim_run(&w->sim, CLIENT, open_entry, w);
    sim_run(&w->sim, CLIENT, use_entry, w);
    sim_run(&w->sim, CLIENT, close_entry, w);
}

static void lose_connection(NbdWorld *w)
{
    sim_link_cut(&w->sim, w->link);
    sim_run(&w->sim, CLIENT, use_entry, w);
}

static void repeat(NbdWorld *w, Cycle *cycle, int cycles, size_t may_grow)
{
    size_t before = 0;
    unsigned fds = 0;

    for (int i = 0; i < WARM_UP + cycles; i++) {
        if (i == WARM_UP) {
            before = memory();
            fds = count_descriptors();
        }
        cycle(w);
    }
    sim_settle(&w->sim);
    g_assert_cmpuint(count_descriptors(), <=, fds);
    g_assert_cmpuint(memory(), <, before + may_grow);
}

static void test_nodes_come_and_go(void)
{
    NbdWorld w = { 0 };

    nbd_world_begin(&w, (SimLinkConditions) { 0 });
    repeat(&w, come_and_go, CYCLES, MAX_GROWTH);
    nbd_world_end(&w);
}

static void test_connection_is_lost(void)
{
    NbdWorld w = { 0 };

    nbd_world_begin(&w, (SimLinkConditions) { 0 });
    sim_run(&w.sim, CLIENT, open_entry, &w);
    repeat(&w, lose_connection, CYCLES, MAX_GROWTH);
    sim_run(&w.sim, CLIENT, close_entry, &w);
    nbd_world_end(&w);
}

#ifdef CONFIG_GNUTLS
static void test_tls(void)
{
    NbdWorld w = { .tls = true };

    nbd_world_begin(&w, (SimLinkConditions) { 0 });
    repeat(&w, come_and_go, TLS_CYCLES, MAX_TLS_GROWTH);
    sim_run(&w.sim, CLIENT, open_entry, &w);
    repeat(&w, lose_connection, TLS_CYCLES, MAX_TLS_GROWTH);
    sim_run(&w.sim, CLIENT, close_entry, &w);
    nbd_world_end(&w);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_file("/dev/null", NULL);
    g_test_add_func("/growth/nodes-come-and-go", test_nodes_come_and_go);
    g_test_add_func("/growth/connection-is-lost", test_connection_is_lost);
#ifdef CONFIG_GNUTLS
    g_test_add_func("/growth/tls", test_tls);
#endif
    return g_test_run();
}
