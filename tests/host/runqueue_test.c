/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a machine of up to four CPUs, played event by event as the scheduler plays it (pick, run until
 * the next event, ask again), gives each entity the share of its weight and no more than its cap, whoever
 * sleeps and moves in between; one that wakes up with no debt does not wait, whatever the others do; and
 * the queue asks for no timer that it does not need. That each single choice is the right one is
 * runqueue_oracle_test.c's matter, the arithmetic runqueue_limits_test.c's.
 */
#include "tests/host/fake/fake.h"
#include "kernel/runqueue.h"

#define US 1000u /* a tick is a nanosecond */
#define MS 1000000u
#define SECOND (1000u * (uint64_t)MS)

static const struct sched_params params = {
    .slice = 3 * MS, .slice_min = 700 * US, .run_min = 100 * US, .cap_period = 10 * MS};

/* --- the machine --- */

#define CPUS  4u
#define TASKS 64u

/* Runs for `burst`, sleeps for `sleep`, and so on; burst 0: spins. */
static struct task {
    struct sched_entity entity; /* first */
    struct runqueue *home;
    uint64_t burst, sleep;
    uint64_t burst_end;  /* in run_ticks */
    uint64_t wake_at;
    uint64_t woken_at;   /* and has not run since, if it waits */
    uint64_t worst_wait; /* from waking up to running */
} tasks[TASKS];
static struct runqueue queues[CPUS];
static unsigned task_count, cpu_count, picks;
static uint64_t now;

static void machine_init(unsigned cpus)
{
    cpu_count = cpus;
    task_count = 0;
    picks = 0;
    now = 12345;
    for (unsigned i = 0; i < cpus; i++) {
        runqueue_init(&queues[i], i, &params);
        queues[i].zero = UINT64_MAX - MS * i; /* soon wraps */
    }
}

static void wake(struct task *t)
{
    t->woken_at = now;
    t->wake_at = UINT64_MAX;
    t->burst_end = t->burst ? t->entity.run_ticks + t->burst : UINT64_MAX;
    runqueue_add(t->home, &t->entity, now);
}

static struct task *task_add(unsigned cpu, unsigned weight, unsigned cap)
{
    struct task *t = &tasks[task_count++];

    *t = (struct task){.home = &queues[cpu]};
    sched_entity_init(&t->entity, weight, cap, 0);
    wake(t);
    return t;
}

static struct task *spinner(unsigned weight)
{
    return task_add(0, weight, 0);
}

static struct task *sleeper(unsigned weight, uint64_t burst, uint64_t sleep)
{
    struct task *t = spinner(weight);

    t->burst = burst;
    t->sleep = sleep;
    t->burst_end = burst;
    return t;
}

static struct task *current(const struct runqueue *rq)
{
    return (struct task *)rq->current;
}

static uint64_t burst_end(const struct task *t)
{
    return t->burst ? t->entity.charged_at + t->burst_end - t->entity.run_ticks : UINT64_MAX;
}

static uint64_t next_moment(void)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < cpu_count; i++) {
        next = MIN(next, runqueue_next_event(&queues[i]));
        if (queues[i].current)
            next = MIN(next, burst_end(current(&queues[i])));
    }
    for (unsigned i = 0; i < task_count; i++)
        next = MIN(next, tasks[i].wake_at);
    return next;
}

static void go_to_sleep(struct task *t)
{
    runqueue_remove(t->entity.queue, &t->entity, now);
    t->wake_at = now + t->sleep;
}

static void reschedule(struct runqueue *rq)
{
    struct task *old = current(rq), *t;

    if (old && burst_end(old) <= now)
        go_to_sleep(old);
    if (rq->current && !runqueue_must_switch(rq, now))
        return;
    t = (struct task *)runqueue_pick(rq, now);
    picks++;
    if (!t || t == old)
        return;
    t->worst_wait = MAX(t->worst_wait, now - t->woken_at);
    t->woken_at = UINT64_MAX;
}

static void assert_lags_bounded(void)
{
    for (unsigned i = 0; i < task_count; i++) {
        struct sched_entity *e = &tasks[i].entity;
        int64_t bound = 2 * (int64_t)params.slice * SCHED_WEIGHT_DEFAULT / (int64_t)e->weight + 1000;

        assert_in_range(e->lag + bound, 0, 2 * bound);
    }
}

static void run_for(uint64_t ticks)
{
    uint64_t end = now + ticks;

    for (;;) {
        for (unsigned i = 0; i < task_count; i++)
            if (tasks[i].wake_at <= now)
                wake(&tasks[i]);
        for (unsigned i = 0; i < cpu_count; i++)
            reschedule(&queues[i]);
        if (now == end)
            break;
        now = MAX(now, MIN(end, next_moment()));
    }
    for (unsigned i = 0; i < cpu_count; i++)
        runqueue_charge(&queues[i], now);
    assert_lags_bounded();
}

/* In per mille of the time since `before`, which is t's run_ticks then. */
static uint64_t share(const struct task *t, uint64_t before, uint64_t ticks)
{
    return (t->entity.run_ticks - before) * 1000 / ticks;
}

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

/* --- sleepers --- */

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

/* --- caps --- */

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
        cmocka_unit_test(test_a_waking_sleeper_does_not_wait),
        cmocka_unit_test(test_a_waking_sleeper_beside_one_spinner),
        cmocka_unit_test(test_waking_sleepers_wait_for_each_other_only),
        cmocka_unit_test(test_wake_ups_without_end_leave_runs_of_some_length),
        cmocka_unit_test(test_a_pick_too_many_takes_the_cpu_from_nobody),
        cmocka_unit_test(test_sleeping_wins_no_share),
        cmocka_unit_test(test_a_long_sleep_saves_nothing_up),
        cmocka_unit_test(test_a_cap_holds_on_an_idle_cpu),
        cmocka_unit_test(test_a_cap_holds_beside_others),
        cmocka_unit_test(test_caps_are_lifted_and_set),
        cmocka_unit_test(test_a_cap_is_not_dodged_by_leaving),
        cmocka_unit_test(test_a_cap_that_is_charged_late),
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
