/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INIT-SIPI-SIPI, one CPU at a time (SDM 3A, "Multiple-Processor (MP) Initialization"). Until an AP
 * is in the higher half it runs on the boot page tables, which paging.c keeps for that.
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

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
extern const uint8_t ap_trampoline_stack[], ap_trampoline_argument[], ap_trampoline_entry[], ap_trampoline_cr3[],
    ap_trampoline_boot_cr3[];

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

static void fill_trampoline(uint8_t *page, struct pcpu *cpu)
{
    memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    put_le64(page + (ap_trampoline_stack - ap_trampoline), cpu->arch->stack_top);
    put_le64(page + (ap_trampoline_argument - ap_trampoline), (uint64_t)cpu);
    put_le64(page + (ap_trampoline_entry - ap_trampoline), (uint64_t)ap_entry);
    put_le64(page + (ap_trampoline_cr3 - ap_trampoline), paging_root().value);
    put_le64(page + (ap_trampoline_boot_cr3 - ap_trampoline), paging_boot_root().value);
}

static bool wait_online(const struct pcpu *cpu, uint64_t ns)
{
    uint64_t start = clock_now(), ticks = clock_ticks_from_ns(ns);

    while (!cpu->is_online && clock_now() - start < ticks)
        cpu_relax();
    return cpu->is_online;
}

/* xAPIC's destinations have 8 bits, of which all ones is everybody: a larger id would name another CPU. */
static bool is_reachable(uint32_t apic_id)
{
    return apic_is_x2apic() || apic_id < APIC_BROADCAST;
}

/* The second STARTUP goes out only if the first did not bring the CPU up: a running CPU must not get it. */
static bool start_cpu(struct pcpu *cpu, uint8_t startup_page)
{
    apic_send_init(cpu->apic_id);
    clock_delay_ns(INIT_DELAY_NS);
    apic_send_startup(cpu->apic_id, startup_page);
    if (wait_online(cpu, STARTUP_DELAY_NS))
        return true;
    apic_send_startup(cpu->apic_id, startup_page);
    return wait_online(cpu, ONLINE_TIMEOUT_NS);
}

static bool bring_up(uint32_t apic_id, hpa_t trampoline)
{
    struct pcpu *cpu = &pcpus[pcpu_count];

    if (!is_reachable(apic_id) || (!cpu->arch && !prepare_cpu(cpu, pcpu_count)))
        return false;
    cpu->apic_id = apic_id;
    cpu->is_online = false; /* a CPU that was given up may have come up after all */
    fill_trampoline(phys_to_virt(trampoline), cpu);
    if (!start_cpu(cpu, (uint8_t)(trampoline.value >> PAGE_SHIFT))) {
        apic_send_init(apic_id); /* whatever it does, it must not wake up into a page that is no longer ours */
        return false;
    }
    pcpu_count++;
    return true;
}

void smp_start_others(const struct acpi_info *acpi, unsigned max_cpus, void (*main)(void))
{
    uint32_t own = apic_id();
    hpa_t trampoline;

    pcpus[0].apic_id = own;
    ap_main = main;
    if (page_alloc_low(&trampoline) != 0) {
        log_warn("smp", "no free page below 1 MiB: staying on one CPU");
        return;
    }
    for (unsigned i = 0; i < acpi->cpu_count && pcpu_count < MIN(max_cpus, PCPU_MAX); i++) {
        if (acpi->cpus[i].apic_id != own && !bring_up(acpi->cpus[i].apic_id, trampoline))
            log_warn("smp", "CPU with APIC id %u does not answer: left out", acpi->cpus[i].apic_id);
    }
    page_free(trampoline, PAGE_ORDER_4K);
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
