/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an entity that wakes up with no debt does not wait, whatever the others do, and who sleeps wins nothing by it.
 */
#include "tests/host/fake/runqueue_rig.h"

/* While all of them are new, the last to come waits for the others; after that for nobody, in ticks. */
static void test_a_waking_sleeper_does_not_wait(void **state)
{
    (void)state;
    for (unsigned spinners = 1; spinners <= 32; spinners *= 2) {
        struct task *t;
        uint64_t before;

        machine_init(1);
        for (unsigned i = 0; i < spinners; i++)
            spinner(100);
        t = sleeper(100, 50 * US, (spinners + 1) * 100 * US + 777 * US);
        run_for(SECOND / 10);
        before = t->entity.run_ticks;
        t->worst_wait = 0;
        run_for(10 * SECOND);
        assert_int_equal(t->worst_wait, 0);
        assert_true(t->entity.run_ticks - before > 10 * SECOND / (t->sleep + 71 * US) * 50 * US);
    }
}

static void test_a_waking_sleeper_beside_one_spinner(void **state)
{
    struct task *t;

    (void)state;
    machine_init(1);
    spinner(10000);
    t = sleeper(100, 20 * US, 2777 * US);
    run_for(10 * MS);
    t->worst_wait = 0;
    run_for(SECOND);
    assert_int_equal(t->worst_wait, 0);
}

/* Those that wake up wait for each other's bursts at most, or until whom the other interrupted has had its run_min. */
static void test_waking_sleepers_wait_for_each_other_only(void **state)
{
    (void)state;
    for (unsigned spinners = 1; spinners <= 32; spinners *= 2) {
        struct task *a, *b;

        machine_init(1);
        for (unsigned i = 0; i < spinners; i++)
            spinner(100);
        a = sleeper(100, 50 * US, (spinners + 1) * 100 * US + 777 * US);
        b = sleeper(300, 70 * US, (spinners + 1) * 140 * US + 1111 * US);
        run_for(SECOND / 10);
        a->worst_wait = b->worst_wait = 0;
        run_for(10 * SECOND);
        assert_in_range(a->worst_wait, 0, params.run_min);
        assert_in_range(b->worst_wait, 0, params.run_min);
    }
}

/* One that wakes up without end: at most one interruption in run_min, though it always wakes up with no debt. */
static void test_wake_ups_without_end_leave_runs_of_some_length(void **state)
{
    for (unsigned spinners = 1; spinners <= 4; spinners++) {
        struct task *pest, *waker;
        unsigned before;

        (void)state;
        machine_init(1);
        for (unsigned i = 0; i < spinners; i++)
            spinner(100);
        pest = sleeper(10000, US, US);
        waker = sleeper(100, 10 * US, 50 * MS);
        run_for(100 * MS);
        before = picks;
        pest->worst_wait = waker->worst_wait = 0;
        run_for(SECOND);
        assert_in_range(picks - before, 5000, 2 * SECOND / params.run_min + 2 * SECOND / params.slice);
        assert_in_range(pest->worst_wait, params.run_min - 2 * US, params.run_min + 10 * US);
        assert_in_range(waker->worst_wait, 0, params.run_min + 10 * US);
    }
}

/* The scheduler asks for a pick whenever it likes: that ends nobody's time. */
static void test_a_pick_too_many_takes_the_cpu_from_nobody(void **state)
{
    struct task *first, *second;

    (void)state;
    machine_init(1);
    first = spinner(100);
    run_for(0);
    second = spinner(100);
    for (uint64_t end = now + params.slice_min; now < end; now += 10 * US)
        assert_ptr_equal(runqueue_pick(&queues[0], now), &first->entity);
    now += US;
    assert_true(runqueue_must_switch(&queues[0], now));
    assert_ptr_equal(runqueue_pick(&queues[0], now), &second->entity);
}

static void test_sleeping_wins_no_share(void **state)
{
    struct task *t, *honest;
    uint64_t all = SECOND;

    (void)state;
    machine_init(1);
    honest = spinner(100);
    t = sleeper(100, 690 * US, 1 * US); /* wakes up for ever more than its half */
    run_for(all);
    assert_in_range(share(t, 0, all), 450, 510);
    assert_in_range(share(honest, 0, all), 490, 550);
}

static void test_a_long_sleep_saves_nothing_up(void **state)
{
    struct task *t, *honest;
    uint64_t before;

    (void)state;
    machine_init(1);
    honest = spinner(100);
    t = sleeper(100, 30 * MS, 100 * SECOND);
    run_for(100 * SECOND + 70 * MS); /* it woke up again some 10 ms ago */
    before = honest->entity.run_ticks;
    run_for(40 * MS);
    assert_in_range(share(honest, before, 40 * MS), 350, 650);
    assert_true(t->entity.run_ticks > 30 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_waking_sleeper_does_not_wait),
        cmocka_unit_test(test_a_waking_sleeper_beside_one_spinner),
        cmocka_unit_test(test_waking_sleepers_wait_for_each_other_only),
        cmocka_unit_test(test_wake_ups_without_end_leave_runs_of_some_length),
        cmocka_unit_test(test_a_pick_too_many_takes_the_cpu_from_nobody),
        cmocka_unit_test(test_sleeping_wins_no_share),
        cmocka_unit_test(test_a_long_sleep_saves_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
