/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a write of a control register that exits does what the manual says, or is #GP and changes
 * nothing at all: no bit of it, no PDPTE, no CPUID bit. What it lets through, VM entry accepts.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/cr.h"
#include "kernel/lib/bytes.h"

#define PDPT_AT     UINT64_C(0x3020)
#define PDPTE_P     UINT64_C(1)
#define XCR0_AVX512 UINT64_C(0xe0)
#define UNTOUCHED   UINT64_C(0xdead)

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    /* A CPU that announces all that CR4 can have, whatever this host is. */
    fake_vcpu_cpuid(&f, 1)->edx = UINT32_MAX;
    fake_vcpu_cpuid(&f, 1)->ecx = UINT32_MAX & ~CPUID_1_ECX_OSXSAVE;
    fake_vcpu_cpuid(&f, 7)->ebx = UINT32_MAX;
    fake_vcpu_cpuid(&f, 7)->ecx = CPUID_7_ECX_UMIP;
    f.cpuid.xcr0_allowed = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;
    f.registers[VCPU_CR3] = PDPT_AT;
    for (unsigned i = 0; i < 4; i++)
        f.registers[VCPU_PDPTE0 + i] = UNTOUCHED;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static enum verdict write_cr(unsigned number, uint64_t value)
{
    struct vcpu_exit exit = {.kind = EXIT_CR};

    exit.cr.number = (uint8_t)number;
    exit.cr.value = value;
    vcpu->event.type = EVENT_NONE;
    return cr_handle(vcpu, &exit);
}

static void assert_written(unsigned number, uint64_t value)
{
    assert_int_equal(write_cr(number, value), VERDICT_NEXT);
    fake_vcpu_assert_nothing_raised(&f);
}

/* #GP(0), and the vCPU is as it was. */
static void assert_refused(unsigned number, uint64_t value)
{
    uint64_t before[VCPU_REGISTERS];
    struct guest_cpuid cpuid_before = f.cpuid;

    memcpy(before, f.registers, sizeof before);
    assert_int_equal(write_cr(number, value), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_memory_equal(before, f.registers, sizeof before);
    assert_memory_equal(&cpuid_before, &f.cpuid, sizeof f.cpuid);
}

static void set_pdpte(unsigned n, uint64_t entry)
{
    put_le64(f.ram + PDPT_AT + 8 * n, entry);
}

/* --- CR0 --- */

static void test_cr0_keeps_what_it_has_and_ignores_what_it_has_not(void **state)
{
    (void)state;
    assert_written(0, CR0_PE | CR0_CD | CR0_NW | BIT(7) | BIT(20));
    assert_int_equal(f.registers[VCPU_CR0], CR0_PE | CR0_CD | CR0_NW | CR0_ET);
    assert_written(0, CR0_PE | CR0_NE | CR0_WP);
    assert_int_equal(f.registers[VCPU_CR0], CR0_PE | CR0_NE | CR0_WP | CR0_ET);
}

static void test_impossible_values_of_cr0(void **state)
{
    (void)state;
    assert_refused(0, CR0_PE | CR0_NW);
    assert_refused(0, CR0_PG);
    assert_refused(0, CR0_PE | BIT(32));
    assert_refused(0, UINT64_MAX);
}

static void test_paging_without_pae_needs_no_tables(void **state)
{
    (void)state;
    assert_written(0, CR0_PE | CR0_PG | CR0_NE);
    assert_int_equal(f.registers[VCPU_PDPTE0], UNTOUCHED);
}

static void test_long_mode_is_entered_and_left(void **state)
{
    (void)state;
    f.registers[VCPU_EFER] = EFER_LME;
    f.registers[VCPU_CR4] = CR4_PAE;
    assert_written(0, CR0_PE | CR0_PG | CR0_CD);
    assert_int_equal(f.registers[VCPU_EFER], EFER_LME | EFER_LMA);
    assert_int_equal(f.registers[VCPU_PDPTE0], UNTOUCHED); /* CR3 is a PML4 */
    assert_written(0, CR0_PE | CR0_PG);
    assert_int_equal(f.registers[VCPU_EFER], EFER_LME | EFER_LMA);
    assert_written(0, CR0_PE);
    assert_int_equal(f.registers[VCPU_EFER], EFER_LME);
}

static void test_long_mode_needs_pae_and_a_32_bit_segment(void **state)
{
    (void)state;
    f.registers[VCPU_EFER] = EFER_LME;
    assert_refused(0, CR0_PE | CR0_PG);
    f.registers[VCPU_CR4] = CR4_PAE;
    f.segments[SEG_CS].attributes |= SEG_ATTR_L;
    assert_refused(0, CR0_PE | CR0_PG);
}

/* SDM 2B, "MOV—Move to/from Control Registers": 64-bit code cannot turn paging off under itself. */
static void test_paging_cannot_be_left_in_64_bit_mode(void **state)
{
    (void)state;
    f.registers[VCPU_CR0] = CR0_PE | CR0_PG | CR0_ET;
    f.registers[VCPU_CR4] = CR4_PAE;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.segments[SEG_CS].attributes |= SEG_ATTR_L;
    assert_refused(0, CR0_PE);
    f.segments[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_L;
    f.registers[VCPU_CR4] |= CR4_PCIDE;
    assert_refused(0, CR0_PE);
    f.registers[VCPU_CR4] = CR4_PAE;
    assert_written(0, CR0_PE);
}

/* --- PDPTEs --- */

static void test_pae_paging_loads_the_four_entries(void **state)
{
    (void)state;
    f.registers[VCPU_CR4] = CR4_PAE;
    f.registers[VCPU_CR3] |= BIT(40) | 0x18; /* bits that PAE paging ignores */
    for (unsigned i = 0; i < 4; i++)
        set_pdpte(i, (i + 1) << 12 | (i == 2 ? 0xffe : PDPTE_P)); /* one is absent: anything goes */
    assert_written(0, CR0_PE | CR0_PG | CR0_CD);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(f.registers[VCPU_PDPTE0 + i], get_le64(f.ram + PDPT_AT + 8 * i));
}

/* Entry with a reserved bit in a PDPTE fails: the guest must get its #GP before that. */
static void test_a_reserved_bit_in_any_entry_loads_none(void **state)
{
    (void)state;
    f.registers[VCPU_CR4] = CR4_PAE;
    for (unsigned n = 0; n < 4; n++)
        for (unsigned bit = 1; bit < 64; bit++) {
            bool is_reserved =
                bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= FAKE_VCPU_ADDRESS_BITS;

            for (unsigned i = 0; i < 4; i++)
                set_pdpte(i, 0x1000 | PDPTE_P);
            set_pdpte(n, BIT(bit) | PDPTE_P);
            f.registers[VCPU_CR0] = CR0_PE | CR0_ET;
            if (is_reserved)
                assert_refused(0, CR0_PE | CR0_PG);
            else
                assert_written(0, CR0_PE | CR0_PG);
            for (unsigned i = 0; i < 4; i++)
                f.registers[VCPU_PDPTE0 + i] = UNTOUCHED;
        }
}

/* APM 2, "Legacy PAE Mode": with nested paging, illegal entries are found by the walk that uses them. */
static void test_an_engine_that_keeps_no_entries_does_not_look_at_them(void **state)
{
    const struct vcpu_ops *engine = vcpu_ops;
    struct vcpu_ops walks = *engine;

    (void)state;
    walks.keeps_pdptes = false;
    vcpu_ops = &walks;
    f.registers[VCPU_CR4] = CR4_PAE;
    set_pdpte(0, 0x1000 | PDPTE_P | BIT(5));
    assert_written(0, CR0_PE | CR0_PG);
    assert_written(4, CR4_PAE | CR4_PGE);
    assert_true(cr_load_cr3(vcpu, PDPT_AT));
    assert_int_equal(f.registers[VCPU_PDPTE0], UNTOUCHED);
    vcpu_ops = engine;
}

static void test_entries_outside_of_ram(void **state)
{
    (void)state;
    f.registers[VCPU_CR4] = CR4_PAE;
    f.registers[VCPU_CR3] = 0xffffffe0;
    assert_refused(0, CR0_PE | CR0_PG);
    f.registers[VCPU_CR3] = FAKE_VCPU_RAM_BYTES - 32;
    assert_written(0, CR0_PE | CR0_PG);
}

/* SDM 3A, "PDPTE Registers": what loads them, besides PG. */
static void test_other_bits_that_load_the_entries(void **state)
{
    static const struct {
        unsigned number;
        uint64_t value;
    } writes[] = {
        {0, CR0_PE | CR0_PG | CR0_CD},     {0, CR0_PE | CR0_PG | CR0_CD | CR0_NW},
        {4, CR4_PAE | CR4_MCE | CR4_PGE},  {4, CR4_PAE | CR4_MCE | CR4_PSE},
        {4, CR4_PAE | CR4_MCE | CR4_SMEP},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        f.registers[VCPU_CR0] = CR0_PE | CR0_PG | CR0_ET;
        f.registers[VCPU_CR4] = CR4_PAE;
        set_pdpte(0, (i + 1) << 12 | PDPTE_P);
        assert_written(writes[i].number, writes[i].value);
        assert_int_equal(f.registers[VCPU_PDPTE0], (i + 1) << 12 | PDPTE_P);
        set_pdpte(0, BIT(63) | PDPTE_P);
        f.registers[VCPU_CR0] = CR0_PE | CR0_PG | CR0_ET;
        f.registers[VCPU_CR4] = CR4_PAE;
        assert_refused(writes[i].number, writes[i].value);
    }
    f.registers[VCPU_CR4] = CR4_PAE;
    assert_written(4, CR4_PAE | CR4_MCE); /* none of those: the bad entry is not looked at */
    assert_written(0, CR0_PE | CR0_PG | CR0_NE);
}

/* --- CR4 --- */

static void test_cr4_has_what_cpuid_announces(void **state)
{
    static const struct {
        uint64_t cr4;
        uint32_t leaf;
        size_t at;
        uint32_t bit;
    } rows[] = {
        {CR4_VME, 1, offsetof(struct cpuid_result, edx), 1u << 1},
        {CR4_PVI, 1, offsetof(struct cpuid_result, edx), 1u << 1},
        {CR4_TSD, 1, offsetof(struct cpuid_result, edx), 1u << 4},
        {CR4_DE, 1, offsetof(struct cpuid_result, edx), 1u << 2},
        {CR4_PSE, 1, offsetof(struct cpuid_result, edx), 1u << 3},
        {CR4_PAE, 1, offsetof(struct cpuid_result, edx), 1u << 6},
        {CR4_PGE, 1, offsetof(struct cpuid_result, edx), CPUID_1_EDX_PGE},
        {CR4_OSFXSR, 1, offsetof(struct cpuid_result, edx), 1u << 24},
        {CR4_OSXMMEXCPT, 1, offsetof(struct cpuid_result, edx), 1u << 25},
        {CR4_OSXSAVE, 1, offsetof(struct cpuid_result, ecx), CPUID_1_ECX_XSAVE},
        {CR4_UMIP, 7, offsetof(struct cpuid_result, ecx), CPUID_7_ECX_UMIP},
        {CR4_FSGSBASE, 7, offsetof(struct cpuid_result, ebx), 1u << 0},
        {CR4_SMEP, 7, offsetof(struct cpuid_result, ebx), CPUID_7_EBX_SMEP},
        {CR4_SMAP, 7, offsetof(struct cpuid_result, ebx), CPUID_7_EBX_SMAP},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t *word = (uint32_t *)((char *)fake_vcpu_cpuid(&f, rows[i].leaf) + rows[i].at);

        assert_true(cr4_allowed(vcpu) & rows[i].cr4);
        assert_written(4, rows[i].cr4);
        assert_written(4, 0);
        *word &= ~rows[i].bit;
        assert_refused(4, rows[i].cr4);
        *word |= rows[i].bit;
    }
}

static void test_what_no_guest_has_in_cr4(void **state)
{
    (void)state;
    assert_refused(4, CR4_VMXE);
    assert_refused(4, CR4_SMXE);
    assert_refused(4, CR4_LA57);
    assert_refused(4, CR4_PKE);
    assert_refused(4, BIT(63));
    assert_int_equal(cr4_guest_owned(vcpu) & (CR4_MCE | CR4_OSXSAVE | CR4_VMXE), 0);
}

static void test_cpuid_follows_osxsave(void **state)
{
    (void)state;
    assert_written(4, CR4_OSXSAVE);
    assert_true(fake_vcpu_cpuid(&f, 1)->ecx & CPUID_1_ECX_OSXSAVE);
    assert_written(4, 0);
    assert_false(fake_vcpu_cpuid(&f, 1)->ecx & CPUID_1_ECX_OSXSAVE);
}

static void test_long_mode_needs_pae_and_pcids_need_long_mode(void **state)
{
    (void)state;
    f.registers[VCPU_CR3] = 0x1000;
    assert_refused(4, CR4_PCIDE | CR4_PAE);
    f.registers[VCPU_CR0] = CR0_PE | CR0_PG | CR0_ET;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.registers[VCPU_CR4] = CR4_PAE;
    assert_refused(4, CR4_MCE);
    f.registers[VCPU_CR3] = 0x1001;
    assert_refused(4, CR4_PCIDE | CR4_PAE);
    f.registers[VCPU_CR3] = 0x1000;
    assert_written(4, CR4_PCIDE | CR4_PAE);
    f.registers[VCPU_CR3] = 0x1001;
    assert_written(4, CR4_PCIDE | CR4_PAE | CR4_MCE);
}

/* --- CR8 and what else --- */

static void test_cr8_is_the_task_priority(void **state)
{
    struct vcpu_exit exit = {.kind = EXIT_CR};

    (void)state;
    assert_written(8, 5);
    assert_int_equal(lapic_tpr(vcpu->lapic), 0x50);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_refused(8, 16);
    assert_refused(8, UINT64_MAX);
    exit.cr.number = 8;
    exit.cr.is_read = true;
    exit.cr.gpr = GPR_R9;
    exit.cr.width = 8;
    vcpu->event.type = EVENT_NONE;
    vcpu->gpr[GPR_R9] = UINT64_MAX;
    assert_int_equal(cr_handle(vcpu, &exit), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_R9], 5);
    exit.cr.gpr = GPR_RSP;
    assert_int_equal(cr_handle(vcpu, &exit), VERDICT_NEXT);
    assert_int_equal(f.registers[VCPU_RSP], 5);
}

static void test_other_numbers_are_refused(void **state)
{
    (void)state;
    for (unsigned number = 1; number < 16; number++)
        if (number != 4 && number != 8)
            assert_refused(number, 0);
}

/* --- XCR0 --- */

static enum verdict write_xcr(uint64_t number, uint64_t value)
{
    const struct vcpu_exit exit = {.kind = EXIT_XSETBV};

    vcpu->gpr[GPR_RCX] = number;
    vcpu->gpr[GPR_RAX] = (uint32_t)value | 0xabcdull << 32; /* the upper halves count for nothing */
    vcpu->gpr[GPR_RDX] = value >> 32 | 0xabcdull << 32;
    vcpu->event.type = EVENT_NONE;
    return cr_handle_xsetbv(vcpu, &exit);
}

/* An XCR0 that the host's XSETBV refuses would be an exception of the hypervisor's. */
static bool is_valid(uint64_t value)
{
    bool sse = value & 2, avx = value & 4;
    uint64_t avx512 = value & XCR0_AVX512;

    return (value & 1) && (!avx || sse) && (avx512 == 0 || (avx512 == XCR0_AVX512 && avx)) &&
           !(value & ~f.cpuid.xcr0_allowed);
}

static void test_every_combination_of_state_components(void **state)
{
    (void)state;
    fake_cpu_begin();
    for (uint64_t value = 0; value < 0x400; value++) {
        unsigned count = fake_cpu.xsetbv_count;

        if (is_valid(value)) {
            assert_int_equal(write_xcr(0, value), VERDICT_NEXT);
            assert_int_equal(fake_cpu.xcr0, value);
            assert_int_equal(vcpu->xcr0, value);
        } else {
            assert_int_equal(write_xcr(0, value), VERDICT_RESUME);
            fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
            assert_int_equal(fake_cpu.xsetbv_count, count);
        }
    }
    f.cpuid.xcr0_allowed = XCR0_X87 | XCR0_SSE;
    assert_int_equal(write_xcr(0, 7), VERDICT_RESUME);
    assert_int_equal(write_xcr(0, 3), VERDICT_NEXT);
}

static void test_there_is_one_xcr(void **state)
{
    (void)state;
    fake_cpu_begin();
    assert_int_equal(write_xcr(1, 1), VERDICT_RESUME);
    assert_int_equal(write_xcr(0, BIT(63) | 1), VERDICT_RESUME);
    assert_int_equal(write_xcr(BIT(32), 1), VERDICT_NEXT); /* ECX counts */
    assert_int_equal(fake_cpu.xsetbv_count, 1);
}

static void test_user_mode_has_no_xsetbv(void **state)
{
    (void)state;
    fake_cpu_begin();
    f.segments[SEG_SS].attributes |= 3u << SEG_ATTR_DPL_SHIFT;
    assert_int_equal(write_xcr(0, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_int_equal(fake_cpu.xsetbv_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cr0_keeps_what_it_has_and_ignores_what_it_has_not,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_impossible_values_of_cr0, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paging_without_pae_needs_no_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_mode_is_entered_and_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_mode_needs_pae_and_a_32_bit_segment, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_paging_cannot_be_left_in_64_bit_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pae_paging_loads_the_four_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reserved_bit_in_any_entry_loads_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_engine_that_keeps_no_entries_does_not_look_at_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entries_outside_of_ram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_bits_that_load_the_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cr4_has_what_cpuid_announces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_no_guest_has_in_cr4, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cpuid_follows_osxsave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_mode_needs_pae_and_pcids_need_long_mode, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_cr8_is_the_task_priority, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_numbers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_combination_of_state_components, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_there_is_one_xcr, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user_mode_has_no_xsetbv, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
