/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inter-VM shared memory as QEMU's ivshmem-doorbell has it (QEMU, "Device Specification for Inter-VM shared memory
 * device"), so that what was written for that works: a PCI function whose BAR 2 is a region of memory that several
 * guests have, and whose BAR 0 has a doorbell that makes a message of MSI-X arrive in another guest. The region, and
 * who else has it, are the owner's. Memory is all that it is: no virtqueue, page table or code may lie there.
 *
 * The guest's own accesses are one at a time, as with any device; ivshmem_interrupt() comes from any CPU beside them.
 */
#ifndef DRIVERS_VIRT_IVSHMEM_H
#define DRIVERS_VIRT_IVSHMEM_H

#include "drivers/virt/pci_passthrough.h"
#include "kernel/lib/lock.h"

#define IVSHMEM_VECTORS_MAX 32u

/* What the device asks of its owner. */
struct ivshmem_ops {
    /* From now on the memory is at that guest-physical address. */
    void (*place)(void *context, uint64_t address);
    /* The guest rings for a peer: both numbers are whatever it wrote. */
    void (*ring)(void *context, unsigned peer, unsigned vector);
    /* A message for the guest's local APICs; under the device's own lock. */
    void (*send)(void *context, const struct pci_message *message);
};

struct ivshmem {
    struct pci_passthrough function; /* what is added to the bridge: with pci_passthrough_ops */
    struct pci_msix_entry entries[IVSHMEM_VECTORS_MAX];
    const struct ivshmem_ops *ops;
    void *context;
    unsigned vectors;
    unsigned position; /* which peer the guest is */
    uint32_t interrupt_mask; /* a register without effect: there are messages */

    struct lock lock; /* guards what follows; only an interrupt's way to its vCPU is below it */
    bool is_master;
    uint16_t control; /* PCI_MSIX_CONTROL_ENABLE, PCI_MSIX_CONTROL_MASK */
    uint32_t unmasked, pending; /* vectors, as bits */
    struct pci_message messages[IVSHMEM_VECTORS_MAX];
};

/* The function's BARs, but for where they are, and its capabilities. */
struct pci_passthrough_layout ivshmem_layout(uint64_t memory_bytes);

/* layout: as above, with addresses and windows; vectors: 1 to IVSHMEM_VECTORS_MAX. */
void ivshmem_init(struct ivshmem *s, unsigned vectors, const struct pci_passthrough_layout *layout,
                  const struct ivshmem_ops *ops, void *context);

/* Before the guest runs; others may ring already. */
void ivshmem_set_position(struct ivshmem *s, unsigned position);

/* Any CPU: a peer has rung. What is not there, or switched off, gets nothing; what is masked gets it later. */
void ivshmem_interrupt(struct ivshmem *s, unsigned vector);

#endif
