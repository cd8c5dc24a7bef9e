/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function of PCI that is given to a guest, whose hardware says what it was asked, behind the guest's bridge and windows.
 */
#ifndef TESTS_HOST_FAKE_PCI_PASSTHROUGH_RIG_H
#define TESTS_HOST_FAKE_PCI_PASSTHROUGH_RIG_H

#include "tests/host/fake/fake.h"
#include "drivers/pci_regs.h"
#include "drivers/virt/pci_passthrough.h"

#define WINDOW_BASE 0xc0000000u
#define WINDOW_SIZE 0x10000000u
#define HIGH_BASE   (UINT64_C(1) << 38)
#define HIGH_SIZE   (UINT64_C(1) << 37)
#define PORTS_BASE  0x1000u
#define PORTS_SIZE  0xf000u
#define PORTS_START 0xc040u
#define PORTS       0x20u
#define SLOT        1u
#define MESSAGES    3u
#define TABLE       0x2000u
#define CAP_PM      0x40u
#define CAP_MSIX    0x50u
#define CAP_MSI     0x60u
#define CAP_VPD     0x70u
#define CAP_VENDOR  0x80u
#define CAP_EXPRESS 0xa0u

extern uint32_t config[64];     /* of the hardware */
extern uint8_t registers[0x40]; /* of its memory, in the page of the table */

/* What the hardware was asked. */
extern bool is_master, is_pin_on;
extern uint64_t placed[6];
extern unsigned placings;
extern struct pci_message messages[MESSAGES], msi;
extern bool is_sending[MESSAGES], has_msi;
extern uint16_t msix_control;
extern const struct pci_hardware_ops hw_ops;

extern unsigned neighbour_accesses; /* of CONFIG_ADDRESS */

extern struct pci_passthrough device;
extern struct pci_msix_entry entries[MESSAGES];
extern struct pci_host host;
extern struct io_bus ports, mmio;
extern struct pci_passthrough_layout layout;

int pci_passthrough_rig_set_up(void **state);

/* Selects a doubleword and says at which port the byte is. */
uint32_t cfg_select(unsigned slot, unsigned offset);
uint32_t cfg_read(unsigned offset, unsigned width);
void cfg_write(unsigned offset, unsigned width, uint32_t value);

#endif
