/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's local APIC, in x2APIC mode where the CPU has it. */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include "kernel/lib/types.h"

/* base: of the register page, as the MADT says. Boot CPU. allow_x2apic: use it where the CPU has it. */
void apic_init(hpa_t base, bool allow_x2apic);
bool apic_is_x2apic(void);

/* Enables this CPU's APIC. Never clears IA32_APIC_BASE.EN. */
void apic_enable(void);
uint32_t apic_id(void);
void apic_eoi(void);

/* To one CPU by APIC id. */
void apic_send_ipi(uint32_t id, uint8_t vector);
void apic_send_nmi(uint32_t id);
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uint8_t page);

/* Learns how fast the timer counts (needs clock_hz()); TSC deadline where the CPU has it. Each CPU. */
void apic_timer_init(void);

#endif
