/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast the TSC runs, against a counter whose rate is known. */
#ifndef ARCH_X86_CLOCK_MEASURE_H
#define ARCH_X86_CLOCK_MEASURE_H

#include "kernel/lib/types.h"

/* It counts up, and has not gone round within twice the time that a measurement takes, 10 ms. */
struct clock_reference {
    uint32_t (*read)(void);
    uint32_t mask; /* of the bits that count */
    uint64_t hz;
};

/* Ticks of clock_now() in a second; 0: the reference stands still. */
uint64_t clock_measure(const struct clock_reference *reference);

#endif
