/* SPDX-License-Identifier: BSD-2-Clause */
/* Between pci.c, which finds functions, and the files that each read one side of them. */
#ifndef DRIVERS_HOST_PCI_INTERNAL_H
#define DRIVERS_HOST_PCI_INTERNAL_H

#include "drivers/host/pci.h"
#include "drivers/host/pci_config.h"
#include "drivers/pci_regs.h"

static inline uint8_t pci_read8(const struct pci_function *f, unsigned offset)
{
    return (uint8_t)pci_config_read(f->address, offset, 1);
}

static inline uint16_t pci_read16(const struct pci_function *f, unsigned offset)
{
    return (uint16_t)pci_config_read(f->address, offset, 2);
}

static inline uint32_t pci_read32(const struct pci_function *f, unsigned offset)
{
    return pci_config_read(f->address, offset, 4);
}

/* Fills capabilities and express_type. */
void pci_read_capabilities(struct pci_function *f);

/* Fills bars and rom. */
void pci_read_bars(struct pci_function *f);

/* Fills group in all of them; parents are known. */
void pci_make_groups(struct pci_function *functions, unsigned count);

extern const char *const pci_capability_names[PCI_CAPABILITIES_KNOWN];

#endif
