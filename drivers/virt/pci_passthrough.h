/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest sees of a PCI function that was given to it. Nothing that the guest writes into
 * configuration space reaches the hardware as it is: identity is read from the hardware, where its
 * memory is and what its interrupts mean are the guest's affair alone, and a register that no row
 * of a table names reads as 0 and ignores writes.
 */
#ifndef DRIVERS_VIRT_PCI_PASSTHROUGH_H
#define DRIVERS_VIRT_PCI_PASSTHROUGH_H

#include "drivers/virt/pci_host.h"

#define PCI_PASSTHROUGH_BARS    6u
#define PCI_PASSTHROUGH_WINDOWS 3u
#define PCI_MSIX_ENTRIES_MAX    2048u
#define PCI_BAR_NOWHERE         UINT64_MAX

struct pci_message {
    uint64_t address;
    uint32_t data;
};

/* What a function asks of who has the hardware. */
struct pci_hardware_ops {
    uint32_t (*config_read)(void *hardware, unsigned offset);
    void (*set_master)(void *hardware, bool is_master);
    /* May it interrupt by its pin? At first it may. */
    void (*set_pin)(void *hardware, bool is_on);
    /* From now on the BAR is at that address in a window, or PCI_BAR_NOWHERE. Others may be there, too. */
    void (*place_bar)(void *hardware, unsigned bar, uint64_t address);
    /* What of it the guest does not reach by itself. offset+width is within the BAR. */
    uint64_t (*bar_read)(void *hardware, unsigned bar, uint64_t offset, unsigned width);
    void (*bar_write)(void *hardware, unsigned bar, uint64_t offset, unsigned width, uint64_t value);
    /* What the device's interrupt means to the guest; NULL: it is to hold it back. */
    void (*set_msi)(void *hardware, const struct pci_message *message);
    void (*set_msix)(void *hardware, unsigned index, const struct pci_message *message);
    /* PCI_MSIX_CONTROL_ENABLE, PCI_MSIX_CONTROL_MASK */
    void (*set_msix_control)(void *hardware, uint16_t control);
};

struct pci_passthrough_bar {
    uint64_t size;  /* 0: there is none; of a 64-bit one, the next is none */
    uint64_t start; /* where it is at reset */
    bool is_64, is_prefetchable, is_ports;
};

/* The BARs' possible addresses. */
struct pci_passthrough_window {
    uint64_t base, size;
    bool is_ports;
};

/*
 * Where the hardware's table of messages is. capability: offset of its MSI-X capability, 0: it has none; the rest is
 * pci_passthrough_find_msix()'s, and not looked at again: what a function says of itself may change at any time.
 */
struct pci_passthrough_msix {
    uint8_t capability;
    unsigned count; /* 0: there is none, or one that makes no sense */
    unsigned bar;
    uint32_t offset; /* in the BAR */
    unsigned offered; /* the first so many are what the guest sees; its owner may lower it before pci_passthrough_init() */
};

/* What does not change. */
struct pci_passthrough_layout {
    struct pci_passthrough_bar bars[PCI_PASSTHROUGH_BARS];
    struct pci_passthrough_window windows[PCI_PASSTHROUGH_WINDOWS];
    struct pci_passthrough_msix msix;
    bool has_pin;
};

/* Message address, upper address, data, vector control: "MSI-X Table Structure". */
struct pci_msix_entry {
    uint32_t words[4];
};

#define PCI_PASSTHROUGH_CAPABILITIES 16u

struct pci_passthrough {
    const struct pci_hardware_ops *ops;
    void *hardware;
    struct pci_passthrough_layout layout;
    struct pci_passthrough_capability {
        uint16_t offset, bytes;
        uint8_t kind;                             /* row of the table of those that are known */
    } capabilities[PCI_PASSTHROUGH_CAPABILITIES]; /* in the order of the guest's list */
    unsigned capability_count;

    uint16_t command;
    uint8_t cache_line, interrupt_line;
    uint32_t bar_registers[PCI_PASSTHROUGH_BARS];
    uint64_t placed[PCI_PASSTHROUGH_BARS]; /* PCI_BAR_NOWHERE: it decodes nothing, or nothing that it may */

    uint16_t msi_control;
    struct pci_message msi;
    bool msi_is_64;

    uint16_t msix_control;
    struct pci_msix_entry *msix_entries; /* as many as layout.msix.offered */
};

/* Fills in layout->msix; its capability and the BARs are there. Reads each register once. */
void pci_passthrough_find_msix(const struct pci_hardware_ops *ops, void *hardware,
                               struct pci_passthrough_layout *layout);

/* entries: the caller's, as many as layout->msix.offered. */
void pci_passthrough_init(struct pci_passthrough *p, const struct pci_hardware_ops *ops,
                          void *hardware, const struct pci_passthrough_layout *layout,
                          struct pci_msix_entry *entries);

/* The table of messages is in these whole pages of its BAR; nothing there may be mapped to a guest. */
void pci_passthrough_msix_pages(const struct pci_passthrough_msix *msix, uint64_t *first, uint64_t *size);

/* To be added to a host bridge; the device is the struct pci_passthrough. */
extern const struct pci_slot_ops pci_passthrough_ops;

#endif
