/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each exit code becomes the neutral exit that it stands for, with the next RIP right whatever prefixes the guest
 * writes; what is no exit of ours is none.
 */
#include "tests/host/fake/svm_rig.h"

static void test_codes_without_operands(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_RESUME;
    assert_kind(VMEXIT_SHUTDOWN, EXIT_SHUTDOWN);
    assert_kind(VMEXIT_RDPMC, EXIT_PROTECTED);
    assert_kind(VMEXIT_VMRUN, EXIT_UNDEFINED);
    assert_kind(VMEXIT_CLGI, EXIT_UNDEFINED);
    assert_kind(VMEXIT_MWAIT, EXIT_UNDEFINED);
    assert_kind(VMEXIT_NMI, EXIT_INTERRUPT);
    assert_int_equal(interrupts_taken, 0); /* it has come by itself */
    assert_kind(VMEXIT_INTR, EXIT_INTERRUPT);
    assert_int_equal(interrupts_taken, 1);
    assert_kind(VMEXIT_EXCP_AC, EXIT_EXCEPTION);
    assert_true(vcpu->exit.exception.has_error_code);
}

/* Each that the guest could read or write another's breakpoints by, and each use ends all of the intercepts. */
static void test_the_first_use_of_a_debug_register_makes_an_exit(void **state)
{
    static const uint64_t codes[] = {VMEXIT_DR0_READ, VMEXIT_DR3_READ, VMEXIT_DR0_WRITE, VMEXIT_DR3_WRITE, VMEXIT_DR7_WRITE};

    (void)state;
    verdict_of_handler = VERDICT_RESUME;
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        begin();
        assert_int_equal(vmcb->control.intercepts[INTERCEPT_DR], 0x008f000f);
        assert_kind(codes[i], EXIT_DEBUG_REGISTER);
        assert_int_equal(vmcb->control.intercepts[INTERCEPT_DR], 0);
    }
}

static void test_no_code_is_trusted(void **state)
{
    static const uint64_t unknown[] = {0x01, 0x24, 0x66, 0x7d, 0x9f, VMEXIT_LOW_CODES, 0x3ff, 0x401, 0x7fffffff, BIT(40)};

    (void)state;
    begin();
    verdict_of_handler = VERDICT_STOP;
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_kind(unknown[i], EXIT_UNEXPECTED);
    assert_kind(UINT64_MAX, EXIT_ENTRY_FAILED);
    assert_kind(UINT32_MAX, EXIT_ENTRY_FAILED); /* as QEMU writes it */
    assert_int_equal(vcpu->exit.hardware.reason, UINT32_MAX);
}

static void assert_length(uint64_t code, unsigned length)
{
    vmcb->state.rip = CODE_AT;
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    assert_int_equal(leave(code, 0, 0), VERDICT_RESUME);
    assert_int_equal(handled, 1);
    assert_int_equal(vmcb->state.rip, CODE_AT + length);
    assert_int_equal(vmcb->control.interrupt_shadow, 0);
}

static void test_the_next_rip_is_read_from_the_code(void **state)
{
    (void)state;
    begin();
    CODE("\xf4");
    assert_length(VMEXIT_HLT, 1);
    CODE("\x0f\xa2");
    assert_length(VMEXIT_CPUID, 2);
    CODE("\x66\x2e\xf3\x0f\xa2");
    assert_length(VMEXIT_CPUID, 5);
    CODE("\x0f\x32");
    assert_length(VMEXIT_MSR, 2);
    CODE("\xf3\x90");
    assert_length(VMEXIT_PAUSE, 2);
    CODE("\x0f\x01\xd9");
    assert_length(VMEXIT_VMMCALL, 3);
    enter_long_mode();
    CODE("\x48\x0f\xa2");
    assert_length(VMEXIT_CPUID, 3);
    CODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x48\x0f\xa2");
    assert_length(VMEXIT_CPUID, 15);
}

/* The last bytes below 4 GiB, where a code segment's base has put them into RAM. */
static void test_rip_wraps_around_outside_64_bit_mode(void **state)
{
    (void)state;
    begin();
    vmcb->state.cs.base = CODE_AT + 2;
    vmcb->state.rip = 0xfffffffe;
    CODE("\x0f\xa2");
    (void)leave(VMEXIT_CPUID, 0, 0);
    assert_int_equal(vmcb->state.rip, 0);
    vmcb->state.rip = 0xfffffffe;
    vcpu->emulated_length = 5;
    (void)leave(VMEXIT_NPF, 0, 0xfee000b0);
    assert_int_equal(vmcb->state.rip, 3);
    CODE("\x66\xf1");
    vmcb->state.rip = 0xfffffffe;
    verdict_of_handler = VERDICT_RESUME;
    (void)leave(VMEXIT_ICEBP, 0, 0);
    assert_int_equal(vmcb->state.rip, 0);
    enter_long_mode();
    verdict_of_handler = VERDICT_NEXT;
    vmcb->state.rip = 0xfffffffe;
    (void)leave(VMEXIT_NPF, 0, 0xfee000b0);
    assert_int_equal(vmcb->state.rip, 0x100000003);
}

/* Another vCPU wrote over it: it is run again, not passed over. */
static void test_code_that_has_changed_is_run_again(void **state)
{
    (void)state;
    begin();
    CODE("\x90\x90");
    (void)leave(VMEXIT_CPUID, 0, 0);
    assert_int_equal(handled, 0);
    assert_int_equal(vmcb->state.rip, CODE_AT);
    CODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66");
    (void)leave(VMEXIT_CPUID, 0, 0);
    assert_int_equal(handled, 0);
}

static void test_the_cpus_own_next_rip_is_taken(void **state)
{
    (void)state;
    begin();
    svm_caps.features |= SVM_FEATURE_NRIPS;
    vmcb->control.next_rip = 0x5678;
    (void)leave(VMEXIT_CPUID, 0, 0);
    assert_int_equal(vmcb->state.rip, 0x5678);
}

static void test_ports(void **state)
{
    (void)state;
    begin();
    (void)leave(VMEXIT_IOIO, 0x3f8ul << 16 | 1 << 4 | 1, CODE_AT + 9);
    assert_int_equal(vcpu->exit.kind, EXIT_IO);
    assert_int_equal(vcpu->exit.io.port, 0x3f8);
    assert_int_equal(vcpu->exit.io.width, 1);
    assert_true(vcpu->exit.io.is_in);
    assert_false(vcpu->exit.io.is_string);
    assert_int_equal(vmcb->state.rip, CODE_AT + 9);
    (void)leave(VMEXIT_IOIO, 0xfffful << 16 | 4 << 4 | 8 | 4, CODE_AT);
    assert_int_equal(vcpu->exit.io.width, 4);
    assert_false(vcpu->exit.io.is_in);
    assert_true(vcpu->exit.io.is_string && vcpu->exit.io.has_rep);
}

static void test_nested_page_faults(void **state)
{
    (void)state;
    begin();
    vcpu->emulated_length = 7;
    (void)leave(VMEXIT_NPF, BIT(32) | 6, 0xfee000b0);
    assert_int_equal(vcpu->exit.kind, EXIT_MEMORY);
    assert_int_equal(vcpu->exit.memory.address.value, 0xfee000b0);
    assert_true(vcpu->exit.memory.is_write);
    assert_false(vcpu->exit.memory.is_fetch);
    assert_int_equal(vmcb->state.rip, CODE_AT + 7);
    (void)leave(VMEXIT_NPF, BIT(32) | 0x14, 0xfee000b0);
    assert_true(vcpu->exit.memory.is_fetch);
}

/* Hosted only: no emulator has decode assists. Without the feature the bytes are whatever they are. */
static void test_nested_page_faults_bring_the_code(void **state)
{
    (void)state;
    begin();
    vmcb->control.fetched_bytes = 15;
    (void)leave(VMEXIT_NPF, BIT(32) | 6, 0xfee000b0);
    assert_int_equal(vcpu->exit.fetched_bytes, 0);
    svm_caps.features |= SVM_FEATURE_DECODE_ASSISTS;
    memcpy(vmcb->control.instruction, "\x89\x03", 2);
    (void)leave(VMEXIT_NPF, BIT(32) | 6, 0xfee000b0);
    assert_int_equal(vcpu->exit.fetched_bytes, 15);
    assert_memory_equal(vcpu->exit.fetched, "\x89\x03", 2);
    vmcb->control.fetched_bytes = 0;
    (void)leave(VMEXIT_NPF, BIT(32) | 6, 0xfee000b0);
    assert_int_equal(vcpu->exit.fetched_bytes, 0);
}

static void test_msr_exits_name_their_direction(void **state)
{
    (void)state;
    begin();
    CODE("\x0f\x30");
    (void)leave(VMEXIT_MSR, 1, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_WRMSR);
    vmcb->state.rip = CODE_AT;
    (void)leave(VMEXIT_MSR, 0, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_RDMSR);
}

/* --- control registers --- */

static void leave_for_cr(uint64_t code)
{
    vmcb->state.rip = CODE_AT;
    (void)leave(code, 0, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_CR);
    assert_int_equal(handled, 1);
}

static void test_mov_cr(void **state)
{
    const struct vcpu_exit *e = &vcpu->exit;

    (void)state;
    begin();
    vcpu->gpr[GPR_RCX] = 0xffffffff00000011;
    CODE("\x0f\x22\xc1"); /* mov cr0, ecx */
    leave_for_cr(VMEXIT_CR0_SEL_WRITE);
    assert_int_equal(e->cr.number, 0);
    assert_false(e->cr.is_read);
    assert_int_equal(e->cr.value, 0x11);
    assert_int_equal(vmcb->state.rip, CODE_AT + 3);
    enter_long_mode();
    vcpu->gpr[GPR_R9] = 0x123456789;
    CODE("\x41\x0f\x22\xe1"); /* mov cr4, r9 */
    leave_for_cr(VMEXIT_CR4_WRITE);
    assert_int_equal(e->cr.number, 4);
    assert_int_equal(e->cr.value, 0x123456789);
    CODE("\x44\x0f\x20\xc4"); /* mov rsp, cr8 */
    leave_for_cr(VMEXIT_CR8_READ);
    assert_int_equal(e->cr.number, 8);
    assert_true(e->cr.is_read);
    assert_int_equal(e->cr.gpr, GPR_RSP);
    assert_int_equal(e->cr.width, 8);
}

static void test_mov_cr_with_decode_assists(void **state)
{
    (void)state;
    begin();
    svm_caps.features |= SVM_FEATURE_NRIPS | SVM_FEATURE_DECODE_ASSISTS;
    vmcb->control.next_rip = CODE_AT + 4;
    vcpu->gpr[GPR_R15] = 0x31;
    (void)leave(VMEXIT_CR0_WRITE, BIT(63) | 15, 0);
    assert_int_equal(handled, 1);
    assert_false(vcpu->exit.cr.is_read);
    assert_int_equal(vcpu->exit.cr.value, 0x31);
    (void)leave(VMEXIT_CR4_READ, BIT(63) | 2, 0);
    assert_true(vcpu->exit.cr.is_read);
    assert_int_equal(vcpu->exit.cr.gpr, GPR_RDX);
}

static void test_clts_lmsw_smsw(void **state)
{
    const struct vcpu_exit *e = &vcpu->exit;

    (void)state;
    begin();
    svm_ops.set(vcpu, VCPU_CR0, CR0_ET | CR0_TS | CR0_CD | CR0_EM);
    CODE("\x0f\x06");
    leave_for_cr(VMEXIT_CR0_WRITE);
    assert_int_equal(e->cr.value, CR0_ET | CR0_CD | CR0_EM);
    assert_int_equal(vmcb->state.rip, CODE_AT + 2);

    vcpu->gpr[GPR_RBX] = 0xfff1;
    CODE("\x0f\x01\xf3"); /* lmsw bx */
    leave_for_cr(VMEXIT_CR0_WRITE);
    assert_int_equal(e->cr.value, CR0_ET | CR0_CD | CR0_PE);
    memcpy(f.ram + DATA_AT, "\x0e\x00", 2);
    CODE("\x0f\x01\x36\x00\x20"); /* lmsw [2000h] */
    leave_for_cr(VMEXIT_CR0_WRITE);
    assert_int_equal(e->cr.value, CR0_ET | CR0_CD | CR0_MP | CR0_EM | CR0_TS);
    assert_int_equal(vmcb->state.rip, CODE_AT + 5);

    CODE("\x0f\x01\xe1"); /* smsw cx */
    leave_for_cr(VMEXIT_CR0_READ);
    assert_true(e->cr.is_read);
    assert_int_equal(e->cr.width, 2);
    assert_int_equal(e->cr.gpr, GPR_RCX);
    CODE("\x66\x0f\x01\xe1"); /* smsw ecx */
    leave_for_cr(VMEXIT_CR0_READ);
    assert_int_equal(e->cr.width, 4);
    memset(f.ram + DATA_AT, 0x55, 4);
    CODE("\x0f\x01\x26\x00\x20"); /* smsw [2000h] */
    leave_for_cr(VMEXIT_CR0_READ);
    assert_int_equal(e->cr.width, 0);
    assert_memory_equal(f.ram + DATA_AT, "\x1c\x00\x55\x55", 4);
}

static void test_nonsense_is_not_decoded(void **state)
{
    static const char *const codes[] = {"\x90\x90\x90", "\x0f\x21\xc0", "\x0f\x01\xd9", "\x0f\x01\x3e"};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        write_code(codes[i], 3);
        vmcb->state.rip = CODE_AT;
        (void)leave(VMEXIT_CR0_WRITE, 0, 0);
        assert_int_equal(handled, 0);
        assert_int_equal(vmcb->state.rip, CODE_AT);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, svm_rig_set_up, svm_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_codes_without_operands),
        TEST(test_the_first_use_of_a_debug_register_makes_an_exit),
        TEST(test_no_code_is_trusted),
        TEST(test_the_next_rip_is_read_from_the_code),
        TEST(test_rip_wraps_around_outside_64_bit_mode),
        TEST(test_code_that_has_changed_is_run_again),
        TEST(test_the_cpus_own_next_rip_is_taken),
        TEST(test_ports),
        TEST(test_nested_page_faults),
        TEST(test_nested_page_faults_bring_the_code),
        TEST(test_msr_exits_name_their_direction),
        TEST(test_mov_cr),
        TEST(test_mov_cr_with_decode_assists),
        TEST(test_clts_lmsw_smsw),
        TEST(test_nonsense_is_not_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
