/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVERS_HOST_PCI_RESET_H
#define DRIVERS_HOST_PCI_RESET_H

#include "drivers/host/pci.h"

/*
 * By the gentlest means that resets all of it: its own reset, its bus's if it is alone there, its power state. Bus
 * mastering is off then, and the function's memory is where it was. wait() lets time pass, up to some 1.2 s in all.
 * -ENOTSUP: nothing resets it, and it keeps what was done to it; -EIO: it does not answer any more.
 */
MUST_CHECK int pci_reset(const struct pci_function *f, void (*wait)(uint64_t ns));

#endif
