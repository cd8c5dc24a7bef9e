/* SPDX-License-Identifier: BSD-2-Clause */
/* Ending the machine: arch_power_off() and arch_reboot() of arch/arch.h. */
#ifndef ARCH_X86_POWER_H
#define ARCH_X86_POWER_H

struct acpi_info;

/* acpi lives on; leave_virtualization runs on each CPU before the machine ends. */
void power_init(const struct acpi_info *acpi, void (*leave_virtualization)(void));

/* A kick arrived: if the machine is ending, this CPU ends here. */
void power_stop_if_asked(void);

#endif
