/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: after any sequence of edits the tables say what a plain array of pages would say; at
 * every single store on the way, and through every table that hardware may still hold, each address
 * translates as before or as asked for; what fails has changed nothing; nothing leaks.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/vmx/ept.h"
#include "kernel/page.h"
#include "kernel/lib/errno.h"

/* --- memory that fails on demand, and calls a hook after each store --- */

#define NEVER (~0u)
static unsigned allocs_left;
static void (*after_store)(void);
static unsigned stores;

static int table_alloc(hpa_t *table)
{
    if (allocs_left != NEVER && allocs_left-- == 0) {
        allocs_left = 0;
        return -ENOMEM;
    }
    return page_alloc_zeroed(0, table);
}

static void table_free(hpa_t table)
{
    memset(phys_to_virt(table), 0xff, PAGE_SIZE);
    page_free(table, 0);
}

static void table_store(uint64_t *entry, uint64_t value)
{
    *entry = value;
    stores++;
    if (after_store)
        after_store();
}

static const struct pt_memory table_memory = {table_alloc, table_free, phys_to_virt, table_store};

/* --- the hardware: a walk written from the manual alone --- */

struct translation {
    bool present;
    uint64_t hpa;
    bool write, exec, uncached;
};

static bool same(struct translation a, struct translation b)
{
    return a.present == b.present && (!a.present || (a.hpa == b.hpa && a.write == b.write &&
                                                     a.exec == b.exec && a.uncached == b.uncached));
}

static struct translation hardware_walk(bool is_ept, hpa_t root, uint64_t virt)
{
    struct translation t = {.present = true, .write = true, .exec = true};
    uint64_t table = root.value, entry;

    for (unsigned shift = 39;; shift -= 9) {
        entry = ((uint64_t *)phys_to_virt(HPA(table)))[(virt >> shift) & 511];
        if (!(entry & (is_ept ? 7 : 1)))
            return (struct translation){0};
        t.write = t.write && (entry & 2);
        t.exec = t.exec && (is_ept ? (entry & 4) != 0 : !(entry >> 63));
        table = entry & 0x000ffffffffff000;
        if (shift == 12 || (entry & 0x80)) {
            assert_true(shift < 39);
            assert_int_equal(table & ((UINT64_C(1) << shift) - 1), 0); /* reserved bits */
            t.uncached = is_ept ? (entry & 0x38) == 0 : (entry & 0x18) == 0x18;
            t.hpa = table + (virt & ((UINT64_C(1) << shift) - 1));
            return t;
        }
    }
}

static struct translation asked_for(uint64_t hpa, unsigned attributes)
{
    return (struct translation){true, hpa, (attributes & PT_WRITE) != 0,
                                (attributes & PT_EXEC) != 0, (attributes & PT_UNCACHED) != 0};
}

/* --- fixture: each test runs for both formats --- */

#define RW         (PT_READ | PT_WRITE)
#define RWX        (RW | PT_EXEC)
#define ALL_LEAVES (PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G)

static struct pt pt;
static bool is_ept;
static uint64_t pages_at_start;

static uint64_t free_pages(void)
{
    struct page_stats s;

    page_get_stats(&s);
    return s.free_pages;
}

static int set_up_format(const struct pt_format *format, unsigned leaf_levels)
{
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(2)), MIB(32)), 0);
    pages_at_start = free_pages();
    allocs_left = NEVER;
    after_store = NULL;
    is_ept = format == &ept_format;
    assert_int_equal(pt_create(&pt, format, &table_memory, leaf_levels), 0);
    return 0;
}

static int set_up_host(void **state)
{
    (void)state;
    return set_up_format(&paging_format, ALL_LEAVES);
}

static int set_up_ept(void **state)
{
    (void)state;
    return set_up_format(&ept_format, ALL_LEAVES);
}

static int tear_down(void **state)
{
    (void)state;
    after_store = NULL;
    allocs_left = NEVER;
    pt_destroy(&pt);
    assert_int_equal(free_pages(), pages_at_start);
    return 0;
}

static uint64_t size_at(uint64_t virt)
{
    struct pt_mapping m;

    return pt_lookup(&pt, virt, &m) ? m.size : 0;
}

static void expect_mapped(uint64_t virt, uint64_t hpa, unsigned attributes)
{
    struct pt_mapping m;

    assert_true(pt_lookup(&pt, virt, &m));
    assert_int_equal(m.hpa.value + (virt - m.virt), hpa);
    assert_int_equal(m.attributes, attributes);
    assert_true(same(hardware_walk(is_ept, pt.root, virt), asked_for(hpa, attributes)));
}

static void map(uint64_t virt, uint64_t hpa, uint64_t size, unsigned attributes)
{
    assert_int_equal(pt_map(&pt, virt, HPA(hpa), size, attributes), 0);
}

/* --- one thing at a time --- */

static void nothing_is_mapped_at_first(void **state)
{
    struct pt_mapping m;

    (void)state;
    assert_false(pt_lookup(&pt, 0, &m));
    assert_false(pt_lookup(&pt, GIB(512), &m));
    assert_int_equal(pt.table_pages, 1);
}

static void maps_in_the_largest_pages_that_fit(void **state)
{
    (void)state;
    map(GIB(1) - MIB(2) - KIB(4), GIB(5) - MIB(2) - KIB(4), GIB(1) + MIB(4) + KIB(8), RWX);
    assert_int_equal(size_at(GIB(1) - MIB(2) - KIB(4)), KIB(4));
    assert_int_equal(size_at(GIB(1) - 1), MIB(2));
    assert_int_equal(size_at(GIB(1)), GIB(1));
    assert_int_equal(size_at(GIB(2) + MIB(1)), MIB(2));
    assert_int_equal(size_at(GIB(2) + MIB(2)), KIB(4));
    assert_int_equal(size_at(GIB(2) + MIB(2) + KIB(4)), 0);
    expect_mapped(GIB(1) + 0x12345678, GIB(5) + 0x12345678, RWX);
    assert_false(pt.is_stale);
}

static void alignment_of_both_sides_counts(void **state)
{
    (void)state;
    map(GIB(1), GIB(4) + MIB(2), MIB(4), RW);
    assert_int_equal(size_at(GIB(1)), MIB(2));
    map(GIB(3), GIB(8) + KIB(4), MIB(4), RW);
    assert_int_equal(size_at(GIB(3)), KIB(4));
    expect_mapped(GIB(3) + MIB(3), GIB(8) + MIB(3) + KIB(4), RW);
}

static void uses_only_the_page_sizes_that_the_cpu_has(void **state)
{
    const struct pt_format *format = pt.format;

    tear_down(state);
    set_up_format(format, PT_LEAF_4K | PT_LEAF_2M);
    map(0, 0, GIB(1), RW);
    assert_int_equal(size_at(0), MIB(2));
    tear_down(state);
    set_up_format(format, PT_LEAF_4K);
    map(0, 0, MIB(4), RW);
    assert_int_equal(size_at(0), KIB(4));
    tear_down(state);
    set_up_format(format, PT_LEAF_4K | PT_LEAF_1G); /* a 1 GiB page could not be split in steps */
    map(0, 0, GIB(1), RW);
    assert_int_equal(size_at(0), KIB(4));
}

static void splits_and_merges_again(void **state)
{
    (void)state;
    map(GIB(2), GIB(6), GIB(1), RW);
    assert_int_equal(pt.table_pages, 2);
    assert_int_equal(pt_protect(&pt, GIB(2) + MIB(4) + KIB(8), KIB(4), PT_READ), 0);
    assert_true(pt.is_stale);
    expect_mapped(GIB(2) + MIB(4) + KIB(8), GIB(6) + MIB(4) + KIB(8), PT_READ);
    expect_mapped(GIB(2) + MIB(4) + KIB(4), GIB(6) + MIB(4) + KIB(4), RW);
    assert_int_equal(size_at(GIB(2) + MIB(4)), KIB(4));
    assert_int_equal(size_at(GIB(2) + MIB(2)), MIB(2));
    assert_int_equal(pt.table_pages, 4);
    pt_flushed(&pt);
    assert_int_equal(pt_protect(&pt, GIB(2) + MIB(4) + KIB(8), KIB(4), RW), 0);
    assert_int_equal(size_at(GIB(2) + MIB(4) + KIB(8)), GIB(1));
    expect_mapped(GIB(2) + MIB(4) + KIB(8), GIB(6) + MIB(4) + KIB(8), RW);
    assert_int_equal(pt.table_pages, 4); /* the CPU may still walk the two */
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 2);
}

static void small_maps_grow_together(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < MIB(4); at += KIB(4))
        map(MIB(8) + at, GIB(1) + at, KIB(4), RW);
    assert_int_equal(size_at(MIB(8)), MIB(2));
    assert_int_equal(size_at(MIB(10)), MIB(2));
    assert_true(pt.is_stale);
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 3);
}

static void what_differs_does_not_merge(void **state)
{
    (void)state;
    map(0, GIB(1), MIB(1), RW);
    map(MIB(1), GIB(1) + MIB(1), MIB(1), PT_READ);
    assert_int_equal(size_at(0), KIB(4));
    map(MIB(2), GIB(1) + KIB(4), MIB(2), RW); /* contiguous, misaligned */
    assert_int_equal(size_at(MIB(2)), KIB(4));
    map(MIB(4), GIB(1), MIB(1), RW);
    map(MIB(5), GIB(2), MIB(1), RW); /* not contiguous */
    assert_int_equal(size_at(MIB(4)), KIB(4));
}

static void unmapping_frees_tables(void **state)
{
    (void)state;
    map(KIB(4), GIB(1), GIB(1), RW);
    map(GIB(512), GIB(1), KIB(4), RW);
    assert_int_equal(pt_unmap(&pt, KIB(4), GIB(1)), 0);
    assert_true(pt.is_stale);
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 4);
    assert_int_equal(pt_unmap(&pt, 0, GIB(1024)), 0);
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 1);
}

static void unmapping_a_part_keeps_the_rest(void **state)
{
    (void)state;
    map(0, GIB(4), GIB(1), RW);
    assert_int_equal(pt_unmap(&pt, MIB(1), MIB(512)), 0);
    assert_int_equal(size_at(MIB(1)), 0);
    assert_int_equal(size_at(MIB(513) - 1), 0);
    expect_mapped(MIB(1) - 1, GIB(4) + MIB(1) - 1, RW);
    expect_mapped(MIB(513), GIB(4) + MIB(513), RW);
    assert_int_equal(size_at(MIB(514)), MIB(2));
}

static void says_exactly_when_to_flush(void **state)
{
    (void)state;
    map(MIB(2), GIB(1), MIB(4), RW);
    assert_false(pt.is_stale); /* hardware does not cache what is not there */
    assert_int_equal(pt_unmap(&pt, MIB(16), MIB(4)), 0);
    assert_false(pt.is_stale);
    assert_int_equal(pt_protect(&pt, MIB(3), KIB(4), RW), 0); /* as it was */
    pt_flushed(&pt);
    assert_int_equal(pt_protect(&pt, MIB(2), MIB(4), RW), 0);
    assert_int_equal(pt_protect(&pt, MIB(16), MIB(4), PT_READ), 0); /* nothing there */
    assert_false(pt.is_stale);
    assert_int_equal(pt_protect(&pt, MIB(2), MIB(4), PT_READ), 0);
    assert_true(pt.is_stale);
    pt_flushed(&pt);
    assert_false(pt.is_stale);
    assert_int_equal(pt_unmap(&pt, MIB(4), MIB(2)), 0);
    assert_true(pt.is_stale);
}

static void maps_nothing_over_what_is_there(void **state)
{
    (void)state;
    map(MIB(5), GIB(1) + MIB(1), KIB(4), RW);
    assert_int_equal(pt_map(&pt, 0, HPA(GIB(2)), MIB(16), RW), -EEXIST);
    assert_int_equal(pt_map(&pt, MIB(5), HPA(GIB(1) + MIB(1)), KIB(4), RW), -EEXIST);
    assert_int_equal(size_at(0), 0);
    assert_int_equal(size_at(MIB(5) - 1), 0);
    assert_int_equal(size_at(MIB(6)), 0);
    expect_mapped(MIB(5), GIB(1) + MIB(1), RW);
    assert_false(pt.is_stale);
    assert_int_equal(pt.table_pages, 4);
}

static void refuses_what_cannot_be_expressed(void **state)
{
    (void)state;
    assert_int_equal(pt_map(&pt, 0, HPA(0), 0, RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 1, HPA(0), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(8), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(0), KIB(4) + 1, RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(0), KIB(4), PT_WRITE), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(BIT(52)), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(BIT(52) - KIB(4)), KIB(8), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, BIT(48), HPA(0), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, 0, HPA(0), BIT(48) + KIB(4), RW), -EINVAL);
    assert_int_equal(pt_unmap(&pt, BIT(48), KIB(4)), -EINVAL);
    assert_int_equal(pt_protect(&pt, BIT(48), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_protect(&pt, 0, KIB(4), PT_EXEC), -EINVAL);
    assert_int_equal(pt.table_pages, 1);
}

static void knows_the_canonical_hole(void **state)
{
    uint64_t direct_map = 0xffff800000000000, image = 0xffffffff80000000,
             top = ~UINT64_C(0) - KIB(4) + 1;
    struct pt_mapping m;

    (void)state;
    map(direct_map, 0, GIB(4), RW | PT_GLOBAL);
    map(image, MIB(2), MIB(4), RWX);
    map(top, MIB(64), KIB(4), PT_READ | PT_USER);
    expect_mapped(direct_map + 0x123456789 % GIB(4), 0x123456789 % GIB(4), RW | PT_GLOBAL);
    expect_mapped(image + KIB(4), MIB(2) + KIB(4), RWX);
    assert_true(pt_lookup(&pt, top + 5, &m));
    assert_int_equal(m.virt, top);
    assert_int_equal(m.attributes, PT_READ | PT_USER);
    assert_false(pt_lookup(&pt, direct_map & ~(UINT64_C(0xffff) << 48), &m));
    assert_int_equal(pt_map(&pt, BIT(47), HPA(0), KIB(4), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, BIT(47) - KIB(4), HPA(0), KIB(8), RW), -EINVAL);
    assert_int_equal(pt_map(&pt, top, HPA(0), KIB(8), RW), -EINVAL);
    assert_int_equal(pt_unmap(&pt, direct_map, BIT(47)), 0);
    assert_false(pt_lookup(&pt, top, &m));
}

static int collect(const struct pt_mapping *page, void *context)
{
    struct pt_mapping **next = context;

    *(*next)++ = *page;
    return (*next)[-1].size == GIB(1) ? 77 : 0;
}

static void visits_every_page(void **state)
{
    struct pt_mapping pages[4], *next = pages;
    uint64_t high = is_ept ? GIB(1024) : 0xffff800000000000;

    (void)state;
    map(MIB(2), GIB(1), MIB(2) + KIB(4), RW);
    map(high, GIB(3), GIB(2), PT_READ | PT_EXEC);
    assert_int_equal(pt_visit(&pt, collect, &next), 77);
    assert_int_equal(next - pages, 3);
    assert_int_equal(pages[0].virt, MIB(2));
    assert_int_equal(pages[0].size, MIB(2));
    assert_int_equal(pages[1].hpa.value, GIB(1) + MIB(2));
    assert_int_equal(pages[1].size, KIB(4));
    assert_int_equal(pages[2].virt, high);
    assert_int_equal(pages[2].attributes, PT_READ | PT_EXEC);
}

static void a_merged_table_goes_on_translating_until_the_flush(void **state)
{
    uint64_t *entry, stale, merged;

    (void)state;
    map(MIB(2), MIB(512), MIB(2), RW);
    assert_int_equal(pt_protect(&pt, MIB(2), KIB(4), PT_READ), 0);
    pt_flushed(&pt);
    entry = phys_to_virt(HPA(*(uint64_t *)phys_to_virt(pt.root) & 0xffffffffff000));
    entry = (uint64_t *)phys_to_virt(HPA(entry[0] & 0xffffffffff000)) + 1;
    stale = *entry; /* as a paging-structure cache holds it */
    assert_int_equal(pt_protect(&pt, MIB(2), KIB(4), RW), 0);
    merged = *entry;
    assert_true(merged & 0x80);
    *entry = stale;
    for (uint64_t at = MIB(2); at < MIB(4); at += KIB(4))
        assert_true(same(hardware_walk(is_ept, pt.root, at), asked_for(MIB(510) + at, RW)));
    *entry = merged;
}

static void a_map_that_fails_leaves_no_tables(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        allocs_left = n;
        assert_int_equal(pt_map(&pt, GIB(1), HPA(GIB(1)), KIB(8), RW), -ENOMEM);
        assert_int_equal(size_at(GIB(1)), 0);
        pt_flushed(&pt);
        assert_int_equal(pt.table_pages, 1);
    }
    allocs_left = 4; /* enough for 4 KiB pages on one side, not on the other */
    assert_int_equal(pt_map(&pt, GIB(1) - KIB(4), HPA(GIB(3) - KIB(4)), KIB(8), RW), -ENOMEM);
    assert_int_equal(size_at(GIB(1) - KIB(4)), 0);
    assert_true(pt.is_stale); /* hardware may have seen it */
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 1);
}

static void a_split_that_fails_is_undone(void **state)
{
    (void)state;
    map(GIB(1), GIB(4), GIB(1), RW);
    for (unsigned n = 0; n < 3; n++) { /* two tables for one edge, one more for the other */
        allocs_left = n;
        assert_int_equal(pt_protect(&pt, GIB(1) + MIB(1), MIB(2), PT_READ), -ENOMEM);
        assert_int_equal(size_at(GIB(1)), GIB(1));
        allocs_left = n;
        assert_int_equal(pt_unmap(&pt, GIB(1) + MIB(1), MIB(2)), -ENOMEM);
        assert_int_equal(size_at(GIB(1)), GIB(1));
        pt_flushed(&pt);
        assert_int_equal(pt.table_pages, 2);
    }
    expect_mapped(GIB(1) + MIB(1), GIB(4) + MIB(1), RW);
}

static void fails_without_memory_for_the_root(void **state)
{
    struct pt other;

    (void)state;
    allocs_left = 0;
    assert_int_equal(pt_create(&other, pt.format, &table_memory, ALL_LEAVES), -ENOMEM);
}

static void lives_in_the_page_allocator(void **state)
{
    struct pt own;
    uint64_t before = free_pages();

    (void)state;
    assert_int_equal(pt_create(&own, pt.format, &pt_host_memory, ALL_LEAVES), 0);
    assert_int_equal(pt_map(&own, MIB(2), HPA(MIB(2)), KIB(4), RW), 0);
    assert_int_equal(free_pages(), before - 4);
    assert_true(hardware_walk(is_ept, own.root, MIB(2)).present);
    pt_destroy(&own);
    assert_int_equal(free_pages(), before);
}

/* --- a random life beside a model, with every store watched --- */

#define MODEL_START (GIB(1) - MIB(3))
#define MODEL_PAGES 2560u /* 10 MiB around a 1 GiB boundary */

static struct translation model[MODEL_PAGES], model_before[MODEL_PAGES];

static uint64_t page_virt(unsigned page)
{
    return MODEL_START + page * PAGE_SIZE;
}

static void watch_a_few(void)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned page = (unsigned)rand() % MODEL_PAGES;
        struct translation t = hardware_walk(is_ept, pt.root, page_virt(page));

        assert_true(same(t, model[page]) || same(t, model_before[page]));
    }
}

static void compare_all(const struct translation *expected)
{
    for (unsigned page = 0; page < MODEL_PAGES; page++)
        assert_true(same(hardware_walk(is_ept, pt.root, page_virt(page)), expected[page]));
}

static bool model_has(unsigned page, unsigned count)
{
    for (unsigned i = page; i < page + count; i++)
        if (model[i].present)
            return true;
    return false;
}

enum edit { MAP, UNMAP, PROTECT, EDITS };

/* What the model says to the edit; model becomes what is to come. */
static int model_edit(enum edit edit, unsigned page, unsigned count, uint64_t hpa,
                      unsigned attributes)
{
    if (edit == MAP && model_has(page, count))
        return -EEXIST;
    for (unsigned i = 0; i < count; i++) {
        struct translation *t = &model[page + i];

        if (edit == MAP)
            *t = asked_for(hpa + i * PAGE_SIZE, attributes);
        else if (edit == UNMAP)
            t->present = false;
        else if (t->present)
            *t = asked_for(t->hpa, attributes);
    }
    return 0;
}

static int pt_edit(enum edit edit, unsigned page, unsigned count, uint64_t hpa, unsigned attributes)
{
    switch (edit) {
    case MAP:
        return pt_map(&pt, page_virt(page), HPA(hpa), count * PAGE_SIZE, attributes);
    case UNMAP:
        return pt_unmap(&pt, page_virt(page), count * PAGE_SIZE);
    default:
        return pt_protect(&pt, page_virt(page), count * PAGE_SIZE, attributes);
    }
}

static void nothing_present_changed(void)
{
    for (unsigned page = 0; page < MODEL_PAGES; page++)
        assert_true(!model_before[page].present || same(model_before[page], model[page]));
}

/* Half of the edits begin and end where large pages do. */
static void choose_range(unsigned *page, unsigned *count)
{
    *page = (unsigned)rand() % MODEL_PAGES;
    *count = 1 + (unsigned)rand() % (rand() % 2 ? 8 : MODEL_PAGES);
    if (rand() % 2) {
        *page = ALIGN_DOWN(*page, 256u);
        *count = ALIGN_UP(*count, 256u);
    }
    *count = MIN(*count, MODEL_PAGES - *page);
}

static void random_edit(void)
{
    static const unsigned attributes[] = {PT_READ, RW, RWX, RW | PT_UNCACHED};
    unsigned page, count, chosen = attributes[rand() % 4];
    enum edit edit = (enum edit)(rand() % EDITS);
    uint64_t hpa;
    int expected, result;

    choose_range(&page, &count);
    hpa = GIB(3) + page_virt(page) + (rand() % 4 ? 0 : KIB(4)); /* mostly fit for large pages */
    memcpy(model_before, model, sizeof model);
    expected = model_edit(edit, page, count, hpa, chosen);
    allocs_left = rand() % 3 ? NEVER : (unsigned)rand() % 4;
    after_store = watch_a_few;
    result = pt_edit(edit, page, count, hpa, chosen);
    after_store = NULL;
    assert_true(result == expected || (result == -ENOMEM && allocs_left == 0));
    if (result)
        memcpy(model, model_before, sizeof model);
    if (!pt.is_stale)
        nothing_present_changed();
    compare_all(model);
    if (rand() % 2)
        pt_flushed(&pt);
}

static void survives_a_random_life(void **state)
{
    (void)state;
    srand(3);
    memset(model, 0, sizeof model);
    for (unsigned round = 0; round < 1500; round++)
        random_edit();
    pt_flushed(&pt);
    assert_true(pt.table_pages <= 1 + 1 + 2 + 6);
    assert_int_equal(pages_at_start - free_pages(), pt.table_pages);
    allocs_left = NEVER;
    assert_int_equal(pt_unmap(&pt, MODEL_START, MODEL_PAGES * PAGE_SIZE), 0);
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 1);
}

#define BOTH(test)                                         \
    {#test " (host)", test, set_up_host, tear_down, NULL}, \
    {                                                      \
#test " (EPT)", test, set_up_ept, tear_down, NULL  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(nothing_is_mapped_at_first),
        BOTH(maps_in_the_largest_pages_that_fit),
        BOTH(alignment_of_both_sides_counts),
        BOTH(uses_only_the_page_sizes_that_the_cpu_has),
        BOTH(splits_and_merges_again),
        BOTH(small_maps_grow_together),
        BOTH(what_differs_does_not_merge),
        BOTH(unmapping_frees_tables),
        BOTH(unmapping_a_part_keeps_the_rest),
        BOTH(says_exactly_when_to_flush),
        BOTH(maps_nothing_over_what_is_there),
        BOTH(refuses_what_cannot_be_expressed),
        cmocka_unit_test_setup_teardown(knows_the_canonical_hole, set_up_host, tear_down),
        BOTH(visits_every_page),
        BOTH(a_merged_table_goes_on_translating_until_the_flush),
        BOTH(a_map_that_fails_leaves_no_tables),
        BOTH(a_split_that_fails_is_undone),
        BOTH(fails_without_memory_for_the_root),
        BOTH(lives_in_the_page_allocator),
        BOTH(survives_a_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
