/* SPDX-License-Identifier: BSD-2-Clause */
/* One PCI function in a guest's hands: what the guest sees, joined to the hardware. For machine_pci.c. */
#ifndef KERNEL_MACHINE_FUNCTION_H
#define KERNEL_MACHINE_FUNCTION_H

#include "drivers/host/pci.h"
#include "drivers/virt/pci_passthrough.h"
#include "kernel/machine_message.h"
#include "kernel/machine_pin.h"
#include "kernel/vm.h"

struct machine_bar {
    uint64_t wanted; /* where the guest has it; PCI_BAR_NOWHERE: it decodes nothing */
    uint64_t placed; /* where it is mapped, or whose ports are passed: it stays while nobody else wants to be there */
    volatile uint8_t *trapped; /* where the hypervisor sees what is not mapped */
    uint64_t trapped_first, trapped_bytes;
};

/* The functions of a VM. */
struct machine_bus {
    struct machine_function *functions[VM_DEVICES_MAX];
    unsigned count;
};

struct machine_function {
    struct vm *vm;
    const struct pci_function *host;
    struct pci_passthrough device;
    struct machine_bar bars[PCI_BARS_MAX];
    const struct machine_bus *bus;
    struct machine_message *messages;
    unsigned message_count;
    struct machine_message_count count;
    struct pci_msix_entry *entries;
    struct machine_pin pin;
    bool is_silenced;                /* it may not be bus master any more */
    bool has_complained;             /* that there is no room for its interrupts */
    unsigned mappings;               /* of its memory, so far */
    struct machine_function *next;
};

/* Completes layout; on the list of those that are given away from then on. NULL: out of memory, or BARs have no address. */
struct machine_function *machine_function_create(struct vm *vm, struct machine_bus *bus, const struct pci_function *host,
                                                 struct pci_passthrough_layout *layout);
/* It answers at its addresses; the guest may make it bus master. -ENOMEM: none for its pin. */
MUST_CHECK int machine_function_start(struct machine_function *f);
/* No interrupt of it starts any more. */
void machine_function_stop(struct machine_function *f);
void machine_function_destroy(struct machine_function *f);

struct machine_function *machine_function_find(struct pci_address address);
/* The same by what the IOMMU sees of it: itself, or a bridge that forwards for it. */
struct machine_function *machine_function_find_requester(struct pci_address requester);

#endif
