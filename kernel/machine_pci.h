/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The composition root's part that gives PCI functions to guests: between the host's functions, the
 * IOMMU, the guest's bridge, its second-level tables and its local APICs. Control thread, but for
 * what is marked otherwise.
 */
#ifndef KERNEL_MACHINE_PCI_H
#define KERNEL_MACHINE_PCI_H

#include "drivers/virt/pci_passthrough.h"
#include "kernel/vm.h"

struct io_region;
struct iommu_fault;

/*
 * Once, when timers work: looks for faults from now on; adds the shell's commands. A function may send so many
 * interrupts (0: no limit).
 */
void machine_pci_init(unsigned interrupts_per_second);

/*
 * Gives vm the devices of its description, on a bus that its ports and memory get. Its RAM and its
 * other devices are there; its buses are not frozen. Else it is refused: -EINVAL, -ENOMEM, …
 */
MUST_CHECK int machine_pci_create(struct vm *vm, const struct io_region *neighbour);

/*
 * A function that the hypervisor plays: chooses where its BARs lie at first, false: no window has room for them; then adds
 * it, under the next device number. vm has a bus.
 */
MUST_CHECK bool machine_pci_place(struct vm *vm, struct pci_passthrough_layout *layout);
MUST_CHECK int machine_pci_add(struct vm *vm, struct pci_passthrough *function, unsigned *number);

/* Is there a bus, and has it a window above 4 GiB? */
bool machine_pci_has_high_window(const struct vm *vm);

/*
 * Takes them back: they reach nothing of it, and send it nothing. -EIO: the IOMMU does not answer, and
 * the VM's memory must not be used for anything else. sched_synchronize() before machine_pci_free().
 */
MUST_CHECK int machine_pci_detach(struct vm *vm);
void machine_pci_free(struct vm *vm);

/* Is all of that the memory of a device that vm was given? By its description. */
bool machine_pci_is_own(const struct vm *vm, hpa_t hpa, uint64_t size);
/* Likewise a port. */
bool machine_pci_owns_port(const struct vm *vm, uint16_t port);

/* Any CPU: a device has done too often what it may not do. */
void machine_pci_on_fault(const struct iommu_fault *fault);

#endif
