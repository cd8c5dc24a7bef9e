/* SPDX-License-Identifier: BSD-2-Clause */
/* The name of a PCI function, which is also how IOMMUs know who asks. */
#ifndef KERNEL_PCI_ADDRESS_H
#define KERNEL_PCI_ADDRESS_H

#include "kernel/lib/types.h"

#define PCI_DEVICES_PER_BUS      32u
#define PCI_FUNCTIONS_PER_DEVICE 8u
#define PCI_BUSES                256u

struct pci_address {
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn; /* device in bits 7:3, function in 2:0 */
};

/* For a log line: "%04x:%02x:%02x.%u", PCI_ADDRESS_ARGS(a) */
#define PCI_ADDRESS_FORMAT  "%04x:%02x:%02x.%u"
#define PCI_ADDRESS_ARGS(a) (a).segment, (a).bus, pci_device_number(a), pci_function_number(a)

static inline uint8_t pci_devfn(unsigned device, unsigned function)
{
    return (uint8_t)(device << 3 | function);
}

static inline unsigned pci_device_number(struct pci_address a)
{
    return a.devfn >> 3;
}

static inline unsigned pci_function_number(struct pci_address a)
{
    return a.devfn & 7;
}

/* PCI Express Base Specification, "Requester ID"; VT-d calls it source-id. */
static inline uint16_t pci_requester_id(struct pci_address a)
{
    return (uint16_t)(a.bus << 8 | a.devfn);
}

static inline struct pci_address pci_requester(uint16_t segment, uint16_t id)
{
    return (struct pci_address){segment, (uint8_t)(id >> 8), (uint8_t)id};
}

static inline bool pci_is_same(struct pci_address a, struct pci_address b)
{
    return a.segment == b.segment && a.bus == b.bus && a.devfn == b.devfn;
}

/* Functions of one device: they share its connection to the bus. */
static inline bool pci_is_same_device(struct pci_address a, struct pci_address b)
{
    return a.segment == b.segment && a.bus == b.bus && pci_device_number(a) == pci_device_number(b);
}

#endif
