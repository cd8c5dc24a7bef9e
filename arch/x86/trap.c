/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch of interrupts and exceptions. An exception of ours is a bug and panics with the registers of
 * where it happened, but for the few instructions in the fix-up table below.
 */
#include "arch/x86/trap.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/device_irq.h"
#include "arch/x86/regs.h"
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/pcpu.h"

static void (*handlers[256])(void);

void trap_dispatch(struct trap_frame *frame); /* called by trap.asm */

/* Instructions that may fault, and where each goes on: the labels stand in trap_rdmsr and trap_wrmsr. */
struct fixup {
    uint64_t fault, resume;
};
extern const struct fixup trap_fixup_rdmsr, trap_fixup_wrmsr;

bool trap_rdmsr(uint32_t index, uint64_t *value)
{
    uint32_t low, high, failed = 1;

    __asm__ volatile("1: rdmsr\n\txor %k2, %k2\n2:\n\t"
                     ".pushsection .rodata.fixup, \"a\"\n\t.balign 8\n\t.globl trap_fixup_rdmsr\n"
                     "trap_fixup_rdmsr: .quad 1b, 2b\n\t.popsection"
                     : "=a"(low), "=d"(high), "+r"(failed)
                     : "c"(index)
                     : "cc");
    *value = failed ? 0 : (uint64_t)high << 32 | low;
    return !failed;
}

bool trap_wrmsr(uint32_t index, uint64_t value)
{
    uint32_t failed = 1;

    __asm__ volatile("1: wrmsr\n\txor %k0, %k0\n2:\n\t"
                     ".pushsection .rodata.fixup, \"a\"\n\t.balign 8\n\t.globl trap_fixup_wrmsr\n"
                     "trap_fixup_wrmsr: .quad 1b, 2b\n\t.popsection"
                     : "+r"(failed)
                     : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index)
                     : "cc", "memory");
    return !failed;
}

static bool fix_up(struct trap_frame *frame)
{
    const struct fixup *const all[] = {&trap_fixup_rdmsr, &trap_fixup_wrmsr};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (frame->rip == all[i]->fault) {
            frame->rip = all[i]->resume;
            return true;
        }
    }
    return false;
}

void trap_set_handler(unsigned vector, void (*handler)(void))
{
    ASSERT(vector >= VECTOR_FIRST && vector < ARRAY_SIZE(handlers));
    handlers[vector] = handler;
}

void trap_interrupt(unsigned vector)
{
    if (vector >= VECTOR_DEVICE_FIRST && vector <= VECTOR_DEVICE_LAST)
        device_irq_dispatch(vector);
    else if (handlers[vector])
        handlers[vector]();
    if (vector != VECTOR_SPURIOUS)
        apic_eoi();
}

static const char *const exception_names[X86_EXCEPTIONS] = {
    [X86_DE] = "#DE", [X86_DB] = "#DB", [X86_BP] = "#BP", [X86_OF] = "#OF", [X86_BR] = "#BR",
    [X86_UD] = "#UD", [X86_NM] = "#NM", [X86_DF] = "#DF", [X86_TS] = "#TS", [X86_NP] = "#NP",
    [X86_SS] = "#SS", [X86_GP] = "#GP", [X86_PF] = "#PF", [X86_MF] = "#MF", [X86_AC] = "#AC",
    [X86_MC] = "#MC", [X86_XM] = "#XM", [X86_VE] = "#VE", [X86_CP] = "#CP",
};

static NORETURN void exception_panic(const struct trap_frame *f)
{
    const char *name = exception_names[f->vector] ? exception_names[f->vector] : "reserved exception";

    panic_start();
    log_error("trap", "%s error code %#lx at %#lx, CR2 %#lx", name, f->error_code, f->rip, read_cr2());
    log_error("trap", "rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_error("trap", "rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_error("trap", "r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
    log_error("trap", "r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
    log_error("trap", "rflags %08lx cs %lx ss %lx", f->rflags, f->cs, f->ss);
    panic_finish(f->rip, f->rsp);
}

void trap_dispatch(struct trap_frame *frame)
{
    if (frame->vector >= VECTOR_FIRST) {
        trap_interrupt((unsigned)frame->vector);
        return;
    }
    if (frame->vector == X86_NMI) { /* a panicking CPU stops the others so; otherwise somebody's button */
        panic_stop_if_asked();
        return;
    }
    if (frame->vector == X86_GP && fix_up(frame))
        return;
    exception_panic(frame);
}
