/* SPDX-License-Identifier: BSD-2-Clause */
/* How a chip that ends or restarts the machine says so: ACPI's soft-off, the many ways to reset. */
#ifndef DRIVERS_VIRT_POWER_H
#define DRIVERS_VIRT_POWER_H

#include "kernel/lib/types.h"

/*
 * Called in the middle of a register access, on the CPU of the vCPU that made it: the sink notes
 * the request and acts once the access has ended. It does not reset the device that is calling.
 */
struct power_sink {
    void (*off)(void *context);
    void (*reset)(void *context);
    void *context;
};

#endif
