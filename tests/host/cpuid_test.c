/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: for any number of vCPUs the leaves that describe the topology tell one story: one package of so many cores,
 * APIC ID = number; and a guest is offered of KVM's features what has a use for it. Leaves that nobody knows
 * answer as the manual says.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/cpuid.h"

static const unsigned counts[] = {1, 2, 3, 4, 5, 8, 16, 17, 33, 63, 64};

static struct guest_cpuid table;

static const struct cpuid_result *find(uint32_t leaf, uint32_t subleaf)
{
    return guest_cpuid_find(&table, leaf, subleaf);
}

/* What a package of so many cores reserves of the APIC ID. */
static unsigned bits_of(unsigned count)
{
    unsigned bits = 0;

    while (1u << bits < count)
        bits++;
    return bits;
}

static void assert_topology(unsigned id, unsigned count)
{
    const struct cpuid_result *one = find(1, 0), *smt = find(0xb, 0), *core = find(0xb, 1), *end = find(0xb, 2);
    unsigned bits = bits_of(count);

    assert_int_equal(one->ebx >> 24, id);
    assert_int_equal(one->ebx >> 16 & 0xff, 1u << bits);
    assert_int_equal(one->edx >> 28 & 1, count > 1);
    assert_int_equal(smt->eax, 0);
    assert_int_equal(smt->ebx, 1);
    assert_int_equal(smt->ecx, 1 << 8 | 0);
    assert_int_equal(core->eax, bits);
    assert_int_equal(core->ebx, count);
    assert_int_equal(core->ecx, 2 << 8 | 1);
    assert_int_equal(end->ebx, 0);
    assert_int_equal(end->ecx, 2);
    assert_true(smt->edx == id && core->edx == id && end->edx == id);
    assert_int_equal(find(0x80000008, 0)->ecx & 0xff, count - 1);
    assert_int_equal(find(0x80000008, 0)->ecx >> 12, bits);
    assert_true(id >> bits == 0); /* one package */
}

static void assert_caches(unsigned count)
{
    uint32_t last_id = (1u << bits_of(count)) - 1;

    for (uint32_t i = 0; i < 4; i++) {
        uint32_t eax = find(4, i)->eax;

        if ((eax & 0x1f) == 0)
            continue;
        assert_int_equal(eax >> 26, last_id);
        assert_int_equal(eax >> 14 & 0xfff, (eax >> 5 & 7) == 3 ? last_id : 0);
    }
    assert_int_equal(find(4, 4)->eax, 0);
}

static void test_every_leaf_tells_the_same_topology(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        for (unsigned id = 0; id < counts[i]; id++) {
            guest_cpuid_init(&table, id, counts[i]);
            assert_topology(id, counts[i]);
            assert_caches(counts[i]);
        }
}

static void test_leaf_1fh_is_beyond_the_last(void **state)
{
    (void)state;
    guest_cpuid_init(&table, 0, 64);
    assert_true(find(0, 0)->eax < 0x1f);
    assert_memory_equal(find(0x1f, 1), find(find(0, 0)->eax, 1), sizeof(struct cpuid_result));
}

static void test_hints_need_somebody_to_be_spared(void **state)
{
    const uint32_t always = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 24;
    const uint32_t among_several = 1u << 7 | 1u << 9 | 1u << 11 | 1u << 13;

    (void)state;
    guest_cpuid_init(&table, 0, 1);
    assert_int_equal(find(0x40000001, 0)->eax, always);
    guest_cpuid_init(&table, 1, 2);
    assert_int_equal(find(0x40000001, 0)->eax, always | among_several);
    assert_int_equal(find(0x40000001, 0)->edx, 0);
    assert_memory_equal(&find(0x40000000, 0)->ebx, "KVMK", 4);
}

static void test_an_eoi_without_exit_is_offered_where_it_helps(void **state)
{
    (void)state;
    guest_cpuid_init(&table, 0, 1);
    assert_false(find(0x40000001, 0)->eax & 1u << 6);
    guest_cpuid_offer_pv_eoi(&table);
    assert_true(find(0x40000001, 0)->eax & 1u << 6);
}

static void test_unknown_leaves_are_empty(void **state)
{
    static const uint32_t unknown[] = {0x40000002, 0x400000ff, 0x40000101, 0x7ffffffe, 0x7fffffff};
    static const struct cpuid_result nothing;

    (void)state;
    guest_cpuid_init(&table, 0, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_memory_equal(find(unknown[i], 0), &nothing, sizeof nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_leaf_tells_the_same_topology),
        cmocka_unit_test(test_leaf_1fh_is_beyond_the_last),
        cmocka_unit_test(test_hints_need_somebody_to_be_spared),
        cmocka_unit_test(test_an_eoi_without_exit_is_offered_where_it_helps),
        cmocka_unit_test(test_unknown_leaves_are_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
