/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run queue's balanced tree: its entities in an order, those of equal order by age. Each node knows
 * the smallest eligible time and the union of the CPU masks of its subtree, so that the first entity that is
 * eligible, or that a certain CPU may run, is found in one walk down from the root.
 */
#ifndef KERNEL_RUN_TREE_H
#define KERNEL_RUN_TREE_H

#include "kernel/lib/types.h"

struct sched_entity;

/* Of an entity that is in a tree; run_tree.c writes it. */
struct run_node {
    struct sched_entity *child[2]; /* before, after */
    uint64_t order, age;
    uint64_t min_eligible;
    uint64_t any_cpus;
    unsigned height;
};

struct run_tree {
    struct sched_entity *root;
    unsigned count;
    uint64_t next_age;
};

/*
 * The entity's eligible time and cpus do not change while it is in the tree. Orders are less than 2^63 apart, and may
 * wrap.
 */
void run_tree_insert(struct run_tree *tree, struct sched_entity *e, uint64_t order);
void run_tree_remove(struct run_tree *tree, struct sched_entity *e);

/* NULL: the tree is empty. */
struct sched_entity *run_tree_first(const struct run_tree *tree);

/* The first that `cpu` may run; NULL: none. */
struct sched_entity *run_tree_first_for(const struct run_tree *tree, unsigned cpu);

#endif
