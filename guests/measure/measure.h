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

/* Those that measure, and those that do what a guest should not: alone, with a device, with more vCPUs. Each ends with a
 * name of NULL. */
extern const struct mode measuring_modes[], hostile_modes[], hostile_virtio_modes[], hostile_smp_modes[];

/* --- net.c: the first network card --- */

/* False: there is none. */
bool net_start(void);
/* Sends broadcasts for ever, each from another address. */
NORETURN void net_flood(void);
/* Gives every buffer back in which something has come; how many those were. */
unsigned net_drain(void);

#endif
