/* SPDX-License-Identifier: BSD-2-Clause */
/* Storms of interrupts: IPIs of every kind, timers, IOAPIC and PICs; INIT and SIPI without an end. */
#include "guests/chaos/chaos.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/smp.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/regs.h"

#define TIMER_LEAST    200000u /* shorter periods leave no time for anything else where a CPU is emulated */
#define REST_TICKS     3000000u
#define STORM          24u /* messages of one round */
#define PIC_MASTER     0x20u
#define PIC_MASK       0x21u

static void write_apic(struct chaos *c, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(APIC_DEFAULT_BASE + offset) = value;
    c->operations++;
}

/* Interrupts come in here. */
static void open_window(void)
{
    __asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Every delivery mode but the two that end what the other CPU is at. */
static uint32_t odd_command(struct chaos *c)
{
    static const uint8_t deliveries[] = {0, 0, 0, 0, APIC_DELIVERY_LOWEST, APIC_DELIVERY_SMI, 3, APIC_DELIVERY_EXTINT};
    unsigned delivery = one_in(c, 32) ? APIC_DELIVERY_NMI : deliveries[below(c, ARRAY_SIZE(deliveries))];
    uint32_t command = (uint32_t)(chance(c) & 0xcf800) | (one_in(c, 4) ? below(c, 256) : 32 + below(c, 224));

    return command | delivery << APIC_DELIVERY_SHIFT;
}

static void send(struct chaos *c, uint32_t command)
{
    write_apic(c, APIC_ICR_HIGH, (one_in(c, 2) ? below(c, 3) : below(c, 256)) << APIC_ID_SHIFT);
    write_apic(c, APIC_ICR_LOW, command);
}

void attack_ipi(struct chaos *c)
{
    for (unsigned i = 0; i < STORM; i++) {
        send(c, odd_command(c));
        if (one_in(c, 4))
            open_window();
    }
    open_window();
}

/* In bursts: a CPU that gets NMIs faster than it can handle them does nothing else, in a VM as on a bare machine. */
void race_ipi(struct chaos *c)
{
    uint64_t end;

    for (unsigned i = below(c, STORM); i > 0; i--)
        send(c, odd_command(c));
    open_window();
    end = read_tsc() + REST_TICKS;
    while (read_tsc() < end)
        __asm__ volatile("pause");
}

/* A line of the IOAPIC gets any meaning but INIT. */
static void set_redirection(struct chaos *c)
{
    volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)GUEST_IOAPIC_BASE;
    uint32_t low = odd_command(c) & 0x1ffff; /* a level that stays high is no NMI: it would be one for ever */

    if ((low & APIC_DELIVERY) == APIC_ICR_DELIVERY_NMI)
        low &= ~APIC_DELIVERY;
    ioapic[0] = 0x10 + below(c, 2 * GUEST_IOAPIC_INPUTS + 4);
    ioapic[4] = one_in(c, 2) ? low : (uint32_t)chance(c) & 0xff000000;
    c->operations += 2;
}

static void set_local(struct chaos *c)
{
    static const uint16_t offsets[] = {APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR, APIC_LVT_PMC,
                                       APIC_TPR, APIC_SVR, APIC_ESR, APIC_EOI, APIC_LDR, APIC_DFR, APIC_TIMER_DIVIDE};
    uint32_t value = (uint32_t)chance(c) & ~APIC_DELIVERY;

    write_apic(c, offsets[below(c, ARRAY_SIZE(offsets))], value);
}

static void set_timer(struct chaos *c)
{
    static const uint32_t modes[] = {APIC_LVT_TIMER_ONESHOT, APIC_LVT_TIMER_PERIODIC, APIC_LVT_TIMER_TSC_DEADLINE,
                                     APIC_LVT_TIMER_MODE};

    write_apic(c, APIC_LVT_TIMER, modes[below(c, 4)] | (32 + below(c, 224)));
    if (one_in(c, 2))
        write_apic(c, APIC_TIMER_INITIAL, TIMER_LEAST + below(c, TIMER_LEAST));
    else
        wrmsr(IA32_TSC_DEADLINE, one_in(c, 2) ? read_tsc() + below(c, 5000) : odd_value(c));
}

/* The PICs' interrupts go to vectors from 32 on. */
static void set_legacy(struct chaos *c)
{
    static const uint8_t first_words[] = {0x11, 0x11, 0x19, 0x13};

    outb(PIC_MASTER, first_words[below(c, 4)]);
    outb(PIC_MASK, (uint8_t)(32 + below(c, 28) * 8));
    outb(PIC_MASK, (uint8_t)chance(c));
    outb(PIC_MASK, (uint8_t)chance(c));
    outb(PIC_MASK, (uint8_t)chance(c));
    c->operations += 5;
}

void attack_interrupt(struct chaos *c)
{
    static void (*const ways[])(struct chaos *) = {set_redirection, set_local, set_timer, set_legacy};

    for (unsigned i = 0; i < STORM; i++) {
        ways[below(c, ARRAY_SIZE(ways))](c);
        if (one_in(c, 3))
            open_window();
    }
    machine_restore_apic();
    open_window();
    outb(PIC_MASK, 0xff);
}

/* --- INIT and SIPI; the other CPU has nothing else to do --- */

/* It halts; in real mode an interrupt that comes there is no table for would end the VM. */
static void make_page(void)
{
    static const uint8_t code[] = {0xfa, 0x0f, 0xa2, 0xf4, 0xeb, 0xfd}; /* CLI; CPUID; HLT; back */
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)SMP_AP_PAGE;

    for (unsigned i = 0; i < sizeof code; i++)
        page[i] = code[i];
}

void attack_init(struct chaos *c)
{
    make_page();
    for (unsigned i = 0; i < STORM; i++) {
        write_apic(c, APIC_ICR_HIGH, 1u << APIC_ID_SHIFT);
        if (one_in(c, 2))
            write_apic(c, APIC_ICR_LOW, APIC_ICR_DELIVERY_INIT | APIC_ICR_ASSERT | (one_in(c, 4) ? APIC_ICR_LEVEL : 0));
        else
            write_apic(c, APIC_ICR_LOW, APIC_ICR_DELIVERY_STARTUP | APIC_ICR_ASSERT | SMP_AP_PAGE >> PAGE_SHIFT);
    }
}

void race_nothing(struct chaos *c UNUSED)
{
}
