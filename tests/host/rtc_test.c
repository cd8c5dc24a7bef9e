/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the guest reads the time of day in whatever format it chose, sets it and keeps what it set, and each of
 * the three interrupts comes at its moment, with a host timer only while one is awaited.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/rtc.h"
#include "drivers/virt/rtc_calendar.h"
#include <time.h>

#define EPOCH 951782399ull /* 2000-02-28 23:59:59 UTC, a Monday */

static struct rtc rtc;
static struct fake_irq irq;

static uint8_t get(unsigned index)
{
    rtc_ops.write(&rtc, 0, 1, index);
    return (uint8_t)rtc_ops.read(&rtc, 1, 1);
}

static void put(unsigned index, unsigned value)
{
    rtc_ops.write(&rtc, 0, 1, index);
    rtc_ops.write(&rtc, 1, 1, value);
}

static void advance_ms(uint64_t ms)
{
    fake_clock_advance(ms * (FAKE_HZ / 1000));
}

static void assert_date(const char *expected)
{
    char text[64];

    snprintf(text, sizeof text, "%02x%02x-%02x-%02x %02x:%02x:%02x %x", get(RTC_CENTURY), get(RTC_YEAR),
             get(RTC_MONTH), get(RTC_DATE), get(RTC_HOURS), get(RTC_MINUTES), get(RTC_SECONDS), get(RTC_DAY_OF_WEEK));
    assert_string_equal(text, expected);
}

/* In the order in which Linux's mc146818_set_time() does it: SET, divider reset, the fields, and back. */
static void set_clock(unsigned century, unsigned year, unsigned month, unsigned day, unsigned hour)
{
    uint8_t b = get(RTC_B), a = get(RTC_A);

    put(RTC_B, b | RTC_B_SET);
    put(RTC_A, a | 0x70);
    put(RTC_CENTURY, century);
    put(RTC_YEAR, year);
    put(RTC_MONTH, month);
    put(RTC_DATE, day);
    put(RTC_HOURS, hour);
    put(RTC_MINUTES, 0x58);
    put(RTC_SECONDS, 0x59);
    put(RTC_B, b);
    put(RTC_A, a);
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_wall_ns = EPOCH * 1000000000;
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){MIB(256), 0}, 0);
    return 0;
}

static void the_calendar_agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t t = -62135596800; t < 253402300800; t += 86400ll * 27 + 12345) { /* 0001 to 9999 */
        struct rtc_date d;
        struct tm tm;

        rtc_date_from_seconds(t, &d);
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(d.year, tm.tm_year + 1900);
        assert_int_equal(d.month, tm.tm_mon + 1);
        assert_int_equal(d.day, tm.tm_mday);
        assert_int_equal(d.hour * 3600 + d.minute * 60 + d.second, tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
        assert_int_equal(d.weekday, tm.tm_wday + 1);
        assert_int_equal(rtc_seconds_from_date(&d), t);
    }
}

static void the_calendar_takes_nonsense(void **state)
{
    struct rtc_date zero = {.year = 0}, wild = {165, 165, 177, 165, 165, 16665, 99}, back;

    (void)state;
    rtc_date_from_seconds(rtc_seconds_from_date(&zero), &back);
    assert_int_equal(back.month, 1);
    assert_int_equal(back.day, 1);
    rtc_date_from_seconds(rtc_seconds_from_date(&wild), &back);
    assert_int_equal(back.year, 16666);
    assert_int_equal(back.month, 1);
}

static void tells_the_time_in_bcd_and_24_hours(void **state)
{
    (void)state;
    assert_int_equal(get(RTC_A), RTC_A_DV_32KHZ | 6);
    assert_int_equal(get(RTC_B), RTC_B_24H);
    assert_int_equal(get(RTC_D), RTC_D_VRT);
    assert_date("2000-02-28 23:59:59 2");
    advance_ms(999);
    assert_date("2000-02-28 23:59:59 2");
    advance_ms(1);
    assert_date("2000-02-29 00:00:00 3");
    advance_ms(86400000);
    assert_date("2000-03-01 00:00:00 4");
}

static void tells_the_time_in_every_format(void **state)
{
    (void)state;
    put(RTC_B, RTC_B_24H | RTC_B_DM);
    assert_date("1400-02-1c 17:3b:3b 2");
    put(RTC_B, RTC_B_DM);
    assert_int_equal(get(RTC_HOURS), 0x80 | 11);
    put(RTC_B, 0);
    assert_int_equal(get(RTC_HOURS), 0x91);
    advance_ms(1000);
    assert_int_equal(get(RTC_HOURS), 0x12); /* midnight */
    advance_ms(12 * 3600000);
    assert_int_equal(get(RTC_HOURS), 0x92); /* noon */
}

static void an_offset_makes_local_time(void **state)
{
    (void)state;
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){0, 0}, 3600);
    assert_date("2000-02-29 00:59:59 3");
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){0, 0}, -86400);
    assert_date("2000-02-27 23:59:59 1");
}

static void what_is_set_goes_on_from_there(void **state)
{
    (void)state;
    advance_ms(700);
    set_clock(0x20, 0x38, 0x01, 0x19, 0x03);
    assert_date("2038-01-19 03:58:59 3");
    advance_ms(499); /* the divider was reset: half a second to the update */
    assert_date("2038-01-19 03:58:59 3");
    advance_ms(2);
    assert_date("2038-01-19 03:59:00 3");
    advance_ms(1000);
    assert_date("2038-01-19 03:59:01 3");
    set_clock(0x19, 0x65, 0x12, 0x31, 0x23); /* before 1970 */
    advance_ms(61000);
    assert_date("1966-01-01 00:00:00 7");
}

static void a_halted_clock_stands(void **state)
{
    (void)state;
    put(RTC_B, RTC_B_24H | RTC_B_SET);
    advance_ms(5300);
    assert_date("2000-02-28 23:59:59 2");
    put(RTC_MINUTES, 0x30);
    put(RTC_B, RTC_B_24H);
    assert_date("2000-02-28 23:30:59 2");
    advance_ms(700); /* the divider was not touched */
    assert_date("2000-02-28 23:31:00 2");
}

static void a_running_clock_can_be_set_byte_by_byte(void **state)
{
    (void)state;
    put(RTC_SECONDS, 0x10);
    put(RTC_HOURS, 0x07);
    assert_date("2000-02-28 07:59:10 2");
    advance_ms(1000);
    assert_date("2000-02-28 07:59:11 2");
}

static void nonsense_in_the_clock_is_some_time(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 8; b += 2) {
        put(RTC_B, b | RTC_B_SET);
        for (unsigned i = 0; i < RTC_A; i++)
            put(i, 0xff);
        put(RTC_CENTURY, 0xff);
        put(RTC_B, b | RTC_B_PIE | RTC_B_AIE | RTC_B_UIE);
        advance_ms(3000);
        put(RTC_B, RTC_B_24H | RTC_B_DM);
        assert_in_range(get(RTC_SECONDS), 0, 59);
        assert_in_range(get(RTC_MONTH), 1, 12);
    }
}

static void uip_announces_the_update(void **state)
{
    (void)state;
    fake_clock_advance(FAKE_HZ - 250000);
    assert_false(get(RTC_A) & RTC_A_UIP);
    fake_clock_advance(10000);
    assert_true(get(RTC_A) & RTC_A_UIP);
    put(RTC_A, 0xff & ~0x50); /* read-only */
    fake_clock_advance(240000);
    assert_false(get(RTC_A) & RTC_A_UIP);
    put(RTC_B, RTC_B_SET);
    fake_clock_advance(FAKE_HZ - 100000);
    assert_false(get(RTC_A) & RTC_A_UIP);
}

static void the_update_interrupts_each_second(void **state)
{
    (void)state;
    advance_ms(250);
    put(RTC_B, RTC_B_24H | RTC_B_UIE);
    for (unsigned i = 1; i <= 5; i++) {
        advance_ms(749);
        assert_int_equal(irq.rises, i - 1);
        advance_ms(2);
        assert_int_equal(irq.rises, i);
        assert_false(rtc.timer.armed);
        assert_int_equal(get(RTC_C) & 0x90, RTC_C_IRQF | RTC_C_UF);
        assert_false(irq.level);
        assert_int_equal(get(RTC_C) & 0x90, 0);
        advance_ms(249);
    }
    put(RTC_B, RTC_B_24H | RTC_B_UIE | RTC_B_SET);
    assert_int_equal(get(RTC_B), RTC_B_24H | RTC_B_SET); /* SET clears UIE */
    assert_false(rtc.timer.armed);
}

static void the_periodic_interrupt_has_its_rate(void **state)
{
    static const unsigned rates[] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                     256, 128, 64,  32,   16,   8,    4,    2};

    (void)state;
    put(RTC_B, RTC_B_24H | RTC_B_PIE);
    for (unsigned rs = 0; rs < 16; rs++) {
        unsigned count = 0;

        put(RTC_A, RTC_A_DV_32KHZ | rs);
        get(RTC_C);
        for (unsigned i = 0; i < 20000; i++) {
            fake_clock_advance(FAKE_HZ / 20000);
            if (irq.level)
                count += get(RTC_C) >> 6 & 1;
        }
        assert_in_range(count, rates[rs] > 0 ? rates[rs] - 1 : 0, rates[rs] > 0 ? rates[rs] + 1 : 0);
    }
}

static void the_alarm_comes_at_its_time(void **state)
{
    (void)state;
    put(RTC_HOURS_ALARM, 0x06);
    put(RTC_MINUTES_ALARM, 0x30);
    put(RTC_SECONDS_ALARM, 0x15);
    put(RTC_B, RTC_B_24H | RTC_B_AIE);
    assert_int_equal(irq.rises, 0);
    advance_ms((6 * 3600 + 30 * 60 + 15) * 1000);
    assert_int_equal(irq.rises, 0);
    advance_ms(1001);
    assert_int_equal(irq.rises, 1);
    assert_int_equal(get(RTC_C) & (RTC_C_IRQF | RTC_C_AF), RTC_C_IRQF | RTC_C_AF);
    advance_ms(86399000);
    assert_int_equal(irq.rises, 1);
    advance_ms(1001);
    assert_int_equal(irq.rises, 2);
}

static void alarm_bytes_may_match_always(void **state)
{
    (void)state;
    put(RTC_HOURS_ALARM, 0xff);
    put(RTC_MINUTES_ALARM, 0xc0);
    put(RTC_SECONDS_ALARM, 0x05);
    put(RTC_B, RTC_B_24H | RTC_B_AIE);
    for (unsigned i = 0; i < 200; i++) {
        advance_ms(60000);
        assert_int_equal(irq.rises, i + 1);
        get(RTC_C);
    }
    put(RTC_SECONDS_ALARM, 0xff);
    advance_ms(1);
    for (unsigned i = 0; i < 100; i++) {
        advance_ms(1000);
        assert_int_equal(irq.rises, 200 + i + 1);
        get(RTC_C);
    }
}

static void an_alarm_in_12_hours_knows_noon(void **state)
{
    (void)state;
    put(RTC_B, 0);
    put(RTC_HOURS_ALARM, 0x92);
    put(RTC_MINUTES_ALARM, 0);
    put(RTC_SECONDS_ALARM, 0);
    put(RTC_B, RTC_B_AIE);
    advance_ms(12 * 3600000);
    assert_int_equal(irq.rises, 0);
    advance_ms(1001);
    assert_int_equal(irq.rises, 1);
}

static void an_alarm_that_matches_nothing_never_comes(void **state)
{
    (void)state;
    put(RTC_SECONDS_ALARM, 0x61);
    put(RTC_HOURS_ALARM, 0xff);
    put(RTC_MINUTES_ALARM, 0xff);
    put(RTC_B, RTC_B_24H | RTC_B_AIE);
    assert_false(rtc.timer.armed);
    advance_ms(100000000);
    assert_int_equal(get(RTC_C) & RTC_C_AF, 0);
}

static void flags_rise_without_timers(void **state)
{
    (void)state;
    get(RTC_C);
    assert_false(rtc.timer.armed);
    advance_ms(1500);
    assert_int_equal(irq.rises, 0);
    put(RTC_B, RTC_B_24H | RTC_B_UIE); /* enabled after it happened: at once */
    assert_int_equal(irq.rises, 1);
    assert_int_equal(get(RTC_C), RTC_C_IRQF | RTC_C_AF | RTC_C_PF | RTC_C_UF); /* the alarm is at 00:00:00 */
    assert_int_equal(get(RTC_C), 0);
}

/* A guest reads C after the moment and before our timer has fired: told once, and no edge follows. */
static void what_is_read_does_not_interrupt_again(void **state)
{
    (void)state;
    put(RTC_B, RTC_B_24H | RTC_B_UIE);
    timer_cancel(&rtc.timer);
    advance_ms(1001);
    assert_int_equal(get(RTC_C) & (RTC_C_IRQF | RTC_C_UF), RTC_C_IRQF | RTC_C_UF);
    assert_int_equal(irq.rises, 0);
    advance_ms(998);
    assert_int_equal(irq.rises, 0);
    advance_ms(2);
    assert_int_equal(irq.rises, 1);
}

static void setting_the_clock_moves_the_alarm(void **state)
{
    (void)state;
    put(RTC_HOURS_ALARM, 0x05);
    put(RTC_MINUTES_ALARM, 0);
    put(RTC_SECONDS_ALARM, 0);
    put(RTC_B, RTC_B_24H | RTC_B_AIE);
    set_clock(0x20, 0x26, 0x01, 0x01, 0x04);
    assert_int_equal(irq.rises, 0);
    advance_ms(60000); /* 4:58:59 and a half */
    assert_int_equal(irq.rises, 0);
    advance_ms(1000);
    assert_int_equal(irq.rises, 1);
}

/* Found by tests/fuzz: a negative time was shifted to the left. */
static void a_clock_before_1970_ticks_as_well(void **state)
{
    (void)state;
    set_clock(0x19, 0x50, 0x12, 0x31, 0x23);
    put(RTC_A, RTC_A_DV_32KHZ | 15); /* twice a second */
    put(RTC_HOURS_ALARM, 0xff);
    put(RTC_MINUTES_ALARM, 0x59);
    put(RTC_SECONDS_ALARM, 0x00);
    put(RTC_B, RTC_B_24H | RTC_B_PIE | RTC_B_UIE | RTC_B_AIE);
    advance_ms(1000);
    assert_date("1950-12-31 23:59:00 1");
    assert_true(irq.level);
    assert_int_equal(get(RTC_C) & (RTC_C_PF | RTC_C_UF | RTC_C_AF), RTC_C_PF | RTC_C_UF | RTC_C_AF);

    put(RTC_A, 0x70); /* the divider is held, and goes on */
    put(RTC_A, RTC_A_DV_32KHZ);
    advance_ms(600);
    assert_date("1950-12-31 23:59:01 1");
}

static void cmos_describes_the_memory(void **state)
{
    unsigned sum = 0;

    (void)state;
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){MIB(48), GIB(1)}, 0);
    assert_int_equal(get(RTC_EQUIPMENT), 0x02); /* a coprocessor */
    assert_int_equal(get(0x15) | get(0x16) << 8, 640);
    assert_int_equal(get(0x17) | get(0x18) << 8, 47 * 1024);
    assert_int_equal(get(0x30) | get(0x31) << 8, 47 * 1024);
    assert_int_equal(get(0x34) | get(0x35) << 8, 32 * 16);
    assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 16384);
    for (unsigned i = RTC_CHECKSUM_FIRST; i <= RTC_CHECKSUM_LAST; i++)
        sum += get(i);
    assert_int_equal(get(RTC_CHECKSUM) << 8 | get(RTC_CHECKSUM + 1), sum);
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){MIB(1), 0}, 0);
    assert_int_equal(get(0x17) | get(0x18) << 8, 0);
    assert_int_equal(get(0x34) | get(0x35) << 8, 0);
    rtc_init(&rtc, fake_irq_line(&irq, RTC_IRQ), (struct rtc_memory){GIB(3), 0}, 0);
    assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
    assert_int_equal(get(0x34) | get(0x35) << 8, 0xbf00);
}

static void port_70_masks_nmi_and_cannot_be_read(void **state)
{
    (void)state;
    put(0x80 | RTC_SHUTDOWN_STATUS, 0x05);
    assert_true(rtc_is_nmi_masked(&rtc));
    assert_int_equal(get(RTC_SHUTDOWN_STATUS), 0x05);
    assert_false(rtc_is_nmi_masked(&rtc));
    assert_int_equal(rtc_ops.read(&rtc, 0, 1), 0xff);
    put(RTC_D, 0);
    assert_int_equal(get(RTC_D), RTC_D_VRT);
    put(RTC_C, 0xff);
    assert_int_equal(get(RTC_C), 0);
}

static void reset_keeps_what_has_a_battery(void **state)
{
    (void)state;
    put(RTC_SHUTDOWN_STATUS, 0x0a);
    put(RTC_BASE_KIB, 1);
    set_clock(0x20, 0x26, 0x11, 0x22, 0x16);
    put(RTC_B, RTC_B_DM | RTC_B_PIE | RTC_B_UIE);
    advance_ms(1000);
    assert_true(irq.level);
    rtc_reset(&rtc);
    assert_false(irq.level);
    assert_false(rtc.timer.armed);
    assert_date("2026-11-22 16:59:00 1");
    assert_int_equal(get(RTC_SHUTDOWN_STATUS), 0x0a);
    assert_int_equal(get(RTC_BASE_KIB), 640 & 0xff);
    put(RTC_B, RTC_B_24H | RTC_B_SET); /* halted at reset: goes on from its bytes */
    put(RTC_MINUTES, 0x11);
    rtc_reset(&rtc);
    assert_date("2026-11-22 16:11:00 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_calendar_agrees_with_libc, set_up),
        cmocka_unit_test_setup(the_calendar_takes_nonsense, set_up),
        cmocka_unit_test_setup(tells_the_time_in_bcd_and_24_hours, set_up),
        cmocka_unit_test_setup(tells_the_time_in_every_format, set_up),
        cmocka_unit_test_setup(an_offset_makes_local_time, set_up),
        cmocka_unit_test_setup(what_is_set_goes_on_from_there, set_up),
        cmocka_unit_test_setup(a_halted_clock_stands, set_up),
        cmocka_unit_test_setup(a_running_clock_can_be_set_byte_by_byte, set_up),
        cmocka_unit_test_setup(nonsense_in_the_clock_is_some_time, set_up),
        cmocka_unit_test_setup(uip_announces_the_update, set_up),
        cmocka_unit_test_setup(the_update_interrupts_each_second, set_up),
        cmocka_unit_test_setup(the_periodic_interrupt_has_its_rate, set_up),
        cmocka_unit_test_setup(the_alarm_comes_at_its_time, set_up),
        cmocka_unit_test_setup(alarm_bytes_may_match_always, set_up),
        cmocka_unit_test_setup(an_alarm_in_12_hours_knows_noon, set_up),
        cmocka_unit_test_setup(an_alarm_that_matches_nothing_never_comes, set_up),
        cmocka_unit_test_setup(flags_rise_without_timers, set_up),
        cmocka_unit_test_setup(what_is_read_does_not_interrupt_again, set_up),
        cmocka_unit_test_setup(setting_the_clock_moves_the_alarm, set_up),
        cmocka_unit_test_setup(a_clock_before_1970_ticks_as_well, set_up),
        cmocka_unit_test_setup(cmos_describes_the_memory, set_up),
        cmocka_unit_test_setup(port_70_masks_nmi_and_cannot_be_read, set_up),
        cmocka_unit_test_setup(reset_keeps_what_has_a_battery, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
