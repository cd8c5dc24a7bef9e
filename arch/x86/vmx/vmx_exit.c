/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From VT-x's reason to the neutral exit: the table below has a row for every basic exit reason of the
 * manual, and this path runs for every exit. It reads only the fields that the exit needs, because a
 * VMREAD is an exit itself where we are nested.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/vmcs.h"
#include "arch/x86/vmx/vmx_caps.h"
#include "arch/x86/vmx/vmx_ops.h"
#include "kernel/lib/assert.h"

/*
 * An event that the exit interrupted is delivered again (SDM 3C, "Information for VM Exits That Occur During Event
 * Delivery").
 */
static void keep_interrupted_event(struct vcpu *vcpu)
{
    static const uint8_t types[] = {
        [INTERRUPTION_EXTERNAL] = EVENT_INTERRUPT,
        [INTERRUPTION_NMI] = EVENT_NMI,
        [INTERRUPTION_HARDWARE_EXCEPTION] = EVENT_EXCEPTION,
        [INTERRUPTION_SOFTWARE] = EVENT_SOFTWARE_INTERRUPT,
        [INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION] = EVENT_PRIVILEGED_SOFTWARE_EXCEPTION,
        [INTERRUPTION_SOFTWARE_EXCEPTION] = EVENT_SOFTWARE_EXCEPTION,
        [7] = EVENT_NONE,
    };
    uint32_t info = (uint32_t)vmread(VMCS_IDT_VECTORING_INFO);

    if (likely(!(info & INTERRUPTION_VALID)))
        return;
    vcpu->event = (struct event){
        .type = types[(info & INTERRUPTION_TYPE_MASK) >> INTERRUPTION_TYPE_SHIFT],
        .vector = (uint8_t)info,
        .has_error_code = info & INTERRUPTION_ERROR_CODE,
    };
    if (vcpu->event.has_error_code)
        vcpu->event.error_code = (uint32_t)vmread(VMCS_IDT_VECTORING_ERROR_CODE);
    if (vcpu->event.type >= EVENT_SOFTWARE_INTERRUPT)
        vcpu->event.length = (uint32_t)vmread(VMCS_EXIT_INSTRUCTION_LENGTH);
    if (vcpu->event.type == EVENT_NMI) /* its blocking began with the delivery that failed */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)INTERRUPTIBILITY_NMI);
    vcpu_request(vcpu, REQUEST_EVENT);
}

/* --- instructions --- */

static COLD bool is_64_bit(void)
{
    return (vmread(VMCS_GUEST_EFER) & EFER_LMA) && (vmread(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * SEG_CS) & SEG_ATTR_L);
}

static COLD void wrap_rip(uint64_t rip)
{
    vmwrite(VMCS_GUEST_RIP, is_64_bit() ? rip : (uint32_t)rip);
}

/* RIP goes past so many bytes. Outside 64-bit mode it is EIP, and VM entry refuses more. */
static inline void skip(uint64_t length)
{
    uint64_t rip = vmread(VMCS_GUEST_RIP) + length;

    vmwrite(VMCS_GUEST_RIP, rip);
    if (unlikely((uint32_t)rip < (uint32_t)length))
        wrap_rip(rip);
}

/* --- filling in: one function a kind that needs one --- */

/*
 * The exit leaves NMIs blocked until an IRET (SDM 3C, "Loading Host Non-Register State"); the handler of vector 2
 * ends in one.
 */
static void take_nmi(void)
{
    __asm__ volatile("int %0" : : "i"(X86_NMI) : "memory");
}

/*
 * INT1 is a trap: what is pushed is the next instruction; it leaves no mark in DR6, whatever is pending. Any other #DB
 * that comes in the shadow of STI or MOV SS would not get past VM entry's checks of a guest that single-steps: they want
 * the step pending, and the exit has cleared it (SDM 3C, "Checks on Guest Non-Register State"). The injected #DB takes
 * its place.
 */
static void settle_debug_exception(struct vcpu *vcpu, uint32_t info)
{
    const uint64_t shadow = INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;
    uint64_t blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    if ((info & INTERRUPTION_TYPE_MASK) == INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION << INTERRUPTION_TYPE_SHIFT) {
        skip(vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~shadow);
        vcpu->exit.exception.detail = 0;
    } else if ((blocked & shadow) && (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)) {
        vmwrite(VMCS_GUEST_PENDING_DEBUG, DR6_BS);
    }
}

static void fill_exception(struct vcpu *vcpu)
{
    uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);

    if ((info & INTERRUPTION_TYPE_MASK) == INTERRUPTION_NMI << INTERRUPTION_TYPE_SHIFT) {
        vcpu->exit.kind = EXIT_INTERRUPT;
        take_nmi();
        return;
    }
    keep_interrupted_event(vcpu);
    vcpu->exit.exception.vector = (uint8_t)info;
    vcpu->exit.exception.has_error_code = info & INTERRUPTION_ERROR_CODE;
    vcpu->exit.exception.error_code = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_ERROR_CODE);
    vcpu->exit.exception.detail = vmread(VMCS_EXIT_QUALIFICATION);
    if (vcpu->exit.exception.vector == X86_DB)
        settle_debug_exception(vcpu, info);
}

static void fill_interrupt(struct vcpu *vcpu)
{
    (void)vcpu;
    trap_interrupt(vmread(VMCS_EXIT_INTERRUPTION_INFO) & INTERRUPTION_VECTOR_MASK);
}

static void fill_timeslice(struct vcpu *vcpu)
{
    (void)vcpu;
    vmx_start_slice();
}

/* SDM 3C, "Exit Qualification for I/O Instructions" */
static void fill_io(struct vcpu *vcpu)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);

    vcpu->exit.io.port = (uint16_t)(q >> 16);
    vcpu->exit.io.width = (uint8_t)((q & 7) + 1);
    vcpu->exit.io.is_in = q & 8;
    vcpu->exit.io.is_string = q & 16;
    vcpu->exit.io.has_rep = q & 32;
}

/* SDM 3C, "Exit Qualification for EPT Violations" */
/* SDM 3C, "Information About NMI Unblocking Due to IRET": it did not come to its end, and NMIs are no longer blocked. */
static COLD void keep_event_or_iret(struct vcpu *vcpu)
{
    if (!(vmread(VMCS_IDT_VECTORING_INFO) & INTERRUPTION_VALID))
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
    keep_interrupted_event(vcpu);
}

static void fill_memory(struct vcpu *vcpu)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);

    vcpu->exit.memory.address = GPA(vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
    vcpu->exit.memory.is_write = q & 2;
    vcpu->exit.memory.is_fetch = q & 4;
    if (unlikely(q & QUALIFICATION_NMI_UNBLOCKED))
        keep_event_or_iret(vcpu);
    else
        keep_interrupted_event(vcpu);
}

/*
 * SDM 3C, "Treatment of Task Switches". What goes on behind the instruction is the new task's, so a shadow is over; an
 * IRET ends the blocking of NMIs, and an NMI's task begins it.
 */
static void fill_task_switch(struct vcpu *vcpu)
{
    static const enum task_source sources[] = {TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE};
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI;
    const struct event *event = &vcpu->event;

    vcpu->exit.task.selector = (uint16_t)q;
    vcpu->exit.task.source = sources[q >> 30 & 3];
    keep_interrupted_event(vcpu);
    vcpu->exit.task.is_external = event->type != EVENT_NONE && event->type < EVENT_SOFTWARE_INTERRUPT;
    vcpu->exit.task.has_error_code = event->type != EVENT_NONE && event->has_error_code;
    vcpu->exit.task.error_code = event->error_code;
    vcpu->exit.task.length = vcpu->exit.task.is_external ? 0 : (uint32_t)vmread(VMCS_EXIT_INSTRUCTION_LENGTH);
    if (vcpu->exit.task.source == TASK_IRET)
        blocked = 0;
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, event->type == EVENT_NMI ? blocked | INTERRUPTIBILITY_NMI : blocked);
}

/* The page that stands for the APIC exists in EPT only to be recognised; the access is emulated like any MMIO. */
static void fill_apic_access(struct vcpu *vcpu)
{
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);

    vcpu->exit.memory.address = GPA(0xfee00000 + (q & 0xfff));
    vcpu->exit.memory.is_write = (q >> 12 & 15) == 1;
    vcpu->exit.memory.is_fetch = (q >> 12 & 15) == 2;
    keep_interrupted_event(vcpu);
}

/* Outside 64-bit mode the upper half of a register is whatever 64-bit code has left there. */
static uint64_t mov_operand(uint64_t value)
{
    return likely(value >> 32 == 0) || is_64_bit() ? value : (uint32_t)value;
}

/* SDM 3C, "Exit Qualification for Control-Register Accesses" */
static void fill_cr(struct vcpu *vcpu)
{
    enum { TO_CR, FROM_CR, CLTS, LMSW };
    uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
    unsigned access = q >> 4 & 3;

    vcpu->exit.cr.number = q & 15;
    vcpu->exit.cr.gpr = q >> 8 & 15;
    vcpu->exit.cr.width = 8;
    vcpu->exit.cr.is_read = access == FROM_CR;
    vcpu->gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
    if (access == CLTS) {
        vcpu->exit.cr.value = vmcs_get_cr0() & ~CR0_TS;
    } else if (access == LMSW) { /* sets PE, but never clears it */
        uint64_t source = q >> 16 & 0xf, cr0 = vmcs_get_cr0();
        vcpu->exit.cr.value = (cr0 & ~0xeul) | source;
    } else {
        vcpu->exit.cr.value = mov_operand(vcpu->gpr[vcpu->exit.cr.gpr]);
    }
}

static void fill_eoi(struct vcpu *vcpu)
{
    vcpu->exit.vector = (uint8_t)vmread(VMCS_EXIT_QUALIFICATION);
}

static void fill_apic_write(struct vcpu *vcpu)
{
    vcpu->exit.apic_offset = vmread(VMCS_EXIT_QUALIFICATION) & 0xff0;
}

static void fill_window(struct vcpu *vcpu)
{
    vmx_ops.want_window(vcpu, WINDOW_INTERRUPT, false);
    vmx_ops.want_window(vcpu, WINDOW_NMI, false);
}

/* VM entry refuses a threshold above the TPR: the next one is set from what is pending then, if anything is. */
static void fill_tpr_lowered(struct vcpu *vcpu)
{
    (void)vcpu;
    vmwrite(VMCS_TPR_THRESHOLD, 0);
}

/* The first one since the vCPU was loaded: the next ones are the guest's own. */
static void fill_debug_register(struct vcpu *vcpu)
{
    write_dr6(vcpu->dr6);
    vmcs_change_proc_controls(vcpu, 0, PROC_MOV_DR_EXITING);
}

/* The kind says it all. */
static void fill_nothing(struct vcpu *vcpu)
{
    (void)vcpu;
}

static void fill_hardware(struct vcpu *vcpu)
{
    vcpu->exit.hardware.reason = (uint32_t)vmread(VMCS_EXIT_REASON);
    vcpu->exit.hardware.qualification = vmread(VMCS_EXIT_QUALIFICATION);
}

/* Nothing that we enable makes it, or it means that we erred: this VM stops. */
#define UNEXPECTED {EXIT_UNEXPECTED, fill_hardware}

static const struct exit_row {
    uint8_t kind;
    void (*fill)(struct vcpu *vcpu); /* the rest of vcpu->exit; may think better of the kind. Never NULL */
} exit_rows[VMX_EXIT_REASONS] = {
    [VMX_EXIT_EXCEPTION_OR_NMI] = {EXIT_EXCEPTION, fill_exception},
    [VMX_EXIT_EXTERNAL_INTERRUPT] = {EXIT_INTERRUPT, fill_interrupt},
    [VMX_EXIT_TRIPLE_FAULT] = {EXIT_SHUTDOWN, fill_nothing},
    [VMX_EXIT_INIT] = {EXIT_INIT, fill_nothing},
    [VMX_EXIT_SIPI] = UNEXPECTED,
    [VMX_EXIT_IO_SMI] = UNEXPECTED,
    [VMX_EXIT_SMI] = UNEXPECTED,
    [VMX_EXIT_INTERRUPT_WINDOW] = {EXIT_WINDOW, fill_window},
    [VMX_EXIT_NMI_WINDOW] = {EXIT_WINDOW, fill_window},
    [VMX_EXIT_TASK_SWITCH] = {EXIT_TASK_SWITCH, fill_task_switch},
    [VMX_EXIT_CPUID] = {EXIT_CPUID, fill_nothing},
    [VMX_EXIT_GETSEC] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_HLT] = {EXIT_HLT, fill_nothing},
    [VMX_EXIT_INVD] = {EXIT_CACHE, fill_nothing},
    [VMX_EXIT_INVLPG] = UNEXPECTED, /* the guest's own, as EPT is on */
    [VMX_EXIT_RDPMC] = {EXIT_PROTECTED, fill_nothing},
    [VMX_EXIT_RDTSC] = UNEXPECTED,
    [VMX_EXIT_RSM] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMCALL] = {EXIT_HYPERCALL, fill_nothing},
    [VMX_EXIT_VMCLEAR] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMLAUNCH] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMPTRLD] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMPTRST] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMREAD] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMRESUME] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMWRITE] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMXOFF] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMXON] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_CR_ACCESS] = {EXIT_CR, fill_cr},
    [VMX_EXIT_MOV_DR] = {EXIT_DEBUG_REGISTER, fill_debug_register},
    [VMX_EXIT_IO] = {EXIT_IO, fill_io},
    [VMX_EXIT_RDMSR] = {EXIT_RDMSR, fill_nothing},
    [VMX_EXIT_WRMSR] = {EXIT_WRMSR, fill_nothing},
    [VMX_EXIT_BAD_GUEST_STATE] = UNEXPECTED,
    [VMX_EXIT_BAD_MSR_LOAD] = UNEXPECTED,
    [VMX_EXIT_MWAIT] = {EXIT_UNDEFINED, fill_nothing}, /* CPUID says that there is none */
    [VMX_EXIT_MONITOR_TRAP] = UNEXPECTED,
    [VMX_EXIT_MONITOR] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_PAUSE] = {EXIT_PAUSE, fill_nothing},
    [VMX_EXIT_MACHINE_CHECK] = UNEXPECTED,
    [VMX_EXIT_TPR_BELOW_THRESHOLD] = {EXIT_TPR_LOWERED, fill_tpr_lowered},
    [VMX_EXIT_APIC_ACCESS] = {EXIT_MEMORY, fill_apic_access},
    [VMX_EXIT_VIRTUALIZED_EOI] = {EXIT_EOI, fill_eoi},
    [VMX_EXIT_GDTR_IDTR] = UNEXPECTED,
    [VMX_EXIT_LDTR_TR] = UNEXPECTED,
    [VMX_EXIT_EPT_VIOLATION] = {EXIT_MEMORY, fill_memory},
    [VMX_EXIT_EPT_MISCONFIGURATION] = UNEXPECTED,
    [VMX_EXIT_INVEPT] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_RDTSCP] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_PREEMPTION_TIMER] = {EXIT_TIMESLICE, fill_timeslice},
    [VMX_EXIT_INVVPID] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_WBINVD] = {EXIT_CACHE, fill_nothing},
    [VMX_EXIT_XSETBV] = {EXIT_XSETBV, fill_nothing},
    [VMX_EXIT_APIC_WRITE] = {EXIT_APIC_WRITE, fill_apic_write},
    [VMX_EXIT_RDRAND] = UNEXPECTED,
    [VMX_EXIT_INVPCID] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_VMFUNC] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_ENCLS] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_RDSEED] = UNEXPECTED,
    [VMX_EXIT_PML_FULL] = UNEXPECTED,
    [VMX_EXIT_XSAVES] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_XRSTORS] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_PCONFIG] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_SPP] = UNEXPECTED,
    [VMX_EXIT_UMWAIT] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_TPAUSE] = {EXIT_UNDEFINED, fill_nothing},
    [VMX_EXIT_LOADIWKEY] = {EXIT_UNDEFINED, fill_nothing},
    [35] = UNEXPECTED, /* of no meaning */
    [38] = UNEXPECTED, /* of no meaning */
    [42] = UNEXPECTED, /* of no meaning */
};

void vmx_check_exit_rows(void)
{
    for (unsigned i = 0; i < VMX_EXIT_REASONS; i++)
        ASSERT(exit_rows[i].fill);
}

/* RF kept an instruction breakpoint off this instruction only; a trap flag that it ran under is due. */
static COLD void settle_flags(struct vcpu *vcpu, uint64_t rflags)
{
    vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
    if (rflags & RFLAGS_TF)
        event_raise_debug(vcpu, DR6_BS);
}

/* An instruction that we emulated is over: RIP stands behind it, and the shadow of STI or MOV SS is gone. */
static inline void advance(struct vcpu *vcpu)
{
    const uint64_t shadow = INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;
    uint64_t blocked, rflags;

    /* Of an EPT violation the CPU need not tell the length. */
    uint64_t length = vcpu->exit.kind == EXIT_MEMORY ? vcpu->emulated_length : vmread(VMCS_EXIT_INSTRUCTION_LENGTH);

    skip(length);
    blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    rflags = vmread(VMCS_GUEST_RFLAGS);
    if (unlikely(blocked & shadow))
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~shadow);
    if (unlikely(rflags & (RFLAGS_RF | RFLAGS_TF)))
        settle_flags(vcpu, rflags);
}

/* What is rarer than an instruction that is done. */
static COLD enum verdict settle_verdict(struct vcpu *vcpu, enum verdict verdict)
{
    if (verdict & VERDICT_NEXT)
        advance(vcpu);
    return verdict == VERDICT_RESUME && vcpu->requests != 0 ? VERDICT_LEAVE : verdict;
}

static COLD enum verdict handle_refused_entry(struct vcpu *vcpu)
{
    vcpu->exit.kind = EXIT_ENTRY_FAILED;
    fill_hardware(vcpu);
    vcpu_trace(vcpu, &vcpu->exit);
    return exit_handle(vcpu, &vcpu->exit);
}

enum verdict vmx_handle_exit(struct vcpu *vcpu)
{
    uint64_t reason = vmread(VMCS_EXIT_REASON);
    enum verdict verdict;

    if (unlikely(reason >= VMX_EXIT_REASONS)) /* bit 31: the guest's state is none */
        return handle_refused_entry(vcpu);
    vcpu->exit.kind = exit_rows[reason].kind;
    exit_rows[reason].fill(vcpu);
    vcpu_trace(vcpu, &vcpu->exit);
    verdict = exit_handle(vcpu, &vcpu->exit);
    if (unlikely(verdict != VERDICT_NEXT))
        return settle_verdict(vcpu, verdict);
    advance(vcpu);
    if (unlikely(vcpu->requests != 0))
        return settle_verdict(vcpu, VERDICT_RESUME);
    return VERDICT_RESUME;
}

enum verdict vmx_entry_failed(struct vcpu *vcpu)
{
    vcpu_crash(vcpu, STOP_ERROR, "VM entry failed: VM-instruction error %lu", vmread(VMCS_INSTRUCTION_ERROR));
    return VERDICT_STOP;
}
