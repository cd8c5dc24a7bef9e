/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the counters and outputs are those of an 8254 fed with 1193182 Hz for as long as one looks, and channel 0
 * interrupts at each rise of its output that a guest could have seen, with no host timer for anything else.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/pit.h"

#define CONTROL 3
#define WORD(channel, mode)                                                                        \
    ((channel) << PIT_CW_SELECT_SHIFT | PIT_RW_WORD << PIT_CW_RW_SHIFT |                           \
     (mode) << PIT_CW_MODE_SHIFT)
#define LATCH(channel)          ((channel) << PIT_CW_SELECT_SHIFT)
#define READBACK(channels, not) (0xc0 | (not) | (channels) << 1)

static struct pit pit;
static struct fake_irq irq;

static uint8_t in(unsigned offset)
{
    return (uint8_t)pit_ops.read(&pit, offset, 1);
}

static void out(unsigned offset, unsigned value)
{
    pit_ops.write(&pit, offset, 1, value & 0xff);
}

static uint8_t in61(void)
{
    return (uint8_t)pit_port61_ops.read(&pit, 0, 1);
}

static void out61(unsigned value)
{
    pit_port61_ops.write(&pit, 0, 1, value);
}

static uint64_t ticks(void)
{
    return oscillator_ticks(&pit.oscillator);
}

static void run(uint64_t n)
{
    fake_clock_advance(oscillator_deadline(&pit.oscillator, ticks() + n) - clock_now());
}

static void program(unsigned channel, unsigned mode, unsigned count)
{
    out(CONTROL, WORD(channel, mode));
    out(channel, count);
    out(channel, count >> 8);
}

static unsigned read_word(unsigned channel)
{
    unsigned low = in(channel);

    return low | in(channel) << 8;
}

static bool out2(void)
{
    return in61() & PIT_PORT61_OUT2;
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_clock_advance(123456789);
    pit_init(&pit, fake_irq_line(&irq, PIT_IRQ));
    return 0;
}

/* What Linux does to calibrate the TSC: mode 0 on channel 2, wait for OUT at port 0x61. */
static void mode_0_ends_after_n_ticks(void **state)
{
    uint64_t begin;

    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 0, 59659);
    begin = clock_now();
    assert_false(out2());
    run(59658);
    assert_false(out2());
    run(2);
    assert_true(out2());
    assert_in_range(clock_now() - begin, 50000000, 50002000);
    run(1 << 20);
    assert_true(out2());
    program(2, 0, 10);
    assert_false(out2());
}

static void mode_0_counts_on_through_zero(void **state)
{
    (void)state;
    program(0, 0, 100);
    run(1);
    assert_int_equal(read_word(0), 100);
    run(99);
    assert_int_equal(read_word(0), 1);
    run(2);
    assert_int_equal(read_word(0), 0xffff);
    run(0x10000);
    assert_int_equal(read_word(0), 0xffff);
}

static void the_gate_holds_mode_0(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 0, 1000);
    run(101);
    out61(0);
    run(5000);
    assert_false(out2());
    assert_int_equal(read_word(2), 900);
    out61(PIT_PORT61_GATE2);
    run(899);
    assert_false(out2());
    run(1);
    assert_true(out2());
}

static void the_first_byte_stops_mode_0(void **state)
{
    (void)state;
    program(0, 0, 100);
    run(50);
    out(0, 200);
    run(1000);
    assert_int_equal(irq.rises, 0);
    out(0, 0);
    run(200);
    assert_int_equal(irq.rises, 0);
    run(1);
    assert_int_equal(irq.rises, 1);
}

static void mode_2_is_low_for_the_last_tick(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 2, 10);
    run(1);
    for (unsigned i = 0; i < 35; i++, run(1)) {
        assert_int_equal(out2(), i % 10 != 9);
        assert_int_equal(read_word(2), 10 - i % 10);
    }
    out61(0);
    assert_true(out2());
    run(7);
    out61(PIT_PORT61_GATE2); /* the gate's rise reloads */
    run(1);
    assert_int_equal(read_word(2), 10);
}

static void mode_3_is_high_for_the_first_half(void **state)
{
    static const unsigned even[] = {6, 4, 2, 6, 4, 2}, odd[] = {6, 4, 2, 0, 6, 4, 2};

    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 3, 6);
    run(1);
    for (unsigned i = 0; i < 18; i++, run(1)) {
        assert_int_equal(out2(), i % 6 < 3);
        assert_int_equal(read_word(2), even[i % 6]);
    }
    program(2, 7, 7); /* bit 2 of mode 3 is ignored */
    run(1);
    for (unsigned i = 0; i < 21; i++, run(1)) {
        assert_int_equal(out2(), i % 7 < 4);
        assert_int_equal(read_word(2), odd[i % 7]);
    }
}

static void mode_1_is_low_from_trigger_to_end(void **state)
{
    (void)state;
    program(2, 1, 20);
    run(100);
    assert_true(out2());
    out61(PIT_PORT61_GATE2);
    run(1);
    out61(0); /* the gate's level does not matter */
    assert_false(out2());
    run(10);
    out61(PIT_PORT61_GATE2); /* again, before the end */
    run(20);
    assert_false(out2());
    run(1);
    assert_true(out2());
    out(2, 5); /* taken by the next trigger */
    out(2, 0);
    run(100);
    assert_true(out2());
    out61(0);
    out61(PIT_PORT61_GATE2);
    run(5);
    assert_false(out2());
    run(1);
    assert_true(out2());
}

static void modes_4_and_5_strobe_for_one_tick(void **state)
{
    (void)state;
    for (unsigned mode = 4; mode <= 5; mode++) {
        out61(mode == 4 ? PIT_PORT61_GATE2 : 0);
        out(CONTROL, WORD(2, mode));
        assert_true(out2());
        out(2, 30);
        out(2, 0);
        out61(PIT_PORT61_GATE2);
        run(30);
        assert_true(out2());
        run(1);
        assert_false(out2());
        run(1);
        assert_true(out2());
        run(70000);
        assert_true(out2());
    }
}

static void a_periodic_count_changes_at_the_end_of_the_period(void **state)
{
    (void)state;
    program(0, 2, 1000);
    run(1);
    run(400);
    out(0, 2000 & 0xff);
    out(0, 2000 >> 8);
    assert_int_equal(read_word(0), 600);
    run(600);
    assert_int_equal(irq.rises, 1);
    assert_int_equal(read_word(0), 2000);
    out(CONTROL, READBACK(1, PIT_READBACK_NO_COUNT));
    assert_false(in(0) & PIT_STATUS_NULL_COUNT);
    run(1999);
    assert_int_equal(irq.rises, 1);
    run(1);
    assert_int_equal(irq.rises, 2);
    run(2000);
    assert_int_equal(irq.rises, 3);
}

static void the_gate_holds_the_count_that_took_over(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 2, 100);
    run(1 + 10);
    out(2, 200);
    out(2, 0);
    out(CONTROL, READBACK(4, PIT_READBACK_NO_COUNT));
    assert_true(in(2) & PIT_STATUS_NULL_COUNT);
    run(90 + 50);
    out61(0);
    run(500);
    assert_int_equal(read_word(2), 150);
}

static void the_output_follows_the_count_that_took_over(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    program(2, 2, 100);
    run(1);
    out(2, 200);
    out(2, 0);
    run(100 + 99);
    assert_true(out2()); /* the old count would end here */
    run(100);
    assert_false(out2());
}

static void channel_0_interrupts_at_each_period(void **state)
{
    (void)state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        program(0, mode, 1193);
        irq.rises = 0;
        run(1);
        for (unsigned i = 1; i <= 50; i++) {
            run(1192);
            assert_int_equal(irq.rises, i - 1);
            run(1);
            assert_int_equal(irq.rises, i);
        }
    }
}

static void channel_0_interrupts_once_in_the_other_modes(void **state)
{
    (void)state;
    program(0, 0, 500);
    run(500);
    assert_int_equal(irq.rises, 0);
    run(100000);
    assert_int_equal(irq.rises, 1);
    assert_false(pit.timer.armed);
    program(0, 4, 500);
    run(501);
    assert_int_equal(irq.rises, 1);
    run(1);
    assert_int_equal(irq.rises, 2);
    program(0, 1, 500); /* nothing can trigger it */
    assert_false(pit.timer.armed);
}

static void an_hour_of_ticks_does_not_drift(void **state)
{
    (void)state;
    program(0, 2, 11932); /* 100 Hz, nearly */
    for (unsigned second = 0; second < 3600; second++)
        fake_clock_advance(FAKE_HZ);
    assert_int_equal(irq.rises, 3600ull * PIT_HZ / 11932);
    assert_int_equal(ticks(), 3600ull * PIT_HZ);
}

/* The run loop calls timers late if the guest was not running: one interrupt, then the old grid. */
static void missed_ticks_become_one(void **state)
{
    (void)state;
    program(0, 2, 1000);
    run(1);
    timer_cancel(&pit.timer);
    run(10500);
    pit.timer.fire(pit.timer.context);
    assert_int_equal(irq.rises, 1);
    run(499);
    assert_int_equal(irq.rises, 1);
    run(1);
    assert_int_equal(irq.rises, 2);
}

static void a_tick_is_not_lost_to_reprogramming(void **state)
{
    (void)state;
    program(0, 2, 1000);
    run(1);
    timer_cancel(&pit.timer);
    run(1000); /* due, and not fired yet */
    out(CONTROL, LATCH(0));
    in(0);
    in(0);
    assert_int_equal(irq.rises, 0);
    assert_int_equal(pit.due, ticks());
    out(CONTROL, WORD(0, 0));
    assert_int_equal(irq.rises, 1);
    assert_false(pit.timer.armed);
    run(100000);
    assert_int_equal(irq.rises, 1);
}

static void short_periods_are_coalesced(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 3; count++) {
        program(0, 2, count);
        irq.rises = 0;
        run(10000);
        assert_in_range(irq.rises, 10000 / (PIT_IRQ_TICKS_MIN + 3), 10000 / PIT_IRQ_TICKS_MIN + 1);
    }
}

static void no_timer_runs_for_nothing(void **state)
{
    (void)state;
    assert_false(pit.timer.armed);
    out61(PIT_PORT61_GATE2);
    program(2, 3, 1000);
    program(1, 2, 18);
    assert_false(pit.timer.armed);
    out(CONTROL, WORD(0, 2));
    assert_false(pit.timer.armed);
    out(0, 1);
    assert_false(pit.timer.armed);
    out(0, 1);
    assert_true(pit.timer.armed);
    out(CONTROL, WORD(0, 2));
    assert_false(pit.timer.armed);
}

static void an_unwanted_interrupt_waits(void **state)
{
    (void)state;
    program(0, 2, 1000);
    run(1);
    pit_set_irq_wanted(&pit, false);
    assert_false(pit.timer.armed);
    run(500);
    pit_set_irq_wanted(&pit, true);
    assert_int_equal(irq.rises, 0);
    run(500);
    assert_int_equal(irq.rises, 1);
    pit_set_irq_wanted(&pit, false);
    pit_set_irq_wanted(&pit, false);
    run(5400);
    assert_int_equal(irq.rises, 1);
    pit_set_irq_wanted(&pit, true);
    assert_int_equal(irq.rises, 2);
    run(599);
    assert_int_equal(irq.rises, 2);
    run(1);
    assert_int_equal(irq.rises, 3);
    timer_cancel(&pit.timer);
    run(1000); /* due, and not fired yet */
    pit_set_irq_wanted(&pit, false);
    assert_int_equal(irq.rises, 4);
}

static void a_latch_holds_until_it_is_read(void **state)
{
    (void)state;
    program(0, 2, 0x1234);
    run(1 + 0x34);
    out(CONTROL, LATCH(0));
    run(0x100);
    out(CONTROL, LATCH(0)); /* the second is ignored */
    assert_int_equal(in(0), 0x00);
    run(0x100);
    assert_int_equal(in(0), 0x12);
    assert_int_equal(read_word(0), 0x1000);
}

static void one_byte_accesses(void **state)
{
    (void)state;
    out(CONTROL, 0 << 6 | PIT_RW_LSB << PIT_CW_RW_SHIFT | 2 << 1);
    out(0, 0x80);
    run(1);
    assert_int_equal(in(0), 0x80);
    assert_int_equal(in(0), 0x80);
    out(CONTROL, 0 << 6 | PIT_RW_MSB << PIT_CW_RW_SHIFT | 2 << 1);
    out(0, 0x80);
    run(1);
    assert_int_equal(in(0), 0x80);
    run(0x101);
    assert_int_equal(in(0), 0x7e);
}

static void read_back_gives_status_then_count(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    out(CONTROL, WORD(2, 3));
    out(CONTROL, READBACK(4, PIT_READBACK_NO_COUNT));
    assert_int_equal(in(2), PIT_STATUS_OUTPUT | PIT_STATUS_NULL_COUNT | 0x36);
    out(2, 0);
    out(2, 0x10);
    run(1);
    out(CONTROL, READBACK(4, 0));
    run(0x800);
    assert_int_equal(in(2), PIT_STATUS_OUTPUT | 0x36);
    assert_int_equal(read_word(2), 0x1000);
    out(CONTROL, READBACK(4, PIT_READBACK_NO_COUNT));
    run(0x800);
    out(CONTROL, READBACK(4, PIT_READBACK_NO_COUNT)); /* the first one holds */
    assert_int_equal(in(2), 0x36);
    out(CONTROL, READBACK(7, PIT_READBACK_NO_STATUS));
    assert_true(pit.channels[0].count_latched && pit.channels[1].count_latched && pit.channels[2].count_latched);
    assert_int_equal(in(CONTROL), 0xff);
}

static void bcd_counts_in_decimal(void **state)
{
    (void)state;
    out(CONTROL, WORD(0, 2) | PIT_CW_BCD);
    out(0, 0x34);
    out(0, 0x12);
    run(1);
    assert_int_equal(read_word(0), 0x1234);
    run(35);
    assert_int_equal(read_word(0), 0x1199);
    run(1199);
    assert_int_equal(irq.rises, 1);
    out(CONTROL, WORD(0, 0) | PIT_CW_BCD);
    out(0, 0);
    out(0, 0);
    run(1);
    assert_int_equal(read_word(0), 0);
    run(1);
    assert_int_equal(read_word(0), 0x9999);
    out(CONTROL, WORD(0, 2) | PIT_CW_BCD); /* no decimal digits: bounded */
    out(0, 0xff);
    out(0, 0xff);
    run(2);
    assert_int_equal(read_word(0), 0x9999);
}

static void port_61_keeps_and_shows(void **state)
{
    unsigned toggles = 0;
    uint8_t last;

    (void)state;
    out61(0xff);
    assert_int_equal(in61() & 0xcf, PIT_PORT61_WRITABLE);
    out61(0);
    last = in61();
    assert_int_equal(last & 0xcf, 0);
    for (unsigned i = 0; i < 1800; i++, run(1)) {
        toggles += (in61() ^ last) >> 4 & 1;
        last = in61();
    }
    assert_in_range(toggles, 99, 101);
}

static void reset_stops_everything(void **state)
{
    (void)state;
    out61(PIT_PORT61_GATE2);
    program(0, 2, 1000);
    pit_reset(&pit);
    assert_false(pit.timer.armed);
    assert_int_equal(in61() & ~PIT_PORT61_REFRESH, 0);
    run(5000);
    assert_int_equal(irq.rises, 0);
    program(0, 2, 1000);
    run(1001);
    assert_int_equal(irq.rises, 1);
}

/* Nothing that a guest writes, at any time, divides by zero, overflows or arms a timer in the past. */
static void any_programming_is_survived(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = seed >> 29, value = seed >> 8 & 0xff;

        if (what < 4)
            out(what, value);
        else if (what == 4)
            out61(value);
        else if (what == 5)
            in(value & 3);
        else if (what == 6)
            in61();
        else
            fake_clock_advance(value < 250 ? value * 100 : 100000000);
        if (pit.timer.armed)
            assert_true(pit.timer.deadline >= clock_now());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mode_0_ends_after_n_ticks, set_up),
        cmocka_unit_test_setup(mode_0_counts_on_through_zero, set_up),
        cmocka_unit_test_setup(the_gate_holds_mode_0, set_up),
        cmocka_unit_test_setup(the_first_byte_stops_mode_0, set_up),
        cmocka_unit_test_setup(mode_2_is_low_for_the_last_tick, set_up),
        cmocka_unit_test_setup(mode_3_is_high_for_the_first_half, set_up),
        cmocka_unit_test_setup(mode_1_is_low_from_trigger_to_end, set_up),
        cmocka_unit_test_setup(modes_4_and_5_strobe_for_one_tick, set_up),
        cmocka_unit_test_setup(a_periodic_count_changes_at_the_end_of_the_period, set_up),
        cmocka_unit_test_setup(the_gate_holds_the_count_that_took_over, set_up),
        cmocka_unit_test_setup(the_output_follows_the_count_that_took_over, set_up),
        cmocka_unit_test_setup(channel_0_interrupts_at_each_period, set_up),
        cmocka_unit_test_setup(channel_0_interrupts_once_in_the_other_modes, set_up),
        cmocka_unit_test_setup(an_hour_of_ticks_does_not_drift, set_up),
        cmocka_unit_test_setup(missed_ticks_become_one, set_up),
        cmocka_unit_test_setup(a_tick_is_not_lost_to_reprogramming, set_up),
        cmocka_unit_test_setup(short_periods_are_coalesced, set_up),
        cmocka_unit_test_setup(no_timer_runs_for_nothing, set_up),
        cmocka_unit_test_setup(an_unwanted_interrupt_waits, set_up),
        cmocka_unit_test_setup(a_latch_holds_until_it_is_read, set_up),
        cmocka_unit_test_setup(one_byte_accesses, set_up),
        cmocka_unit_test_setup(read_back_gives_status_then_count, set_up),
        cmocka_unit_test_setup(bcd_counts_in_decimal, set_up),
        cmocka_unit_test_setup(port_61_keeps_and_shows, set_up),
        cmocka_unit_test_setup(reset_stops_everything, set_up),
        cmocka_unit_test_setup(any_programming_is_survived, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
