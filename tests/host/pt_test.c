/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a map, a change or an unmap does what was asked for, in the largest pages that fit, and says when hardware must
 * forget; what fails has changed nothing; nothing leaks.
 */
#include "tests/host/fake/pt_rig.h"
#include "arch/arch.h"
#include "kernel/lib/errno.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
