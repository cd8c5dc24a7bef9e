/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop of a vCPU: timers, requests, then the guest, for as long as its VM lives. It runs with
 * interrupts off; the host's interrupts end the guest's time, or wake the CPU from waiting.
 */
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/world.h"
#include "kernel/console.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/timers.h"
#include "kernel/vm.h"

unsigned vcpu_vm_id(const struct vcpu *vcpu)
{
    return vcpu->vm->id;
}

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    __atomic_fetch_or(&vcpu->requests, requests, __ATOMIC_ACQ_REL);
    if (vcpu->cpu != this_pcpu()->id)
        arch_kick(vcpu->cpu);
}

static const char *const reason_names[STOP_REASONS] = {
    [STOP_NONE] = "none",       [STOP_SHUTDOWN] = "shutdown",     [STOP_RESET] = "reset",
    [STOP_ERROR] = "error",     [STOP_DEBUG_EXIT] = "debug-exit", [STOP_TRIPLE_FAULT] = "triple-fault",
};

const char *stop_reason_name(enum stop_reason reason)
{
    return reason_names[reason];
}

void vm_stop(struct vm *vm, enum stop_reason reason)
{
    if (vm->stop_reason == STOP_NONE)
        vm->stop_reason = reason;
    vcpu_request(vm->vcpu, REQUEST_STOP);
}

/* The last exits, oldest first, as one line. */
void vcpu_log_trace(const struct vcpu *vcpu)
{
    char line[TRACE_ENTRIES * 12];
    size_t n = 0;

    line[0] = '\0';
    for (unsigned i = TRACE_ENTRIES; i > 0 && n < sizeof line; i--) {
        enum exit_kind kind = vcpu->trace[(uint8_t)(vcpu->trace_next - i)];

        if (kind != EXIT_UNEXPECTED || i == 1)
            n += format_text(line + n, sizeof line - n, " %s", exit_name(kind));
    }
    log_info("dump", "vm%u last exits:%s", vcpu->vm->id, line);
}

static void log_code(struct vcpu *vcpu)
{
    uint8_t code[15];
    char text[3 * sizeof code + 1];
    size_t n = vcpu_fetch(vcpu, code, sizeof code);

    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        format_text(text + 3 * i, 4, " %02x", code[i]);
    log_info("dump", "code:%s", n ? text : " not readable");
}

void vcpu_dump(struct vcpu *vcpu, const char *why)
{
    const uint64_t *r = vcpu->gpr;

    log_info("dump", "%s: %s", vcpu->vm->name, why);
    log_info("dump", "rip %016lx rflags %08lx rsp %016lx", vcpu_ops->get(vcpu, VCPU_RIP),
             vcpu_ops->get(vcpu, VCPU_RFLAGS), vcpu_ops->get(vcpu, VCPU_RSP));
    log_info("dump", "rax %016lx rbx %016lx rcx %016lx rdx %016lx", r[GPR_RAX], r[GPR_RBX], r[GPR_RCX], r[GPR_RDX]);
    log_info("dump", "rsi %016lx rdi %016lx rbp %016lx", r[GPR_RSI], r[GPR_RDI], r[GPR_RBP]);
    log_info("dump", "r8  %016lx r9  %016lx r10 %016lx r11 %016lx", r[GPR_R8], r[GPR_R9], r[GPR_R10], r[GPR_R11]);
    log_info("dump", "r12 %016lx r13 %016lx r14 %016lx r15 %016lx", r[GPR_R12], r[GPR_R13], r[GPR_R14], r[GPR_R15]);
    vcpu_ops->dump(vcpu);
    log_code(vcpu);
    vcpu_log_trace(vcpu);
}

static void log_exits(const struct vcpu *vcpu)
{
    for (unsigned i = 0; i < EXIT_KINDS; i++)
        if (vcpu->exits[i])
            log_info("exits", "%s: %s %lu", vcpu->vm->name, exit_name(i), vcpu->exits[i]);
}

/* Sleeps until a wake-up; what interrupts the CPU sets requests, or timers. */
static void wait(struct vcpu *vcpu)
{
    if (event_wakes(vcpu)) {
        vcpu->is_halted = false;
        vcpu_request(vcpu, REQUEST_EVENT);
        return;
    }
    if (!(vcpu->requests & (REQUEST_STOP | REQUEST_INPUT)))
        cpu_wait_for_interrupt();
}

static void take_requests(struct vcpu *vcpu)
{
    if (__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) & REQUEST_DUMP) {
        __atomic_fetch_and(&vcpu->requests, ~REQUEST_DUMP, __ATOMIC_ACQ_REL);
        vcpu_dump(vcpu, vcpu->is_halted ? "halted" : "running");
        log_exits(vcpu);
    }
    if (__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) & REQUEST_INPUT) {
        __atomic_fetch_and(&vcpu->requests, ~REQUEST_INPUT, __ATOMIC_ACQ_REL);
        console_deliver_input(vcpu->console);
    }
    if (vcpu->requests & (REQUEST_EVENT | REQUEST_NMI) && !vcpu->is_halted)
        event_prepare(vcpu);
}

void vcpu_run(struct vcpu *vcpu)
{
    struct pcpu *cpu = this_pcpu();

    cpu->current = vcpu;
    world_load(vcpu);
    while (!(vcpu->requests & REQUEST_STOP)) {
        timers_run();
        take_requests(vcpu);
        if (vcpu->is_halted)
            wait(vcpu);
        else if (!(vcpu->requests & REQUEST_STOP))
            vcpu_ops->run(vcpu);
        cpu_take_interrupts();
    }
    world_save(vcpu);
    if (log_level >= LOG_DEBUG)
        log_exits(vcpu);
    vcpu_ops->unload(vcpu);
    cpu->current = NULL;
}
