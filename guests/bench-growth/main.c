/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does an exit, a timer, a wake-up cost more when there are other VMs? With `settle=N` on the command line this guest waits for N
 * million ticks, until all the others are there, and prints `BENCH name ticks` of each. Without, it is one of the
 * others: it arms a timer for the far future and halts.
 */
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"
#include "guests/common/traps.h"

#define ROUNDS     200u
#define SOON       20000u /* ticks: a vCPU that halts meanwhile is asleep by then */
#define FAR_FUTURE ((uint64_t)1 << 45)

static volatile uint64_t fired_at;

static __attribute__((interrupt)) void on_timer(struct interrupt_frame *frame UNUSED)
{
    fired_at = read_tsc();
    apic_eoi();
}

static void halt_unless_fired(void)
{
    __asm__ volatile("cli");
    if (fired_at)
        __asm__ volatile("sti");
    else
        __asm__ volatile("sti; hlt");
}

static uint64_t wait_for(uint64_t deadline, bool halts)
{
    fired_at = 0;
    wrmsr(IA32_TSC_DEADLINE, deadline);
    while (!fired_at)
        if (halts)
            halt_unless_fired();
    return fired_at - deadline;
}

static uint64_t measure_exit(void)
{
    uint64_t start = read_tsc();

    for (unsigned i = 0; i < ROUNDS; i++)
        (void)cpuid_1_ecx();
    return read_tsc() - start;
}

/* How late it is: a vCPU that runs is interrupted, one that sleeps is woken. */
static uint64_t measure_timer(bool halts)
{
    uint64_t late = 0;

    for (unsigned i = 0; i < ROUNDS; i++)
        late += wait_for(read_tsc() + SOON, halts);
    return late;
}

static uint64_t measure_arming(void)
{
    uint64_t deadline = read_tsc() + FAR_FUTURE / 2, start, ticks;

    wrmsr(IA32_TSC_DEADLINE, deadline);
    start = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++)
        wrmsr(IA32_TSC_DEADLINE, deadline - i);
    ticks = read_tsc() - start;
    wrmsr(IA32_TSC_DEADLINE, 0);
    return ticks;
}

static void report(const char *name, uint64_t ticks)
{
    print("BENCH %s %lu\n", name, (ticks + ROUNDS / 2) / ROUNDS);
}

int guest_main(uint32_t magic UNUSED, uint32_t info)
{
    uint64_t exit_ticks, arming_ticks, timer_ticks, wake_ticks;
    unsigned settle = multiboot_option((const void *)(uintptr_t)info, "settle=");

    traps_enable();
    apic_enable();
    apic_timer_start(on_timer);
    if (!settle)
        wait_for(FAR_FUTURE, true);
    wait_for(settle * (uint64_t)1000000, true);
    /* Printed when all is measured: the host's screen takes its time. */
    exit_ticks = measure_exit();
    arming_ticks = measure_arming();
    timer_ticks = measure_timer(false);
    wake_ticks = measure_timer(true);
    report("exit", exit_ticks);
    report("arm", arming_ticks);
    report("timer", timer_ticks);
    report("wake", wake_ticks);
    print("BENCH end\n");
    return 0;
}
