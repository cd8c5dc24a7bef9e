/* SPDX-License-Identifier: BSD-2-Clause */
/* A single table and a single entry of it: what the walks of pt.c are made of, for pt.c alone. */
#ifndef KERNEL_PT_TABLE_H
#define KERNEL_PT_TABLE_H

#include "kernel/pt.h"

static inline unsigned pt_level_shift(unsigned level)
{
    return PAGE_SHIFT + PT_INDEX_BITS * (level - 1);
}

/* What one entry of a table at that level spans. */
static inline uint64_t pt_level_size(unsigned level)
{
    return BIT(pt_level_shift(level));
}

static inline unsigned pt_level_index(unsigned level, uint64_t virt)
{
    return (unsigned)(virt >> pt_level_shift(level)) % PT_ENTRIES;
}

/* Hardware sets accessed and dirty bits meanwhile. */
static inline uint64_t pt_load(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static inline bool pt_is_leaf(const struct pt *pt, unsigned level, uint64_t entry)
{
    return pt->format->is_present(entry) && pt->format->is_leaf(level, entry);
}

static inline bool pt_is_table(const struct pt *pt, unsigned level, uint64_t entry)
{
    return pt->format->is_present(entry) && !pt->format->is_leaf(level, entry);
}

static inline bool pt_may_be_leaf(const struct pt *pt, unsigned level)
{
    return (pt->leaf_levels & PT_LEAF(level)) != 0;
}

static inline uint64_t *pt_table_at(const struct pt *pt, hpa_t table)
{
    return pt->memory->to_virtual(table);
}

/* The table that an entry leads to. */
static inline uint64_t *pt_table_below(const struct pt *pt, unsigned level, uint64_t entry)
{
    return pt_table_at(pt, pt->format->address(level, entry));
}

MUST_CHECK int pt_alloc_table(struct pt *pt, hpa_t *table);
void pt_free_table(struct pt *pt, hpa_t table);

/* -ENOMEM. The table is empty until something is mapped below it. */
MUST_CHECK int pt_link_new_table(struct pt *pt, uint64_t *entry);

/* A leaf becomes a table of leaves that say the same; -ENOMEM. */
MUST_CHECK int pt_split_leaf(struct pt *pt, uint64_t *entry, unsigned level);

/* If the table below maps one whole page, all in the same way, a leaf takes its place. */
void pt_merge_table(struct pt *pt, uint64_t *entry, unsigned level);

/* If the table below maps nothing, it goes. */
void pt_prune_table(struct pt *pt, uint64_t *entry, unsigned level);

/* A table of that level that was unhooked, and all below it, are freed at the next pt_flushed(). */
void pt_retire_tree(struct pt *pt, hpa_t table, unsigned level);

/* Unhooks what the entry leads to, a page or a table with all below it. */
void pt_clear_entry(struct pt *pt, uint64_t *entry, unsigned level);

#endif
