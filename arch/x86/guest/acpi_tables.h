/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of one guest, from which a stock kernel finds its CPUs, interrupt controllers,
 * shutdown, reset and virtio-mmio devices with no help of its command line. Addresses are those of
 * layout.h.
 */
#ifndef ARCH_X86_GUEST_ACPI_TABLES_H
#define ARCH_X86_GUEST_ACPI_TABLES_H

#include "kernel/guest_mem.h"
#include "kernel/lib/types.h"

struct acpi_request {
    unsigned vcpu_count;   /* 1 to GUEST_VCPUS_MAX */
    unsigned virtio_count; /* up to GUEST_VIRTIO_MAX */
    bool has_pci, has_high_pci; /* a host bridge, and its window above 4 GiB */
    unsigned pci_pins;          /* its first devices, from 1, that may have one; up to GUEST_PCI_PINS */
    bool has_com2, has_vga;     /* the machine's own */
};

/*
 * Writes the tables to the firmware area below 1 MiB, before the guest runs. -EINVAL: counts out of
 * range; -EFAULT: that area is not (contiguously) in guest memory.
 */
MUST_CHECK int acpi_tables_build(const struct acpi_request *request, const struct guest_mem *mem,
                                 gpa_t *rsdp);

#endif
