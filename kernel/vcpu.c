/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop of a vCPU: timers, requests, then the guest, until it sleeps, another task is to run or its VM ends.
 * It runs with interrupts off; the host's interrupts end the guest's time.
 */
#include <stdarg.h>
#include "arch/arch.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/power_up.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/guest/steal_time.h"
#include "arch/x86/guest/world.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
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

/* Of several vCPUs that crash at once the first one is heard. */
COLD void vcpu_crash(struct vcpu *vcpu, enum stop_reason reason, const char *why, ...)
{
    struct vm *vm = vcpu->vm;
    va_list args;

    if (!__atomic_exchange_n(&vm->has_crashed, true, __ATOMIC_ACQ_REL)) {
        va_start(args, why);
        format_text_va(vm->crash.why, sizeof vm->crash.why, why, args);
        va_end(args);
        dump_take(&vm->crash, vcpu);
    }
    vm_stop(vm, reason);
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
    if (__atomic_load_n(&vcpu->has_dump, __ATOMIC_ACQUIRE))
        return; /* the last one is being printed */
    format_text(vcpu->dump.why, sizeof vcpu->dump.why, "%s", vcpu->is_halted ? "halted" : "running");
    dump_take(&vcpu->dump, vcpu);
    __atomic_store_n(&vcpu->has_dump, true, __ATOMIC_RELEASE);
    control_wake();
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

static void unload(struct pcpu *cpu, struct vcpu *vcpu, bool comes_back_here)
{
    world_save(vcpu);
    vcpu_ops->unload(vcpu, comes_back_here);
    cpu->current = NULL;
    sched_release(&vcpu->task);
}

void vcpu_unload_current(void)
{
    struct pcpu *cpu = this_pcpu();

    if (cpu->current)
        unload(cpu, cpu->current, cpu->current->task.cpus == BIT(cpu->id));
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

static void enter_guest(struct vcpu *vcpu)
{
    speculation_before_run();
    vcpu_ops->run(vcpu);
}

static enum vcpu_outcome run_until_told(struct vcpu *vcpu)
{
    struct pcpu *cpu = this_pcpu();

    for (;;) {
        pcpu_pass(cpu);
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
            enter_guest(vcpu);
        arch_take_interrupts();
    }
}

enum vcpu_outcome vcpu_run(struct vcpu *vcpu)
{
    enum vcpu_outcome outcome;

    load(vcpu);
    if (vcpu->steal_time_msr)
        steal_time_publish(vcpu, vcpu->task.entity.wait_ticks);
    outcome = run_until_told(vcpu);
    if (vcpu->steal_time_msr)
        steal_time_preempt(vcpu);
    if (outcome == VCPU_OUT)
        unload(this_pcpu(), vcpu, false);
    return outcome;
}
