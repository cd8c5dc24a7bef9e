/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing up the other CPUs. */
#ifndef ARCH_X86_SMP_H
#define ARCH_X86_SMP_H

#include "kernel/lib/types.h"

struct acpi_info;

/* Makes this, the boot CPU, pcpus[0], with stacks of its own; returns the top of its stack. */
void *smp_init_boot_cpu(void);

/*
 * Starts every enabled CPU of the MADT, at most max_cpus in all, one after the other. Each runs
 * main() on its own stack, which calls smp_report_online(); one that does not answer is reported and left out.
 */
void smp_start_others(const struct acpi_info *acpi, unsigned max_cpus, void (*main)(void));

/* A CPU that was started says that it runs, last of all. One that nobody waits for any more does not come back. */
void smp_report_online(void);

/* The numbers of the CPUs are dense; their APIC ids are not. */
uint32_t smp_apic_id(unsigned cpu);

#endif
