/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the one page always holds a state that a local APIC could be in, whatever a guest, or the
 * CPU on its behalf, writes; and each mode shows exactly the registers that the manual gives it.
 */
#include "tests/host/fake/lapic_rig.h"

/* --- errors --- */

static void illegal_vectors_are_errors_not_interrupts(void **state)
{
    (void)state;
    write32(APIC_LVT_ERROR, 0xe0);
    assert_false(request(0x0f));
    assert_int_equal(read32(APIC_ESR), 0); /* not before it is written */
    take(0xe0);
    write32(APIC_ESR, 0xffffffff);
    assert_int_equal(read32(APIC_ESR), APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    write32(APIC_ESR, 0);
    assert_int_equal(read32(APIC_ESR), 0);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
    (void)state;
    write32(APIC_LVT_ERROR, 0x05);
    write32(APIC_ICR_LOW, 0x05);
    assert_int_equal(rig.sends, 0);
    write32(APIC_ESR, 0);
    assert_int_equal(read32(APIC_ESR),
                     APIC_ESR_SEND_ILLEGAL_VECTOR | APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
}

static void reserved_registers_are_errors(void **state)
{
    static const unsigned reserved[] = {0,     0x10,          0x40,  0x70,  APIC_APR,      APIC_RRD,
                                        0x290, APIC_LVT_CMCI, 0x3a0, 0x3d0, APIC_SELF_IPI, 0x400,
                                        0xff0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(reserved); i++) {
        assert_int_equal(read32(reserved[i]), 0);
        write32(APIC_ESR, 0);
        assert_int_equal(read32(APIC_ESR), APIC_ESR_ILLEGAL_REGISTER);
        write32(reserved[i], 0xffffffff);
        assert_int_equal(peek(reserved[i]), 0);
        write32(APIC_ESR, 0);
        assert_int_equal(read32(APIC_ESR), APIC_ESR_ILLEGAL_REGISTER);
        write32(APIC_ESR, 0);
    }
}

/* --- registers by MMIO --- */

static void only_bits_that_exist_are_stored(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t value;
    } rows[] = {
        {APIC_ID, 3u << 24},
        {APIC_VERSION, 0x01050014},
        {APIC_TPR, 0xff},
        {APIC_LDR, 0xff000000},
        {APIC_DFR, 0xffffffff},
        {APIC_ICR_HIGH, 0xff000000},
        {APIC_LVT_TIMER, 0x700ff},
        {APIC_LVT_THERMAL, 0x107ff},
        {APIC_LVT_PMC, 0x107ff},
        {APIC_LVT_LINT0, 0x1a7ff},
        {APIC_LVT_LINT1, 0x1a7ff},
        {APIC_LVT_ERROR, 0x100ff},
        {APIC_TIMER_DIVIDE, 0xb},
        {APIC_TIMER_CURRENT, 0},
        {APIC_IRR + 0x10, 0},
        {APIC_SVR, 0x13ff},
        {APIC_EOI, 0},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        write32(rows[i].offset, 0xffffffff);
        assert_int_equal(read32(rows[i].offset), rows[i].value);
    }
    write32(APIC_DFR, 0);
    assert_int_equal(read32(APIC_DFR), APIC_DFR_CLUSTER);
}

static void what_the_cpu_wrote_is_made_well_formed(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t value;
    } rows[] = {
        {APIC_ID, 3u << 24},
        {APIC_LDR, 0xff000000},
        {APIC_DFR, 0xffffffff},
        {APIC_LVT_TIMER, 0x700ff},
        {APIC_ESR, 0},
        {APIC_LVT_LINT0, 0x1a7ff},
        {APIC_TIMER_DIVIDE, 0xb},
        {APIC_TIMER_INITIAL, 0},
        {APIC_EOI, 0},
        {APIC_SVR, 0x13ff},
        {APIC_ICR_LOW, 0x000ccfff},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        poke(rows[i].offset, 0xffffffff);
        lapic_write_trapped(&lapic, rows[i].offset);
        assert_int_equal(peek(rows[i].offset), rows[i].value);
    }
    poke(APIC_VERSION, 1); /* the CPU lets nobody write these: nothing happens */
    lapic_write_trapped(&lapic, APIC_VERSION);
    lapic_write_trapped(&lapic, 0xffc);
    assert_int_equal(peek(APIC_VERSION), 1);
}

static void narrow_and_crooked_accesses_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(lapic_mmio_ops.read(&lapic, APIC_ID + 3, 1), 3);
    assert_int_equal(lapic_mmio_ops.read(&lapic, APIC_VERSION + 2, 2), 0x0105);
    assert_int_equal(lapic_mmio_ops.read(&lapic, APIC_VERSION + 2, 4), 0);
    assert_int_equal(lapic_mmio_ops.read(&lapic, APIC_DFR + 4, 4), 0);
    lapic_mmio_ops.write(&lapic, APIC_TPR, 1, 0x55);
    lapic_mmio_ops.write(&lapic, APIC_TPR + 4, 4, 0x55);
    lapic_mmio_ops.write(&lapic, APIC_TPR + 1, 2, 0x55);
    assert_int_equal(read32(APIC_TPR), 0);
    assert_int_equal(peek(APIC_TPR + 4), 0);
}

static void software_disable_masks_the_lvt_for_good(void **state)
{
    (void)state;
    for (unsigned offset = APIC_LVT_TIMER; offset <= APIC_LVT_ERROR; offset += 16)
        write32(offset, 0x40);
    assert_int_equal(read32(APIC_LVT_PMC), 0x40);
    write32(APIC_SVR, 0xff);
    for (unsigned offset = APIC_LVT_TIMER; offset <= APIC_LVT_ERROR; offset += 16) {
        assert_int_equal(read32(offset), APIC_LVT_MASKED | 0x40);
        write32(offset, 0x41);
        assert_int_equal(read32(offset), APIC_LVT_MASKED | 0x41);
    }
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    assert_int_equal(read32(APIC_LVT_PMC), APIC_LVT_MASKED | 0x41);
    assert_false(lapic_accepts_extint(&lapic));
}

/* --- modes --- */

static void only_legal_transitions(void **state)
{
    static const uint64_t modes[] = {0, APIC_BASE_EN, APIC_BASE_EN | APIC_BASE_EXTD,
                                     APIC_BASE_EXTD};
    static const bool legal[3][4] = {
        {true, true, false, false},
        {true, true, true, false},
        {true, false, true, false},
    };

    (void)state;
    for (unsigned from = 0; from < 3; from++) {
        for (unsigned to = 0; to < 4; to++) {
            assert_true(set_mode(0));
            if (from)
                assert_true(set_mode(APIC_BASE_EN));
            assert_true(set_mode(modes[from]));
            assert_int_equal(set_mode(modes[to]), legal[from][to]);
            assert_int_equal(lapic.base & (APIC_BASE_EN | APIC_BASE_EXTD),
                             legal[from][to] ? modes[to] : modes[from]);
        }
    }
}

static void the_base_stays_and_reserved_bits_fault(void **state)
{
    (void)state;
    assert_false(lapic_set_base(&lapic, 0xfee01000ul | APIC_BASE_EN));
    assert_false(lapic_set_base(&lapic, APIC_BASE_EN));
    assert_false(set_mode(APIC_BASE_EN | 1));
    assert_false(set_mode(APIC_BASE_EN | 1 << 9));
    assert_false(set_mode(APIC_BASE_EN | 1ull << 52));
    assert_true(
        lapic_set_base(&lapic, APIC_DEFAULT_BASE | APIC_BASE_EN)); /* the BSP flag is ours */
    assert_int_equal(lapic.base, APIC_DEFAULT_BASE | APIC_BASE_EN | APIC_BASE_BSP);
}

static void disabling_forgets(void **state)
{
    (void)state;
    assert_true(request(0x40));
    write32(APIC_TIMER_INITIAL, 1000);
    assert_true(set_mode(0));
    assert_true(lapic_accepts_extint(&lapic));
    assert_false(lapic.timer.armed);
    assert_int_equal(read32(APIC_ID), 0xffffffff);
    write32(APIC_SVR, 0x1ff);
    poke(APIC_ICR_LOW, 0x40);
    lapic_write_trapped(&lapic, APIC_ICR_LOW);
    assert_int_equal(rig.sends, 0);
    assert_true(set_mode(APIC_BASE_EN));
    assert_int_equal(read32(APIC_SVR), 0xff);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    assert_int_equal(read32(APIC_LVT_LINT0), APIC_LVT_MASKED);
}

static void x2apic_keeps_what_was_and_takes_new_ids(void **state)
{
    (void)state;
    power_up(0x25, true);
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    write32(APIC_LDR, 0x77000000);
    write32(APIC_ICR_HIGH, 0x12000000);
    write32(APIC_TPR, 0x20);
    assert_true(request(0x66));
    enter_x2apic();
    assert_int_equal(rdmsr(APIC_ID), 0x25);
    assert_int_equal(rdmsr(APIC_LDR), 2u << 16 | 1u << 5);
    assert_int_equal(rdmsr(APIC_ICR_LOW), 0);
    assert_int_equal(rdmsr(APIC_TPR), 0x20);
    assert_int_equal(rdmsr(APIC_SVR), APIC_SVR_ENABLE | 0xff);
    assert_int_equal(lapic_pending_vector(&lapic), 0x66);
    assert_int_equal(read32(APIC_ID), 0xffffffff); /* no MMIO any more */
    write32(APIC_TPR, 0);
    assert_int_equal(rdmsr(APIC_TPR), 0x20);
}

static void msrs_fault_in_xapic_mode(void **state)
{
    (void)state;
    assert_true(faults_on_read(APIC_ID));
    assert_false(wrmsr(APIC_EOI, 0));
    assert_true(set_mode(0));
    assert_true(faults_on_read(APIC_ID));
}

static void each_msr_has_its_access(void **state)
{
    static const uint16_t readable[] = {
        APIC_ID,          APIC_VERSION,     APIC_TPR,           APIC_PPR,
        APIC_LDR,         APIC_SVR,         APIC_ESR,           APIC_ICR_LOW,
        APIC_LVT_TIMER,   APIC_LVT_THERMAL, APIC_LVT_PMC,       APIC_LVT_LINT0,
        APIC_LVT_LINT1,   APIC_LVT_ERROR,   APIC_TIMER_INITIAL, APIC_TIMER_CURRENT,
        APIC_TIMER_DIVIDE};
    static const uint16_t writable[] = {APIC_TPR,       APIC_EOI,           APIC_SVR,
                                        APIC_ESR,       APIC_LVT_TIMER,     APIC_LVT_THERMAL,
                                        APIC_LVT_PMC,   APIC_LVT_LINT0,     APIC_LVT_LINT1,
                                        APIC_LVT_ERROR, APIC_TIMER_INITIAL, APIC_TIMER_DIVIDE};
    bool reads[64] = {0}, writes[64] = {0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(readable); i++)
        reads[readable[i] / 16] = true;
    for (unsigned i = APIC_ISR / 16; i < APIC_ESR / 16; i++)
        reads[i] = true;
    for (unsigned i = 0; i < ARRAY_SIZE(writable); i++)
        writes[writable[i] / 16] = true;
    enter_x2apic();
    for (unsigned i = 0; i < 64; i++) {
        uint64_t value;

        assert_int_equal(lapic_msr_read(&lapic, MSR_IA32_X2APIC_FIRST + i, &value), reads[i]);
        if (i != APIC_ICR_LOW / 16 && i != APIC_SELF_IPI / 16)
            assert_int_equal(lapic_msr_write(&lapic, MSR_IA32_X2APIC_FIRST + i, 0), writes[i]);
    }
    for (unsigned i = 64; i < 256; i++) {
        uint64_t value;

        assert_false(lapic_msr_read(&lapic, MSR_IA32_X2APIC_FIRST + i, &value));
        assert_false(lapic_msr_write(&lapic, MSR_IA32_X2APIC_FIRST + i, 0));
    }
    assert_false(lapic_msr_write(&lapic, 0x10, 0));
}

static void reserved_bits_of_msrs_fault(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t bits;
    } rows[] = {
        {APIC_TPR, 0xff},
        {APIC_EOI, 0},
        {APIC_ESR, 0},
        {APIC_SVR, 0x13ff},
        {APIC_LVT_TIMER, 0x710ff},
        {APIC_LVT_PMC, 0x117ff},
        {APIC_LVT_LINT0, 0x1f7ff},
        {APIC_LVT_ERROR, 0x110ff},
        {APIC_TIMER_DIVIDE, 0xb},
        {APIC_ICR_LOW, 0xccfff},
        {APIC_SELF_IPI, 0xff},
    };

    (void)state;
    enter_x2apic();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned bit = 0; bit < 32; bit++)
            assert_int_equal(wrmsr(rows[i].offset, 1ull << bit), rows[i].bits >> bit & 1);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(wrmsr(rows[i].offset, 1ull << 32), rows[i].offset == APIC_ICR_LOW);
    assert_true(wrmsr(APIC_LVT_LINT0, 0x1f7ff));
    assert_int_equal(rdmsr(APIC_LVT_LINT0),
                     0x1a7ff); /* delivery status and remote IRR are the chip's */
}

static void a_refused_write_changes_nothing(void **state)
{
    (void)state;
    enter_x2apic();
    assert_true(wrmsr(APIC_ICR_LOW, 7ull << 32 | 0x40));
    assert_false(wrmsr(APIC_ICR_LOW, 9ull << 32 | 1u << 12));
    assert_int_equal(rdmsr(APIC_ICR_LOW), 7ull << 32 | 0x40);
    assert_true(request(0x50));
    take(0x50);
    assert_false(wrmsr(APIC_EOI, 1));
    assert_int_equal(lapic_highest_isr(&lapic), 0x50);
    assert_true(wrmsr(APIC_EOI, 0));
    assert_int_equal(lapic_highest_isr(&lapic), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(illegal_vectors_are_errors_not_interrupts, lapic_rig_set_up),
        cmocka_unit_test_setup(an_illegal_error_vector_does_not_recurse, lapic_rig_set_up),
        cmocka_unit_test_setup(reserved_registers_are_errors, lapic_rig_set_up),
        cmocka_unit_test_setup(only_bits_that_exist_are_stored, lapic_rig_set_up),
        cmocka_unit_test_setup(what_the_cpu_wrote_is_made_well_formed, lapic_rig_set_up),
        cmocka_unit_test_setup(narrow_and_crooked_accesses_do_no_harm, lapic_rig_set_up),
        cmocka_unit_test_setup(software_disable_masks_the_lvt_for_good, lapic_rig_set_up),
        cmocka_unit_test_setup(only_legal_transitions, lapic_rig_set_up),
        cmocka_unit_test_setup(the_base_stays_and_reserved_bits_fault, lapic_rig_set_up),
        cmocka_unit_test_setup(disabling_forgets, lapic_rig_set_up),
        cmocka_unit_test_setup(x2apic_keeps_what_was_and_takes_new_ids, lapic_rig_set_up),
        cmocka_unit_test_setup(msrs_fault_in_xapic_mode, lapic_rig_set_up),
        cmocka_unit_test_setup(each_msr_has_its_access, lapic_rig_set_up),
        cmocka_unit_test_setup(reserved_bits_of_msrs_fault, lapic_rig_set_up),
        cmocka_unit_test_setup(a_refused_write_changes_nothing, lapic_rig_set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
