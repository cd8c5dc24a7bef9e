/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INIT-SIPI-SIPI, one CPU at a time (SDM 3A, "Multiple-Processor (MP) Initialization"). Until an AP
 * is in the higher half it runs on the boot page tables, which paging.c keeps for that.
 *
 * A CPU may come when nobody waits for it any more: an INIT does not always hold it back, since a STARTUP may be pending
 * behind it, and in VMX operation it is blocked. So a CPU asks twice whether it is still wanted: before it leaves its page,
 * and before it is one of ours. Invariant: a stack and a page are at most one CPU's, for good if that was not heard of.
 */
#include "arch/x86/smp.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/clock.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/paging.h"
#include "arch/x86/trap.h"
#include "drivers/host/host_uart.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/timer.h"

#define INIT_DELAY_NS     10000000u
#define STARTUP_DELAY_NS  200000u
#define ONLINE_TIMEOUT_NS 200000000u

extern const uint8_t ap_trampoline[], ap_trampoline_end[], ap_trampoline_claim[], ap_trampoline_stack[],
    ap_trampoline_argument[], ap_trampoline_entry[], ap_trampoline_cr3[], ap_trampoline_boot_cr3[];

struct pcpu pcpus[PCPU_MAX];
unsigned pcpu_count;

static void (*ap_main)(void);

uint32_t smp_apic_id(unsigned cpu)
{
    return pcpus[cpu].apic_id;
}

/* Stacks and descriptor tables; false: out of memory. */
static bool prepare_cpu(struct pcpu *cpu, unsigned id)
{
    struct arch_cpu *arch = heap_alloc(sizeof *arch);
    struct cpu_stacks stacks;

    if (!arch || paging_map_stacks(id, &stacks) != 0) {
        heap_free(arch);
        return false;
    }
    arch->stack_top = stacks.main_top;
    for (unsigned i = IST_NMI; i < IST_COUNT; i++)
        arch->tss.ist[i - 1] = stacks.ist_top[i - 1];
    cpu->self = cpu;
    cpu->id = id;
    cpu->arch = arch;
    return true;
}

void *smp_init_boot_cpu(void)
{
    if (!prepare_cpu(&pcpus[0], 0))
        panic("no memory for the boot CPU's stacks");
    descriptors_load(&pcpus[0]);
    pcpus[0].is_online = true;
    pcpu_count = 1;
    return (void *)pcpus[0].arch->stack_top;
}

static NORETURN void ap_entry(struct pcpu *cpu)
{
    paging_load();
    descriptors_load(cpu);
    ap_main();
    panic("an AP's main returned");
}

/* --- the page that a CPU wakes up in --- */

static uint32_t *claim_of(hpa_t page)
{
    return (uint32_t *)((uint8_t *)phys_to_virt(page) + (ap_trampoline_claim - ap_trampoline));
}

/* The first one who asks may have it: the CPU that was called, or we, who wait no longer. */
static bool take_claim(hpa_t page)
{
    return __atomic_exchange_n(claim_of(page), 0, __ATOMIC_ACQ_REL) != 0;
}

static void fill_trampoline(hpa_t at, struct pcpu *cpu)
{
    uint8_t *page = phys_to_virt(at);

    memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    put_le64(page + (ap_trampoline_stack - ap_trampoline), cpu->arch->stack_top);
    put_le64(page + (ap_trampoline_argument - ap_trampoline), (uint64_t)cpu);
    put_le64(page + (ap_trampoline_entry - ap_trampoline), (uint64_t)ap_entry);
    put_le64(page + (ap_trampoline_cr3 - ap_trampoline), paging_root().value);
    put_le64(page + (ap_trampoline_boot_cr3 - ap_trampoline), paging_boot_root().value);
    __atomic_store_n(claim_of(at), 1, __ATOMIC_RELEASE);
}

/* --- one CPU --- */

static struct pcpu *awaited; /* atomic: who takes it off says whether the CPU is one of ours */

static bool take_awaited(struct pcpu *cpu)
{
    return __atomic_compare_exchange_n(&awaited, &cpu, NULL, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void smp_report_online(void)
{
    if (!take_awaited(this_pcpu()))
        arch_halt();
    this_pcpu()->is_online = true;
}

static bool wait_online(const struct pcpu *cpu, uint64_t ns)
{
    uint64_t start = clock_now(), ticks = clock_ticks_from_ns(ns);

    while (!cpu->is_online && clock_now() - start < ticks)
        cpu_relax();
    return cpu->is_online;
}

/* The second STARTUP goes out only if the first did not bring the CPU up: a running CPU must not get it. */
static bool call(const struct pcpu *cpu, hpa_t page)
{
    uint8_t vector = (uint8_t)(page.value >> PAGE_SHIFT);

    apic_send_init(cpu->apic_id);
    clock_delay_ns(INIT_DELAY_NS);
    apic_send_startup(cpu->apic_id, vector);
    if (wait_online(cpu, STARTUP_DELAY_NS))
        return true;
    apic_send_startup(cpu->apic_id, vector);
    return wait_online(cpu, ONLINE_TIMEOUT_NS);
}

/*
 * What comes of a CPU. SILENT: it has not begun, and will not get beyond its page, which must stay. LOST: it has begun, and
 * stops when it wants to report; all that it was given must stay, so that there is no place for another one.
 */
enum answer { ONLINE, UNREACHABLE, SILENT, LOST, NO_MEMORY };

static enum answer start_cpu(struct pcpu *cpu, hpa_t page)
{
    __atomic_store_n(&awaited, cpu, __ATOMIC_RELEASE);
    fill_trampoline(page, cpu);
    if (call(cpu, page))
        return ONLINE;
    if (take_claim(page)) {
        apic_send_init(cpu->apic_id); /* out of whatever it does instead */
        return SILENT;
    }
    if (wait_online(cpu, ONLINE_TIMEOUT_NS))
        return ONLINE;
    if (take_awaited(cpu))
        return LOST;
    while (!cpu->is_online)
        cpu_relax();
    return ONLINE;
}

/* --- all of them --- */

/* xAPIC's destinations have 8 bits, of which all ones is everybody: a larger id would name another CPU. */
static bool is_reachable(uint32_t apic_id)
{
    return apic_is_x2apic() || apic_id < APIC_BROADCAST;
}

static enum answer bring_up(uint32_t apic_id)
{
    struct pcpu *cpu = &pcpus[pcpu_count];
    enum answer answer;
    hpa_t page;

    if (!is_reachable(apic_id))
        return UNREACHABLE;
    if ((!cpu->arch && !prepare_cpu(cpu, pcpu_count)) || page_alloc_low(&page) != 0)
        return NO_MEMORY;
    cpu->apic_id = apic_id;
    answer = start_cpu(cpu, page);
    if (answer == ONLINE) {
        pcpu_count++;
        page_free(page, PAGE_ORDER_4K);
    }
    return answer;
}

/* Tests stop the machine here: it is to be found in the image. */
COLD void smp_start_others(const struct acpi_info *acpi, unsigned max_cpus, void (*main)(void))
{
    static const char *const complaints[] = {
        [UNREACHABLE] = "is beyond xAPIC's reach: left out",
        [SILENT] = "does not answer: left out",
        [LOST] = "begins and does not come: it and all others are left out",
        [NO_MEMORY] = "and all others are left out: no memory",
    };
    uint32_t own = apic_id();
    enum answer answer = ONLINE;

    pcpus[0].apic_id = own;
    ap_main = main;
    for (unsigned i = 0; i < acpi->cpu_count && answer < LOST && pcpu_count < MIN(max_cpus, PCPU_MAX); i++) {
        if (acpi->cpus[i].apic_id == own)
            continue;
        answer = bring_up(acpi->cpus[i].apic_id);
        if (answer != ONLINE)
            log_warn("smp", "CPU with APIC id %u %s", acpi->cpus[i].apic_id, complaints[answer]);
    }
    if (answer != LOST) /* who may be on them still */
        paging_drop_boot_tables();
    log_info("smp", "%u CPU%s online, %s", pcpu_count, pcpu_count > 1 ? "s" : "",
             apic_is_x2apic() ? "x2APIC" : "xAPIC");
}

void arch_kick(unsigned cpu)
{
    apic_send_ipi(pcpus[cpu].apic_id, VECTOR_KICK);
}

/* They may stop within a driver: who stops them writes without its lock from now on. */
void arch_stop_others(void)
{
    host_uart_break_lock();
    for (unsigned i = 0; i < pcpu_count; i++)
        if (&pcpus[i] != this_pcpu())
            apic_send_nmi(pcpus[i].apic_id);
}
