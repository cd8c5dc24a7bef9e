/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the timer fires exactly when the guest can compute that it will, in each mode and through
 * every change of mode and pace; it neither drifts nor makes up for lost periods; and no setting
 * lets a guest keep the hypervisor busy.
 */
#include "tests/host/fake/lapic_rig.h"

#define VECTOR       0xec
#define DIVIDE_BY_2  0u
#define DIVIDE_BY_16 3u

/* Has it since the last call? Services it. */
static bool fired(void)
{
    if (lapic_highest_irr(&lapic) != VECTOR)
        return false;
    take(VECTOR);
    write32(APIC_EOI, 0);
    return true;
}

static int set_up(void **state)
{
    lapic_rig_set_up(state);
    write32(APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE_BY_1);
    write32(APIC_LVT_TIMER, VECTOR);
    return 0;
}

/* --- one-shot --- */

static void one_shot_fires_once(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 5000);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 5000);
    fake_clock_advance(1234);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 5000 - 1234);
    fake_clock_advance(5000 - 1234 - 1);
    assert_false(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 1);
    fake_clock_advance(1);
    assert_true(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 0);
    fake_clock_advance(1u << 30);
    assert_false(fired());
    assert_int_equal(read32(APIC_TIMER_INITIAL), 5000);
}

static void each_divide_configuration(void **state)
{
    static const struct {
        uint32_t configuration;
        unsigned divisor;
    } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        write32(APIC_TIMER_DIVIDE, rows[i].configuration);
        write32(APIC_TIMER_INITIAL, 1000);
        fake_clock_advance(1000 * rows[i].divisor - 1);
        assert_false(fired());
        fake_clock_advance(1);
        assert_true(fired());
    }
}

static void resets_to_divide_by_2(void **state)
{
    (void)state;
    lapic_reset(&lapic, LAPIC_INIT);
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    write32(APIC_LVT_TIMER, VECTOR);
    write32(APIC_TIMER_INITIAL, 100);
    fake_clock_advance(199);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
}

static void the_longest_count_does_not_wrap(void **state)
{
    (void)state;
    write32(APIC_TIMER_DIVIDE, 10);
    write32(APIC_TIMER_INITIAL, 0xffffffff);
    fake_clock_advance(0xffffffffull * 128 - 1);
    assert_false(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 1);
    fake_clock_advance(1);
    assert_true(fired());
}

static void a_rewrite_starts_over_and_zero_stops(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 1000);
    fake_clock_advance(999);
    write32(APIC_TIMER_INITIAL, 1000);
    fake_clock_advance(999);
    assert_false(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 1);
    write32(APIC_TIMER_INITIAL, 0);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 0);
    fake_clock_advance(100000);
    assert_false(fired());
}

static void a_new_divisor_keeps_the_count(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 1000);
    fake_clock_advance(400);
    write32(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 600);
    fake_clock_advance(16 * 600 - 1);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
    write32(APIC_TIMER_DIVIDE, DIVIDE_BY_2); /* nothing runs: nothing starts */
    assert_false(lapic.timer.armed);
}

static void a_masked_timer_counts_silently(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR);
    write32(APIC_TIMER_INITIAL, 1000);
    fake_clock_advance(500);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 500);
    fake_clock_advance(500);
    assert_false(fired());
    write32(APIC_LVT_TIMER, VECTOR); /* what was missed stays missed */
    fake_clock_advance(1000);
    assert_false(fired());
}

static void the_vector_is_that_of_the_moment(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 1000);
    fake_clock_advance(500);
    write32(APIC_LVT_TIMER, 0x51);
    fake_clock_advance(500);
    take(0x51);
}

static void software_disable_silences_it(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 1000);
    write32(APIC_SVR, 0xff);
    fake_clock_advance(2000);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
}

/* --- periodic --- */

static void periods_do_not_drift(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    for (unsigned i = 0; i < 50; i++) {
        fake_clock_advance(99999);
        assert_false(fired());
        assert_int_equal(read32(APIC_TIMER_CURRENT), 1);
        fake_clock_advance(1);
        assert_true(fired());
        assert_int_equal(read32(APIC_TIMER_CURRENT), 100000);
    }
}

/* The run loop comes late: the timer is called long after its deadline. */
static void fire_late(uint64_t delay)
{
    struct timer late = lapic.timer;

    timer_cancel(&lapic.timer);
    fake_clock_advance(late.deadline + delay - clock_now());
    late.fire(late.context);
}

static void a_late_call_keeps_the_grid(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    fire_late(70000);
    assert_true(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 30000);
    fake_clock_advance(29999);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
}

static void lost_periods_are_one_interrupt(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    fire_late(1000 * 100000ull + 40000);
    assert_int_equal(rig.notifications, 1);
    assert_true(fired());
    fake_clock_advance(59999);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
}

static unsigned calls;
static void (*fire)(void *context);

static void count_call(void *context)
{
    calls++;
    fire(context);
}

static void a_tiny_period_does_not_keep_us_busy(void **state)
{
    (void)state;
    fire = lapic.timer.fire;
    lapic.timer.fire = count_call;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    for (uint32_t period = 1; period < 5000; period = period * 3 + 1) {
        write32(APIC_TIMER_INITIAL, period);
        calls = 0;
        fake_clock_advance(FAKE_HZ / 1000);
        assert_in_range(calls, 50, 200);
        assert_true(fired());
        assert_in_range(read32(APIC_TIMER_CURRENT), 1, period);
    }
}

static void modes_that_count_take_over(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 100000);
    fake_clock_advance(60000);
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 40000);
    fake_clock_advance(40000);
    assert_true(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 100000);
    write32(APIC_LVT_TIMER, VECTOR);
    fake_clock_advance(100000);
    assert_true(fired());
    fake_clock_advance(200000);
    assert_false(fired());
    write32(APIC_LVT_TIMER,
            APIC_LVT_TIMER_PERIODIC | VECTOR); /* it has stopped: a mode alone starts nothing */
    fake_clock_advance(200000);
    assert_false(fired());
}

static void a_new_divisor_changes_the_periods(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    fake_clock_advance(250000);
    assert_true(fired());
    write32(APIC_TIMER_DIVIDE, DIVIDE_BY_2);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 50000);
    fake_clock_advance(99999);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
    fake_clock_advance(199999);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
}

/* The CPU has put a zero in the page, and the timer is called before we hear of the write. */
static void a_zero_that_nobody_told_us_of_is_no_divisor(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    poke(APIC_TIMER_INITIAL, 0);
    fake_clock_advance(150000);
    assert_true(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 50000);
    lapic_write_trapped(&lapic, APIC_TIMER_INITIAL);
    assert_false(lapic.timer.armed);
    poke(APIC_TIMER_INITIAL, 500);
    lapic_write_trapped(&lapic, APIC_TIMER_INITIAL);
    fake_clock_advance(500);
    assert_true(fired());
}

/* --- TSC deadline --- */

static void set_deadline_mode(void)
{
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_TSC_DEADLINE | VECTOR);
}

static void a_deadline_fires_once_and_reads_zero_then(void **state)
{
    (void)state;
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, 9000);
    assert_int_equal(lapic_tsc_deadline(&lapic), 9000);
    assert_int_equal(lapic.timer.deadline, 9000);
    fake_clock_advance(9000 - LAPIC_RIG_START - 1);
    assert_false(fired());
    fake_clock_advance(1);
    assert_true(fired());
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    fake_clock_advance(100000);
    assert_false(fired());
}

static void a_past_deadline_fires_at_once(void **state)
{
    (void)state;
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, LAPIC_RIG_START);
    assert_true(fired());
    lapic_set_tsc_deadline(&lapic, 1);
    assert_true(fired());
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    assert_false(lapic.timer.armed);
}

static void zero_disarms_and_a_later_one_moves(void **state)
{
    (void)state;
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, 5000);
    lapic_set_tsc_deadline(&lapic, 0);
    fake_clock_advance(10000);
    assert_false(fired());
    lapic_set_tsc_deadline(&lapic, 20000);
    lapic_set_tsc_deadline(&lapic, 30000);
    fake_clock_advance(20000 - clock_now());
    assert_false(fired());
    lapic_set_tsc_deadline(&lapic, 1); /* a past one replaces it, and does not leave it behind */
    assert_true(fired());
    fake_clock_advance(100000);
    assert_false(fired());
}

static void deadlines_are_the_guests_time(void **state)
{
    static const struct {
        int64_t offset;
        uint64_t guest, host;
    } rows[] = {
        {-500, 4500, 5000},
        {3000, 8000, 5000},
        {INT64_MIN, 5000, 0x8000000000001388},
        {-5000, UINT64_MAX, UINT64_MAX},
        {5000, UINT64_MAX, UINT64_MAX - 5000},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        set_deadline_mode();
        lapic_set_tsc_offset(&lapic, rows[i].offset);
        lapic_set_tsc_deadline(&lapic, rows[i].guest);
        assert_false(fired());
        assert_int_equal(lapic_tsc_deadline(&lapic), rows[i].guest);
        assert_int_equal(lapic.timer.deadline, rows[i].host);
        lapic_set_tsc_deadline(&lapic, 0);
    }
    lapic_set_tsc_offset(&lapic, INT64_MAX); /* before the host's zero */
    lapic_set_tsc_deadline(&lapic, 5000);
    assert_true(fired());
}

static void a_new_offset_moves_the_deadline(void **state)
{
    (void)state;
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, 9000);
    lapic_set_tsc_offset(&lapic, 2000);
    assert_int_equal(lapic.timer.deadline, 7000);
    assert_false(fired());
    lapic_set_tsc_offset(&lapic, 8500);
    assert_true(fired());
    lapic_set_tsc_offset(&lapic, 0);
    assert_false(lapic.timer.armed);
}

static void the_two_kinds_of_timer_exclude_each_other(void **state)
{
    (void)state;
    lapic_set_tsc_deadline(&lapic, 5000); /* not its mode */
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    assert_false(lapic.timer.armed);
    write32(APIC_TIMER_INITIAL, 1000);
    set_deadline_mode();
    assert_false(lapic.timer.armed);
    assert_int_equal(read32(APIC_TIMER_INITIAL), 0);
    write32(APIC_TIMER_INITIAL, 1000);
    assert_int_equal(read32(APIC_TIMER_INITIAL), 0);
    assert_int_equal(read32(APIC_TIMER_CURRENT), 0);
    assert_false(lapic.timer.armed);
    lapic_set_tsc_deadline(&lapic, 5000);
    write32(APIC_TIMER_DIVIDE, DIVIDE_BY_16); /* means nothing here */
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_TSC_DEADLINE | 0x55);
    assert_int_equal(lapic_tsc_deadline(&lapic), 5000);
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    fake_clock_advance(100000);
    assert_false(fired());
}

/* --- a vCPU that has moved on --- */

static void moved_on(void)
{
    rig.timer_is_elsewhere = true;
}

static void what_fires_elsewhere_changes_nothing(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR);
    write32(APIC_TIMER_INITIAL, 100000);
    moved_on();
    fake_clock_advance(100000);
    assert_int_equal(rig.timers, 1);
    assert_false(fired());
    assert_false(lapic.timer.armed);
    fake_clock_advance(30000);
    lapic_timer_expired(&lapic); /* its own CPU gets to it */
    assert_true(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 70000);
    fake_clock_advance(70000);
    assert_int_equal(rig.timers, 2);
}

static void an_expiry_that_comes_too_late_is_not_one(void **state)
{
    (void)state;
    write32(APIC_TIMER_INITIAL, 1000);
    moved_on();
    fake_clock_advance(1000);
    write32(APIC_TIMER_INITIAL, 1000); /* the guest is faster */
    lapic_timer_expired(&lapic);
    assert_false(fired());
    assert_int_equal(read32(APIC_TIMER_CURRENT), 1000);
    write32(APIC_TIMER_INITIAL, 0);
    lapic_timer_expired(&lapic);
    assert_false(fired());
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, clock_now() + 500);
    fake_clock_advance(500);
    lapic_set_tsc_deadline(&lapic, clock_now() + 500);
    lapic_timer_expired(&lapic);
    assert_false(fired());
    fake_clock_advance(500);
    lapic_timer_expired(&lapic);
    assert_true(fired());
    lapic_timer_expired(&lapic);
    assert_false(fired());
}

static void the_reserved_mode_is_none(void **state)
{
    (void)state;
    write32(APIC_LVT_TIMER, APIC_LVT_TIMER_MODE | VECTOR);
    write32(APIC_TIMER_INITIAL, 1000);
    lapic_set_tsc_deadline(&lapic, 5000);
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    fake_clock_advance(100000);
    assert_false(fired());
    set_deadline_mode();
    lapic_set_tsc_deadline(&lapic, 1);
    assert_true(fired());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_shot_fires_once, set_up),
        cmocka_unit_test_setup(each_divide_configuration, set_up),
        cmocka_unit_test_setup(resets_to_divide_by_2, set_up),
        cmocka_unit_test_setup(the_longest_count_does_not_wrap, set_up),
        cmocka_unit_test_setup(a_rewrite_starts_over_and_zero_stops, set_up),
        cmocka_unit_test_setup(a_new_divisor_keeps_the_count, set_up),
        cmocka_unit_test_setup(a_masked_timer_counts_silently, set_up),
        cmocka_unit_test_setup(the_vector_is_that_of_the_moment, set_up),
        cmocka_unit_test_setup(software_disable_silences_it, set_up),
        cmocka_unit_test_setup(periods_do_not_drift, set_up),
        cmocka_unit_test_setup(a_late_call_keeps_the_grid, set_up),
        cmocka_unit_test_setup(lost_periods_are_one_interrupt, set_up),
        cmocka_unit_test_setup(a_tiny_period_does_not_keep_us_busy, set_up),
        cmocka_unit_test_setup(modes_that_count_take_over, set_up),
        cmocka_unit_test_setup(a_new_divisor_changes_the_periods, set_up),
        cmocka_unit_test_setup(a_zero_that_nobody_told_us_of_is_no_divisor, set_up),
        cmocka_unit_test_setup(a_deadline_fires_once_and_reads_zero_then, set_up),
        cmocka_unit_test_setup(a_past_deadline_fires_at_once, set_up),
        cmocka_unit_test_setup(zero_disarms_and_a_later_one_moves, set_up),
        cmocka_unit_test_setup(deadlines_are_the_guests_time, set_up),
        cmocka_unit_test_setup(a_new_offset_moves_the_deadline, set_up),
        cmocka_unit_test_setup(the_two_kinds_of_timer_exclude_each_other, set_up),
        cmocka_unit_test_setup(what_fires_elsewhere_changes_nothing, set_up),
        cmocka_unit_test_setup(an_expiry_that_comes_too_late_is_not_one, set_up),
        cmocka_unit_test_setup(the_reserved_mode_is_none, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
