/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's PCI host bridge: bus 0, its configuration ports, and the windows of its address space
 * in which functions put their memory. What a function is, is its own business.
 */
#ifndef DRIVERS_VIRT_PCI_HOST_H
#define DRIVERS_VIRT_PCI_HOST_H

#include "kernel/io_bus.h"

#define PCI_HOST_SLOTS 32u /* device numbers; 0 is the bridge itself */

/* To memory or to ports. */
struct pci_access {
    uint64_t address;
    unsigned width;
    bool is_port;
};

/* Configuration registers are seen as doublewords; of a write only the bits in mask count. */
struct pci_slot_ops {
    uint32_t (*config_read)(void *device, unsigned offset);
    void (*config_write)(void *device, unsigned offset, uint32_t value, uint32_t mask);
    /* An access that is in its registers, and not mapped to something else; false: it is not. */
    bool (*read)(void *device, const struct pci_access *access, uint64_t *value);
    bool (*write)(void *device, const struct pci_access *access, uint64_t value);
};

struct pci_slot {
    const struct pci_slot_ops *ops; /* NULL: nobody is there */
    void *device;
};

struct pci_host {
    struct pci_slot slots[PCI_HOST_SLOTS];
    uint32_t config_address;
    struct io_region neighbour;
};

/* A region of a bus by which functions' registers are reached. */
struct pci_window {
    struct pci_host *host;
    uint64_t base;
    bool is_ports;
};

/* neighbour: whose registers share CONFIG_ADDRESS's doubleword; it gets what is no whole
 * doubleword. */
void pci_host_init(struct pci_host *host, const struct io_region *neighbour);
void pci_host_reset(struct pci_host *host);

/* Function 0 of that device number. -EINVAL: there is no such number; -EEXIST: it is taken. */
MUST_CHECK int pci_host_add(struct pci_host *host, unsigned number, const struct pci_slot *slot);

/* Region: PCI_HOST_PORTS ports at PCI_HOST_PORT, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4; a struct
 * pci_host. */
#define PCI_HOST_PORT  0xcf8u
#define PCI_HOST_PORTS 8u
extern const struct io_region_ops pci_host_ops;

/* Region: a window, of memory with IO_WIDTH_ANY; the device is the struct pci_window. */
extern const struct io_region_ops pci_window_ops;

#endif
