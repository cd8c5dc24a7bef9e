/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the table is sorted, without overlaps and complete in itself, for the look-up bisects it
 * and the engine makes its bitmap of it; what has no row, or no handler, is #GP and changes
 * nothing; the two views of the TSC stay coherent. No index and no value crash anything.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

/* --- the table --- */

static void test_the_table_is_sorted_and_has_no_overlaps(void **state)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        assert_true(rows[i].index <= rows[i].last);
        assert_non_null(rows[i].name);
        if (i > 0)
            assert_true(rows[i - 1].last < rows[i].index);
    }
}

static void test_every_row_does_something(void **state)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    for (unsigned i = 0; i < count; i++)
        assert_true(rows[i].flags || rows[i].read || rows[i].write);
}

/* What passes must lie where the engine's bitmap reaches: SDM 3C, "MSR-Bitmap Address". */
static void test_what_passes_is_in_the_bitmaps_range(void **state)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    for (unsigned i = 0; i < count; i++)
        if (rows[i].flags)
            assert_true(rows[i].last <= 0x1fff ||
                        (rows[i].index >= 0xc0000000 && rows[i].last <= 0xc0001fff));
}

/* Each would let a guest change the machine, or learn of it. */
static void test_the_hosts_own_registers_do_not_pass(void **state)
{
    static const uint32_t own[] = {
        MSR_IA32_APIC_BASE,     MSR_IA32_FEATURE_CONTROL, MSR_IA32_BIOS_UPDT_TRIG,
        MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_TSC_DEADLINE,    MSR_IA32_MISC_ENABLE,
        MSR_IA32_XSS,           MSR_IA32_DEBUGCTL,        MSR_IA32_TSC_ADJUST,
        MSR_IA32_X2APIC_FIRST};
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    for (unsigned i = 0; i < count; i++)
        for (unsigned n = 0; n < ARRAY_SIZE(own); n++)
            if (rows[i].index <= own[n] && own[n] <= rows[i].last)
                assert_int_equal(rows[i].flags, 0);
}

/* --- the look-up --- */

static bool has_row(uint32_t index, bool is_write)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    for (unsigned i = 0; i < count; i++)
        if (rows[i].index <= index && index <= rows[i].last)
            return is_write ? rows[i].write != NULL : rows[i].read != NULL;
    return false;
}

/* Every index that is near a table's, against a linear search; the values are hostile. */
static void try_range(uint32_t first, uint32_t last)
{
    static const uint64_t values[] = {0, 1, 0xfee00900, UINT64_MAX, BIT(63), 0x0606060606060606};

    for (uint32_t index = first; index <= last; index++) {
        uint64_t value = 0x5a5a;

        if (!has_row(index, false))
            assert_false(msr_read(vcpu, index, &value));
        else
            (void)msr_read(vcpu, index, &value);
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
            bool is_done = msr_write(vcpu, index, values[i]);

            if (!has_row(index, true))
                assert_false(is_done);
        }
    }
}

static void test_every_index_and_hostile_values(void **state)
{
    (void)state;
    try_range(0, 0x1fff);
    try_range(0x4b564d00 - 16, 0x4b564d00 + 16);
    try_range(0xc0000000, 0xc00001ff);
    try_range(0xfffffff0, 0xfffffffe);
}

static void test_what_has_no_row_is_refused(void **state)
{
    static const uint32_t unknown[] = {
        0x02,  0x48,  0x49,       0x10a,      0x3a0 /* nothing */, 0x480 /* VMX */,
        0xda0, 0x251, 0xc0010000, 0x40000000, UINT32_MAX};
    uint64_t value = 0x5a;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        assert_false(msr_read(vcpu, unknown[i], &value));
        assert_int_equal(value, 0x5a);
        assert_false(msr_write(vcpu, unknown[i], 0));
    }
}

/* --- rows with a meaning --- */

static uint64_t read_msr(uint32_t index)
{
    uint64_t value;

    assert_true(msr_read(vcpu, index, &value));
    return value;
}

static void test_constants(void **state)
{
    (void)state;
    assert_int_equal(read_msr(MSR_IA32_FEATURE_CONTROL), FEATURE_CONTROL_LOCK);
    assert_int_equal(read_msr(MSR_IA32_MTRRCAP), 0x508);
    assert_int_equal(read_msr(MSR_IA32_MCG_CAP), 0);
    assert_false(msr_write(vcpu, MSR_IA32_FEATURE_CONTROL, 5));
    assert_true(msr_write(vcpu, MSR_IA32_DEBUGCTL, 0));
    assert_false(msr_write(vcpu, MSR_IA32_DEBUGCTL, 1));
    assert_true(msr_write(vcpu, MSR_IA32_MISC_ENABLE, 0));
    assert_int_equal(read_msr(MSR_IA32_MISC_ENABLE), 1);
}

/* One that no other has. */
static uint64_t good_mtrr(uint32_t index)
{
    uint64_t types = 0;

    if (index <= MSR_IA32_MTRR_PHYSMASK7)
        return (uint64_t)index << PAGE_SHIFT | (index & 1 ? MTRR_PHYSMASK_V : MTRR_TYPE_WB);
    if (index == MSR_IA32_MTRR_DEF_TYPE)
        return MTRR_DEF_TYPE_E | MTRR_TYPE_WB;
    for (unsigned i = 0; i < 8; i++)
        types |= (uint64_t)(index >> i & 1 ? MTRR_TYPE_WB : 1) << 8 * i;
    return types;
}

static void test_each_mtrr_remembers_its_own_value(void **state)
{
    uint32_t mtrrs[32];
    unsigned count = 0;

    (void)state;
    for (uint32_t index = 0x200; index <= 0x2ff; index++)
        if (index != MSR_IA32_PAT && msr_write(vcpu, index, good_mtrr(index)))
            mtrrs[count++] = index;
    assert_int_equal(count, 16 + 11 + 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(read_msr(mtrrs[i]), good_mtrr(mtrrs[i]));
}

static void test_mtrrs_refuse_types_and_bits_that_are_not_there(void **state)
{
    static const struct {
        uint32_t index;
        uint64_t value;
        bool is_good;
    } writes[] = {
        {MSR_IA32_MTRR_PHYSBASE0, 2, false},
        {MSR_IA32_MTRR_PHYSBASE0, 7, false},
        {MSR_IA32_MTRR_PHYSBASE0, 0x106, false},
        {MSR_IA32_MTRR_PHYSBASE0, BIT(FAKE_VCPU_ADDRESS_BITS) | 6, false},
        {MSR_IA32_MTRR_PHYSBASE0, (BIT(FAKE_VCPU_ADDRESS_BITS) - PAGE_SIZE) | 6, true},
        {MSR_IA32_MTRR_PHYSMASK7, BIT(10), false},
        {MSR_IA32_MTRR_PHYSMASK7, BIT(FAKE_VCPU_ADDRESS_BITS), false},
        {MSR_IA32_MTRR_PHYSMASK7, BIT(11), true},
        {MSR_IA32_MTRR_FIX64K_00000, 0x0606060606060606, true},
        {MSR_IA32_MTRR_FIX64K_00000, 0x0306060606060606, false},
        {MSR_IA32_MTRR_FIX64K_00000, 0x0606060606060647, false},
        {MSR_IA32_MTRR_DEF_TYPE, 0xc06, true},
        {MSR_IA32_MTRR_DEF_TYPE, 0x1c06, false},
        {MSR_IA32_MTRR_DEF_TYPE, 0xc03, false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
        assert_int_equal(msr_write(vcpu, writes[i].index, writes[i].value), writes[i].is_good);
}

/* SDM 3B, "IA32_TSC_ADJUST Register Support" */
static void test_the_tsc_and_its_adjustment_move_together(void **state)
{
    (void)state;
    fake_clock = 5000;
    assert_int_equal(read_msr(MSR_IA32_TIME_STAMP_COUNTER), 5000);
    assert_true(msr_write(vcpu, MSR_IA32_TIME_STAMP_COUNTER, 100));
    assert_int_equal(read_msr(MSR_IA32_TSC_ADJUST), -4900ull);
    assert_int_equal(f.registers[VCPU_TSC_OFFSET], -4900ull);
    fake_clock += 10;
    assert_int_equal(read_msr(MSR_IA32_TIME_STAMP_COUNTER), 110);
    assert_true(msr_write(vcpu, MSR_IA32_TSC_ADJUST, 0));
    assert_int_equal(read_msr(MSR_IA32_TIME_STAMP_COUNTER), 5010);
    assert_true(msr_write(vcpu, MSR_IA32_TSC_ADJUST, 1000));
    assert_int_equal(read_msr(MSR_IA32_TIME_STAMP_COUNTER), 6010);
    assert_int_equal(f.registers[VCPU_TSC_OFFSET], 1000);
    assert_int_equal(vcpu->lapic->tsc_offset, 1000);
}

static void test_the_apics_mode(void **state)
{
    uint64_t base = read_msr(MSR_IA32_APIC_BASE), value;

    (void)state;
    assert_false(msr_read(vcpu, MSR_IA32_X2APIC_FIRST + 2, &value)); /* not in x2APIC mode yet */
    assert_false(msr_write(vcpu, MSR_IA32_APIC_BASE, base + PAGE_SIZE));
    assert_int_equal(f.mode_changes, 0);
    assert_true(msr_write(vcpu, MSR_IA32_APIC_BASE, base | APIC_BASE_EXTD));
    assert_int_equal(f.mode_changes, 1);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_int_equal(read_msr(MSR_IA32_X2APIC_FIRST + 2), 0);
    assert_int_equal(read_msr(MSR_IA32_APIC_BASE), base | APIC_BASE_EXTD);
}

static void test_the_deadline_timer(void **state)
{
    (void)state;
    assert_true(msr_write(vcpu, MSR_IA32_TSC_DEADLINE, 1000)); /* in another mode: swallowed */
    assert_int_equal(read_msr(MSR_IA32_TSC_DEADLINE), 0);
    lapic_mmio_ops.write(vcpu->lapic, APIC_LVT_TIMER, 4, APIC_LVT_TIMER_TSC_DEADLINE | 0x40);
    assert_true(msr_write(vcpu, MSR_IA32_TSC_DEADLINE, 1000));
    assert_int_equal(read_msr(MSR_IA32_TSC_DEADLINE), 1000);
    timer_cancel(&vcpu->lapic->timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_table_is_sorted_and_has_no_overlaps, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_row_does_something, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_passes_is_in_the_bitmaps_range, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_hosts_own_registers_do_not_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_index_and_hostile_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_has_no_row_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_constants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_mtrr_remembers_its_own_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mtrrs_refuse_types_and_bits_that_are_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_tsc_and_its_adjustment_move_together, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_apics_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_deadline_timer, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
