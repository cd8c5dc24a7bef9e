/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an ACPI operating system can time by the PM timer, is told of the power button by an SCI that stays up
 * until it is acknowledged, and reaches off and reset by exactly the writes that mean them.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/acpi_pm.h"

#define S5    5u
#define SLEEP(type) ((type) << ACPI_PM1_CNT_SLP_TYP_SHIFT | ACPI_PM1_CNT_SLP_EN)

static struct acpi_pm pm;
static struct fake_irq sci;
static struct events {
    unsigned offs, resets;
} events;

static void count_off(void *context)
{
    assert_ptr_equal(context, &events);
    events.offs++;
}

static void count_reset(void *context)
{
    assert_ptr_equal(context, &events);
    events.resets++;
}

static uint64_t in(unsigned offset, unsigned width)
{
    return acpi_pm_ops.read(&pm, offset, width);
}

static void out(unsigned offset, unsigned width, uint64_t value)
{
    acpi_pm_ops.write(&pm, offset, width, value);
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_clock_advance(777);
    events = (struct events){0};
    acpi_pm_init(&pm, fake_irq_line(&sci, 9), (struct power_sink){count_off, count_reset, &events}, S5);
    return 0;
}

static void the_timer_runs_at_its_frequency(void **state)
{
    (void)state;
    assert_int_equal(in(ACPI_PM_TMR, 4), 0);
    fake_clock_advance(FAKE_HZ);
    assert_int_equal(in(ACPI_PM_TMR, 4), ACPI_PM_TIMER_HZ);
    assert_int_equal(in(ACPI_PM_TMR, 1), ACPI_PM_TIMER_HZ & 0xff);
    assert_int_equal(in(ACPI_PM_TMR + 2, 2), ACPI_PM_TIMER_HZ >> 16);
    for (unsigned s = 1; s < 10000; s++)
        fake_clock_advance(FAKE_HZ);
    assert_int_equal(in(ACPI_PM_TMR, 4), (uint32_t)(10000ull * ACPI_PM_TIMER_HZ));
    out(ACPI_PM_TMR, 4, 0); /* read-only */
    assert_int_equal(in(ACPI_PM_TMR, 4), (uint32_t)(10000ull * ACPI_PM_TIMER_HZ));
}

static void the_carry_is_an_event(void **state)
{
    uint64_t half = mul_div(BIT(31), FAKE_HZ, ACPI_PM_TIMER_HZ);

    (void)state;
    fake_clock_advance(half);
    assert_int_equal(in(ACPI_PM1_STS, 2), 0);
    fake_clock_advance(2);
    assert_int_equal(in(ACPI_PM1_STS, 2), ACPI_PM1_TMR);
    assert_int_equal(sci.rises, 0);
    assert_false(pm.timer.armed);
    out(ACPI_PM1_STS, 2, ACPI_PM1_TMR);
    out(ACPI_PM1_EN, 2, ACPI_PM1_TMR);
    assert_false(sci.level);
    fake_clock_advance(half - 10);
    assert_false(sci.level);
    fake_clock_advance(20);
    assert_true(sci.level);
    assert_false(pm.timer.armed);
    out(ACPI_PM1_STS, 2, ACPI_PM1_TMR);
    assert_false(sci.level);
    assert_true(pm.timer.armed);
    out(ACPI_PM1_EN, 2, 0);
    fake_clock_advance(half);
    out(ACPI_PM1_STS, 2, ACPI_PM1_TMR); /* the carry that nobody had looked at is cleared too */
    assert_int_equal(in(ACPI_PM1_STS, 2), 0);
}

static void the_power_button_holds_the_sci(void **state)
{
    (void)state;
    acpi_pm_press_power_button(&pm);
    assert_false(sci.level); /* nobody listens yet */
    out(ACPI_PM1_EN, 2, ACPI_PM1_PWRBTN);
    assert_true(sci.level);
    assert_int_equal(in(ACPI_PM1_STS, 2), ACPI_PM1_PWRBTN);
    out(ACPI_PM1_STS, 2, ACPI_PM1_GBL); /* another bit */
    assert_true(sci.level);
    out(ACPI_PM1_STS + 1, 1, ACPI_PM1_PWRBTN >> 8);
    assert_false(sci.level);
    acpi_pm_press_power_button(&pm);
    acpi_pm_press_power_button(&pm);
    assert_int_equal(sci.rises, 2);
    out(ACPI_PM1_STS, 4, 0xffff); /* clears all, disables all */
    assert_false(sci.level);
    assert_int_equal(in(ACPI_PM1_STS, 4), 0);
}

static void only_events_that_exist_can_be_enabled(void **state)
{
    (void)state;
    out(ACPI_PM1_EN, 2, 0xffff);
    assert_int_equal(in(ACPI_PM1_EN, 2),
                     ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | ACPI_PM1_RTC);
    assert_false(sci.level);
}

static void the_machine_is_always_in_acpi_mode(void **state)
{
    (void)state;
    assert_int_equal(in(ACPI_PM1_CNT, 2), ACPI_PM1_CNT_SCI_EN);
    out(ACPI_PM1_CNT, 2, 0);
    assert_int_equal(in(ACPI_PM1_CNT, 2), ACPI_PM1_CNT_SCI_EN);
    assert_int_equal(in(ACPI_PM1_CNT + 2, 2), 0);
}

static void s5_is_off_and_nothing_else_is(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 8; type++)
        if (type != S5)
            out(ACPI_PM1_CNT, 2, SLEEP(type));
    out(ACPI_PM1_CNT, 2, S5 << ACPI_PM1_CNT_SLP_TYP_SHIFT); /* Linux writes the type first */
    assert_int_equal(events.offs, 0);
    assert_int_equal(in(ACPI_PM1_CNT, 2), S5 << ACPI_PM1_CNT_SLP_TYP_SHIFT | ACPI_PM1_CNT_SCI_EN);
    out(ACPI_PM1_CNT, 2, SLEEP(S5));
    assert_int_equal(events.offs, 1);
    assert_false(in(ACPI_PM1_CNT, 2) & ACPI_PM1_CNT_SLP_EN);
    out(ACPI_PM1_CNT, 2, 0);
    out(ACPI_PM1_CNT, 1, ACPI_PM1_CNT_BM_RLD);
    assert_int_equal(events.offs, 1);
    out(ACPI_PM1_CNT + 1, 1, SLEEP(S5) >> 8);
    assert_int_equal(events.offs, 2);
    out(ACPI_PM1_CNT, 4, SLEEP(S5));
    assert_int_equal(events.offs, 3);
}

static void the_reset_register_resets(void **state)
{
    unsigned cf9 = ACPI_PM_RESET_PORT - ACPI_PM_RESET_REGION_PORT;

    (void)state;
    acpi_pm_reset_ops.write(&pm, cf9, 1, RESET_CONTROL_SYS_RST);
    assert_int_equal(events.resets, 0);
    assert_int_equal(acpi_pm_reset_ops.read(&pm, cf9, 1), RESET_CONTROL_SYS_RST);
    acpi_pm_reset_ops.write(&pm, cf9, 1, RESET_CONTROL_HARD);
    assert_int_equal(events.resets, 1);
    acpi_pm_reset_ops.write(&pm, cf9, 1, RESET_CONTROL_RST_CPU);
    assert_int_equal(events.resets, 2);
}

/* Kernels scan PCI through the same doubleword: device 0, function 6 has the bits of a reset. */
static void a_pci_address_does_not_reset(void **state)
{
    (void)state;
    acpi_pm_reset_ops.write(&pm, 0, 4, 0x80000600);
    acpi_pm_reset_ops.write(&pm, 0, 2, 0x0600);
    acpi_pm_reset_ops.write(&pm, 0, 1, 0x06);
    assert_int_equal(events.resets, 0);
    assert_int_equal(acpi_pm_reset_ops.read(&pm, 0, 4), 0xffffffff);
    assert_int_equal(acpi_pm_reset_ops.read(&pm, 3, 1), 0xff);
}

static void without_a_sink_nothing_happens(void **state)
{
    (void)state;
    acpi_pm_init(&pm, fake_irq_line(&sci, 9), (struct power_sink){0}, S5);
    out(ACPI_PM1_CNT, 2, SLEEP(S5));
    acpi_pm_reset_ops.write(&pm, 1, 1, RESET_CONTROL_HARD);
}

static void reset_lowers_the_sci(void **state)
{
    (void)state;
    out(ACPI_PM1_EN, 2, ACPI_PM1_PWRBTN | ACPI_PM1_TMR);
    acpi_pm_press_power_button(&pm);
    acpi_pm_reset(&pm);
    assert_false(sci.level);
    assert_false(pm.timer.armed);
    assert_int_equal(in(ACPI_PM1_STS, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_timer_runs_at_its_frequency, set_up),
        cmocka_unit_test_setup(the_carry_is_an_event, set_up),
        cmocka_unit_test_setup(the_power_button_holds_the_sci, set_up),
        cmocka_unit_test_setup(only_events_that_exist_can_be_enabled, set_up),
        cmocka_unit_test_setup(the_machine_is_always_in_acpi_mode, set_up),
        cmocka_unit_test_setup(s5_is_off_and_nothing_else_is, set_up),
        cmocka_unit_test_setup(the_reset_register_resets, set_up),
        cmocka_unit_test_setup(a_pci_address_does_not_reset, set_up),
        cmocka_unit_test_setup(without_a_sink_nothing_happens, set_up),
        cmocka_unit_test_setup(reset_lowers_the_sci, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
