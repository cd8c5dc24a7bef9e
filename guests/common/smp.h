/* SPDX-License-Identifier: BSD-2-Clause */
/* A second CPU for 64-bit guests. */
#ifndef GUESTS_COMMON_SMP_H
#define GUESTS_COMMON_SMP_H

#include "kernel/lib/types.h"

/* Starts the CPU with APIC ID 1, which then runs ap_main(); returns when that says so. False: it does not come. */
bool smp_start(void);

/* The guest's: what the other CPU does. Calls smp_is_here() first. */
void ap_main(void);
void smp_is_here(void);

#endif
