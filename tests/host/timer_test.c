/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever is armed, moved and cancelled in whatever order, each timer fires once, when it
 * is due and in the order of deadlines, as a plain array with a linear search says. The interrupt
 * is never programmed for later than the earliest deadline. What fires may arm and cancel, and
 * cannot keep timers_run() from returning.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "arch/arch.h"
#include "kernel/lib/lock.h"
#include "kernel/timers.h"
#include <pthread.h>

#define TIMERS 64u

static uint64_t hardware; /* what the interrupt is programmed for */
static unsigned hardware_count;

void arch_timer_set(uint64_t deadline)
{
    hardware = deadline;
    hardware_count++;
}

static unsigned slices;
static bool gives_way;

bool sched_slice_over(void)
{
    slices++;
    return gives_way;
}

/* --- the oracle --- */

static struct oracle {
    struct timer timer;
    bool armed;
    uint64_t deadline;
} all[TIMERS];
static uint64_t last_fired;
static unsigned fired;

static uint64_t earliest(void)
{
    uint64_t deadline = UINT64_MAX;

    for (unsigned i = 0; i < TIMERS; i++)
        if (all[i].armed)
            deadline = MIN(deadline, all[i].deadline);
    return deadline;
}

static void arm(struct oracle *o, uint64_t deadline)
{
    o->armed = true;
    o->deadline = deadline;
    timer_arm(&o->timer, deadline);
}

static void cancel(struct oracle *o)
{
    o->armed = false;
    timer_cancel(&o->timer);
}

static void fire(void *context)
{
    struct oracle *o = context;

    assert_true(o->armed);
    assert_false(o->timer.armed);
    assert_int_equal(o->deadline, earliest());
    assert_true(o->deadline <= clock_now());
    assert_true(o->deadline >= last_fired);
    last_fired = o->deadline;
    o->armed = false;
    fired++;
}

static void run_at(uint64_t now)
{
    fake_clock = now;
    last_fired = 0;
    if (hardware <= now) {
        hardware = UINT64_MAX; /* it fires once */
        timers_interrupt();
    }
    timers_run();
}

static int setup(void **state)
{
    (void)state;
    fake_pcpus_reset(2);
    fake_clock = 0;
    hardware = UINT64_MAX;
    timers_init(&pcpus[0].timers);
    timers_init(&pcpus[1].timers);
    hardware_count = fired = slices = 0;
    last_fired = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        all[i] = (struct oracle){.armed = false};
        timer_init(&all[i].timer, fire, &all[i]);
    }
    return 0;
}

static void assert_agrees(void)
{
    for (unsigned i = 0; i < TIMERS; i++)
        assert_int_equal(all[i].timer.armed, all[i].armed);
    assert_true(hardware <= earliest());
}

/* --- the tests --- */

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static void random_step(void)
{
    struct oracle *o = &all[random_below(TIMERS)];

    switch (random_below(8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        arm(o, fake_clock + random_below(100));
        break;
    case 4:
        arm(o, random_below(2) ? UINT64_MAX - random_below(4)
                               : fake_clock - MIN(fake_clock, random_below(50)));
        break;
    case 5:
        cancel(o);
        break;
    default:
        run_at(fake_clock + random_below(30));
        assert_true(earliest() > fake_clock);
    }
}

static void test_random_sequences_agree_with_a_list(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        setup(state);
        random_state = seed * 0x9e3779b97f4a7c15;
        for (unsigned i = 0; i < 1500; i++) {
            random_step();
            assert_agrees();
        }
        for (unsigned i = 0; i < TIMERS; i++)
            if (all[i].armed && all[i].deadline >= UINT64_MAX - 4)
                cancel(&all[i]);
        run_at(fake_clock + 200);
        assert_null(this_pcpu()->timers.root);
        assert_int_equal(hardware, UINT64_MAX);
        assert_true(fired > 100);
    }
}

/* All of one deadline, and a cancel of each in turn from every place of the heap. */
static void test_each_place_of_the_heap_can_be_left(void **state)
{
    for (unsigned victim = 0; victim < TIMERS; victim++) {
        setup(state);
        for (unsigned i = 0; i < TIMERS; i++)
            arm(&all[i], 10 + i % 7);
        run_at(10); /* melds the rest into a deeper heap */
        cancel(&all[victim]);
        assert_agrees();
        run_at(20);
        assert_int_equal(earliest(), UINT64_MAX);
        assert_int_equal(fired, victim % 7 == 0 ? TIMERS : TIMERS - 1);
    }
}

static void test_the_interrupt_is_set_only_when_the_earliest_deadline_moves(void **state)
{
    (void)state;
    arm(&all[0], 100);
    assert_int_equal(hardware, 100);
    arm(&all[1], 200);
    arm(&all[2], 100);
    assert_int_equal(hardware_count, 1);
    arm(&all[3], 50);
    assert_int_equal(hardware, 50);
    assert_int_equal(hardware_count, 2);
}

/* Theory: a slice ends once, beside whatever else is armed, and what is set later for it than before is not lost. */
static void test_a_slice_ends_once(void **state)
{
    (void)state;
    gives_way = false;
    arm(&all[0], 300);
    timers_set_slice(100);
    assert_int_equal(hardware, 100);
    timers_set_slice(200); /* the interrupt at 100 comes in vain */
    run_at(100);
    assert_int_equal(slices, 0);
    assert_int_equal(hardware, 200);
    run_at(200);
    assert_int_equal(slices, 1);
    assert_int_equal(hardware, 300);
    timers_set_slice(UINT64_MAX);
    run_at(300);
    assert_int_equal(slices, 1);
    assert_int_equal(fired, 1);
}

/* The interrupt is set once for a switch: who runs next sets it for its own slice, and for the timers. */
static void test_who_gives_way_leaves_the_interrupt_to_the_next(void **state)
{
    (void)state;
    gives_way = true;
    arm(&all[0], 300);
    timers_set_slice(100);
    hardware_count = 0;
    run_at(100);
    assert_int_equal(slices, 1);
    assert_int_equal(hardware_count, 0);
    timers_set_slice(400);
    assert_int_equal(hardware, 300);
    assert_int_equal(hardware_count, 1);
}

static void test_an_interrupt_for_a_cancelled_timer_sets_the_next_one(void **state)
{
    (void)state;
    arm(&all[0], 100);
    arm(&all[1], 200);
    cancel(&all[0]);
    run_at(100);
    assert_int_equal(fired, 0);
    assert_int_equal(hardware, 200);
    cancel(&all[1]);
    run_at(200);
    assert_int_equal(hardware, UINT64_MAX);
}

static void test_nothing_runs_before_the_interrupt_came(void **state)
{
    (void)state;
    arm(&all[0], 100);
    fake_clock = 150;
    timers_run();
    assert_int_equal(fired, 0);
    timers_interrupt();
    timers_run();
    timers_run();
    assert_int_equal(fired, 1);
}

static void test_cancelling_what_is_not_armed_does_nothing(void **state)
{
    (void)state;
    cancel(&all[0]);
    arm(&all[0], 10);
    run_at(10);
    cancel(&all[0]);
    assert_int_equal(fired, 1);
    assert_null(this_pcpu()->timers.root);
}

static void test_each_cpu_has_its_own_timers(void **state)
{
    (void)state;
    arm(&all[0], 100);
    fake_pcpu_become(1);
    arm(&all[1], 200);
    fake_clock = 300;
    timers_interrupt();
    all[0].armed = false; /* the oracle knows one CPU */
    timers_run();
    assert_int_equal(fired, 1);
    assert_true(all[0].timer.armed);
    assert_null(pcpus[1].timers.root);
    assert_ptr_equal(pcpus[0].timers.root, &all[0].timer);
}

static void cancel_the_next(void *context)
{
    fire(context);
    cancel(&all[1]);
    arm(&all[2], clock_now());
}

static void test_what_fires_may_cancel_and_arm(void **state)
{
    (void)state;
    timer_init(&all[0].timer, cancel_the_next, &all[0]);
    arm(&all[0], 10);
    arm(&all[1], 11);
    run_at(20);
    assert_int_equal(fired, 2);
    assert_false(all[1].timer.armed);
    assert_int_equal(hardware, UINT64_MAX);
}

static struct timer greedy;

static void fire_slowly(void *context)
{
    (void)context;
    fired++;
    assert_true(fired < 1000);
    fake_clock += 100;
    timer_arm(&greedy, fake_clock - 50);
}

/* A guest's timer with a period shorter than our work for it: the run loop still gets its turn. */
static void test_a_timer_that_is_always_due_lets_the_run_loop_go_on(void **state)
{
    (void)state;
    timer_init(&greedy, fire_slowly, NULL);
    timer_arm(&greedy, 10);
    run_at(10);
    assert_int_equal(fired, 1);
    assert_true(greedy.armed);
    assert_int_equal(hardware, greedy.deadline);
    timer_cancel(&greedy);
}

/* A vCPU that moved, or a device that another vCPU of its VM programs: the timer comes along. */
static void test_a_timer_can_be_moved_and_cancelled_from_another_cpu(void **state)
{
    (void)state;
    arm(&all[0], 100);
    arm(&all[1], 100);
    fake_pcpu_become(1);
    timer_cancel(&all[1].timer);
    timer_arm(&all[0].timer, 120);
    assert_null(pcpus[0].timers.root);
    assert_ptr_equal(pcpus[1].timers.root, &all[0].timer);
    fake_clock = 120;
    timers_interrupt();
    timers_run();
    assert_int_equal(fired, 1);
}

static struct lock guard;

static void fire_guarded(void *context)
{
    assert_int_not_equal(guard.next, guard.owner);
    fire(context);
}

static void test_a_timers_lock_is_held_while_it_fires(void **state)
{
    (void)state;
    timer_init(&all[0].timer, fire_guarded, &all[0]);
    all[0].timer.lock = &guard;
    arm(&all[0], 10);
    run_at(10);
    assert_int_equal(fired, 1);
    assert_int_equal(guard.next, guard.owner);
}

/* The other CPU has taken it off its heap and waits for the lock that the canceller holds. */
static void *cancel_then_release(void *context)
{
    struct timer *t = context;

    while (__atomic_load_n(&guard.next, __ATOMIC_ACQUIRE) - guard.owner < 2)
        ;
    timer_cancel(t);
    lock_release(&guard);
    return NULL;
}

static void test_a_timer_that_is_cancelled_while_due_does_not_fire(void **state)
{
    pthread_t canceller;

    (void)state;
    timer_init(&all[0].timer, fire_guarded, &all[0]);
    all[0].timer.lock = &guard;
    timer_arm(&all[0].timer, 10);
    lock_acquire(&guard);
    assert_int_equal(pthread_create(&canceller, NULL, cancel_then_release, &all[0].timer), 0);
    fake_clock = 10;
    timers_interrupt();
    timers_run();
    pthread_join(canceller, NULL);
    assert_int_equal(fired, 0);
    assert_false(all[0].timer.armed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_random_sequences_agree_with_a_list, setup),
        cmocka_unit_test_setup(test_each_place_of_the_heap_can_be_left, setup),
        cmocka_unit_test_setup(test_the_interrupt_is_set_only_when_the_earliest_deadline_moves,
                               setup),
        cmocka_unit_test_setup(test_a_slice_ends_once, setup),
        cmocka_unit_test_setup(test_who_gives_way_leaves_the_interrupt_to_the_next, setup),
        cmocka_unit_test_setup(test_an_interrupt_for_a_cancelled_timer_sets_the_next_one, setup),
        cmocka_unit_test_setup(test_nothing_runs_before_the_interrupt_came, setup),
        cmocka_unit_test_setup(test_cancelling_what_is_not_armed_does_nothing, setup),
        cmocka_unit_test_setup(test_each_cpu_has_its_own_timers, setup),
        cmocka_unit_test_setup(test_a_timer_can_be_moved_and_cancelled_from_another_cpu, setup),
        cmocka_unit_test_setup(test_a_timers_lock_is_held_while_it_fires, setup),
        cmocka_unit_test_setup(test_a_timer_that_is_cancelled_while_due_does_not_fire, setup),
        cmocka_unit_test_setup(test_what_fires_may_cancel_and_arm, setup),
        cmocka_unit_test_setup(test_a_timer_that_is_always_due_lets_the_run_loop_go_on, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
