/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From AMD-V's exit code to the neutral exit: the table below has a row for every code that an intercept of vmcb.c can
 * make. This path runs for every exit.
 */
#include "arch/x86/svm/svm_exit.h"
#include "arch/arch.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/svm_avic.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_event.h"
#include "arch/x86/svm/svm_insn.h"
#include "arch/x86/svm/vmcb.h"
#include "drivers/virt/lapic.h"

/* The instruction before is over, and with it the shadow of STI or MOV SS. Outside 64-bit mode RIP is EIP, which wraps around. */
static void go_to(struct vmcb *vmcb, uint64_t rip)
{
    vmcb->state.rip = vmcb_is_64_bit(vmcb) ? rip : (uint32_t)rip;
    vmcb->control.interrupt_shadow &= ~INTERRUPT_SHADOW;
}

/* --- filling in: one function a kind that needs one; false: the guest goes on, with what was raised --- */

/* The exit leaves it pending: it comes as soon as we let it. */
static bool fill_interrupt(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    (void)vcpu;
    (void)exit;
    arch_take_interrupts();
    return true;
}

static bool fill_exception(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb *vmcb = svm_of(vcpu)->vmcb;

    exit->exception.vector = (uint8_t)(vmcb->control.exit_code - VMEXIT_EXCP0);
    exit->exception.has_error_code = X86_EXCEPTIONS_WITH_ERROR_CODE & 1u << exit->exception.vector;
    exit->exception.error_code = (uint32_t)vmcb->control.exit_info1;
    exit->exception.detail = vmcb->state.dr6 & DR6_CAUSES;
    return true;
}

/* Taken only while we step. The exit has left CR2 as it was. */
static bool fill_fault(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;

    if (c->exit_code == VMEXIT_EXCP0 + X86_PF)
        vcpu_ops->set(vcpu, VCPU_CR2, c->exit_info2);
    return fill_exception(vcpu, exit);
}

static bool fill_debug_exception(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    if (!svm_end_step(vcpu))
        return fill_exception(vcpu, exit);
    exit->kind = EXIT_WINDOW;
    return true;
}

/* INT1 is a trap: what is pushed is the next instruction. It leaves no mark in DR6. */
static bool fill_icebp(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct svm_vcpu *v = svm_of(vcpu);

    if (!svm_insn_skip(vcpu, 0xf1, 1))
        return false;
    go_to(v->vmcb, v->next_rip);
    exit->exception.vector = X86_DB;
    exit->exception.has_error_code = false;
    exit->exception.detail = 0;
    return true;
}

static bool fill_iret(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    (void)exit;
    svm_begin_iret(vcpu);
    return true;
}

static bool fill_window(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    (void)exit;
    svm_want_window(vcpu, WINDOW_INTERRUPT, false);
    return true;
}

/* QEMU's emulation of AMD-V has no intercept of XSETBV; of XCR0, a guest sees what CPUID says to it. */
static bool fill_cpuid(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    (void)exit;
    cr_adopt_xcr0(vcpu);
    return svm_insn_skip(vcpu, 0x0f, 2);
}

static bool fill_msr(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    if (svm_of(vcpu)->vmcb->control.exit_info1)
        exit->kind = EXIT_WRMSR;
    return svm_insn_skip(vcpu, 0x0f, 2);
}

/* APM 2, "IOIO Intercepts": EXITINFO2 is the next RIP. */
static bool fill_io(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct svm_vcpu *v = svm_of(vcpu);
    uint64_t info = v->vmcb->control.exit_info1;

    exit->io.port = (uint16_t)(info >> IOIO_PORT_SHIFT);
    exit->io.width = info >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK;
    exit->io.is_in = info & IOIO_IN;
    exit->io.is_string = info & IOIO_STRING;
    exit->io.has_rep = info & IOIO_REP;
    v->next_rip = v->vmcb->control.exit_info2;
    return true;
}

/* APM 2, "Nested versus Guest Page Faults, Fault Ordering", "Guest Instruction Bytes" */
static bool fill_memory(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;

    exit->memory.address = GPA(c->exit_info2);
    exit->memory.is_write = c->exit_info1 & NPF_WRITE;
    exit->memory.is_fetch = c->exit_info1 & NPF_FETCH;
    exit->fetched_bytes = svm_has(SVM_FEATURE_DECODE_ASSISTS) ? c->fetched_bytes : 0;
    exit->fetched = c->instruction;
    return true;
}

static bool fill_cr(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t code = svm_of(vcpu)->vmcb->control.exit_code;

    exit->cr.number = code == VMEXIT_CR0_SEL_WRITE ? 0 : code & 15;
    return svm_insn_decode_cr(vcpu, exit);
}

/* The first one since the vCPU was loaded: the next ones are the guest's own. */
static bool fill_debug_register(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    (void)exit;
    vmcb_change_intercepts(svm_of(vcpu)->vmcb, INTERCEPT_DR, VMCB_DR_INTERCEPTS, false);
    return true;
}

static bool fill_hardware(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;

    exit->hardware.reason = (uint32_t)c->exit_code;
    exit->hardware.qualification = c->exit_info1;
    return true;
}

/* --- the table --- */

struct exit_row {
    uint8_t kind;
    uint8_t opcode, length; /* of an instruction without operands, behind its prefixes: RIP goes past it */
    bool (*fill)(struct vcpu *vcpu, struct vcpu_exit *exit);
};

#define FAULT(vector) [VMEXIT_EXCP0 + (vector)] = {.kind = EXIT_EXCEPTION, .fill = fill_fault}

static const struct exit_row low_rows[VMEXIT_LOW_CODES] = {
    /* A code without a row stops the VM: nothing enables it. */
    [VMEXIT_CR0_READ] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR4_READ] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR8_READ] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR0_WRITE] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR4_WRITE] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR8_WRITE] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_CR0_SEL_WRITE] = {.kind = EXIT_CR, .fill = fill_cr},
    [VMEXIT_DR0_READ ... VMEXIT_DR3_READ] = {.kind = EXIT_DEBUG_REGISTER, .fill = fill_debug_register},
    [VMEXIT_DR0_WRITE ... VMEXIT_DR3_WRITE] = {.kind = EXIT_DEBUG_REGISTER, .fill = fill_debug_register},
    [VMEXIT_DR7_WRITE] = {.kind = EXIT_DEBUG_REGISTER, .fill = fill_debug_register},
    [VMEXIT_EXCP_DB] = {.kind = EXIT_EXCEPTION, .fill = fill_debug_exception},
    [VMEXIT_EXCP_AC] = {.kind = EXIT_EXCEPTION, .fill = fill_exception},
    [VMEXIT_EXCP_MC] = {.kind = EXIT_EXCEPTION, .fill = fill_exception},
    FAULT(X86_DE), FAULT(X86_BR), FAULT(X86_UD), FAULT(X86_NM), FAULT(X86_TS), FAULT(X86_NP),
    FAULT(X86_SS), FAULT(X86_GP), FAULT(X86_PF), FAULT(X86_MF), FAULT(X86_XM), FAULT(X86_CP),
    [VMEXIT_ICEBP] = {.kind = EXIT_EXCEPTION, .fill = fill_icebp},
    [VMEXIT_INTR] = {.kind = EXIT_INTERRUPT, .fill = fill_interrupt},
    [VMEXIT_NMI] = {.kind = EXIT_INTERRUPT}, /* it came with STGI */
    [VMEXIT_INIT] = {.kind = EXIT_INIT},
    [VMEXIT_VINTR] = {.kind = EXIT_WINDOW, .fill = fill_window},
    [VMEXIT_IRET] = {.kind = EXIT_WINDOW, .fill = fill_iret},
    [VMEXIT_IOIO] = {.kind = EXIT_IO, .fill = fill_io},
    [VMEXIT_MSR] = {.kind = EXIT_RDMSR, .fill = fill_msr},
    [VMEXIT_CPUID] = {.kind = EXIT_CPUID, .fill = fill_cpuid},
    [VMEXIT_VMMCALL] = {.kind = EXIT_HYPERCALL, .opcode = 0x0f, .length = 3},
    [VMEXIT_XSETBV] = {.kind = EXIT_XSETBV, .opcode = 0x0f, .length = 3},
    [VMEXIT_HLT] = {.kind = EXIT_HLT, .opcode = 0xf4, .length = 1},
    [VMEXIT_PAUSE] = {.kind = EXIT_PAUSE, .opcode = 0x90, .length = 1},
    [VMEXIT_INVD] = {.kind = EXIT_CACHE, .opcode = 0x0f, .length = 2},
    [VMEXIT_WBINVD] = {.kind = EXIT_CACHE, .opcode = 0x0f, .length = 2},
    [VMEXIT_SHUTDOWN] = {.kind = EXIT_SHUTDOWN},
    [VMEXIT_RDPMC] = {.kind = EXIT_PROTECTED},
    [VMEXIT_RSM] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_INVLPGA] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_VMRUN] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_VMLOAD] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_VMSAVE] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_STGI] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_CLGI] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_SKINIT] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_MONITOR] = {.kind = EXIT_UNDEFINED}, /* CPUID says that there is none, and none of the following */
    [VMEXIT_MWAIT] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_MWAIT_ARMED] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_RDPRU] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_INVLPGB] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_INVLPGB_ILLEGAL] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_MCOMMIT] = {.kind = EXIT_UNDEFINED},
    [VMEXIT_TLBSYNC] = {.kind = EXIT_UNDEFINED},
};

/* Those that only a feature makes. */
static const struct {
    uint64_t code;
    uint32_t feature;
    struct exit_row row;
} high_rows[] = {
    {VMEXIT_NPF, SVM_FEATURE_NP, {.kind = EXIT_MEMORY, .fill = fill_memory}},
    {VMEXIT_AVIC_INCOMPLETE_IPI, SVM_FEATURE_AVIC, {.kind = EXIT_APIC_WRITE, .fill = svm_avic_fill_incomplete_ipi}},
    {VMEXIT_AVIC_NOACCEL, SVM_FEATURE_AVIC, {.kind = EXIT_APIC_WRITE, .fill = svm_avic_fill_unaccelerated}},
};

static const struct exit_row unexpected = {.kind = EXIT_UNEXPECTED, .fill = fill_hardware};
static const struct exit_row invalid = {.kind = EXIT_ENTRY_FAILED, .fill = fill_hardware};

static const struct exit_row *find_row(uint64_t code)
{
    if (likely(code < ARRAY_SIZE(low_rows)))
        return low_rows[code].kind == EXIT_UNEXPECTED ? &unexpected : &low_rows[code];
    for (unsigned i = 0; i < ARRAY_SIZE(high_rows); i++)
        if (code == high_rows[i].code && svm_has(high_rows[i].feature))
            return &high_rows[i].row;
    return (int32_t)code == VMEXIT_INVALID ? &invalid : &unexpected;
}

/* Whether there is something to handle. */
static bool fill_in(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct exit_row *row = find_row(svm_of(vcpu)->vmcb->control.exit_code);

    exit->kind = row->kind;
    if (row->length)
        return svm_insn_skip(vcpu, row->opcode, row->length);
    return !row->fill || row->fill(vcpu, exit);
}

/* --- the way in and out --- */

/* RF kept an instruction breakpoint off this instruction only; a trap flag that it ran under is due. */
static COLD void settle_flags(struct vcpu *vcpu, struct vmcb *vmcb)
{
    vmcb->state.rflags &= ~RFLAGS_RF;
    if (!(vmcb->state.rflags & RFLAGS_TF))
        return;
    vmcb->state.dr6 |= DR6_BS;
    vmcb->control.clean &= ~(uint32_t)CLEAN_DR;
    if (!svm_end_step(vcpu))
        event_raise_debug(vcpu, DR6_BS);
}

/* An instruction that we emulated is over. */
static void advance(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    const struct svm_vcpu *v = svm_of(vcpu);
    struct vmcb *vmcb = v->vmcb;

    go_to(vmcb, exit->kind == EXIT_MEMORY ? vmcb->state.rip + vcpu->emulated_length : v->next_rip);
    if (unlikely(vmcb->state.rflags & (RFLAGS_TF | RFLAGS_RF)))
        settle_flags(vcpu, vmcb);
}

/* Everything in the VMCB is as the CPU knows it; what changes from here on clears its bit. */
static void take_state(struct vcpu *vcpu)
{
    struct vmcb *vmcb = svm_of(vcpu)->vmcb;
    uint64_t tpr = vmcb->control.v_intr & V_TPR_MASK;

    vcpu->gpr[GPR_RAX] = vmcb->state.rax;
    vmcb->control.clean = svm_has(SVM_FEATURE_VMCB_CLEAN) ? CLEAN_ALL : 0;
    vmcb->control.tlb_control = TLB_KEEP;
    vmcb->control.event_inj = 0;
    if (unlikely(tpr != lapic_tpr(vcpu->lapic) >> 4))
        lapic_set_tpr(vcpu->lapic, (uint8_t)(tpr << 4));
    svm_keep_interrupted_event(vcpu);
    if (unlikely(svm_of(vcpu)->looks_again)) {
        svm_of(vcpu)->looks_again = false;
        vcpu_request(vcpu, REQUEST_EVENT);
    }
}

enum verdict svm_handle_exit(struct vcpu *vcpu)
{
    struct vcpu_exit *exit = &vcpu->exit;
    enum verdict verdict = VERDICT_RESUME;
    bool is_filled;

    take_state(vcpu);
    is_filled = fill_in(vcpu, exit);
    vcpu_trace(vcpu, exit);
    if (likely(is_filled))
        verdict = exit_handle(vcpu, exit);
    if (verdict == VERDICT_NEXT || verdict == VERDICT_WAIT)
        advance(vcpu, exit);
    if (unlikely(svm_of(vcpu)->is_avic_stale))
        svm_avic_update(vcpu);
    if (unlikely(vcpu->requests != 0) && verdict <= VERDICT_NEXT)
        return VERDICT_LEAVE;
    if (verdict > VERDICT_NEXT)
        return verdict;
    svm_prepare_entry(vcpu);
    return VERDICT_RESUME;
}
