/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is somewhere in the machine's memory and ports and is no PCI function's: a function says itself where its registers
 * are, and one that lies would hand its guest the hypervisor's memory. Boot CPU.
 */
#ifndef KERNEL_MACHINE_RANGES_H
#define KERNEL_MACHINE_RANGES_H

#include "kernel/lib/types.h"

struct acpi_info;
struct memmap;

/* Both stay where they are. */
void machine_ranges_init(const struct memmap *memory, const struct acpi_info *acpi);

/* Is any of it RAM, or was it for firmware? */
bool machine_is_ram(hpa_t start, uint64_t size);

/* Whose it is, or part of it; NULL: nobody's that we know. */
const char *machine_memory_owner(hpa_t start, uint64_t size);
const char *machine_ports_owner(uint64_t start, uint64_t size);

#endif
