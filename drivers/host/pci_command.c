/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command register, which many share: bus mastering follows faults and guests, the pin follows interrupts. PCI
 * Local Bus Specification 2.3, "Device Control" and "Device Status".
 */
#include "drivers/host/pci_internal.h"
#include "kernel/lib/lock.h"

#define STATUS_SHIFT 16

static struct lock lock; /* guards every change of a command register once interrupts are on */

static void change(struct pci_address address, uint32_t bits, bool is_on)
{
    uint32_t command = pci_config_read(address, PCI_COMMAND, 2);

    pci_config_write(address, PCI_COMMAND, 2, is_on ? command | bits : command & ~bits);
}

void pci_set_command(struct pci_address address, uint16_t bits, bool is_on)
{
    lock_acquire(&lock);
    change(address, bits, is_on);
    lock_release(&lock);
}

void pci_set_master(struct pci_address address, bool is_master)
{
    pci_set_command(address, PCI_COMMAND_MASTER, is_master);
}

void pci_quiet_unowned(bool (*keeps)(struct pci_address address))
{
    for (unsigned i = 0; i < pci_count(); i++) {
        const struct pci_function *f = pci_at(i);

        if (keeps(f->address))
            continue;
        pci_set_command(f->address, PCI_COMMAND_INTX_OFF, true);
        if (f->base_class != PCI_CLASS_BRIDGE && f->base_class != PCI_CLASS_DISPLAY)
            pci_set_master(f->address, false);
    }
}

/* --- the pin --- */

/* A bit that was not there before 2.3, and then reads as 0. */
bool pci_has_maskable_pin(const struct pci_function *f)
{
    uint16_t command;

    if (f->interrupt_pin == 0)
        return false;
    lock_acquire(&lock);
    change(f->address, PCI_COMMAND_INTX_OFF, false);
    command = pci_read16(f, PCI_COMMAND);
    change(f->address, PCI_COMMAND_INTX_OFF, true);
    command ^= pci_read16(f, PCI_COMMAND);
    lock_release(&lock);
    return command == PCI_COMMAND_INTX_OFF;
}

bool pci_hold_pin(struct pci_address address)
{
    uint32_t both;
    bool is_asserted;

    lock_acquire(&lock);
    both = pci_config_read(address, PCI_COMMAND, 4);
    is_asserted = both >> STATUS_SHIFT & PCI_STATUS_INTERRUPT && !(both & PCI_COMMAND_INTX_OFF);
    if (is_asserted)
        change(address, PCI_COMMAND_INTX_OFF, true);
    lock_release(&lock);
    return is_asserted;
}
