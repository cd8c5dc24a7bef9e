/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wires between a VM's balloon, its pages and the control thread, which alone can wait for every CPU: the guest's
 * doorbell unmaps pages, the control thread has all CPUs flush, frees the pages, and the device answers the guest.
 *
 * A page comes back when the guest takes it, tells of it, or a device of it does. If no page is free, a guest that tells
 * waits; one that simply takes it is stopped, since an instruction cannot wait for memory that may never come.
 */
#ifndef KERNEL_BALLOONING_H
#define KERNEL_BALLOONING_H

#include "kernel/lib/types.h"

struct vm;

/* A VM's memory, in pages, and what the guest's driver last said of it. */
struct vm_memory {
    uint64_t pages;   /* that it was made with */
    uint64_t missing; /* of these: given back */
    uint64_t target;  /* what it is to give back */
    bool has_stats;
    uint64_t guest_total_bytes, guest_free_bytes, guest_available_bytes;
};

/* The control thread, for all of these. */

/* Its RAM is mapped. -ENOMEM */
MUST_CHECK int ballooning_init_pages(struct vm *vm);
/* platform->balloon, which the caller puts on a bus then. */
void ballooning_init_device(struct vm *vm);
/* After the last use of the VM's memory; its tables are still there. */
void ballooning_free_pages(struct vm *vm);

/* Asks the guest to live with so much memory. -ENOTSUP: it has no balloon; -EINVAL: more than it was made with, or
 * none; -ENOMEM: so much is not free. */
MUST_CHECK int ballooning_set_target(struct vm *vm, uint64_t bytes);
/* Also asks the guest for new statistics, for the next time. */
void ballooning_get_memory(struct vm *vm, struct vm_memory *memory);

/* Whenever the thread was woken: gives the allocator what the guest has given back. */
void ballooning_collect(struct vm *vm);

#endif
