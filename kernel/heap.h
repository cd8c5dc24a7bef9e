/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small objects of the hypervisor itself: machines, devices, what is made when a VM is made. Not
 * for the path of an exit, and nothing that a guest asks for may grow without a bound of its
 * caller.
 *
 * Any CPU may call, but not from an interrupt handler. The heap's lock is taken before the page
 * allocator's.
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include "kernel/lib/types.h"

struct heap_stats {
    uint64_t objects;
    uint64_t object_bytes; /* as rounded up to what was reserved */
    uint64_t pages;        /* taken from the page allocator */
};

/* Forgets every object: for the start, when nothing has been allocated. */
void heap_init(void);

/* Zeroed, aligned to 16 bytes; NULL: out of memory. */
MUST_CHECK void *heap_alloc(size_t size_bytes);

/*
 * NULL is fine. What is no object of the heap, was freed already or points into an object is a bug
 * of ours and panics, and so does, at the next allocation, an object that was written to after it
 * was freed.
 */
void heap_free(void *object);

void heap_get_stats(struct heap_stats *stats);

#endif
