/*
 * Unit tests of the interval tree, against an array
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/interval-tree.h"

#define N 300
#define SPACE 1000

typedef struct Item {
    IntervalTreeNode node;
    bool in;
} Item;

static Item items[N];

/* Properties of the structure */

static int64_t check_subtree(const IntervalTreeNode *node, int *count)
{
    int64_t last = node->last;
    int64_t below;

    ++*count;
    if (node->left) {
        g_assert_true(node->left->parent == node);
        g_assert_cmpint(node->left->start, <=, node->start);
        g_assert_cmpuint(node->left->priority, <=, node->priority);
        below = check_subtree(node->left, count);
        last = MAX(last, below);
    }
    if (node->right) {
        g_assert_true(node->right->parent == node);
        g_assert_cmpint(node->right->start, >=, node->start);
        g_assert_cmpuint(node->right->priority, <=, node->priority);
        below = check_subtree(node->right, count);
        last = MAX(last, below);
    }
    g_assert_cmpint(node->subtree_last, ==, last);
    return last;
}

static int depth(const IntervalTreeNode *node)
{
    int left = node ? depth(node->left) : 0;
    int right = node ? depth(node->right) : 0;

    return node ? 1 + MAX(left, right) : 0;
}

static int count_overlaps(int64_t start, int64_t last)
{
    int n = 0;

    for (int i = 0; i < N; i++) {
        n += items[i].in && items[i].node.start <= last &&
             items[i].node.last >= start;
    }
    return n;
}

static void check_query(IntervalTree *tree, int64_t start, int64_t last)
{
    IntervalTreeNode *node;
    int64_t before = INT64_MIN;
    int n = 0;

    for (node = interval_tree_iter_first(tree, start, last); node;
         node = interval_tree_iter_next(node, start, last)) {
        g_assert_true(node->start <= last && node->last >= start);
        g_assert_cmpint(node->start, >=, before);
        before = node->start;
        n++;
    }
    g_assert_cmpint(n, ==, count_overlaps(start, last));
}

static void toggle(IntervalTree *tree, Item *item)
{
    if (item->in) {
        interval_tree_remove(tree, &item->node);
    } else {
        item->node.start = g_test_rand_int_range(0, SPACE);
        item->node.last = item->node.start + g_test_rand_int_range(0, 40);
        interval_tree_insert(tree, &item->node);
    }
    item->in = !item->in;
}

static void test_random_operations(void)
{
    IntervalTree tree = { NULL };

    memset(items, 0, sizeof(items));
    for (int round = 0; round < 5000; round++) {
        int64_t start = g_test_rand_int_range(0, SPACE);
        int in = 0, found = 0;

        toggle(&tree, &items[g_test_rand_int_range(0, N)]);
        check_query(&tree, start, start + g_test_rand_int_range(0, 100));
        if (round % 100 == 0 && tree.root) {
            for (int i = 0; i < N; i++) {
                in += items[i].in;
            }
            check_subtree(tree.root, &found);
            g_assert_cmpint(found, ==, in);
        }
    }
    check_query(&tree, 0, INT64_MAX);
}

static void test_sorted_input_stays_flat(void)
{
    IntervalTree tree = { NULL };

    for (int i = 0; i < N; i++) {
        items[i].node.start = i;
        items[i].node.last = i;
        interval_tree_insert(&tree, &items[i].node);
    }
    /* log2(300) is 8; a chance of one in millions to be beyond this. */
    g_assert_cmpint(depth(tree.root), <, 40);
    for (int i = 0; i < N; i++) {
        interval_tree_remove(&tree, &items[i].node);
    }
    g_assert_true(interval_tree_is_empty(&tree));
}

static void test_equal_ranges_keep_their_order(void)
{
    IntervalTree tree = { NULL };
    IntervalTreeNode n[5];
    IntervalTreeNode *node;

    for (int i = 0; i < 5; i++) {
        n[i].start = 10;
        n[i].last = 20;
        interval_tree_insert(&tree, &n[i]);
    }
    node = interval_tree_iter_first(&tree, 20, 20);
    for (int i = 0; i < 5; i++) {
        g_assert_true(node == &n[i]);
        node = interval_tree_iter_next(node, 20, 20);
    }
    g_assert_null(node);
    g_assert_null(interval_tree_iter_first(&tree, 21, 30));
    g_assert_null(interval_tree_iter_first(&tree, 0, 9));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interval-tree/random", test_random_operations);
    g_test_add_func("/interval-tree/sorted", test_sorted_input_stays_flat);
    g_test_add_func("/interval-tree/equal", test_equal_ranges_keep_their_order);
    return g_test_run();
}
