/*
 * Interval tree: which of many byte ranges overlap a given one
 *
 * Intrusive and balanced; insertion, removal and the search for the next
 * overlap are O(log n).  Ranges may overlap and repeat.  The caller
 * serialises access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_INTERVAL_TREE_H
#define UTIL_INTERVAL_TREE_H

typedef struct IntervalTreeNode {
    /* Set by the owner before insertion, constant while inserted */
    int64_t start;
    int64_t last;               /* inclusive, >= start */

    /* Private */
    struct IntervalTreeNode *parent, *left, *right;
    int64_t subtree_last;
    uint32_t priority;
} IntervalTreeNode;

typedef struct IntervalTree {
    IntervalTreeNode *root;
    uint32_t seed;
} IntervalTree;

void interval_tree_insert(IntervalTree *tree, IntervalTreeNode *node);
void interval_tree_remove(IntervalTree *tree, IntervalTreeNode *node);

/*
 * The nodes that overlap [start, last], in order of their start.  The tree
 * must not change between _first and _next.
 */
IntervalTreeNode *interval_tree_iter_first(const IntervalTree *tree,
                                           int64_t start, int64_t last);
IntervalTreeNode *interval_tree_iter_next(IntervalTreeNode *node,
                                          int64_t start, int64_t last);

static inline bool interval_tree_is_empty(const IntervalTree *tree)
{
    return tree->root == NULL;
}

#endif
