/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit of the whole machine: every VM that there is, and what devices reach. Control thread. */
#ifndef KERNEL_MACHINE_AUDIT_H
#define KERNEL_MACHINE_AUDIT_H

#include "kernel/lib/types.h"

/* Adds the shell's command. at_every_end: before a VM that has ended is taken apart, all are looked at. */
void machine_audit_init(bool at_every_end);

#endif
