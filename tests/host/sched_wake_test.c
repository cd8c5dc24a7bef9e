/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a task that has something to do is never asleep for good, whenever it is told of that; one that has left is not
 * woken; who waits until all CPUs have passed waits for those in guests alone.
 */
#include "tests/host/fake/sched_rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_just_before_the_task_sleeps_is_not_slept_over),
        cmocka_unit_test(test_a_task_that_is_added_just_before_the_halt_is_run),
        cmocka_unit_test(test_a_request_for_a_running_task_kicks_its_cpu),
        cmocka_unit_test(test_a_task_that_has_left_is_not_woken),
        cmocka_unit_test(test_the_last_vcpu_that_leaves_wakes_the_control_thread),
        cmocka_unit_test(test_while_the_control_thread_works_its_cpus_vcpu_runs_elsewhere),
        cmocka_unit_test(test_work_that_comes_as_the_control_thread_falls_asleep_wakes_it),
        cmocka_unit_test(test_synchronize_waits_for_a_cpu_in_a_guest),
        cmocka_unit_test(test_synchronize_does_not_wait_for_one_that_is_idle),
    };
    return cmocka_run_group_tests(tests, sched_rig_start, sched_rig_end);
}
