/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a task that has something to do is never asleep for good, on one queue at most, and runs on no CPU that it
 * may not run on; no CPU halts while a task that it could run waits elsewhere, or is told of that. Each CPU's loop is a
 * coroutine here that stops where a real one would halt or be in a guest, so that a test says which CPU goes on, and
 * what happens in between: what comes just before a CPU halts or a task falls asleep is one step of a schedule.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "arch/arch.h"
#include "kernel/control.h"
#include "kernel/lib/errno.h"
#include "kernel/sched.h"
#include "kernel/timers.h"
#include "kernel/vm.h"
#include <ucontext.h>

#define CPUS_MAX    4u
#define TESTS_CPU   8u /* none of those: it notifies all of them from outside */
#define VCPUS       8u
#define STACK_BYTES (256u * 1024)
#define SLICE       3000000u /* ns, which are ticks here */
#define CAP_PERIOD  10000000u

/* Where a CPU's loop stands when it gives the test a turn. */
enum place { NOWHERE, IN_GUEST, HALTED };

static struct cpu {
    ucontext_t loop;
    enum place place;
    unsigned kicks;
    struct vcpu *vcpu; /* IN_GUEST */
    enum vcpu_outcome outcome; /* of the vCPU that it is in, when it goes on */
} cpus[CPUS_MAX];
static uint8_t *stacks;
static ucontext_t test;

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static void (*before_halt)(void), (*before_sleep)(void);
static unsigned control_wakes, unloads;
static bool control_works;
static uint64_t slice_end; /* of the CPU that came last */

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

static unsigned yields;
static void (*on_yield)(void);

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

/* Lets a CPU go on until it halts again or is in a guest. */
static void step(unsigned id)
{
    unsigned was = this_pcpu()->id;

    fake_pcpu_become(id);
    assert_int_equal(swapcontext(&test, &cpus[id].loop), 0);
    fake_pcpu_become(was);
}

/* As real ones would: whoever was kicked goes on, until nobody is. */
static void settle(void)
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

static void pass(uint64_t ticks)
{
    fake_clock_advance(ticks);
}

/* The time slice of whoever runs there is over. */
static void end_slice(unsigned id)
{
    pass(SLICE);
    step(id);
}

static void fall_asleep(unsigned id)
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

/* All are idle. */
static void boot(unsigned count)
{
    start_cpus(count);
    for (unsigned i = 0; i < count; i++) {
        step(i);
        assert_int_equal(cpus[i].place, HALTED);
    }
}

static struct vcpu *add(unsigned i, uint64_t mask)
{
    task_init(&vcpus[i].task, &vcpus[i], 100, 0, mask);
    assert_int_equal(sched_add(&vcpus[i].task), 0);
    return &vcpus[i];
}

static void assert_runs(unsigned cpu, unsigned i)
{
    assert_int_equal(cpus[cpu].place, IN_GUEST);
    assert_ptr_equal(cpus[cpu].vcpu, &vcpus[i]);
    assert_int_equal(vcpus[i].task.state, TASK_RUNNING);
}

/* --- placement --- */

static void test_tasks_spread_over_idle_cpus(void **state)
{
    uint64_t used = 0;

    (void)state;
    boot(4);
    for (unsigned i = 0; i < 4; i++)
        add(i, 0);
    settle();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vcpus[i].task.state, TASK_RUNNING);
        used |= BIT(vcpus[i].task.cpu);
    }
    assert_int_equal(used, 15);
}

static void test_a_task_runs_only_where_it_may(void **state)
{
    (void)state;
    boot(4);
    add(0, BIT(2));
    add(1, BIT(2));
    settle();
    assert_int_equal(cpus[2].place, IN_GUEST);
    for (unsigned i = 0; i < 10; i++) {
        end_slice(2);
        settle();
        assert_int_equal(cpus[0].place, HALTED);
        assert_int_equal(cpus[3].place, HALTED);
    }
}

static void test_a_task_that_may_run_nowhere_is_refused(void **state)
{
    (void)state;
    boot(2);
    task_init(&vcpus[0].task, &vcpus[0], 100, 0, BIT(2) | BIT(40));
    assert_int_equal(vcpus[0].task.cpus, 0);
    assert_int_equal(sched_add(&vcpus[0].task), -ENODEV);
    assert_int_equal(vcpus[0].task.state, TASK_OUT);
}

static void test_who_wakes_goes_where_it_was_if_that_is_idle(void **state)
{
    (void)state;
    boot(4);
    add(0, 0);
    settle();
    assert_int_equal(vcpus[0].task.cpu, 0);
    fall_asleep(0);
    assert_int_equal(vcpus[0].task.state, TASK_ASLEEP);
    vcpu_request(&vcpus[0], REQUEST_EVENT);
    settle();
    assert_runs(0, 0);
}

/* Its state is still on the CPU that it was on: no other may run it. */
static void test_who_is_bound_waits_for_its_cpu(void **state)
{
    (void)state;
    boot(2);
    add(0, 0);
    settle();
    assert_runs(0, 0);
    fall_asleep(0);
    assert_ptr_equal(pcpus[0].current, &vcpus[0]);
    assert_int_equal(vcpus[0].task.entity.cpus, BIT(0));
    sched_release(&vcpus[0].task);
    assert_int_equal(vcpus[0].task.entity.cpus, 3);
}

/* --- wake-ups that race with sleep --- */

static void wake_0_from_outside(void)
{
    unsigned was = this_pcpu()->id;

    fake_pcpu_become(TESTS_CPU);
    vcpu_request(&vcpus[0], REQUEST_EVENT);
    fake_pcpu_become(was);
}

static void test_a_request_just_before_the_task_sleeps_is_not_slept_over(void **state)
{
    (void)state;
    boot(2);
    add(0, BIT(0));
    settle();
    before_sleep = wake_0_from_outside;
    fall_asleep(0);
    assert_runs(0, 0);
}

static void test_a_task_that_is_added_just_before_the_halt_is_run(void **state)
{
    (void)state;
    boot(2);
    add(0, BIT(0));
    settle();
    before_halt = wake_0_from_outside;
    fall_asleep(0);
    assert_runs(0, 0);
}

static void test_a_request_for_a_running_task_kicks_its_cpu(void **state)
{
    (void)state;
    boot(2);
    add(0, BIT(1));
    settle();
    assert_runs(1, 0);
    vcpu_request(&vcpus[0], REQUEST_EVENT);
    assert_int_equal(cpus[1].kicks, 1);
    vcpu_request(&vcpus[0], REQUEST_NMI); /* it is on its way */
    assert_int_equal(cpus[1].kicks, 1);
}

static void test_a_task_that_has_left_is_not_woken(void **state)
{
    (void)state;
    boot(1);
    add(0, 0);
    settle();
    vcpu_request(&vcpus[0], REQUEST_STOP);
    step(0);
    assert_int_equal(vcpus[0].task.state, TASK_OUT);
    assert_int_equal(cpus[0].place, HALTED);
    vcpus[0].requests = 0;
    vcpu_request(&vcpus[0], REQUEST_EVENT);
    assert_int_equal(vcpus[0].task.state, TASK_OUT);
    assert_int_equal(cpus[0].kicks, 0);
}

static void test_the_last_vcpu_that_leaves_wakes_the_control_thread(void **state)
{
    (void)state;
    boot(2);
    vm.live_vcpus = 2;
    add(0, 0);
    add(1, 0);
    settle();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(control_wakes, 0);
        vcpu_request(&vcpus[i], REQUEST_STOP);
        step(vcpus[i].task.cpu);
    }
    assert_int_equal(control_wakes, 1);
    assert_null(pcpus[0].current);
}

/* --- a CPU with more than one task --- */

static void test_who_wakes_runs_before_a_spinner(void **state)
{
    (void)state;
    boot(1);
    add(0, 0);
    settle();
    fall_asleep(0);
    add(1, 0);
    settle();
    assert_runs(0, 1);
    pass(SLICE);
    vcpu_request(&vcpus[0], REQUEST_EVENT);
    assert_true(vcpus[1].requests & REQUEST_YIELD);
    settle();
    assert_runs(0, 0);
}

static void test_spinners_take_turns(void **state)
{
    unsigned ran[2] = {0, 0};

    (void)state;
    boot(1);
    add(0, 0);
    add(1, 0);
    step(0);
    for (unsigned i = 0; i < 20; i++) {
        ran[cpus[0].vcpu->index]++;
        end_slice(0);
    }
    assert_in_range(ran[0], 9, 11);
    assert_in_range(ran[1], 9, 11);
}

static void test_one_that_yields_lets_the_other_go_first(void **state)
{
    unsigned first;

    (void)state;
    boot(1);
    add(0, 0);
    add(1, 0);
    step(0);
    first = cpus[0].vcpu->index;
    fake_pcpu_become(0);
    sched_yield();
    step(0);
    assert_runs(0, 1 - first);
}

static void test_one_that_is_alone_yields_to_nobody(void **state)
{
    (void)state;
    boot(1);
    add(0, 0);
    settle();
    fake_pcpu_become(0);
    sched_yield();
    assert_int_equal(vcpus[0].requests, 0);
    assert_int_equal(slice_end, UINT64_MAX); /* and needs no end of its slice */
}

/* Theory: nothing ends the slice of who is alone, so it is charged when somebody asks. */
static void test_one_that_is_alone_has_run_until_now(void **state)
{
    (void)state;
    boot(1);
    add(0, 0);
    settle();
    pass(10 * SLICE);
    assert_int_equal(sched_run_ticks(&vcpus[0].task), 10 * SLICE);
    pass(SLICE);
    assert_int_equal(sched_run_ticks(&vcpus[0].task), 11 * SLICE);
}

/* --- work for idle CPUs --- */

static void test_an_idle_cpu_takes_what_waits_elsewhere(void **state)
{
    unsigned other;

    (void)state;
    boot(2);
    add(0, 0);
    add(1, 0);
    settle();
    add(2, 0); /* nobody is idle: it waits */
    settle();
    assert_int_equal(vcpus[2].task.state, TASK_READY);
    other = 1 - vcpus[2].task.cpu;
    fall_asleep(other);
    assert_runs(other, 2);
}

/* Its CPU was idle when nobody could take the task, whose state was still on the other one. */
static void test_what_is_released_is_offered_to_an_idle_cpu(void **state)
{
    (void)state;
    boot(2);
    add(0, BIT(0));
    settle();
    sched_entity_set_cpus(&vcpus[0].task.entity, BIT(0));
    vcpus[0].task.cpus = 3; /* bound, though it may run on both */
    add(1, BIT(0));
    settle();
    for (unsigned i = 0; i < 3 && cpus[0].vcpu != &vcpus[1]; i++)
        end_slice(0);
    assert_runs(0, 1); /* which took the state of the first one off the CPU */
    settle();
    assert_runs(1, 0);
}

/* It takes its CPU back from the one that had it meanwhile: that one is to go where nobody is. */
static void test_when_a_cap_is_full_again_nobody_waits_beside_an_idle_cpu(void **state)
{
    (void)state;
    boot(2);
    task_init(&vcpus[0].task, &vcpus[0], 100, 10, 3);
    assert_int_equal(sched_add(&vcpus[0].task), 0);
    settle();
    assert_runs(0, 0);
    add(1, BIT(0))->task.cpus = 3; /* and is only this time where it is */
    pass(CAP_PERIOD / 5);          /* two times what it may have */
    settle();
    step(0);
    assert_runs(0, 1);
    assert_int_equal(vcpus[0].task.entity.state, ENTITY_THROTTLED);
    for (unsigned i = 0; i < 3 && vcpus[0].task.state != TASK_RUNNING; i++) {
        assert_int_equal(cpus[1].place, HALTED);
        pass(CAP_PERIOD);
        step(0);
        settle();
    }
    assert_runs(0, 0);
    assert_runs(1, 1);
}

static void test_three_spinners_share_two_cpus(void **state)
{
    unsigned ran[3] = {0, 0, 0};

    (void)state;
    boot(2);
    for (unsigned i = 0; i < 3; i++)
        add(i, 0);
    settle();
    for (unsigned i = 0; i < 3000; i++) {
        pass(SLICE);
        for (unsigned cpu = 0; cpu < 2; cpu++) {
            ran[cpus[cpu].vcpu->index]++;
            step(cpu);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(ran[i], 1700, 2300);
}

/* --- the control thread --- */

static struct task control;

static void add_control(void)
{
    fake_pcpu_become(0);
    task_init(&control, NULL, 400, 0, 0);
    assert_int_equal(control.cpus, 1);
    assert_int_equal(sched_add(&control), 0);
}

/* It needs no vCPU's registers, and holds none up. */
static void test_while_the_control_thread_works_its_cpus_vcpu_runs_elsewhere(void **state)
{
    (void)state;
    boot(2);
    add(0, 3);
    settle();
    assert_runs(0, 0);
    control_works = true;
    add_control();
    for (unsigned i = 0; i < 5 && vcpus[0].task.state == TASK_RUNNING && vcpus[0].task.cpu == 0; i++)
        end_slice(0);
    settle();
    assert_runs(1, 0);
}

static void test_work_that_comes_as_the_control_thread_falls_asleep_wakes_it(void **state)
{
    (void)state;
    boot(1);
    add_control();
    step(0);
    assert_int_equal(control.state, TASK_RUNNING);
    step(0); /* nothing to do */
    assert_int_equal(control.state, TASK_ASLEEP);
    control_works = true;
    sched_notify(&control);
    step(0);
    assert_int_equal(control.state, TASK_RUNNING);
}

/* --- synchronize --- */

static void step_cpu_1(void)
{
    if (cpus[1].kicks)
        step(1);
}

static void test_synchronize_waits_for_a_cpu_in_a_guest(void **state)
{
    uint64_t before;

    (void)state;
    boot(2);
    add(0, BIT(1));
    settle();
    before = pcpus[1].passes;
    on_yield = step_cpu_1;
    sched_synchronize();
    assert_true(yields > 0);
    assert_true(pcpus[1].passes > before);
}

static void test_synchronize_does_not_wait_for_one_that_is_idle(void **state)
{
    (void)state;
    boot(4);
    sched_synchronize();
    assert_int_equal(yields, 0);
    assert_int_equal(cpus[1].kicks, 0);
}

static int get_stacks(void **state)
{
    (void)state;
    stacks = malloc(CPUS_MAX * STACK_BYTES);
    return stacks ? 0 : -1;
}

static int free_stacks(void **state)
{
    (void)state;
    free(stacks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_spread_over_idle_cpus),
        cmocka_unit_test(test_a_task_runs_only_where_it_may),
        cmocka_unit_test(test_a_task_that_may_run_nowhere_is_refused),
        cmocka_unit_test(test_who_wakes_goes_where_it_was_if_that_is_idle),
        cmocka_unit_test(test_who_is_bound_waits_for_its_cpu),
        cmocka_unit_test(test_a_request_just_before_the_task_sleeps_is_not_slept_over),
        cmocka_unit_test(test_a_task_that_is_added_just_before_the_halt_is_run),
        cmocka_unit_test(test_a_request_for_a_running_task_kicks_its_cpu),
        cmocka_unit_test(test_a_task_that_has_left_is_not_woken),
        cmocka_unit_test(test_the_last_vcpu_that_leaves_wakes_the_control_thread),
        cmocka_unit_test(test_who_wakes_runs_before_a_spinner),
        cmocka_unit_test(test_spinners_take_turns),
        cmocka_unit_test(test_one_that_yields_lets_the_other_go_first),
        cmocka_unit_test(test_one_that_is_alone_yields_to_nobody),
        cmocka_unit_test(test_one_that_is_alone_has_run_until_now),
        cmocka_unit_test(test_an_idle_cpu_takes_what_waits_elsewhere),
        cmocka_unit_test(test_what_is_released_is_offered_to_an_idle_cpu),
        cmocka_unit_test(test_when_a_cap_is_full_again_nobody_waits_beside_an_idle_cpu),
        cmocka_unit_test(test_three_spinners_share_two_cpus),
        cmocka_unit_test(test_while_the_control_thread_works_its_cpus_vcpu_runs_elsewhere),
        cmocka_unit_test(test_work_that_comes_as_the_control_thread_falls_asleep_wakes_it),
        cmocka_unit_test(test_synchronize_waits_for_a_cpu_in_a_guest),
        cmocka_unit_test(test_synchronize_does_not_wait_for_one_that_is_idle),
    };

    return cmocka_run_group_tests(tests, get_stacks, free_stacks);
}
