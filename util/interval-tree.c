/*
 * Interval tree
 *
 * A treap: a search tree by start, a heap by random priority, so that it is
 * balanced on average whatever the order of insertion.  Each node also knows
 * the greatest end below it, which tells whether a subtree can overlap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/interval-tree.h"

/* Priorities only have to be hard to hit by chance: xorshift will do. */
static uint32_t next_priority(IntervalTree *tree)
{
    uint32_t x = tree->seed ?: 0x9e3779b9;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    tree->seed = x;
    return x;
}

static void update_last(IntervalTreeNode *node)
{
    int64_t last = node->last;

    if (node->left) {
        last = MAX(last, node->left->subtree_last);
    }
    if (node->right) {
        last = MAX(last, node->right->subtree_last);
    }
    node->subtree_last = last;
}

/* Where the pointer to @node is kept. */
static IntervalTreeNode **link_to(IntervalTree *tree, IntervalTreeNode *node)
{
    IntervalTreeNode *parent = node->parent;

    if (!parent) {
        return &tree->root;
    }
    return parent->left == node ? &parent->left : &parent->right;
}

/*
 *        parent                 node
 *        /    \                 /  \
 *     node     c      <->      a   parent
 *     /  \                          /  \
 *    a    b                        b    c
 */
static void rotate_up(IntervalTree *tree, IntervalTreeNode *node)
{
    IntervalTreeNode *parent = node->parent;
    IntervalTreeNode *moved;

    *link_to(tree, parent) = node;
    node->parent = parent->parent;
    if (parent->left == node) {
        moved = node->right;
        node->right = parent;
        parent->left = moved;
    } else {
        moved = node->left;
        node->left = parent;
        parent->right = moved;
    }
    parent->parent = node;
    if (moved) {
        moved->parent = parent;
    }
    update_last(parent);
    update_last(node);
}

void interval_tree_insert(IntervalTree *tree, IntervalTreeNode *node)
{
    IntervalTreeNode **link = &tree->root;
    IntervalTreeNode *parent = NULL;

    g_assert(node->start <= node->last);
    while (*link) {
        parent = *link;
        parent->subtree_last = MAX(parent->subtree_last, node->last);
        /* Equal ones keep the order in which they came. */
        link = node->start < parent->start ? &parent->left : &parent->right;
    }
    *link = node;
    node->parent = parent;
    node->left = NULL;
    node->right = NULL;
    node->subtree_last = node->last;
    node->priority = next_priority(tree);

    while (node->parent && node->parent->priority < node->priority) {
        rotate_up(tree, node);
    }
}

void interval_tree_remove(IntervalTree *tree, IntervalTreeNode *node)
{
    IntervalTreeNode *child, *parent;

    /* Down until it has one child at most, which takes its place. */
    while (node->left && node->right) {
        child = node->left->priority > node->right->priority ? node->left
                                                             : node->right;
        rotate_up(tree, child);
    }
    child = node->left ?: node->right;
    *link_to(tree, node) = child;
    if (child) {
        child->parent = node->parent;
    }
    for (parent = node->parent; parent; parent = parent->parent) {
        update_last(parent);
    }
    node->parent = node->left = node->right = NULL;
}

/* The first overlap in the subtree of @node, which has an end >= @start. */
static IntervalTreeNode *first_below(IntervalTreeNode *node, int64_t start,
                                     int64_t last)
{
    for (;;) {
        if (node->left && node->left->subtree_last >= start) {
            /*
             * One below left reaches @start.  If the first such one begins
             * after @last, then so does everything to the right of it.
             */
            node = node->left;
            continue;
        }
        if (node->start > last) {
            return NULL;
        }
        if (node->last >= start) {
            return node;
        }
        if (!node->right || node->right->subtree_last < start) {
            return NULL;
        }
        node = node->right;
    }
}

IntervalTreeNode *interval_tree_iter_first(const IntervalTree *tree,
                                           int64_t start, int64_t last)
{
    if (!tree->root || tree->root->subtree_last < start) {
        return NULL;
    }
    return first_below(tree->root, start, last);
}

IntervalTreeNode *interval_tree_iter_next(IntervalTreeNode *node,
                                          int64_t start, int64_t last)
{
    for (;;) {
        IntervalTreeNode *right = node->right;
        IntervalTreeNode *from;

        if (right && right->subtree_last >= start) {
            return first_below(right, start, last);
        }
        do {
            from = node;
            node = node->parent;
            if (!node) {
                return NULL;
            }
        } while (node->right == from);

        if (node->start > last) {
            return NULL;
        }
        if (node->last >= start) {
            return node;
        }
    }
}
