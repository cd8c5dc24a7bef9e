/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does it cost that there are two virtual CPUs? With `shared=1` on the command line both have one host CPU: each
 * notes the time again and again, and who finds that its own last note is old was switched to: the other's last note
 * is when the switch began. Else each has a host CPU, and one interrupts the other, which runs, or which has halted, in
 * either mode of the APIC.
 * Prints `BENCH name ticks`, as guests/bench does.
 */
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"
#include "guests/common/smp.h"
#include "guests/common/traps.h"

#define ROUNDS   1000u
#define SWITCHES 100u
#define A_LOOP   200u /* ticks: no turn of a loop takes as long, no switch is as short */
#define OTHER    1u
#define SETTLE   100000u /* ticks: the other one is halted by then */

enum job { JOB_SPIN, JOB_HALT, JOB_SHARE, JOB_X2APIC };

static volatile enum job job;
static volatile bool is_ready; /* the other one */

/* --- on one host CPU --- */

static volatile uint64_t notes[2]; /* each CPU's last */

/*
 * The ticks of the switch to self, if there has been one. The other's note is looked at last: wherever in here the slice
 * ends, which may be at the same instruction each time, this turn or the next one finds the switch.
 */
static uint64_t share_cpu(unsigned self)
{
    uint64_t before = notes[self], now = read_tsc(), others = notes[!self];

    notes[self] = now;
    return now - before > A_LOOP && others > before ? now - others : 0;
}

/* Where tests/bench begins to look at the instructions. */
static __attribute__((noinline)) void measure_switch(void)
{
    uint64_t ticks = 0;

    job = JOB_SHARE;
    notes[0] = read_tsc();
    for (unsigned switches = 0; switches <= SWITCHES;) {
        uint64_t more = share_cpu(0);

        switches += more != 0;
        if (switches > 1) /* the first one is longer: the other had no note yet */
            ticks += more;
    }
    print("BENCH switch %lu\n", (ticks + SWITCHES / 2) / SWITCHES);
}

/* --- on two --- */

static void wait(uint64_t ticks)
{
    uint64_t start = read_tsc();

    while (read_tsc() - start < ticks)
        ;
}

static void measure_ipi(const char *name, enum job other, uint64_t settle)
{
    uint64_t ticks = 0;

    job = other;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t start;

        wait(settle);
        start = read_tsc();
        apic_ipi_and_wait(OTHER);
        ticks += read_tsc() - start;
    }
    print("BENCH %s %lu\n", name, (ticks + ROUNDS / 2) / ROUNDS);
}

/* Both CPUs, for good. The other one is halted. */
static bool enter_x2apic(void)
{
    wait(SETTLE);
    is_ready = false;
    job = JOB_X2APIC;
    apic_ipi_and_wait(OTHER);
    while (!is_ready)
        ;
    return apic_enter_x2apic();
}

static void other_enter_x2apic(void)
{
    job = JOB_SPIN;
    (void)apic_enter_x2apic();
    is_ready = true;
}

static void other_main(unsigned id)
{
    (void)id;
    traps_enable();
    apic_enable();
    is_ready = true;
    for (;;) {
        if (job == JOB_HALT)
            __asm__ volatile("hlt");
        else if (job == JOB_SHARE)
            share_cpu(1);
        else if (job == JOB_X2APIC)
            other_enter_x2apic();
    }
}

int guest_main(uint32_t magic UNUSED, uint32_t info)
{
    traps_enable();
    apic_enable();
    if (!smp_start(OTHER, other_main)) {
        print("GUEST: FAILED: expected a second CPU\n");
        return 1;
    }
    while (!is_ready)
        ;
    if (multiboot_option((const void *)(uintptr_t)info, "shared=")) {
        measure_switch();
    } else {
        measure_ipi("ipi_running", JOB_SPIN, 0);
        measure_ipi("ipi_halted", JOB_HALT, SETTLE);
        if (enter_x2apic()) {
            measure_ipi("x2apic_ipi_running", JOB_SPIN, 0);
            measure_ipi("x2apic_ipi_halted", JOB_HALT, SETTLE);
        }
    }
    print("BENCH end\n");
    return 0;
}
