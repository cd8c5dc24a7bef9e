/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does an exit cost? Loops over one instruction each, from a look at CPUID to an IPI to
 * itself, and prints `BENCH name ticks`: TSC ticks per round trip, the loop's own few included.
 * Where an instruction cannot be had (no hypervisor, no such feature) it prints `BENCH name -`.
 */
#include "guests/bench/apic.h"
#include "guests/bench/traps.h"
#include "guests/common/guest.h"

#define ROUNDS        1000u
#define WARM_UP       10u
#define COM1_SCRATCH  0x3ffu
#define VIRTIO_MMIO   0xd0000000u
#define VIRTIO_MAGIC  0x74726976u
#define QUEUE_SEL     (0x030 / 4)
#define FAR_FUTURE    ((uint64_t)1 << 40) /* ticks: a timer that never fires here */
#define NULL_FUNCTION 100u                /* of a hypercall; KVM's bench asks for the same */

struct benchmark {
    const char *name;
    void (*run)(unsigned rounds);
    bool (*is_possible)(void); /* NULL: always */
};

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static bool is_virtualized(void)
{
    return cpuid_1_ecx() & CPUID_1_ECX_HYPERVISOR;
}

static bool has_tsc_deadline(void)
{
    return cpuid_1_ecx() & CPUID_1_ECX_TSC_DEADLINE;
}

static volatile uint32_t *virtio(void)
{
    return (volatile uint32_t *)(uintptr_t)VIRTIO_MMIO;
}

static bool has_virtio(void)
{
    return is_virtualized() && virtio()[0] == VIRTIO_MAGIC;
}

static void run_empty(unsigned rounds)
{
    while (rounds--)
        __asm__ volatile("");
}

static void run_cpuid(unsigned rounds)
{
    while (rounds--) {
        uint32_t eax = 0, ecx = 0;

        __asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
    }
}

static void run_vmcall(unsigned rounds)
{
    while (rounds--) {
        uint64_t rax = NULL_FUNCTION;

        __asm__ volatile("vmcall" : "+a"(rax) : : "memory");
    }
}

static void run_rdmsr_apic_base(unsigned rounds)
{
    while (rounds--)
        (void)rdmsr(IA32_APIC_BASE);
}

static void run_wrmsr_tsc_deadline(unsigned rounds)
{
    uint64_t deadline = read_tsc() + FAR_FUTURE;

    apic_timer_deadline_mode();
    while (rounds--)
        wrmsr(IA32_TSC_DEADLINE, deadline);
    wrmsr(IA32_TSC_DEADLINE, 0);
}

static void run_in(unsigned rounds)
{
    while (rounds--)
        (void)inb(COM1_SCRATCH);
}

static void run_out(unsigned rounds)
{
    while (rounds--)
        outb(COM1_SCRATCH, 0x5a);
}

static void run_mmio_read(unsigned rounds)
{
    while (rounds--)
        (void)virtio()[0];
}

static void run_mmio_write(unsigned rounds)
{
    while (rounds--)
        virtio()[QUEUE_SEL] = 0;
}

static void run_apic_eoi(unsigned rounds)
{
    while (rounds--)
        apic_eoi();
}

static void run_self_ipi(unsigned rounds)
{
    while (rounds--)
        apic_self_ipi_and_wait();
}

static const struct benchmark benchmarks[] = {
    {"empty", run_empty, NULL},
    {"cpuid", run_cpuid, NULL},
    {"vmcall", run_vmcall, traps_try_vmcall},
    {"rdmsr_apic_base", run_rdmsr_apic_base, NULL},
    {"port_in", run_in, NULL},
    {"port_out", run_out, NULL},
    {"mmio_read", run_mmio_read, has_virtio},
    {"mmio_write", run_mmio_write, has_virtio},
    {"wrmsr_tsc_deadline", run_wrmsr_tsc_deadline, has_tsc_deadline},
    {"xapic_eoi", run_apic_eoi, NULL},
    {"xapic_self_ipi", run_self_ipi, NULL},
};

/* After the switch, which cannot be undone without a reset of the local APIC. */
static const struct benchmark x2apic_benchmarks[] = {
    {"x2apic_eoi", run_apic_eoi, NULL},
    {"x2apic_self_ipi", run_self_ipi, NULL},
};

static void measure(const struct benchmark *benchmark)
{
    uint64_t start, ticks;

    if (benchmark->is_possible && !benchmark->is_possible()) {
        print("BENCH %s -\n", benchmark->name);
        return;
    }
    benchmark->run(WARM_UP);
    start = read_tsc();
    benchmark->run(ROUNDS);
    ticks = read_tsc() - start;
    print("BENCH %s %lu\n", benchmark->name, (ticks + ROUNDS / 2) / ROUNDS);
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    traps_enable();
    apic_enable();
    for (unsigned i = 0; i < ARRAY_SIZE(benchmarks); i++)
        measure(&benchmarks[i]);
    if (apic_enter_x2apic())
        for (unsigned i = 0; i < ARRAY_SIZE(x2apic_benchmarks); i++)
            measure(&x2apic_benchmarks[i]);
    print("BENCH end\n");
    return 0;
}
