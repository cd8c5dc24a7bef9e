/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/sched_rig.h"
#include "arch/arch.h"
#include "kernel/control.h"
#include "kernel/timers.h"

#define STACK_BYTES (256u * 1024)

struct cpu cpus[CPUS_MAX];
struct vm vm;
struct vcpu vcpus[VCPUS];
void (*before_halt)(void), (*before_sleep)(void);
void (*on_yield)(void);
unsigned control_wakes, yields;
bool control_works;
uint64_t slice_end;

static uint8_t *stacks;
static ucontext_t test;
static unsigned unloads;

/* --- a CPU --- */

static struct cpu *this_cpu(void)
{
    return &cpus[this_pcpu()->id];
}

/* Lets the test go on until it steps this CPU again. */
static void pause_at(enum place place)
{
    struct cpu *cpu = this_cpu();

    cpu->place = place;
    assert_int_equal(swapcontext(&cpu->loop, &test), 0);
    cpu->place = NOWHERE;
}

void arch_kick(unsigned id)
{
    cpus[id].kicks++;
}

void arch_take_interrupts(void)
{
    this_cpu()->kicks = 0;
}

static void interrupt_schedule(void (**what)(void))
{
    void (*now)(void) = *what;

    *what = NULL;
    if (now)
        now();
}

/* A kick that came before ends it at once. */
void arch_wait_for_interrupt(void)
{
    interrupt_schedule(&before_halt);
    if (!this_cpu()->kicks)
        pause_at(HALTED);
    this_cpu()->kicks = 0;
}

void timers_init(struct timer_heap *heap)
{
    (void)heap;
}

void timers_fire(void)
{
}

void timers_set_slice(uint64_t deadline)
{
    slice_end = deadline;
}

enum vcpu_outcome vcpu_run(struct vcpu *vcpu)
{
    struct pcpu *cpu = this_pcpu();

    assert_int_equal(vcpu->task.state, TASK_RUNNING);
    assert_int_equal(vcpu->task.cpu, cpu->id);
    assert_true(vcpu->task.cpus & BIT(cpu->id));
    if (cpu->current != vcpu) {
        vcpu_unload_current();
        sched_bind(&vcpu->task);
        cpu->current = vcpu;
    }
    cpu->passes++;
    if (!(vcpu->requests & (REQUEST_YIELD | REQUEST_STOP))) {
        vcpu->requests = 0;
        this_cpu()->vcpu = vcpu;
        this_cpu()->outcome = VCPU_PREEMPTED;
        pause_at(IN_GUEST);
        cpu->passes++;
    }
    if (vcpu->requests & REQUEST_STOP) {
        vcpu_unload_current();
        return VCPU_OUT;
    }
    vcpu->requests &= ~REQUEST_YIELD;
    if (this_cpu()->outcome == VCPU_SLEEPS)
        interrupt_schedule(&before_sleep);
    return this_cpu()->outcome;
}

void vcpu_unload_current(void)
{
    struct vcpu *vcpu = this_pcpu()->current;

    if (!vcpu)
        return;
    unloads++;
    this_pcpu()->current = NULL;
    sched_release(&vcpu->task);
}

bool control_has_work(void)
{
    return control_works;
}

enum vcpu_outcome control_run(void)
{
    assert_null(this_pcpu()->current);
    pause_at(IN_GUEST);
    return control_works ? VCPU_PREEMPTED : VCPU_SLEEPS;
}

void control_yield(void)
{
    assert_true(yields++ < 1000);
    if (on_yield)
        on_yield();
}

void control_wake(void)
{
    control_wakes++;
}

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    uint32_t before = vcpu->requests;

    vcpu->requests |= requests;
    if (before == 0)
        sched_notify(&vcpu->task);
}

/* --- the test's hand --- */

void step(unsigned id)
{
    unsigned was = this_pcpu()->id;

    fake_pcpu_become(id);
    assert_int_equal(swapcontext(&test, &cpus[id].loop), 0);
    fake_pcpu_become(was);
}

void settle(void)
{
    for (unsigned rounds = 0, kicked = 1; kicked; rounds++) {
        assert_true(rounds < 100);
        kicked = 0;
        for (unsigned i = 0; i < pcpu_count; i++) {
            if (!cpus[i].kicks)
                continue;
            kicked++;
            step(i);
        }
    }
}

void pass(uint64_t ticks)
{
    fake_clock_advance(ticks);
}

void end_slice(unsigned id)
{
    pass(SLICE);
    step(id);
}

void fall_asleep(unsigned id)
{
    assert_int_equal(cpus[id].place, IN_GUEST);
    cpus[id].outcome = VCPU_SLEEPS;
    step(id);
}

static void start_cpus(unsigned count)
{
    fake_clock_reset();
    fake_pcpus_reset(count);
    for (unsigned i = 0; i < count; i++) {
        pcpus[i].runs_guests = true;
        cpus[i] = (struct cpu){.place = NOWHERE};
        assert_int_equal(getcontext(&cpus[i].loop), 0);
        cpus[i].loop.uc_stack = (stack_t){.ss_sp = stacks + i * STACK_BYTES, .ss_size = STACK_BYTES};
        makecontext(&cpus[i].loop, sched_loop, 0);
    }
    before_halt = before_sleep = NULL;
    on_yield = NULL;
    control_wakes = unloads = yields = 0;
    control_works = false;
    vm = (struct vm){.live_vcpus = VCPUS};
    sched_init();
    fake_pcpu_become(TESTS_CPU);
    for (unsigned i = 0; i < VCPUS; i++)
        vcpus[i] = (struct vcpu){.vm = &vm, .index = i};
}

void boot(unsigned count)
{
    start_cpus(count);
    for (unsigned i = 0; i < count; i++) {
        step(i);
        assert_int_equal(cpus[i].place, HALTED);
    }
}

struct vcpu *add(unsigned i, uint64_t mask)
{
    task_init(&vcpus[i].task, &vcpus[i], 100, 0, mask);
    assert_int_equal(sched_add(&vcpus[i].task), 0);
    return &vcpus[i];
}

void assert_runs(unsigned cpu, unsigned i)
{
    assert_int_equal(cpus[cpu].place, IN_GUEST);
    assert_ptr_equal(cpus[cpu].vcpu, &vcpus[i]);
    assert_int_equal(vcpus[i].task.state, TASK_RUNNING);
}

int sched_rig_start(void **state)
{
    (void)state;
    stacks = malloc(CPUS_MAX * STACK_BYTES);
    return stacks ? 0 : -1;
}

int sched_rig_end(void **state)
{
    (void)state;
    free(stacks);
    return 0;
}
