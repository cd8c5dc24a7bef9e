/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each neutral exit means for the guest. A row a kind; a handler changes the guest's state and
 * returns a verdict, and never moves RIP itself. Nothing a guest does may reach a panic from here.
 */
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/hypercall.h"
#include "arch/x86/guest/io.h"
#include "arch/x86/guest/mmio.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/task_switch.h"
#include "arch/x86/machine_check.h"
#include "arch/x86/regs.h"
#include "drivers/virt/lapic.h"
#include "kernel/lib/assert.h"

/* A 32-bit result clears the upper half of its register. */
static void set32(struct vcpu *vcpu, enum gpr which, uint32_t value)
{
    vcpu->gpr[which] = value;
}

static inline enum verdict answer_cpuid(struct vcpu *vcpu, const struct cpuid_result *r)
{
    set32(vcpu, GPR_RAX, r->eax);
    set32(vcpu, GPR_RBX, r->ebx);
    set32(vcpu, GPR_RCX, r->ecx);
    set32(vcpu, GPR_RDX, r->edx);
    return VERDICT_NEXT;
}

static COLD enum verdict handle_rare_cpuid(struct vcpu *vcpu)
{
    return answer_cpuid(vcpu,
                        guest_cpuid_find(vcpu->cpuid, (uint32_t)vcpu->gpr[GPR_RAX], (uint32_t)vcpu->gpr[GPR_RCX]));
}

static enum verdict handle_cpuid(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    const struct cpuid_result *r = guest_cpuid_find_direct(vcpu->cpuid, (uint32_t)vcpu->gpr[GPR_RAX]);

    (void)exit;
    return likely(r) ? answer_cpuid(vcpu, r) : handle_rare_cpuid(vcpu);
}

static enum verdict handle_interrupt(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    (void)exit;
    return VERDICT_LEAVE;
}

static enum verdict handle_window(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu_request(vcpu, REQUEST_EVENT);
    return VERDICT_LEAVE;
}

static enum verdict handle_hlt(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu->is_halted = true;
    return VERDICT_WAIT;
}

static enum verdict handle_nothing(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    (void)exit;
    return VERDICT_NEXT;
}

/* A spin lock whose holder may not be running. */
static enum verdict handle_pause(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    (void)exit;
    sched_yield();
    return VERDICT_NEXT;
}

static enum verdict handle_undefined(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu_raise(vcpu, X86_UD);
    return VERDICT_RESUME;
}

static enum verdict handle_protected(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu_raise_with_code(vcpu, X86_GP, 0);
    return VERDICT_RESUME;
}

/* The guest sees no banks: it goes on as if nothing had happened, or not at all. */
static COLD enum verdict handle_machine_check(struct vcpu *vcpu)
{
    switch (machine_check_take()) {
    case MACHINE_CHECK_NOTHING:
        return VERDICT_RESUME;
    case MACHINE_CHECK_WORK:
        vcpu_crash(vcpu, STOP_ERROR, "machine check");
        return VERDICT_STOP;
    default:
        panic("machine check: the CPU's state is corrupt");
    }
}

/* Taken only so that the CPU cannot be made to deliver them for ever; the guest gets them all the same. */
static enum verdict handle_exception(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (exit->exception.vector == X86_MC)
        return handle_machine_check(vcpu);
    if (exit->exception.vector == X86_DB)
        event_raise_debug(vcpu, exit->exception.detail);
    else if (exit->exception.has_error_code)
        vcpu_raise_with_code(vcpu, exit->exception.vector, exit->exception.error_code);
    else
        vcpu_raise(vcpu, exit->exception.vector);
    return VERDICT_RESUME;
}

static enum verdict handle_eoi(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    lapic_eoi_induced(vcpu->lapic, exit->vector);
    return VERDICT_RESUME;
}

static enum verdict handle_apic_write(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    lapic_write_trapped(vcpu->lapic, exit->apic_offset);
    return VERDICT_RESUME; /* trap-like: the instruction is over */
}

static enum verdict handle_shutdown(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu_crash(vcpu, STOP_TRIPLE_FAULT, "triple fault");
    return VERDICT_STOP;
}

static enum verdict handle_hardware(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    vcpu_crash(vcpu, STOP_ERROR, "%s: hardware reason %#x, qualification %#lx", exit_name(exit->kind),
               exit->hardware.reason, exit->hardware.qualification);
    return VERDICT_STOP;
}

static enum verdict handle_traced(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    enum verdict verdict;

    trace_exit(vcpu, exit);
    verdict = exit_kinds[exit->kind].handle(vcpu, exit);
    trace_handled(vcpu);
    return verdict;
}

#define ROW(kind, title, handler) [kind] = {title, handler}

const struct exit_kind_row exit_kinds[2 * EXIT_KINDS] = {
    ROW(EXIT_UNEXPECTED, "unexpected exit", handle_hardware),
    ROW(EXIT_CPUID, "cpuid", handle_cpuid),
    ROW(EXIT_HYPERCALL, "hypercall", hypercall_handle),
    ROW(EXIT_RDMSR, "rdmsr", msr_handle_read),
    ROW(EXIT_WRMSR, "wrmsr", msr_handle_write),
    ROW(EXIT_IO, "io", io_handle),
    ROW(EXIT_MEMORY, "mmio", mmio_handle),
    ROW(EXIT_INTERRUPT, "interrupt", handle_interrupt),
    ROW(EXIT_TIMESLICE, "timeslice", handle_interrupt),
    ROW(EXIT_WINDOW, "window", handle_window),
    ROW(EXIT_HLT, "hlt", handle_hlt),
    ROW(EXIT_PAUSE, "pause", handle_pause),
    ROW(EXIT_CR, "cr", cr_handle),
    ROW(EXIT_XSETBV, "xsetbv", cr_handle_xsetbv),
    ROW(EXIT_EXCEPTION, "exception", handle_exception),
    ROW(EXIT_EOI, "eoi", handle_eoi),
    ROW(EXIT_APIC_WRITE, "apic-write", handle_apic_write),
    ROW(EXIT_TPR_LOWERED, "tpr", handle_window),
    ROW(EXIT_CACHE, "wbinvd", handle_nothing),
    ROW(EXIT_UNDEFINED, "undefined", handle_undefined),
    ROW(EXIT_PROTECTED, "protected", handle_protected),
    ROW(EXIT_TASK_SWITCH, "task-switch", task_switch_handle),
    ROW(EXIT_DEBUG_REGISTER, "mov-dr", breakpoint_handle_first_use),
    ROW(EXIT_SHUTDOWN, "triple-fault", handle_shutdown),
    ROW(EXIT_INIT, "init", handle_interrupt),
    ROW(EXIT_ENTRY_FAILED, "entry failed", handle_hardware),
    [EXIT_KINDS ... 2 * EXIT_KINDS - 1] = {"traced", handle_traced},
};

const char *exit_name(enum exit_kind kind)
{
    return exit_kinds[kind].name;
}
