/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An AVL tree (Adelson-Velsky, Landis, "An algorithm for the organization of information", 1962): with
 * 4096 entities no path is longer than 17, which bounds the recursion as well. Whatever changes a
 * node's children calls balance(), which also brings what the node knows of its subtree up to date.
 */
#include "kernel/run_tree.h"
#include "kernel/lib/assert.h"
#include "kernel/runqueue.h"

#define BEFORE 0
#define AFTER  1

static bool is_before(const struct sched_entity *a, const struct sched_entity *b)
{
    int64_t distance = (int64_t)(a->node.order - b->node.order);

    return distance ? distance < 0 : a->node.age < b->node.age;
}

static unsigned height(const struct sched_entity *e)
{
    return e ? e->node.height : 0;
}

static void summarize(struct sched_entity *e)
{
    struct run_node *n = &e->node;

    n->height = 1 + MAX(height(n->child[BEFORE]), height(n->child[AFTER]));
    n->min_eligible = e->eligible;
    n->any_cpus = e->cpus;
    for (unsigned side = BEFORE; side <= AFTER; side++) {
        const struct sched_entity *child = n->child[side];

        if (!child)
            continue;
        if ((int64_t)(child->node.min_eligible - n->min_eligible) < 0)
            n->min_eligible = child->node.min_eligible;
        n->any_cpus |= child->node.any_cpus;
    }
}

/* Moves e down to `side`; returns who has taken its place. */
static struct sched_entity *rotate(struct sched_entity *e, unsigned side)
{
    struct sched_entity *up = e->node.child[!side];

    e->node.child[!side] = up->node.child[side];
    up->node.child[side] = e;
    summarize(e);
    summarize(up);
    return up;
}

/* For an e whose subtrees are balanced, and differ in height by two at most. */
static struct sched_entity *balance(struct sched_entity *e)
{
    unsigned before = height(e->node.child[BEFORE]), after = height(e->node.child[AFTER]);
    unsigned heavy = before > after ? BEFORE : AFTER;
    struct sched_entity *child = e->node.child[heavy];

    summarize(e);
    if (!child || (before <= after + 1 && after <= before + 1))
        return e;
    if (height(child->node.child[!heavy]) > height(child->node.child[heavy]))
        e->node.child[heavy] = rotate(child, heavy);
    return rotate(e, !heavy);
}

static struct sched_entity *insert(struct sched_entity *root, struct sched_entity *e)
{
    struct sched_entity **side;

    if (!root)
        return e;
    side = &root->node.child[is_before(root, e)];
    *side = insert(*side, e);
    return balance(root);
}

static struct sched_entity *take_first(struct sched_entity *root, struct sched_entity **first)
{
    if (!root->node.child[BEFORE]) {
        *first = root;
        return root->node.child[AFTER];
    }
    root->node.child[BEFORE] = take_first(root->node.child[BEFORE], first);
    return balance(root);
}

/* Of two trees, the second not empty, that differ in height by one at most. */
static COLD struct sched_entity *join(struct sched_entity *before, struct sched_entity *after)
{
    struct sched_entity *next;

    after = take_first(after, &next);
    next->node.child[BEFORE] = before;
    next->node.child[AFTER] = after;
    return balance(next);
}

static inline struct sched_entity *without_root(const struct sched_entity *root)
{
    struct sched_entity *before = root->node.child[BEFORE], *after = root->node.child[AFTER];

    return after ? join(before, after) : before;
}

static struct sched_entity *erase(struct sched_entity *root, struct sched_entity *e)
{
    struct sched_entity **side;

    if (root == e)
        return without_root(root);
    ASSERT(root);
    side = &root->node.child[is_before(root, e)];
    *side = erase(*side, e);
    return balance(root);
}

void run_tree_insert(struct run_tree *tree, struct sched_entity *e, uint64_t order)
{
    struct run_node *n = &e->node;

    n->child[BEFORE] = n->child[AFTER] = NULL;
    n->order = order;
    n->age = tree->next_age++;
    n->min_eligible = e->eligible;
    n->any_cpus = e->cpus;
    n->height = 1;
    tree->root = tree->root ? insert(tree->root, e) : e;
    tree->count++;
}

void run_tree_remove(struct run_tree *tree, struct sched_entity *e)
{
    tree->root = tree->root == e ? without_root(e) : erase(tree->root, e);
    tree->count--;
}

struct sched_entity *run_tree_first(const struct run_tree *tree)
{
    struct sched_entity *e = tree->root;

    while (e && e->node.child[BEFORE])
        e = e->node.child[BEFORE];
    return e;
}

struct sched_entity *run_tree_first_for(const struct run_tree *tree, unsigned cpu)
{
    struct sched_entity *e = tree->root;

    if (!e || !(e->node.any_cpus & BIT(cpu)))
        return NULL;
    for (;;) {
        struct sched_entity *before = e->node.child[BEFORE];

        if (before && (before->node.any_cpus & BIT(cpu)))
            e = before;
        else if (e->cpus & BIT(cpu))
            return e;
        else
            e = e->node.child[AFTER];
    }
}
