/* SPDX-License-Identifier: BSD-2-Clause */
/* See apic.h. SDM 3A, "Advanced Programmable Interrupt Controller (APIC)". */
#include "guests/common/apic.h"
#include "guests/common/traps.h"

#define IPI_VECTOR      0x40u
#define TIMER_VECTOR    0x41u
#define SPURIOUS_VECTOR 0xffu

static bool x2apic;
static volatile unsigned ipis;

static void apic_write(uint32_t reg, uint32_t value)
{
    if (x2apic)
        wrmsr(X2APIC_MSR_BASE + (reg >> 4), value);
    else
        *(volatile uint32_t *)(uintptr_t)(APIC_DEFAULT_BASE + reg) = value;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static __attribute__((interrupt)) void on_ipi(struct interrupt_frame *frame UNUSED)
{
    ipis++;
    apic_eoi();
}

static __attribute__((interrupt)) void on_spurious(struct interrupt_frame *frame UNUSED)
{
}

void apic_enable(void)
{
    traps_set(IPI_VECTOR, on_ipi);
    traps_set(TIMER_VECTOR, on_spurious);
    traps_set(SPURIOUS_VECTOR, on_spurious);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | SPURIOUS_VECTOR);
    __asm__ volatile("sti");
}

bool apic_enter_x2apic(void)
{
    if (!(cpuid_1_ecx() & CPUID_1_ECX_X2APIC))
        return false;
    wrmsr(IA32_APIC_BASE, rdmsr(IA32_APIC_BASE) | APIC_BASE_EXTD);
    x2apic = true;
    return true;
}

void apic_timer_deadline_mode(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | APIC_LVT_TIMER_TSC_DEADLINE | TIMER_VECTOR);
}

void apic_timer_start(void (*handler)(struct interrupt_frame *))
{
    traps_set(TIMER_VECTOR, handler);
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_TSC_DEADLINE | TIMER_VECTOR);
}

void apic_send_ipi(uint8_t destination, uint32_t command)
{
    if (x2apic) {
        wrmsr(X2APIC_MSR_BASE + (APIC_ICR_LOW >> 4), (uint64_t)destination << 32 | command);
        return;
    }
    apic_write(APIC_ICR_HIGH, (uint32_t)destination << 24);
    apic_write(APIC_ICR_LOW, command);
}

void apic_self_ipi_and_wait(void)
{
    unsigned before = ipis;

    if (x2apic)
        apic_write(APIC_SELF_IPI, IPI_VECTOR);
    else
        apic_write(APIC_ICR_LOW, APIC_ICR_ASSERT | APIC_ICR_SELF | IPI_VECTOR);
    while (ipis == before)
        ;
}

void apic_ipi_and_wait(uint8_t destination)
{
    unsigned before = ipis;

    apic_send_ipi(destination, APIC_ICR_ASSERT | IPI_VECTOR);
    while (ipis == before)
        ;
}
