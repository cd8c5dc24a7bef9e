/* SPDX-License-Identifier: BSD-2-Clause */
/* The TSC as the one clock: how fast it runs and what time of day it stands for. */
#include "arch/x86/clock.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/clock_measure.h"
#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "kernel/log.h"
#include "kernel/timer.h"

#define PM_TIMER_HZ           3579545u
#define PIT_HZ                1193182u
#define PIT_CHANNEL2          0x42
#define PIT_COMMAND           0x43
#define PIT_ONE_SHOT_CHANNEL2 0xb0
#define PIT_LATCH_CHANNEL2    0x80
#define SYSTEM_CONTROL_B      0x61

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

static uint32_t read_pm_timer(void)
{
    return io_in32(pm_timer_port);
}

#define HPET_CAPABILITIES_PERIOD (4 / 4) /* registers, in words */
#define HPET_CONFIGURATION       (0x10 / 4)
#define HPET_COUNTER             (0xf0 / 4)
#define HPET_ENABLE              1u

static uint32_t read_hpet(void)
{
    return hpet[HPET_COUNTER];
}

/* It counts down. */
static uint32_t read_pit(void)
{
    uint32_t low;

    io_out8(PIT_COMMAND, PIT_LATCH_CHANNEL2);
    low = io_in8(PIT_CHANNEL2);
    return ~(low | (uint32_t)io_in8(PIT_CHANNEL2) << 8);
}

static uint64_t against_pm_timer(const struct acpi_info *acpi)
{
    static const struct clock_reference pm_timer = {read_pm_timer, 0xffffff, PM_TIMER_HZ};

    if (!acpi->has_fadt || !acpi->fadt.has_pm_timer || acpi->fadt.pm_timer.space_id != ACPI_GAS_SYSTEM_IO)
        return 0;
    pm_timer_port = (uint16_t)acpi->fadt.pm_timer.address;
    return clock_measure(&pm_timer);
}

static uint64_t against_hpet(const struct acpi_info *acpi)
{
    struct clock_reference counter = {read_hpet, UINT32_MAX, 0};

    if (!acpi->has_hpet)
        return 0;
    hpet = arch_map_device(acpi->hpet, PAGE_SIZE);
    if (!hpet || hpet[HPET_CAPABILITIES_PERIOD] == 0)
        return 0;
    counter.hz = 1000000000000000ull / hpet[HPET_CAPABILITIES_PERIOD];
    hpet[HPET_CONFIGURATION] |= HPET_ENABLE;
    return clock_measure(&counter);
}

/* Free-running from its largest count. */
static uint64_t against_pit(const struct acpi_info *acpi)
{
    static const struct clock_reference channel2 = {read_pit, 0xffff, PIT_HZ};

    (void)acpi;
    io_out8(SYSTEM_CONTROL_B, (uint8_t)((io_in8(SYSTEM_CONTROL_B) & ~2) | 1));
    io_out8(PIT_COMMAND, PIT_ONE_SHOT_CHANNEL2);
    io_out8(PIT_CHANNEL2, 0xff);
    io_out8(PIT_CHANNEL2, 0xff);
    return clock_measure(&channel2);
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

/* The best first. */
static const struct {
    const char *name;
    uint64_t (*measure)(const struct acpi_info *acpi);
} references[] = {{"PM timer", against_pm_timer}, {"HPET", against_hpet}, {"PIT", against_pit}};

COLD void clock_init(const struct acpi_info *acpi)
{
    const char *name = "nothing: no reference counts, assuming 1 GHz";

    for (unsigned i = 0; i < ARRAY_SIZE(references) && hz == 0; i++) {
        hz = references[i].measure(acpi);
        name = hz ? references[i].name : name;
    }
    hz = hz ? hz : 1000000000;
    boot_wall_ns = read_wall_ns();
    boot_tsc = rdtsc();
    log_info("clock", "TSC runs at %lu.%03lu MHz, measured against the %s", hz / 1000000, hz / 1000 % 1000, name);
}
