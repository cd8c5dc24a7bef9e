/* SPDX-License-Identifier: BSD-2-Clause */
/* The other CPUs of a 64-bit guest: INIT and SIPI, as firmware and kernels send them. */
#ifndef GUESTS_COMMON_SMP_H
#define GUESTS_COMMON_SMP_H

#include "kernel/lib/types.h"

#define SMP_CPUS_MAX 8u
#define SMP_AP_PAGE  0x8000u /* where its first instructions are */

/*
 * Boot CPU, in xAPIC mode: the CPU with that APIC ID runs main(id) on a stack of its own, interrupts off, with the
 * boot CPU's page tables, whatever it did before. Returns when main has begun; false: it does not come.
 */
bool smp_start(unsigned id, void (*main)(unsigned id));

/* Only the two messages: whatever the CPU does, it goes on with what is in that page below 1 MiB, in real mode. */
void smp_send_init_sipi(unsigned id, uint8_t page);

#endif
