/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the CPU take events as a bare one does? NMIs one at a time, interrupts not in the shadow of STI and not below
 * the task priority, all that another CPU sends, each of them once, traps behind emulated instructions; and does it read
 * back of CR0 what it wrote? One line a check.
 */
#include "arch/x86/apic_regs.h"
#include "arch/x86/regs.h"
#include "guests/common/guest.h"
#include "guests/common/smp.h"

#define CODE_SELECTOR  8u
#define GATE_INTERRUPT 0x8eu /* present, DPL 0, 64-bit interrupt gate */
#define IPI_VECTOR     0x41u
#define URGENT_VECTOR  0x91u /* of another priority class */
#define TIMER_VECTOR   0x31u
#define PATIENCE       1000000u
#define PAIRS          2000u  /* of IPIs, at so many distances */
#define DISTANCES      499u

#define ICR_ASSERT 0x4000u
#define ICR_SELF   0x40000u
#define ICR_NMI    0x400u

struct frame {
    uint64_t ip, cs, flags, sp, ss;
};

struct PACKED gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static struct gate idt[256];
static volatile unsigned nmis, nmi_depth, nmi_depth_max, ipis, urgent_ipis, timers, traps;
static volatile uint64_t trap_ip;
static volatile bool came_masked; /* an interrupt, where RFLAGS.IF was 0 */

static volatile uint32_t *apic(uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(0xfee00000u + offset);
}

static inline void exit_once(void)
{
    uint32_t eax = 0, ecx = 0;

    __asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
}

static inline void send_nmi(void)
{
    *apic(APIC_ICR_HIGH) = 0;
    *apic(APIC_ICR_LOW) = ICR_ASSERT | ICR_NMI;
}

static inline void send_ipi(void)
{
    *apic(APIC_ICR_LOW) = ICR_ASSERT | ICR_SELF | IPI_VECTOR;
}

/* The first one sends a second one, which must wait for this one's IRET, whatever exits come before. */
static __attribute__((interrupt)) void on_nmi(struct frame *frame UNUSED)
{
    nmi_depth++;
    if (nmi_depth > nmi_depth_max)
        nmi_depth_max = nmi_depth;
    if (++nmis == 1)
        send_nmi();
    for (unsigned i = 0; i < 100; i++)
        exit_once();
    nmi_depth--;
}

static __attribute__((interrupt)) void on_ipi(struct frame *frame)
{
    came_masked |= !(frame->flags & RFLAGS_IF);
    ipis++;
    *apic(APIC_EOI) = 0;
}

static __attribute__((interrupt)) void on_urgent_ipi(struct frame *frame)
{
    came_masked |= !(frame->flags & RFLAGS_IF);
    urgent_ipis++;
    *apic(APIC_EOI) = 0;
}

static __attribute__((interrupt)) void on_timer(struct frame *frame)
{
    came_masked |= !(frame->flags & RFLAGS_IF);
    timers++;
    *apic(APIC_EOI) = 0;
}

static __attribute__((interrupt)) void on_trap(struct frame *frame)
{
    traps++;
    trap_ip = frame->ip;
    frame->flags &= ~RFLAGS_TF;
}

static void set_gate(unsigned vector, void (*handler)(struct frame *))
{
    uintptr_t address = (uintptr_t)handler;

    idt[vector] = (struct gate){.offset_low = (uint16_t)address,
                                .selector = CODE_SELECTOR,
                                .type = GATE_INTERRUPT,
                                .offset_middle = (uint16_t)(address >> 16)};
}

static bool comes(volatile unsigned *counter, unsigned value)
{
    for (unsigned i = 0; i < PATIENCE && *counter != value; i++)
        __asm__ volatile("pause");
    return *counter == value;
}

/* --- the checks --- */

static bool nmis_do_not_nest(void)
{
    send_nmi();
    return comes(&nmis, 2) && nmi_depth_max == 1;
}

static bool nmis_come_again_after_that(void)
{
    send_nmi();
    return comes(&nmis, 3);
}

static bool sti_has_a_shadow(void)
{
    unsigned before = ipis;
    bool came_early;

    send_ipi();
    __asm__ volatile("sti; cli" : : : "memory");
    came_early = ipis != before;
    __asm__ volatile("sti; nop; cli" : : : "memory");
    return !came_early && comes(&ipis, before + 1);
}

/* Also when the hypervisor's own come meanwhile: the timer needs one of them. The CPU was left to itself since IF was 1. */
static bool masked_interrupts_wait(void)
{
    unsigned before = ipis, timers_before = timers;
    bool came_early, they_come;

    *apic(APIC_LVT_TIMER) = TIMER_VECTOR;
    *apic(APIC_TIMER_INITIAL) = 500000; /* by two, as after a reset */
    __asm__ volatile("sti; nop; cli" : : : "memory");
    send_ipi();
    for (unsigned i = 0; i < PATIENCE; i++)
        __asm__ volatile("nop");
    came_early = ipis != before || timers != timers_before;
    __asm__ volatile("sti" : : : "memory");
    they_come = comes(&ipis, before + 1) && comes(&timers, timers_before + 1);
    __asm__ volatile("cli" : : : "memory");
    return !came_early && they_come;
}

static inline void send_to_boot_cpu(uint32_t vector)
{
    *apic(APIC_ICR_HIGH) = 0;
    *apic(APIC_ICR_LOW) = ICR_ASSERT | vector;
}

static volatile bool sender_ends;

/* The second one comes at every distance behind the first, also when that is about to be delivered. */
static void send_pairs(unsigned id UNUSED)
{
    unsigned before = ipis, urgent_before = urgent_ipis;

    for (unsigned i = 1; i <= PAIRS; i++) {
        send_to_boot_cpu(IPI_VECTOR);
        for (unsigned j = 0; j < i % DISTANCES; j++)
            __asm__ volatile("nop");
        send_to_boot_cpu(URGENT_VECTOR);
        if (!comes(&ipis, before + i) || !comes(&urgent_ipis, urgent_before + i))
            break;
    }
    sender_ends = true;
    for (;;)
        __asm__ volatile("hlt");
}

static bool another_cpus_interrupts_all_come(void)
{
    unsigned before = ipis, urgent_before = urgent_ipis;

    if (!smp_start(1, send_pairs))
        return false;
    __asm__ volatile("sti" : : : "memory");
    while (!sender_ends)
        __asm__ volatile("pause");
    __asm__ volatile("cli" : : : "memory");
    return ipis == before + PAIRS && urgent_ipis == urgent_before + PAIRS && !came_masked;
}

static inline void write_cr8(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static inline uint64_t read_cr8(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static bool the_task_priority_holds_back(void)
{
    unsigned before = ipis;
    bool came_early;

    write_cr8(IPI_VECTOR >> 4);
    send_ipi();
    __asm__ volatile("sti; nop" : : : "memory");
    exit_once();
    came_early = ipis != before || read_cr8() != IPI_VECTOR >> 4 || *apic(APIC_TPR) != (IPI_VECTOR & 0xf0);
    write_cr8(0);
    __asm__ volatile("nop; cli" : : : "memory");
    return !came_early && ipis == before + 1 && *apic(APIC_TPR) == 0;
}

static bool an_emulated_instruction_traps(void)
{
    uint64_t flags = RFLAGS_ONE | RFLAGS_TF, behind;
    uint32_t eax = 0, ecx = 0;
    unsigned before = traps;

    __asm__ volatile("lea 1f(%%rip), %0; push %[flags]; popfq; cpuid; 1: nop"
                     : "=&r"(behind), "+a"(eax), "+c"(ecx)
                     : [flags] "r"(flags)
                     : "rbx", "rdx", "memory", "cc");
    return traps == before + 1 && trap_ip == behind;
}

/* NE and CD are bits that a hypervisor may keep otherwise than the guest wrote them. */
static bool cr0_reads_as_written(void)
{
    uint64_t old, wanted, value;
    uint16_t status = 0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(old));
    wanted = (old | CR0_CD | CR0_MP) & ~CR0_NE;
    __asm__ volatile("mov %0, %%cr0" : : "r"(wanted) : "memory");
    __asm__ volatile("mov %%cr0, %0; smsw %1" : "=r"(value), "=m"(status));
    __asm__ volatile("mov %0, %%cr0" : : "r"(old) : "memory");
    return value == wanted && status == (uint16_t)wanted;
}

static const struct {
    const char *name;
    bool (*holds)(void);
} checks[] = {
    {"nmis-do-not-nest", nmis_do_not_nest},
    {"nmis-come-again", nmis_come_again_after_that},
    {"sti-shadow", sti_has_a_shadow},
    {"masked-interrupts-wait", masked_interrupts_wait},
    {"pairs-from-another-cpu", another_cpus_interrupts_all_come},
    {"task-priority", the_task_priority_holds_back},
    {"trap-after-exit", an_emulated_instruction_traps},
    {"cr0-reads-as-written", cr0_reads_as_written},
};

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } descriptor = {sizeof idt - 1, (uintptr_t)idt};
    unsigned failures = 0;

    set_gate(X86_NMI, on_nmi);
    set_gate(X86_DB, on_trap);
    set_gate(IPI_VECTOR, on_ipi);
    set_gate(URGENT_VECTOR, on_urgent_ipi);
    set_gate(TIMER_VECTOR, on_timer);
    __asm__ volatile("cli; lidt %0" : : "m"(descriptor));
    *apic(APIC_SVR) = 0x1ff;
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        bool holds = checks[i].holds();

        failures += !holds;
        print("GUEST: %s %s\n", checks[i].name, holds ? "ok" : "FAILED");
    }
    return (int)failures;
}
