/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: each entry of our own page tables has exactly the bits that the manual gives it, and
 * reads back. */
#include "tests/host/fake/fake.h"
#include "arch/x86/paging_format.h"

#define RW (PT_READ | PT_WRITE)
#define XD UINT64_C(0x8000000000000000)

static void entries_are_as_in_the_manual(void **state)
{
    static const struct {
        unsigned level, attributes;
        uint64_t page, entry;
    } cases[] = {
        /* Present, accessed and dirty; what may not be executed says so. */
        {1, PT_READ, 0x1000, XD | 0x1061},
        {1, RW, 0xffffffffff000, XD | 0xffffffffff063},
        {1, PT_READ | PT_EXEC, 0x1000, 0x1061},
        {1, RW | PT_USER, 0x1000, XD | 0x1067},
        {1, RW | PT_GLOBAL, 0x1000, XD | 0x1163},
        {2, PT_READ | PT_EXEC | PT_GLOBAL, 0x200000, 0x2001e1},
        {3, RW, 0x40000000, XD | 0x400000e3},
        {1, RW | PT_UNCACHED, 0xfee00000, XD | 0xfee0007b},
        {2, RW | PT_UNCACHED, 0xfee00000, XD | 0xfee000fb},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t entry =
            paging_format.encode_leaf(cases[i].level, HPA(cases[i].page), cases[i].attributes);

        assert_int_equal(entry, cases[i].entry);
        assert_true(paging_format.is_present(entry));
        assert_true(paging_format.is_leaf(cases[i].level, entry));
        assert_int_equal(paging_format.address(cases[i].level, entry).value, cases[i].page);
        assert_int_equal(paging_format.attributes(cases[i].level, entry), cases[i].attributes);
    }
}

static void tables_allow_everything(void **state)
{
    uint64_t entry = paging_format.encode_table(HPA(0x123000));

    (void)state;
    assert_int_equal(entry, 0x123027);
    for (unsigned level = 2; level <= 4; level++) {
        assert_false(paging_format.is_leaf(level, entry));
        assert_int_equal(paging_format.address(level, entry).value, 0x123000);
    }
}

static void what_is_ignored_is_not_seen(void **state)
{
    uint64_t link = UINT64_C(0x1f) << paging_format.ignored_shift;
    uint64_t entry = paging_format.encode_leaf(1, HPA(0x5000), RW);

    (void)state;
    assert_int_equal(paging_format.address(1, entry | link).value, 0x5000);
    assert_int_equal(paging_format.attributes(1, entry | link), RW);
    assert_false(paging_format.is_present(link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_as_in_the_manual),
        cmocka_unit_test(tables_allow_everything),
        cmocka_unit_test(what_is_ignored_is_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
