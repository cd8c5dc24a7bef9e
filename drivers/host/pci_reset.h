/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVERS_HOST_PCI_RESET_H
#define DRIVERS_HOST_PCI_RESET_H

#include "drivers/host/pci.h"

/*
 * Bus mastering is off then, and the function's memory is where it was. wait() lets time pass, up
 * to some 200 ms in all. False: it has no reset of its own, and keeps what was done to it.
 */
bool pci_reset(const struct pci_function *f, void (*wait)(uint64_t ns));

#endif
