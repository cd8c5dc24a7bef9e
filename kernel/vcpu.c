/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop of a vCPU: timers, requests, then the guest, until it sleeps, another task is to run or its VM ends.
 * It runs with interrupts off; the host's interrupts end the guest's time.
 */
#include "arch/arch.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/power_up.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/guest/steal_time.h"
#include "arch/x86/guest/world.h"
#include "kernel/console.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/pcpu.h"
#include "kernel/timers.h"
#include "kernel/vm.h"

unsigned vcpu_vm_id(const struct vcpu *vcpu)
{
    return vcpu->vm->id;
}

/* Bits that were set before are on their way already: whoever set the first one told the CPU. */
void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    uint32_t before = __atomic_fetch_or(&vcpu->requests, requests, __ATOMIC_SEQ_CST);

    if (before == 0)
        sched_notify(&vcpu->task);
}

void vm_request(struct vm *vm, uint32_t requests)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_request(vm->vcpus[i], requests);
}

static const char *const reason_names[STOP_REASONS] = {
    [STOP_NONE] = "none",       [STOP_SHUTDOWN] = "shutdown",     [STOP_RESET] = "reset",
    [STOP_ERROR] = "error",     [STOP_DEBUG_EXIT] = "debug-exit", [STOP_TRIPLE_FAULT] = "triple-fault",
    [STOP_FORCED] = "stopped",
};

const char *stop_reason_name(enum stop_reason reason)
{
    return reason_names[reason];
}

void vm_stop(struct vm *vm, enum stop_reason reason)
{
    enum stop_reason none = STOP_NONE;

    __atomic_compare_exchange_n(&vm->stop_reason, &none, reason, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    vm_request(vm, REQUEST_STOP);
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

/* --- requests --- */

static uint32_t take(struct vcpu *vcpu, uint32_t requests)
{
    return __atomic_fetch_and(&vcpu->requests, ~requests, __ATOMIC_ACQ_REL) & requests;
}

static void reset(struct vcpu *vcpu)
{
    take(vcpu, REQUEST_RESET);
    power_up(vcpu);
}

static void deliver_input(struct vcpu *vcpu)
{
    take(vcpu, REQUEST_INPUT);
    lock_acquire(&vcpu->vm->device_lock);
    console_deliver_input(vcpu->vm->console);
    lock_release(&vcpu->vm->device_lock);
}

static void resume_devices(struct vcpu *vcpu)
{
    take(vcpu, REQUEST_WORK);
    machine_resume_devices(vcpu->vm);
}

static void dump(struct vcpu *vcpu)
{
    take(vcpu, REQUEST_DUMP);
    vcpu_dump(vcpu, vcpu->is_halted ? "halted" : "running");
    log_exits(vcpu);
}

/* Only what this CPU holds: wherever else the vCPU was before, it begins with a flush. */
static void flush(struct vcpu *vcpu)
{
    take(vcpu, REQUEST_FLUSH);
    vcpu_ops->flush_physical(vcpu);
}

#define RARE_REQUESTS (REQUEST_RESET | STARTUP_REQUESTS | REQUEST_INPUT | REQUEST_WORK | REQUEST_DUMP | \
                       REQUEST_FLUSH)

/* Each takes its bits before it does what they ask for. */
static const struct {
    uint32_t requests;
    void (*serve)(struct vcpu *vcpu);
} services[] = {
    {REQUEST_RESET, reset},
    {STARTUP_REQUESTS, startup_take_requests},
    {REQUEST_INPUT, deliver_input},
    {REQUEST_WORK, resume_devices},
    {REQUEST_DUMP, dump},
    {REQUEST_FLUSH, flush},
};

static void serve_requests(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < ARRAY_SIZE(services); i++)
        if (vcpu->requests & services[i].requests)
            services[i].serve(vcpu);
}

/*
 * What a request may have been about is looked at after the request is taken: what comes later wakes the vCPU. A VM that is
 * paused takes its events, and asks for a new decision when it goes on.
 */
static bool must_sleep(struct vcpu *vcpu)
{
    if (unlikely(vcpu->requests & REQUEST_LOOK)) /* left over, it would keep one that may run out of the guest */
        take(vcpu, REQUEST_LOOK);
    if (likely(!vcpu->is_halted && !vcpu->vm->is_paused))
        return false;
    if (event_wakes(vcpu))
        vcpu->is_halted = false;
    if (vcpu->is_halted || vcpu->vm->is_paused)
        return true;
    __atomic_fetch_or(&vcpu->requests, REQUEST_EVENT, __ATOMIC_ACQ_REL);
    return false;
}

/* --- the run loop --- */

void vcpu_unload_current(void)
{
    struct pcpu *cpu = this_pcpu();
    struct vcpu *vcpu = cpu->current;

    if (!vcpu)
        return;
    world_save(vcpu);
    vcpu_ops->unload(vcpu);
    cpu->current = NULL;
    sched_release(&vcpu->task);
}

static void load(struct vcpu *vcpu)
{
    struct pcpu *cpu = this_pcpu();

    if (cpu->current == vcpu)
        return;
    vcpu_unload_current();
    sched_bind(&vcpu->task);
    cpu->current = vcpu;
    vcpu_ops->load(vcpu);
    world_load(vcpu);
}

static void leave_for_good(struct vcpu *vcpu)
{
    if (log_level >= LOG_DEBUG)
        log_exits(vcpu);
    vcpu_unload_current();
}

static enum vcpu_outcome run_until_told(struct vcpu *vcpu)
{
    struct pcpu *cpu = this_pcpu();

    for (;;) {
        cpu->passes++;
        timers_run();
        if (vcpu->requests & RARE_REQUESTS)
            serve_requests(vcpu);
        if (vcpu->requests & REQUEST_STOP)
            return VCPU_OUT;
        if (vcpu->requests & REQUEST_YIELD && take(vcpu, REQUEST_YIELD))
            return VCPU_PREEMPTED;
        if (must_sleep(vcpu))
            return VCPU_SLEEPS;
        if (vcpu->requests & EVENT_REQUESTS)
            event_prepare(vcpu);
        if (likely(vcpu->requests == 0)) /* a later one comes with a kick, which ends the entry at once */
            vcpu_ops->run(vcpu);
        arch_take_interrupts();
    }
}

enum vcpu_outcome vcpu_run(struct vcpu *vcpu)
{
    enum vcpu_outcome outcome;

    load(vcpu);
    steal_time_publish(vcpu, vcpu->task.entity.wait_ticks);
    outcome = run_until_told(vcpu);
    steal_time_preempt(vcpu);
    if (outcome == VCPU_OUT)
        leave_for_good(vcpu);
    return outcome;
}
