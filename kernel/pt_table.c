/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making, changing and retiring single tables. The walks are pt.c's.
 *
 * Invariant: a table that was unhooked keeps translating until hardware has been flushed, because
 * paging-structure caches may still lead there (SDM 3A, "Caches for Paging Structures").
 */
#include "kernel/pt_table.h"
#include "kernel/page.h"
#include "arch/arch.h"

int pt_alloc_table(struct pt *pt, hpa_t *table)
{
    int error = pt->memory->alloc(table);

    if (!error)
        pt->table_pages++;
    return error;
}

void pt_free_table(struct pt *pt, hpa_t table)
{
    pt->memory->free(table);
    pt->table_pages--;
}

/* --- tables that hardware may still walk --- */

/*
 * The links of the retired list lie in bits that hardware ignores, spread over a table's first
 * entries: a table that was merged into a large page must go on translating, so no whole entry can
 * be spared.
 */
#define LINK_PART_MASK (BIT(PT_IGNORED_BITS) - 1)
#define LINK_PARTS     8u
#define LINK_SHIFT(i)  (PAGE_SHIFT + PT_IGNORED_BITS * (i))
_Static_assert(BIT(LINK_SHIFT(LINK_PARTS)) == PT_HPA_LIMIT, "a link holds any page's address");

static void retire_table(struct pt *pt, hpa_t table)
{
    uint64_t *entries = pt_table_at(pt, table);
    unsigned shift = pt->format->ignored_shift;

    for (unsigned i = 0; i < LINK_PARTS; i++) {
        uint64_t part = (pt->retired.value >> LINK_SHIFT(i)) & LINK_PART_MASK;
        uint64_t others = pt_load(&entries[i]) & ~(LINK_PART_MASK << shift);

        pt->memory->store(&entries[i], others | part << shift);
    }
    pt->retired = table;
    pt->is_stale = true;
}

static hpa_t next_retired(const struct pt *pt, hpa_t table)
{
    const uint64_t *entries = pt_table_at(pt, table);
    hpa_t next = HPA(0);

    for (unsigned i = 0; i < LINK_PARTS; i++) {
        uint64_t part = (pt_load(&entries[i]) >> pt->format->ignored_shift) & LINK_PART_MASK;

        next.value |= part << LINK_SHIFT(i);
    }
    return next;
}

void pt_retire_tree(struct pt *pt, hpa_t table, unsigned level)
{
    const uint64_t *entries = pt_table_at(pt, table);

    for (unsigned i = 0; i < PT_ENTRIES && level > 1; i++) {
        uint64_t entry = pt_load(&entries[i]);

        if (entry != 0 && pt_is_table(pt, level, entry)) /* most are empty */
            pt_retire_tree(pt, pt->format->address(level, entry), level - 1);
    }
    retire_table(pt, table);
}

void pt_flushed(struct pt *pt)
{
    while (pt->retired.value != 0) {
        hpa_t table = pt->retired;

        pt->retired = next_retired(pt, table);
        pt_free_table(pt, table);
    }
    pt->is_stale = false;
}

void pt_clear_entry(struct pt *pt, uint64_t *entry, unsigned level)
{
    uint64_t old = pt_load(entry);

    pt->memory->store(entry, 0);
    pt->is_stale = true;
    if (pt_is_table(pt, level, old))
        pt_retire_tree(pt, pt->format->address(level, old), level - 1);
}

static bool is_empty(const struct pt *pt, const uint64_t *table)
{
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        uint64_t entry = pt_load(&table[i]);

        if (entry != 0 && pt->format->is_present(entry)) /* most that are not are 0 */
            return false;
    }
    return true;
}

void pt_prune_table(struct pt *pt, uint64_t *entry, unsigned level)
{
    if (is_empty(pt, pt_table_below(pt, level, pt_load(entry))))
        pt_clear_entry(pt, entry, level);
}

/* --- new tables, splitting and merging --- */

int pt_link_new_table(struct pt *pt, uint64_t *entry)
{
    hpa_t table;
    int error = pt_alloc_table(pt, &table);

    if (!error)
        pt->memory->store(entry, pt->format->encode_table(table));
    return error;
}

int pt_split_leaf(struct pt *pt, uint64_t *entry, unsigned level)
{
    const struct pt_format *f = pt->format;
    hpa_t page = f->address(level, pt_load(entry));
    unsigned attributes = f->attributes(level, pt_load(entry));
    hpa_t table;
    int error = pt_alloc_table(pt, &table);

    if (error)
        return error;
    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        hpa_t part = HPA(page.value + i * pt_level_size(level - 1));

        pt->memory->store(&pt_table_at(pt, table)[i], f->encode_leaf(level - 1, part, attributes));
    }
    pt->memory->store(entry, f->encode_table(table));
    return 0;
}

/* Do the table's entries map one page of the level above, all in the same way? */
static bool is_uniform(const struct pt *pt, const uint64_t *table, unsigned level)
{
    const struct pt_format *f = pt->format;
    uint64_t first = pt_load(&table[0]), size = pt_level_size(level);

    if (!pt_is_leaf(pt, level, first) ||
        !IS_ALIGNED(f->address(level, first).value, pt_level_size(level + 1)))
        return false;
    /* From the end: a table that is being filled is told from a full one at once. */
    for (unsigned i = PT_ENTRIES - 1; i > 0; i--) {
        uint64_t entry = pt_load(&table[i]);

        if (!pt_is_leaf(pt, level, entry) ||
            f->attributes(level, entry) != f->attributes(level, first) ||
            f->address(level, entry).value != f->address(level, first).value + i * size)
            return false;
    }
    return true;
}

void pt_merge_table(struct pt *pt, uint64_t *entry, unsigned level)
{
    const struct pt_format *f = pt->format;
    hpa_t table = f->address(level, pt_load(entry));
    uint64_t first = pt_load(pt_table_at(pt, table));

    if (!pt_may_be_leaf(pt, level) || !is_uniform(pt, pt_table_at(pt, table), level - 1))
        return;
    pt->memory->store(entry, f->encode_leaf(level, f->address(level - 1, first),
                                            f->attributes(level - 1, first)));
    retire_table(pt, table);
}

/* --- tables in our own memory --- */

static int host_alloc(hpa_t *table)
{
    return page_alloc_zeroed(PAGE_ORDER_4K, table);
}

static void host_free(hpa_t table)
{
    page_free(table, PAGE_ORDER_4K);
}

/* Release: what a new table holds is visible before the entry that leads to it. */
static void host_store(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

const struct pt_memory pt_host_memory = {host_alloc, host_free, phys_to_virt, host_store};
