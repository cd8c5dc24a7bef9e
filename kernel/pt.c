/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every edit is a walk over a range: enter() sees each entry on the way down and may change it,
 * leave() sees each entry that leads to a table again once the table has been walked.
 *
 * Invariants: no table but the root is empty; what can fail (allocating, for a split at the edges
 * of the range) comes before the first change, or is undone.
 */
#include "kernel/pt.h"
#include "kernel/pt_table.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"

/* --- the walk --- */

struct slot {
    uint64_t *entry;
    unsigned level;
    uint64_t first, last; /* the part of the entry's span that the walk covers */
};

struct walk {
    struct pt *pt;
    int (*enter)(struct walk *w, const struct slot *s);
    void (*leave)(struct walk *w, const struct slot *s); /* called even if the walk below failed */
    /* Of pt_map: */
    uint64_t hpa_minus_virt;
    uint64_t done; /* what lies before is mapped */
    /* Of pt_map and pt_protect: */
    unsigned attributes;
    /* Of pt_visit: */
    int (*visit)(const struct pt_mapping *page, void *context);
    void *context;
};

static bool is_whole(const struct slot *s)
{
    return s->last - s->first == pt_level_size(s->level) - 1;
}

static int walk_table(struct walk *w, uint64_t *table, unsigned level, uint64_t first,
                      uint64_t last);

static int walk_slot(struct walk *w, const struct slot *s)
{
    int error = w->enter(w, s);
    uint64_t entry = pt_load(s->entry);

    if (!pt_is_table(w->pt, s->level, entry))
        return error;
    if (!error)
        error =
            walk_table(w, pt_table_below(w->pt, s->level, entry), s->level - 1, s->first, s->last);
    w->leave(w, s);
    return error;
}

static int walk_table(struct walk *w, uint64_t *table, unsigned level, uint64_t first,
                      uint64_t last)
{
    int error = 0;

    while (!error && first <= last) {
        uint64_t slot_last = MIN(last, first | (pt_level_size(level) - 1));
        struct slot s = {&table[pt_level_index(level, first)], level, first, slot_last};

        error = walk_slot(w, &s);
        first = slot_last + 1;
    }
    return error;
}

static int walk_range(struct walk *w, uint64_t virt, uint64_t size)
{
    const struct pt *pt = w->pt;

    return walk_table(w, pt_table_at(pt, pt->root), pt->format->levels, virt, virt + size - 1);
}

static int enter_nothing(struct walk *w, const struct slot *s)
{
    (void)w;
    (void)s;
    return 0;
}

static void leave_nothing(struct walk *w, const struct slot *s)
{
    (void)w;
    (void)s;
}

/* --- splitting and merging --- */

static void merge_leave(struct walk *w, const struct slot *s)
{
    pt_merge_table(w->pt, s->entry, s->level);
}

static void merge_range(struct pt *pt, uint64_t virt, uint64_t size)
{
    struct walk w = {.pt = pt, .enter = enter_nothing, .leave = merge_leave};

    (void)walk_range(&w, virt, size);
}

/* From here on no page has virt in its middle. */
static int split_at(struct pt *pt, uint64_t virt)
{
    uint64_t *table = pt_table_at(pt, pt->root);
    int error = 0;

    for (unsigned level = pt->format->levels; !IS_ALIGNED(virt, pt_level_size(level)); level--) {
        uint64_t *entry = &table[pt_level_index(level, virt)];

        if (!pt->format->is_present(pt_load(entry)))
            return 0;
        if (pt_is_leaf(pt, level, pt_load(entry)))
            error = pt_split_leaf(pt, entry, level);
        if (error)
            return error;
        table = pt_table_below(pt, level, pt_load(entry));
    }
    return 0;
}

/* A change of the range can no longer fail. */
static int split_edges(struct pt *pt, uint64_t virt, uint64_t size)
{
    int error = split_at(pt, virt);

    if (!error)
        error = split_at(pt, virt + size);
    if (error)
        merge_range(pt, virt, size);
    return error;
}

/* --- unmapping --- */

static int unmap_enter(struct walk *w, const struct slot *s)
{
    if (w->pt->format->is_present(pt_load(s->entry)) && is_whole(s))
        pt_clear_entry(w->pt, s->entry, s->level);
    return 0;
}

static void prune_leave(struct walk *w, const struct slot *s)
{
    pt_prune_table(w->pt, s->entry, s->level);
}

/* No page has an edge of the range in its middle. */
static void unmap_range(struct pt *pt, uint64_t virt, uint64_t size)
{
    struct walk w = {.pt = pt, .enter = unmap_enter, .leave = prune_leave};

    (void)walk_range(&w, virt, size);
}

/* --- mapping and protecting --- */

static int vacant_enter(struct walk *w, const struct slot *s)
{
    return pt_is_leaf(w->pt, s->level, pt_load(s->entry)) ? -EEXIST : 0;
}

static int check_is_vacant(struct pt *pt, uint64_t virt, uint64_t size)
{
    struct walk w = {.pt = pt, .enter = vacant_enter, .leave = leave_nothing};

    return walk_range(&w, virt, size);
}

/* The range is vacant: what is present is a table. */
static int map_enter(struct walk *w, const struct slot *s)
{
    struct pt *pt = w->pt;
    hpa_t page = HPA(s->first + w->hpa_minus_virt);

    if (pt->format->is_present(pt_load(s->entry)))
        return 0;
    if (!pt_may_be_leaf(pt, s->level) || !is_whole(s) ||
        !IS_ALIGNED(page.value, pt_level_size(s->level)))
        return pt_link_new_table(pt, s->entry);
    pt->memory->store(s->entry, pt->format->encode_leaf(s->level, page, w->attributes));
    w->done = s->last + 1;
    return 0;
}

static int map_range(struct pt *pt, uint64_t virt, hpa_t hpa, uint64_t size, unsigned attributes)
{
    struct walk w = {.pt = pt,
                     .enter = map_enter,
                     .leave = prune_leave,
                     .attributes = attributes,
                     .hpa_minus_virt = hpa.value - virt,
                     .done = virt};
    int error = walk_range(&w, virt, size);

    if (error && w.done > virt)
        unmap_range(pt, virt, w.done - virt);
    return error;
}

static int protect_enter(struct walk *w, const struct slot *s)
{
    const struct pt_format *f = w->pt->format;
    uint64_t old = pt_load(s->entry), new;

    if (!pt_is_leaf(w->pt, s->level, old))
        return 0;
    new = f->encode_leaf(s->level, f->address(s->level, old), w->attributes);
    if (f->attributes(s->level, old) == f->attributes(s->level, new))
        return 0;
    w->pt->memory->store(s->entry, new);
    w->pt->is_stale = true;
    return 0;
}

/* --- what callers see --- */

static uint64_t virt_limit(const struct pt_format *f)
{
    return pt_level_size(f->levels) * PT_ENTRIES;
}

/* Inside of this file addresses have no sign; outside they do where the format says so. */
static uint64_t with_sign(const struct pt_format *f, uint64_t virt)
{
    return f->is_sign_extended && virt >= virt_limit(f) / 2 ? virt | ~(virt_limit(f) - 1) : virt;
}

static uint64_t without_sign(const struct pt_format *f, uint64_t virt)
{
    return virt & (virt_limit(f) - 1);
}

static bool is_expressible(const struct pt_format *f, uint64_t virt, uint64_t size)
{
    uint64_t first = without_sign(f, virt);
    bool is_in_lower_half = f->is_sign_extended && first < virt_limit(f) / 2;

    return size > 0 && IS_ALIGNED(virt | size, PAGE_SIZE) && with_sign(f, first) == virt &&
           range_fits(first, size, is_in_lower_half ? virt_limit(f) / 2 : virt_limit(f));
}

int pt_create(struct pt *pt, const struct pt_format *format, const struct pt_memory *memory,
              unsigned leaf_levels)
{
    *pt = (struct pt){
        .format = format, .memory = memory, .leaf_levels = leaf_levels & format->leaf_levels};
    ASSERT(format->levels <= PT_LEVELS_MAX && pt_may_be_leaf(pt, 1));
    /* A large page must be splittable, so a level counts only if all below it do: keep the lowest
     * run of ones. */
    pt->leaf_levels &= ~(pt->leaf_levels + PT_LEAF_4K);
    return pt_alloc_table(pt, &pt->root);
}

void pt_destroy(struct pt *pt)
{
    pt_retire_tree(pt, pt->root, pt->format->levels);
    pt_flushed(pt);
    ASSERT(pt->table_pages == 0);
}

int pt_map(struct pt *pt, uint64_t virt, hpa_t hpa, uint64_t size, unsigned attributes)
{
    uint64_t first = without_sign(pt->format, virt);
    int error;

    if (!is_expressible(pt->format, virt, size) || !IS_ALIGNED(hpa.value, PAGE_SIZE) ||
        !range_fits(hpa.value, size, PT_HPA_LIMIT) || !(attributes & PT_READ))
        return -EINVAL;
    error = check_is_vacant(pt, first, size);
    if (!error)
        error = map_range(pt, first, hpa, size, attributes);
    if (!error)
        merge_range(pt, first, size);
    return error;
}

int pt_unmap(struct pt *pt, uint64_t virt, uint64_t size)
{
    uint64_t first = without_sign(pt->format, virt);
    int error;

    if (!is_expressible(pt->format, virt, size))
        return -EINVAL;
    error = split_edges(pt, first, size);
    if (!error)
        unmap_range(pt, first, size);
    return error;
}

int pt_protect(struct pt *pt, uint64_t virt, uint64_t size, unsigned attributes)
{
    struct walk w = {
        .pt = pt, .enter = protect_enter, .leave = leave_nothing, .attributes = attributes};
    uint64_t first = without_sign(pt->format, virt);
    int error;

    if (!is_expressible(pt->format, virt, size) || !(attributes & PT_READ))
        return -EINVAL;
    error = split_edges(pt, first, size);
    if (error)
        return error;
    (void)walk_range(&w, first, size);
    merge_range(pt, first, size);
    return 0;
}

static struct pt_mapping mapping_of(const struct pt_format *f, unsigned level, uint64_t virt,
                                    uint64_t entry)
{
    return (struct pt_mapping){
        .virt = with_sign(f, ALIGN_DOWN(virt, pt_level_size(level))),
        .hpa = f->address(level, entry),
        .size = pt_level_size(level),
        .attributes = f->attributes(level, entry),
    };
}

bool pt_lookup(const struct pt *pt, uint64_t virt, struct pt_mapping *page)
{
    uint64_t first = without_sign(pt->format, virt);
    unsigned level = pt->format->levels;
    uint64_t entry = pt_load(&pt_table_at(pt, pt->root)[pt_level_index(level, first)]);

    if (with_sign(pt->format, first) != virt)
        return false;
    while (pt_is_table(pt, level, entry)) {
        level--;
        entry = pt_load(&pt_table_below(pt, level + 1, entry)[pt_level_index(level, first)]);
    }
    if (!pt->format->is_present(entry))
        return false;
    *page = mapping_of(pt->format, level, first, entry);
    return true;
}

static int visit_enter(struct walk *w, const struct slot *s)
{
    uint64_t entry = pt_load(s->entry);
    struct pt_mapping page;

    if (!pt_is_leaf(w->pt, s->level, entry))
        return 0;
    page = mapping_of(w->pt->format, s->level, s->first, entry);
    return w->visit(&page, w->context);
}

int pt_visit(struct pt *pt, int (*visit)(const struct pt_mapping *page, void *context),
             void *context)
{
    struct walk w = {
        .pt = pt, .enter = visit_enter, .leave = leave_nothing, .visit = visit, .context = context};

    return walk_range(&w, 0, virt_limit(pt->format));
}
