/* SPDX-License-Identifier: BSD-2-Clause */
/* What the measuring guest can do, by the mode= of its command line. */
#ifndef GUESTS_MEASURE_MEASURE_H
#define GUESTS_MEASURE_MEASURE_H

#include "guests/common/multiboot.h"

struct mode {
    const char *name;
    /* With interrupts on, unless it turns them off. What returns ends the guest, well. */
    void (*run)(const struct multiboot_info *info);
};

/* Those that measure, and those that do what a guest should not; each ends with a name of NULL. */
extern const struct mode measuring_modes[], hostile_modes[];

#endif
