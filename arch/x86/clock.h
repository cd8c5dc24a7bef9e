/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures the TSC; kernel/timer.h has what everybody else uses. */
#ifndef ARCH_X86_CLOCK_H
#define ARCH_X86_CLOCK_H

#include "kernel/lib/types.h"

struct acpi_info;

/* Calibrates against the ACPI PM timer, else the HPET, else the PIT, and says which. Boot CPU, before the APs. */
void clock_init(const struct acpi_info *acpi);

/* Spins; for start-up protocols only. */
void clock_delay_ns(uint64_t ns);

#endif
