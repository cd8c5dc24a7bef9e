/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an entity gets no more than its cap, on a CPU that is idle, beside others, and whoever sleeps and moves in between.
 */
#include "tests/host/fake/runqueue_rig.h"

static void test_a_cap_holds_on_an_idle_cpu(void **state)
{
    struct task *t;

    (void)state;
    machine_init(1);
    t = task_add(0, 100, 20);
    run_for(SECOND);
    assert_in_range(share(t, 0, SECOND), 198, 203);
    assert_in_range(t->entity.wait_ticks, 780 * MS, 802 * MS);
}

static void test_a_cap_holds_beside_others(void **state)
{
    struct task *capped, *other, *sleepy;

    (void)state;
    machine_init(1);
    capped = task_add(0, 10000, 30);
    other = spinner(100);
    sleepy = sleeper(100, 3 * MS, 10 * MS);
    sched_entity_set_cap(&sleepy->entity, 5, now);
    run_for(SECOND);
    assert_in_range(share(capped, 0, SECOND), 295, 305);
    assert_in_range(share(sleepy, 0, SECOND), 30, 55);
    assert_true(share(other, 0, SECOND) >= 640);
}

static void test_caps_are_lifted_and_set(void **state)
{
    struct task *t;
    uint64_t before;

    (void)state;
    machine_init(1);
    t = task_add(0, 100, 1);
    run_for(5 * MS);
    assert_int_equal(t->entity.state, ENTITY_THROTTLED);
    sched_entity_set_weight(&t->entity, 200, now);
    sched_entity_set_cap(&t->entity, 100, now); /* of a hundred percent: none */
    assert_int_equal(t->entity.cap, 0);
    before = t->entity.run_ticks;
    run_for(100 * MS);
    assert_int_equal(t->entity.run_ticks - before, 100 * MS);
    sched_entity_set_cap(&t->entity, 50, now);
    before = t->entity.run_ticks;
    run_for(SECOND);
    assert_in_range(share(t, before, SECOND), 495, 505);
    runqueue_remove(&queues[0], &t->entity, now);
    sched_entity_set_cap(&t->entity, 10, now);
    runqueue_add(&queues[0], &t->entity, now);
    before = t->entity.run_ticks;
    run_for(SECOND);
    assert_in_range(share(t, before, SECOND), 98, 103);
}

/* A throttled entity that is moved or put to sleep is throttled wherever it comes back. */
static void test_a_cap_is_not_dodged_by_leaving(void **state)
{
    struct task *t;

    (void)state;
    machine_init(2);
    t = task_add(0, 100, 10);
    for (unsigned i = 0; i < 1000; i++) {
        run_for(MS);
        runqueue_remove(t->entity.queue, &t->entity, now);
        runqueue_add(&queues[i % 2], &t->entity, now);
    }
    assert_in_range(share(t, 0, SECOND), 95, 105);
}

/* Of 10 ms: 2 ms. What is left at the end of a period is lost, what was used too much is missing in the next. */
static void test_a_cap_that_is_charged_late(void **state)
{
    struct task *t;
    uint64_t start;

    (void)state;
    machine_init(1);
    start = now = SECOND;
    t = task_add(0, 100, 20);
    assert_ptr_equal(runqueue_pick(&queues[0], start + 9 * MS), &t->entity);
    assert_int_equal(runqueue_next_event(&queues[0]), start + 11 * MS);
    assert_false(runqueue_must_switch(&queues[0], start + 10 * MS + 500 * US));
    assert_int_equal(t->entity.cap_budget, 1500 * US);
    assert_true(runqueue_must_switch(&queues[0], start + 15 * MS));
    assert_null(runqueue_pick(&queues[0], start + 15 * MS));
    assert_int_equal(runqueue_next_event(&queues[0]), start + 20 * MS);
    assert_false(runqueue_must_switch(&queues[0], start + 20 * MS)); /* it owes 1 ms more than a period brings */
    assert_int_equal(t->entity.cap_budget, -1000 * (int)US);
    assert_int_equal(runqueue_next_event(&queues[0]), start + 30 * MS);
    assert_true(runqueue_must_switch(&queues[0], start + 30 * MS));
    assert_int_equal(t->entity.cap_budget, 1000 * US);
    runqueue_pick(&queues[0], start + 30 * MS);
    runqueue_charge(&queues[0], start + 100 * SECOND);
    assert_in_range(t->entity.cap_budget + 10 * (int64_t)MS, 0, 10 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cap_holds_on_an_idle_cpu),
        cmocka_unit_test(test_a_cap_holds_beside_others),
        cmocka_unit_test(test_caps_are_lifted_and_set),
        cmocka_unit_test(test_a_cap_is_not_dodged_by_leaving),
        cmocka_unit_test(test_a_cap_that_is_charged_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
