/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts that PCI functions send as messages, and what they mean to the guests that have them. For machine_function.c. */
#ifndef KERNEL_MACHINE_MESSAGE_H
#define KERNEL_MACHINE_MESSAGE_H

#include "arch/x86/device_irq.h"
#include "kernel/iommu.h"

struct machine_function;
struct pci_message;

struct machine_message {
    struct device_irq irq;
    struct iommu_interrupts *interrupts; /* NULL: not yet used */
    struct machine_function *function;
    struct iommu_message host; /* what the hardware sends, once there are interrupts */
    uint64_t guest; /* atomic: address 63:32, data 31:0; 0: nothing */
    bool is_held;   /* the IOMMU blocks it until the next tick */
    struct machine_message *next_held;
};

/* How many messages a function has sent since the last tick; atomic. */
struct machine_message_count {
    unsigned tick, sent;
    bool was_reported;
};

/* What a function may send in a second; 0: no limit. Before any is prepared. */
void machine_message_set_limit(unsigned per_second);
/* Some ten times a second, on the control thread's CPU: what was held back may come again. */
#define MACHINE_MESSAGE_TICKS_PER_SECOND 10u
void machine_message_tick(void);

/* What the device must write for message m of f. -ENOSPC, -ENOMEM, … */
MUST_CHECK int machine_message_prepare(struct machine_function *f, struct machine_message *m, struct iommu_message *host);
/* A handler may still be running: sched_synchronize() before m goes. Nothing happens if it was not prepared. */
void machine_message_retire(struct machine_message *m);
/* What the guest wants to be sent for it. */
void machine_message_set_guest(struct machine_message *m, const struct pci_message *message);

#endif
