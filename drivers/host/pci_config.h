/* SPDX-License-Identifier: BSD-2-Clause */
/* How configuration registers are reached: by memory (ECAM) where the MCFG says so, else by ports.
 */
#ifndef DRIVERS_HOST_PCI_CONFIG_H
#define DRIVERS_HOST_PCI_CONFIG_H

#include "kernel/pci_address.h"

#define PCI_ECAMS_MAX 16u

/* base is where bus 0 would be. */
struct pci_ecam {
    hpa_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

/* Boot CPU, once. */
void pci_config_init(const struct pci_ecam *ecams, unsigned count);

/* The windows that were given. */
unsigned pci_config_ecams(const struct pci_ecam **ecams);

/* Opens the window of a bus: until then its registers are reached by ports. Boot CPU. */
void pci_config_open_bus(uint16_t segment, uint8_t bus);

/* How many bytes of configuration space can be reached: 256 or 4096; 0: none. */
unsigned pci_config_bytes(struct pci_address address);

/*
 * width is 1, 2 or 4, and offset a multiple of it. What is not there reads as all ones and ignores
 * writes. Any CPU.
 */
uint32_t pci_config_read(struct pci_address address, unsigned offset, unsigned width);
void pci_config_write(struct pci_address address, unsigned offset, unsigned width, uint32_t value);

#endif
