/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC as 64-bit guests drive it, in either mode, and the MSRs that it needs. */
#ifndef GUESTS_COMMON_APIC_H
#define GUESTS_COMMON_APIC_H

#include "arch/x86/apic_regs.h"
#include "arch/x86/regs.h"
#include "kernel/lib/types.h"

#define IA32_APIC_BASE           0x1bu
#define IA32_TSC_DEADLINE        0x6e0u
#define APIC_BASE_EXTD           BIT(10)
#define X2APIC_MSR_BASE          0x800u

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint32_t cpuid_1_ecx(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx;
}

/* Software-enables the APIC, sets handlers for its vectors and turns interrupts on: the IDT is
 * loaded. */
void apic_enable(void);

/* False when the CPU has no x2APIC. Each CPU for itself, and all before the next interrupt. */
bool apic_enter_x2apic(void);

/* Interrupt handlers call it, so it saves what it uses. */
__attribute__((no_caller_saved_registers)) void apic_eoi(void);
/* No interrupt comes of it. */
void apic_timer_deadline_mode(void);
/* TSC-deadline mode; the handler ends with apic_eoi(). */
struct interrupt_frame;
void apic_timer_start(void (*handler)(struct interrupt_frame *));

/* To the APIC with that id; command is the low half of the ICR. */
void apic_send_ipi(uint8_t destination, uint32_t command);

/* Sends an interrupt to this CPU and returns when its handler has run; the same to the one with that id. */
void apic_self_ipi_and_wait(void);
void apic_ipi_and_wait(uint8_t destination);

#endif
