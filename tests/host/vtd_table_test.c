/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each entry has exactly the bits that the specification gives it (a wrong one is a fault
 * on hardware, or a hole), and reads back as what it was made from.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/vtd/vtd_table.h"

#define RW (PT_READ | PT_WRITE)

static void second_level_entries(void **state)
{
    static const struct {
        unsigned level, attributes;
        uint64_t page, entry;
    } cases[] = {
        {1, PT_READ, 0x1000, 0x1001},
        {1, RW, 0xffffffffff000, 0xffffffffff003},
        {2, RW, 0x200000, 0x200083},
        {3, PT_READ, 0x40000000, 0x40000081},
        /* What a device has no use for is left out. */
        {1, RW | PT_EXEC | PT_USER | PT_GLOBAL | PT_UNCACHED, 0, 3},
    };

    (void)state;
    for (unsigned levels = VTD_LEVELS_MIN; levels <= VTD_LEVELS_MAX; levels++) {
        const struct pt_format *f = vtd_format(levels);

        assert_int_equal(f->levels, levels);
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            uint64_t entry =
                f->encode_leaf(cases[i].level, HPA(cases[i].page), cases[i].attributes);

            assert_int_equal(entry, cases[i].entry);
            assert_true(f->is_present(entry) && f->is_leaf(cases[i].level, entry));
            assert_int_equal(f->address(cases[i].level, entry).value, cases[i].page);
            assert_int_equal(f->attributes(cases[i].level, entry), cases[i].attributes & RW);
        }
    }
}

static void tables_of_tables(void **state)
{
    const struct pt_format *f = vtd_format(4);
    uint64_t entry = f->encode_table(HPA(0x123000));

    (void)state;
    assert_int_equal(entry, 0x123003); /* bit 11 and the others are reserved */
    for (unsigned level = 2; level <= 4; level++)
        assert_false(f->is_leaf(level, entry));
    assert_false(f->is_present(0));
    expect_panic(vtd_format(5));
    expect_panic(vtd_format(2));
}

static void root_and_context_entries(void **state)
{
    struct vtd_entry e = vtd_root_entry(HPA(0x7654321000));

    (void)state;
    assert_int_equal(e.low, 0x7654321001);
    assert_int_equal(e.high, 0);
    e = vtd_context_entry(IOMMU_TRANSLATED, HPA(0x7654321000), 4, 0xabcd);
    assert_int_equal(e.low, 0x7654321001);
    assert_int_equal(e.high, 0xabcd02);
    assert_int_equal(vtd_context_levels(&e), 4);
    e = vtd_context_entry(IOMMU_TRANSLATED, HPA(0x1000), 3, 1);
    assert_int_equal(e.high, 0x101);
    e = vtd_context_entry(IOMMU_PASS_THROUGH, HPA(0x1000), 4, 7);
    assert_int_equal(e.low, 9); /* the address is reserved */
    assert_int_equal(e.high, 0x702);
}

static void interrupt_entries(void **state)
{
    struct iommu_route edge = {0x12, 0x45, false}, level = {0x12345678, 0xfe, true};
    struct vtd_entry e = vtd_irte(&edge, 0x00f8, false);

    (void)state;
    assert_int_equal(e.low, 0x0000120000450001);
    assert_int_equal(e.high, 0x400f8);
    e = vtd_irte(&level, 0xffff, true);
    assert_int_equal(e.low, 0x1234567800fe0011);
    assert_int_equal(e.high, 0x4ffff);
}

static void messages(void **state)
{
    struct iommu_message m = vtd_message(0x1234, 3);
    struct iommu_route route = {1, 0x30, true};

    (void)state;
    assert_int_equal(m.address, 0xfee00000 | 0x1234 << 5 | 0x18);
    assert_int_equal(m.data, 3);
    m = vtd_message(0x8001, 0);
    assert_int_equal(m.address, 0xfee00000 | 1 << 5 | 0x1c);
    assert_int_equal(vtd_redirection_entry(0x8001, &route), UINT64_C(0x0003000000008830));
    route.is_level = false;
    assert_int_equal(vtd_redirection_entry(2, &route), UINT64_C(0x0005000000000030));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_level_entries),
        cmocka_unit_test(tables_of_tables),
        cmocka_unit_test(root_and_context_entries),
        cmocka_unit_test(interrupt_entries),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
