/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI functions on bus 0 by their configuration ports: PCI Local Bus Specification, "Configuration Mechanism #1". */
#ifndef GUESTS_COMMON_PCI_H
#define GUESTS_COMMON_PCI_H

#include "drivers/pci_regs.h"
#include "guests/common/guest.h"

#define PCI_DEVICES 32u

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t pci_read(unsigned device, unsigned offset)
{
    outl(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ADDRESS_ENABLE | device << 11 | offset);
    return inl(PCI_CONFIG_DATA_PORT);
}

static inline void pci_write(unsigned device, unsigned offset, uint32_t value)
{
    outl(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ADDRESS_ENABLE | device << 11 | offset);
    outl(PCI_CONFIG_DATA_PORT, value);
}

/* Offset of a capability; 0: it has none. */
static inline unsigned pci_find_capability(unsigned device, uint8_t id)
{
    unsigned at = pci_read(device, PCI_CAPABILITIES) & 0xfc;

    while (at && (pci_read(device, at) & 0xff) != id)
        at = pci_read(device, at) >> 8 & 0xfc;
    return at;
}

/* Where firmware put the memory of a BAR; below 4 GiB. */
static inline volatile void *pci_memory(unsigned device, unsigned bar)
{
    return (volatile void *)(uintptr_t)(pci_read(device, PCI_BAR0 + 4 * bar) & PCI_BAR_MEMORY_MASK);
}

#endif
