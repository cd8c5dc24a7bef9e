/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the VMCB that a vCPU starts with is one that VMRUN accepts, and keeps from the guest what is the host's; each
 * exit code becomes the neutral exit that it stands for, with the next RIP right whatever prefixes the guest writes;
 * an event that an exit interrupted comes again; an NMI is not delivered before the last one's IRET is over.
 * The test plays the CPU: it writes what an exit leaves in the VMCB.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_exit.h"
#include "arch/x86/svm/svm_msr.h"
#include "arch/x86/svm/svm_ops.h"
#include "arch/x86/svm/vmcb.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/pt.h"

#define CODE_AT 0x1000u
#define DATA_AT 0x2000u
#define ROOT    0x12345000u

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;
static struct pt stage2;
static struct vmcb *vmcb;
static const struct vcpu_ops *fake_ops;

/* --- what the engine meets outside itself --- */

static enum verdict verdict_of_handler;
static unsigned handled, kicks, interrupts_taken;

static enum verdict handle(struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)exit;
    handled++;
    return verdict_of_handler;
}

#define H(kind) [kind] = {"", handle}
const struct exit_kind_row exit_kinds[2 * EXIT_KINDS] = {
    H(EXIT_UNEXPECTED), H(EXIT_CPUID),     H(EXIT_HYPERCALL), H(EXIT_RDMSR),     H(EXIT_WRMSR),       H(EXIT_IO),
    H(EXIT_MEMORY),     H(EXIT_INTERRUPT), H(EXIT_TIMESLICE), H(EXIT_WINDOW),    H(EXIT_HLT),         H(EXIT_PAUSE),
    H(EXIT_CR),         H(EXIT_XSETBV),    H(EXIT_EXCEPTION), H(EXIT_EOI),       H(EXIT_APIC_WRITE),  H(EXIT_TPR_LOWERED),
    H(EXIT_CACHE),      H(EXIT_UNDEFINED), H(EXIT_PROTECTED), H(EXIT_SHUTDOWN),  H(EXIT_INIT),        H(EXIT_ENTRY_FAILED),
    H(EXIT_DEBUG_REGISTER),
};

enum verdict svm_enter(struct vcpu *v, hpa_t guest, hpa_t host)
{
    (void)v;
    (void)guest;
    (void)host;
    return VERDICT_LEAVE;
}

void arch_take_interrupts(void)
{
    interrupts_taken++;
}

void arch_kick(unsigned cpu)
{
    (void)cpu;
    kicks++;
}

/* --- a vCPU --- */

static const struct vcpu_start *real_mode(void)
{
    static struct vcpu_start start;

    memset(&start, 0, sizeof start);
    start.rip = CODE_AT;
    start.cr0 = CR0_ET;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        start.segment[i] = (struct segment){.limit = 0xffff, .attributes = SEG_TYPE_DATA_RW_A | SEG_ATTR_S | SEG_ATTR_P};
    start.segment[SEG_CS].attributes = SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P;
    return &start;
}

static int setup(void **state)
{
    (void)state;
    fake_ram_reset();
    fake_pcpus_reset(1);
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(4)), 0);
    heap_init();
    fake_vcpu_init(&f);
    fake_ops = vcpu_ops;
    vcpu_ops = &svm_ops;
    svm_caps = (struct svm_caps){.features = SVM_FEATURE_NP, .asids = 4, .uses_asids = true, .uses_virtual_tpr = true};
    stage2.root = HPA(ROOT);
    f.vm.stage2 = &stage2;
    assert_int_equal(vmcb_make_permission_maps(), 0);
    assert_int_equal(svm_ops.vcpu_create(vcpu), 0);
    vmcb = svm_of(vcpu)->vmcb;
    verdict_of_handler = VERDICT_NEXT;
    handled = kicks = interrupts_taken = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    svm_ops.vcpu_destroy(vcpu);
    vcpu_ops = fake_ops;
    fake_vcpu_free(&f);
    return 0;
}

/* In the test itself: see fake_cpu_begin(). */
static void begin(void)
{
    fake_cpu_begin();
    svm_ops.vcpu_reset(vcpu, real_mode());
}

static void enter_long_mode(void)
{
    vmcb->state.efer |= EFER_LME | EFER_LMA;
    vmcb->state.cs.attributes |= VMCB_ATTR_L;
    /* The walk is off: CR0.PG stays 0, what is linear is physical. */
}

static void write_code(const char *bytes, size_t count)
{
    memset(f.ram + CODE_AT, 0xcc, 32);
    memcpy(f.ram + CODE_AT, bytes, count);
}
#define CODE(bytes) write_code(bytes, sizeof(bytes) - 1)

static enum verdict leave(uint64_t code, uint64_t info1, uint64_t info2)
{
    vmcb->control.exit_code = code;
    vmcb->control.exit_info1 = info1;
    vmcb->control.exit_info2 = info2;
    vcpu->requests = 0;
    handled = 0;
    return svm_handle_exit(vcpu);
}

static bool is_intercepted(enum intercept_word word, uint32_t bits)
{
    return (vmcb->control.intercepts[word] & bits) == bits;
}

/* --- ports --- */

static const uint8_t *port_map(void)
{
    return phys_to_virt(HPA(vmcb->control.iopm_base_pa));
}

/* Who was given none has the map that everybody has. */
static void test_ports_are_passed_to_one_vcpu(void **state)
{
    const uint8_t *common;

    (void)state;
    begin();
    common = port_map();
    svm_ops.pass_ports(vcpu, 0x2f8, 8, true);
    assert_int_equal(common[0x2f8 / 8], 0xff);
    assert_int_equal(svm_ops.own_ports(vcpu), 0);
    svm_ops.pass_ports(vcpu, 0x2f8, 8, true);
    assert_int_equal(svm_ops.own_ports(vcpu), 0); /* for the next ones: it has it already */
    svm_ops.pass_ports(vcpu, 0x3c4, 2, true);
    svm_ops.vcpu_reset(vcpu, real_mode());
    assert_ptr_not_equal(port_map(), common);
    assert_int_equal(port_map()[0x2f8 / 8], 0);
    assert_int_equal(port_map()[0x2f8 / 8 - 1], 0xff);
    assert_int_equal(port_map()[0x300 / 8], 0xff);
    assert_int_equal(port_map()[0x3c0 / 8], 0xcf);
    assert_int_equal(port_map()[65536 / 8], 0xff); /* accesses that run over the end */
    svm_ops.pass_ports(vcpu, 0xffff, 1, true);
    assert_int_equal(port_map()[65535 / 8], 0x7f);
    svm_ops.pass_ports(vcpu, 0x2f8, 8, false);
    assert_int_equal(port_map()[0x2f8 / 8], 0xff);
    assert_int_equal(common[0x2f8 / 8], 0xff);
}

/* --- the VMCB --- */

static void test_what_vmrun_checks(void **state)
{
    const struct vmcb_control *c = &vmcb->control;

    (void)state;
    begin();
    svm_ops.run(vcpu);
    assert_true(is_intercepted(INTERCEPT_MISC2, MISC2_VMRUN));
    assert_true(vmcb->state.efer & EFER_SVME);
    assert_int_not_equal(c->guest_asid, 0);
    assert_int_equal(c->np_enable, NP_ENABLE);
    assert_int_equal(c->n_cr3, ROOT);
    assert_int_equal(c->iopm_base_pa % PAGE_SIZE, 0);
    assert_int_equal(c->msrpm_base_pa % PAGE_SIZE, 0);
    assert_int_equal(vmcb->state.dr6 >> 32, 0);
    assert_int_equal(vmcb->state.rip, CODE_AT);
    assert_true(vmcb->state.rflags & RFLAGS_ONE);
}

/* A guest that had one of these would have the machine, or be able to stop it. */
static void test_the_hosts_own_makes_exits(void **state)
{
    (void)state;
    begin();
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_INTR | MISC1_NMI | MISC1_INIT | MISC1_SHUTDOWN |
                                                     MISC1_IOIO_PROT | MISC1_MSR_PROT));
    assert_true(is_intercepted(INTERCEPT_MISC2, MISC2_VMLOAD | MISC2_VMSAVE | MISC2_STGI | MISC2_CLGI |
                                                     MISC2_SKINIT | MISC2_XSETBV));
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, EXCEPTIONS_TAKEN));
    assert_true(vmcb->control.v_intr & V_INTR_MASKING);
}

static bool map_has(uint32_t index, unsigned accesses)
{
    const uint8_t *map = phys_to_virt(HPA(vmcb->control.msrpm_base_pa));
    uint32_t range = index >= 0xc0010000u ? 2 : index >= 0xc0000000u ? 1 : 0;
    uint32_t bit = 2 * (index & 0x1fff);

    return (map[0x800 * range + bit / 8] >> bit % 8 & accesses) == accesses;
}

static void test_the_permission_maps_follow_the_policy(void **state)
{
    const uint8_t *ports;
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    begin();
    ports = phys_to_virt(HPA(vmcb->control.iopm_base_pa));
    for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
        assert_int_equal(ports[i], 0xff);
    for (unsigned i = 0; i < count; i++) {
        bool is_kept = rows[i].index == MSR_IA32_EFER || rows[i].index == MSR_IA32_PAT ||
                       rows[i].index == MSR_IA32_TIME_STAMP_COUNTER;

        if (rows[i].index >= 0x2000 && rows[i].index < 0xc0000000u)
            continue;
        assert_int_equal(!map_has(rows[i].index, 1), !is_kept && (msr_passes(&rows[i]) & MSR_PASS_READ));
        assert_int_equal(!map_has(rows[i].index, 2), !is_kept && (msr_passes(&rows[i]) & MSR_PASS_WRITE));
    }
    assert_false(map_has(MSR_IA32_LSTAR, 1) || map_has(MSR_IA32_LSTAR, 2)); /* in the VMCB */
    assert_true(map_has(MSR_IA32_TSC_AUX, 2));
    assert_true(map_has(MSR_VM_HSAVE_PA, 3));
    assert_true(map_has(MSR_VM_CR, 3));
    for (unsigned i = 0; i + 1 < SVM_MSR_ROWS; i++)
        assert_true(svm_msr_rows[i].index <= svm_msr_rows[i].last && svm_msr_rows[i].last < svm_msr_rows[i + 1].index);
}

static void test_segments_survive_packing(void **state)
{
    struct vcpu_start start = *real_mode();
    struct segment got;

    (void)state;
    begin();
    start.segment[SEG_GS] = (struct segment){0x33, 0xd0b3, 0xfffff, 0x123456789abc};
    svm_ops.vcpu_reset(vcpu, &start);
    assert_int_equal(vmcb->state.gs.attributes, 0xdb3);
    svm_ops.get_segment(vcpu, SEG_GS, &got);
    assert_memory_equal(&got, &start.segment[SEG_GS], sizeof got);
}

/* NE, CD, NW and MCE are the host's; the guest reads back what it wrote, by an exit as long as it differs. */
static void test_bits_that_are_not_the_guests(void **state)
{
    (void)state;
    begin();
    fake_cpu.cr[4] = CR4_MCE;
    svm_ops.set(vcpu, VCPU_CR0, CR0_PE | CR0_ET | CR0_CD | CR0_NW);
    assert_int_equal(vmcb->state.cr0, CR0_PE | CR0_ET | CR0_NE);
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR0), CR0_PE | CR0_ET | CR0_CD | CR0_NW);
    assert_true(is_intercepted(INTERCEPT_CR, CR_READ(0) | CR_WRITE(0)));
    svm_ops.set(vcpu, VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
    assert_false(is_intercepted(INTERCEPT_CR, CR_READ(0)));
    assert_false(is_intercepted(INTERCEPT_CR, CR_WRITE(0)));
    vmcb->state.cr0 |= CR0_TS;
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR0), CR0_PE | CR0_ET | CR0_NE | CR0_TS);

    svm_ops.set(vcpu, VCPU_CR4, CR4_PAE);
    assert_int_equal(vmcb->state.cr4, CR4_PAE | CR4_MCE);
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR4), CR4_PAE);
    assert_true(is_intercepted(INTERCEPT_CR, CR_READ(4)));

    svm_ops.set(vcpu, VCPU_EFER, EFER_SCE);
    assert_int_equal(vmcb->state.efer, EFER_SCE | EFER_SVME);
    assert_int_equal(svm_ops.get(vcpu, VCPU_EFER), EFER_SCE);
}

static void test_what_changes_is_not_clean(void **state)
{
    static const struct {
        enum vcpu_register which;
        uint32_t bit;
    } cases[] = {{VCPU_CR0, CLEAN_CR},  {VCPU_CR3, CLEAN_CR},  {VCPU_CR4, CLEAN_CR}, {VCPU_EFER, CLEAN_CR},
                 {VCPU_CR2, CLEAN_CR2}, {VCPU_DR6, CLEAN_DR}, {VCPU_DR7, CLEAN_DR}, {VCPU_PAT, CLEAN_NP},
                 {VCPU_TSC_OFFSET, CLEAN_INTERCEPTS}};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        vmcb->control.clean = CLEAN_ALL;
        svm_ops.set(vcpu, cases[i].which, CR0_NE);
        assert_int_equal(vmcb->control.clean & cases[i].bit, 0);
    }
}

/* --- tags --- */

static void test_tags_are_renewed_by_a_flush(void **state)
{
    uint32_t first;

    (void)state;
    begin();
    svm_ops.run(vcpu);
    first = vmcb->control.guest_asid;
    vmcb->control.tlb_control = TLB_KEEP;
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.guest_asid, first);
    assert_int_equal(vmcb->control.tlb_control, TLB_KEEP);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t before = vmcb->control.guest_asid;

        vmcb->control.tlb_control = TLB_KEEP;
        svm_ops.set(vcpu, VCPU_CR4, 0);
        svm_ops.run(vcpu);
        assert_in_range(vmcb->control.guest_asid, 1, 3);
        assert_true(vmcb->control.guest_asid > before || vmcb->control.tlb_control == TLB_FLUSH_ALL);
    }
    svm_caps.features |= SVM_FEATURE_FLUSH_BY_ASID;
    first = vmcb->control.guest_asid;
    svm_ops.set(vcpu, VCPU_CR0, 0);
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.guest_asid, first);
    assert_int_equal(vmcb->control.tlb_control, TLB_FLUSH_ASID);
}

/* An INIT finds the vCPU on the CPU where its tag is valid; VMRUN refuses the host's, which is 0. */
static void test_a_reset_vcpu_has_a_tag(void **state)
{
    static const uint32_t features[] = {SVM_FEATURE_NP, SVM_FEATURE_NP | SVM_FEATURE_FLUSH_BY_ASID};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        svm_caps.features = features[i];
        svm_ops.run(vcpu);
        svm_ops.vcpu_reset(vcpu, real_mode());
        svm_ops.run(vcpu);
        assert_in_range(vmcb->control.guest_asid, 1, 3);
    }
}

/* --- exits --- */

static void assert_kind(uint64_t code, enum exit_kind kind)
{
    (void)leave(code, 0, 0);
    assert_int_equal(vcpu->exit.kind, kind);
    assert_int_equal(handled, 1);
}

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

/* --- events --- */

static void test_injection_is_as_in_the_manual(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_INTERRUPT, .vector = 0x30});
    assert_int_equal(vmcb->control.event_inj, 0x80000030);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_PF, .has_error_code = true, .error_code = 7});
    assert_int_equal(vmcb->control.event_inj, 0x780000b0e);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    assert_int_equal(vmcb->control.event_inj, 0x80000202);
}

static void interrupt_event(uint64_t info)
{
    vcpu->event.type = EVENT_NONE;
    vmcb->control.exit_int_info = info;
    verdict_of_handler = VERDICT_RESUME;
    (void)leave(VMEXIT_NPF, 0, 0);
    vmcb->control.exit_int_info = 0;
}

static void test_an_interrupted_event_comes_again(void **state)
{
    (void)state;
    begin();
    interrupt_event(0x80000031);
    assert_int_equal(vcpu->event.type, EVENT_INTERRUPT);
    assert_int_equal(vcpu->event.vector, 0x31);
    assert_true(vcpu->requests & REQUEST_EVENT);
    interrupt_event(0x1280000b0d);
    assert_int_equal(vcpu->event.type, EVENT_EXCEPTION);
    assert_true(vcpu->event.has_error_code);
    assert_int_equal(vcpu->event.error_code, 0x12);
    interrupt_event(0x80000202);
    assert_int_equal(vcpu->event.type, EVENT_NMI);
    interrupt_event(0x80000480); /* INT 80h is executed again */
    assert_int_equal(vcpu->event.type, EVENT_NONE);
    interrupt_event(0x80000303); /* and so is INT3 */
    assert_int_equal(vcpu->event.type, EVENT_NONE);
}

static void test_the_interrupt_window(void **state)
{
    (void)state;
    begin();
    assert_false(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    vmcb->state.rflags |= RFLAGS_IF;
    assert_true(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    assert_false(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_VINTR));
    assert_int_equal(vmcb->control.v_intr & (V_IRQ | V_IGN_TPR), V_IRQ | V_IGN_TPR);
    verdict_of_handler = VERDICT_LEAVE;
    assert_kind(VMEXIT_VINTR, EXIT_WINDOW);
    assert_false(is_intercepted(INTERCEPT_MISC1, MISC1_VINTR));
    assert_int_equal(vmcb->control.v_intr & V_IRQ, 0);
}

static void end_step(uint64_t flags_after)
{
    vmcb->state.rflags = flags_after;
    vmcb->state.dr6 = DR6_INIT | DR6_BS;
    (void)leave(VMEXIT_EXCP_DB, 0, 0);
}

static void test_nmis_wait_for_the_iret(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_kind(VMEXIT_IRET, EXIT_WINDOW);
    assert_false(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI)); /* it is only about to be executed */
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    end_step(RFLAGS_ONE | RFLAGS_TF); /* what it popped is the guest's */
    assert_int_equal(vcpu->exit.kind, EXIT_WINDOW);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    assert_int_equal(vmcb->state.dr6, DR6_INIT);
}

/* The fault's frame shows the flags: they are the guest's, and the NMI waits for the next IRET. */
static void test_an_iret_that_faults_shows_no_trap_flag(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    verdict_of_handler = VERDICT_LEAVE;
    assert_kind(VMEXIT_IRET, EXIT_WINDOW);
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_GP | 1u << X86_PF | 1u << X86_SS | 1u << X86_NP));
    (void)leave(VMEXIT_EXCP0 + X86_PF, 2, 0x123456789000);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_PF);
    assert_int_equal(vcpu->exit.exception.error_code, 2);
    assert_int_equal(vmcb->state.cr2, 0x123456789000);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_PF, .has_error_code = true});
    assert_false(vmcb->state.rflags & RFLAGS_TF);
    assert_false(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_PF));
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, EXCEPTIONS_TAKEN));
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    (void)leave(VMEXIT_IRET, 0, 0);
    end_step(RFLAGS_ONE);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_false(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_PF));
}

/* A guest that steps itself keeps its flag. */
static void test_what_comes_before_a_step_leaves_the_guests_trap_flag(void **state)
{
    (void)state;
    begin();
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    vmcb->state.rflags |= RFLAGS_TF;
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_UD});
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION); /* not ours */
}

static void test_an_nmi_waits_for_the_end_of_a_shadow(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    vmcb->control.interrupt_shadow = 0;
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_WINDOW);
    assert_int_equal(vmcb->state.rflags, RFLAGS_ONE);
}

/* The guest steps itself: the trap is its own, too. */
static void test_a_guest_that_steps_gets_its_trap(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    vmcb->state.rflags |= RFLAGS_TF;
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_DB);
    assert_true(vcpu->exit.exception.detail & DR6_BS);
    assert_true(vmcb->state.rflags & RFLAGS_TF);
}

static void test_an_nmi_behind_another_event_kicks(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_INTERRUPT, .vector = 0x30});
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    assert_int_equal(kicks, 1);
    assert_false(vmcb->state.rflags & RFLAGS_TF);
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI)); /* the entry is taken */
    verdict_of_handler = VERDICT_LEAVE;
    (void)leave(VMEXIT_NMI, 0, 0);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
}

static void test_an_emulated_instruction_is_a_step_as_well(void **state)
{
    (void)state;
    begin();
    vmcb->state.rflags |= RFLAGS_TF;
    CODE("\x0f\xa2");
    assert_int_equal(leave(VMEXIT_CPUID, 0, 0), VERDICT_LEAVE);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_true(vmcb->state.dr6 & DR6_BS);
}

static void test_int1_is_a_trap(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_RESUME;
    CODE("\xf1");
    (void)leave(VMEXIT_ICEBP, 0, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_DB);
    assert_int_equal(vcpu->exit.exception.detail, 0);
    assert_int_equal(vmcb->state.rip, CODE_AT + 1);
}

/* --- the task priority --- */

static void test_the_tpr_is_one_register(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_RESUME;
    vmcb->control.v_intr |= 9; /* the guest wrote CR8 */
    (void)leave(VMEXIT_NPF, 0, 0);
    assert_int_equal(lapic_tpr(vcpu->lapic), 0x90);
    lapic_set_tpr(vcpu->lapic, 0x35); /* and now the memory-mapped register */
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.v_intr & V_TPR_MASK, 3);
    (void)leave(VMEXIT_NPF, 0, 0);
    assert_int_equal(lapic_tpr(vcpu->lapic), 0x35); /* its low bits are not CR8's */
}

static bool is_cr8_intercepted(void)
{
    return is_intercepted(INTERCEPT_CR, CR_WRITE(8));
}

/* QEMU's own assertion fails when CR8 is written while a virtual interrupt is pending. */
static void test_cr8_is_not_written_under_a_window(void **state)
{
    (void)state;
    begin();
    svm_caps.uses_virtual_tpr = true;
    vmcb_change_intercepts(vmcb, INTERCEPT_CR, CR_WRITE(8), false);
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_true(is_cr8_intercepted());
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, false);
    assert_false(is_cr8_intercepted());
    svm_caps.uses_virtual_tpr = false; /* each write has to be seen anyway */
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, false);
    assert_true(is_cr8_intercepted());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_vmrun_checks),
        TEST(test_the_hosts_own_makes_exits),
        TEST(test_the_permission_maps_follow_the_policy),
        TEST(test_segments_survive_packing),
        TEST(test_bits_that_are_not_the_guests),
        TEST(test_what_changes_is_not_clean),
        TEST(test_tags_are_renewed_by_a_flush),
        TEST(test_a_reset_vcpu_has_a_tag),
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
        TEST(test_injection_is_as_in_the_manual),
        TEST(test_an_interrupted_event_comes_again),
        TEST(test_the_interrupt_window),
        TEST(test_nmis_wait_for_the_iret),
        TEST(test_an_iret_that_faults_shows_no_trap_flag),
        TEST(test_what_comes_before_a_step_leaves_the_guests_trap_flag),
        TEST(test_an_nmi_waits_for_the_end_of_a_shadow),
        TEST(test_a_guest_that_steps_gets_its_trap),
        TEST(test_an_nmi_behind_another_event_kicks),
        TEST(test_an_emulated_instruction_is_a_step_as_well),
        TEST(test_int1_is_a_trap),
        TEST(test_the_tpr_is_one_register),
        TEST(test_cr8_is_not_written_under_a_window),
        TEST(test_ports_are_passed_to_one_vcpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
