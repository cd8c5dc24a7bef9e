/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/svm_rig.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/pcpu.h"
#include "arch/x86/svm/svm_exit.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/pt.h"

struct fake_vcpu f;
struct vcpu *const vcpu = &f.vcpu;
struct vmcb *vmcb;
enum verdict verdict_of_handler;
unsigned handled, kicks, interrupts_taken;

static struct pt stage2;
static const struct vcpu_ops *fake_ops;

/* --- what the engine meets outside itself --- */

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

const struct vcpu_start *real_mode(void)
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

int svm_rig_set_up(void **state)
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

int svm_rig_tear_down(void **state)
{
    (void)state;
    svm_ops.vcpu_destroy(vcpu);
    vcpu_ops = fake_ops;
    fake_vcpu_free(&f);
    return 0;
}

void begin(void)
{
    fake_cpu_begin();
    svm_ops.vcpu_reset(vcpu, real_mode());
}

void enter_long_mode(void)
{
    vmcb->state.efer |= EFER_LME | EFER_LMA;
    vmcb->state.cs.attributes |= VMCB_ATTR_L;
    /* The walk is off: CR0.PG stays 0, what is linear is physical. */
}

void write_code(const char *bytes, size_t count)
{
    memset(f.ram + CODE_AT, 0xcc, 32);
    memcpy(f.ram + CODE_AT, bytes, count);
}

enum verdict leave(uint64_t code, uint64_t info1, uint64_t info2)
{
    vmcb->control.exit_code = code;
    vmcb->control.exit_info1 = info1;
    vmcb->control.exit_info2 = info2;
    vcpu->requests = 0;
    handled = 0;
    return svm_handle_exit(vcpu);
}

void assert_kind(uint64_t code, enum exit_kind kind)
{
    (void)leave(code, 0, 0);
    assert_int_equal(vcpu->exit.kind, kind);
    assert_int_equal(handled, 1);
}

bool is_intercepted(enum intercept_word word, uint32_t bits)
{
    return (vmcb->control.intercepts[word] & bits) == bits;
}
