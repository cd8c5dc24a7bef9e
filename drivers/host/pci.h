/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI functions: what is there, what each can do, and which of them cannot be told
 * apart by an IOMMU. Found once at boot; the numbering of buses and the addresses in BARs stay as
 * firmware chose them.
 */
#ifndef DRIVERS_HOST_PCI_H
#define DRIVERS_HOST_PCI_H

#include "kernel/pci_address.h"

#define PCI_FUNCTIONS_MAX 512u
#define PCI_BARS_MAX      6u
#define PCI_NO_PARENT     UINT16_MAX

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_PORTS, PCI_BAR_MEMORY, PCI_BAR_MEMORY_64 };

struct pci_bar {
    enum pci_bar_kind kind;
    bool is_prefetchable;
    uint64_t address, size;
};

/* The capabilities that somebody uses. */
enum pci_capability {
    PCI_CAP_PM,
    PCI_CAP_MSI,
    PCI_CAP_MSIX,
    PCI_CAP_PCIE,
    PCI_CAP_AF,
    PCI_CAP_ACS,
    PCI_CAP_ATS,
    PCI_CAP_SRIOV,
    PCI_CAPABILITIES_KNOWN,
};

struct pci_function {
    struct pci_address address;
    uint16_t vendor_id, device_id;
    uint8_t base_class, sub_class, interface, revision;
    uint8_t header_type;
    uint8_t interrupt_pin;  /* 1 to 4: INTA to INTD; 0: none */
    uint8_t interrupt_line; /* as firmware routed it on the PICs */
    uint8_t express_type;   /* PCI_EXP_TYPE_*, with PCI_CAP_PCIE only */
    bool is_bridge;
    uint8_t secondary_bus, subordinate_bus;        /* of a bridge */
    uint16_t parent;                               /* index of the bridge above, or PCI_NO_PARENT */
    uint16_t group;                                /* index of the group's first function */
    uint16_t capabilities[PCI_CAPABILITIES_KNOWN]; /* offsets; 0: has none */
    struct pci_bar bars[PCI_BARS_MAX];             /* of a 64-bit one, the next is none */
    struct pci_bar rom;
};

/*
 * Finds every function, with decoding off while its BARs are sized. Nobody else touches
 * configuration registers meanwhile. Boot CPU, once, behind pci_config_init().
 */
void pci_scan(void);

unsigned pci_count(void);
const struct pci_function *pci_at(unsigned index);
const struct pci_function *pci_find(struct pci_address address); /* NULL: there is none */

/* Works before pci_scan(): the buses below a bridge; false: it is none, or they make no sense. */
bool pci_bridge_buses(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate);

/*
 * A function that answers at addresses of this BAR by another one; NULL: none. Firmware gives each BAR its own, so that one
 * of the two does not tell the truth.
 */
const struct pci_function *pci_find_overlap(const struct pci_bar *bar);

/* Is there an endpoint in the function's group that is not the function itself? */
bool pci_shares_group(const struct pci_function *f);

/*
 * Who asks in the function's name, too: conventional bridges put their own number or their
 * secondary bus's on what they forward. Calls visit for each until it returns non-zero.
 */
int pci_visit_requesters(const struct pci_function *f,
                         int (*visit)(void *context, struct pci_address requester), void *context);

/* Changes bits of the command register, and no others. Any CPU, also in an interrupt. */
void pci_set_command(struct pci_address address, uint16_t bits, bool is_on);

/* May the function write to memory and send messages? Likewise. */
void pci_set_master(struct pci_address address, bool is_master);

/*
 * Takes the right to do DMA, and to use its pin, from every function that nobody owns; keeps(address) says whose
 * firmware still needs it. Bridges keep the former, because they forward for others, and so do displays,
 * whose picture may be fetched from memory.
 */
void pci_quiet_unowned(bool (*keeps)(struct pci_address address));

/* Has it a pin that can be held back, as PCI 2.3 wants it? Leaves it held back. */
bool pci_has_maskable_pin(const struct pci_function *f);

/* If it does interrupt by its pin, holds that back: the line is let go; says whether it did. Any CPU, as above. */
bool pci_hold_pin(struct pci_address address);

/* A line a function; for the shell. */
void pci_list(void (*put_line)(void *context, const char *text), void *context);

#endif
