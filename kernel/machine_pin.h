/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pin (INTx) of a PCI function in a guest's hands. For machine_function.c and machine_pci.c.
 */
#ifndef KERNEL_MACHINE_PIN_H
#define KERNEL_MACHINE_PIN_H

#include "drivers/virt/ioapic.h"
#include "kernel/pci_address.h"

struct machine_pin {
    struct pci_address address;
    struct ioapic *chip; /* the guest's, and the input that the pin is wired to there */
    unsigned input;
    bool is_maskable; /* by itself (pci_has_maskable_pin); else its lines are masked for it */
    bool is_attached;
    bool is_allowed; /* by the guest */
    bool is_held;    /* it has interrupted, and does not again before the guest's EOI */
    bool is_resting; /* it has interrupted too often, and does not again before the next tick either */
    bool was_reported;
    unsigned claims; /* since the last tick */
    struct machine_pin *next;
};

/* A pin that can be held back is so. From now on it is not; and is again. Control thread. -ENOMEM: nothing has changed. */
MUST_CHECK int machine_pin_attach(struct machine_pin *pin);
void machine_pin_detach(struct machine_pin *pin);

/* What the guest says about it in the command register. Any CPU, behind the VM's device lock. */
void machine_pin_allow(struct machine_pin *pin, bool is_allowed);

/* The guest is done with the interrupt: it may come again. Any CPU. */
void machine_pin_end(struct machine_pin *pin);

#endif
