/* SPDX-License-Identifier: BSD-2-Clause */
/* A fair (ticket) spin lock. Each user says what its lock guards; the order stands in kernel/README.md. */
#ifndef KERNEL_LIB_LOCK_H
#define KERNEL_LIB_LOCK_H

#include "kernel/lib/types.h"

struct lock {
    uint32_t next;
    uint32_t owner;
};

static inline void lock_acquire(struct lock *l)
{
    uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (unlikely(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket))
        __builtin_ia32_pause();
}

/* Nobody else writes the owner, and each store of the CPU releases: one instruction is enough. */
static inline void lock_release(struct lock *l)
{
    __asm__ volatile("incl %0" : "+m"(l->owner) : : "memory", "cc");
}

#endif
