/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSI-X table of a passed-through function, as its guest sees it; for pci_passthrough.c. */
#ifndef DRIVERS_VIRT_PCI_MSIX_H
#define DRIVERS_VIRT_PCI_MSIX_H

#include "drivers/virt/pci_passthrough.h"

void pci_msix_init(struct pci_passthrough *p);
void pci_msix_set_control(struct pci_passthrough *p, uint16_t control);

/* Does the access touch the table? One that does so only partly is answered here, too. */
bool pci_msix_is_table(const struct pci_passthrough *p, unsigned bar, uint64_t offset,
                       unsigned width);

/* offset is relative to the table. */
uint64_t pci_msix_read(const struct pci_passthrough *p, uint64_t offset, unsigned width);
void pci_msix_write(struct pci_passthrough *p, uint64_t offset, unsigned width, uint64_t value);

#endif
