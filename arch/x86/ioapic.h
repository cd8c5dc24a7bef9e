/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's IOAPICs: every input masked but those that we use. */
#ifndef ARCH_X86_IOAPIC_H
#define ARCH_X86_IOAPIC_H

#include "kernel/lib/types.h"

struct acpi_info;

/* Masks every input, and the PICs. Boot CPU. */
void host_ioapic_init(const struct acpi_info *acpi);

struct host_ioapic_target {
    uint32_t apic_id;
    uint8_t vector;
};

/* Sends an ISA interrupt there, with the overrides of the MADT. False: nobody has that input. */
bool host_ioapic_route_isa(uint8_t irq, const struct host_ioapic_target *to);
/* Any CPU, also in an interrupt. It was routed. */
void host_ioapic_set_isa_mask(uint8_t irq, bool is_masked);

/*
 * The inputs (their GSIs) that a PCI function's pin may be wired to: which one it is only AML says, and who listens to
 * all of them need not know. Returns how many.
 */
unsigned host_ioapic_pci_inputs(uint32_t *gsis, unsigned max);

/* Sends one of those there. False: it cannot be routed. */
bool host_ioapic_route_pci(uint32_t gsi, const struct host_ioapic_target *to);

/* Any CPU, also in an interrupt. The input was routed. */
void host_ioapic_set_mask(uint32_t gsi, bool is_masked);

#endif
