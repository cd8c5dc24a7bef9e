/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does an exit cost? Loops over one instruction each, from a look at CPUID to an IPI to
 * itself, and prints `BENCH name ticks`: TSC ticks per round trip, the loop's own few included.
 * Where an instruction cannot be had (no hypervisor, no such feature) it prints `BENCH name -`.
 */
#include "guests/common/apic.h"
#include "guests/common/traps.h"
#include "guests/bench/user.h"
#include "guests/bench/virtio.h"
#include "guests/common/guest.h"

#define ROUNDS        1000u
#define WARM_UP       10u
#define COM1_SCRATCH  0x3ffu
#define FRESH_MEMORY  (8u << 20) /* nobody has touched it; the VM has 16 MiB */
#define PAGE_BYTES    4096u
#define CR0_TS        BIT(3)
#define CR4_PGE       BIT(7)
#define FAR_FUTURE    ((uint64_t)1 << 40) /* ticks: a timer that never fires here */

struct benchmark {
    const char *name;
    void (*run)(unsigned rounds);
    bool (*is_possible)(void); /* NULL: always */
};

static bool has_tsc_deadline(void)
{
    return cpuid_1_ecx() & CPUID_1_ECX_TSC_DEADLINE;
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

static hypercall_fn *hypercall;

static bool has_hypercall(void)
{
    hypercall = traps_find_hypercall();
    return hypercall;
}

static void run_hypercall(unsigned rounds)
{
    while (rounds--)
        hypercall();
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
        (void)*virtio_register(VIRTIO_MMIO_MAGIC_VALUE);
}

static void run_mmio_write(unsigned rounds)
{
    while (rounds--)
        *virtio_register(VIRTIO_MMIO_QUEUE_SEL) = 0;
}

/* To a queue that is empty: what notifying itself costs. */
static void run_doorbell(unsigned rounds)
{
    while (rounds--)
        *virtio_register(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
}

static void run_apic_eoi(unsigned rounds)
{
    while (rounds--)
        apic_eoi();
}

static void run_first_touch(unsigned rounds)
{
    static volatile uint8_t *next = (volatile uint8_t *)(uintptr_t)FRESH_MEMORY;

    for (; rounds--; next += PAGE_BYTES)
        *next = 1;
}

static void run_mov_cr0(unsigned rounds)
{
    uint64_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    for (rounds &= ~1u; rounds--;)
        __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 ^= CR0_TS));
}

static void run_mov_cr3(unsigned rounds)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    while (rounds--)
        __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

static void run_mov_cr4(unsigned rounds)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    for (rounds &= ~1u; rounds--;)
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 ^= CR4_PGE) : "memory");
}

static void run_invlpg(unsigned rounds)
{
    while (rounds--)
        __asm__ volatile("invlpg (%0)" : : "r"((uintptr_t)FRESH_MEMORY) : "memory");
}

static void run_pause(unsigned rounds)
{
    while (rounds--)
        __asm__ volatile("pause");
}

static void run_rdtsc(unsigned rounds)
{
    while (rounds--)
        (void)read_tsc();
}

static void run_self_ipi(unsigned rounds)
{
    while (rounds--)
        apic_self_ipi_and_wait();
}

static const struct benchmark benchmarks[] = {
    {"empty", run_empty, NULL},
    {"cpuid", run_cpuid, NULL},
    {"hypercall", run_hypercall, has_hypercall},
    {"rdmsr_apic_base", run_rdmsr_apic_base, NULL},
    {"port_in", run_in, NULL},
    {"port_out", run_out, NULL},
    {"mmio_read", run_mmio_read, virtio_is_there},
    {"mmio_write", run_mmio_write, virtio_is_there},
    {"virtio_doorbell", run_doorbell, virtio_start},
    {"wrmsr_tsc_deadline", run_wrmsr_tsc_deadline, has_tsc_deadline},
    {"xapic_eoi", run_apic_eoi, NULL},
    {"xapic_self_ipi", run_self_ipi, NULL},
    {"first_touch", run_first_touch, NULL},
    {"mov_cr0", run_mov_cr0, NULL},
    {"mov_cr3", run_mov_cr3, NULL},
    {"mov_cr4", run_mov_cr4, NULL},
    {"invlpg", run_invlpg, NULL},
    {"pause", run_pause, NULL},
    {"rdtsc", run_rdtsc, NULL},
    {"user_exception", user_take_exceptions, NULL},
};

/* After the switch, which cannot be undone without a reset of the local APIC. */
static const struct benchmark x2apic_benchmarks[] = {
    {"x2apic_eoi", run_apic_eoi, NULL},
    {"x2apic_self_ipi", run_self_ipi, NULL},
};

/* Where tests/bench begins to look at the instructions, of guest and hypervisor. */
static __attribute__((noinline)) void begin_trace(void)
{
    __asm__ volatile("");
}

static void measure(const struct benchmark *benchmark)
{
    uint64_t start, ticks;

    if (benchmark->is_possible && !benchmark->is_possible()) {
        print("BENCH %s -\n", benchmark->name);
        return;
    }
    benchmark->run(WARM_UP);
    begin_trace();
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
