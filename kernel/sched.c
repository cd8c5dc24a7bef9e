/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks and CPUs. Which of a CPU's tasks is next is runqueue.c's question; here are wake-ups, placement, idling and
 * taking from other CPUs. Invariants: a task is in the queue of task.cpu exactly while READY or RUNNING; nobody
 * holds two queue locks; a CPU whose queue got something that it does not know of is kicked after that.
 */
#include "kernel/sched.h"
#include "arch/arch.h"
#include "kernel/control.h"
#include "kernel/lib/errno.h"
#include "kernel/pcpu.h"
#include "kernel/timers.h"
#include "kernel/vm.h"

#define SLICE_NS      3000000u
#define SLICE_MIN_NS  700000u
#define RUN_MIN_NS    100000u /* a switch between two VMs, with what it empties in the CPU, costs some µs */
#define CAP_PERIOD_NS 10000000u
#define BALANCE_NS    20000000u

static uint64_t idle_cpus;  /* atomic */
static uint64_t guest_cpus; /* those that can run guests; does not change */

static struct task *task_of(struct sched_entity *entity)
{
    return entity ? (struct task *)((char *)entity - offsetof(struct task, entity)) : NULL;
}

/* --- the queue of a task --- */

static struct pcpu *lock_queue_of(const struct task *task)
{
    for (;;) {
        struct pcpu *cpu = &pcpus[task->cpu];

        lock_acquire(&cpu->queue_lock);
        if (task->cpu == cpu->id)
            return cpu;
        lock_release(&cpu->queue_lock);
    }
}

/*
 * Whoever runs there comes back to the queue: it has to give way, or needs an end of its slice now that somebody waits.
 */
static bool disturb(struct pcpu *cpu, uint64_t now)
{
    struct task *running = cpu->running;

    if (!running)
        return true;
    if (runqueue_ready_count(&cpu->queue) > 1 && !runqueue_must_switch(&cpu->queue, now))
        return false;
    if (running->vcpu)
        __atomic_fetch_or(&running->vcpu->requests, REQUEST_YIELD, __ATOMIC_ACQ_REL);
    return true;
}

static void enqueue(struct task *task, struct pcpu *cpu)
{
    uint64_t now = clock_now();
    bool must_look;

    lock_acquire(&cpu->queue_lock);
    task->cpu = cpu->id;
    task->state = TASK_READY;
    runqueue_add(&cpu->queue, &task->entity, now);
    must_look = disturb(cpu, now);
    lock_release(&cpu->queue_lock);
    if (must_look && cpu != this_pcpu())
        arch_kick(cpu->id);
}

/* --- placement --- */

/* One of the idle CPUs among those, and nobody else gets it. */
static struct pcpu *claim_idle_cpu(uint64_t among)
{
    uint64_t idle;

    while ((idle = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & among)) {
        unsigned id = (unsigned)__builtin_ctzll(idle);

        if (__atomic_fetch_and(&idle_cpus, ~BIT(id), __ATOMIC_ACQ_REL) & BIT(id))
            return &pcpus[id];
    }
    return NULL;
}

static struct pcpu *least_loaded_cpu(uint64_t among)
{
    struct pcpu *best = NULL;

    for (uint64_t left = among; left; left &= left - 1) {
        struct pcpu *cpu = &pcpus[__builtin_ctzll(left)];

        if (!best || runqueue_load(&cpu->queue) < runqueue_load(&best->queue))
            best = cpu;
    }
    return best;
}

/* Where its caches are warm if that CPU is idle, else any that is; a busy one only if there is none. */
static struct pcpu *choose_cpu(const struct task *task)
{
    uint64_t allowed = task->entity.cpus;
    struct pcpu *home = &pcpus[task->cpu], *cpu;

    if ((cpu = claim_idle_cpu(allowed & BIT(home->id))) || (cpu = claim_idle_cpu(allowed)))
        return cpu;
    return allowed & BIT(home->id) ? home : least_loaded_cpu(allowed);
}

static void wake(struct task *task)
{
    struct pcpu *home = lock_queue_of(task);
    bool is_asleep = task->state == TASK_ASLEEP;

    if (is_asleep)
        task->state = TASK_MOVING;
    lock_release(&home->queue_lock);
    if (is_asleep)
        enqueue(task, choose_cpu(task));
}

void sched_notify(struct task *task)
{
    if (task->state == TASK_ASLEEP)
        wake(task);
    else if (task->state == TASK_RUNNING && task->cpu != this_pcpu()->id)
        arch_kick(task->cpu);
}

/* Who runs alone is charged for it when it stops, which may never be. */
uint64_t sched_run_ticks(const struct task *task)
{
    struct pcpu *cpu = lock_queue_of(task);
    uint64_t ticks;

    runqueue_charge(&cpu->queue, clock_now());
    ticks = task->entity.run_ticks;
    lock_release(&cpu->queue_lock);
    return ticks;
}

COLD void task_init(struct task *task, struct vcpu *vcpu, unsigned weight, unsigned cap, uint64_t cpus)
{
    *task = (struct task){.vcpu = vcpu, .state = TASK_OUT};
    task->cpus = vcpu ? (cpus ? cpus : UINT64_MAX) & guest_cpus : BIT(this_pcpu()->id);
    sched_entity_init(&task->entity, weight, cap, task->cpus);
}

COLD int sched_add(struct task *task)
{
    struct pcpu *cpu;

    if (task->cpus == 0)
        return -ENODEV;
    cpu = claim_idle_cpu(task->cpus);
    task->state = TASK_MOVING;
    enqueue(task, cpu ? cpu : least_loaded_cpu(task->cpus));
    return 0;
}

static void kick_idle(uint64_t among)
{
    struct pcpu *idle = claim_idle_cpu(among);

    if (idle)
        arch_kick(idle->id);
}

/* Somebody waits here who may run on those: an idle one of them comes and takes it. */
static inline void offer_to_idle(uint64_t cpus)
{
    if (unlikely(__atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & cpus))
        kick_idle(cpus);
}

void sched_set_cpus(struct task *task, uint64_t cpus)
{
    struct pcpu *cpu = lock_queue_of(task);

    sched_entity_set_cpus(&task->entity, cpus);
    lock_release(&cpu->queue_lock);
    if (task->state == TASK_READY)
        offer_to_idle(cpus);
}

/* --- taking from others --- */

static bool take_from(struct pcpu *victim, struct pcpu *cpu)
{
    struct task *task;

    lock_acquire(&victim->queue_lock);
    task = task_of(runqueue_steal(&victim->queue, cpu->id, clock_now()));
    if (task)
        task->state = TASK_MOVING;
    lock_release(&victim->queue_lock);
    if (task)
        enqueue(task, cpu);
    return task;
}

/* Starts behind itself, so that not everybody robs the same CPU. */
static bool take_from_anybody(struct pcpu *cpu)
{
    for (unsigned i = 1; i < pcpu_count; i++) {
        struct pcpu *victim = &pcpus[(cpu->id + i) % pcpu_count];

        if (runqueue_ready_count(&victim->queue) > 0 && take_from(victim, cpu))
            return true;
    }
    return false;
}

static struct pcpu *busiest_cpu(void)
{
    struct pcpu *busiest = &pcpus[0];

    for (unsigned i = 1; i < pcpu_count; i++)
        if (runqueue_load(&pcpus[i].queue) > runqueue_load(&busiest->queue))
            busiest = &pcpus[i];
    return busiest;
}

/* With three spinners on two CPUs the third one moves about: over some rounds each gets its share. */
static COLD void balance(struct pcpu *cpu, uint64_t now)
{
    struct pcpu *busiest;

    cpu->next_balance = now + clock_ticks_from_ns(BALANCE_NS);
    if (!(guest_cpus & BIT(cpu->id)))
        return;
    busiest = busiest_cpu();
    if (busiest != cpu && runqueue_ready_count(&busiest->queue) > 0 &&
        runqueue_load(&busiest->queue) > runqueue_load(&cpu->queue))
        take_from(busiest, cpu);
}

/* --- a CPU's loop --- */

bool sched_slice_over(void)
{
    const struct task *running = this_pcpu()->running;

    if (!running || !running->vcpu)
        return false;
    __atomic_fetch_or(&running->vcpu->requests, REQUEST_YIELD, __ATOMIC_ACQ_REL);
    return true;
}

/*
 * The exchange orders the new state before the look at the requests: who sets one after that look sees the task
 * running, and kicks. Nothing else on the way there need keep the store from coming later.
 */
static struct task *pick(struct pcpu *cpu, uint64_t now)
{
    struct task *before = cpu->running, *next;
    uint64_t look_again, others;

    lock_acquire(&cpu->queue_lock);
    next = task_of(runqueue_pick(&cpu->queue, now));
    if (next != before) {
        if (before)
            before->state = TASK_READY;
        if (next)
            __atomic_exchange_n(&next->state, (uint8_t)TASK_RUNNING, __ATOMIC_SEQ_CST);
        cpu->running = next;
    }
    look_again = runqueue_next_event(&cpu->queue);
    others = runqueue_ready_cpus(&cpu->queue) & ~BIT(cpu->id);
    lock_release(&cpu->queue_lock);
    timers_set_slice(look_again);
    offer_to_idle(others);
    return next;
}

/* The exchange orders the new state before the look at the requests: whoever set one before saw the task running. */
static void take_off(struct pcpu *cpu, struct task *task, enum task_state state)
{
    lock_acquire(&cpu->queue_lock);
    runqueue_remove(&cpu->queue, &task->entity, clock_now());
    cpu->running = NULL;
    __atomic_exchange_n(&task->state, (uint8_t)state, __ATOMIC_SEQ_CST);
    lock_release(&cpu->queue_lock);
}

static void sleep(struct pcpu *cpu, struct task *task)
{
    take_off(cpu, task, TASK_ASLEEP);
    if (task->vcpu ? task->vcpu->requests != 0 : control_has_work())
        wake(task);
}

static void leave(struct pcpu *cpu, struct task *task)
{
    struct vm *vm = task->vcpu->vm;

    take_off(cpu, task, TASK_OUT);
    if (__atomic_sub_fetch(&vm->live_vcpus, 1, __ATOMIC_ACQ_REL) == 0)
        control_wake(); /* which frees the VM: it is not touched any more */
}

/*
 * An interrupt that came before the HLT ends it at once: nothing that is announced by a kick is slept over. It says
 * that it is idle before it looks for work: who has some for it either is seen to, or sees that.
 */
static void idle(struct pcpu *cpu)
{
    if (!(guest_cpus & BIT(cpu->id))) {
        arch_wait_for_interrupt();
        return;
    }
    __atomic_fetch_or(&idle_cpus, BIT(cpu->id), __ATOMIC_SEQ_CST);
    if (!take_from_anybody(cpu) && runqueue_ready_count(&cpu->queue) == 0 && !cpu->timer_came) {
        cpu->is_idle = true;
        arch_wait_for_interrupt();
        cpu->is_idle = false;
    }
    __atomic_fetch_and(&idle_cpus, ~BIT(cpu->id), __ATOMIC_ACQ_REL);
}

/* The control thread needs no vCPU's state off the CPU, but the vCPU whose it is could not run elsewhere meanwhile. */
static enum vcpu_outcome enter(struct task *task)
{
    if (task->vcpu)
        return vcpu_run(task->vcpu);
    vcpu_unload_current();
    return control_run();
}

static void run(struct pcpu *cpu, struct task *task)
{
    enum vcpu_outcome outcome = enter(task);

    if (outcome == VCPU_SLEEPS)
        sleep(cpu, task);
    else if (outcome == VCPU_OUT)
        leave(cpu, task);
}

void sched_loop(void)
{
    struct pcpu *cpu = this_pcpu();

    for (;;) {
        struct task *task;
        uint64_t now;

        pcpu_pass(cpu);
        timers_run();
        now = clock_now();
        if (unlikely(now >= cpu->next_balance))
            balance(cpu, now);
        task = pick(cpu, now);
        if (task)
            run(cpu, task);
        else
            idle(cpu);
        arch_take_interrupts();
    }
}

void sched_yield(void)
{
    struct pcpu *cpu = this_pcpu();

    if (runqueue_ready_count(&cpu->queue) == 0)
        return;
    lock_acquire(&cpu->queue_lock);
    runqueue_yield(&cpu->queue, clock_now());
    lock_release(&cpu->queue_lock);
    sched_slice_over();
}

bool sched_must_switch(void)
{
    struct pcpu *cpu = this_pcpu();
    uint64_t now = clock_now();
    bool must;

    lock_acquire(&cpu->queue_lock);
    must = runqueue_must_switch(&cpu->queue, now);
    lock_release(&cpu->queue_lock);
    return must;
}

COLD void sched_synchronize(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* what the caller took away is gone before a CPU is taken for idle */
    for (unsigned i = 0; i < pcpu_count; i++) {
        struct pcpu *cpu = &pcpus[i];
        uint64_t passes = READ_ONCE(cpu->passes);

        if (cpu == this_pcpu() || cpu->is_idle)
            continue;
        arch_kick(i);
        while (READ_ONCE(cpu->passes) == passes && !cpu->is_idle)
            control_yield();
    }
}

COLD void sched_init(void)
{
    uint64_t slice_min = MAX(clock_ticks_from_ns(SLICE_MIN_NS), SCHED_SLICE_MIN); /* some emulators' TSC is slow */
    const struct sched_params params = {
        .slice = MAX(clock_ticks_from_ns(SLICE_NS), slice_min),
        .slice_min = slice_min,
        .run_min = MIN(clock_ticks_from_ns(RUN_MIN_NS), slice_min),
        .cap_period = MAX(clock_ticks_from_ns(CAP_PERIOD_NS), slice_min),
    };

    guest_cpus = idle_cpus = 0;
    for (unsigned i = 0; i < pcpu_count; i++) {
        if (pcpus[i].runs_guests)
            guest_cpus |= BIT(i);
        runqueue_init(&pcpus[i].queue, i, &params);
        timers_init(&pcpus[i].timers);
    }
}
