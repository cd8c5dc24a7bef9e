/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and ports of a function that a guest was given; for machine_function.c. */
#ifndef KERNEL_MACHINE_BAR_H
#define KERNEL_MACHINE_BAR_H

#include "kernel/machine_function.h"

/*
 * Opens the hypervisor's own view of what no guest gets: the table of messages, and registers that share a page with
 * others'. The layout is complete. False: out of memory, or a BAR has no address.
 */
MUST_CHECK bool machine_bars_open(struct machine_function *f);

/* pci_hardware_ops' place_bar, bar_read and bar_write: behind the VM's device lock. */
void machine_bar_place(void *hardware, unsigned bar, uint64_t address);
uint64_t machine_bar_read(void *hardware, unsigned bar, uint64_t offset, unsigned width);
void machine_bar_write(void *hardware, unsigned bar, uint64_t offset, unsigned width, uint64_t value);

#endif
