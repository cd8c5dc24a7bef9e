/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each entry has exactly the bits that the manual gives it (a nested walk is a user's one: without U/S every
 * access would fault), and reads back as what it was made from.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/svm/npt.h"

#define RW (PT_READ | PT_WRITE)

static void entries_are_as_in_the_manual(void **state)
{
    static const struct {
        unsigned level, attributes;
        uint64_t page, entry;
    } cases[] = {
        {1, PT_READ | PT_EXEC, 0x1000, 0x1000 | 0x65},
        {1, RW | PT_EXEC, 0xffffffffff000, 0xffffffffff000 | 0x67},
        {1, RW, 0, BIT(63) | 0x67},
        {2, RW | PT_EXEC, 0x200000, 0x200000 | 0xe7},
        {3, PT_READ | PT_EXEC, 0x40000000, 0x40000000 | 0xe5},
        /* Entry 3 of the PAT is UC. */
        {1, RW | PT_EXEC | PT_UNCACHED, 0xfee00000, 0xfee00000 | 0x7f},
        /* What NPT has no word for is left out: every page is a user's, none is global. */
        {1, PT_READ | PT_EXEC | PT_USER | PT_GLOBAL, 0, 0x65},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t entry = npt_format.encode_leaf(cases[i].level, HPA(cases[i].page), cases[i].attributes);

        assert_int_equal(entry, cases[i].entry);
        assert_true(npt_format.is_present(entry));
        assert_true(npt_format.is_leaf(cases[i].level, entry));
        assert_int_equal(npt_format.address(cases[i].level, entry).value, cases[i].page);
        assert_int_equal(npt_format.attributes(cases[i].level, entry), cases[i].attributes & ~(PT_USER | PT_GLOBAL));
    }
}

static void tables_allow_everything(void **state)
{
    uint64_t entry = npt_format.encode_table(HPA(0x123000));

    (void)state;
    assert_int_equal(entry, 0x123027);
    assert_true(npt_format.is_present(entry));
    for (unsigned level = 2; level <= 4; level++) {
        assert_false(npt_format.is_leaf(level, entry));
        assert_int_equal(npt_format.address(level, entry).value, 0x123000);
    }
}

static void what_hardware_marks_changes_nothing(void **state)
{
    uint64_t entry = npt_format.encode_leaf(1, HPA(0x5000), RW) & ~(PTE_A | PTE_D);

    (void)state;
    assert_int_equal(npt_format.address(1, entry).value, 0x5000);
    assert_int_equal(npt_format.attributes(1, entry), RW);
    assert_false(npt_format.is_present(PTE_A | PTE_D));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_as_in_the_manual),
        cmocka_unit_test(tables_allow_everything),
        cmocka_unit_test(what_hardware_marks_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
