/* SPDX-License-Identifier: BSD-2-Clause */
/* The TSC as the one clock: how fast it runs and what time of day it stands for. */
#include "arch/x86/clock.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "kernel/log.h"
#include "kernel/timer.h"

#define CALIBRATION_MS 10u
#define PM_TIMER_HZ    3579545u
#define PM_TIMER_MASK  0xffffffu
#define PIT_HZ         1193182u
#define PIT_CHANNEL2   0x42
#define PIT_COMMAND    0x43
#define PIT_ONE_SHOT_CHANNEL2 0xb0
#define SYSTEM_CONTROL_B      0x61
#define SYSTEM_CONTROL_B_OUT2 0x20

static uint64_t hz;
static uint64_t boot_tsc, boot_wall_ns;

uint64_t clock_now(void)
{
    return rdtsc();
}

uint64_t clock_hz(void)
{
    return hz;
}

uint64_t clock_wall_ns(void)
{
    uint64_t now = clock_now();

    /* The TSC of another CPU may lag a little behind the boot CPU's. */
    return boot_wall_ns + (now > boot_tsc ? clock_ns_from_ticks(now - boot_tsc) : 0);
}

void clock_delay_ns(uint64_t ns)
{
    uint64_t start = clock_now(), ticks = clock_ticks_from_ns(ns);

    while (clock_now() - start < ticks)
        cpu_relax();
}

/* --- references: each counts up at a known rate --- */

static uint16_t pm_timer_port;
static volatile uint32_t *hpet;
static uint64_t hpet_hz;

static uint32_t pm_timer_read(void)
{
    return io_in32(pm_timer_port) & PM_TIMER_MASK;
}

static uint64_t against_pm_timer(void)
{
    uint32_t want = PM_TIMER_HZ * CALIBRATION_MS / 1000, start = pm_timer_read(), passed;
    uint64_t tsc = rdtsc();

    for (unsigned reads = 0; reads < 10000000; reads++) { /* a PM timer that stands still must not hang us */
        passed = (pm_timer_read() - start) & PM_TIMER_MASK;
        if (passed >= want)
            return mul_div(rdtsc() - tsc, PM_TIMER_HZ, passed);
    }
    return 0;
}

#define HPET_CAPABILITIES_PERIOD (4 / 4)
#define HPET_CONFIGURATION       (0x10 / 4)
#define HPET_COUNTER             (0xf0 / 4)
#define HPET_ENABLE              1u

static uint64_t against_hpet(void)
{
    uint32_t want = (uint32_t)(hpet_hz * CALIBRATION_MS / 1000), start = hpet[HPET_COUNTER], passed;
    uint64_t tsc = rdtsc();

    for (unsigned reads = 0; reads < 10000000; reads++) {
        passed = hpet[HPET_COUNTER] - start;
        if (passed >= want)
            return mul_div(rdtsc() - tsc, hpet_hz, passed);
    }
    return 0;
}

static uint64_t against_pit(void)
{
    uint16_t count = PIT_HZ * CALIBRATION_MS / 1000;
    uint8_t control = (uint8_t)((io_in8(SYSTEM_CONTROL_B) & ~2) | 1);
    uint64_t tsc;

    io_out8(SYSTEM_CONTROL_B, control);
    io_out8(PIT_COMMAND, PIT_ONE_SHOT_CHANNEL2);
    io_out8(PIT_CHANNEL2, (uint8_t)count);
    io_out8(PIT_CHANNEL2, (uint8_t)(count >> 8));
    tsc = rdtsc();
    for (unsigned reads = 0; reads < 10000000; reads++)
        if (io_in8(SYSTEM_CONTROL_B) & SYSTEM_CONTROL_B_OUT2)
            return mul_div(rdtsc() - tsc, PIT_HZ, count);
    return 0;
}

static bool find_hpet(const struct acpi_info *acpi)
{
    if (!acpi->has_hpet)
        return false;
    hpet = arch_map_device(acpi->hpet, PAGE_SIZE);
    if (!hpet || hpet[HPET_CAPABILITIES_PERIOD] == 0)
        return false;
    hpet_hz = 1000000000000000ull / hpet[HPET_CAPABILITIES_PERIOD];
    hpet[HPET_CONFIGURATION] |= HPET_ENABLE;
    return true;
}

/* --- the time of day --- */

#define CMOS_INDEX      0x70
#define CMOS_DATA       0x71
#define CMOS_STATUS_A   10
#define CMOS_STATUS_B   11
#define STATUS_A_UIP    0x80
#define STATUS_B_BINARY 0x04

static uint8_t cmos_read(uint8_t index)
{
    io_out8(CMOS_INDEX, index);
    return io_in8(CMOS_DATA);
}

static unsigned cmos_number(uint8_t index, bool is_binary)
{
    uint8_t v = cmos_read(index);

    return is_binary ? v : (v >> 4) * 10u + (v & 15u);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9; /* March is month 0 */
    uint64_t days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;

    return days - 719468;
}

static uint64_t read_wall_ns(void)
{
    bool is_binary = cmos_read(CMOS_STATUS_B) & STATUS_B_BINARY;
    uint64_t days;

    for (unsigned i = 0; i < 100000 && (cmos_read(CMOS_STATUS_A) & STATUS_A_UIP); i++)
        ;
    days = days_since_1970(2000 + cmos_number(9, is_binary), cmos_number(8, is_binary), cmos_number(7, is_binary));
    return (((days * 24 + cmos_number(4, is_binary)) * 60 + cmos_number(2, is_binary)) * 60 +
            cmos_number(0, is_binary)) * 1000000000ull;
}

void clock_init(const struct acpi_info *acpi)
{
    const char *reference = "PM timer";

    if (acpi->has_fadt && acpi->fadt.has_pm_timer && acpi->fadt.pm_timer.space_id == ACPI_GAS_SYSTEM_IO) {
        pm_timer_port = (uint16_t)acpi->fadt.pm_timer.address;
        hz = against_pm_timer();
    }
    if (hz == 0 && find_hpet(acpi)) {
        reference = "HPET";
        hz = against_hpet();
    }
    if (hz == 0) {
        reference = "PIT";
        hz = against_pit();
    }
    if (hz == 0) {
        reference = "nothing: no reference counts, assuming 1 GHz";
        hz = 1000000000;
    }
    boot_wall_ns = read_wall_ns();
    boot_tsc = rdtsc();
    log_info("clock", "TSC runs at %lu.%03lu MHz, measured against the %s", hz / 1000000, hz / 1000 % 1000, reference);
}
