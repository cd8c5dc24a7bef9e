/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a task is on one queue at most, and runs on no CPU that it may not run on; those that share a CPU take turns, and
 * no CPU halts while a task that it could run waits elsewhere, or is told of that.
 */
#include "tests/host/fake/sched_rig.h"
#include "kernel/lib/errno.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_spread_over_idle_cpus),
        cmocka_unit_test(test_a_task_runs_only_where_it_may),
        cmocka_unit_test(test_a_task_that_may_run_nowhere_is_refused),
        cmocka_unit_test(test_who_wakes_goes_where_it_was_if_that_is_idle),
        cmocka_unit_test(test_who_is_bound_waits_for_its_cpu),
        cmocka_unit_test(test_who_wakes_runs_before_a_spinner),
        cmocka_unit_test(test_spinners_take_turns),
        cmocka_unit_test(test_one_that_yields_lets_the_other_go_first),
        cmocka_unit_test(test_one_that_is_alone_yields_to_nobody),
        cmocka_unit_test(test_one_that_is_alone_has_run_until_now),
        cmocka_unit_test(test_an_idle_cpu_takes_what_waits_elsewhere),
        cmocka_unit_test(test_what_is_released_is_offered_to_an_idle_cpu),
        cmocka_unit_test(test_when_a_cap_is_full_again_nobody_waits_beside_an_idle_cpu),
        cmocka_unit_test(test_three_spinners_share_two_cpus),
    };
    return cmocka_run_group_tests(tests, sched_rig_start, sched_rig_end);
}
