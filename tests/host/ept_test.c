/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each entry has exactly the bits that the manual gives it (a wrong one is an EPT
 * misconfiguration on hardware), and reads back as what it was made from.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/vmx/ept.h"

#define RW (PT_READ | PT_WRITE)

static void entries_are_as_in_the_manual(void **state)
{
    static const struct {
        unsigned level, attributes;
        uint64_t page, entry;
    } cases[] = {
        /* RAM: write-back (6), the guest's PAT ignored. */
        {1, PT_READ, 0x1000, 0x1000 | 0x71},
        {1, RW, 0xffffffffff000, 0xffffffffff000 | 0x73},
        {1, RW | PT_EXEC, 0, 0x77},
        {2, RW | PT_EXEC, 0x200000, 0x200000 | 0xf7},
        {3, PT_READ | PT_EXEC, 0x40000000, 0x40000000 | 0xf5},
        /* Devices: uncacheable (0), the guest's PAT may make them write-combining. */
        {1, RW | PT_UNCACHED, 0xfee00000, 0xfee00000 | 0x03},
        {2, RW | PT_UNCACHED, 0xfee00000, 0xfee00000 | 0x83},
        /* What EPT has no word for is left out. */
        {1, PT_READ | PT_USER | PT_GLOBAL, 0, 0x71},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t entry =
            ept_format.encode_leaf(cases[i].level, HPA(cases[i].page), cases[i].attributes);

        assert_int_equal(entry, cases[i].entry);
        assert_true(ept_format.is_present(entry));
        assert_true(ept_format.is_leaf(cases[i].level, entry));
        assert_int_equal(ept_format.address(cases[i].level, entry).value, cases[i].page);
        assert_int_equal(ept_format.attributes(cases[i].level, entry),
                         cases[i].attributes & ~(PT_USER | PT_GLOBAL));
    }
}

static void tables_allow_everything(void **state)
{
    uint64_t entry = ept_format.encode_table(HPA(0x123000));

    (void)state;
    assert_int_equal(entry, 0x123007); /* bits 7:3 are reserved */
    assert_true(ept_format.is_present(entry));
    for (unsigned level = 2; level <= 4; level++) {
        assert_false(ept_format.is_leaf(level, entry));
        assert_int_equal(ept_format.address(level, entry).value, 0x123000);
    }
}

static void what_hardware_marks_changes_nothing(void **state)
{
    uint64_t marks = BIT(8) | BIT(9); /* accessed, dirty */
    uint64_t entry = ept_format.encode_leaf(1, HPA(0x5000), RW);

    (void)state;
    assert_int_equal(ept_format.address(1, entry | marks).value, 0x5000);
    assert_int_equal(ept_format.attributes(1, entry | marks), RW);
    assert_false(ept_format.is_present(marks));
}

static void the_pointer_has_type_length_and_root(void **state)
{
    (void)state;
    assert_int_equal(ept_pointer(HPA(0x7654321000), false), 0x765432101e);
    assert_int_equal(ept_pointer(HPA(0x7654321000), true), 0x765432105e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_as_in_the_manual),
        cmocka_unit_test(tables_allow_everything),
        cmocka_unit_test(what_hardware_marks_changes_nothing),
        cmocka_unit_test(the_pointer_has_type_length_and_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
