/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time is one number: periods of the 32768 Hz crystal since 1970, as the guest sees it. Its upper
 * bits are the seconds, its lower ones the divider chain, so that the registers, the update flag
 * and the three interrupts are functions of it. Register C is brought up to date when somebody
 * looks (settle()), and a host timer runs only while an enabled interrupt has not been raised.
 */
#include "drivers/virt/rtc.h"
#include "drivers/virt/rtc_calendar.h"

#define CRYSTAL_HZ       32768
#define CRYSTAL_SHIFT    15
#define NS_PER_SECOND    1000000000u
#define NEVER            INT64_MAX
#define UIP_PERIODS      8     /* 244 us before the update; MC146818, "Update Cycle" */
#define RESTART_PERIODS  16384 /* the first update comes half a second after the divider's reset */
#define OLDEST_DIVIDER   RTC_A_DV_32KHZ /* larger values of DV are tests and the divider's reset */
#define INTERRUPTS       (RTC_C_PF | RTC_C_AF | RTC_C_UF)
#define CONVENTIONAL_KIB 640u
#define EQUIPMENT_FPU    0x02u
#define POWER_ON_A       (RTC_A_DV_32KHZ | 6u) /* 1024 Hz, as a PC's firmware leaves it */
#define POWER_ON_B       RTC_B_24H

_Static_assert(RTC_B_PIE == RTC_C_PF && RTC_B_AIE == RTC_C_AF && RTC_B_UIE == RTC_C_UF,
               "B enables C's flags");

/* --- time --- */

static int64_t wall_periods(void)
{
    return (int64_t)mul_div(clock_wall_ns(), CRYSTAL_HZ, NS_PER_SECOND);
}

static int64_t now_periods(const struct rtc *rtc)
{
    return wall_periods() + rtc->offset;
}

static int64_t seconds_of(int64_t periods)
{
    return periods >> CRYSTAL_SHIFT;
}

static int64_t subsecond_of(int64_t periods)
{
    return periods & (CRYSTAL_HZ - 1);
}

/* Makes it periods o'clock for the guest, with nothing having happened on the way. */
static void set_time(struct rtc *rtc, int64_t periods)
{
    rtc->offset = periods - wall_periods();
    rtc->settled = periods;
}

static bool is_divider_running(const struct rtc *rtc)
{
    return (rtc->cmos[RTC_A] & RTC_A_DV) <= OLDEST_DIVIDER;
}

static bool is_updating(const struct rtc *rtc)
{
    return is_divider_running(rtc) && !(rtc->cmos[RTC_B] & RTC_B_SET);
}

/* --- the time's bytes, in the format that register B selects --- */

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    return (uint8_t)(rtc->cmos[RTC_B] & RTC_B_DM ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t byte)
{
    return rtc->cmos[RTC_B] & RTC_B_DM ? byte : (byte >> 4) * 10u + (byte & 15u);
}

#define PM 0x80u

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
    if (rtc->cmos[RTC_B] & RTC_B_24H)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? PM : 0));
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t byte)
{
    if (rtc->cmos[RTC_B] & RTC_B_24H)
        return decode(rtc, byte);
    return decode(rtc, (uint8_t)(byte & ~PM)) % 12 + (byte & PM ? 12 : 0);
}

static void store_date(struct rtc *rtc, int64_t seconds)
{
    struct rtc_date d;

    rtc_date_from_seconds(seconds, &d);
    rtc->cmos[RTC_SECONDS] = encode(rtc, d.second);
    rtc->cmos[RTC_MINUTES] = encode(rtc, d.minute);
    rtc->cmos[RTC_HOURS] = encode_hour(rtc, d.hour);
    rtc->cmos[RTC_DAY_OF_WEEK] = (uint8_t)d.weekday;
    rtc->cmos[RTC_DATE] = encode(rtc, d.day);
    rtc->cmos[RTC_MONTH] = encode(rtc, d.month);
    rtc->cmos[RTC_YEAR] = encode(rtc, d.year % 100);
    rtc->cmos[RTC_CENTURY] = encode(rtc, d.year / 100 % 100);
}

static int64_t load_date(const struct rtc *rtc)
{
    const uint8_t *cmos = rtc->cmos;
    struct rtc_date d = {
        .second = decode(rtc, cmos[RTC_SECONDS]),
        .minute = decode(rtc, cmos[RTC_MINUTES]),
        .hour = decode_hour(rtc, cmos[RTC_HOURS]),
        .day = decode(rtc, cmos[RTC_DATE]),
        .month = decode(rtc, cmos[RTC_MONTH]),
        .year = decode(rtc, cmos[RTC_CENTURY]) * 100 + decode(rtc, cmos[RTC_YEAR]),
    };

    return rtc_seconds_from_date(&d);
}

/* A halted clock shows what its bytes hold; a running one is computed. */
static void refresh_date(struct rtc *rtc)
{
    if (is_updating(rtc))
        store_date(rtc, seconds_of(now_periods(rtc)));
}

/* Takes the time from the bytes; the divider chain goes on undisturbed. */
static void commit_date(struct rtc *rtc)
{
    set_time(rtc, load_date(rtc) * CRYSTAL_HZ + subsecond_of(now_periods(rtc)));
}

/* --- what happens next: each gives the first moment after the given one, or NEVER --- */

static int64_t next_periodic(const struct rtc *rtc, int64_t after)
{
    unsigned rate = rtc->cmos[RTC_A] & RTC_A_RS;
    unsigned shift = rate < 3 ? rate + 6 : rate - 1; /* MC146818, "Periodic Interrupt Rate" */

    if (rate == 0 || !is_divider_running(rtc))
        return NEVER;
    return ((after >> shift) + 1) * ((int64_t)1 << shift); /* no shift: before 1970 it is negative */
}

static int64_t next_update(const struct rtc *rtc, int64_t after)
{
    return is_updating(rtc) ? (seconds_of(after) + 1) * CRYSTAL_HZ : NEVER;
}

#define ALARM_ANY (~0u)

/* The alarm's hour, minute or second: below limit, or ALARM_ANY; false: it matches no time. */
static bool alarm_field(uint8_t byte, unsigned decoded, unsigned limit, unsigned *field)
{
    *field = (byte & RTC_ALARM_ANY) == RTC_ALARM_ANY ? ALARM_ANY : decoded;
    return *field == ALARM_ANY || *field < limit;
}

static bool is_match(unsigned field, unsigned value)
{
    return field == ALARM_ANY || field == value;
}

/* Skips what cannot match, so that no alarm takes more than 24 + 60 + 60 steps. */
static int64_t next_alarm(const struct rtc *rtc, int64_t after)
{
    const uint8_t *cmos = rtc->cmos;
    int64_t first = seconds_of(after) + 1;
    unsigned hour, minute, second, start = rtc_second_of_day(first), t = start;

    if (!is_updating(rtc) ||
        !alarm_field(cmos[RTC_HOURS_ALARM], decode_hour(rtc, cmos[RTC_HOURS_ALARM]), 24, &hour) ||
        !alarm_field(cmos[RTC_MINUTES_ALARM], decode(rtc, cmos[RTC_MINUTES_ALARM]), 60, &minute) ||
        !alarm_field(cmos[RTC_SECONDS_ALARM], decode(rtc, cmos[RTC_SECONDS_ALARM]), 60, &second))
        return NEVER;
    for (;;) {
        if (!is_match(hour, t / 3600 % 24))
            t = (t / 3600 + 1) * 3600;
        else if (!is_match(minute, t / 60 % 60))
            t = (t / 60 + 1) * 60;
        else if (!is_match(second, t % 60))
            t++;
        else
            return (first + (t - start)) * CRYSTAL_HZ;
    }
}

static const struct rtc_event {
    uint8_t flag;
    int64_t (*next)(const struct rtc *rtc, int64_t after);
} events[] = {
    {RTC_C_PF, next_periodic},
    {RTC_C_AF, next_alarm},
    {RTC_C_UF, next_update},
};

/* --- interrupts --- */

/* Flags rise whether or not they may interrupt. */
static void settle(struct rtc *rtc)
{
    int64_t now = now_periods(rtc);

    for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
        if (events[i].next(rtc, rtc->settled) <= now)
            rtc->cmos[RTC_C] |= events[i].flag;
    rtc->settled = now;
}

/* A TSC at which the guest's time has reached moment, or nearly: who is woken looks again. */
static uint64_t deadline(const struct rtc *rtc, int64_t moment)
{
    uint64_t wall = clock_wall_ns();
    uint64_t target = mul_div((uint64_t)(moment - rtc->offset), NS_PER_SECOND, CRYSTAL_HZ) + 1;

    return clock_now() + (target > wall ? clock_ticks_from_ns(target - wall) : 0) + 1;
}

static void schedule(struct rtc *rtc)
{
    int64_t first = NEVER;

    for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
        if (rtc->cmos[RTC_B] & events[i].flag)
            first = MIN(first, events[i].next(rtc, rtc->settled));
    if (first == NEVER)
        timer_cancel(&rtc->timer);
    else
        timer_arm(&rtc->timer, deadline(rtc, first));
}

static bool is_raised(const struct rtc *rtc)
{
    return rtc->cmos[RTC_B] & rtc->cmos[RTC_C] & INTERRUPTS;
}

/* Once the line is up, nothing more can happen to it before the guest has read register C. */
static void update_irq(struct rtc *rtc)
{
    bool raised = is_raised(rtc);

    irq_line_set(&rtc->irq, raised);
    if (raised)
        timer_cancel(&rtc->timer);
    else
        schedule(rtc);
}

static void timer_fires(void *context)
{
    struct rtc *rtc = context;

    settle(rtc);
    update_irq(rtc);
}

/* --- registers --- */

static bool is_date_register(uint8_t index)
{
    static const uint16_t below_a = BIT(RTC_SECONDS) | BIT(RTC_MINUTES) | BIT(RTC_HOURS) |
                                    BIT(RTC_DAY_OF_WEEK) | BIT(RTC_DATE) | BIT(RTC_MONTH) |
                                    BIT(RTC_YEAR);

    return index == RTC_CENTURY || (index < RTC_A && (below_a & BIT(index)));
}

static uint8_t read_a(const struct rtc *rtc)
{
    bool soon = is_updating(rtc) && subsecond_of(now_periods(rtc)) >= CRYSTAL_HZ - UIP_PERIODS;

    return (uint8_t)(rtc->cmos[RTC_A] | (soon ? RTC_A_UIP : 0));
}

/* What has happened by now is told and cleared at once: the line does not rise for it. */
static uint8_t read_c(struct rtc *rtc)
{
    uint8_t c;

    settle(rtc);
    c = (uint8_t)(rtc->cmos[RTC_C] | (is_raised(rtc) ? RTC_C_IRQF : 0));
    rtc->cmos[RTC_C] = 0;
    update_irq(rtc);
    return c;
}

static uint8_t read_data(struct rtc *rtc)
{
    if (rtc->index == RTC_A)
        return read_a(rtc);
    if (rtc->index == RTC_C)
        return read_c(rtc);
    if (is_date_register(rtc->index))
        refresh_date(rtc);
    return rtc->cmos[rtc->index];
}

/* Registers A and B can halt the clock, keeping its time in the bytes, and let it go on from them. */
static void write_control(struct rtc *rtc, uint8_t index, uint8_t value)
{
    bool had_divider = is_divider_running(rtc), was_updating = is_updating(rtc);

    refresh_date(rtc);
    rtc->cmos[index] = value;
    if (!had_divider && is_divider_running(rtc))
        set_time(rtc, seconds_of(now_periods(rtc)) * CRYSTAL_HZ + RESTART_PERIODS);
    if (!was_updating && is_updating(rtc))
        commit_date(rtc);
}

static void write_date(struct rtc *rtc, uint8_t index, uint8_t value)
{
    refresh_date(rtc);
    rtc->cmos[index] = value;
    if (is_updating(rtc))
        commit_date(rtc);
}

/* MC146818, "Register B": SET clears UIE. */
static uint8_t masked_b(uint8_t value)
{
    return value & RTC_B_SET ? (uint8_t)(value & ~RTC_B_UIE) : value;
}

static void write_data(struct rtc *rtc, uint8_t value)
{
    uint8_t index = rtc->index;

    settle(rtc);
    if (index == RTC_A)
        write_control(rtc, RTC_A, (uint8_t)(value & ~RTC_A_UIP));
    else if (index == RTC_B)
        write_control(rtc, RTC_B, masked_b(value));
    else if (is_date_register(index))
        write_date(rtc, index, value);
    else if (index != RTC_C && index != RTC_D)
        rtc->cmos[index] = value;
    update_irq(rtc);
}

/* The index cannot be read back. */
static uint64_t rtc_read(void *device, uint64_t offset, unsigned width UNUSED)
{
    return offset == 0 ? 0xff : read_data(device);
}

static void rtc_write(void *device, uint64_t offset, unsigned width UNUSED, uint64_t value)
{
    struct rtc *rtc = device;

    if (offset != 0) {
        write_data(rtc, (uint8_t)value);
        return;
    }
    rtc->index = value & (RTC_CMOS_BYTES - 1);
    rtc->nmi_masked = value & RTC_INDEX_NMI_MASK;
}

const struct io_region_ops rtc_ops = {rtc_read, rtc_write};

bool rtc_is_nmi_masked(const struct rtc *rtc)
{
    return rtc->nmi_masked;
}

/* --- what firmware does at power-on --- */

static void put_bytes(struct rtc *rtc, unsigned index, unsigned count, uint64_t value)
{
    uint64_t limit = BIT(8 * count) - 1;

    value = MIN(value, limit);
    for (unsigned i = 0; i < count; i++)
        rtc->cmos[index + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t bytes_above(uint64_t bytes, uint64_t start)
{
    return bytes > start ? bytes - start : 0;
}

static void describe_machine(struct rtc *rtc)
{
    uint64_t low = rtc->memory.below_4g_bytes;
    unsigned sum = 0;

    put_bytes(rtc, RTC_EQUIPMENT, 1, EQUIPMENT_FPU);
    put_bytes(rtc, RTC_BASE_KIB, 2, MIN(low / KIB(1), CONVENTIONAL_KIB));
    put_bytes(rtc, RTC_EXTENDED_KIB, 2, bytes_above(low, MIB(1)) / KIB(1));
    put_bytes(rtc, RTC_EXTENDED_KIB_2, 2, bytes_above(low, MIB(1)) / KIB(1));
    put_bytes(rtc, RTC_ABOVE_16M_64KIB, 2, bytes_above(low, MIB(16)) / KIB(64));
    put_bytes(rtc, RTC_ABOVE_4G_64KIB, 3, rtc->memory.above_4g_bytes / KIB(64));
    for (unsigned i = RTC_CHECKSUM_FIRST; i <= RTC_CHECKSUM_LAST; i++)
        sum += rtc->cmos[i];
    put_bytes(rtc, RTC_CHECKSUM, 1, sum >> 8);
    put_bytes(rtc, RTC_CHECKSUM + 1, 1, sum & 0xff);
}

void rtc_reset(struct rtc *rtc)
{
    if (!is_updating(rtc))
        commit_date(rtc);
    rtc->cmos[RTC_A] = POWER_ON_A;
    rtc->cmos[RTC_B] = POWER_ON_B;
    rtc->cmos[RTC_C] = 0;
    rtc->cmos[RTC_D] = RTC_D_VRT;
    rtc->index = 0;
    rtc->nmi_masked = false;
    rtc->settled = now_periods(rtc);
    describe_machine(rtc);
    update_irq(rtc);
}

void rtc_init(struct rtc *rtc, struct irq_line irq, struct rtc_memory memory,
              int64_t offset_seconds)
{
    *rtc = (struct rtc){.irq = irq, .memory = memory, .offset = offset_seconds * CRYSTAL_HZ};
    timer_init(&rtc->timer, timer_fires, rtc);
    rtc_reset(rtc);
}
