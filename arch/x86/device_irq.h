/* SPDX-License-Identifier: BSD-2-Clause */
/* Vectors for what devices send by themselves: a pair of CPU and vector belongs to one interrupt. */
#ifndef ARCH_X86_DEVICE_IRQ_H
#define ARCH_X86_DEVICE_IRQ_H

#include "kernel/lib/types.h"

/* The caller's, and stays where it is while it is taken. */
struct device_irq {
    /* On that CPU, interrupts off, before the EOI. */
    void (*handler)(void *context);
    void *context;
    unsigned cpu;
    uint8_t vector;
};

/* Chooses among these CPUs (a mask; 0: any) the one with the fewest. -ENOSPC: they have none left; -ENOMEM. */
MUST_CHECK int device_irq_take(struct device_irq *irq, uint64_t cpus);

/* How many there are on all CPUs together. */
unsigned device_irq_capacity(void);

/* Nobody sends it any more. A handler may be running still: sched_synchronize() before the memory goes. */
void device_irq_release(struct device_irq *irq);

/* trap.c's: runs the handler of a vector of this CPU. */
void device_irq_dispatch(unsigned vector);

#endif
