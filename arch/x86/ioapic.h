/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's IOAPICs: every input masked but those that we use. */
#ifndef ARCH_X86_IOAPIC_H
#define ARCH_X86_IOAPIC_H

#include "kernel/lib/types.h"

struct acpi_info;

/* Masks every input, and the PICs. Boot CPU. */
void host_ioapic_init(const struct acpi_info *acpi);

/* Sends an ISA interrupt to this CPU as that vector, with the overrides of the MADT. False: nobody has that input. */
bool host_ioapic_route_isa(uint8_t irq, uint8_t vector);

#endif
