/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-d at boot; from then on everything goes through kernel/iommu.h. */
#ifndef ARCH_X86_VTD_VTD_OPS_H
#define ARCH_X86_VTD_VTD_OPS_H

#include "kernel/pci_address.h"

struct acpi_info;
struct iommu_ops;
struct memmap;

struct vtd_boot {
    const struct acpi_info *acpi;
    const struct memmap *memory;
    /* The buses below a bridge; false: there is none. Scopes name devices by the path to them. */
    bool (*bridge_buses)(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate);
    bool is_allowed; /* by the command line; else what firmware left on is switched off */
};

/*
 * Every device is denied all memory when this returns, as far as units can be trusted to. NULL, and
 * a line that says why: there is no such machine, or a unit failed. Boot CPU, with a clock, before
 * interrupts.
 */
const struct iommu_ops *vtd_start(const struct vtd_boot *boot);

/* May the CPUs be in x2APIC mode? Not if the units then could not name them. Behind vtd_start(). */
bool vtd_allows_x2apic(void);

/* Interrupt remapping and fault interrupts, where they can be. Boot CPU, with its APIC on. */
void vtd_start_interrupts(bool is_x2apic);

/* Does firmware still work with the device's DMA? */
bool vtd_is_firmware_device(struct pci_address device);

#endif
