/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each entity gets the share of its weight, whatever weights there are and whoever moves in between, and the queue
 * asks for no timer that it does not need. That each single choice is the right one is runqueue_oracle_test.c's matter,
 * the arithmetic runqueue_limits_test.c's.
 */
#include "tests/host/fake/runqueue_rig.h"

/* --- shares --- */

static void test_two_spinners_share_by_weight(void **state)
{
    struct task *light, *heavy;

    (void)state;
    machine_init(1);
    light = spinner(100);
    heavy = spinner(300);
    run_for(SECOND);
    assert_in_range(share(light, 0, SECOND), 247, 253);
    assert_in_range(share(heavy, 0, SECOND), 747, 753);
    assert_int_equal(light->entity.run_ticks + heavy->entity.run_ticks, SECOND);
    assert_true(picks < SECOND / (700 * US));
}

static void test_extreme_weights_share(void **state)
{
    struct task *least, *most;
    uint64_t ticks = 100 * SECOND;

    (void)state;
    machine_init(1);
    least = spinner(0);
    most = spinner(1000000);
    assert_int_equal(least->entity.weight, 1);
    assert_int_equal(most->entity.weight, SCHED_WEIGHT_MAX);
    run_for(ticks);
    assert_in_range(least->entity.run_ticks, ticks / 10001 - params.slice, ticks / 10001 + params.slice);
}

static void test_often_charged_is_charged_in_full(void **state)
{
    struct task *light, *heavy;

    (void)state;
    machine_init(1);
    light = spinner(5000);
    heavy = spinner(10000);
    for (unsigned i = 0; i < 1000000; i++) {
        now += 30 + i % 13; /* less than a virtual tick */
        reschedule(&queues[0]);
    }
    assert_in_range(light->entity.run_ticks * 1000 / (now - 12345), 315, 352);
    assert_in_range(heavy->entity.run_ticks * 1000 / (now - 12345), 648, 685);
}

static void test_a_new_weight_counts_at_once(void **state)
{
    struct task *a, *b;
    uint64_t before;

    (void)state;
    machine_init(1);
    a = spinner(100);
    b = spinner(100);
    run_for(100 * MS);
    sched_entity_set_weight(&a->entity, 400, now);
    sched_entity_set_weight(&b->entity, 100, now);
    before = a->entity.run_ticks;
    run_for(SECOND);
    assert_in_range(share(a, before, SECOND), 795, 805);
    assert_int_equal(runqueue_load(&queues[0]), 500);
}

static void test_a_sleeping_entity_may_be_reweighed(void **state)
{
    struct sched_entity e;

    (void)state;
    sched_entity_init(&e, 100, 0, 0);
    e.lag = -3000;
    sched_entity_set_weight(&e, 300, 0);
    assert_int_equal(e.lag, -1000);
    assert_int_equal(e.weight, 300);
}

static void test_yield_lets_the_other_run(void **state)
{
    struct task *polite, *other;

    (void)state;
    machine_init(1);
    runqueue_yield(&queues[0], now); /* nobody: nothing */
    polite = spinner(100);
    other = spinner(100);
    for (unsigned i = 0; i < 1000; i++) {
        run_for(47 * US);
        if (queues[0].current == &polite->entity) {
            runqueue_yield(&queues[0], now);
            assert_true(runqueue_must_switch(&queues[0], now));
            reschedule(&queues[0]);
            assert_ptr_equal(queues[0].current, &other->entity);
        }
    }
    assert_true(polite->entity.run_ticks > 0);
    runqueue_remove(&queues[0], &other->entity, now);
    run_for(MS);
    for (unsigned i = 0; i < 100000; i++)
        runqueue_yield(&queues[0], now += 100);
    assert_false(runqueue_must_switch(&queues[0], now));
    assert_in_range(polite->entity.deadline - polite->entity.vruntime, 1, params.slice + 1);
}

/* --- timers --- */

static void test_no_timer_that_is_not_needed(void **state)
{
    struct task *t, *other;

    (void)state;
    machine_init(1);
    assert_int_equal(runqueue_next_event(&queues[0]), UINT64_MAX);
    assert_false(runqueue_must_switch(&queues[0], now));
    t = spinner(100);
    run_for(0);
    assert_int_equal(runqueue_next_event(&queues[0]), UINT64_MAX);
    other = spinner(100);
    run_for(0);
    assert_in_range(runqueue_next_event(&queues[0]) - now, 1, params.slice);
    assert_int_equal(runqueue_ready_count(&queues[0]), 1);
    runqueue_remove(&queues[0], &t->entity, now);
    runqueue_remove(&queues[0], &other->entity, now);
    assert_null(runqueue_pick(&queues[0], now));
    assert_int_equal(runqueue_next_event(&queues[0]), UINT64_MAX);
    assert_int_equal(runqueue_load(&queues[0]), 0);
}

static void test_alone_for_years(void **state)
{
    struct task *t, *late;
    const uint64_t year = 365 * 86400 * SECOND;

    (void)state;
    machine_init(1);
    t = spinner(1);
    run_for(0);
    for (unsigned i = 0; i < 50; i++) {
        now += year;
        assert_false(runqueue_must_switch(&queues[0], now));
    }
    assert_int_equal(t->entity.run_ticks, 50 * year);
    late = spinner(1);
    run_for(SECOND);
    assert_in_range(share(late, 0, SECOND), 490, 510);
}

/* --- many CPUs --- */

static void move(struct task *t, unsigned cpu)
{
    runqueue_remove(t->entity.queue, &t->entity, now);
    t->home = &queues[cpu];
    runqueue_add(t->home, &t->entity, now);
}

/* Both queues' virtual times are far from each other. */
static void test_lag_survives_migration(void **state)
{
    struct task *t, *there[3];
    int64_t lag;

    (void)state;
    machine_init(2);
    t = spinner(100);
    spinner(50);
    for (unsigned i = 0; i < 3; i++)
        there[i] = task_add(1, 10 + i, 0);
    run_for(97 * MS);
    assert_true(queues[0].zero - queues[1].zero > 100 * MS);
    runqueue_remove(&queues[0], &t->entity, now);
    lag = t->entity.lag;
    assert_true(lag > 100 || lag < -100);
    runqueue_add(&queues[1], &t->entity, now);
    runqueue_remove(&queues[1], &t->entity, now);
    assert_in_range(t->entity.lag - lag + 10, 0, 20);
    assert_non_null(there[0]->home);
}

static void test_moving_about_wins_no_share(void **state)
{
    struct task *restless, *a, *b;

    (void)state;
    machine_init(2);
    restless = spinner(100);
    a = spinner(100);
    b = task_add(1, 100, 0);
    for (unsigned i = 0; i < 1000; i++) {
        run_for(MS);
        move(restless, i % 2);
    }
    assert_in_range(share(restless, 0, SECOND), 450, 550);
    assert_in_range(share(a, 0, SECOND) + share(b, 0, SECOND), 1450, 1550);
}

static void test_steal_honours_masks(void **state)
{
    (void)state;
    machine_init(1);
    for (unsigned i = 0; i < 40; i++)
        sched_entity_set_cpus(&spinner(100)->entity, i % 7 == 3 ? BIT(0) | BIT(2) : BIT(0));
    run_for(10 * MS);
    assert_null(runqueue_steal(&queues[0], 1, now));
    for (unsigned i = 0; i < 6; i++) {
        struct sched_entity *e = runqueue_steal(&queues[0], 2, now);

        if (!e) {
            assert_int_equal(queues[0].current->cpus & BIT(2), BIT(2));
            continue;
        }
        assert_int_equal(e->cpus, BIT(0) | BIT(2));
        assert_int_equal(e->state, ENTITY_OFF);
    }
    assert_null(runqueue_steal(&queues[0], 2, now));
    assert_int_equal(runqueue_ready_count(&queues[0]) + 1, runqueue_load(&queues[0]) / 100);
}

static void test_four_cpus_that_steal_are_busy(void **state)
{
    uint64_t total = 0;

    (void)state;
    machine_init(4);
    for (unsigned i = 0; i < 6; i++)
        sleeper(100, (i + 1) * 2 * MS, MS);
    for (unsigned i = 0; i < 4000; i++) {
        run_for(250 * US);
        for (unsigned cpu = 0; cpu < 4; cpu++) {
            struct sched_entity *e = queues[cpu].current ? NULL : runqueue_steal(&queues[(cpu + i) % 4], cpu, now);

            if (e)
                runqueue_add(((struct task *)e)->home = &queues[cpu], e, now);
        }
    }
    for (unsigned i = 0; i < 6; i++)
        total += tasks[i].entity.run_ticks;
    assert_in_range(total, 35 * (SECOND / 10), 4 * SECOND);
}

static void test_waiting_is_counted(void **state)
{
    struct task *t;

    (void)state;
    machine_init(1);
    t = spinner(100);
    runqueue_pick(&queues[0], now + US);
    assert_int_equal(t->entity.wait_ticks, US);
    t = spinner(100);
    runqueue_remove(&queues[0], &t->entity, now + MS);
    assert_int_equal(t->entity.wait_ticks, MS);
    runqueue_add(&queues[0], &t->entity, now + 2 * MS);
    runqueue_pick(&queues[0], now + 4 * MS);
    assert_int_equal(t->entity.state, ENTITY_CURRENT);
    assert_int_equal(t->entity.wait_ticks, 3 * MS);
}

/* A steal between CPUs whose clocks differ, and a charge that comes too early. */
static void test_time_that_goes_backwards(void **state)
{
    struct task *t;

    (void)state;
    machine_init(1);
    t = spinner(100);
    run_for(MS);
    runqueue_charge(&queues[0], now - 500);
    assert_int_equal(t->entity.run_ticks, MS);
    runqueue_charge(&queues[0], now + 100);
    assert_int_equal(t->entity.run_ticks, MS + 100);
    runqueue_remove(&queues[0], &t->entity, now - 10);
    runqueue_add(&queues[0], &t->entity, now - 20);
    run_for(0);
    assert_int_equal(t->entity.wait_ticks, 20);
}

static void test_misuse_is_caught(void **state)
{
    struct sched_params bad = params;
    struct runqueue rq;
    struct task *t;

    (void)state;
    bad.slice = bad.slice_min - 1;
    expect_panic(runqueue_init(&rq, 0, &bad));
    machine_init(2);
    t = spinner(100);
    expect_panic(runqueue_add(&queues[1], &t->entity, now));
    expect_panic(runqueue_remove(&queues[1], &t->entity, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_spinners_share_by_weight),
        cmocka_unit_test(test_extreme_weights_share),
        cmocka_unit_test(test_often_charged_is_charged_in_full),
        cmocka_unit_test(test_a_new_weight_counts_at_once),
        cmocka_unit_test(test_a_sleeping_entity_may_be_reweighed),
        cmocka_unit_test(test_yield_lets_the_other_run),
        cmocka_unit_test(test_no_timer_that_is_not_needed),
        cmocka_unit_test(test_alone_for_years),
        cmocka_unit_test(test_lag_survives_migration),
        cmocka_unit_test(test_moving_about_wins_no_share),
        cmocka_unit_test(test_steal_honours_masks),
        cmocka_unit_test(test_four_cpus_that_steal_are_busy),
        cmocka_unit_test(test_waiting_is_counted),
        cmocka_unit_test(test_time_that_goes_backwards),
        cmocka_unit_test(test_misuse_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
